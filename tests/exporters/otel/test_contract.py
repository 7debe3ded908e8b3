"""The contract that every push exporter keeps."""

from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs.testing.contract import ExporterContract, Histogram, Log, Number, Rig, Span
from obs_exporters import OTelExporter
from obs_exporters.otel._exporter import _Body


class Comparable(OTelExporter):
    """Encodes to what can be compared: the SDK's own objects are equal to none."""

    def encode(self, batch):
        for payload in super().encode(batch):
            yield payload._replace(body=SameBody(*payload.body))


class SameBody(_Body):
    def __eq__(self, other):
        return self._form() == other._form()

    def _form(self):
        many = [self.data] if self.signal == "metrics" else self.data
        return self.signal, [each.to_json() for each in many]


class KeepMetrics(MetricExporter):
    def __init__(self):
        super().__init__()
        self.kept = []

    def export(self, metrics_data, timeout_millis=10_000, **more):
        self.kept.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **more):
        pass


class TestOTel(ExporterContract):
    def make(self):
        spans, metrics = InMemorySpanExporter(), KeepMetrics()
        logs = InMemoryLogRecordExporter()

        def received():
            found = [span_of(span) for span in spans.get_finished_spans()]
            found += [point for data in metrics.kept for point in points_of(data)]
            found += [log_of(log.log_record) for log in logs.get_finished_logs()]
            return found

        return Rig(lambda: Comparable(spans, metrics, logs), received)


def span_of(span):
    context = span.context
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return Span(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", parent, span.name
    )


def log_of(log):
    return Log(log.body, dict(log.attributes))


def points_of(data):
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in metric.data.data_points:
                    yield point_of(metric.name, point)


def point_of(name, point):
    if hasattr(point, "value"):
        return Number(name, point.attributes, point.value)
    return Histogram(
        name,
        point.attributes,
        point.count,
        point.sum,
        point.explicit_bounds,
        point.bucket_counts,
    )
