"""The whole registry, read at one moment, and the difference of two readings."""

from collections.abc import Iterator, Sequence
from typing import Any

from obs.model._metric import Block, HistogramPoint, MetricFamily, Number, Row


class Snapshot:
    """What a registry held at one moment: iterate it for its families.

    Attributes:
        families: In the order of definition.
        start_ns: Since when the process counts, in ns since the epoch.
        time_ns: When it was read, in ns since the epoch.
    """

    __slots__ = ("families", "start_ns", "time_ns")

    def __init__(
        self, families: Sequence[MetricFamily], start_ns: int, time_ns: int
    ) -> None:
        self.families = families
        self.start_ns = start_ns
        self.time_ns = time_ns

    def __iter__(self) -> Iterator[MetricFamily]:
        return iter(self.families)

    def __len__(self) -> int:
        return len(self.families)

    def __getitem__(self, name: str) -> MetricFamily:
        for family in self.families:
            if family.name == name:
                return family
        there_are = [family.name for family in self.families]
        text = f"no metric {name!r}; there are {there_are}"
        raise KeyError(text)

    def as_dict(self) -> dict[str, Any]:
        """Give the snapshot as plain dictionaries and lists that JSON can hold.

        Returns:
            Metric name to ``{"kind", "unit", "help", "series"}``; each of the series has
            ``labels`` and a ``value``, or ``count``, ``sum`` and ``buckets`` as pairs of
            upper bound (None above all bounds) and count, not cumulative.
        """
        return {
            family.name: {
                "kind": family.kind,
                "unit": family.unit,
                "help": family.help,
                "series": [_plain(point) for point in family.points],
            }
            for family in self.families
        }


def _plain(point: Any) -> dict[str, Any]:
    if isinstance(point, HistogramPoint):
        bounds = (*point.bounds, None)
        buckets = [list(pair) for pair in zip(bounds, point.buckets, strict=True)]
        return {
            "labels": point.labels,
            "count": point.count,
            "sum": point.sum,
            "buckets": buckets,
        }
    return {"labels": point.labels, "value": point.value}


def delta(previous: Snapshot, current: Snapshot) -> Snapshot:
    """Give what was counted between two snapshots of one registry; pure.

    Counters and histograms become their increase; a series that is new, or was made
    anew, has counted from zero. Everything else stays as it is now.

    Args:
        previous: The earlier snapshot.
        current: The later one.

    Returns:
        A snapshot of the same families and rows as ``current``, from the time of
        ``previous`` to that of ``current``.
    """
    before = {
        (family.name, family.kind, block.label_names, row): (block, index)
        for family in previous.families
        for block in family.blocks
        for index, row in enumerate(block.rows)
    }
    families = []
    for family in current.families:
        if family.kind not in ("counter", "histogram"):
            families.append(family)
            continue
        blocks = []
        for block in family.blocks:
            old = [
                before.get((family.name, family.kind, block.label_names, row))
                for row in block.rows
            ]
            blocks.append(_increase(block, old, previous.time_ns))
        families.append(
            MetricFamily(
                family.name,
                family.kind,
                family.unit,
                family.help,
                blocks,
                family.bounds,
            )
        )
    return Snapshot(families, previous.time_ns, current.time_ns)


def _increase(
    block: Block, old: Sequence[tuple[Block, int] | None], since_ns: int
) -> Block:
    values: list[Number] = list(block.values)
    counts = [list(buckets) for buckets in block.counts]
    starts: dict[Row, int] = {}
    for index, (row, match) in enumerate(zip(block.rows, old, strict=True)):
        if match is None or match[0].start_of(row) != block.start_of(row):
            starts[row] = max(block.start_of(row), since_ns)
            continue
        earlier, at = match
        if values[index] < earlier.values[at] and not counts:
            continue  # a foreign counter that fell has started again
        values[index] -= earlier.values[at]
        if counts:
            counts[index] = [
                now - then
                for now, then in zip(counts[index], earlier.counts[at], strict=True)
            ]
    return Block(block.label_names, block.rows, values, counts, since_ns, starts)
