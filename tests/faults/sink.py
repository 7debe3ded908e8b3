"""A backend that misbehaves on command, and remembers what came.

On 127.0.0.1, on threads of this process, until its block ends::

    with Sink("503", ids=my_ids) as sink:
        send(sink.url)
        sink.mode = "ok"

Or as a process of its own, which prints its port, takes modes line by line on its standard
input and ends with it: ``python -m tests.faults.sink --mode never_read``.
"""

import argparse
import json
import select
import socket
import ssl
import struct
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

from tests.faults.modes import Mode, mode_from_text
from tests.faults.wire import (
    BadRequest,
    NotHttp,
    Reply,
    RequestReader,
    encode,
    parts_of,
)

CONNECTIONS = 64
KEPT_BYTES = 64 * 1024 * 1024
SECONDS = 10.0
"""How long a thread may take to end."""


@dataclass
class Request:
    """One request that was read whole.

    Attributes:
        time: When, by ``time.monotonic()``.
        method: As sent.
        path: As sent.
        headers: By lower-case name.
        body: Unpacked.
        status: What was answered, 0 for nothing of the kind.
        answered: Whether the kernel took the whole answer.
        connection: The number of its connection.
    """

    time: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    status: int = 0
    answered: bool = False


class Sink:
    """The server.

    Args:
        mode: What it does first: a ``Mode`` or its text.
        tls: One of ``certificates.KINDS``, an ``ssl.SSLContext``, or None for HTTP.
        ids: Gives the unique ids in a body, for ``arrived`` and ``acknowledged``.
        handler: Gives status, headers and body of an answer in mode ``ok``, for a
            protocol of one's own.

    Attributes:
        tls: As given; another holds for the next connections.
        requests: What was read whole; past 64 MiB the oldest go, a KiB for each added.
        connections: How many were accepted.
        ca_file: The issuer to trust, PEM; None without TLS.
    """

    def __init__(
        self,
        mode: Mode | str = "ok",
        *,
        tls: str | ssl.SSLContext | None = None,
        ids: Callable[[bytes], Iterable[object]] | None = None,
        handler: Callable[[Request], Reply] | None = None,
    ) -> None:
        self.tls = tls
        self.requests: deque[Request] = deque()
        self.connections = 0
        self.ca_file: str | None = None
        self._ids = ids or (lambda _: ())
        self._handler = handler
        self._mode = _mode(mode)
        self._next: deque[Mode] = deque()
        self._lock = threading.RLock()
        self._listener = bound()
        self.port: int = self._listener.getsockname()[1]
        self._accepting: threading.Thread | None = None
        self._open: dict[threading.Thread, socket.socket] = {}
        self._arrived: Counter[object] = Counter()
        self._acknowledged: Counter[object] = Counter()
        self._errors: list[Exception] = []
        self._kept_bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        if self.tls is not None:
            from tests.faults.certificates import authority  # heavy, for TLS alone

            self._folder = tempfile.TemporaryDirectory()
            self.ca_file = str(Path(self._folder.name, "ca.pem"))
            authority("known").cert_pem.write_to_path(self.ca_file)
        self.mode = self._mode
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._close_port()
        self._listener.close()
        if self._folder is not None:
            self._folder.cleanup()
        if self._errors and kind is None:
            raise ExceptionGroup("in the sink", self._errors)

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def mode(self) -> Mode:
        """What it does once what was scheduled is done; may be set at any time."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode | str) -> None:
        self._mode = _mode(mode)
        if self._mode.kind == "refuse":
            self._close_port()
        else:
            self._open_port()

    def schedule(self, *modes: Mode | str) -> None:
        """Have each of the next requests treated so, instead of by ``mode``."""
        found = [_mode(mode) for mode in modes]
        if any(mode.kind == "refuse" for mode in found):
            message = "refuse is of the port, not of a request: set it as the mode"
            raise ValueError(message)
        with self._lock:
            self._next.extend(found)

    def arrived(self) -> Counter[object]:
        """How often each id was in a request that was read and not refused."""
        with self._lock:
            return self._arrived.copy()

    def acknowledged(self) -> Counter[object]:
        """How often each id was in a request that was answered with 2xx."""
        with self._lock:
            return self._acknowledged.copy()

    def cut(self) -> None:
        """Close all connections, whatever goes on there."""
        with self._lock:
            threads = dict(self._open)
            for each in threads.values():
                with suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
        _join(threads)

    def _open_port(self) -> None:
        if self._accepting is None:
            self._listener.listen(CONNECTIONS)
            self._accepting = threading.Thread(target=self._accept, name="sink")
            self._accepting.start()

    def _close_port(self) -> None:
        thread, self._accepting = self._accepting, None
        if thread is not None:
            # Linux: no longer listening, still bound; accept() ends with an error.
            self._listener.shutdown(socket.SHUT_RDWR)
            _join([thread])
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                if len(self._open) >= CONNECTIONS:
                    peer.close()
                    continue
                thread = threading.Thread(
                    target=self._serve, args=(peer, self.connections), name="sink"
                )
                self._open[thread] = peer
                thread.start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = _context(self.tls)
            if context is not None:
                peer = self._wrapped(peer, context)
                peer.do_handshake()
            done = 0
            while self._serve_one(peer, number, done):
                done += 1
        except NotHttp:
            with suppress(OSError):
                peer.sendall(encode(400, {"Connection": "close"}, b"speak HTTP"))
        except (OSError, BadRequest):
            pass  # what clients do, and cut()
        except Exception as error:
            self._errors.append(error)
        finally:
            peer.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _wrapped(self, peer: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        with self._lock:  # cut() shall find the one that has the descriptor
            wrapped = context.wrap_socket(
                peer, server_side=True, do_handshake_on_connect=False
            )
            self._open[threading.current_thread()] = wrapped
        return wrapped

    def _serve_one(self, peer: socket.socket, number: int, done: int) -> bool:
        """Treat one request; tell whether another may follow."""
        if not (isinstance(peer, ssl.SSLSocket) and peer.pending()):
            _wait_for(peer, select.POLLIN, None)
            # Of the plain socket, also under TLS: the end of a connection is no request.
            if not socket.socket.recv(peer, 1, socket.MSG_PEEK):
                return False
        mode = self._take_mode()
        if mode.kind == "never_read":
            return _hold(peer, None)
        reader = RequestReader(peer)
        method, path, headers = reader.head()
        if mode.kind == "early":
            peer.sendall(encode(mode.status, {"Connection": "close"}, b"too early"))
            return False
        body = reader.body(headers, half=mode.kind == "reset_mid_request")
        if mode.kind == "reset_mid_request":
            return _reset(peer)
        request = Request(monotonic(), method, path, headers, body, number)
        self._remember(request)
        ends = mode.kind in ("raw", "huge")
        ends |= mode.kind == "close_after" and done + 1 >= mode.amount
        return self._treat(peer, request, mode) and not ends

    def _take_mode(self) -> Mode:
        with self._lock:
            return self._next.popleft() if self._next else self._mode

    def _remember(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            self._kept_bytes += _cost(request)
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= _cost(self.requests.popleft())

    def _treat(self, peer: socket.socket, request: Request, mode: Mode) -> bool:
        """Do to a request that was read what the mode says."""
        reply = self._reply(request, mode)
        if mode.kind not in ("never_answer", "reset_before_answer", "raw"):
            request.status = reply[0]
        found = list(self._ids(request.body))
        if request.status < 300:
            with self._lock:
                self._arrived.update(found)
        if mode.kind == "never_answer":
            return _hold(peer, None)
        if mode.kind == "reset_before_answer":
            return _reset(peer)
        return self._answer(peer, request, found, parts_of(mode, reply))

    def _answer(
        self,
        peer: socket.socket,
        request: Request,
        found: list[object],
        parts: Iterator[tuple[bytes, float]],
    ) -> bool:
        last = b""
        for part, seconds in parts:
            peer.sendall(last)
            last = part
            if not _hold(peer, seconds):
                return False
        # Before the last bytes go out: a client that has them finds it counted.
        self._count_answer(request, found, 1)
        try:
            peer.sendall(last)
        except OSError:
            self._count_answer(request, found, -1)
            raise
        return True

    def _count_answer(self, request: Request, found: list[object], by: int) -> None:
        with self._lock:
            request.answered = by > 0
            if 200 <= request.status < 300:
                for each in found:
                    self._acknowledged[each] += by

    def _reply(self, request: Request, mode: Mode) -> Reply:
        if mode.status:
            return mode.status, dict(mode.headers), mode.body
        if self._handler is None:
            return 200, {}, b""
        return self._handler(request)


def _hold(peer: socket.socket, seconds: float | None) -> bool:
    """Wait, reading nothing; False where the peer hangs up, or ``cut`` is called."""
    return seconds == 0 or not _wait_for(peer, select.POLLRDHUP, seconds)


def _wait_for(peer: socket.socket, event: int, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(peer, event)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _reset(peer: socket.socket) -> bool:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _cost(request: Request) -> int:
    return len(request.body) + 1024


def bound() -> socket.socket:
    """Give a socket bound to a free port by its number: only so it outlives closing."""
    sockets = [socket.socket(), socket.socket()]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    finder, listener = sockets
    with finder:
        finder.bind(("127.0.0.1", 0))
        listener.bind(finder.getsockname())
    return listener


def _context(tls: str | ssl.SSLContext | None) -> ssl.SSLContext | None:
    if tls is None or tls == "plain":
        return None
    if isinstance(tls, ssl.SSLContext):
        return tls
    from tests.faults.certificates import server_context

    return server_context(tls)


def _mode(mode: Mode | str) -> Mode:
    return mode_from_text(mode) if isinstance(mode, str) else mode


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        if thread is threading.current_thread():
            continue  # a handler that switches the mode
        thread.join(SECONDS)
        if thread.is_alive():
            message = "a thread of the sink does not end"
            raise RuntimeError(message)


def main(arguments: list[str] | None = None) -> None:
    """Run a sink until standard input ends; each line of it is the next mode."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sink")
    parser.add_argument("--mode", default="ok")
    parser.add_argument("--tls", default=None)
    options = parser.parse_args(arguments)
    with Sink(options.mode, tls=options.tls) as sink:
        print(json.dumps({"url": sink.url, "ca_file": sink.ca_file}), flush=True)
        for line in sys.stdin:
            sink.mode = line.strip()
            print(json.dumps({"requests": len(sink.requests)}), flush=True)


if __name__ == "__main__":
    main()
