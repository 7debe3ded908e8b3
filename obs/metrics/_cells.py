"""Which cells hold the numbers of a registry."""

import sys
from typing import Any, NamedTuple

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

_PROVEN_VERSIONS = ((3, 11), (3, 13))


def default_cells() -> Cells:
    """Give slots where a ``+=`` on them is known to be exact, else cells for each thread."""
    oldest, newest = _PROVEN_VERSIONS
    with_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    proven = oldest <= sys.version_info[:2] <= newest
    if sys.implementation.name == "cpython" and with_gil and proven:
        return SLOT_CELLS
    return THREAD_CELLS
