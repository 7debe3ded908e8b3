"""The one small HTTP/1.1 server that pull exporters share.

One daemon thread, non-blocking sockets, one selector. Everything that a stranger can
hold open has a place out of a fixed number and a deadline, and the thread sleeps until
a byte or a deadline comes. It shares nothing with recording paths.

A connection is in one of four states:

    SHAKING ──> READING ──> WRITING ──> READING (kept alive) or DRAINING ──> closed

SHAKING, READING and DRAINING wait for the client and may be evicted; WRITING may not.
"""

import errno
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from enum import Enum
from time import monotonic, sleep
from typing import TYPE_CHECKING

from obs.errors import DefinitionError, shown
from obs_exporters._http_request import (
    Gate,
    Handler,
    HttpLimits,
    Request,
    RequestError,
    RequestParser,
    Response,
    encode,
    refusal,
)

if TYPE_CHECKING:
    import ssl

__all__ = ["Handler", "HttpLimits", "HttpServer", "Request", "Response", "ignore"]

BACKLOG = 128
SEND_BYTES = 256 * 1024
"""Handed to the kernel at a time, so that one fast reader does not hold the thread."""
DRAIN_BYTES = 256 * 1024
"""Read and thrown away of what comes after the last answer, at most."""
_RESET = struct.pack("ii", 1, 0)
_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


def ignore(reason: str, text: str) -> None:
    """Do nothing with what a server says."""


class HttpServer:
    """A bounded HTTP server on a thread of its own; constructing it opens nothing.

    Args:
        host: Address or name to listen on; never empty.
        port: 0 to 65535; 0 lets the system choose.
        handler: Gives the answer to a request, on the server's thread: one at a time,
            and nobody else is answered meanwhile. What it raises becomes a plain 500.
        name: The thread's name.
        tls: A server context; None speaks plain HTTP.
        token: Bearer token that each request must carry.
        basic_auth: User name and password that each request must carry.
        allowed_hosts: Names that the Host header may have, besides loopback names when
            bound to a loopback address; see ``Gate``.
        on_error: Called with a reason (``"handler"``, ``"accept"``, ``"tls"``,
            ``"http_server"``) and a text, on the server's thread; may be often.
        limits: See ``HttpLimits``.

    Attributes:
        host: As given.
        port: As given; once started, the real one.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``start`` and ``close`` may be called from any, not at the same time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handler: Handler,
        *,
        name: str = "obs-http",
        tls: "ssl.SSLContext | None" = None,
        token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        allowed_hosts: Sequence[str] = (),
        on_error: Callable[[str, str], None] = ignore,
        limits: HttpLimits = HttpLimits(),  # noqa: B008 - immutable
    ) -> None:
        _check(host, port, tls)
        self.host = host
        self.port = port
        self._asked_port = port
        self._handler = handler
        self._name = name
        self._tls = tls
        self._on_error = on_error
        self._limits = limits
        self._gate = Gate(
            token=token, basic_auth=basic_auth, allowed_hosts=allowed_hosts
        )
        self._loop: _Loop | None = None

    @property
    def address(self) -> str:
        """Host and port as they stand in a URL: ``127.0.0.1:9464``, ``[::1]:9464``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def start(self) -> None:
        """Listen, and start the thread.

        A host name is looked up here, which may take as long as the resolver does.

        Raises:
            OSError: The address cannot be listened on, or no thread or descriptor was
                to be had; the text has the address.
            RuntimeError: It is started already.
        """
        if self._loop is not None:
            text = f"http server {self.address!r}: it is started already."
            raise RuntimeError(text)
        self.port = self._asked_port
        try:
            self._loop = self._open()
        except (OSError, ValueError, RuntimeError) as error:
            raise self._cannot_listen(error) from error

    def close(self, timeout: float) -> None:
        """Stop listening, close the connections, wait for the thread to end.

        An answer that is on its way is cut. Where the handler outlasts the timeout, the
        port is free all the same; descriptors and thread go when the handler returns.
        In a forked child it is ``forget``. Calling it again does no harm.

        Args:
            timeout: Seconds to wait for the thread.
        """
        loop = self._loop
        if loop is None:
            return
        if loop.pid != os.getpid():
            self.forget()
            return
        is_first = loop.stop()
        if loop.thread is threading.current_thread():
            return
        if loop.running.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX)):
            loop.running.release()
            self._loop = None
            if is_first:
                loop.thread.join(1.0)  # nothing but its last few instructions is left

    def forget(self) -> None:
        """Close what a forked child inherited, and leave the parent's server alone.

        For the child alone. Takes no lock, sends nothing, touches no thread. A
        connection that the parent was accepting at the moment of the fork stays open
        in the child, unseen by the parent and its client.
        """
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.forget()

    def _open(self) -> "_Loop":
        with ExitStack() as opened:
            listener = opened.enter_context(_listen(self.host, self._asked_port))
            address, self.port = listener.getsockname()[:2]
            self._gate.bound_to(address)
            ends = socket.socketpair()
            for end in ends:
                opened.enter_context(end)
            selector = opened.enter_context(selectors.DefaultSelector())
            loop = _Loop(self, listener, ends, selector)
            loop.thread.start()
            opened.pop_all()
        return loop

    def _cannot_listen(self, error: Exception) -> OSError:
        number = error.errno if isinstance(error, OSError) else None
        reason: object = error
        if number is not None and number > 0:  # failed look-ups have others
            reason = os.strerror(number)
        text = (
            f"http server {self.address!r}: cannot listen: {reason}. Give a host of "
            "this machine and a port that is free."
        )
        return OSError(text) if number is None else OSError(number, text)

    def _answer(self, request: Request, *, keep: bool) -> bytes:
        """Give the bytes of the answer, whatever the handler does."""
        head_only = request.method == "HEAD"
        version = request.version
        try:
            response = self._gate.refuse(request) or self._handler(request)
            return encode(response, keep=keep, head_only=head_only, version=version)
        except BaseException as error:  # noqa: BLE001 - SystemExit would end the thread
            self._say("handler", "answered 500, for the handler raised", error)
            return encode(refusal(500), keep=keep, head_only=head_only, version=version)

    def _say(self, reason: str, text: str, error: BaseException | None = None) -> None:
        # A foreign exception's repr may raise anything, as may the callback.
        with suppress(BaseException):
            cause = "" if error is None else f" {shown(error)}"
            self._on_error(reason, f"http server {self.address!r}: {text}{cause}.")


