"""Where a percentile has to be that was made of buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil, inf


def bucket_at(
    values: Sequence[float], bounds: Sequence[float], rank: float
) -> tuple[float, float]:
    """Return the lower and upper edge of the bucket of a rank, from 0 to 1."""
    index = min(max(ceil(rank * len(values)), 1), len(values)) - 1
    bucket = bisect_left(bounds, sorted(values)[index])
    edges = [0, *bounds, inf]
    return edges[bucket], edges[bucket + 1]


def check_quantile(
    value: float,
    values: Sequence[float],
    bounds: Sequence[float],
    q: float,
    off: float = 0.0,
) -> None:
    """Check that a percentile is in its bucket, or in that of a rank ``off`` away."""
    low, _ = bucket_at(values, bounds, q - off)
    _, high = bucket_at(values, bounds, q + off)
    assert low <= value <= high, (q, value, low, high)
