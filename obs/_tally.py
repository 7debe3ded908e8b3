"""An exact sum that needs neither a lock nor the GIL."""

import sys
from threading import get_ident

_PROVEN_VERSIONS = ((3, 11), (3, 13))


def plus_is_exact() -> bool:
    """Whether a ``+=`` of numbers on a slot or in a list loses nothing, in any thread.

    Where that is known: CPython with its GIL, see ``obs.metrics._slots``.
    """
    oldest, newest = _PROVEN_VERSIONS
    with_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    proven = oldest <= sys.version_info[:2] <= newest
    return bool(sys.implementation.name == "cpython" and with_gil and proven)


class Tally:
    """A sum kept as one number for each thread that ever added to it.

    A thread only writes its own number, so no addition is lost on any build of Python,
    with any number of threads, signal handlers or collector callbacks. On a build with
    the GIL a plain ``+=`` is exact as well and costs less (see ``obs.metrics._slots``).
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[int, int | float] = {}

    def add(self, amount: float) -> None:
        """Add an exact ``int`` or ``float``. Threads: any; takes no lock."""
        parts, me = self._parts, get_ident()
        # No call stands between the load and the store of `+=`: a signal handler or
        # collector callback that adds on this very thread cannot come in between.
        # setdefault keeps what such a handler put there first.
        if me not in parts:
            parts.setdefault(me, 0)
        parts[me] += amount

    def read(self) -> int | float:
        """Give the sum of what was added so far."""
        # list() of a dict view is one C call: no other thread resizes it meanwhile.
        return sum(list(self._parts.values()))

    def clear(self) -> None:
        """Start from zero again; what others add at this moment may be lost with it."""
        # In place, for an addition that the fork interrupted goes on in this dict.
        for thread in list(self._parts):
            self._parts[thread] = 0
