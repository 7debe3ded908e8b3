"""Metrics, beside those that the SDK itself makes."""

import json
from dataclasses import replace

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
)
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource as SdkResource

from obs.metrics import Registry
from obs.model import Block, ExponentialPoint, MetricFamily, delta
from obs_exporters.otel._metrics import convert
from tests.exporters.otel.records import AT, RESOURCE, SCOPE, batch

START = AT - 10_000_000_000
BOUNDS = (0.1, 1.0, 5.0)


def metrics_of(*families, temporality="cumulative", left_out=0):
    found = convert(
        batch(
            "metrics",
            families=families,
            start_ns=START,
            time_ns=AT,
            temporality=temporality,
        )
    )
    assert found.left_out == left_out
    ((of_scope,),) = [each.scope_metrics for each in found.data.resource_metrics]
    points = sum(len(metric.data.data_points) for metric in of_scope.metrics)
    assert found.records == points
    return of_scope.metrics


def metric_of(family, **how):
    (metric,) = metrics_of(family, **how)
    return metric


def record_ours():
    registry = Registry()
    counter = registry.counter("orders", "Orders.", unit="{order}", labels=("kind",))
    counter.labels("a").inc(3)
    counter.labels("b").inc(1.5)
    updown = registry.updown("carts", "Carts.")
    updown.inc(5)
    updown.dec(2)
    registry.gauge("heat", "Heat.", unit="Cel").set(21.5)
    histogram = registry.histogram("wait", "Wait.", unit="s", buckets=BOUNDS)
    for value in (0.1, 0.5, 7):
        histogram.observe(value)
    return registry.snapshot()


def record_theirs():
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader],
        SdkResource(dict(RESOURCE.attributes)),
        views=[
            View(
                instrument_name="wait",
                aggregation=ExplicitBucketHistogramAggregation(BOUNDS),
            )
        ],
    )
    meter = provider.get_meter(*SCOPE)
    counter = meter.create_counter("orders", "{order}", "Orders.")
    counter.add(3, {"kind": "a"})
    counter.add(1.5, {"kind": "b"})
    updown = meter.create_up_down_counter("carts", "", "Carts.")
    updown.add(5)
    updown.add(-2)
    meter.create_gauge("heat", "Cel", "Heat.").set(21.5)
    histogram = meter.create_histogram("wait", "s", "Wait.")
    for value in (0.1, 0.5, 7):
        histogram.record(value)
    data = reader.get_metrics_data()
    provider.shutdown()
    return data


def at_our_time(data):
    """Give the SDK's data with the times of ours, and without what ours do not know."""
    ((of_scope,),) = [each.scope_metrics for each in data.resource_metrics]
    for index, metric in enumerate(of_scope.metrics):
        points = []
        for point in metric.data.data_points:
            has_start = point.start_time_unix_nano is not None
            more = {"min": None, "max": None} if hasattr(point, "min") else {}
            start = START if has_start else None
            points.append(
                replace(point, start_time_unix_nano=start, time_unix_nano=AT, **more)
            )
        changed = replace(metric.data, data_points=points)
        of_scope.metrics[index] = replace(metric, data=changed)
    return data


def test_they_are_what_the_sdk_makes_as_json_and_as_otlp():
    families = [_started(family) for family in record_ours()]
    given = batch("metrics", families=families, start_ns=START, time_ns=AT)
    ours, theirs = convert(given).data, at_our_time(record_theirs())
    assert json.loads(ours.to_json()) == json.loads(theirs.to_json())
    assert encode_metrics(ours) == encode_metrics(theirs)


def _started(family):
    for block in family.blocks:
        block.start_ns = 0  # the batch's own
        block.starts = {}
    return family


@pytest.mark.parametrize("kind", ["counter", "updown", "info"])
def test_what_adds_up_is_a_sum(kind):
    metric = metric_of(MetricFamily.of("m", kind, 5))
    assert type(metric.data).__name__ == "Sum"
    assert metric.data.is_monotonic is (kind == "counter")
    (point,) = metric.data.data_points
    assert point.value == (1 if kind == "info" else 5)
    assert point.start_time_unix_nano == START
    assert point.time_unix_nano == AT


