"""Which cells hold the numbers of a registry."""

from typing import Any, NamedTuple

from obs._tally import plus_is_exact
from obs.metrics._slots import SlotCounter, SlotGauge, SlotHistogram, SlotUpDown
from obs.metrics._threads import (
    ThreadCounter,
    ThreadGauge,
    ThreadHistogram,
    ThreadUpDown,
)


class Cells(NamedTuple):
    """A factory of series for each kind of metric: called with the block, it gives one.

    Attributes:
        counter: Makes a counter's series.
        updown: Makes an up-down counter's series.
        gauge: Makes a gauge's series; an info's too.
        histogram: Makes a histogram's series.
    """

    counter: Any
    updown: Any
    gauge: Any
    histogram: Any

    def of(self, kind: str) -> Any:
        """Give the factory for a kind."""
        return self.gauge if kind == "info" else getattr(self, kind)


SLOT_CELLS = Cells(SlotCounter, SlotUpDown, SlotGauge, SlotHistogram)
THREAD_CELLS = Cells(ThreadCounter, ThreadUpDown, ThreadGauge, ThreadHistogram)


def default_cells() -> Cells:
    """Give slots where a ``+=`` on them is known to be exact, else cells for each thread."""
    return SLOT_CELLS if plus_is_exact() else THREAD_CELLS
