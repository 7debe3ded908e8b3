"""The loop of the pull server: one thread, non-blocking sockets, one selector.

A connection is in one of four states:

    SHAKING ──> READING ──> WRITING ──> READING (kept alive) or DRAINING ──> closed

A newcomer always gets in: when all places are taken, ``stalest_first`` says whose it gets.
"""

import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from time import monotonic, sleep
from typing import TYPE_CHECKING

from obs_exporters._http_request import (
    HttpLimits,
    RequestError,
    RequestParser,
    encode,
    refusal,
)

if TYPE_CHECKING:
    import ssl


SEND_BYTES = 256 * 1024
"""Handed to the kernel at a time, so that one fast reader does not hold the thread."""
DRAIN_BYTES = 256 * 1024
"""Read and thrown away of what comes after the last answer, at most."""
_RESET = struct.pack("ii", 1, 0)
_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


class State(Enum):
    SHAKING = "TLS handshake"
    READING = "waiting for a complete request"
    WRITING = "being answered"
    DRAINING = "answered for the last time"


class Connection:
    """One client: the socket, what came and what goes out.

    Attributes:
        since: When it last got on: connected, had a request answered, or, while it is
            being answered, took bytes of its answer. Parts of a request do not count.
    """

    __slots__ = (
        "deadline", "discarded", "events", "is_idle", "keep", "output", "parser",
        "since", "sock", "state", "tls",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, limits: HttpLimits) -> None:
        self.sock = sock
        self.tls: ssl.SSLSocket | None = None
        self.state = State.READING
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


def stalest_first(
    connections: Iterable[Connection], burst_seconds: float
) -> list[Connection]:
    """Give the connections in the order in which they are to make room.

    Who has gone longest without getting on comes first. Where that is less than
    ``burst_seconds``, many come at once, and the kind there is more of comes first: else
    a crowd that only connects would push out who reads an answer, and a crowd that asks
    and does not read would push out who has yet to send a request.
    """
    order = sorted(connections, key=lambda connection: connection.since)
    if order[0].since <= monotonic() - burst_seconds:
        return order
    waiting = [c for c in order if c.state is not State.WRITING]
    writing = [c for c in order if c.state is State.WRITING]
    return writing + waiting if len(writing) > len(waiting) else waiting + writing


