"""When to try again."""

from random import Random

FIRST = 1.0
"""Up to how many seconds pass before the first repetition."""
MOST = 10.0
"""Up to how many seconds pass before any other."""
HOLD = 3600.0
"""How long a backend may ask to be left alone, in seconds."""


class Backoff:
    """Waits that double, with full jitter: each is drawn from zero to its bound.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015).

    Args:
        random: Where chance comes from.

    Attributes:
        ready_at: Before when nothing is sent, by the monotonic clock, in seconds.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        self._held_until = 0.0
        self.ready_at = 0.0

    def failed(self, now: float, retry_after: float | None) -> None:
        """Wait after a failure, and at least as long as the backend asks for."""
        bound = min(FIRST * 2**self._failures, MOST)
        self._failures = min(self._failures + 1, 16)
        asked = min(max(retry_after or 0.0, 0.0), HOLD)
        if asked:
            self._held_until = now + asked
        self.ready_at = now + asked + self._random.uniform(0.0, bound)

    def succeeded(self) -> None:
        """Wait no longer."""
        self._failures = 0
        self._held_until = self.ready_at = 0.0

    def hurry(self) -> None:
        """Try again now, unless the backend has asked to be left alone."""
        self.ready_at = self._held_until
