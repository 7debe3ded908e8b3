"""Values of every kind, and those that fight back."""

import datetime as dt
import decimal
import enum
import uuid
from collections import UserString, deque
from pathlib import PurePosixPath
from types import MappingProxyType

from hypothesis import strategies as st

from obs.model import LogRecord, SpanEvent, SpanLink, SpanRecord, TraceContext


class Exploding:
    def __repr__(self):
        raise RuntimeError("repr")


class Exiting:
    def __str__(self):
        raise SystemExit(3)


class Recursing:
    def __str__(self):
        return str(self)


class Lying:
    __class__ = int


class Wide(str):
    __slots__ = ()

    def __str__(self):
        return "\n" * 3

    def __len__(self):
        raise RuntimeError("len")


class Number(int):
    def __format__(self, spec):
        raise RuntimeError("format")

    def __bool__(self):
        raise RuntimeError("bool")


class Endless(dict):
    def items(self):
        while True:
            yield "x", "y" * 100


class Torn(list):
    def __iter__(self):
        yield 1
        raise KeyError("torn")


class Color(enum.Enum):
    RED = "red"


def circle():
    ring = {"name": "ring"}
    ring["again"] = [ring]
    return ring


def deep(levels=1_000):
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


MAKERS = [
    *(Exploding, Exiting, Recursing, Lying, Endless, Torn, circle, deep, object),
    *(lambda: Wide("a\nb"), lambda: Number(7), lambda: Color.RED, lambda: Color),
    *(lambda: float("nan"), lambda: float("-inf"), lambda: 1 << 64, lambda: 10**5_000),
    *(lambda: b"\xff\x00\x1b", lambda: bytearray(b"abc"), lambda: memoryview(b"mem")),
    *(lambda: "\ud800 lone", lambda: "\x1b[31m\x85\u2028\u202e\x7f\r\n"),
    lambda: "x" * 10**6,
    *(lambda: "\U0001f600" * 50_000, lambda: {1: 2, None: 3, "\udfff": {}}),
    *(lambda: ValueError("wrong\n"), lambda: dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    *(lambda: uuid.UUID(int=5), lambda: decimal.Decimal("1.50")),
    lambda: PurePosixPath("/x"),
    *(lambda: {1, 2}, lambda: deque([1]), lambda: range(10**9), lambda: UserString("us")),
    *(lambda: MappingProxyType({"a": 1}), lambda: (n for n in range(3))),
    lambda: [[""] * 1024] * 1024,
]  # fmt: skip

characters = st.characters(exclude_categories=())
texts = st.text(characters, max_size=20)
_leaves = (
    *(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary()),
    st.integers(0, len(MAKERS) - 1).map(lambda index: MAKERS[index]()),
)
_values = st.recursive(
    st.one_of(_leaves),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def _any(draw):
    """All values, as a strategy with a short repr: Hypothesis refuses long ones."""
    return draw(_values)


values = _any()
mappings = st.dictionaries(texts, values, max_size=5)
any_mappings = mappings | values
log_records = st.builds(
    LogRecord,
    st.integers() | values,
    st.sampled_from(["info", "error", "critical"]) | values,
    values,
    values,
    st.integers() | values,
    st.integers() | values,
    any_mappings,
)
contexts = st.builds(
    TraceContext, st.integers() | values, st.integers() | values, tracestate=values
)
span_records = st.builds(
    SpanRecord,
    values,
    contexts | values,
    *(values for _ in range(7)),
    any_mappings,
    st.lists(st.builds(SpanEvent, values, values, any_mappings) | values) | values,
    st.lists(st.builds(SpanLink, contexts | values, any_mappings) | values) | values,
    st.booleans(),
    any_mappings,
)
