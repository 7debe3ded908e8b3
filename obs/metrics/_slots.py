"""Cells for Pythons with a GIL: a plain ``+=`` on a slot, which is exact there.

CPython 3.11 to 3.13 switches threads, runs signal handlers and delivers asynchronous
exceptions only where a function is entered, after a call, and at a backward jump (3.11
also runs collector callbacks where a collectable object is made). Between the load and
the store of ``self._v += amount`` there is none of these, as long as both operands are
exact ``int`` or ``float`` and the storage is a slot or a list. So nothing is lost, with
any number of threads, and re-entry at any line is harmless. A test disassembles these
methods on each supported Python.

Measured on 3.11 (ratio to an empty method): ``inc`` 1.8, with a lock 8.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

from obs.metrics._around import Timer, Tracker
from obs.metrics._callback import Callback
from obs.metrics._numbers import EXACT_INT, INFINITE, LOWEST_INT, ONE
from obs.metrics._series import Series

if TYPE_CHECKING:
    from obs.metrics._block import SeriesBlock


@final
class SlotCounter(Series):
    """A counter's series."""

    __slots__ = ("_v",)

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._v: int | float = 0

    def inc(self, amount: float = 1) -> None:
        """Add to the sum; see ``protocols.Counter.inc``."""
        if amount is ONE:
            self._v += 1
        elif (type(amount) is int and 0 <= amount <= EXACT_INT) or (
            type(amount) is float and 0.0 <= amount < INFINITE
        ):
            self._v += amount
        elif (number := self._number("inc", amount, 0)) is not None:
            self._v += number

    def zero(self) -> None:
        """Start from zero again."""
        self._v = 0

    @staticmethod
    def read(cells: "Sequence[SlotCounter]") -> list[int | float]:
        """Give the values of many cells."""
        return [cell._v for cell in cells]


class SlotUpDown(Series):
    """An up-down counter's series."""

    __slots__ = ("_v",)

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._v: Any = 0

    def inc(self, amount: float = 1) -> None:
        """Add to the value; see ``protocols.UpDown.inc``."""
        if amount is ONE:
            self._v += 1
        elif (type(amount) is int and LOWEST_INT <= amount <= EXACT_INT) or (
            type(amount) is float and amount - amount == 0.0
        ):
            self._v += amount
        elif (number := self._number("inc", amount, -INFINITE)) is not None:
            self._v += number

    def dec(self, amount: float = 1) -> None:
        """Subtract from the value; see ``protocols.UpDown.dec``."""
        if amount is ONE:
            self._v -= 1
        elif (type(amount) is int and LOWEST_INT <= amount <= EXACT_INT) or (
            type(amount) is float and amount - amount == 0.0
        ):
            self._v -= amount
        elif (number := self._number("dec", amount, -INFINITE)) is not None:
            self._v -= number

    def zero(self) -> None:
        """Start from zero again; a function stays."""
        if self._v.__class__ is not Callback:
            self._v = 0

    @staticmethod
    def read(cells: "Sequence[SlotUpDown]") -> list[Any]:
        """Give the values of many cells: numbers, or callbacks that are yet to be asked."""
        return [cell._v for cell in cells]


@final
class SlotGauge(SlotUpDown):
    """A gauge's series."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Set the value; see ``protocols.Gauge.set``."""
        # What is finite minus itself is 0; a comparison with two constants costs 5 ns more.
        if (type(value) is float and value - value == 0.0) or (
            type(value) is int and LOWEST_INT <= value <= EXACT_INT
        ):
            self._v = value
        elif (number := self._number("set", value, -INFINITE)) is not None:
            self._v = number

    def set_function(
        self, fn: Callable[..., float], owner: object | None = None
    ) -> None:
        """Ask a function for the value; see ``protocols.Gauge.set_function``."""
        self._v = Callback(self, fn, owner)

    def track_in_progress(self) -> Tracker:
        """Count 1 up while a block or call runs."""
        return Tracker(self)


@final
class SlotHistogram(Series):
    """A histogram's series with explicit bounds."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block
        self._bounds = block.metric.bounds
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum: int | float = 0

    def observe(self, value: float) -> None:
        """Count one value; see ``protocols.Histogram.observe``."""
        if not (
            (type(value) is float and value - value == 0.0)
            or (type(value) is int and LOWEST_INT <= value <= EXACT_INT)
        ):
            number = self._number("observe", value, -INFINITE)
            if number is None:
                return
            value = number
        bucket = bisect_left(self._bounds, value)
        # One region, on one line: not even a debugger's line event comes in between, so
        # count and sum are never seen apart.
        self._counts[bucket] += 1; self._sum += value  # noqa: E702  # fmt: skip

    def time(self) -> Timer:
        """Observe how long a block or call takes."""
        return Timer(self)

    def zero(self) -> None:
        """Start from zero again."""
        self._counts = [0] * len(self._counts); self._sum = 0  # noqa: E702  # fmt: skip

    @staticmethod
    def read(
        cells: "Sequence[SlotHistogram]",
    ) -> list[tuple[list[int], int | float]]:
        """Give bucket counts and sums of many cells, each pair of one moment.

        The copy comes first: where making it runs a collector callback that observes,
        that happens before the items are copied.
        """
        return [(cell._counts[:], cell._sum) for cell in cells]
