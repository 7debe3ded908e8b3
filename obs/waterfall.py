"""A finished trace as text: the tree of its spans on the left, their times on the right.

The picture is that of B. H. Sigelman et al., "Dapper, a Large-Scale Distributed Systems
Tracing Infrastructure" (2010), figure 2, and of OpenTracing's "temporal relationships".
Pure functions; nothing in a record can make them raise, forge a line or an escape sequence.
"""

import math
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, shown
from obs.model import SpanEvent, SpanRecord, TraceContext

_Service: TypeAlias = Callable[[SpanRecord], str]

MIN_WIDTH, MAX_WIDTH = 40, 1000
_TEXT_CHARS = 1000
_NAME_COLUMNS = 12  # what a name keeps before kind and error are cut
_BOUND = 2**256
_KEY = attrgetter("key")


class _Style(NamedTuple):
    tree: tuple[str, str, str] = ("├─ ", "└─ ", "│  ")
    blocks: str = "█▏▎▍▌▋▊▉▐"
    event: str = "•"
    wrong: str = "✗ "
    cut: str = "…"
    more: str = "…"
    tick: str = "╷"
    micro: str = "µs"


_UNICODE = _Style()
_ASCII = _Style(("|- ", "`- ", "|  "), "=", "o", "x ", "~", "...", "|", "us")


class _Span:
    """A span with clean numbers, its place in the tree, and times that can be moved."""

    def __init__(self, record: SpanRecord) -> None:
        context = record.context
        if not issubclass(type(context), TraceContext):
            context = TraceContext()
        self.trace, self.own = _whole(context.trace) or 0, _whole(context.span) or 0
        self.record = record
        self.kind, self.outcome = _text(record.kind), _text(record.outcome)
        start, end = _whole(record.start_ns), _whole(record.end_ns)
        self.start = start if start is not None else end or 0
        self.end = max(self.start, end if end is not None else self.start)
        self.moved = 0
        self.parent: _Span | None = None
        self.children: list[_Span] = []
        self.note = self.service = ""

    @property
    def key(self) -> tuple[int, int, int, str]:
        return self.start, -self.end, self.own, self.kind


_Row: TypeAlias = tuple[_Span, str]  # with the lines of the tree before it


class _Axis(NamedTuple):
    start: int
    length: int
    cells: int = 0

    def eighth(self, time: int) -> int:
        return (time - self.start) * self.cells * 8 // self.length if self.length else 0


def waterfall(
    spans: Iterable[SpanRecord],
    *,
    width: int = 100,
    ascii: bool = False,
    max_rows: int = 200,
    service: _Service | None = None,
) -> str:
    """Draw finished traces as temporal diagrams.

    Traces come by their first start, siblings by theirs. What comes twice (same trace,
    span id and kind) is drawn once; client and server of one span id, as Zipkin shares it,
    are two rows. Outcomes other than ``ok`` count as errors. Events are dots.

    Clocks: a ``server`` span outside the time of the ``client`` span above it is moved,
    with all below it: to the middle; if it lasted longer than the client, to the client's
    start, if it began before that. The header says how many, and how far at most.

        >>> from obs.model import SpanRecord, TraceContext
        >>> get = SpanRecord("GET /", TraceContext(10, 1), 0, "server", 0, 4_000_000)
        >>> load = SpanRecord("load", TraceContext(10, 2), 1, "internal", 10**6, 3 * 10**6)
        >>> print(waterfall([load, get], width=66, ascii=True))
        trace 0000000000000000000000000000000a, 4 ms, 2 spans
                            |0         |1 ms       |2 ms      |3 ms  4 ms|
        GET / [server] 4 ms ==============================================
        `- load        2 ms            ========================

    Args:
        spans: Finished spans, in any order.
        width: How many columns a line has at most, 40 to 1,000.
        ascii: Whether to use ASCII alone.
        max_rows: How many spans are drawn at most, 1 to 1,000,000; a last line counts those
            left out, which come later in the tree, or in later traces.
        service: Gives the service that a span comes from, or an empty text; it is shown
            where a trace has several.

    Returns:
        Lines without a newline at the end; ``no spans`` if there are none.

    Raises:
        DefinitionError: ``width`` or ``max_rows`` is out of range.

    Source: Jaeger, ``model/adjuster/clockskew.go``; Zipkin, ``clock-skew.js``.
    """
    _check("width", width, MIN_WIDTH, MAX_WIDTH)
    _check("max_rows", max_rows, 1, 10**6)
    style = _ASCII if ascii else _UNICODE
    traces = _traces(spans, service)
    drawn: list[str] = []
    for at, trace in enumerate(traces):
        if max_rows <= 0:
            count = _count(sum(map(len, traces[at:])), "more span")
            rest = f"{style.more} and {count} in {_count(len(traces) - at, 'trace')}"
            drawn.append(_fit(rest, width, style))
            break
        drawn.append(_diagram(trace, width, max_rows, style))
        max_rows -= len(trace)
    return "\n\n".join(drawn) or "no spans"


