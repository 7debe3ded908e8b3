"""How long the garbage collector stops the interpreter."""

from typing import Any

from obs.catalog import CATALOG
from obs.metrics import Registry

GENERATIONS = ("0", "1", "2")


class GcPauses:
    """A callback for ``gc.callbacks``: observes each run, from its start to its stop.

    It runs wherever an object is made, on any thread, inside any other call of obs. It
    takes no lock and makes no object that the collector tracks, so it cannot set off
    another run. Runs do not overlap: the interpreter does one at a time.
    """

    __slots__ = ("_now", "_series", "_start")

    def __init__(self, registry: Registry) -> None:
        block = registry.block(CATALOG["cpython.gc.pause.duration"])
        self._series = [block.series((generation,)) for generation in GENERATIONS]
        self._now = registry.clock.monotonic_ns
        self._start = 0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Note the start, observe at the stop."""
        if phase == "start":
            self._start = self._now()
        elif self._start:
            pause = (self._now() - self._start) / 1e9
            self._series[info["generation"]].observe(pause)
