"""What the lanes say about themselves, as metrics."""

from collections.abc import Iterable
from typing import TypeAlias

from obs.catalog import CATALOG
from obs.delivery._lanes import Lanes
from obs.model import MetricFamily

Counts: TypeAlias = dict[tuple[str, ...], float]


class LanesCollector:
    """Yields the ledger and the queues whenever the registry is read.

    Attributes:
        NAMES: What it yields, by the catalogue's names.

    Args:
        lanes: Whose.
    """

    NAMES = (
        "obs.produced",
        "obs.exported",
        "obs.rejected",
        "obs.unknown",
        "obs.queue.size",
        "obs.queue.capacity",
    )

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def collect(self) -> Iterable[MetricFamily]:
        """Yield what was made, what became of it, and what waits."""
        ledgers = list(self._lanes.ledgers.items())
        rejected: Counts = {
            (*key, reason): n
            for key, ledger in ledgers
            for reason, n in ledger.rejected.copy().items()
        }
        delivered: Counts = {key: ledger.delivered for key, ledger in ledgers}
        unknown: Counts = {key: ledger.unknown for key, ledger in ledgers}
        produced: Counts = {
            (signal,): n for signal, n in self._lanes.produced.copy().items()
        }
        queues = [
            ((queue.signal, worker.exporter.name), queue)
            for worker in self._lanes.workers()
            for queue in worker.lane.queues
        ]
        sizes: Counts = {key: len(queue) for key, queue in queues}
        room: Counts = {key: queue.capacity for key, queue in queues}
        yield CATALOG["obs.produced"].family(produced)
        yield CATALOG["obs.exported"].family(delivered)
        yield CATALOG["obs.rejected"].family(rejected)
        yield CATALOG["obs.unknown"].family(unknown)
        yield CATALOG["obs.queue.size"].family(sizes)
        yield CATALOG["obs.queue.capacity"].family(room)
