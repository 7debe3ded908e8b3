"""The ledger: what became of every record, by signal and exporter."""

from collections import Counter
from typing import TYPE_CHECKING

from obs._diag import Diag

if TYPE_CHECKING:
    from obs.model import Snapshot

REASONS = ("queue_full", "closed", "export_failed", "invalid", "limit")
"""Why a lane drops records; all stand at 0 from the start."""
FILTERED = "filtered"
"""The reason of a drop that was wished for: a route's filter. It is not lost."""
REFUSED = "refused"
"""The reason of a refusal for which there is no better word."""


class Ledger:
    """What became of the records of one signal on one lane.

    ``produced`` is the sum of all others and of what waits, whenever nothing is under way.
    Spans and logs are counted one by one; of metrics the pushes are.

    Threads: one at a time writes, under the lane's lock; any may read.

    Attributes:
        signal: ``metrics``, ``logs`` or ``traces``.
        exporter: The exporter's name.
        produced: What was made for it.
        delivered: What the backend acknowledged.
        rejected: What it refused, by reason.
        dropped: What never left, by reason.
        unknown: What was sent and never answered.
        baseline: What the next delta of metrics counts from: the last snapshot of which
            something arrived, or may have; None at first.
    """

    def __init__(self, signal: str, exporter: str, diag: Diag) -> None:
        self.signal = signal
        self.exporter = exporter
        self._diag = diag
        self.clear()
        for reason in REASONS:
            self.drop(reason, 0)

    def clear(self) -> None:
        """Start from zero: in a forked child."""
        self.produced = self.delivered = self.unknown = 0
        self.baseline: Snapshot | None = None
        self.rejected: Counter[str] = Counter({REFUSED: 0})
        self.dropped: Counter[str] = Counter()

    def drop(self, reason: str, n: int) -> None:
        """Count what never left."""
        self.dropped[reason] += n
        self._diag.dropped(self.signal, reason, n, self.exporter)

    @property
    def lost(self) -> int:
        """How many were dropped, rejected, or may not have arrived."""
        dropped = self.dropped.total() - self.dropped[FILTERED]
        return dropped + self.rejected.total() + self.unknown
