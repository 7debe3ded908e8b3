"""One lane as a state machine: what an exporter is to do next, and until when."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, TypeAlias

from obs.delivery._pushes import Push, PushQueue
from obs.delivery._records import RecordQueue, Shipment
from obs.model import Delivery, Payload

Queue: TypeAlias = RecordQueue | PushQueue


class Wait(NamedTuple):
    """Do nothing until then, by the monotonic clock; ``inf``: until somebody wakes you."""

    until: float


class EncodeRecords(NamedTuple):
    """Encode records, and tell the queue."""

    queue: RecordQueue
    shipment: Shipment


class EncodePush(NamedTuple):
    """Read the registry, encode it, and tell the queue."""

    queue: PushQueue
    push: Push


class Send(NamedTuple):
    """Send a body before a deadline, and tell the queue."""

    queue: Queue
    payload: Payload
    deadline: float


class End(NamedTuple):
    """Close the exporter: all is done, or the time is over."""

    deadline: float


Action: TypeAlias = Wait | EncodeRecords | EncodePush | Send | End


class Lane:
    """What one exporter is to do next; pure, and so tried without threads or sockets.

    Args:
        queues: The signals that the exporter takes.
        delivery: How it wants to be driven.

    Attributes:
        queues: As given.
        deadline: When to be done, once it is to close; None before.
    """

    def __init__(self, queues: Sequence[Queue], delivery: Delivery) -> None:
        self.queues = list(queues)
        self.deadline: float | None = None
        self._timeout = delivery.timeout

    def next_action(self, now: float) -> Action:
        """Say what is to be done at this moment.

        Args:
            now: By the monotonic clock, in seconds.
        """
        if self.deadline is not None and (now >= self.deadline or not self.owed):
            return End(self.deadline)
        for queue in self.queues:
            action = self._action(queue, now) if queue.due() <= now else None
            if action is not None:
                # The next time it is the others' turn. A new list: some read this one.
                self.queues = [it for it in self.queues if it is not queue] + [queue]
                return action
        if (
            self.deadline is not None and not self.owed
        ):  # what was left has been dropped
            return End(self.deadline)
        until = min((queue.due() for queue in self.queues), default=inf)
        return Wait(until if self.deadline is None else min(until, self.deadline))

    def hurry(self) -> None:
        """Send at once what there is, and a snapshot of the metrics."""
        for queue in self.queues:
            queue.hurry()

    def close(self, deadline: float) -> None:
        """Send what there is, then end; at the deadline at the latest."""
        self.deadline = deadline
        self.hurry()

    @property
    def owed(self) -> int:
        """How much of what was to be hurried has neither arrived nor been lost."""
        return sum(queue.owed for queue in self.queues)

    def _action(self, queue: Queue, now: float) -> Action | None:
        deadline = now + self._timeout
        if self.deadline is not None:
            deadline = min(deadline, self.deadline)
        if isinstance(queue, PushQueue):
            push = queue.next(now)
            if push.snapshot is None:
                return EncodePush(queue, push)
            return Send(queue, push.payloads[0], deadline)
        shipment = queue.next(now)
        if shipment is None:
            return None
        if shipment.payload is None:
            return EncodeRecords(queue, shipment)
        return Send(queue, shipment.payload, deadline)
