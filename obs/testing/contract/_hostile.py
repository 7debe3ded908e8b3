"""Names and values that wire formats choke on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from math import inf, nan
from typing import Any

from obs.model import (
    Block,
    LogRecord,
    MetricFamily,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)
from obs.testing.contract._driver import START_NS

TEXTS = (
    "",
    " ",
    "\n",
    "a\nb",
    "a\r\nb",
    "\r",
    "\t",
    "\x00",
    "\x1b[31mred\x1b[0m",
    "\x7f\x85\u2028\u2029",
    'quote"quote',
    "it's",
    "back\\slash",
    "ends with a backslash\\",
    "a,b",
    "a=b",
    "a b",
    "a:b",
    "a;b=c",
    "a|c|@0.1|#t:v",
    "a#b",
    "a/b",
    ".a..b.",
    'a{b="c"}',
    "]]><b>&amp;",
    "%s%n%00{}$(x)",
    "x\nforged 1 1700000000",
    "x:1|c\nforged:1|c",
    "x\nforged,t=1 value=1 1700000000000000000",
    'x"} 1\nforged{a="b',
    'x"}\n{"name": "forged"}',
    "x\n<13>1 2024-01-01T00:00:00Z h forged - - - m",
    "\ud800",
    "a\udfffb",
    "e\u0301\u202e\ufeff",
    "日本 😀",
    "NaN",
    "null",
    "-1",
    "__name__",
    "le",
    "x" * 10_240,
    "é" * 10_240,
)


def _nested(depth: int) -> Any:
    value: Any = b"\xff"
    for n in range(depth):
        value = {"in": value} if n % 2 else [value, None, nan]
    return value


VALUES: tuple[Any, ...] = (
    None,
    True,
    -0.0,
    nan,
    inf,
    -inf,
    5e-324,
    2**63,
    -(2**63) - 1,
    2**70,
    10**400,
    b"\xff\x00\n",
    bytearray(b"\xfe"),
    [],
    {},
    (1, "a", None, 2.5, b"x"),
    [[1, "mixed"], {"a": [2**70]}],
    {"": {"\n": "\ud800"}},
    _nested(8),
    Decimal("NaN"),
    datetime(2024, 1, 1, tzinfo=UTC),
)
"""What attributes and log fields may hold."""

NUMBERS: tuple[float, ...] = (
    nan,
    inf,
    -inf,
    -1,
    -0.0,
    5e-324,
    1.7e308,
    2**63,
    2**70,
    10**400,
)
"""What metrics may hold."""


def families_named(text: str) -> list[MetricFamily]:
    """Give families with a text at each place where a family has one."""
    plain: dict[tuple[str, ...], float] = {("plain",): 4}
    of = MetricFamily.of
    histogram = Block(("place",), [(text,)], [3.0], [[1, 2]], START_NS)
    return [
        of(text, "gauge", 7),
        of("contract.unit", "gauge", 7, unit=text, help=text),
        of("contract.label", "gauge", plain, label_names=(text,)),
        of("contract.info", "info", {(text,): 1}, label_names=("place",)),
        of("contract.value", "counter", {(text,): 7}, label_names=("place",)),
        MetricFamily("contract.histogram", "histogram", "", "", [histogram], (1.0,)),
    ]


def families_of(number: float) -> list[MetricFamily]:
    """Give families that hold a number at each place where a family has one."""
    of = MetricFamily.of
    count = number if isinstance(number, int) and number > 0 else 2
    histogram = Block((), [()], [number], [[1, count]], START_NS)
    return [
        of("contract.gauge", "gauge", number),
        of("contract.updown", "updown", number),
        of("contract.counter", "counter", number),
        MetricFamily("contract.histogram", "histogram", "", "", [histogram], (1.0,)),
    ]


class Ids:
    """Gives spans their ids, each once."""

    def __init__(self) -> None:
        self._next = 0

    def span(self, name: str = "contract.span", **changed: Any) -> SpanRecord:
        """Give a plain span, a child of span 1, with some of it changed."""
        self._next += 1
        return SpanRecord(
            name=name,
            context=TraceContext(0xABCDEF << 64, 0xC0FFEE00 + self._next, sampled=True),
            parent=1,
            start_ns=START_NS,
            end_ns=START_NS + 1_500_000,
        )._replace(**changed)

    def log(self, event: str = "", **fields: Any) -> LogRecord:
        """Give a log record; without an event, with one of its own."""
        self._next += 1
        name = event or f"contract.event.{self._next}"
        return LogRecord(START_NS, "info", name, "contract", fields=fields)

    def spans_with(self, text: str) -> Iterator[SpanRecord]:
        """Give spans with a text at each place where a span has one."""
        yield self.span(text)
        yield self.span(status="error", status_message=text)
        yield self.span(outcome="error", error_type=text)
        yield self.span(attributes={text: "key"})
        yield self.span(attributes={"value": text, "list": [text]})
        yield self.span(events=[SpanEvent(text, START_NS, {text: text})])
        context = TraceContext(1, 2, sampled=True, tracestate=text)
        yield self.span(links=[SpanLink(context, {"a": text})])
        plain = self.span()
        yield plain._replace(context=plain.context._replace(tracestate=text))

    def spans_of(self, value: object) -> Iterator[SpanRecord]:
        """Give spans with a value at each place where a span has one."""
        yield self.span(attributes={"value": value})
        yield self.span(events=[SpanEvent("e", START_NS, {"value": value})])
        yield self.span(links=[SpanLink(TraceContext(1, 2), {"value": value})])

    def odd_spans(self) -> Iterator[SpanRecord]:
        """Give spans whose ids and times a backend may refuse."""
        yield self.span(context=TraceContext())
        yield self.span(context=TraceContext(0, 9, sampled=True))
        yield self.span(context=TraceContext(9, 0, sampled=True))
        yield self.span(start_ns=START_NS, end_ns=START_NS - 5)
        yield self.span(start_ns=0, end_ns=0)
        yield self.span(start_ns=2**64, end_ns=2**70)
        yield self.span(links=[SpanLink(TraceContext())])

    def logs_with(self, text: str) -> Iterator[LogRecord]:
        """Give log records with a text at each place where a record has one."""
        yield LogRecord(START_NS, "info", text, "contract")
        yield LogRecord(START_NS, "info", "contract.odd", text)
        yield self.log("contract.odd", **{text: "key"})
        yield self.log("contract.odd", value=text, list=[text])

    def logs_of(self, value: object) -> Iterator[LogRecord]:
        """Give a log record with a value as a field."""
        yield self.log("contract.odd", value=value)

    def odd_logs(self) -> Iterator[LogRecord]:
        """Give log records whose ids and times a backend may refuse."""
        yield LogRecord(0, "info", "contract.odd")
        yield LogRecord(2**70, "info", "contract.odd")
        yield LogRecord(START_NS, "critical", "contract.odd", trace=9, span=0)
