"""The records that cross to exporters: plain data, no behaviour, no locks.

Metrics leave as a ``Snapshot`` of families, spans and logs as records in a ``Batch``.
Times are integer nanoseconds since the epoch; ids read as lower-case hexadecimal text.
"""

from obs.model._batch import (
    Ack,
    Batch,
    Delivery,
    FlushResult,
    LaneResult,
    Payload,
    Scope,
)
from obs.model._metric import (
    KINDS,
    Block,
    ExponentialPoint,
    HistogramPoint,
    Kind,
    MetricFamily,
    NumberPoint,
    Point,
)
from obs.model._record import LogRecord, SpanEvent, SpanLink, SpanRecord, TraceContext
from obs.model._resource import Resource
from obs.model._snapshot import Snapshot, delta

__all__ = [
    "KINDS",
    "Ack",
    "Batch",
    "Block",
    "Delivery",
    "ExponentialPoint",
    "FlushResult",
    "HistogramPoint",
    "Kind",
    "LaneResult",
    "LogRecord",
    "MetricFamily",
    "NumberPoint",
    "Payload",
    "Point",
    "Resource",
    "Scope",
    "Snapshot",
    "SpanEvent",
    "SpanLink",
    "SpanRecord",
    "TraceContext",
    "delta",
]
