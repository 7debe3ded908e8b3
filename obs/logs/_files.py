"""Where lines go that do not go to a descriptor we were given: files, file objects."""

import io
import os
from time import monotonic
from typing import Any

_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    # No open waits for the reader of a pipe, and no terminal becomes ours.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
_MODE = 0o640
_LOOK_EVERY = 1.0


class LogFile:
    """A path, and the descriptor that leads to it.

    About once a second it looks whether the path still leads to the open file. Where that
    was moved or deleted, the descriptor leads to a new one from then on; its number stays,
    so that a write on another thread goes to the one or the other.

    Threads: any.

    Args:
        path: Where.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._look_at = 0.0
        self._error: OSError | None = None
        self._is_stale = False

    def reopen(self) -> None:
        """Have it opened anew before the next line."""
        self._is_stale = True
        self._look_at = 0.0

    def make_ready(self) -> int:
        """Open it, or open it anew, where that is due, and give the descriptor.

        Raises:
            OSError: It cannot be opened; it is tried again a second later.
        """
        now = monotonic()
        if now >= self._look_at:
            try:
                self._open()
            except OSError as error:
                self._error = error
            else:
                self._error = None
            self._look_at = now + _LOOK_EVERY
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._fd

    def _open(self) -> None:
        if self._fd >= 0 and not self._is_stale and self._is_in_place():
            return
        self._is_stale = False
        fresh = os.open(self.path, _FLAGS, _MODE)
        if self._fd < 0:
            self._fd = fresh
            return
        try:  # also where another thread was faster
            os.dup2(fresh, self._fd, inheritable=False)
        finally:
            os.close(fresh)

    def close(self) -> None:
        """Close it; ``make_ready`` opens it again."""
        fd, self._fd = self._fd, -1
        self.reopen()
        if fd >= 0:
            os.close(fd)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # rights were given up since: the descriptor still works


def cannot_open(path: str, error: OSError) -> str:
    """Say why a file cannot be opened, and what to do."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        return f"cannot open {path!r}: there is no directory {folder!r}. Make it."
    return f"cannot open {path!r}: {error.strerror}."


def write_stream(stream: Any, line: bytes) -> None:
    """Write a line to a file object of text or bytes, and flush it.

    Raises:
        Exception: What the stream raises.
    """
    if _is_binary(stream):
        rest = memoryview(line)
        while rest:
            count = stream.write(rest)
            if count is None and isinstance(stream, io.RawIOBase):
                raise BlockingIOError
            rest = rest[count:] if isinstance(count, int) else rest[:0]
    else:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = line.decode("utf-8", "backslashreplace")
        # What the stream's encoding does not have is better escaped than lost.
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def _is_binary(stream: Any) -> bool:
    if isinstance(stream, io.RawIOBase | io.BufferedIOBase):
        return True
    mode = getattr(stream, "mode", "")
    return (
        isinstance(mode, str) and "b" in mode and not isinstance(stream, io.TextIOBase)
    )
