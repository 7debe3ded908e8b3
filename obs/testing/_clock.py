"""A clock that stands still until a test moves it."""


class FakeClock:
    """Wall and monotonic time that a test moves.

    Args:
        time: The wall time to begin with, in seconds since the epoch.

    Example:
        >>> from obs.testing import FakeClock
        >>> clock = FakeClock()
        >>> before = clock.monotonic_ns()
        >>> clock.advance(1.5)
        >>> (clock.monotonic_ns() - before) / 1e9
        1.5
    """

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self._time_ns = round(time * 1e9)
        self._monotonic_ns = 1_000_000_000

    def time_ns(self) -> int:
        """Give nanoseconds since the epoch."""
        return self._time_ns

    def monotonic_ns(self) -> int:
        """Give nanoseconds from an arbitrary start."""
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks go on.

        Args:
            seconds: At least 0.

        Raises:
            ValueError: ``seconds`` is negative; to set the wall clock back, use ``jump``.
        """
        if seconds < 0:
            text = (
                f"FakeClock: advance() got {seconds!r}, needs at least 0. Use jump()."
            )
            raise ValueError(text)
        self._time_ns += round(seconds * 1e9)
        self._monotonic_ns += round(seconds * 1e9)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self._time_ns += round(seconds * 1e9)
