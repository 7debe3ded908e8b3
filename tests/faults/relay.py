"""A port that leads to another, until it misbehaves: faults below a protocol of its own."""

import select
import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from tests.faults.sink import bound

_PART = 64 * 1024


class Relay:
    """Passes bytes on in a block, or does not.

    ``mode`` holds for what comes next: ``ok``; ``refuse``, the port is closed and with it
    every connection; ``never_read``, nothing is read any more, on old connections too,
    for ever; ``reset``, RST at the first byte.

    Args:
        port: Where it leads to, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self._mode = "ok"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._doomed: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = bound()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = "refuse"
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        was, self._mode = self._mode, mode
        if mode == "refuse" and was != "refuse":
            self._listener.shutdown(socket.SHUT_RDWR)  # bound, no longer listening
            self.cut()
        elif was == "refuse":
            self._listen()

    def cut(self, *, reset: bool = False) -> None:
        """End all connections, with a RST if wanted."""
        with self._lock:
            for near in self._open:
                with suppress(OSError):
                    if reset:
                        _will_reset(near)
                        self._doomed.add(near)
                    near.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def _listen(self) -> None:
        self._listener.listen(64)
        self._start(self._accept)

    def _start(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, name="relay")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(near)
            self._start(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._behind))
        try:
            with near, far, suppress(OSError):
                self._pass_on(near, far)
        finally:
            with self._lock:
                self._open.discard(near)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        ends = {near: far, far: near}
        while True:
            ready, _, _ = select.select([near, far], [], [])
            if self.mode == "never_read":
                poll = select.poll()
                poll.register(near, select.POLLRDHUP)
                poll.poll()
                return
            for source in ready:
                data = source.recv(_PART)
                if data and self.mode == "reset":
                    _will_reset(near)
                    return
                if not data or near in self._doomed:
                    return
                ends[source].sendall(data)


def _will_reset(near: socket.socket) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
