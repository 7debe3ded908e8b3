"""The numbers of a point, each with the path it has."""

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple, TypeAlias

from obs.encoding import quantile
from obs.model import HistogramPoint, NumberPoint, Point
from obs_exporters.graphite._paths import Path

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
Histograms: TypeAlias = Mapping[Path, HistogramPoint]


class Value(NamedTuple):
    """A path and its number."""

    path: str
    number: float


def values_of(path: Path, point: Point, before: Histograms | None) -> list[Value]:
    """Give what is sent of a point: its number, or count and sum and more.

    Args:
        path: What Graphite calls it.
        point: Totals.
        before: The histograms of the last push, for the percentiles of what was observed
            since; None for buckets.

    Raises:
        Exception: It cannot be sent: it is not finite, or no point.
    """
    if isinstance(point, NumberPoint):
        return [Value(path.text(), _finite(point.value))]
    if not isinstance(point, HistogramPoint):
        raise TypeError(point)
    values = [
        Value(path.text("count"), _finite(point.count)),
        Value(path.text("sum"), _finite(point.sum)),
    ]
    if before is None:
        return values + _buckets(path, point)
    return values + _percentiles(path, point, before.get(path))


def text_of(number: float) -> str:
    """Give the shortest text that reads back as a number."""
    return repr(number).removesuffix(".0")


def _buckets(path: Path, point: HistogramPoint) -> list[Value]:
    """Give how many values were at most each bound."""
    bounds = [text_of(_finite(bound)) for bound in point.bounds]
    values, count = [], 0
    for bound, n in zip((*bounds, "+Inf"), point.buckets, strict=True):
        count += n
        values.append(Value(path.text("bucket", bound), _finite(count)))
    return values


def _percentiles(
    path: Path, point: HistogramPoint, before: HistogramPoint | None
) -> list[Value]:
    buckets = _since(point, before)
    if not point.bounds or not any(buckets):
        return []
    return [
        Value(path.text(suffix), _finite(quantile(q, point.bounds, buckets)))
        for suffix, q in QUANTILES.items()
    ]


def _since(point: HistogramPoint, before: HistogramPoint | None) -> list[int]:
    buckets = list(point.buckets)
    if (
        before is None
        or before.start_ns != point.start_ns
        or before.bounds != point.bounds
    ):
        return buckets
    increase = [now - then for now, then in zip(buckets, before.buckets, strict=True)]
    return buckets if min(increase) < 0 else increase  # it has started again


def _finite(number: float) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError(value)
    return value
