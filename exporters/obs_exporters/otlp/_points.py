"""Points of metrics as OTLP has them, a block at a time: the hot path of a push.

A point is its labels, which are kept from one push to the next, and one ``struct.pack`` of
all its numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from math import inf
from struct import Struct
from typing import Any, TypeAlias

from obs.model import Block
from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._wire import sized, varint

Row: TypeAlias = tuple[str, ...]
Points: TypeAlias = tuple[list[bytes], int]
"""The points of a block, each a field of its metric, and how many were left out."""

_time = Struct("<BQ").pack
_start_and_time = Struct("<BQBQ").pack


class Prefixes:
    """The bytes with which points begin, kept from one batch to the next.

    Length and labels: what does not change with the numbers. Only those of the last batch
    are kept, so nothing stays of a series that is gone.

    Args:
        before: Those of the batch before.
    """

    def __init__(self, before: "Prefixes | None" = None) -> None:
        self._before = {} if before is None else before._kept
        self._kept: dict[tuple[Any, ...], tuple[list[Row], list[bytes]]] = {}

    def of(self, name: str, block: Block, tag: bytes, rest: int) -> list[bytes]:
        """Give the prefix of each row.

        Args:
            name: The metric's name.
            block: Its rows.
            tag: Of an attribute in this kind of point.
            rest: How many bytes will follow.

        Raises:
            ValueError: A row has more or less values than there are names.
        """
        rows = block.rows if isinstance(block.rows, list) else list(block.rows)
        key = (name, block.label_names, tag, rest)
        then, prefixes = self._before.get(key, ((), []))
        # The tuples are the same objects from push to push: comparing costs 1 ns each.
        if then != rows:
            known = dict(zip(then, prefixes, strict=True))
            names = block.label_names
            prefixes = [
                known.get(row) or prefix_of(names, row, tag, rest) for row in rows
            ]
        self._kept[key] = rows, prefixes
        return prefixes

    def end(self) -> None:
        """Let go of what the batch before had and this one has not."""
        self._before = {}


def prefix_of(names: Sequence[str], row: Row, tag: bytes, rest: int) -> bytes:
    """Give the tag of a point, its length, and its labels."""
    fields = b"".join(attributes(tag, dict(zip(names, row, strict=True))))
    return b"\x0a" + varint(len(fields) + rest) + fields


class Numbers:
    """Writes points that have one number: an integer or a double, as it came.

    Integers that do not fit 64 bits go out as doubles.

    Args:
        has_start: Whether they say since when they count; gauges do not count.
        least: No value may be below it. Where there is one, NaN is none, either.
    """

    tag = b"\x3a"

    def __init__(self, *, has_start: bool, least: float = -inf) -> None:
        self.has_start = has_start
        size = 18 if has_start else 9
        self.rest = size + 9
        self._least = least
        self._integer = Struct(f"<{size}sBq").pack
        self._double = Struct(f"<{size}sBd").pack

    def all(
        self, prefixes: list[bytes], heads: Iterable[bytes], block: Block
    ) -> list[bytes]:
        """Give the points whose values are in order; raises if one is very odd."""
        integer, double, least = self._integer, self._double, self._least
        columns = zip(prefixes, block.values, heads, strict=False)
        return [
            prefix + double(head, 0x21, value)
            if type(value) is float
            else prefix + integer(head, 0x31, value)
            for prefix, value, head in columns
            if value >= least
        ]

    def one(self, head: bytes, value: Any, _: object) -> bytes:
        """Give what follows the prefix; raises if there is no such point."""
        if not isinstance(value, int | float):
            raise TypeError
        if self._least != -inf and not value >= self._least:
            raise ValueError
        if isinstance(value, int):
            number = int.__int__(value)
            if -(1 << 63) <= number < 1 << 63:
                return self._integer(head, 0x31, number)
            value = number
        return self._double(head, 0x21, float(value))


class Histograms:
    """Writes points of a histogram with explicit bounds.

    Args:
        bounds: Its upper bounds.
    """

    tag = b"\x4a"
    has_start = True

    def __init__(self, bounds: Sequence[float]) -> None:
        size = 8 * (len(bounds) + 1)
        self._tag = b"\x32" + varint(size)
        packed = sized(Struct(f"<{len(bounds)}d").pack(*bounds))
        self._bounds = b"\x3a" + packed if bounds else b""
        form = Struct(
            f"<18sBQBd{len(self._tag)}s{len(bounds) + 1}Q{len(self._bounds)}s"
        )
        self.rest = form.size
        self._pack = form.pack

    def all(
        self, prefixes: list[bytes], heads: Iterable[bytes], block: Block
    ) -> list[bytes]:
        """Give all points; raises if one is odd."""
        pack, tag, bounds = self._pack, self._tag, self._bounds
        columns = zip(prefixes, block.values, block.counts, heads, strict=False)
        return [
            prefix + pack(head, 0x21, sum(counts), 0x29, value, tag, *counts, bounds)
            for prefix, value, counts, head in columns
        ]

    def one(self, head: bytes, value: Any, counts: Any) -> bytes:
        """Give what follows the prefix; raises if there is no such point."""
        tag, bounds = self._tag, self._bounds
        return self._pack(
            head, 0x21, sum(counts), 0x29, float(value), tag, *counts, bounds
        )


Writer: TypeAlias = Numbers | Histograms


def block_points(
    writer: Writer,
    name: str,
    block: Block,
    prefixes: Prefixes,
    times: tuple[int, int],
) -> Points:
    """Give the points of a block.

    Args:
        writer: How its points look.
        name: The metric's name.
        block: Its rows and their numbers.
        prefixes: Those of this batch.
        times: Since when it counts where the block does not say, and now.

    Returns:
        The points, and how many rows have none: a value is no number, a counter is
        negative, a histogram has another number of buckets than its bounds say.
    """
    total = len(block.rows)
    try:
        heads = _heads(block, writer, times)
        ready = prefixes.of(name, block, writer.tag, writer.rest)
        points = writer.all(ready, heads, block)
    except Exception:  # noqa: BLE001 - found out one by one
        points = []
    if len(points) != total:
        points = list(_one_by_one(writer, block, times))
    return points, total - len(points)


def _heads(block: Block, writer: Writer, times: tuple[int, int]) -> Iterable[bytes]:
    start_ns, time_ns = block.start_ns or times[0], times[1]
    if not writer.has_start:
        return repeat(_time(0x19, time_ns))
    head = _start_and_time(0x11, start_ns, 0x19, time_ns)
    if not block.starts:
        return repeat(head)
    starts = block.starts
    return [
        _start_and_time(0x11, starts[row], 0x19, time_ns) if row in starts else head
        for row in block.rows
    ]


def _one_by_one(
    writer: Writer, block: Block, times: tuple[int, int]
) -> Iterator[bytes]:
    columns = zip(
        block.rows,
        block.values,
        block.counts or repeat(()),
        _heads(block, writer, times),
        strict=False,
    )
    for row, value, counts, head in columns:
        try:
            rest = writer.one(head, value, counts)
            prefix = prefix_of(block.label_names, row, writer.tag, len(rest))
        except Exception:  # noqa: BLE001 - a row may hold anything
            continue
        yield prefix + rest
