"""Of records that repeat, the first ones and then one in so many."""

from collections import deque
from collections.abc import Callable
from itertools import count
from math import isfinite
from typing import Any, TypeAlias

from obs._clock import Clock
from obs._diag import Diag
from obs._fork import on_fork
from obs._tally import Tally
from obs.errors import DefinitionError, shown
from obs.logs._claim import Claim
from obs.logs._levels import NUMBERS, level_number
from obs.logs._marks import first_of
from obs.model import Level, LogRecord

MOST_KEYS = 4_096
SUPPRESSED = "sampled.suppressed"
"""The field that says how many were left out before a record."""
SUMMARY = "log.sampled"
"""The event of the record that says how many were left out, where no other comes."""

Key: TypeAlias = tuple[str, Level, str]
"""What repeats: a logger, a level, an event."""


class Sample:
    """How many go of those records that repeat: of one logger, level and event.

    Of those that come within a period, ``first`` go, and then one in ``then``. Those that
    are left out are counted: the next one that goes says so in the field
    ``sampled.suppressed``. Where none comes, a record of the event ``log.sampled`` does, at
    the next flush.

    Args:
        first: How many go in each period.
        then: One in how many goes of the others; 0: none.
        per: The period in seconds.
        level: The highest level that this is about; records above it all go.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    def __init__(
        self,
        first: int = 100,
        then: int = 10,
        per: float = 1.0,
        level: str = "warning",
    ) -> None:
        _check_whole("first", first, 1)
        _check_whole("then", then, 0)
        is_number = type(per) in (int, float) and isfinite(per)
        if not is_number or not 0.001 <= per <= 86_400:
            text = f"Sample: per got {shown(per)}, needs seconds from 0.001 to 86400."
            raise DefinitionError(text)
        self.first = first
        self.then = then
        self.per_ns = round(per * 10**9)
        self.level = level_number("Sample: level", level)


class Slot:
    """The count of one key.

    Threads: any, without a lock. ``count`` gives each number once, a tally loses nothing,
    and of those who report at one moment all but one report nothing.

    Attributes:
        left_out: How many were, since the slot is there.
        reported: How many of them were reported.
    """

    __slots__ = ("_claim", "_counts", "left_out", "reported")

    def __init__(self) -> None:
        self._counts: dict[int, count[int]] = {}
        self._claim = Claim()
        self.left_out = Tally()
        self.reported = 0

    def number(self, period: int) -> int:
        """Give how many came before in this period."""
        counts = self._counts
        numbers = counts.get(period)
        if numbers is None:
            numbers = counts.setdefault(period, count())
            for other in list(counts):
                if other < period:
                    counts.pop(other, None)
        return next(numbers)

    def take(self) -> int | None:
        """Give how many are to be reported; None where another does so at this moment."""
        if self.left_out.read() == self.reported:
            return 0
        ticket = self._claim.take()
        if ticket is None:
            return None
        left_out = int(self.left_out.read())
        owed = left_out - self.reported
        self.reported = left_out
        return owed


class Sampler:
    """Counts the records of a route, and says which go.

    There are 4,096 keys; where another comes, the oldest one's count begins anew.

    Threads: any, at any moment; takes no lock. What went, what is reported and what is to
    be reported are together what came, exactly. A forked child starts with nothing.

    Args:
        sample: How many go.
        clock: Where time comes from.
        diag: Counts what is left out.
        name: The route's.
        write: Takes the records that say what was left out.
    """

    def __init__(
        self,
        sample: Sample,
        clock: Clock,
        diag: Diag,
        name: str,
        write: Callable[[LogRecord], object],
    ) -> None:
        self._sample = sample
        self._clock = clock
        self._diag = diag
        self._name = name
        self._write = write
        self._slots: dict[Key, Slot] = {}
        self._evicted: deque[tuple[Key, Slot]] = deque()
        diag.dropped("logs", "sampled", 0, name)
        on_fork(self)

    def ask(self, record: LogRecord) -> int:
        """Give how many were left out before a record that goes; -1 if it does not."""
        sample = self._sample
        if NUMBERS[record.level] > sample.level:
            return 0
        key = record.logger, record.level, record.event
        slot = self._slots.get(key) or self._new(key)
        past = slot.number(self._clock.monotonic_ns() // sample.per_ns) - sample.first
        if past < 0 or (sample.then and past % sample.then == sample.then - 1):
            return slot.take() or 0
        slot.left_out.add(1)
        self._diag.dropped("logs", "sampled", exporter=self._name)
        if self._slots.get(key) is not slot:  # it was evicted, and reported, meanwhile
            self._report(key, slot)
        return -1

    def flush(self) -> None:
        """Report what was left out and has not been reported."""
        for _ in range(len(self._evicted)):
            self._report(*self._evicted.popleft())
        for key, slot in self._slots.copy().items():
            self._report(key, slot)

    def after_fork_in_child(self) -> None:
        """Leave the counts to the parent."""
        self._slots.clear()
        self._evicted.clear()

    def _new(self, key: Key) -> Slot:
        while len(self._slots) >= MOST_KEYS:
            oldest: Any = first_of(self._slots)
            slot = self._slots.pop(oldest, None)
            if slot is not None:
                self._report(oldest, slot)
        return self._slots.setdefault(key, Slot())

    def _report(self, key: Key, slot: Slot) -> None:
        owed = slot.take()
        if owed is None and self._slots.get(key) is not slot:
            self._evicted.append((key, slot))  # what comes meanwhile is not lost either
        if owed:
            logger, level, event = key
            fields = {"sampled.event": event, SUPPRESSED: owed}
            now = self._clock.time_ns()
            self._write(LogRecord(now, level, SUMMARY, logger, fields=fields))


def _check_whole(name: str, value: Any, least: int) -> None:
    if type(value) is not int or not least <= value < 1 << 31:
        needs = f"needs a whole number of at least {least}"
        text = f"Sample: {name} got {shown(value)}, {needs}."
        raise DefinitionError(text)
