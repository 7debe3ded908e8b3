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
    Signal,
    Temporality,
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
from obs.model._record import (
    NO_BAGGAGE,
    BaggageValue,
    Level,
    LogRecord,
    Outcome,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanRecord,
    TraceContext,
)
from obs.model._resource import Resource
from obs.model._snapshot import Snapshot, delta

__all__ = [
    "KINDS",
    "NO_BAGGAGE",
    "Ack",
    "BaggageValue",
    "Batch",
    "Block",
    "Delivery",
    "ExponentialPoint",
    "FlushResult",
    "HistogramPoint",
    "Kind",
    "LaneResult",
    "Level",
    "LogRecord",
    "MetricFamily",
    "NumberPoint",
    "Outcome",
    "Payload",
    "Point",
    "Resource",
    "Scope",
    "Signal",
    "Snapshot",
    "SpanEvent",
    "SpanKind",
    "SpanLink",
    "SpanRecord",
    "Temporality",
    "TraceContext",
    "delta",
]
