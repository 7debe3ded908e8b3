"""Spans and logs on one lane: what waits, what is being sent, what is sent again.

A pure state machine: it is told what happened and when, and says what is to be done.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from random import Random
from typing import Any, TypeAlias

from obs.delivery._backoff import Backoff
from obs.delivery._ledger import REFUSED, Ledger
from obs.errors import ExportFailed
from obs.limits import Limits
from obs.model import Ack, Delivery, Payload

Sized: TypeAlias = tuple[Any, int]
"""A record and its estimated bytes."""

AGE = 1.0
"""Seconds after which records are sent, however few there are."""
ENOUGH = 512
"""How many are sent without waiting for more."""
MOST = 4_096
"""How many are sent at once, where that many wait."""
PATIENCE = 5
"""How often a send may raise what it must not before that counts as a refusal."""
HOPELESS = 16
"""After how many refusals without any success a batch is not divided further."""
ENDLESS = 256
"""After how many refusals a batch is not divided further."""
TOO_LARGE = frozenset({"http_413", "grpc_resource_exhausted"})
"""Reasons that are about the size of a batch, not about a record in it."""


class Shipment:
    """Consecutive records of one batch that are on their way together.

    Attributes:
        records: What is in it.
        payload: Its body, once encoded.
        sibling: The other half, where a refused shipment was divided.
        is_fine: Whether the backend has taken it.
        may_be_there: Whether a try that failed may have arrived all the same.
        raised: How often sending it raised what it must not.
    """

    __slots__ = ("is_fine", "may_be_there", "payload", "raised", "records", "sibling")

    def __init__(self, records: Sequence[Any], payload: Payload | None = None) -> None:
        self.records = records
        self.payload = payload
        self.sibling: Shipment | None = None
        self.is_fine = False
        self.may_be_there = False
        self.raised = 0

    def halves(self) -> "tuple[Shipment, Shipment]":
        """Divide it; each is to be encoded again."""
        middle = len(self.records) // 2
        first, second = (
            Shipment(self.records[:middle]),
            Shipment(self.records[middle:]),
        )
        first.raised = second.raised = self.raised
        first.may_be_there = second.may_be_there = self.may_be_there
        return first, second


class RecordQueue:
    """The spans or the logs of one lane.

    Args:
        ledger: Where what becomes of them is counted.
        delivery: How the exporter wants to be driven.
        limits: How many may wait, and how many bytes.
        random: Where chance comes from.
    """

    def __init__(
        self, ledger: Ledger, delivery: Delivery, limits: Limits, random: Random
    ) -> None:
        self.ledger = ledger
        self.signal = ledger.signal
        self.capacity = limits.queue_records
        self._delivery = delivery
        self._most_bytes = limits.queue_bytes
        self._age = min(delivery.interval, AGE)
        self._backoff = Backoff(random)
        self._waiting: deque[Sized] = deque()
        self._bytes = 0
        self._since = 0.0
        self._shipments: deque[Shipment] = deque()
        self._came = self._gone = self._wanted = 0
        self._refusals = 0
        self._is_hopeless = self._was_accepted = False

    def __len__(self) -> int:
        """How many have neither arrived nor been lost."""
        return self._came - self._gone

    def put(self, records: Iterable[Sized], now: float) -> None:
        """Take records; what does not fit is dropped."""
        most, most_bytes = self.capacity, self._most_bytes
        came = refused = 0
        if not self._waiting:
            self._since = now
        for record in records:
            came += 1
            if len(self) + came - refused > most or self._bytes >= most_bytes:
                refused += 1
                continue
            self._waiting.append(record)
            self._bytes += record[1]
        self._came += came - refused
        self.ledger.produced += came
        if refused:
            self.ledger.drop("queue_full", refused)

    def drop(self, reason: str, n: int) -> None:
        """Count records that were made for this lane and never came here."""
        self.ledger.produced += n
        self.ledger.drop(reason, n)

    def hurry(self) -> None:
        """Send at once what there is now."""
        self._wanted = self._came
        self._backoff.hurry()

    @property
    def owed(self) -> int:
        """How many of those that were there at the last ``hurry`` are still waiting."""
        return max(self._wanted - self._gone, 0)

    def due(self) -> float:
        """Say when something is to be done, by the monotonic clock; ``inf`` for never."""
        if self._shipments:
            return self._backoff.ready_at
        if not self._waiting:
            return inf
        is_enough = (
            len(self._waiting) >= ENOUGH or 2 * self._bytes >= self._delivery.max_bytes
        )
        return 0.0 if self.owed or is_enough else self._since + self._age

    def next(self, now: float) -> Shipment | None:
        """Give what is to be encoded, or sent where it has a payload; None if nothing is."""
        if not self._shipments and self._waiting:
            self._shipments.append(Shipment(self._batch(now)))
            self._refusals = 0
            self._was_accepted = False
        while self._shipments and self._is_unfit(self._shipments[0]):
            pass
        return self._shipments[0] if self._shipments else None

    def encoded(self, payloads: Sequence[Payload]) -> None:
        """Take the bodies of the shipment that is next."""
        head = self._shipments.popleft()
        ready: list[Shipment] = []
        start = 0
        for payload in payloads:
            end = start + payload.records + sum(payload.dropped.values())
            part = head.records[start:end]
            start = end
            if part:
                # All of one body: it stays the half that it was.
                is_all = len(part) == len(head.records)
                shipment = head if is_all else Shipment(part)
                shipment.payload = payload
                shipment.raised = head.raised
                shipment.may_be_there = head.may_be_there
                ready.append(shipment)
        if left := head.records[start:]:  # the exporter forgot some
            self._end("invalid", len(left))
        self._shipments.extendleft(reversed(ready))

    def unencodable(self) -> None:
        """Divide the shipment that is next: ``encode`` raised."""
        if self._shipments[0].records[1:]:
            self._divide()
        else:
            self._give_up(self._shipments.popleft(), "invalid")

    def sent(self, ack: Ack) -> None:
        """Take the backend's answer to the shipment that is next."""
        head = self._shipments.popleft()
        accepted = len(head.records) - self._count_dropped(head)
        rejected = 0
        for reason, n in ack.rejected.items():
            taken = min(max(n, 0), accepted - rejected)
            rejected += taken
            if head.may_be_there:
                self.ledger.unknown += taken
            else:
                self.ledger.rejected[reason] += taken
        self.ledger.delivered += accepted - rejected
        self._gone += len(head.records)
        head.is_fine = not rejected
        self._was_accepted = True
        self._is_hopeless = False
        self._backoff.succeeded()

    def failed(self, error: BaseException, now: float) -> None:
        """Take the failure of the shipment that is next."""
        head = self._shipments[0]
        if not isinstance(error, ExportFailed):
            head.raised += 1
            if head.raised <= PATIENCE:
                self._backoff.failed(now, None)
            else:
                self._refused("")
        elif error.retryable:
            head.may_be_there |= error.sent
            self._backoff.failed(now, error.retry_after)
        elif error.sent:
            self._shipments.popleft()
            self._count_unknown(head)
        else:
            self._refused(error.reason or REFUSED)

    def end(self, *, is_under_way: bool) -> None:
        """Count what is left when the lane ends.

        Args:
            is_under_way: Whether the shipment that is next is being sent this moment.
        """
        for shipment in self._shipments:
            shipment.may_be_there |= is_under_way
            self._give_up(shipment, "closed")
            is_under_way = False
        self._end("closed", len(self._waiting))
        self._shipments.clear()
        self._waiting.clear()
        self._bytes = 0

    def _batch(self, now: float) -> list[Any]:
        """Take as many as may go in one body, and at least one."""
        records: list[Any] = []
        room = self._delivery.max_bytes
        while self._waiting and len(records) < MOST:
            record, size = self._waiting[0]
            room -= size
            if room < 0 and records:
                break
            self._waiting.popleft()
            self._bytes -= size
            records.append(record)
        self._since = now
        return records

    def _is_unfit(self, head: Shipment) -> bool:
        """Divide the next shipment, or take it away, if it cannot be sent as it is."""
        payload = head.payload
        if payload is None:
            # Its other half was taken: what the backend refuses is in this one.
            is_bad = head.sibling is not None and head.sibling.is_fine
            if not is_bad or not head.records[1:]:
                return False
            self._divide(is_poisoned=True)
            return True
        body = payload.body
        is_large = (
            isinstance(body, bytes | bytearray) and len(body) > self._delivery.max_bytes
        )
        if payload.records and not is_large:
            return False
        if payload.records and head.records[1:]:
            self._divide()
        else:
            self._give_up(self._shipments.popleft(), "limit")
        return True

    def _refused(self, reason: str) -> None:
        """Divide what the backend has refused, or count it."""
        head = self._shipments[0]
        self._refusals += 1
        most = ENDLESS if self._was_accepted else HOPELESS
        if head.records[1:] and not self._is_hopeless and self._refusals < most:
            is_poisoned = reason not in TOO_LARGE
            self._divide(is_poisoned=is_poisoned, to_the_end=is_poisoned)
            return
        self._shipments.popleft()
        if reason and not head.may_be_there:
            rejected = len(head.records) - self._count_dropped(head)
            self.ledger.rejected[reason] += rejected
            self._gone += len(head.records)
        else:
            self._give_up(head, "export_failed")
        if self._refusals >= HOPELESS and not self._was_accepted:
            # None was taken: it is not one record that the backend dislikes.
            self._is_hopeless = True

    def _divide(self, *, is_poisoned: bool = False, to_the_end: bool = False) -> None:
        first, second = halves = self._shipments.popleft().halves()
        if is_poisoned:
            second.sibling = first
        if to_the_end:
            # One level after the other: of two halves mostly one is taken, which shows
            # early that it is a record, and not the backend, that is to blame.
            self._shipments.extend(halves)
        else:
            self._shipments.extendleft(reversed(halves))

    def _count_dropped(self, shipment: Shipment) -> int:
        """Count what the exporter has left out; give how many that were."""
        dropped = 0
        if shipment.payload is not None:
            for reason, n in shipment.payload.dropped.items():
                left_out = min(max(n, 0), len(shipment.records) - dropped)
                dropped += left_out
                self.ledger.drop(reason, left_out)
        return dropped

    def _give_up(self, shipment: Shipment, reason: str) -> None:
        """Count as dropped what is not sent any more, but not what may have arrived."""
        if shipment.may_be_there:
            self._count_unknown(shipment)
            return
        dropped = self._count_dropped(shipment)
        self._gone += dropped
        self._end(reason, len(shipment.records) - dropped)

    def _count_unknown(self, shipment: Shipment) -> None:
        self.ledger.unknown += len(shipment.records) - self._count_dropped(shipment)
        self._gone += len(shipment.records)

    def _end(self, reason: str, n: int) -> None:
        self._gone += n
        if n:
            self.ledger.drop(reason, n)
