"""The peers' objects, made as their documentation shows; ImportError without the peer."""

import itertools
import random
from collections.abc import Callable
from contextvars import Context

from benchmarks._harness import inside

BOUNDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0,
)  # fmt: skip
LABELS = ("method", "path", "status")
ROW = ("GET", "/api/v1/items", "200")
ATTRIBUTES = dict(zip(LABELS, ROW, strict=True))
LITERAL = repr(ATTRIBUTES)
KEYWORDS = ", ".join(f"{name}={value!r}" for name, value in ATTRIBUTES.items())
POSITIONAL = ", ".join(map(repr, ROW))
INTEGER = POSITIONAL.replace("'200'", "200")
LITERAL_INTEGER = LITERAL.replace("'200'", "200")


def durations() -> Callable[[], float]:
    """Give a function that gives lognormal seconds, about 135 ms in the middle."""
    choose = random.Random(7)
    values = [choose.lognormvariate(-2.0, 1.0) for _ in range(4096)]
    return itertools.cycle(values).__next__


def otel_meter():
    """Give a meter whose readers keep what they collect, with ``BOUNDS`` everywhere."""
    from opentelemetry.sdk.metrics import Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

    view = View(
        instrument_type=Histogram,
        aggregation=ExplicitBucketHistogramAggregation(boundaries=BOUNDS),
    )
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()], views=[view])
    return provider.get_meter("benchmarks")


def otel_tracer(sampler: object = None):
    """Give a tracer whose spans go into batches, to an exporter that does nothing."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Exporter(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler)
    provider.add_span_processor(BatchSpanProcessor(Exporter()))
    return provider.get_tracer("benchmarks")


def otel_inside(tracer) -> Context:
    """Give a context in which a root span of this tracer is running."""
    from opentelemetry.context import attach
    from opentelemetry.trace import set_span_in_context

    root = tracer.start_span("root", context={})
    return inside(lambda: attach(set_span_in_context(root)))


def prometheus():
    """Give the module ``prometheus_client`` and an empty registry of its own."""
    import prometheus_client

    return prometheus_client, prometheus_client.CollectorRegistry()
