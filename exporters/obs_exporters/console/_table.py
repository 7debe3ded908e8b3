"""Metrics as two tables: numbers, and what histograms saw since the last push."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from obs.encoding import printable, quantile
from obs.model import (
    HistogramPoint,
    MetricFamily,
    NumberPoint,
    Point,
    Snapshot,
    delta,
)

NUMBERS = ("metric", "labels", "value", "rate")
HISTOGRAMS = ("metric", "labels", "count", "mean", "p50", "p95", "max")
_TEXT_COLUMNS = 2
"""The first columns are text, to the left; the rest are numbers, to the right."""
_DURATIONS = ((60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "us"))
_SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


class Rows(NamedTuple):
    """The cells of the rows of both tables."""

    numbers: list[tuple[str, ...]]
    histograms: list[tuple[str, ...]]


def add_rows(
    rows: Rows, family: MetricFamily, old: MetricFamily | None, seconds: float
) -> None:
    """Add the rows of a metric.

    Args:
        rows: Where to; as it was if the family is broken.
        family: As it is now.
        old: As it was at the last push.
        seconds: How long ago that was, or since when there are metrics.
    """
    then = Snapshot([old] if old else [], 0, 0)
    (change,) = delta(then, Snapshot([family], 0, 0)).families
    numbers, histograms = Rows([], [])
    is_own = family.name.startswith("obs.")  # there are many, and mostly 0: good news
    for point, grown in zip(family.points, change.points, strict=True):
        head = (printable(family.name), _labels(point))
        if isinstance(point, NumberPoint) and isinstance(grown, NumberPoint):
            if is_own and not point.value:
                continue
            is_counter = family.kind == "counter" and seconds > 0
            rate = f"{grown.value / seconds:,.4g}/s" if is_counter else ""
            numbers.append((*head, amount(point.value, family.unit), rate))
        elif isinstance(grown, HistogramPoint) and (grown.count or not is_own):
            histograms.append((*head, *_histogram(grown, family.unit)))
    rows.numbers.extend(numbers)
    rows.histograms.extend(histograms)


def lay_out(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Give the lines of a table, aligned; none without rows."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if column < _TEXT_COLUMNS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def amount(value: float, unit: str) -> str:
    """Give a number for people: seconds and bytes with a fitting prefix.

    >>> amount(0.0031, "s"), amount(3 * 2**20, "By"), amount(12_345, "{order}")
    ('3.1 ms', '3 MiB', '12,345')
    """
    scale = {"s": _DURATIONS, "By": _SIZES}.get(unit)
    if scale is None or not value:
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    size, name = next((pair for pair in scale if abs(value) >= pair[0]), scale[-1])
    return f"{value / size:.4g} {name}"


def _labels(point: Point) -> str:
    pairs = [f"{name}={value}" for name, value in point.labels.items() if value]
    return printable(" ".join(pairs))


def _histogram(point: HistogramPoint, unit: str) -> tuple[str, ...]:
    if not point.count:
        return ("0", "", "", "", "")
    mean = amount(point.sum / point.count, unit)
    if not point.bounds:
        return (f"{point.count:,}", mean, "", "", "")
    p50, p95 = (
        amount(quantile(q, point.bounds, point.buckets), unit) for q in (0.5, 0.95)
    )
    highest = max(index for index, count in enumerate(point.buckets) if count)
    is_above = highest == len(point.bounds)
    bound = amount(point.bounds[highest - is_above], unit)
    most = f"> {bound}" if is_above else f"<= {bound}"
    return (f"{point.count:,}", mean, p50, p95, most)
