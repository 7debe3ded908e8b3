"""A file that grows by whole lines, is rotated, and may be moved away by others."""

import errno
import os
import select
from contextlib import suppress
from stat import S_ISREG
from time import monotonic, sleep, time

_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    # No open and no write waits for the reader of a pipe, and no terminal becomes ours.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)

_CLAIM_SECONDS = 0.05
"""How long to wait for another process that is moving the file; it may be stopped."""

_MOST_SECONDS = 60.0
"""Of one wait: a deadline may be infinite, which ``poll`` does not take."""


class LineFile:
    """A file to which lines are added, opened when the first is.

    Before each write it looks whether the path still leads to the open file; if it was
    moved or deleted, by ``logrotate`` or by another process that rotates it, the lines go
    into a new one. Several processes may write to one path.

    Threads: one at a time; ``reopen`` from any, and from signal handlers.

    Args:
        path: Where; made with mode 0600 if it is not there.
        rotate_bytes: How large a file may grow; None: without end.
        rotate_seconds: How much time a file covers: the windows that begin at multiples of
            it since the epoch; None: without end.
        keep: How many rotated files stay, ``path.1`` being the newest.
    """

    def __init__(
        self,
        path: str,
        rotate_bytes: int | None,
        rotate_seconds: float | None,
        keep: int,
    ) -> None:
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._rotate_seconds = rotate_seconds
        self._keep = keep
        self._descriptor: int | None = None
        self._status: os.stat_result | None = None
        self._is_stale = False
        self._is_torn = False
        self._body = b""
        self._written = 0

    def reopen(self) -> None:
        """Have the file opened anew before the next write."""
        self._is_stale = True

    def write(self, body: bytes, deadline: float) -> None:
        """Add lines.

        Args:
            body: Lines, the last with its newline, too.
            deadline: Until when to wait for the reader of a pipe, by ``time.monotonic()``.

        Raises:
            OSError: Not all were written. If the same object is given next, that goes on
                behind the last whole line.
        """
        if body is not self._body:
            self._body, self._written = body, 0
        try:
            while self._written < len(body):
                self._make_ready()
                first = body.find(b"\n", self._written) + 1 or len(body)
                is_due = self._is_due(first - self._written)
                if is_due and not self._rotate(deadline):
                    self._append(body, len(body), deadline)
                else:
                    self._append(body, self._last(body, first), deadline)
        except BlockingIOError:
            raise  # its reader is slow; closing it would tell him that this is the end
        except OSError:
            self.close()  # it may be broken for good; opening it anew costs little
            raise
        self._body = b""

    @property
    def has_part(self) -> bool:
        """Whether lines of the body that failed were written."""
        return bool(self._body) and (self._written > 0 or self._is_torn)

    def close(self) -> None:
        """Close it; the next write opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and _same(self._status, _status_of(descriptor)):
            os.close(descriptor)

    def forget(self) -> None:
        """Leave what is of the parent of this process: its file, its unfinished line."""
        self.close()
        self._body, self._written, self._is_torn = b"", 0, False

    def _make_ready(self) -> None:
        if self._is_stale or not self._is_in_place():
            self._is_stale = False
            self.close()
            self._open()

    def _is_in_place(self) -> bool:
        """Whether the descriptor is still ours, and the path still leads to its file."""
        if self._descriptor is None:
            return False
        here = _status_of(self._descriptor)
        if here is None or not _same(self._status, here):
            return False  # the host has closed it: the number may be anybody's
        self._status = here
        try:
            return _same(here, os.stat(self.path))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # rights were given up since: the descriptor still works

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _FLAGS, 0o600)
        self._status = os.fstat(self._descriptor)
        if S_ISREG(self._status.st_mode):
            # Somebody who was killed may have left half a line.
            self._is_torn = self._status.st_size > 0 and not _ends_line(self.path)

    def _is_due(self, size: int) -> bool:
        """Whether to rotate before a line of this size is added."""
        status = self._status
        if status is None or not status.st_size or not S_ISREG(status.st_mode):
            return False
        if (
            self._rotate_bytes is not None
            and status.st_size + size > self._rotate_bytes
        ):
            return True
        length = self._rotate_seconds
        return length is not None and status.st_mtime // length != time() // length

    def _rotate(self, deadline: float) -> bool:
        """Begin a new file; False where another process does not get done with it."""
        if not self._claim(min(deadline, monotonic() + _CLAIM_SECONDS)):
            return False
        if not self._is_in_place():  # another process was faster
            self._make_ready()
            return True
        for number in range(self._keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")
        self.close()  # and with it the claim
        self._open()
        return True

    def _claim(self, deadline: float) -> bool:
        """Lock the file that is to be moved; False while another process does it."""
        import fcntl  # noqa: PLC0415 - not on every platform

        while True:
            try:
                fcntl.flock(self._descriptor or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if monotonic() >= deadline:
                    return False
                sleep(0.001)
            except OSError:
                return True  # a file system without locks
            else:
                return True

    def _last(self, body: bytes, first: int) -> int:
        """Give where the lines end that this file has room for; the first goes anyhow."""
        status = self._status
        if self._rotate_bytes is None or status is None or not S_ISREG(status.st_mode):
            return len(body)
        room = max(self._rotate_bytes - status.st_size, 0)
        return max(first, body.rfind(b"\n", self._written, self._written + room) + 1)

    def _append(self, body: bytes, end: int, deadline: float) -> None:
        if self._is_torn:
            self._put(b"\n", deadline)
            self._is_torn = False
        rest = memoryview(body)
        at = self._written
        while at < end:
            at += self._put(rest[at:end], deadline)
            self._is_torn = body[at - 1 : at] != b"\n"
            self._written = body.rfind(b"\n", self._written, at) + 1 or self._written
        self._written = end

    def _put(self, data: bytes | memoryview, deadline: float) -> int:
        """Write some of it, and give how much."""
        descriptor = self._descriptor
        if descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        while True:
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                left = deadline - monotonic()
                if left <= 0:
                    raise
                poll = select.poll()
                poll.register(descriptor, select.POLLOUT)
                poll.poll(min(left, _MOST_SECONDS) * 1000)


def _status_of(descriptor: int) -> os.stat_result | None:
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)


def _ends_line(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:  # we may write, but not read
        return True
