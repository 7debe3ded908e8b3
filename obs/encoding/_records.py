"""What spans, log records and metrics are in JSON.

The names and their order are a contract: tools read them. What is empty is left out.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from obs.encoding._time import rfc3339, whole
from obs.encoding._values import Plain
from obs.limits import Limits
from obs.model import (
    ExponentialPoint,
    HistogramPoint,
    LogRecord,
    MetricFamily,
    NumberPoint,
    Point,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)

LOG_ROOM = Limits().record_bytes
ROOM = 1024 * 1024
"""Spans and metrics come with their limits kept; this is for what does not."""

LOG_NAMES = frozenset(
    {"time", "level", "event", "logger", "service", "trace_id", "span_id"}
)
Kind = TypeVar("Kind")
_SUMS = frozenset({"counter", "updown", "histogram", "exponential"})


class _Unchanged:
    """In the place of ``Plain``, for what is plain already."""

    @staticmethod
    def name(value: Any) -> Any:
        """Give it back."""
        return value

    mapping = name


_UNCHANGED = _Unchanged()


def log_dict(
    record: LogRecord, service: str = "", *, is_sane: bool = False
) -> dict[str, Any]:
    """Give a log record for JSON.

        >>> list(log_dict(LogRecord(1, "info", "paid", fields={"cents": 5, "time": 1})))
        ['time', 'level', 'event', 'cents', 'field.time']

    Args:
        record: The record; its fields may hold any value at all.
        service: Who sends.
        is_sane: Whether the record came from ``sane``, and ``service`` is plain.

    Returns:
        ``time level event logger service trace_id span_id`` and then its fields, of
        which those that have one of these names get ``field.`` before it.
    """
    plain = _UNCHANGED if is_sane else Plain(LOG_ROOM)
    found: dict[str, Any] = {
        "time": rfc3339(record.time_ns, 3),
        "level": plain.name(record.level),
        "event": plain.name(record.event),
        **_present(logger=plain.name(record.logger), service=plain.name(service)),
        **_ids(record.trace, record.span),
    }
    for name, value in plain.mapping(record.fields).items():
        while name in LOG_NAMES or name in found:
            name = f"field.{name}"  # noqa: PLW2901
        found[name] = value
    return found


def span_dict(record: SpanRecord, service: str = "") -> dict[str, Any]:
    """Give a finished span for JSON.

    Args:
        record: The span.
        service: Who sends.

    Returns:
        ``type`` (``span``), ``name kind service trace_id span_id parent_id
        remote_parent``, ``start`` and ``end`` to the nanosecond, ``duration`` in seconds,
        ``status status_message outcome error_type attributes events links tracestate
        dropped``.
    """
    plain = Plain(ROOM)
    context = _context(record.context)
    return {
        "type": "span",
        "name": plain.name(record.name),
        "kind": plain.name(record.kind),
        **_present(service=plain.name(service)),
        **_ids(context.trace, context.span),
        **_present(
            parent_id=hex_id(record.parent, 16),
            remote_parent=record.remote_parent is True,
        ),
        "start": rfc3339(record.start_ns),
        "end": rfc3339(record.end_ns),
        "duration": _seconds(record.start_ns, record.end_ns),
        "status": plain.name(record.status),
        **_present(status_message=plain.name(record.status_message)),
        "outcome": plain.name(record.outcome),
        **_present(
            error_type=plain.name(record.error_type),
            attributes=plain.mapping(record.attributes),
            events=[_event(each, plain) for each in _all(record.events, SpanEvent)],
            links=[_link(each, plain) for each in _all(record.links, SpanLink)],
            tracestate=plain.name(context.tracestate),
            dropped=plain.mapping(record.dropped),
        ),
    }


def metric_dicts(
    families: Iterable[MetricFamily],
    time_ns: int,
    *,
    service: str = "",
    temporality: str = "cumulative",
) -> Iterator[dict[str, Any]]:
    """Give each series of metrics for JSON.

    Args:
        families: The metrics.
        time_ns: When they were read, in ns since the epoch.
        service: Who sends.
        temporality: Whether counters and histograms are totals or increases.

    Returns:
        For each of the series ``type`` (``metric``), ``name kind unit service time labels``;
        then ``value``, or ``count sum bounds buckets`` with one bucket more than bounds,
        not cumulative (exponential: ``count sum scale zero_count offset buckets min
        max``); for sums ``temporality`` and since when they count, ``start``.
    """
    for family in families:
        for point in family.points:
            yield _metric(family, point, time_ns, service, temporality)


def _metric(
    family: MetricFamily,
    point: Point,
    time_ns: int,
    service: str,
    temporality: str,
) -> dict[str, Any]:
    plain = Plain(ROOM)
    found = {
        "type": "metric",
        "name": plain.name(family.name),
        "kind": plain.name(family.kind),
        **_present(unit=plain.name(family.unit), service=plain.name(service)),
        "time": rfc3339(time_ns),
        "labels": {plain.name(k): plain.name(v) for k, v in point.labels.items()},
        **_numbers(point, plain),
    }
    if family.kind in _SUMS:
        # Increases of what may fall are nobody's: these stay totals (see `delta`).
        found["temporality"] = "cumulative" if family.kind == "updown" else temporality
        if point.start_ns:
            found["start"] = rfc3339(point.start_ns)
    return found


def _numbers(point: Point, plain: Plain) -> dict[str, Any]:
    if isinstance(point, NumberPoint):
        return {"value": plain.value(point.value)}
    # Column by column: a list would be cut where there are more than a thousand.
    buckets = [plain.value(count) for count in point.buckets]
    found = {"count": plain.value(point.count), "sum": plain.value(point.sum)}
    if isinstance(point, HistogramPoint):
        bounds = [plain.value(bound) for bound in point.bounds]
        return {**found, "bounds": bounds, "buckets": buckets}
    return {**found, **_exponential(point, plain), "buckets": buckets}


def _exponential(point: ExponentialPoint, plain: Plain) -> dict[str, Any]:
    names = ("scale", "zero_count", "offset", "min", "max")
    values = {name: getattr(point, name) for name in names}
    return {k: plain.value(v) for k, v in values.items() if v is not None}


def _event(event: SpanEvent, plain: Plain) -> dict[str, Any]:
    return {
        "name": plain.name(event.name),
        "time": rfc3339(event.time_ns),
        **_present(attributes=plain.mapping(event.attributes)),
    }


def _link(link: SpanLink, plain: Plain) -> dict[str, Any]:
    context = _context(link.context)
    return {
        **_ids(context.trace, context.span),
        **_present(
            tracestate=plain.name(context.tracestate),
            attributes=plain.mapping(link.attributes),
        ),
    }


def _all(given: object, kind: type[Kind]) -> list[Kind]:
    """Give those of this kind in a list or tuple; records of others may hold anything."""
    # By the methods of the built-in classes, past what a subclass makes of them.
    for base in (list, tuple):
        if issubclass(type(given), base):
            items: Iterator[Any] = base.__iter__(given)  # type: ignore[arg-type]
            return [item for item in items if issubclass(type(item), kind)]
    return []


def _context(given: object) -> TraceContext:
    is_one = issubclass(type(given), TraceContext)
    return given if is_one else TraceContext()  # type: ignore[return-value]


def _ids(trace: int, span: int) -> dict[str, Any]:
    return _present(trace_id=hex_id(trace, 32), span_id=hex_id(span, 16))


def _present(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value}


def _seconds(start_ns: object, end_ns: object) -> float:
    try:
        return ((whole(end_ns) or 0) - (whole(start_ns) or 0)) / 10**9
    except OverflowError:
        return 0.0


def hex_id(number: object, digits: int) -> str:
    """Give an id in lower-case hexadecimal, or an empty text for 0."""
    exact = whole(number) or 0
    return f"{exact & (1 << 4 * digits) - 1:0{digits}x}" if exact else ""
