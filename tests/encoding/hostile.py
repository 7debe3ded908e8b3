"""Values of every kind, and those that fight back."""

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import random
import uuid
from collections import UserString, deque
from collections.abc import Mapping
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


_SLOW = [
    *(Recursing, Endless, deep, lambda: "x" * 10**6, lambda: "\U0001f600" * 50_000),
    *(lambda: range(10**9), lambda: [[""] * 1024] * 1024),
]  # fmt: skip
_QUICK = [
    *(circle, object),
    *(lambda: Wide("a\nb"), lambda: Number(7), lambda: Color.RED, lambda: Color),
    *(lambda: float("nan"), lambda: float("-inf"), lambda: 1 << 64, lambda: 10**5_000),
    *(lambda: b"\xff\x00\x1b", lambda: bytearray(b"abc"), lambda: memoryview(b"mem")),
    *(lambda: "\ud800 lone", lambda: "\x1b[31m\x85\u2028\u202e\x7f\r\n"),
    *(lambda: {1: 2, None: 3, "\udfff": {}}, lambda: uuid.UUID(int=5)),
    *(lambda: ValueError("wrong\n"), lambda: dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    *(lambda: decimal.Decimal("1.50"), lambda: PurePosixPath("/x")),
    *(lambda: {1, 2}, lambda: deque([1]), lambda: UserString("us")),
    *(lambda: MappingProxyType({"a": 1}), lambda: (n for n in range(3))),
]  # fmt: skip
MAKERS = [*_SLOW, *_QUICK, Exploding, Exiting, Lying, Torn]

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


def _explode(*_):
    raise RuntimeError("boom\n")


class Minefield:
    """Raises wherever it is touched."""

    __repr__ = __str__ = __hash__ = __eq__ = __len__ = __iter__ = _explode
    __bool__ = __format__ = __getattr__ = __index__ = __float__ = __int__ = _explode
    __class__ = property(_explode)


class Fatal(BaseException):
    pass


class Fatally:
    def __str__(self):
        raise Fatal

    __repr__ = __str__


class Meta(type):
    __hash__ = __eq__ = __repr__ = __instancecheck__ = __subclasscheck__ = _explode


class OfMeta(metaclass=Meta):
    pass


class LyingDict:
    __class__ = dict


class LyingText:
    __class__ = str


class Pairs(Mapping):
    """A mapping whose names nobody could put into a dict."""

    def __getitem__(self, name):
        raise KeyError(name)

    def __iter__(self):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError

    def items(self):
        return [(Minefield(), 1), ([], 2), ("a b", Minefield()), ("a\nb", "c\nd")]


class Growing(dict):
    """Grows while it is read."""

    def items(self):
        self.clear()
        self["a"] = 1
        for pair in super().items():
            self[len(self)] = pair
            yield pair


class Array:
    """An array as numpy has them."""

    dtype, shape = "float64", (2, 2)

    def __array__(self):
        return self

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self

    def __eq__(self, other):
        return self

    __hash__ = None

    def __bool__(self):
        raise ValueError("ambiguous")

    def __str__(self):
        return "[[1. 2.]\n [3. 4.]]"


@dataclasses.dataclass
class Point:
    x: object = "a\nb"
    y: object = None


class Real(float):
    def __repr__(self):
        return "NaN\n"


class Reading(enum.IntEnum):
    LOW = 1


_MORE = [
    *(Array, Point, lambda: Reading.LOW, lambda: Real(2.5), lambda: ..., lambda: len),
    *(lambda: dt.timedelta(1), lambda: fractions.Fraction(1, 3), lambda: 1j),
    *(lambda: {"level": "error", "": {"": ""}, "a b": "\n"}, lambda: KeyError),
    *(lambda: [("authorization", "x")], lambda: {frozenset(): {(1, "\n"): ()}}),
    *(lambda: -(1 << 63), lambda: 5e-324, lambda: -0.0, lambda: 1e300, lambda: ""),
    *(lambda: [[], {}, ()], lambda: memoryview(b"12345678").cast("d")),
    lambda: ExceptionGroup("many\n", [ValueError("\x1b[2J")]),
]  # fmt: skip
_RAISING = [
    *(Exploding, Exiting, Lying, Torn, Minefield, Fatally, OfMeta, lambda: OfMeta),
    *(LyingDict, LyingText, Pairs, Growing),
]  # fmt: skip
_HUGE = [
    *(lambda: "\n=" * (5 * 2**20), lambda: b"\x00\xc3" * (5 * 2**20)),
    *(lambda: {n: n for n in range(10_000)}, lambda: deep(900)),
    lambda: {"\n" * n: "\x85" * n for n in range(300)},
]  # fmt: skip
_PIECES = [
    *("\n", "\r\n", "\r", "\t", "\x00", "\x1b[31m", "\x1b]0;t\x07", "\x7f", "\x85"),
    *("\x9b2J", "\u2028", "\u2029", "\u202e", "\ud800", "\udfff", "\ufffd", "\ufeff"),
    *("\U0001f600", "é", "\xa0", "\u3000", " ", "  ", "=", '"', "'", "\\", '\\"', "\\n"),
    *("\\u0041", "%", "%20", "{", "}", "[", "]", ",", ":", "null", "true", "5", "a", "b"),
    *('{"time":"x"}', "level=error", "\ntime=1 level=info event=forged\n", "…", "\x0b"),
    *("\n12:00:00.000Z ERROR forged", "    | ", "<empty>", "field.", "\\ud83d", "x" * 200),
]  # fmt: skip
_NAMES = [
    *("time", "level", "event", "logger", "service", "trace_id", "span_id", "field.time"),
    *("field.field.time", "order", "user id", "a=b", "a%3Db", "", " ", "\n", "…", "value"),
    *("exception.type", "exception.message", "exception.stacktrace", "stack", "\x1b[31m"),
    *(1, None, True, 2.5, b"x", b"\xff", (1, "\n"), frozenset({1}), Color.RED),
    *(Wide("w\n"), object, Reading.LOW, "time\n", "é", "\ud800"),
]  # fmt: skip

_RAISING_NAMES = [Exploding(), Exiting(), Lying()]
LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


class Spray:
    """Log records of random hostile values; a seed gives the same ones again."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._values = [make() for make in _QUICK + _MORE]
        self._raising = [make() for make in _RAISING]
        self._huge = [make() for make in _SLOW + _HUGE]

    def records(self, count):
        return (self._record() for _ in range(count))

    def _record(self):
        return LogRecord(
            self._mostly(1_764_072_000_123_456_789),
            self._mostly(self._one_of(LEVELS)),
            self._text(),
            self._mostly("shop"),
            self._mostly(5),
            self._mostly(6),
            self._fields(),
        )

    def _fields(self):
        if self._random.random() < 0.01:
            return self._value()
        names = range(int(self._random.random() * 6))
        return {self._name(): self._value() for _ in names}

    def _name(self):
        chance = self._random.random()
        if chance < 0.5:
            return self._text()
        return self._one_of(_NAMES if chance < 0.99 else _RAISING_NAMES)

    def _value(self, depth=3):
        chance = self._random.random()
        if chance < 0.5:
            return self._text()
        if chance < 0.8:
            return self._one_of(self._values) if chance < 0.75 else chance
        if chance < 0.99:
            return self._container(depth - 1) if depth else None
        return self._one_of(self._raising if chance < 0.9998 else self._huge)

    def _container(self, depth):
        items = [self._value(depth) for _ in range(int(self._random.random() * 4))]
        if self._random.random() < 0.5:
            return {self._name(): item for item in items}
        return items if self._random.random() < 0.5 else tuple(items)

    def _mostly(self, usual):
        return usual if self._random.random() < 0.98 else self._value()

    def _text(self):
        count = int(self._random.random() * 5)
        return "".join([self._one_of(_PIECES) for _ in range(count)])

    def _one_of(self, pool):
        return pool[int(self._random.random() * len(pool))]
