"""Requests read back with opentelemetry-proto's generated classes, and what to expect."""

import os
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from obs.model import (
    Batch,
    Block,
    LogRecord,
    MetricFamily,
    Resource,
    Scope,
    SpanRecord,
    TraceContext,
)
from obs_exporters.otlp._metrics import MetricsEncoder
from obs_exporters.otlp._points import Prefixes

START = 1_795_255_801_663_776_865
END = START + 1_500_000_000
RESOURCE = Resource({"service.name": "shop", "service.version": "1.4.2"})
SCOPE = Scope("obs", "0.1.0")
CONTEXT = TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True)
SPAN = SpanRecord("charge", CONTEXT, start_ns=START, end_ns=END)
LOG = LogRecord(START, "info", "order.placed")

RESPONSES = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def batch(signal, records=(), families=(), **other):
    return Batch(signal, RESOURCE, SCOPE, records, families, time_ns=END, **other)


def number(name, kind, values, **other):
    return MetricFamily.of(name, kind, values, **other)


def histogram(name, rows, bounds, label_names=(), start_ns=0, **other):
    """A family of rows to (sum, counts)."""
    block = Block(
        label_names,
        list(rows),
        [total for total, _ in rows.values()],
        [counts for _, counts in rows.values()],
        start_ns,
    )
    return MetricFamily(name, "histogram", blocks=[block], bounds=bounds, **other)


def encode_metrics(families, *, max_bytes=1 << 20, before=None, **other):
    """Give the payloads and the prefixes for the next batch."""
    encoder = MetricsEncoder(
        batch("metrics", families=families, **other), before or Prefixes(), max_bytes
    )
    return list(encoder.payloads()), encoder.prefixes


def metrics_in(payloads):
    """Give all metrics; each payload has one resource and one scope, and its count."""
    found = []
    for payload in payloads:
        assert payload.body.signal == "metrics"
        read = ExportMetricsServiceRequest.FromString(payload.body)
        mine = []
        for resource in read.resource_metrics:
            assert pairs(resource.resource.attributes) == list(
                RESOURCE.attributes.items()
            )
            (scope,) = resource.scope_metrics
            assert (scope.scope.name, scope.scope.version) == SCOPE
            mine += scope.metrics
        assert sum(len(points_of(metric)) for metric in mine) == payload.records
        found += mine
    return found


def metric_in(*families, **other):
    payloads, _ = encode_metrics(families, **other)
    (metric,) = metrics_in(payloads)
    return metric


def points_of(metric):
    return getattr(metric, metric.WhichOneof("data")).data_points


def traces_in(payload):
    assert payload.body.signal == "traces"
    read = ExportTraceServiceRequest.FromString(payload.body)
    spans = []
    for resource in read.resource_spans:
        assert pairs(resource.resource.attributes) == list(RESOURCE.attributes.items())
        (scope,) = resource.scope_spans
        assert (scope.scope.name, scope.scope.version) == SCOPE
        spans += scope.spans
    assert len(spans) == payload.records
    return spans


def logs_in(payload):
    """Give pairs of scope and record."""
    assert payload.body.signal == "logs"
    read = ExportLogsServiceRequest.FromString(payload.body)
    found = []
    for resource in read.resource_logs:
        assert pairs(resource.resource.attributes) == list(RESOURCE.attributes.items())
        for scope in resource.scope_logs:
            name = scope.scope.name, scope.scope.version
            found += [(name, record) for record in scope.log_records]
    assert len(found) == payload.records
    return found


def pairs(attributes):
    return [(each.key, value_of(each.value)) for each in attributes]


def value_of(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        found = pairs(value.kvlist_value.values)
        assert len(dict(found)) == len(found)
        return dict(found)
    return getattr(value, kind)


def compare_with_golden(name, body):
    """Compare bytes with a checked-in file; OBS_GOLDEN=write makes it anew."""
    path = Path(__file__).parent / "golden" / name
    if os.environ.get("OBS_GOLDEN") == "write":
        path.write_bytes(body)
    assert body == path.read_bytes()
