"""Series by what a backend calls them: those that it cannot tell apart become one."""

from collections.abc import Callable, Hashable, Iterable
from operator import add
from typing import Generic, NamedTuple, TypeVar

from obs.model import HistogramPoint, MetricFamily, NumberPoint, Point

K = TypeVar("K", bound=Hashable)


class Series(NamedTuple, Generic[K]):
    """What a push of metrics holds, by the backend's own names.

    Attributes:
        by_key: Family and point by key, in the order of the families.
        merged: How many points were added to another's.
        invalid: How many have no key, or cannot be added to the one that has it.
    """

    by_key: dict[K, tuple[MetricFamily, Point]]
    merged: int
    invalid: int


def series_by(
    families: Iterable[MetricFamily],
    key: Callable[[MetricFamily, dict[str, str]], K | None],
) -> Series[K]:
    """Give the series of families by what a backend will know each by.

    Args:
        families: What is to be pushed.
        key: Gives what the backend tells series apart by, of a family and a series' labels;
            None for what it cannot take. Two that have the same key become one: numbers
            and buckets add up, so that the backend's totals stay exact.
    """
    by_key: dict[K, tuple[MetricFamily, Point]] = {}
    merged = invalid = 0
    for family in families:
        for point in family.points:
            name = key(family, point.labels)
            if name is None:
                invalid += 1
                continue
            there = by_key.setdefault(name, (family, point))
            if there[1] is point:
                continue
            try:
                both = _sum(*there, family, point)
            except (ArithmeticError, TypeError):  # no float is as large as 10**400
                both = None
            if both is None:
                invalid += 1
            else:
                by_key[name] = there[0], both
                merged += 1
    return Series(by_key, merged, invalid)


def _sum(
    family: MetricFamily, first: Point, other: MetricFamily, second: Point
) -> Point | None:
    if family.kind != other.kind:
        return None
    if isinstance(first, NumberPoint) and isinstance(second, NumberPoint):
        value = first.value if family.kind == "info" else first.value + second.value
        return first._replace(value=value)
    if isinstance(first, HistogramPoint) and isinstance(second, HistogramPoint):
        if first.bounds != second.bounds:
            return None
        buckets = tuple(map(add, first.buckets, second.buckets))
        count, total = first.count + second.count, first.sum + second.sum
        return first._replace(count=count, sum=total, buckets=buckets)
    return None
