"""An exporter between a lane and another exporter: it remembers what each send did."""

import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic

from obs.errors import ExportFailed
from obs.model import Ack


class Watched:
    """Passes everything on, and checks each acknowledgement while it happens.

    Args:
        exporter: Whom it watches.
        arrived: Gives the ids that the backend has taken up to now.

    Attributes:
        sends: How many sends have begun.
        acked: The ids whose send was acknowledged.
        ambiguous: The ids of which a send failed that may have arrived.
        late: By how many seconds a send missed its deadline, at worst.
        wrong: What contradicts the backend, as texts.
    """

    def __init__(self, exporter, arrived: Callable[[], Mapping[object, int]]) -> None:
        self.name = exporter.name
        self.signals = exporter.signals
        self.delivery = exporter.delivery
        self.sends = 0
        self.acked: set[object] = set()
        self.ambiguous: set[object] = set()
        self.late = 0.0
        self.wrong: list[str] = []
        self.closed = threading.Event()
        self._exporter = exporter
        self._arrived = arrived
        self._ids: dict[int, tuple[object, set[object]]] = {}

    def encode(self, batch) -> Iterator:
        start = 0
        for payload in self._exporter.encode(batch):
            end = start + payload.records + sum(payload.dropped.values())
            records = batch.records[start:end]
            start = end
            # With the payload, so that its id() is not another's.
            ids = {record.attributes["i"] for record in records}
            self._ids[id(payload)] = payload, ids
            yield payload

    def send(self, payload, deadline):
        _, ids = self._ids[id(payload)]
        self.sends += 1
        if again := ids & self.acked:
            self.wrong.append(f"sent again though acknowledged: {sorted(again)}")
        try:
            ack = self._exporter.send(payload, deadline)
        except ExportFailed as failure:
            if failure.sent:
                self.ambiguous |= ids
            raise
        finally:
            self.late = max(self.late, monotonic() - deadline)
        if not isinstance(ack, Ack):
            return ack
        if never := ids - self._arrived().keys():
            self.wrong.append(f"acknowledged, but never taken: {sorted(never)}")
        self.acked |= ids
        return ack

    def close(self, deadline) -> None:
        self._exporter.close(deadline)
        self.closed.set()
