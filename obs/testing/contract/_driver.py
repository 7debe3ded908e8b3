"""Drives an exporter as its lane does, and reads back what arrived."""

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic, sleep
from typing import Any, NoReturn

from obs.errors import ExportFailed
from obs.model import Ack, Batch, MetricFamily, Payload, Resource, Signal
from obs.protocols import PushExporter
from obs.testing.contract._forms import Arrived, Rig

START_NS = 1_700_000_000_000_000_000
SHOWN_CHARS = 240


def text_of(value: object) -> str:
    """Give a ``repr`` for an assertion's text, cut."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."


def apart(left: object, right: object) -> tuple[str, str]:
    """Give of two ``repr`` what stands around the place where they begin to differ."""
    texts = repr(left), repr(right)
    pairs = enumerate(zip(*texts, strict=False))
    same = next((index for index, pair in pairs if pair[0] != pair[1]), 0)
    begin = max(0, same - SHOWN_CHARS // 4)
    return texts[0][begin:][: SHOWN_CHARS // 2], texts[1][begin:][: SHOWN_CHARS // 2]


def size_of(payload: Payload) -> int:
    """Give the bytes of a body; 0 where it is not bytes."""
    body = payload.body
    return len(body) if isinstance(body, bytes | bytearray | memoryview) else 0


class Driver:
    """One exporter at its backend.

    Args:
        rig: The backend.
        exporter: What ``rig.build()`` gave.
        patience: Seconds to wait for what should arrive.
    """

    def __init__(self, rig: Rig, exporter: PushExporter, patience: float) -> None:
        self.rig = rig
        self.exporter = exporter
        self._patience = patience
        self._seen = 0

    @property
    def is_delta(self) -> bool:
        """Whether it wants increases."""
        return self.exporter.delivery.temporality == "delta"

    def fail(self, text: str) -> NoReturn:
        """Raise an assertion about the exporter."""
        __tracebackhide__ = True
        raise AssertionError(self._about(text))

    def need(self, condition: object, text: str) -> None:
        """Raise an assertion about the exporter unless the condition holds."""
        __tracebackhide__ = True
        if not condition:
            raise AssertionError(self._about(text))

    def _about(self, text: str) -> str:
        return f"exporter {getattr(self.exporter, 'name', None)!r}: {text}"

    def metrics(
        self, families: Iterable[MetricFamily], start_ns: int = START_NS
    ) -> Batch:
        """Give a batch of families, which are increases if the exporter wants them."""
        return Batch(
            "metrics",
            Resource({"service.name": "contract"}),
            families=list(families),
            start_ns=start_ns,
            time_ns=start_ns + 10_000_000_000,
            temporality=self.exporter.delivery.temporality,
        )

    def records(self, signal: Signal, records: Sequence[Any]) -> Batch:
        """Give a batch of spans or log records."""
        return Batch(
            signal,
            Resource({"service.name": "contract"}),
            records=list(records),
            time_ns=START_NS,
        )

    def encode(self, batch: Batch) -> list[Payload]:
        """Give the payloads of a batch, of the right type."""
        try:
            payloads = list(self.exporter.encode(batch))
        except Exception as error:  # noqa: BLE001 - that there is none is the contract
            self.fail(
                f"encode raised {text_of(error)} on {self._culprit(batch)}. encode "
                "leaves out what it cannot encode and counts it in Payload.dropped."
            )
        for payload in payloads:
            self.need(
                isinstance(payload, Payload),
                f"encode gave {text_of(payload)}, needs obs.model.Payload.",
            )
        return payloads

    def _culprit(self, batch: Batch) -> str:
        """Give the first part of a batch that fails alone."""
        whole = "a batch whose records can each be encoded"
        for family in batch.families:
            if self._fails(batch._replace(families=[family])):
                names = [block.label_names for block in family.blocks]
                about = (family.name, family.kind, family.unit, family.help, names)
                return text_of((*about, family.points))
        for record in batch.records:
            if self._fails(batch._replace(records=[record])):
                return text_of(record)
        return whole

    def _fails(self, batch: Batch) -> bool:
        try:
            list(self.exporter.encode(batch))
        except Exception:  # noqa: BLE001 - looking for just that
            return True
        return False

    def divide(self, batch: Batch) -> Iterator[tuple[Sequence[Any], Payload]]:
        """Give payloads that fit, and the records of the batch that each was made of.

        A batch of records is halved until its payloads fit, as by a lane; a single record
        that does not fit is dropped.
        """
        payloads = self.encode(batch)
        limit = self.exporter.delivery.max_bytes
        n = len(batch.records)
        if not n or all(size_of(payload) <= limit for payload in payloads):
            for payload in payloads:
                yield batch.records, payload
        elif n == 1:
            yield batch.records, Payload(b"", 0, {"limit": 1})
        else:
            for half in (batch.records[: n // 2], batch.records[n // 2 :]):
                yield from self.divide(batch._replace(records=half))

    def send(self, payload: Payload) -> Ack:
        """Send a payload to a backend that is well."""
        deadline = monotonic() + self.exporter.delivery.timeout
        try:
            ack = self.exporter.send(payload, deadline)
        except ExportFailed as error:
            self.fail(
                f"send raised {text_of(error)} for {text_of(payload)} while the backend "
                "was well. What a backend would refuse is left out by encode."
            )
        except Exception as error:  # noqa: BLE001 - that there is none is the contract
            self.fail(f"send raised {text_of(error)}, may raise ExportFailed only.")
        self.need(
            isinstance(ack, Ack), f"send gave {text_of(ack)}, needs obs.model.Ack."
        )
        return ack

    def push(self, batch: Batch) -> list[Payload]:
        """Encode a batch and send all of it; give the payloads."""
        payloads = [payload for _, payload in self.divide(batch)]
        for payload in payloads:
            if payload.records:
                self.send(payload)
        return payloads

    def forget(self) -> None:
        """Take what has arrived as seen: a check that failed may have left some."""
        self._seen = len(self.rig.received())

    def fresh(self, n: int) -> list[Arrived]:
        """Give what has arrived since the last call, after waiting for ``n`` records."""
        until = monotonic() + self._patience
        while True:
            arrived = list(self.rig.received())[self._seen :]
            if len(arrived) >= n or monotonic() > until:
                self._seen += len(arrived)
                return arrived
            sleep(0.005)
