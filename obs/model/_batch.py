"""What passes between delivery and a push exporter, and what a flush reports."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from obs.model._metric import MetricFamily
from obs.model._resource import Resource

Signal: TypeAlias = Literal["metrics", "logs", "traces"]
Temporality: TypeAlias = Literal["cumulative", "delta"]


class Scope(NamedTuple):
    """The instrumentation that made a record.

    Attributes:
        name: Its name.
        version: Its version, or empty.
    """

    name: str = "obs"
    version: str = ""


class Batch(NamedTuple):
    """What one call of a push exporter's ``encode`` gets.

    Attributes:
        signal: ``metrics``, ``logs`` or ``traces``.
        resource: Who sends.
        scope: Which instrumentation.
        records: Finished spans or log records; empty for metrics.
        families: Metric families; empty for spans and logs.
        start_ns: Where a delta begins, in ns since the epoch.
        time_ns: When the batch was made, in ns since the epoch.
        temporality: Whether counters are totals or increases since ``start_ns``.
    """

    signal: Signal
    resource: Resource
    scope: Scope = Scope()
    records: Sequence[Any] = ()
    families: Sequence[MetricFamily] = ()
    start_ns: int = 0
    time_ns: int = 0
    temporality: Temporality = "cumulative"


class Payload(NamedTuple):
    """One encoded body, ready to be sent.

    The payloads of a batch of spans or logs come in the order of its records, and each
    stands for the next ``records`` plus all ``dropped`` of them: so a lane knows which to
    send again, or to divide, when a backend refuses one.

    Attributes:
        body: What ``send`` takes: bytes, mostly.
        records: How many records (for metrics: points) are in it.
        dropped: How many were left out, by reason.
        merged: How many series became one because their names did.
    """

    body: Any
    records: int
    dropped: Mapping[str, int] = {}
    merged: int = 0


class Ack(NamedTuple):
    """What a backend said of one payload.

    Attributes:
        accepted: How many records it took.
        rejected: How many it refused, by reason.
    """

    accepted: int
    rejected: Mapping[str, int] = {}


class Delivery(NamedTuple):
    """How a push exporter wants to be driven.

    Attributes:
        interval: Seconds between pushes of metrics; spans and logs wait a second at most.
        timeout: Seconds that one ``send`` may take.
        max_bytes: The largest body it sends. ``encode`` divides metrics itself; spans and
            logs it may leave in one payload that is larger: the lane divides the batch.
        temporality: ``cumulative`` or ``delta``.
        acknowledges: Whether the backend answers; if not, a completed send counts.
        replayable: Whether a payload may be sent late (it carries its own times).
        spool: A directory for what cannot be delivered now, or None.
    """

    interval: float = 10.0
    timeout: float = 10.0
    max_bytes: int = 1024 * 1024
    temporality: Temporality = "cumulative"
    acknowledges: bool = True
    replayable: bool = True
    spool: str | None = None


class LaneResult(NamedTuple):
    """What one exporter's lane did during a flush, in records.

    Attributes:
        delivered: Acknowledged.
        pending: Still queued.
        lost: Dropped or rejected.
        unknown: Sent, never answered; ``lost`` holds them too.
    """

    delivered: int = 0
    pending: int = 0
    lost: int = 0
    unknown: int = 0


class FlushResult(NamedTuple):
    """What a flush or close delivered over all lanes since it was called, in records.

    Attributes:
        delivered: Acknowledged.
        pending: Still queued.
        lost: Dropped, rejected or unknown.
        lanes: Each lane's own numbers, by the exporter's name.
    """

    delivered: int
    pending: int
    lost: int
    lanes: Mapping[str, LaneResult]

    @classmethod
    def over(cls, lanes: Mapping[str, LaneResult]) -> "FlushResult":
        """Add up the results of all lanes."""
        results = lanes.values()
        return cls(
            sum(lane.delivered for lane in results),
            sum(lane.pending for lane in results),
            sum(lane.lost for lane in results),
            lanes,
        )