class Loop:
    """What the thread runs; all of it but ``stop`` and ``forget`` is the thread's.

    Args:
        name: The thread's name.
        answer: Gives the bytes of the answer to a request; never raises.
        say: Takes a reason, a text and an exception or None; never raises.
        limits: See ``HttpLimits``.
        tls: A server context; None speaks plain HTTP.
        listener: A listening socket.
        ends: A pair of sockets by which ``stop`` wakes the thread.
        selector: An empty one.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[..., bytes],
        say: Callable[..., None],
        limits: HttpLimits,
        tls: "ssl.SSLContext | None",
        listener: socket.socket,
        ends: tuple[socket.socket, socket.socket],
        selector: selectors.BaseSelector,
    ) -> None:
        self.pid = os.getpid()
        self.thread = threading.Thread(target=self.run, name=name, daemon=True)
        # Held while it runs. Several closers may wait for a lock; several joins at once
        # may fail an assertion (CPython 3.11, Thread._stop).
        self.running = threading.Lock()
        self.running.acquire()
        self._answer = answer
        self._say = say
        self._limits = limits
        self._tls = tls
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
        self._connections: set[Connection] = set()
        self._more: list[Connection] = []
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
                except BaseException as error:  # noqa: BLE001 - nobody else would accept connections
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
                self._drop(connection)
        if someone_knocks:
            self._accept()
        elif self._accept_at is not None and self._accept_at <= now:
            self._accept_at = None
            self._selector.register(self._listener, _READ)

    def _wait(self) -> tuple[list[Connection], bool]:
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
        if len(self._connections) >= self._limits.connections:
            self._evict()
        connection = Connection(sock, self._limits)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock.getpeername()  # wrap_socket would leak one that is gone
                connection.tls = connection.sock = self._tls.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
                connection.state = State.SHAKING
            self._selector.register(connection.sock, _READ, connection)
        except BaseException as error:
            connection.sock.close()
            sock.close()
            if isinstance(error, OSError):  # the client has gone already
                return
            raise
        self._connections.add(connection)
        self._advance(connection)

    def _evict(self) -> None:
        order = stalest_first(self._connections, self._limits.burst_seconds)
        # The thread may have been in handlers for long since it last looked. Only who is
        # ready is tried: a buffer that is not may still take a few bytes of an answer.
        ready = [key.data for key, _ in self._selector.select(0)]
        for connection in order:
            since = connection.since
            if connection in ready:
                self._advance(connection)
            if connection not in self._connections:
                return
            if connection.since == since:
                break
        else:
            connection = order[0]
        self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Go on with a connection until its client has to do something."""
        try:
            if connection.state is State.SHAKING:
                self._shake(connection)
            if connection.state is State.READING:
                self._read(connection)
            elif connection.state is State.WRITING:
                self._write(connection)
            else:
                self._drain(connection)
        except BlockingIOError:
            writing = connection.state is State.WRITING
            self._watch(connection, _WRITE if writing else _READ)
        except self._wants_read:
            self._watch(connection, _READ)
        except self._wants_write:
            self._watch(connection, _WRITE)
        except OSError:
            self._drop(connection)
        except BaseException as error:  # noqa: BLE001 - one connection must not end the others
            self._drop(connection)
            self._say("http_server", "a connection raised", error)

    def _shake(self, connection: Connection) -> None:
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
        connection.state = State.READING

    def _read(self, connection: Connection) -> None:
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
            self._turn(connection, State.WRITING, self._limits.answer_seconds)
            connection.keep = False
            answer = refusal(error.status)
            output = encode(answer, keep=False, head_only=error.head_only)
        else:
            self._turn(connection, State.WRITING, self._limits.answer_seconds)
            connection.keep = request.keep_alive
            output = self._answer(request, keep=connection.keep)
        connection.output = memoryview(output)
        self._write(connection)

    def _write(self, connection: Connection) -> None:
        sent = connection.sock.send(connection.output[:SEND_BYTES])
        connection.output = connection.output[sent:]
        connection.since = monotonic()
        if connection.output:
            self._watch(connection, _WRITE)
        elif not connection.keep:
            self._finish(connection)
        elif connection.has_more:
            # The next of several pipelined requests waits for its turn.
            self._turn(connection, State.READING, self._limits.header_seconds)
            self._more.append(connection)
        else:
            self._turn(connection, State.READING, self._limits.idle_seconds)
            connection.is_idle = True
            self._watch(connection, _READ)

    def _finish(self, connection: Connection) -> None:
        self._turn(connection, State.DRAINING, self._limits.linger_seconds)
        if connection.tls is not None:
            # Sends the end of the TLS stream; the client's own is not waited for.
            with suppress(OSError, ValueError):
                connection.tls.unwrap()
        connection.sock.shutdown(socket.SHUT_WR)
        self._watch(connection, _READ)

    def _drain(self, connection: Connection) -> None:
        size = len(connection.sock.recv(DRAIN_BYTES))
        connection.discarded += size
        if size == 0 or connection.discarded > DRAIN_BYTES:
            self._drop(connection)

    def _turn(self, connection: Connection, state: State, seconds: float) -> None:
        connection.state = state
        connection.since = monotonic()
        connection.deadline = connection.since + seconds

    def _watch(self, connection: Connection, events: int) -> None:
        if connection.events != events:
            connection.events = events
            self._selector.modify(connection.sock, events, connection)

    def _drop(self, connection: Connection) -> None:
        self._connections.discard(connection)
        sock = connection.sock
        # A forked child may still hold the descriptor: without these two the selector
        # would go on reporting it, and the client would not see the end.
        with suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        with suppress(OSError):
            if connection.state is State.WRITING:
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
