"""A histogram as timed values: how many, which, and at what sample rate.

A StatsD server takes single values and computes percentiles itself. It is sent few values
that stand for all of a histogram.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from math import inf, isfinite, nextafter
from typing import NamedTuple

MOST_OBSERVATIONS = 1 << 50
"""Up to here a server that cuts ``1 / rate`` to a whole number finds the count."""


class Sample(NamedTuple):
    """Observations of one bucket, which are sent as one value.

    Attributes:
        value: Inside the bucket.
        weight: How many they are.
        lines: In how many lines they are sent.
    """

    value: float
    weight: int
    lines: int


def samples_of(
    bounds: Sequence[float],
    buckets: Sequence[int],
    total: float,
    *,
    most_lines: int | None,
    is_signed: bool,
) -> list[Sample]:
    """Give the samples of a histogram, in rising order.

    The values stand at the same share of each bucket, chosen so that the server's mean is
    the true one where the buckets allow it.

    Args:
        bounds: B strictly rising upper bounds, inclusive.
        buckets: B + 1 counts, not cumulative; the last is above all bounds.
        total: The sum of what was observed.
        most_lines: Among how many lines all observations are divided, as evenly as can be,
            for servers that do not weigh values: of N lines the I-th stands at the rank
            I / N. None: one line for each bucket, for servers that do.
        is_signed: Whether a value may be negative.

    Raises:
        ValueError: One would have to be, the sum is infinite, or there are too many.
    """
    observed = sum(buckets)
    is_possible = observed <= MOST_OBSERVATIONS and min(buckets, default=0) >= 0
    if not is_possible or not isfinite(total):
        raise ValueError
    if not observed:
        return []
    if most_lines is None:
        weights, lines = buckets, [int(count > 0) for count in buckets]
        values = _values(bounds, weights, total, is_signed)
    else:
        weights, lines = _by_rank(buckets, observed, min(observed, most_lines))
        values = _values(bounds, lines, total * sum(lines) / observed, is_signed)
    samples = [Sample(*each) for each in zip(values, weights, lines, strict=True)]
    samples = [sample for sample in samples if sample.lines]
    for sample in samples:
        if not isfinite(sample.value) or (sample.value < 0 and not is_signed):
            raise ValueError
    return samples


def _by_rank(
    buckets: Sequence[int], observed: int, lines: int
) -> tuple[list[int], list[int]]:
    """Give how many observations, in how many lines, stand for each bucket.

    The line ``i`` (from 1) stands for the ranks up to ``ceil(i * observed / lines)``, by
    the value of the last.
    """
    last = [below * lines // observed for below in accumulate(buckets)]
    ranks = [-(-line * observed // lines) for line in last]
    pairs = zip([0, *ranks], ranks, strict=False)
    weights = [rank - before for before, rank in pairs]
    return weights, [now - then for then, now in zip([0, *last], last, strict=False)]


def _values(
    bounds: Sequence[float], counts: Sequence[int], total: float, is_signed: bool
) -> list[float]:
    """Give a value in each bucket, so that as many as ``counts`` add up to ``total``."""
    if not bounds:
        return [_inside(total / counts[0], -inf, inf)]
    lower = [min(0.0, bounds[0]), *bounds]
    if not is_signed:
        lower = [max(0.0, edge) for edge in lower]
    upper = [*bounds, bounds[-1]]
    closed = list(zip(counts[:-1], lower, upper, strict=False))
    if counts[-1]:
        rest = total - sum(n * (low + high) / 2 for n, low, high in closed)
        lower[-1] = upper[-1] = max(rest / counts[-1], lower[-1])
    room = sum(n * (high - low) for n, low, high in closed)
    missing = total - sum(n * low for n, low in zip(counts, lower, strict=True))
    share = min(max(missing / room, 0.0), 1.0) if room > 0 else 1.0
    # A bucket below zero has its upper edge below the lower, where none may be negative.
    values = [
        low + share * (high - low) if high >= low else high
        for low, high in zip(lower, upper, strict=True)
    ]
    edges = zip([-inf, *bounds], [*bounds, inf], strict=True)
    return [_inside(value, *edge) for value, edge in zip(values, edges, strict=True)]


def _inside(value: float, low: float, high: float) -> float:
    """Give a value in 12 digits, above the bound below it, which is not its bucket's."""
    short = min(float(f"{value:.12g}"), high)
    return short if short > low else nextafter(low, inf)


@lru_cache(maxsize=4096)
def rate_of(weight: int) -> str:
    """Give the sample rate at which one line counts as ``weight``.

    Of the numbers up to a million, 78,346 are not what comes back when ``1 / n`` is
    inverted and cut, as most servers do: 49 becomes 48.
    """
    rate = 1 / weight
    if int(1 / rate) < weight:
        rate = nextafter(rate, -inf)
    return decimal(rate)


def decimal(value: float) -> str:
    """Give a finite number in decimal digits, without an exponent."""
    if value == int(value):
        return str(int(value))
    text = repr(float(value))
    return f"{Decimal(text):f}" if "e" in text else text