def _check(what: str, value: object, low: int, high: int) -> None:
    if not (isinstance(value, int) and low <= value <= high):
        text = f"waterfall: {what} got {shown(value)}, needs {low} to {high}."
        raise DefinitionError(text)


def _diagram(spans: list[_Span], width: int, max_rows: int, style: _Style) -> str:
    roots = _tree(spans)
    hops, skew = _correct(roots)
    start = min(span.start for span in spans)
    length = max(span.end for span in spans) - start
    errors = sum(span.outcome != "ok" for span in spans)
    parts = [f"trace {_hex(spans[0].trace, 32)}", _duration(length, style)]
    parts += [
        _count(len(spans), "span"),
        *([_count(errors, "error")] if errors else []),
    ]
    if hops:
        parts.append(f"clock skew corrected: {_count(hops, 'hop')}")
        parts.append(f"up to {_duration(skew, style)}")
    # Not between a number and its unit.
    header = ", ".join(part.replace(" ", "\xa0") for part in parts)
    lines = [line.replace("\xa0", " ") for line in textwrap.wrap(header, width)]
    rows = _walk(roots, max_rows, width // 12, style)
    lines += _chart(rows, _Axis(start, length), width, style)
    if len(spans) > max_rows:
        lines.append(f"{style.more} and {_count(len(spans) - max_rows, 'more span')}")
    return "\n".join(lines)


def _traces(spans: Iterable[SpanRecord], service: _Service | None) -> list[list[_Span]]:
    """Give the traces by their first start, each sorted and without duplicates."""
    found: dict[int, dict[object, _Span]] = {}
    for place, record in enumerate(spans):
        span = _Span(record)
        span.service = _text(service(record)) if service else ""
        # Without an id nobody can tell what comes twice.
        key = (span.own, span.kind) if span.own else place
        found.setdefault(span.trace, {}).setdefault(key, span)
    traces = [sorted(each.values(), key=_KEY) for each in found.values()]
    return sorted(traces, key=lambda spans: (spans[0].start, spans[0].trace))


def _whole(value: Any) -> int | None:
    """Give an exact ``int`` that a float can hold, or None for what is no number."""
    # Not isinstance, which believes what a __class__ says.
    if issubclass(type(value), float) and math.isfinite(value):
        value = float.__int__(value)
    if not issubclass(type(value), int):
        return None
    return max(-_BOUND, min(int.__int__(value), _BOUND))


def _text(value: Any) -> str:
    return str.__str__(value) if issubclass(type(value), str) else shown(value)


def _events(span: _Span) -> list[int]:
    """Give when its events were, moved as the span was; only those in its time."""
    try:
        given = span.record.events
        events = [each for each in given if issubclass(type(each), SpanEvent)]
    except Exception as raised:  # not a sequence, or a hostile one
        if is_the_hosts(raised):
            raise
        return []
    times = [(_whole(event.time_ns) or 0) + span.moved for event in events]
    return [time for time in times if span.start <= time <= span.end]


def _tree(spans: Sequence[_Span]) -> list[_Span]:
    """Hang sorted spans below their parents; give the roots, sorted too."""
    same: dict[int, list[_Span]] = {}
    for span in spans:
        same.setdefault(span.own, []).append(span)
    same.pop(0, None)
    order = {"client": 0, "producer": 0, "consumer": 2, "server": 2}
    for twins in same.values():
        # A shared id: the caller's record has the parent, the called one's the children.
        twins.sort(key=lambda span: order.get(span.kind, 1))
        for above, below in pairwise(twins):
            below.parent = above
    for span in spans:
        wanted = _whole(span.record.parent)
        if span.parent is None and wanted in same:
            span.parent = same[wanted][-1]
        elif span.parent is None and wanted:
            span.note = f"(parent {_hex(wanted, 16)[:8]}{{cut}} is missing)"
    _cut_cycles(spans)
    for span in spans:
        if span.parent is not None:
            span.parent.children.append(span)
    return [span for span in spans if span.parent is None]


def _cut_cycles(spans: Iterable[_Span]) -> None:
    """Make the first span of each cycle of parents a root."""
    seen: dict[_Span, _Span] = {}  # to where the walk upwards began
    for first in spans:
        span: _Span | None = first
        path: list[_Span] = []
        while span is not None and span not in seen:
            seen[span] = first
            path.append(span)
            span = span.parent
        if span is not None and seen[span] is first:
            span = min(path[path.index(span) :], key=_KEY)
            span.parent, span.note = None, "(parents in a cycle)"


def _correct(roots: Iterable[_Span]) -> tuple[int, int]:
    """Move servers into their clients' time; give how many, and how far at most, in ns."""
    hops = most = 0
    stack = [(root, 0) for root in roots]
    while stack:
        span, moved = stack.pop()
        above = span.parent
        if above is not None and (above.kind, span.kind) == ("client", "server"):
            skew = _skew(above, span.start + moved, span.end + moved)
            moved += skew
            hops, most = hops + (skew != 0), max(most, abs(skew))
        span.start, span.end, span.moved = span.start + moved, span.end + moved, moved
        stack += [(child, moved) for child in span.children]
    return hops, most


def _skew(client: _Span, start: int, end: int) -> int:
    """Give how far a server's span has to move to lie in its client's, in ns."""
    spare = (client.end - client.start) - (end - start)
    if spare < 0:
        # Its client may have run into a deadline: that it ends later proves nothing.
        return max(0, client.start - start)
    if client.start <= start and end <= client.end:
        return 0
    return client.start + spare // 2 - start


def _walk(roots: list[_Span], max_rows: int, levels: int, style: _Style) -> list[_Row]:
    """Give the first spans in the order of the tree, each with its lines of the tree."""
    rows: list[_Row] = []
    tee, corner, line = style.tree
    stack: list[tuple[_Span, int, list[str], str]]
    stack = [(root, 0, [], "") for root in reversed(roots)]
    while stack and len(rows) < max_rows:
        span, depth, above, own = stack.pop()
        shown_above = above
        if depth > levels:
            # A chain of a thousand stays readable, and linear: its depth and last lines.
            shown_above = [f"{depth}{style.cut}".ljust(6), *above[2:]]
        rows.append((span, "".join(shown_above) + own))
        if own:
            above = [*above, line if own == tee else "   "][1 - levels :]
        own = corner
        for child in sorted(span.children, key=_KEY, reverse=True):
            stack.append((child, depth + 1, above, own))
            own = tee
    return rows


def _label(span: _Span, several: bool, style: _Style) -> tuple[str, str]:
    """Give the name, with a mark if it failed, and what comes behind it."""
    outcome, error = span.outcome, _text(span.record.error_type)
    kind = "" if span.kind == "internal" else span.kind
    where = " ".join(filter(None, (kind, span.service if several else "")))
    details = [f"[{where}]" if where else ""]
    if outcome != "ok":
        details += [error or "error"] if outcome == "error" else [outcome, error]
    details.append(span.note.format(cut=style.cut))
    name = _clean(_text(span.record.name), style) or "(no name)"
    tail = _clean("".join(f" {text}" for text in details if text), style)
    return style.wrong * (outcome != "ok") + name, tail


def _clean(text: str, style: _Style) -> str:
    """Write what cannot be printed as an escape: a newline as a backslash and an n."""
    text = text[:_TEXT_CHARS] + style.cut * (len(text) > _TEXT_CHARS)
    if style is _ASCII:
        text = text.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _columns(text: str) -> int:
    """Give how wide a text is: ideographs have two columns, combining marks none."""
    if text.isascii():
        return len(text)
    shown = [char for char in text if unicodedata.category(char) not in {"Mn", "Me"}]
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in shown)


