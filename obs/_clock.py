"""The clock of the machine; tests put another in its place."""

from time import perf_counter_ns, time_ns
from typing import Protocol


class Clock(Protocol):
    """Where time comes from: wall and monotonic time, both in integer nanoseconds."""

    def time_ns(self) -> int:
        """Give nanoseconds since the epoch; may jump when the clock is set."""
        ...

    def monotonic_ns(self) -> int:
        """Give nanoseconds from an arbitrary start; never falls."""
        ...


class SystemClock:
    """The machine's clock.

    Both are C functions that are not bound: a call costs no Python frame.
    """

    __slots__ = ()

    time_ns = staticmethod(time_ns)
    monotonic_ns = staticmethod(perf_counter_ns)
