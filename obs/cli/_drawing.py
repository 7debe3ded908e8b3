"""Traces drawn for stdout: as wide as the terminal, in the characters that it has."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from shutil import get_terminal_size

from obs.model import SpanRecord
from obs.waterfall import MAX_WIDTH, MIN_WIDTH, waterfall

USUAL_WIDTH = 100
"""Of what is no terminal."""


def draw(
    spans: Sequence[SpanRecord],
    service: Callable[[SpanRecord], str],
    *,
    width: int | None = None,
    ascii: bool = False,
) -> str:
    """Draw all these spans as ``waterfall`` does.

    Args:
        spans: Finished spans.
        service: Gives the service that a span comes from.
        width: How many columns a line has at most; those of the terminal when None.
        ascii: Whether to use ASCII even where stdout has more.
    """
    columns = width or get_terminal_size((USUAL_WIDTH, 0)).columns
    drawn = partial(
        waterfall,
        spans,
        width=max(MIN_WIDTH, min(columns, MAX_WIDTH)),
        max_rows=max(len(spans), 1),
        service=service,
    )
    text = drawn(ascii=ascii)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = drawn(ascii=True)
    return text
