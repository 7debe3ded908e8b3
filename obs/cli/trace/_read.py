"""Spans out of text: JSON lines of ours, and OTLP JSON in lines or as one document."""

import json
import re
from calendar import timegm
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from obs.model import SpanEvent, SpanRecord, TraceContext

SERVICE = "service.name"
"""The attribute in which a span that was read has its service."""

_HEX = re.compile("[0-9a-fA-F]*")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_OTLP_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_OTLP_ERROR = (2, "STATUS_CODE_ERROR")
_MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError),
    *(TypeError, ValueError, RecursionError),
)
_Maker: TypeAlias = Callable[[], SpanRecord]


class Reading(NamedTuple):
    """What was found in a text.

    Attributes:
        spans: The spans; their attributes hold the service alone.
        lines: How many lines there are that are not empty.
        broken: The numbers of those that could not be read, from 1.
    """

    spans: list[SpanRecord]
    lines: int
    broken: list[int]


def read_spans(text: str) -> Reading:
    """Find the spans of a text; what is something else is passed over."""
    try:
        lines = [(1, json.loads(text))]  # one document, of any number of lines
    except (ValueError, RecursionError):
        rows = enumerate(text.split("\n"), 1)
        lines = [(number, row) for number, row in rows if row.strip()]
    reading = Reading([], len(lines), [])
    for number, line in lines:
        try:
            data = json.loads(line) if isinstance(line, str) else line
            is_whole = _add(_makers(data), reading.spans)
        except _MALFORMED:
            is_whole = False
        if not is_whole:
            reading.broken.append(number)
    return reading


def _add(makers: Iterator[_Maker], spans: list[SpanRecord]) -> bool:
    """Add the spans that are well formed, and say whether all were."""
    is_whole = True
    for make in makers:
        try:
            spans.append(make())
        except _MALFORMED:
            is_whole = False
    return is_whole


def _makers(data: Any) -> Iterator[_Maker]:
    if not isinstance(data, dict):
        return
    if "resourceSpans" in data:
        for group in data["resourceSpans"]:
            resource = group.get("resource", {})
            service = _attribute(resource.get("attributes", []), SERVICE)
            for scope in group.get("scopeSpans", []):
                for span in scope.get("spans", []):
                    yield partial(_otlp, span, service)
    # A log record may have a field that is called "type".
    elif data.get("type") == "span" and "level" not in data:
        yield partial(_ours, data)


def _ours(data: dict[str, Any]) -> SpanRecord:
    return SpanRecord(
        name=data["name"],
        context=TraceContext(_id(data["trace_id"], 32), _id(data["span_id"], 16), True),
        parent=_id(data.get("parent_id", ""), 16),
        kind=data["kind"],
        start_ns=_time(data["start"]),
        end_ns=_time(data["end"]),
        outcome=data["outcome"],
        error_type=data.get("error_type", ""),
        attributes={SERVICE: data.get("service", "")},
        events=[
            SpanEvent(event["name"], _time(event["time"]))
            for event in data.get("events", [])
        ],
    )


def _otlp(span: dict[str, Any], service: str) -> SpanRecord:
    events = span.get("events", [])
    error = _attribute(span.get("attributes", []), "error.type")
    for event in events:
        error = error or _attribute(event.get("attributes", []), "exception.type")
    has_failed = span.get("status", {}).get("code") in _OTLP_ERROR
    trace, own = _id(span["traceId"], 32), _id(span["spanId"], 16)
    return SpanRecord(
        name=span.get("name", ""),
        context=TraceContext(trace, own, True),
        parent=_id(span.get("parentSpanId", ""), 16),
        kind=_otlp_kind(span.get("kind", 0)),  # type: ignore[arg-type]
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        outcome="error" if has_failed else "ok",
        error_type=error.rpartition(".")[2],
        attributes={SERVICE: service},
        events=[
            SpanEvent(event.get("name", ""), int(event.get("timeUnixNano", 0)))
            for event in events
        ],
    )


def _otlp_kind(kind: int | str) -> str:
    """Give the kind of a number, or of a name: the specification wants the number."""
    if isinstance(kind, str):
        kind = kind.removeprefix("SPAN_KIND_").lower()
        return kind if kind in _OTLP_KINDS else "internal"
    return _OTLP_KINDS[kind] if 0 <= kind < len(_OTLP_KINDS) else "internal"


def _attribute(attributes: list[dict[str, Any]], name: str) -> str:
    """Give an attribute of OTLP that is a text, or an empty one."""
    for each in attributes:
        if each.get("key") == name:
            return str(each.get("value", {}).get("stringValue", ""))
    return ""


def _id(text: str, digits: int) -> int:
    if not _HEX.fullmatch(text) or len(text) not in (0, digits):
        raise ValueError
    return int(text or "0", 16)


def _time(text: str) -> int:
    """Give ns since the epoch of RFC 3339 in UTC, or of the number in its place."""
    found = _TIME.fullmatch(text)
    if found is None:
        return int(text)
    seconds = timegm(datetime.fromisoformat(found[1]).timetuple())
    return seconds * 10**9 + int((found[2] or "0").ljust(9, "0"))
