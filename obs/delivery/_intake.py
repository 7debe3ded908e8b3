"""Where finished records wait for the next tick: the only part that recording touches."""

from collections import deque
from collections.abc import Callable
from typing import Any

from obs._tally import Tally

STEP = 128
"""After so many records the lanes are woken: what comes is measured before there is more."""


def _nobody() -> None:
    """Wake nobody."""


class Intake:
    """What was recorded of one signal and has not been fetched.

    Threads: ``put`` from any, at any moment, without a lock; past the capacity the newest
    is dropped, and several threads may each put one more.

    Attributes:
        signal: ``logs`` or ``traces``.
        capacity: How many records may wait; 0 while no exporter takes the signal.
        queue: What waits, the oldest first.
        room: How many may wait before ``put`` has something else to do than to append.
        lost: How many did not fit.
        late: How many came when all exporters were closed.
    """

    __slots__ = (
        "_is_closed",
        "_most",
        "_wake",
        "capacity",
        "late",
        "lost",
        "queue",
        "room",
        "signal",
    )

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.capacity = self.room = self._most = 0
        self.lost = Tally()
        self.late = Tally()
        self.queue: deque[Any] = deque()
        self._is_closed = False
        self._wake: Callable[[], object] = _nobody

    def put(self, record: Any) -> None:
        """Keep a record until it is fetched."""
        if len(self.queue) < self.room:
            self.queue.append(record)
        elif self.capacity:
            self.past(record)

    def past(self, record: Any) -> None:
        """Do for a record what ``put`` does where there is no room at once."""
        if self._is_closed:
            self.late.add(1)
            return
        waiting = len(self.queue)
        if waiting >= self._most and self.room:
            self.lost.add(1)
            return
        self.queue.append(record)
        # Twice, where two threads are here: it does no harm. And where something is raised
        # between these lines, the next record wakes.
        self._wake()
        self.room = 0 if self._is_closed else min(waiting + STEP, self._most)

    def __len__(self) -> int:
        return len(self.queue)

    def take(self, most: int) -> list[Any]:
        """Fetch the oldest records; one caller at a time."""
        queue = self.queue
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    def expect(self, most: int) -> None:
        """Let so many wait from now on; never more than the capacity."""
        self._most = min(most, self.capacity)
        if self.room:
            self.room = min(len(self.queue) + STEP, self._most)

    def open(self, capacity: int, wake: Callable[[], object]) -> None:
        """Take records from now on; none at all if the capacity is 0.

        Args:
            capacity: How many may wait.
            wake: Called when many wait; it may take no lock.
        """
        self._is_closed = False
        self._wake = wake
        self.capacity = self._most = capacity
        self.room = min(capacity, STEP)

    def close(self) -> None:
        """Count what comes from now on as late."""
        self._is_closed = True
        self.room = 0

    def forked(self) -> None:
        """Forget what the parent had; the first record of this process wakes the lanes."""
        self.queue.clear()
        self.lost.clear()
        self.late.clear()
        self._most = self.capacity
        self.room = 0
