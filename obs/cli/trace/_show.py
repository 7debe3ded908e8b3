"""Reading, choosing and drawing."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from obs.cli._drawing import draw
from obs.cli.trace._read import SERVICE, Reading, read_spans
from obs.encoding import printable
from obs.model import SpanRecord

STDIN = "-"


class Wanted(NamedTuple):
    """Which traces to show.

    Attributes:
        prefix: How the id begins, in lower-case hexadecimal; empty for any.
        last: How many of those that began last, or None for all.
        slowest: How many of the longest, or None for all.
    """

    prefix: str = ""
    last: int | None = None
    slowest: int | None = None


def show(
    paths: Sequence[str], wanted: Wanted, *, width: int | None, ascii: bool
) -> int:
    """Print the traces of files, and give the exit code: 1 if there is none to show."""
    spans: list[SpanRecord] = []
    for path in paths:
        try:
            reading = read_spans(_text_of(path))
        except OSError as error:
            return _say(f"{printable(path)}: {error.strerror}.")
        spans += reading.spans
        if reading.broken:
            _say(_broken(path, reading))
    where = printable(", ".join(paths))
    if not spans:
        return _say(f"no span in {where}.")
    traces = choose(spans, wanted)
    if not traces:
        return _say(f"no trace in {where} begins with {wanted.prefix}.")
    drawn = [
        draw(trace, lambda span: span.attributes[SERVICE], width=width, ascii=ascii)
        for trace in traces
    ]
    print("\n\n".join(drawn))
    return 0


def choose(spans: Sequence[SpanRecord], wanted: Wanted) -> list[list[SpanRecord]]:
    """Give the wanted traces by their first start; the slowest by how long they took."""
    traces: dict[str, list[SpanRecord]] = {}
    for span in spans:
        trace = f"{span.context.trace:032x}"
        if trace.startswith(wanted.prefix):
            traces.setdefault(trace, []).append(span)
    found = sorted(traces.values(), key=_start)
    if wanted.slowest is not None:
        return sorted(found, key=_duration, reverse=True)[: wanted.slowest]
    return found if wanted.last is None else found[-wanted.last :]


def _start(trace: Sequence[SpanRecord]) -> int:
    return min(span.start_ns for span in trace)


def _duration(trace: Sequence[SpanRecord]) -> int:
    return max(span.end_ns for span in trace) - _start(trace)


def _text_of(path: str) -> str:
    if path == STDIN:
        data = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            data = file.read()
    # Torn lines are torn inside characters, too.
    return data.decode("utf-8-sig", "replace")


def _broken(path: str, reading: Reading) -> str:
    lines = "line" if reading.lines == 1 else "lines"
    count = len(reading.broken)
    verb = "is" if count == 1 else "are"
    return (
        f"{printable(path)}: {count} of {reading.lines} {lines} {verb} broken, "
        f"the first is line {reading.broken[0]}."
    )


def _say(text: str) -> int:
    print(f"obs trace show: {text}", file=sys.stderr)
    return 1
