"""A dashboard as it is thought of: rows of panels that ask something."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from obs.dashboards._metric import Metric
from obs.dashboards._queries import Query

Draw: TypeAlias = Literal["lines", "areas", "stat", "bars", "heat", "table"]
Ask: TypeAlias = Query | tuple[Query, str]
"""A query, and what its line is called besides the labels that it has."""


class Panel(NamedTuple):
    """One panel.

    Attributes:
        title: What it shows.
        asks: What it asks; a backend leaves out what it cannot ask.
        draw: How.
        help: For the ``i`` in its corner; that of the first metric if empty.
        width: Of 24 columns.
        line: Where a line marks the limit between good and bad.
        whole: Whether the largest value that there can be is 1.
        otherwise: What stands in its place where the backend can answer nothing of it.
    """

    title: str
    asks: Sequence[Ask]
    draw: Draw = "lines"
    help: str = ""
    width: int = 0
    line: float | None = None
    whole: bool = False
    otherwise: "Panel | None" = None


class Row(NamedTuple):
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


class Chooser(NamedTuple):
    """A label whose values can be chosen at the head of a dashboard."""

    label: str
    metric: Metric


class Board(NamedTuple):
    """One dashboard.

    Attributes:
        key: Its name in files and addresses: lower-case letters.
        title: What it is called.
        help: What it is for.
        rows: What it shows.
        choosers: What can be chosen besides service and instance.
        hours: How far back it looks.
    """

    key: str
    title: str
    help: str
    rows: Sequence[Row]
    choosers: Sequence[Chooser] = ()
    hours: int = 1


def asked(ask: Ask) -> tuple[Query, str]:
    """Give the query and the name of its line."""
    # Queries are tuples, too.
    return ask if type(ask) is tuple else (ask, "")  # type: ignore[return-value]


def queries_of(board: Board) -> list[Query]:
    """Give everything that a dashboard asks."""
    panels = [panel for row in board.rows for panel in row.panels]
    return [asked(ask)[0] for panel in panels for ask in panel.asks]
