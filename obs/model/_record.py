"""Finished spans and log records, as exporters get them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self, TypeAlias

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Status: TypeAlias = Literal["unset", "ok", "error"]
Outcome: TypeAlias = Literal["ok", "error", "cancelled", "deadline_exceeded", "aborted"]
Level: TypeAlias = Literal["trace", "debug", "info", "warning", "error", "critical"]


def _hex(number: int, digits: int) -> str:
    return f"{number:0{digits}x}" if number else ""


class BaggageValue(str):
    """A value of baggage: text, with the properties that came with it.

    Attributes:
        properties: As in the header, without the first semicolon (``ttl=60;secret``); empty
            where there are none.

    Source: W3C Baggage, 3.3.1.4.
    """

    __slots__ = ("properties",)

    properties: str

    def __new__(cls, text: str, properties: str = "") -> Self:
        """Make one of a text."""
        value = super().__new__(cls, text)
        value.properties = properties
        return value


NO_BAGGAGE: Mapping[str, str] = MappingProxyType({})


class TraceContext(NamedTuple):
    """A position in a trace, as headers carry it; falsy when there is none.

    Attributes:
        trace: The trace's id, 128 bits; 0 when there is none.
        span: The span's id, 64 bits; 0 when there is none.
        sampled: Whether the trace is recorded; None while nobody has decided (no context,
            or B3's deferred state).
        tracestate: The W3C tracestate header, or empty.
        remote: Whether it came from another process.
        debug: Whether to record it whatever samplers say (B3, Jaeger).
        random: Whether the id's last 56 bits are known to be random (W3C Level 2).
        baggage: What travels with it, by name; values may be ``BaggageValue``.
    """

    trace: int = 0
    span: int = 0
    sampled: bool | None = None
    tracestate: str = ""
    remote: bool = False
    debug: bool = False
    random: bool = False
    baggage: Mapping[str, str] = NO_BAGGAGE

    @property
    def trace_id(self) -> str:
        """The trace's id as 32 lower-case hexadecimal digits, or empty."""
        return _hex(self.trace, 32)

    @property
    def span_id(self) -> str:
        """The span's id as 16 lower-case hexadecimal digits, or empty."""
        return _hex(self.span, 16)

    def __bool__(self) -> bool:
        return self.trace != 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to other processes as plain values."""
        return TraceContext, (*self[:7], dict(self.baggage))


class SpanEvent(NamedTuple):
    """Something that happened at one moment of a span.

    Attributes:
        name: What happened.
        time_ns: When, in ns since the epoch.
        attributes: Details.
    """

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = {}


class SpanLink(NamedTuple):
    """A pointer to a span of this or another trace.

    Attributes:
        context: Where it points.
        attributes: Details.
    """

    context: TraceContext
    attributes: Mapping[str, Any] = {}


class SpanRecord(NamedTuple):
    """A finished span.

    Attributes:
        name: What was done; of low cardinality.
        context: Its own ids, sampling and tracestate.
        parent: The id of its parent, 64 bits; 0 for a root.
        kind: ``internal server client producer consumer``.
        start_ns: In ns since the epoch.
        end_ns: In ns since the epoch; never before ``start_ns``.
        status: ``unset ok error``.
        status_message: Why it is an error, or empty.
        outcome: ``ok error cancelled deadline_exceeded aborted``.
        error_type: The exception's class name, or empty.
        attributes: Details.
        events: What happened meanwhile.
        links: Related spans.
        remote_parent: Whether the parent lies in another process.
        dropped: How many attributes, events and links did not fit, by kind.
    """

    name: str
    context: TraceContext
    parent: int = 0
    kind: SpanKind = "internal"
    start_ns: int = 0
    end_ns: int = 0
    status: Status = "unset"
    status_message: str = ""
    outcome: Outcome = "ok"
    error_type: str = ""
    attributes: Mapping[str, Any] = {}
    events: Sequence[SpanEvent] = ()
    links: Sequence[SpanLink] = ()
    remote_parent: bool = False
    dropped: Mapping[str, int] = {}

    @property
    def trace_id(self) -> str:
        """The trace's id as 32 lower-case hexadecimal digits."""
        return self.context.trace_id

    @property
    def span_id(self) -> str:
        """The span's id as 16 lower-case hexadecimal digits."""
        return self.context.span_id

    @property
    def parent_id(self) -> str:
        """The parent's id as 16 lower-case hexadecimal digits, or empty for a root."""
        return _hex(self.parent, 16)

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded."""
        return bool(self.context.sampled)

    @property
    def tracestate(self) -> str:
        """The W3C tracestate header, or empty."""
        return self.context.tracestate


class LogRecord(NamedTuple):
    """One structured log record.

    Attributes:
        time_ns: When, in ns since the epoch.
        level: ``trace debug info warning error critical``.
        event: What happened, constant text.
        logger: The logger's name.
        trace: The trace's id, 128 bits; 0 outside a trace.
        span: The span's id, 64 bits; 0 outside a trace.
        fields: The user's key-value pairs.
    """

    time_ns: int
    level: Level
    event: str
    logger: str = ""
    trace: int = 0
    span: int = 0
    fields: Mapping[str, Any] = {}

    @property
    def trace_id(self) -> str:
        """The trace's id as 32 lower-case hexadecimal digits, or empty."""
        return _hex(self.trace, 32)

    @property
    def span_id(self) -> str:
        """The span's id as 16 lower-case hexadecimal digits, or empty."""
        return _hex(self.span, 16)
