"""The classes of loggers: one for each name, with the methods that fit its levels."""

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING

from obs._tally import plus_is_exact
from obs.errors import shown
from obs.logs._levels import NUMBERS, OFF, Levels
from obs.logs._logger import ALIASES, Logger, expiring, fused, general, holding, off
from obs.model import Level

if TYPE_CHECKING:
    from obs.logs._logs import Logs

_NAMES = 1_000
"""How many loggers of different names there may be; the others are one, ``other``."""


class Kinds:
    """The classes of one instance's loggers.

    Threads: any. What defines something takes a lock; of what is called for records
    nothing waits for it.

    Args:
        logs: Whose loggers.
        levels: Which records are made.
        held_from: The number of the lowest level that a route holds.

    Attributes:
        lock: Held by what changes the classes. Of a signal handler or a finalizer, too,
            that comes while this thread holds it.
    """

    def __init__(self, logs: "Logs", levels: Levels, held_from: int) -> None:
        self._logs = logs
        self._levels = levels
        self._held_from = held_from
        self._kinds: dict[str, type[Logger]] = {}
        self.lock = RLock()

    def __len__(self) -> int:
        return len(self._kinds)

    def of(self, name: str) -> type[Logger]:
        """Give the class of the loggers of a name."""
        kind = self._kinds.get(name)
        if kind is None:
            with self.lock:
                kind = self._find(name)
        return kind

    def at_once(self, name: str) -> type[Logger] | None:
        """Give it, or None where that could take a lock for long, or for ever."""
        kind = self._kinds.get(name)
        lock = self.lock  # a fork meanwhile puts another in place
        if kind is None and lock.acquire(blocking=False):
            try:
                kind = self._find(name)
            finally:
                lock.release()
        return kind

    def install_all(self) -> None:
        """Give all classes the methods that fit by now."""
        with self.lock:
            for kind in list(self._kinds.values()):
                self._install(kind)

    def least_of(self, kind: type[Logger]) -> int:
        """Give the number of the lowest level that loggers of a name make."""
        if kind.until is not None and self._logs.clock.monotonic_ns() >= kind.until:
            lock = self.lock  # see above
            if not lock.acquire(blocking=False):  # the next call puts it in place
                return self._levels.least(kind.name)[0]
            try:
                self._install(kind)
            finally:
                lock.release()
        return kind.least

    def after_fork_in_child(self) -> None:
        """Have a lock that no thread of the parent holds."""
        self.lock = RLock()

    def _find(self, name: str) -> type[Logger]:
        if len(self._kinds) >= _NAMES and name not in self._kinds:
            text = f"there are {_NAMES} loggers; what {shown(name)} logs is 'other'."
            self._logs.diag.say("loggers", text)
            name = "other"
        return self._kinds.get(name) or self._new(name)

    def _new(self, name: str) -> type[Logger]:
        self._logs.open_outlets()
        members = {"__slots__": (), "logs": self._logs, "name": name}
        kind = type("Logger", (Logger,), members)
        self._install(kind)
        # A finalizer may have made one of the same name meanwhile.
        return self._kinds.setdefault(name, kind)

    def _install(self, kind: type[Logger]) -> None:
        """Give a class the methods that fit what is said about its name."""
        rules = None
        # Again, where a signal handler has said something else meanwhile.
        while rules is not self._levels.rules:
            rules = self._levels.rules
            kind.written, kind.until = self._levels.least(kind.name)
            # What is off is not held either.
            is_held = kind.written < OFF and self._held_from < kind.written
            kind.least = self._held_from if is_held else kind.written
            for level, number in NUMBERS.items():
                setattr(kind, level, self._method(kind, level, number))
            for alias, name in ALIASES.items():
                setattr(kind, alias, getattr(kind, name))

    def _method(
        self, kind: type[Logger], level: Level, number: int
    ) -> Callable[..., None]:
        if kind.until is not None:
            return expiring(level)
        if number < kind.least:
            return off
        if number < kind.written:
            return holding(level)
        if plus_is_exact() and self._logs.is_simple():
            around = self._logs.pieces.around(kind.name, level)
            # Where it is None the name may be a secret: it shall be no label either.
            if around is not None:
                hits = self._logs.hits.of(level, kind.name)
                return fused(self._logs, kind.name, level, hits.cell, around)
        return general(level)
