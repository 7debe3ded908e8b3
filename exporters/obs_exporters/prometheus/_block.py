"""Blocks as both hot paths take them: their labels as text, and their lines."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from obs.model import Block
from obs_exporters.prometheus._format import escaped

Row = tuple[str, ...]


class Chunk(NamedTuple):
    """The template of some series that stand one after the other; immutable.

    Attributes:
        rows: Their label values, the registry's own tuples; None if the template must
            not be used again.
        template: One line for each, with ``%s`` for the value.
    """

    rows: Sequence[Row] | None
    template: str


class BlockLines(NamedTuple):
    """The lines of one block.

    Attributes:
        lines: Encoded, several in each.
        chunks: What the next page can use again; none for histograms.
        left_out: How many series have a value that is no number.
    """

    lines: list[bytes]
    chunks: Sequence[Chunk]
    left_out: int


_ESCAPED = ("\\", "\n", '"')


def label_texts(names: Row, rows: Sequence[Row]) -> list[str]:
    """Give ``a="x",b="y"`` for each row, escaped; empty where there are no names.

    Raises:
        TypeError: A row has another number of values.
    """
    form = label_form(names)
    return [form % row for row in escaped_rows(as_texts(rows))]


def label_form(names: Row) -> str:
    """Give what a row of values goes into by ``%``."""
    return ",".join([f'{name}="%s"' for name in names])


def as_texts(rows: Sequence[Row]) -> Sequence[Row]:
    """Give rows as tuples of text: themselves where they are that, as ours are."""
    if {tuple}.issuperset(map(type, rows)) and {str}.issuperset(
        map(type, chain.from_iterable(rows))
    ):
        return rows
    return [tuple([label_value(value) for value in row]) for row in rows]


def escaped_rows(rows: Sequence[Row], *, in_template: bool = False) -> Sequence[Row]:
    """Give rows with their values escaped.

    Args:
        rows: Tuples of text.
        in_template: Whether ``%`` is to be doubled too.
    """
    # One search in the text of all rows: a tenth of the cost of asking each value.
    text = "".join(chain.from_iterable(rows))
    if any(character in text for character in _ESCAPED):
        rows = [tuple([escaped(value) for value in row]) for row in rows]
    if in_template and "%" in text:
        rows = [tuple([value.replace("%", "%%") for value in row]) for row in rows]
    return rows


def check_columns(block: Block) -> None:
    """Raise ValueError where the columns of a block differ in length."""
    if len(block.rows) != len(block.values):
        text = f"it has {len(block.rows)} rows and {len(block.values)} values"
        raise ValueError(text)


def label_value(value: Any) -> str:
    """Give the text of what somebody else's collector took for a label value."""
    if isinstance(value, str):
        return str.__str__(value)  # an Enum's own __str__ gives its name
    return "" if value is None else str(value)
