"""Cells for Pythons where ``+=`` is not exact: one number for each thread that records.

Used where the GIL is off, on other implementations, and on versions that the proof in
``_slots`` does not cover yet. Costs about 2.5 times as much as a slot.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any, final

from obs._tally import Tally
from obs.metrics._around import Timer, Tracker
from obs.metrics._callback import Callback
from obs.metrics._numbers import INFINITE
from obs.metrics._series import Series

if TYPE_CHECKING:
    from obs.metrics._block import SeriesBlock


@final
class ThreadCounter(Series):
    """A counter's series."""

    __slots__ = ("_sum",)

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._sum = Tally()

    def inc(self, amount: float = 1) -> None:
        """Add to the sum; see ``protocols.Counter.inc``."""
        number = self._number("inc", amount, 0)
        if number is not None:
            self._sum.add(number)

    def zero(self) -> None:
        """Start from zero again."""
        self._sum.clear()

    @staticmethod
    def read(cells: "Sequence[ThreadCounter]") -> list[int | float]:
        """Give the values of many cells."""
        return [cell._sum.read() for cell in cells]


class ThreadUpDown(Series):
    """An up-down counter's series: what was set, and what was added since."""

    __slots__ = ("_state",)

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._state: tuple[Any, Tally] = (0, Tally())

    def inc(self, amount: float = 1) -> None:
        """Add to the value; see ``protocols.UpDown.inc``."""
        number = self._number("inc", amount, -INFINITE)
        if number is not None:
            self._add(number)

    def dec(self, amount: float = 1) -> None:
        """Subtract from the value; see ``protocols.UpDown.dec``."""
        number = self._number("dec", amount, -INFINITE)
        if number is not None:
            self._add(-number)

    def zero(self) -> None:
        """Start from zero again; a function stays."""
        value, added = self._state
        if value.__class__ is Callback:
            return
        self._state = (0, added)
        added.clear()

    @staticmethod
    def read(cells: "Sequence[ThreadUpDown]") -> list[Any]:
        """Give the values of many cells: numbers, or callbacks that are yet to be asked."""
        values = []
        for cell in cells:
            value, added = cell._state
            is_callback = value.__class__ is Callback
            values.append(value if is_callback else value + added.read())
        return values

    def _add(self, number: float) -> None:
        value, added = self._state
        if value.__class__ is Callback:
            value.__add__(number)
        else:
            added.add(number)


@final
class ThreadGauge(ThreadUpDown):
    """A gauge's series."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Set the value; see ``protocols.Gauge.set``."""
        number = self._number("set", value, -INFINITE)
        if number is not None:
            self._state = (number, Tally())

    def set_function(
        self, fn: Callable[..., float], owner: object | None = None
    ) -> None:
        """Ask a function for the value; see ``protocols.Gauge.set_function``."""
        self._state = (Callback(self, fn, owner), Tally())

    def track_in_progress(self) -> Tracker:
        """Count 1 up while a block or call runs."""
        return Tracker(self)


@final
class ThreadHistogram(Series):
    """A histogram's series with explicit bounds: counts and sum for each thread."""

    __slots__ = ("_bounds", "_parts")

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._bounds = block.metric.bounds
        # For each thread the bucket counts, and the sum as the last item.
        self._parts: dict[int, list[Any]] = {}

    def observe(self, value: float) -> None:
        """Count one value; see ``protocols.Histogram.observe``."""
        number = self._number("observe", value, -INFINITE)
        if number is None:
            return
        me, bucket = get_ident(), bisect_left(self._bounds, number)
        if me not in self._parts:
            self._parts.setdefault(me, [0] * (len(self._bounds) + 2))
        part = self._parts[me]
        part[bucket] += 1; part[-1] += number  # noqa: E702  # fmt: skip

    def time(self) -> Timer:
        """Observe how long a block or call takes."""
        return Timer(self)

    def zero(self) -> None:
        """Start from zero again."""
        for part in list(self._parts.values()):
            part[:] = [0] * len(part)

    @staticmethod
    def read(
        cells: "Sequence[ThreadHistogram]",
    ) -> list[tuple[list[int], int | float]]:
        """Give bucket counts and sums of many cells."""
        columns: list[tuple[list[int], int | float]] = []
        for cell in cells:
            total = [0] * (len(cell._bounds) + 2)
            for part in list(cell._parts.values()):
                total = [a + b for a, b in zip(total, part[:], strict=True)]
            columns.append((total[:-1], total[-1]))
        return columns
