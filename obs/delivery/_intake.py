"""Where finished records wait for the next tick: the only part that recording touches."""

from collections import deque
from collections.abc import Callable
from typing import Any

from obs._tally import Tally


class Intake:
    """What was recorded of one signal and has not been fetched.

    Threads: ``put`` from any, at any moment, without a lock; past the capacity the newest
    is dropped, and several threads may each put one more.

    Attributes:
        signal: ``logs`` or ``traces``.
        capacity: How many records may wait; 0 while no exporter takes the signal.
        room: The same, or 0 where ``put`` has something else to do than to append.
        lost: How many did not fit.
        late: How many came when all exporters were closed.
    """

    __slots__ = (
        "_is_closed",
        "_queue",
        "_wake",
        "capacity",
        "late",
        "lost",
        "room",
        "signal",
    )

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.capacity = self.room = 0
        self.lost = Tally()
        self.late = Tally()
        self._queue: deque[Any] = deque()
        self._is_closed = False
        self._wake: Callable[[], object] | None = None

    def put(self, record: Any) -> None:
        """Keep a record until it is fetched."""
        if len(self._queue) < self.room:
            self._queue.append(record)
        elif self.capacity:
            self._past(record)

    def __len__(self) -> int:
        return len(self._queue)

    def take(self, most: int) -> list[Any]:
        """Fetch the oldest records; one caller at a time."""
        queue = self._queue
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    def open(self, capacity: int) -> None:
        """Take records from now on; none at all if the capacity is 0."""
        self._is_closed = False
        self._wake = None
        self.capacity = self.room = capacity

    def close(self) -> None:
        """Count what comes from now on as late."""
        self._is_closed = True
        self.room = 0

    def forked(self, wake: Callable[[], object] | None) -> None:
        """Forget what the parent had; the first record of this process calls ``wake``."""
        self._queue.clear()
        self.lost.clear()
        self.late.clear()
        self._wake = wake
        if wake is not None:
            self.room = 0

    def _past(self, record: Any) -> None:
        if self._is_closed:
            self.late.add(1)
            return
        wake = self._wake
        if wake is None and self.room:
            self.lost.add(1)
            return
        self._queue.append(record)
        if wake is not None:
            # Twice, where two threads are here: it does no harm. And where something is
            # raised between these lines, the next record wakes.
            wake()
            self._wake = None
        self.room = 0 if self._is_closed else self.capacity
