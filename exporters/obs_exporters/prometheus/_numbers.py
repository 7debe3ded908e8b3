"""Lines of counters, up-down counters, gauges and infos: the hot path of a scrape.

A page of 100,000 counters is one ``%`` for each CHUNK of series: what does not change
between two pages, name and labels, is kept as a template, and the numbers go in. Kept
for each series: its line and one reference.
"""

from collections.abc import Sequence
from itertools import repeat
from math import inf

from obs.model import Block
from obs_exporters.prometheus._block import (
    BlockLines,
    Chunk,
    Row,
    as_texts,
    check_columns,
    escaped_rows,
    label_form,
)
from obs_exporters.prometheus._format import encoded
from obs_exporters.prometheus._values import are_plain, value_text

CHUNK = 256
"""Series in one template: 64 are slower by a tenth, 1,024 faster by a twentieth, but are
made anew where one of them goes. An f-string for each series with its kept prefix takes
half as long again, and 57 bytes more of each (CPython 3.11 and 3.13).
"""


def number_lines(
    sample: str, names: Row, block: Block, kept: Sequence[Chunk], least: float = -inf
) -> BlockLines:
    """Give the lines of a block.

    Args:
        sample: The name of the samples.
        names: The names of the labels on the page.
        block: Its series.
        kept: The chunks of the page before, for the same names.
        least: No value may be below it.

    Raises:
        ValueError, TypeError: The block is not in order.
    """
    check_columns(block)
    lines: list[bytes] = []
    chunks: list[Chunk] = []
    left_out = 0
    rows = block.rows if isinstance(block.rows, list) else list(block.rows)
    for index, start in enumerate(range(0, len(rows), CHUNK)):
        part = rows[start : start + CHUNK]
        chunk = kept[index] if index < len(kept) else None
        # The tuples are the same objects from page to page: comparing costs 10 ns each.
        if chunk is None or chunk.rows != part:
            chunk = _make_chunk(sample, names, part)
        chunks.append(chunk)
        values = tuple(block.values[start : start + CHUNK])
        if are_plain(values, least):
            lines.append(encoded(chunk.template % values))
        else:
            text, missing = _odd_lines(chunk.template, values, least)
            lines.append(encoded(text))
            left_out += missing
    return BlockLines(lines, chunks, left_out)


def info_lines(
    sample: str, names: Row, block: Block, kept: Sequence[Chunk]
) -> BlockLines:
    """Give the lines of an info's block: its values are always 1."""
    ones = [*repeat(1, len(block.rows))]
    shown = Block(block.label_names, block.rows, ones)
    return number_lines(sample, names, shown, kept)


def _make_chunk(sample: str, names: Row, rows: list[Row]) -> Chunk:
    texts = as_texts(rows)
    labels = f"{{{label_form(names)}}}" if names else ""
    form = f"{sample}{labels} %%s\n"
    ready = escaped_rows(texts, in_template=True)
    template = "".join([form % row for row in ready])
    # What was no text may change without the rows being unequal: 1 == True.
    return Chunk(rows if texts is rows else None, template)


def _odd_lines(
    template: str, values: Sequence[object], least: float
) -> tuple[str, int]:
    """Give the lines of a chunk whose values are not all plain, and how many are out."""
    texts = [value_text(value, least) for value in values]
    lines = [
        f"{line}\n" % (text,)
        for line, text in zip(template.split("\n"), texts, strict=False)
        if text is not None
    ]
    return "".join(lines), len(texts) - len(lines)
