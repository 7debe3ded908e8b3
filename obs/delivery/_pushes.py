"""Metrics on one lane: a snapshot every interval, never a queue of them.

A pure state machine, as that of records. A push that cannot be sent is tried again, from
the next interval on with a newer snapshot, which covers the gap.
"""

from collections import deque
from collections.abc import Sequence
from random import Random

from obs.delivery._backoff import Backoff
from obs.delivery._ledger import REFUSED, Ledger
from obs.errors import ExportFailed
from obs.model import Ack, Delivery, Payload, Snapshot, delta


class Push:
    """One snapshot on its way.

    Attributes:
        snapshot: What was read, cumulative; None until then.
        payloads: The bodies that have not been sent.
        is_wanted: Whether somebody waits for its end.
        accepted: How many bodies the backend took.
        rejected: Why the backend refused a body, or points; empty: it did not.
        may_be_there: Whether the next body may have arrived although its sending failed.
        is_unanswered: Whether that is so of a body that is not sent again.
    """

    __slots__ = (
        "accepted",
        "is_unanswered",
        "is_wanted",
        "may_be_there",
        "payloads",
        "rejected",
        "snapshot",
    )

    def __init__(self, *, is_wanted: bool, may_be_there: bool = False) -> None:
        self.snapshot: Snapshot | None = None
        self.payloads: deque[Payload] = deque()
        self.is_wanted = is_wanted
        self.accepted = 0
        self.rejected = ""
        self.may_be_there = may_be_there
        self.is_unanswered = False


class PushQueue:
    """The metrics of one lane.

    Args:
        ledger: Where pushes are counted.
        delivery: How the exporter wants to be driven.
        random: Where chance comes from.
        now: When the lane starts, by the monotonic clock, in seconds.

    Attributes:
        baseline: What a delta counts from: the last snapshot of which something arrived, or
            may have; None at first.
    """

    capacity = 1

    def __init__(
        self, ledger: Ledger, delivery: Delivery, random: Random, now: float
    ) -> None:
        self.ledger = ledger
        self.signal = ledger.signal
        self.baseline: Snapshot | None = None
        self._is_delta = delivery.temporality == "delta"
        self._interval = delivery.interval
        self._backoff = Backoff(random)
        # Not all services of a fleet that starts at once push at once.
        self._next_at = now + random.uniform(0.0, delivery.interval)
        self._push: Push | None = None
        self._is_wanted = False

    def __len__(self) -> int:
        """How many pushes are under way."""
        return int(self._push is not None)

    def hurry(self) -> None:
        """Take a snapshot and push it at once."""
        self._next_at = 0.0
        self._is_wanted = True
        self._backoff.hurry()

    @property
    def owed(self) -> int:
        """Whether the push that ``hurry`` wanted has not ended, as 0 or 1."""
        push = self._push
        return int(self._is_wanted or (push is not None and push.is_wanted))

    def due(self) -> float:
        """Say when something is to be done, by the monotonic clock."""
        ready_at = self._backoff.ready_at
        return max(self._next_at, ready_at) if self._push is None else ready_at

    def next(self, now: float) -> Push:
        """Give the push to be sent; one without a snapshot is to be made first."""
        push = self._push
        is_due = now >= self._next_at
        if push is None:
            self.ledger.produced += 1
            push = Push(is_wanted=self._is_wanted)
        elif is_due and self._may_be_renewed(push):
            # It goes on with a later snapshot, which says all that this one does.
            is_wanted = push.is_wanted or self._is_wanted
            push = Push(is_wanted=is_wanted, may_be_there=push.may_be_there)
        else:
            return push
        self._push = push
        self._is_wanted = False
        self._next_at += self._interval
        if self._next_at <= now:  # it was hurried, or is late
            self._next_at = now + self._interval
        return push

    def changes(self, snapshot: Snapshot) -> Snapshot:
        """Give what is to be encoded of a snapshot: itself, or what came since the last."""
        if not self._is_delta:
            return snapshot
        nothing = Snapshot((), snapshot.start_ns, snapshot.start_ns)
        return delta(self.baseline or nothing, snapshot)

    def encoded(self, snapshot: Snapshot, payloads: Sequence[Payload]) -> None:
        """Take the bodies of the push that is next."""
        push = self._push
        assert push is not None
        push.snapshot = snapshot
        push.payloads.extend(payload for payload in payloads if payload.records)
        if not push.payloads:
            push.accepted = 1  # nothing to say is said
            self._ended()

    def unencodable(self) -> None:
        """Drop the push that is next: reading or encoding it raised."""
        self._lost("invalid")

    def sent(self, ack: Ack) -> None:
        """Take the backend's answer to the first body of the push that is next."""
        push = self._push
        assert push is not None
        push.payloads.popleft()
        push.accepted += 1
        push.may_be_there = False
        for reason, n in ack.rejected.items():
            if n > 0:
                push.rejected = reason
        self._backoff.succeeded()
        if not push.payloads:
            self._ended()

    def failed(self, error: BaseException, now: float) -> None:
        """Take the failure of the first body of the push that is next."""
        push = self._push
        assert push is not None
        if isinstance(error, ExportFailed) and not error.retryable:
            push.payloads.popleft()
            if error.sent or push.may_be_there:
                push.is_unanswered = True
            else:
                push.rejected = error.reason or REFUSED
            push.may_be_there = False
            if not push.payloads:
                self._ended()
            return
        retry_after = None
        if isinstance(error, ExportFailed):
            retry_after = error.retry_after
            push.may_be_there |= error.sent
        self._backoff.failed(now, retry_after)

    def end(self, *, is_under_way: bool) -> None:
        """Count the push that is under way when the lane ends."""
        self._is_wanted = False
        if self._push is not None:
            self._push.may_be_there |= is_under_way
            self._lost("closed")

    def _may_be_renewed(self, push: Push) -> bool:
        """Whether a later snapshot may take the place of this one.

        Not where that is a delta and a part of this one has arrived, or may have: it would
        count twice.
        """
        is_there = push.accepted or push.is_unanswered
        return push.snapshot is not None and not (self._is_delta and is_there)

    def _ended(self) -> None:
        """Count a push of which every body has been answered."""
        push = self._push
        assert push is not None
        if push.rejected:
            self.ledger.rejected[push.rejected] += 1
        elif push.is_unanswered:
            self.ledger.unknown += 1
        else:
            self.ledger.delivered += 1
        if push.accepted or push.is_unanswered:
            self.baseline = push.snapshot
        self._push = None

    def _lost(self, reason: str) -> None:
        """Count a push that is given up."""
        push = self._push
        assert push is not None
        if push.may_be_there or push.is_unanswered:
            self.ledger.unknown += 1
        else:
            self.ledger.drop(reason, 1)
        self._push = None
