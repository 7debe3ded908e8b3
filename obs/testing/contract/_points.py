"""Points in neutral form, and whether those that arrived are those that were sent."""

from collections.abc import Iterable, Sequence
from math import isclose
from typing import TypeAlias

from obs.model import HistogramPoint, MetricFamily, NumberPoint, Payload
from obs.testing.contract._driver import Driver, text_of
from obs.testing.contract._forms import Arrived, Histogram, Number

Point: TypeAlias = Number | Histogram
Key: TypeAlias = tuple[str, frozenset[tuple[str, str]]]


def points_of(families: Iterable[MetricFamily]) -> list[Point]:
    """Give the points of families in neutral form."""
    points: list[Point] = []
    for family in families:
        for point in family.points:
            if isinstance(point, HistogramPoint):
                _, count, total, bounds, buckets, *_ = point
                points.append(
                    Histogram(family.name, point.labels, count, total, bounds, buckets)
                )
            elif isinstance(point, NumberPoint):
                points.append(Number(family.name, point.labels, point.value))
    return points


def key_of(point: Point) -> Key:
    """Give by what a point is the same series as another."""
    return point.name, frozenset(point.labels.items())


def is_close(left: Point, right: Point) -> bool:
    """Whether two points say the same."""
    if isinstance(left, Number) and isinstance(right, Number):
        return isclose(left.value, right.value, rel_tol=1e-9)
    return (
        isinstance(left, Histogram)
        and isinstance(right, Histogram)
        and isclose(left.count, right.count, rel_tol=1e-9)
        and isclose(left.sum, right.sum, rel_tol=1e-9, abs_tol=1e-9)
        and list(left.bounds) == list(right.bounds)
        and list(left.buckets) == list(right.buckets)
    )


def is_zero(point: Point) -> bool:
    """Whether a point says that nothing was counted."""
    return (point.value if isinstance(point, Number) else point.count) == 0


def expected(driver: Driver, families: Iterable[MetricFamily]) -> list[Point]:
    """Give what a backend shall get of families."""
    arriving = (driver.rig.expect(point) for point in points_of(families))
    return [point for point in arriving if point is not None]


def compare(
    driver: Driver, wanted: Sequence[Point], arrived: Sequence[Arrived]
) -> None:
    """Check that the points that arrived are those that were sent, each once.

    An exporter of increases may leave out where nothing was counted.
    """
    keys = {key_of(point) for point in wanted}
    found: dict[Key, Point] = {}
    strays: list[Arrived] = []
    for came in arrived:
        if not isinstance(came, Number | Histogram) or (
            key_of(came) in found or key_of(came) not in keys
        ):
            strays.append(came)
        else:
            found[key_of(came)] = came
    missing = [
        point
        for point in wanted
        if key_of(point) not in found and not (driver.is_delta and is_zero(point))
    ]
    driver.need(
        not missing and not strays,
        f"of {len(wanted)} points {len(missing)} did not arrive {text_of(missing[:1])}, "
        f"and {len(strays)} arrived that were not sent, or twice {text_of(strays[:1])}. "
        "Each point of a batch arrives once, empty labels and zeros too.",
    )
    for point in wanted:
        came = found.get(key_of(point), point)
        driver.need(
            is_close(point, came),
            f"{text_of(came)} arrived, {text_of(point)} was sent. Values arrive as they "
            "are.",
        )


def check_counted(
    driver: Driver, payloads: Sequence[Payload], n: int, what: str
) -> None:
    """Check that payloads account for each of ``n`` records or points."""
    records = sum(p.records for p in payloads)
    dropped = sum(sum(p.dropped.values()) for p in payloads)
    merged = sum(p.merged for p in payloads)
    driver.need(
        records + dropped + merged == n,
        f"of {n} {what} the payloads count {records} in records, {dropped} in dropped and "
        f"{merged} in merged. Each is counted once: nothing is lost in silence.",
    )
