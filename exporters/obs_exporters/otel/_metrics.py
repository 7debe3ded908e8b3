"""Families of metrics as the SDK's ``MetricsData``.

Kinds and names are those of OTLP: a counter is a monotonic sum, an up-down counter and an
info (ones) sums that are not. Exemplars are left out, and least and greatest values of
histograms with explicit bounds are not known.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from obs.catalog import CATALOG
from obs.model import (
    Batch,
    ExponentialPoint,
    HistogramPoint,
    Kind,
    MetricFamily,
    NumberPoint,
)
from obs_exporters._push import attempt
from obs_exporters.otel._common import Converted, resource_of, scope_of


class _Times(NamedTuple):
    """Where a batch begins, for points that do not say it, and when it was made."""

    start_ns: int
    time_ns: int


Write: TypeAlias = Callable[[Any, _Times], Any]


def convert(batch: Batch) -> Converted:
    """Give all families of a batch.

    A point is left out where its number is none, or its buckets do not fit the bounds.
    """
    metrics, records, left_out = [], 0, 0
    times = _Times(batch.start_ns, batch.time_ns)
    for family in batch.families:
        points, bad = _points(family, times)
        left_out += bad
        records += len(points)
        if points:
            metrics.append(_metric(family, points, batch.temporality == "delta"))
    of_scope = ScopeMetrics(scope_of(batch.scope), metrics, "")
    of_resource = ResourceMetrics(resource_of(batch.resource), [of_scope], "")
    return Converted(MetricsData([of_resource]), records, left_out)


def _points(family: MetricFamily, times: _Times) -> tuple[list[Any], int]:
    try:
        write, given = _WRITE[family.kind], family.points
    except (KeyError, ValueError):  # rows that do not fit their label names
        return [], sum(len(block.rows) for block in family.blocks)
    found = [attempt(write, point, times) for point in given]
    points = [point for point in found if point is not None]
    return points, len(given) - len(points)


def _metric(family: MetricFamily, points: Sequence[Any], is_delta: bool) -> Metric:
    builtin = CATALOG.get(family.name)
    name = (builtin and builtin.otlp) or family.name
    # Up-down counters stay as they are: their changes are no rate of anything.
    is_delta = is_delta and family.kind not in ("updown", "info")
    temporality = (
        AggregationTemporality.DELTA if is_delta else AggregationTemporality.CUMULATIVE
    )
    data: Any
    if family.kind == "gauge":
        data = Gauge(points)
    elif family.kind == "histogram":
        data = Histogram(points, temporality)
    elif family.kind == "exponential":
        data = ExponentialHistogram(points, temporality)
    else:
        data = Sum(points, temporality, is_monotonic=family.kind == "counter")
    return Metric(name, family.help, family.unit, data)


def _counted(point: NumberPoint, times: _Times) -> NumberDataPoint:
    if not point.value >= 0:  # NaN, too
        raise ValueError
    return _summed(point, times)


def _summed(point: NumberPoint, times: _Times) -> NumberDataPoint:
    start_ns = point.start_ns or times.start_ns
    return NumberDataPoint(point.labels, start_ns, times.time_ns, _number(point.value))


def _one(point: NumberPoint, times: _Times) -> NumberDataPoint:
    return _summed(point._replace(value=1), times)


def _gauge(point: NumberPoint, times: _Times) -> NumberDataPoint:
    start: Any = None  # as the SDK has it: a gauge does not count
    return NumberDataPoint(point.labels, start, times.time_ns, _number(point.value))


def _histogram(point: HistogramPoint, times: _Times) -> HistogramDataPoint:
    if len(point.buckets) != len(point.bounds) + 1 or min(point.buckets) < 0:
        raise ValueError
    unknown: Any = None
    return HistogramDataPoint(
        point.labels,
        point.start_ns or times.start_ns,
        times.time_ns,
        point.count,
        _number(point.sum),
        point.buckets,
        point.bounds,
        min=unknown,
        max=unknown,
    )


def _exponential(
    point: ExponentialPoint, times: _Times
) -> ExponentialHistogramDataPoint:
    least: Any = point.min
    greatest: Any = point.max
    return ExponentialHistogramDataPoint(
        point.labels,
        point.start_ns or times.start_ns,
        times.time_ns,
        point.count,
        _number(point.sum),
        point.scale,
        point.zero_count,
        Buckets(point.offset, point.buckets),
        Buckets(0, ()),
        flags=0,
        min=least,
        max=greatest,
    )


def _number(value: Any) -> int | float:
    """Give a number of a plain type; an integer that does not fit 64 bits as a float."""
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return int(value)
    if isinstance(value, int | float):
        return float(value)
    raise TypeError


_WRITE: dict[Kind, Write] = {
    "counter": _counted,
    "updown": _summed,
    "info": _one,
    "gauge": _gauge,
    "histogram": _histogram,
    "exponential": _exponential,
}
