"""A contract test as a stranger types it; checked by mypy and pyright, never run."""

from collections.abc import Iterable

from obs import ExportFailed
from obs.model import Ack, Batch, Delivery, Payload
from obs.testing.contract import Arrived, BreakMode, ExporterContract, Number, Rig


class Exporter:
    name = "mine"
    signals = frozenset({"metrics"})
    delivery = Delivery()

    def encode(self, batch: Batch) -> Iterable[Payload]:
        yield Payload(batch.signal.encode(), 1)

    def send(self, payload: Payload, deadline: float) -> Ack:
        text = "no backend"
        raise ExportFailed(text, retryable=True)

    def close(self, deadline: float) -> None:
        pass


def received() -> list[Arrived]:
    return [Number("a", {"b": "c"}, 1)]


def misbehave(mode: BreakMode) -> None:
    raise NotImplementedError(mode)


class TestMine(ExporterContract):
    patience = 1.0

    def make(self) -> Rig:
        return Rig(Exporter, received, break_backend=misbehave)
