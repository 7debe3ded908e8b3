"""Where the lines of logs go: one ``os.write`` for each, and what that does not settle."""

import os
import sys
from collections import deque
from contextlib import suppress
from time import monotonic, sleep
from typing import IO, Any

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.errors import shown
from obs.logs._claim import Claim
from obs.logs._files import LogFile, cannot_open, write_stream
from obs.logs._kernel import at_once, descriptor_of, duplicated, has_room, pages, poll

MOST_WAITING = 256
MOST_WAITING_BYTES = 1024 * 1024
WAIT = 0.1
"""Seconds of each second that callers may wait for a reader that takes nothing."""
WAIT_EVERY = 1.0
_STANDARD = {"stdout": 1, "stderr": 2}
Target = str | os.PathLike[str] | int | IO[str] | IO[bytes]


class Descriptor:
    """Takes whole lines to a descriptor, a file or a file object.

    A line goes out by one ``os.write``. The kernel keeps lines apart, but for two cases:
    one longer than ``PIPE_BUF`` into a pipe or socket, and one that was taken in part. Such
    a line is written by one caller at a time, who claims the descriptor meanwhile. Others
    do not wait for the claim: their lines wait in a queue, which the holder empties before
    it lets go. What does not fit there is dropped and counted as ``queue_full``.

    Where the reader of a non-blocking descriptor takes nothing, callers wait for it up to
    0.1 s of each second, all together; then lines are kept, then dropped. A blocking
    descriptor blocks, as ``print`` does.

    "stderr" and "stdout" are the descriptors 2 and 1. Where ``sys.stderr`` was put in
    another's place when this is opened (in Jupyter, under pytest) lines go to whatever
    ``sys.stderr`` is at each line. The descriptor of a plain file object is duplicated: it
    stays open when the object is closed. One without gets ``write`` and ``flush``, as does
    one that does not write to its descriptor what it was given: ``gzip.open``, UTF-16.

    A file is opened for appending at the first line, with mode 0640. About once a second
    a line looks whether the path still leads there; after ``logrotate`` has moved it lines
    go into a new one. Up to a second of lines goes into the old one before that: call
    ``reopen`` from ``postrotate`` if it is deleted at once.

    Threads: any, at any moment, in signal handlers and collector callbacks, too; takes no
    lock. A forked child writes to the same descriptor and starts with nothing waiting.

    Args:
        target: "stderr", "stdout", a path, a descriptor or a file object; a good one, as
            ``Route`` has checked.
        diag: Counts what is lost, and says why.
        name: What losses are counted for.

    Attributes:
        name: The name.
        fd: The descriptor; -1 where there is none, or none yet.
        most: A line of so many bytes or fewer may be written by a plain ``os.write(fd,
            line)`` at this moment: give ``rest`` what that left, and ``write`` the line
            where it raises ``OSError``. 0 where lines have to go through ``write``.
    """

    def __init__(self, target: Target, diag: Diag, *, name: str) -> None:
        self.name = name
        self.fd = -1
        self.most = 0
        self._target: Any = target
        self._diag = diag
        self._file: LogFile | None = None
        if isinstance(target, str | os.PathLike) and target not in _STANDARD:
            self._file = LogFile(os.fspath(target))
        self._is_open = False
        self._at_once = self._room = self._pages = 0
        self._is_torn = False
        self._wait_until = self._wait_again = 0.0
        self._claim = Claim()
        self._waiting: deque[tuple[bytes, bool]] = deque()
        on_fork(self)

    def write(self, line: bytes) -> bool:
        """Write a line.

        Args:
            line: With its newline.

        Returns:
            False if it was lost, which is counted. True if the kernel has all of it, or if
            it waits for whoever writes now.
        """
        if not self._is_open or self._file is not None:
            try:
                self._make_ready()
            except OSError as error:
                return self._lost_unopened(error)
        if self.fd < 0:
            return self._write_stream(line)
        if len(line) > self._room:
            return self._write_in_turn(line)
        try:
            count = os.write(self.fd, line)
        except BlockingIOError:
            return self._write_in_turn(line)
        except OSError as error:
            return self._lost(error)
        return count == len(line) or self.rest(line, count)

    def rest(self, line: bytes, count: int) -> bool:
        """Write what is left of a line of which ``os.write`` took ``count`` bytes."""
        self._set_room(0)
        entry = (line[count:], True)
        self._waiting.appendleft(entry)
        return self._empty(entry)

    def reopen(self) -> None:
        """Have a file opened anew before the next line; all else stays as it is.

        Threads: any. It only sets a flag, so a handler of SIGHUP may call it.
        """
        if self._file is not None:
            self._file.reopen()

    def flush(self) -> bool:
        """Write what waits, as far as the reader takes it; give whether all of it went."""
        if self.fd >= 0:
            self._empty()
        return not self._waiting

    def close(self) -> None:
        """Write what waits, count what cannot be, and close what was opened here."""
        self.flush()
        while self._waiting and not self._claim.is_mine() and self._may_wait():
            sleep(0.001)
            self.flush()
        lost = len(self._waiting)
        if lost:
            self._waiting.clear()
            self._diag.dropped("logs", "closed", lost, exporter=self.name)
        try:
            self._close_own()
        except OSError as error:  # who makes a daemon has closed it; a full remote disk
            self._lost(error, "closing")

    def __del__(self) -> None:
        """Close what nobody can write to any more."""
        with suppress(Exception):  # refused by the constructor; the interpreter ends
            self._close_own()

    def _close_own(self) -> None:
        fd = self.fd
        if self._file is not None:
            self._close_soon()
            self._file.close()
        elif fd >= 0 and not isinstance(self._target, int | str):
            self._close_soon()
            os.close(fd)

    def after_fork_in_child(self) -> None:
        """Leave to the parent what waits there; its claim may be that of a gone thread."""
        self._claim = Claim()
        self._waiting = deque()
        self._is_torn = False
        self._set_room(self._at_once)

    def _make_ready(self) -> None:
        file = self._file
        if file is not None:
            fd = file.make_ready()
            if fd == self.fd:
                return
        elif isinstance(self._target, int):
            fd = self._target
        elif isinstance(self._target, str):
            fd = descriptor_of(getattr(sys, self._target))
            # Another number may be closed and be anybody's, as under pytest.
            fd = fd if fd == _STANDARD[self._target] else -1
        else:
            fd = duplicated(self._target)
        if fd >= 0:
            self._pages = pages(fd)
            self._at_once = at_once(fd)
        self.fd = fd
        self._set_room(self._at_once)
        self._is_open = True

    def _close_soon(self) -> None:
        """Take the number away before it may be another's."""
        self._set_room(0)
        self._is_open = False
        self._is_torn = False
        self.fd = -1

    def _set_room(self, size: int) -> None:
        self._room = size
        self.most = 0 if self._file is not None else size

    def _write_in_turn(self, line: bytes) -> bool:
        if not self._has_place(len(line)):
            self._diag.dropped("logs", "queue_full", exporter=self.name)
            text = f"logs {self.name!r}: lines are dropped: the reader is too slow."
            self._diag.say(f"logs {self.name} full", text)
            return False
        entry = (line, False)
        self._waiting.append(entry)
        return self._empty(entry)

    def _has_place(self, size: int) -> bool:
        while not self._fits(size):
            self._empty()
            if self._fits(size):
                break
            if self._claim.is_mine() or not self._may_wait():
                return False
            sleep(0.001)
        return True

    def _fits(self, size: int) -> bool:
        waiting = self._waiting.copy()
        if not waiting:
            return True  # a line of any size, so that it is not lost
        room = MOST_WAITING_BYTES - sum([len(data) for data, _ in waiting])
        return len(waiting) < MOST_WAITING and size <= room

    def _empty(self, mine: tuple[bytes, bool] | None = None) -> bool:
        """Write what waits unless another does; give whether ``mine`` was not lost."""
        is_well = True
        while self._waiting:
            ticket = self._claim.take()
            if ticket is None:
                break  # who holds it looks once more when it has let go
            try:
                self._set_room(0)
                while self._waiting:
                    try:
                        entry = self._waiting.popleft()
                    except IndexError:  # in a child: what waited is the parent's
                        break
                    went = self._try(entry, mine)
                    if went is None:
                        return is_well  # stuck; the next line tries again
                    is_well = is_well and (went or entry is not mine)
                # Before the claim ends: the next holder's room is its own.
                self._set_room(0 if self._is_torn else self._at_once)
            finally:
                del ticket
        return is_well

    def _try(
        self, entry: tuple[bytes, bool], mine: tuple[bytes, bool] | None
    ) -> bool | None:
        """Write an entry; None if it was put back, since the reader takes nothing."""
        data, is_part = entry
        if self._is_torn and not is_part:
            data, is_part = b"\n" + data, True
        self._is_torn = True  # for who comes after an exception between two lines
        try:
            left, error = self._put(data)
        except BaseException:
            if entry is not mine:  # whose caller was told that it is on its way
                self._diag.dropped("logs", "export_failed", exporter=self.name)
            raise
        is_part = is_part or len(left) < len(data)
        self._is_torn = is_part and error is not None
        if error is not None:
            return self._lost(error)
        if left:
            self._waiting.appendleft((left, is_part))
            return None
        self._wait_again = 0.0  # the reader is alive: it may be waited for again
        return True

    def _put(self, data: bytes) -> tuple[bytes, OSError | None]:
        """Write all, waiting for a slow reader; give what is left, and why."""
        if len(data) > self._at_once:
            self._await_room(len(data))
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:
                left = self._may_wait()
                if not left:
                    break
                poll(self.fd, left)
            except OSError as error:
                if is_the_hosts(error):
                    raise
                return bytes(rest), error
        return bytes(rest), None

    def _await_room(self, size: int) -> None:
        """Wait until a pipe can take a line in one piece, within limits.

        The kernel then lets no other writer in between: neither a short line that was
        under way when the claim was taken, nor another process. In an empty pipe, no short
        line waits for room any more.
        """
        while not has_room(self.fd, size, self._pages) and self._may_wait():
            sleep(0.001)

    def _may_wait(self) -> float:
        """Give for how many seconds more callers may wait now."""
        now = monotonic()
        if now >= self._wait_again:
            self._wait_until, self._wait_again = now + WAIT, now + WAIT_EVERY
        return max(self._wait_until - now, 0.0)

    def _write_stream(self, line: bytes) -> bool:
        target = self._target
        stream = getattr(sys, target) if isinstance(target, str) else target
        if stream is None:  # as under pythonw: there is nobody to tell either
            self._diag.dropped("logs", "export_failed", exporter=self.name)
            return False
        try:
            write_stream(stream, line)
        except BaseException as error:
            if is_the_hosts(error):
                raise
            return self._lost(error)
        return True

    def _lost(self, error: BaseException, what: str = "writing") -> bool:
        if is_the_hosts(error):
            raise error
        self._diag.dropped("logs", "export_failed", exporter=self.name)
        why = error.strerror if isinstance(error, OSError) else None
        text = f"logs {self.name!r}: {what} failed: {why or shown(error)}."
        self._diag.say(f"logs {self.name} failed", text)
        return False

    def _lost_unopened(self, error: OSError) -> bool:
        if is_the_hosts(error):
            raise error
        self._diag.dropped("logs", "export_failed", exporter=self.name)
        if self._file is None:
            why = f"cannot duplicate its descriptor: {error.strerror}."
        else:
            why = cannot_open(self._file.path, error)
        text = f"logs {self.name!r}: {why}"
        self._diag.say(f"logs {self.name} failed", text)
        return False
