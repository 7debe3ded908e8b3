"""Series that a reader of the page takes for one become one."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from obs.model import Block, HistogramPoint, MetricFamily, Point
from obs_exporters._series import count_points, series_by
from obs_exporters.prometheus._block import Row, as_texts, label_value
from obs_exporters.prometheus._format import repaired


class United(NamedTuple):
    """What families of one name on the page have become.

    Attributes:
        family: One, whose series differ for every reader.
        merged: How many series were added to others.
        invalid: How many could not be.
    """

    family: MetricFamily
    merged: int = 0
    invalid: int = 0


def united(families: Sequence[MetricFamily]) -> United:
    """Give families that have one name on the page as one.

    Readers take an empty label for none, and a lone surrogate is not in UTF-8: series that
    differ in nothing else are added up. Kind, unit, help and bounds are those of the first
    family; of another with another kind, or other bounds, nothing is there.

    Args:
        families: At least one; their labels are those of the page.

    Raises:
        Exception: Anything: a foreign family may hold what it likes. Nothing of it can be
            shown.
    """
    first = families[0]
    if len(families) == 1 and _all_differ(first):
        return United(first)
    alike = [
        it for it in families if (it.kind, it.bounds) == (first.kind, first.bounds)
    ]
    others = sum(map(count_points, families)) - sum(map(count_points, alike))
    found = series_by(alike, _seen_labels)
    if found.invalid and not found.by_key:
        raise ValueError(first)
    points = [point for _, point in found.by_key.values()]
    return United(_of(first, points), found.merged, found.invalid + others)


def _all_differ(family: MetricFamily) -> bool:
    """Say whether all series differ for certain, as those of our registry mostly do."""
    filled = [block for block in family.blocks if block.rows]
    if not filled:
        return True
    rows = filled[0].rows
    if len(filled) > 1 or as_texts(rows) is not rows or len(set(rows)) != len(rows):
        return False
    try:
        "".join(chain.from_iterable(rows)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _seen_labels(_: MetricFamily, labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    texts = {name: repaired(label_value(value)) for name, value in labels.items()}
    return frozenset([(name, text) for name, text in texts.items() if text])


def _of(first: MetricFamily, points: Iterable[Point]) -> MetricFamily:
    by_names: dict[Row, list[Point]] = {}
    for point in points:
        by_names.setdefault(tuple(point.labels), []).append(point)
    blocks = [
        Block(
            names,
            [tuple(point.labels.values()) for point in alike],
            [it.sum if isinstance(it, HistogramPoint) else it.value for it in alike],  # type: ignore[union-attr]  # no exponential ones
            [it.buckets for it in alike if isinstance(it, HistogramPoint)],
        )
        for names, alike in by_names.items()
    ]
    return MetricFamily(
        first.name, first.kind, first.unit, first.help, blocks, first.bounds
    )