def test_increases_are_said_to_be_such_where_there_are_any():
    for kind, temporality in [
        ("counter", AggregationTemporality.DELTA),
        ("updown", AggregationTemporality.CUMULATIVE),
        ("info", AggregationTemporality.CUMULATIVE),
    ]:
        metric = metric_of(MetricFamily.of("m", kind, 5), temporality="delta")
        assert metric.data.aggregation_temporality is temporality
    first = record_ours()
    (*_, wait) = metrics_of(*delta(first, first), temporality="delta")
    assert wait.data.aggregation_temporality is AggregationTemporality.DELTA
    (point,) = wait.data.data_points
    assert point.count == 0
    assert point.start_time_unix_nano == first.time_ns


def test_a_series_says_since_when_it_counts():
    block = Block(("a",), [("x",), ("y",)], [1, 2], (), 50, {("y",): 70})
    metric = metric_of(MetricFamily("m", "counter", blocks=[block]))
    starts = [point.start_time_unix_nano for point in metric.data.data_points]
    assert starts == [50, 70]


def test_a_builtin_has_the_name_that_otlp_has_for_it():
    metric = metric_of(MetricFamily.of("obs.export.duration", "gauge", 1))
    assert metric.name == "otel.sdk.exporter.operation.duration"


def test_a_family_without_series_is_left_out():
    empty = MetricFamily("m", "counter", blocks=[Block((), [], [])])
    full = MetricFamily.of("n", "counter", 1)
    assert [metric.name for metric in metrics_of(empty, full)] == ["n"]


def test_an_exponential_histogram_is_one():
    class Family(MetricFamily):
        @property
        def points(self):
            return [
                ExponentialPoint({"a": "x"}, 6, 9.5, 3, 1, -2, (2, 3), 0.5, 4.0),
                ExponentialPoint({"a": "y"}, 0, 0, 3, 0, 0, ()),
            ]

    metric = metric_of(Family("m", "exponential"))
    point, empty = metric.data.data_points
    assert point.positive.offset == -2
    assert point.positive.bucket_counts == (2, 3)
    assert (point.count, point.sum, point.scale, point.zero_count) == (6, 9.5, 3, 1)
    assert (point.min, point.max) == (0.5, 4.0)
    assert (empty.min, empty.max) == (None, None)
    given = batch("metrics", families=[Family("m", "exponential")], time_ns=AT)
    assert encode_metrics(convert(given).data).SerializeToString()


def test_numbers_keep_their_type_as_long_as_they_fit():
    values = {("a",): True, ("b",): 1 << 62, ("c",): 1 << 63, ("d",): float("inf")}
    family = MetricFamily.of("m", "gauge", values, label_names=("l",))
    found = [point.value for point in metric_of(family).data.data_points]
    assert found == [1, 1 << 62, float(1 << 63), float("inf")]
    assert [type(value) for value in found] == [int, int, float, float]


@pytest.mark.parametrize(
    ("family", "n"),
    [
        (MetricFamily.of("m", "counter", -1), 1),
        (MetricFamily.of("m", "counter", float("nan")), 1),
        (MetricFamily.of("m", "gauge", "5"), 1),
        (MetricFamily.of("m", "else", {(): 1}), 1),
        (MetricFamily("m", "gauge", blocks=[Block(("a",), [(), ()], [1, 2])]), 2),
        (
            MetricFamily(
                "m", "histogram", "", "", [Block((), [()], [1], [[1]])], (1.0,)
            ),
            1,
        ),
        (
            MetricFamily(
                "m", "histogram", "", "", [Block((), [()], [1], [[1, -1]])], (1,)
            ),
            1,
        ),
    ],
)
def test_a_point_that_is_none_is_left_out(family, n):
    good = MetricFamily.of("good", "counter", 1)
    assert [m.name for m in metrics_of(family, good, left_out=n)] == ["good"]
