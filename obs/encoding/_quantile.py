"""A quantile from the buckets of a histogram."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


def quantile(q: float, bounds: Sequence[float], buckets: Sequence[int]) -> float:
    """Estimate a quantile from a histogram, as ``histogram_quantile`` does in PromQL.

    Inside a bucket values count as evenly spread. What lies above all bounds counts as
    the highest bound.

    Args:
        q: From 0 to 1.
        bounds: B strictly rising upper bounds.
        buckets: B + 1 counts, not cumulative; the last is above all bounds.

    Returns:
        The estimate in the unit of the bounds; NaN if nothing was observed.

    Example:
        >>> quantile(0.5, (1.0, 2.0), (0, 10, 0))
        1.5
    """
    cumulative = list(accumulate(buckets))
    rank = q * cumulative[-1]
    if not cumulative[-1]:
        return float("nan")
    index = bisect_left(cumulative, rank)
    while not buckets[index]:  # rank 0 stands before the first bucket with anything
        index += 1
    if index == len(bounds):
        return bounds[-1]
    # Below zero nobody knows where the first bucket begins.
    lower = bounds[index - 1] if index else min(0.0, bounds[0])
    share = (rank - (cumulative[index] - buckets[index])) / buckets[index]
    return lower + (bounds[index] - lower) * share
