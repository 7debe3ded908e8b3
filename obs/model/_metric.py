"""Metrics as they are read: families of blocks, columns of numbers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal[
    "counter", "updown", "gauge", "histogram", "exponential", "info"
]
KINDS: tuple[Kind, ...] = (
    "counter",
    "updown",
    "gauge",
    "histogram",
    "exponential",
    "info",
)
Number: TypeAlias = int | float
Row: TypeAlias = tuple[str, ...]


class NumberPoint(NamedTuple):
    """One series of a counter, up-down counter, gauge or info at one moment.

    Attributes:
        labels: Label names to values.
        value: The number, in the family's unit.
        start_ns: Since when a counter counts, in ns since the epoch.
        exemplars: Sampled measurements with their traces.
    """

    labels: dict[str, str]
    value: Number
    start_ns: int = 0
    exemplars: tuple[object, ...] = ()


class HistogramPoint(NamedTuple):
    """One series of a histogram with explicit bounds at one moment.

    Attributes:
        labels: Label names to values.
        count: How many values were observed; the sum of ``buckets``.
        sum: Their sum, in the family's unit.
        bounds: B strictly rising upper bounds, inclusive.
        buckets: B + 1 counts, not cumulative; the last is above all bounds.
        start_ns: Since when it counts, in ns since the epoch.
        exemplars: Sampled measurements with their traces.
    """

    labels: dict[str, str]
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    sum: Number
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    start_ns: int = 0
    exemplars: tuple[object, ...] = ()


class ExponentialPoint(NamedTuple):
    """One series of an exponential histogram at one moment.

    Attributes:
        labels: Label names to values.
        count: How many values were observed.
        sum: Their sum, in the family's unit.
        scale: Bucket ``i`` holds ``base**i < v <= base**(i+1)``, base ``2**(2**-scale)``.
        zero_count: How many values were zero.
        offset: The index of the first of ``buckets``.
        buckets: Counts of positive values.
        min: The least value, or None before the first.
        max: The greatest value, or None before the first.
        start_ns: Since when it counts, in ns since the epoch.
        exemplars: Sampled measurements with their traces.

    Source: OpenTelemetry metrics data model, "ExponentialHistogram".
    """

    labels: dict[str, str]
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    sum: Number
    scale: int
    zero_count: int
    offset: int
    buckets: tuple[int, ...]
    min: Number | None = None
    max: Number | None = None
    start_ns: int = 0
    exemplars: tuple[object, ...] = ()


Point: TypeAlias = NumberPoint | HistogramPoint | ExponentialPoint


class Block:
    """The series of a family that have the same label names, as columns of length N.

    Attributes:
        label_names: L label names, the same for every row.
        rows: N tuples of L label values. Two snapshots of one series hold the same tuple
            object, so comparing two columns of rows is cheap.
        values: N numbers; for a histogram the N sums.
        counts: For a histogram N lists of B + 1 bucket counts, not cumulative; else
            empty.
        start_ns: Since when the block counts, in ns since the epoch.
        starts: The rows that began later (made anew after a removal), with their start.
    """

    __slots__ = ("counts", "label_names", "rows", "start_ns", "starts", "values")

    def __init__(
        self,
        label_names: Row,
        rows: Sequence[Row],
        values: Sequence[Number],
        counts: Sequence[Sequence[int]] = (),
        start_ns: int = 0,
        starts: Mapping[Row, int] | None = None,
    ) -> None:
        self.label_names = label_names
        self.rows = rows
        self.values = values
        self.counts = counts
        self.start_ns = start_ns
        self.starts = starts or {}

    def start_of(self, row: Row) -> int:
        """Give since when a row counts, in ns since the epoch."""
        return self.starts.get(row, self.start_ns)

    def __repr__(self) -> str:
        return f"Block({self.label_names!r}, {len(self.rows)} rows)"


class MetricFamily:
    """One metric: its name, kind, unit and help, and its series in blocks.

    Name, kind, unit and bounds agree inside a family; label names agree only inside a
    block.

    Attributes:
        name: The internal name, such as ``orders.placed``.
        kind: ``counter updown gauge histogram exponential info``.
        unit: A UCUM unit such as ``s``, ``By``, ``{order}``, or empty.
        help: What it measures, for people.
        blocks: The series.
        bounds: For a histogram the B strictly rising upper bounds; else empty.
    """

    __slots__ = ("blocks", "bounds", "help", "kind", "name", "unit")

    def __init__(
        self,
        name: str,
        kind: Kind,
        unit: str = "",
        help: str = "",
        blocks: Sequence[Block] = (),
        bounds: tuple[float, ...] = (),
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.unit = unit
        self.help = help
        self.blocks = blocks
        self.bounds = bounds

    @classmethod
    def of(
        cls,
        name: str,
        kind: Kind,
        values: Number | Mapping[Row, Number],
        *,
        label_names: Row = (),
        unit: str = "",
        help: str = "",
    ) -> "MetricFamily":
        """Make a family of numbers, as a collector yields it.

        Args:
            name: The internal name.
            kind: ``counter``, ``updown``, ``gauge`` or ``info``.
            values: One number, or numbers by label values.
            label_names: The names of those label values.
            unit: A UCUM unit.
            help: What it measures.

        Example:
            >>> from obs import MetricFamily
            >>> family = MetricFamily.of("jobs.done", "counter", {("a",): 3},
            ...                          label_names=("queue",))
            >>> family.points[0].labels, family.points[0].value
            ({'queue': 'a'}, 3)
        """
        rows = values if isinstance(values, Mapping) else {(): values}
        block = Block(label_names, list(rows), list(rows.values()))
        return cls(name, kind, unit, help, [block])

    @property
    def points(self) -> list[Point]:
        """The series as point objects, made anew at each call."""
        return list(self._iterate())

    def point(self, /, **labels: str) -> Point:
        """Give the series with exactly these labels.

        Args:
            labels: Label names, their dots written as ``_``, to values.

        Raises:
            KeyError: There is none; the text lists those that there are.
        """
        for point in self.points:
            found = {k.replace(".", "_"): v for k, v in point.labels.items()}
            if found == labels:
                return point
        there_are = [point.labels for point in self.points]
        text = f"no series {self.name!r} {labels}; there are {there_are}"
        raise KeyError(text)

    def value(self, /, **labels: str) -> Number:
        """Give the number of a series; of a histogram, how many values it has.

        Args and errors are those of ``point``.
        """
        point = self.point(**labels)
        return point.value if isinstance(point, NumberPoint) else point.count

    def _iterate(self) -> Iterator[Point]:
        for block in self.blocks:
            counts = block.counts or repeat(None)
            for row, value, buckets in zip(
                block.rows, block.values, counts, strict=False
            ):
                labels = dict(zip(block.label_names, row, strict=True))
                start_ns = block.start_of(row)
                if buckets is None:
                    yield NumberPoint(labels, value, start_ns)
                else:
                    yield HistogramPoint(
                        labels,
                        sum(buckets),
                        value,
                        self.bounds,
                        tuple(buckets),
                        start_ns,
                    )

    def __repr__(self) -> str:
        return f"MetricFamily({self.name!r}, {self.kind!r}, {list(self.blocks)!r})"