class _State(Enum):
    SHAKING = "TLS handshake"
    READING = "waiting for a complete request"
    WRITING = "being answered"
    DRAINING = "answered for the last time"


class _Connection:
    """One client: the socket, what came and what goes out."""

    __slots__ = (
        "deadline", "discarded", "events", "is_idle", "keep", "output", "parser",
        "since", "sock", "state", "tls",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, limits: HttpLimits) -> None:
        self.sock = sock
        self.tls: ssl.SSLSocket | None = None
        self.state = _State.READING
        self.parser = RequestParser(limits)
        self.since = monotonic()
        self.deadline = self.since + limits.header_seconds
        self.events = _READ
        self.output = memoryview(b"")
        self.is_idle = self.keep = False
        self.discarded = 0

    @property
    def has_more(self) -> bool:
        """Whether bytes are here that the selector knows nothing about."""
        if not self.parser.is_empty:
            return True
        return self.tls is not None and self.tls.pending() > 0


class _Loop:
    """What the thread runs; all of it but ``stop`` and ``forget`` is the thread's."""

    def __init__(
        self,
        server: HttpServer,
        listener: socket.socket,
        ends: tuple[socket.socket, socket.socket],
        selector: selectors.BaseSelector,
    ) -> None:
        self.pid = os.getpid()
        self.thread = threading.Thread(target=self.run, name=server._name, daemon=True)
        # Held while it runs. Several closers may wait for a lock; several joins at once
        # may fail an assertion (CPython 3.11, Thread._stop).
        self.running = threading.Lock()
        self.running.acquire()
        self._answer = server._answer
        self._say = server._say
        self._limits = server._limits
        self._tls = server._tls
        self._wants_read: tuple[type[OSError], ...] = ()
        self._wants_write: tuple[type[OSError], ...] = ()
        if self._tls is not None:
            # Whoever made the context has it loaded; others need not pay for it.
            import ssl  # noqa: PLC0415

            self._wants_read = (ssl.SSLWantReadError,)
            self._wants_write = (ssl.SSLWantWriteError,)
        self._listener = listener
        self._wake_in, self._wake_out = ends
        self._selector = selector
        self._connections: set[_Connection] = set()
        self._more: list[_Connection] = []
        self._accept_at: float | None = None
        self._stopping = self._stopped = False
        self._stop_once = [True]
        for sock in (listener, *ends):
            sock.setblocking(False)
        for sock in (listener, self._wake_in):
            selector.register(sock, _READ)

    def stop(self) -> bool:
        """Free the port and have the thread end; from any thread, any number of times.

        The thread closes nothing before the byte has arrived, so no descriptor used
        here can have become another file's.

        Returns:
            Whether this was the first time.
        """
        self._stopping = True
        try:
            self._stop_once.pop()
        except IndexError:
            return False
        try:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        finally:
            with suppress(OSError):
                self._wake_out.send(b"\0")
        return True

    def forget(self) -> None:
        """Close the descriptors in a forked child, by number.

        Nothing is shut down or unregistered: sockets and epoll set are the parent's as
        well. TLS objects stay as they are: to free one, OpenSSL may take a lock that a
        thread of the parent held.
        """
        self._stopped = True
        own = (self._listener, self._wake_in, self._wake_out)
        for sock in (*own, *(connection.sock for connection in self._connections)):
            with suppress(OSError):
                os.close(sock.detach())
        with suppress(OSError):
            self._selector.close()

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self._stopped:
                try:
                    self._tick()
                except BaseException as error:  # noqa: BLE001 - the thread must live
                    self._say("http_server", "its loop raised", error)
                    sleep(self._limits.accept_pause_seconds)
        finally:
            self._release()
            self.running.release()

    def _tick(self) -> None:
        ready, someone_knocks = self._wait()
        now = monotonic()
        if self._stopped:
            return
        # What has come is looked at before deadlines and before newcomers, so that a
        # slow handler lets nobody expire or be evicted whose request is here already.
        for connection in ready:
            if connection in self._connections:
                self._advance(connection)
        for connection in list(self._connections):
            if connection.deadline <= now:
                self._drop(connection, reset=connection.state is _State.WRITING)
        if someone_knocks:
            self._accept()
        elif self._accept_at is not None and self._accept_at <= now:
            self._accept_at = None
            self._selector.register(self._listener, _READ)

    def _wait(self) -> tuple[list[_Connection], bool]:
        """Sleep; give the connections that can go on, and whether to accept."""
        events = self._selector.select(self._timeout())
        ready, self._more = self._more, []
        someone_knocks = False
        for key, _ in events:
            if key.fileobj is self._wake_in:
                self._stopped = True
            elif key.fileobj is self._listener:
                someone_knocks = True
            elif key.data not in ready:
                ready.append(key.data)
        return ready, someone_knocks

    def _timeout(self) -> float | None:
        if self._more:
            return 0.0
        deadlines = [connection.deadline for connection in self._connections]
        if self._accept_at is not None:
            deadlines.append(self._accept_at)
        return max(0.0, min(deadlines) - monotonic()) if deadlines else None

    def _accept(self) -> None:
        # When all places are taken, one newcomer a tick: each eviction comes after a
        # look at what the connections have sent.
        free = self._limits.connections - len(self._connections)
        for _ in range(max(1, free)):
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._pause(error)
                return
            self._admit(sock)

    def _pause(self, error: OSError) -> None:
        """Leave newcomers waiting for a while: trying at once would burn the CPU."""
        self._selector.unregister(self._listener)
        if not self._stopping:
            seconds = self._limits.accept_pause_seconds
            self._accept_at = monotonic() + seconds
            self._say("accept", f"accept failed: {error.strerror}; waiting {seconds} s")

    def _admit(self, sock: socket.socket) -> None:
        full = len(self._connections) >= self._limits.connections
        if full and not self._evict():
            sock.close()
            return
        connection = _Connection(sock, self._limits)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock.getpeername()  # wrap_socket would leak one that is gone
                connection.tls = connection.sock = self._tls.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
                connection.state = _State.SHAKING
            self._selector.register(connection.sock, _READ, connection)
        except BaseException as error:
            connection.sock.close()
            sock.close()
            if isinstance(error, OSError):  # the client has gone already
                return
            raise
        self._connections.add(connection)
        self._advance(connection)

    def _evict(self) -> bool:
        waiting = [c for c in self._connections if c.state is not _State.WRITING]
        if not waiting:
            return False
        self._drop(min(waiting, key=lambda connection: connection.since))
        return True

    def _advance(self, connection: _Connection) -> None:
        """Go on with a connection until its client has to do something."""
        try:
            if connection.state is _State.SHAKING:
                self._shake(connection)
            if connection.state is _State.READING:
                self._read(connection)
            elif connection.state is _State.WRITING:
                self._write(connection)
            else:
                self._drain(connection)
        except BlockingIOError:
            writing = connection.state is _State.WRITING
            self._watch(connection, _WRITE if writing else _READ)
        except self._wants_read:
            self._watch(connection, _READ)
        except self._wants_write:
            self._watch(connection, _WRITE)
        except OSError:
            self._drop(connection)
        except BaseException as error:  # noqa: BLE001 - the others must be served
            self._drop(connection)
            self._say("http_server", "a connection raised", error)

    def _shake(self, connection: _Connection) -> None:
        assert connection.tls is not None
        try:
            connection.tls.do_handshake()
        except (*self._wants_read, *self._wants_write):
            raise
        except OSError as error:
            # A certificate that nobody accepts shows here alone. Clients that only go
            # away (port checks) are not worth a line.
            reason = getattr(error, "reason", None)
            if reason is not None and "EOF" not in reason:
                self._say("tls", f"a TLS handshake failed: {reason}")
            raise
        connection.state = _State.READING

    def _read(self, connection: _Connection) -> None:
        parser = connection.parser
        try:
            while (request := parser.next_request()) is None:
                data = connection.sock.recv(parser.room)
                if not data:
                    self._drop(connection)
                    return
                if connection.is_idle:
                    connection.is_idle = False
                    connection.deadline = monotonic() + self._limits.header_seconds
                parser.feed(data)
        except RequestError as error:
            self._turn(connection, _State.WRITING, self._limits.answer_seconds)
            connection.keep = False
            answer = refusal(error.status)
            output = encode(answer, keep=False, head_only=error.head_only)
        else:
            self._turn(connection, _State.WRITING, self._limits.answer_seconds)
            connection.keep = request.keep_alive
            output = self._answer(request, keep=connection.keep)
        connection.output = memoryview(output)
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        sent = connection.sock.send(connection.output[:SEND_BYTES])
        connection.output = connection.output[sent:]
        if connection.output:
            self._watch(connection, _WRITE)
        elif not connection.keep:
            self._finish(connection)
        elif connection.has_more:
            # The next of several pipelined requests waits for its turn.
            self._turn(connection, _State.READING, self._limits.header_seconds)
            self._more.append(connection)
        else:
            self._turn(connection, _State.READING, self._limits.idle_seconds)
            connection.is_idle = True
            self._watch(connection, _READ)

    def _finish(self, connection: _Connection) -> None:
        self._turn(connection, _State.DRAINING, self._limits.linger_seconds)
        if connection.tls is not None:
            # Sends the end of the TLS stream; the client's own is not waited for.
            with suppress(OSError, ValueError):
                connection.tls.unwrap()
        connection.sock.shutdown(socket.SHUT_WR)
        self._watch(connection, _READ)

    def _drain(self, connection: _Connection) -> None:
        size = len(connection.sock.recv(DRAIN_BYTES))
        connection.discarded += size
        if size == 0 or connection.discarded > DRAIN_BYTES:
            self._drop(connection)

    def _turn(self, connection: _Connection, state: _State, seconds: float) -> None:
        connection.state = state
        connection.since = monotonic()
        connection.deadline = connection.since + seconds

    def _watch(self, connection: _Connection, events: int) -> None:
        if connection.events != events:
            connection.events = events
            self._selector.modify(connection.sock, events, connection)

    def _drop(self, connection: _Connection, *, reset: bool = False) -> None:
        self._connections.discard(connection)
        sock = connection.sock
        # A forked child may still hold the descriptor: without these two the selector
        # would go on reporting it, and the client would not see the end.
        with suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        with suppress(OSError):
            if reset:
                # Else the kernel keeps the unsent rest, for minutes.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def _release(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        for sock in (self._listener, self._wake_in, self._wake_out):
            sock.close()


def _check(host: str, port: int, tls: "ssl.SSLContext | None") -> None:
    if not host:
        text = (
            "http server: host is empty. Give an address; '127.0.0.1' serves this "
            "machine alone, '0.0.0.0' everybody."
        )
        raise DefinitionError(text)
    if type(port) is not int or not 0 <= port <= 65535:
        text = f"http server: port got {shown(port)}, needs an integer from 0 to 65535."
        raise DefinitionError(text)
    if tls is not None and tls.protocol.name == "PROTOCOL_TLS_CLIENT":
        text = (
            "http server: tls got a client's context, which cannot serve. Make it "
            "with ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)."
        )
        raise DefinitionError(text)


def _listen(host: str, port: int) -> socket.socket:
    """Listen on the first address of the host that this machine has."""
    failure: OSError | None = None
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, _, _, _, address in found:
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        try:
            return socket.create_server(
                address, family=family, backlog=BACKLOG, dualstack_ipv6=both
            )
        except OSError as error:
            # 'localhost' may name ::1 first where there is no IPv6; a port that is
            # taken, though, must not move the server to another address in silence.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            failure = error
    raise failure or OSError(errno.EADDRNOTAVAIL, "the name has no address")
