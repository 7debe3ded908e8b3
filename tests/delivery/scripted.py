"""A push exporter that does what a test says, and remembers what it was given."""

import threading
from collections import Counter, deque

from obs.errors import ExportFailed
from obs.model import Ack, Delivery, Payload


class Scripted:
    """Takes records by their attribute or value ``i``.

    ``answers`` holds what the next sends do: an Ack, an exception, or a function of the
    payload; when it is empty, all is accepted.
    """

    def __init__(self, name="scripted", signals=("traces",), **delivery):
        self.name = name
        self.signals = frozenset(signals)
        self.delivery = Delivery(**{"interval": 60.0, "timeout": 5.0} | delivery)
        self.answers = deque()
        self.always = None
        self.batches = []
        self.bodies = []
        self.tries = []
        self.closed = 0
        self.threads = set()

    def encode(self, batch):
        self.batches.append(batch)
        if batch.signal == "metrics":
            numbers = {
                family.name: point.value
                for family in batch.families
                if not family.name.startswith("obs.")
                for point in family.points
            }
            yield Payload(numbers, max(len(numbers), 1))
        else:
            yield Payload(
                [id_of(record) for record in batch.records], len(batch.records)
            )

    def send(self, payload, deadline):
        self.threads.add(threading.current_thread().name)
        self.tries.append(payload.body)
        answer = self.answers.popleft() if self.answers else self.always
        if callable(answer):
            answer = answer(payload)
        if isinstance(answer, BaseException):
            raise answer
        self.bodies.append(payload.body)
        return answer or Ack(payload.records)

    def close(self, deadline):
        self.closed += 1

    @property
    def ids(self):
        """The ids that arrived, with how often."""
        lists = [body for body in self.bodies if isinstance(body, list)]
        return Counter(i for body in lists for i in body)


def id_of(record):
    return record if isinstance(record, int) else record.attributes["i"]


def down(**more):
    return ExportFailed("down", retryable=True, **more)


def refused(**more):
    return ExportFailed("refused", **{"reason": "http_400"} | more)