def _fit(text: str, columns: int, style: _Style) -> str:
    """Cut a text to so many columns, with a mark where it was cut."""
    if _columns(text) <= columns:
        return text
    ends = accumulate(map(_columns, text), initial=len(style.cut))
    return text[: sum(end <= columns for end in ends) - 1] + style.cut


def _hex(number: int, digits: int) -> str:
    return f"{number & (1 << 4 * digits) - 1:0{digits}x}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _duration(ns: float, style: _Style) -> str:
    """Write ns with three digits, in ns to min."""
    units = ((60 * 10**9, "min"), (10**9, "s"), (10**6, "ms"), (1000, style.micro))
    size, unit = next((pair for pair in units if ns >= pair[0]), (1, "ns"))
    value = ns / size
    return f"{round(value, 2 - (value >= 10) - (value >= 100)):g} {unit}"


def _chart(rows: list[_Row], axis: _Axis, width: int, style: _Style) -> list[str]:
    """Give the axis and the rows; bars have two fifths of the width or more."""
    several = len({span.service for span, _ in rows} - {""}) > 1
    labels = [(tree, *_label(span, several, style)) for span, tree in rows]
    durations = [_duration(span.end - span.start, style) for span, _ in rows]
    right = max(map(len, durations))
    wanted = max(sum(map(_columns, label)) for label in labels)
    left = min(wanted, width - width * 2 // 5 - right - 2)
    axis = axis._replace(cells=width - left - right - 2)
    lines = [" " * (left + right + 2) + _ticks(axis, style)]
    for row, (tree, name, tail), took in zip(rows, labels, durations, strict=True):
        room = max(left - _columns(tree + tail), _NAME_COLUMNS)
        text = _fit(tree + _fit(name, room, style) + tail, left, style)
        text += " " * (left - _columns(text))
        lines.append(f"{text} {took:>{right}} {_bar(row[0], axis, style)}".rstrip())
    return lines


def _ticks(axis: _Axis, style: _Style) -> str:
    """Give the line of times: three to five round ones, as far as there is room."""
    line = f"{style.tick}0"
    least = axis.length / 4 or 1
    size = 10 ** math.floor(math.log10(least))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= least)
    for at in range(1, int(axis.length / step) + 1):
        place = min(int(axis.cells * at * step / axis.length), axis.cells - 1)
        text = style.tick + _duration(at * step, style)
        if place + len(text) > axis.cells:
            text = f" {text[1:]}{style.tick}"
            place -= len(text) - 1
        if place >= len(line):
            line = line.ljust(place) + text
    return line


def _bar(span: _Span, axis: _Axis, style: _Style) -> str:
    begin = min(axis.eighth(span.start), axis.cells * 8 - 1)
    size = max(0, axis.eighth(span.end) - begin)
    cells = [" "] * (begin // 8) + list(_blocks(begin % 8, size, style))
    for time in _events(span):
        cells[min(axis.eighth(time) // 8, len(cells) - 1)] = style.event
    return "".join(cells)


def _blocks(offset: int, size: int, style: _Style) -> str:
    """Draw so many eighths of a cell, so many behind the edge of a cell; one at least."""
    full, parts = style.blocks[0], style.blocks[1:]
    if not parts:
        return full * max(1, (offset + size + 4) // 8) if size else style.tick
    if offset + size < 8:
        return parts[max(size, 1) - 1]
    half = parts[7] if offset >= 4 else ""
    whole, rest = divmod(offset + size - 8 * len(half), 8)
    return half + full * whole + (parts[rest - 1] if rest else "")
