"""The Python interpreter: its version, and what its garbage collector has done."""

import gc
import platform
import sys
from collections.abc import Iterable

from obs.catalog import CATALOG
from obs.model import MetricFamily


class InterpreterCollector:
    """Reads the garbage collector's own counts for each generation.

    Attributes:
        NAMES: What it yields, by the catalogue's names.
    """

    NAMES = (
        "cpython.gc.collections",
        "cpython.gc.collected_objects",
        "cpython.gc.uncollectable_objects",
    )

    def collect(self) -> Iterable[MetricFamily]:
        """Yield collections, collected and uncollectable objects."""
        generations = gc.get_stats()
        keys = ("collections", "collected", "uncollectable")
        for name, key in zip(self.NAMES, keys, strict=True):
            yield CATALOG[name].family(
                {(str(i),): stats[key] for i, stats in enumerate(generations)}
            )


def python_version() -> tuple[str, ...]:
    """Give the values of the labels of ``python.info``, in the catalogue's order."""
    major, minor, patch = (str(part) for part in sys.version_info[:3])
    implementation = platform.python_implementation()
    return implementation, major, minor, patch, platform.python_version()
