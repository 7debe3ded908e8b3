"""The clock of the machine; tests put another in its place."""

from collections.abc import Callable
from time import perf_counter_ns, time_ns
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    @property
    def time_ns(self) -> Callable[[], int]:
        """Gives nanoseconds since the epoch; may jump when the clock is set."""
        ...

    @property
    def monotonic_ns(self) -> Callable[[], int]:
        """Gives nanoseconds from an arbitrary start; never falls."""
        ...


class SystemClock:
    """Wall and monotonic time, both in integer nanoseconds.

    The two functions are C functions kept as attributes: a call costs no Python frame.

    Attributes:
        time_ns: Nanoseconds since the epoch; may jump when the machine's clock is set.
        monotonic_ns: Nanoseconds from an arbitrary start; never falls.
    """

    __slots__ = ("monotonic_ns", "time_ns")

    def __init__(self) -> None:
        self.time_ns = time_ns
        self.monotonic_ns = perf_counter_ns
