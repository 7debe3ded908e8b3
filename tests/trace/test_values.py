"""Attributes of any type: what becomes of them, when they are copied, how much is kept."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import sys
import time
import types
import typing
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import InvalidValue, Limits, Obs
from obs._diag import Diag
from obs.model import SpanLink, TraceContext
from obs.testing import MemoryExporter
from obs.trace._values import COPIED, DEPTH, ITEMS, Cleaner

CONTEXT = TraceContext(trace=0xA, span=0xB, sampled=True)


@pytest.fixture
def lenient(clock):
    """An instance that is not strict, its exporter."""
    memory = MemoryExporter()
    tel = Obs("lenient", exporters=[memory], runtime=False, clock=clock)
    with tel.start():
        yield tel, memory


def with_limits(**limits):
    memory = MemoryExporter()
    limits = Limits(**limits)
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, limits=limits)
    tel.start()
    return tel, memory


def sane(value, **limits):
    """Give what becomes of a value, however it is given to a span."""
    tel, memory = with_limits(**limits)
    with tel.span("a", {"x": value}):
        pass
    with tel.span("b", x=value):
        pass
    with tel.span("c") as span:
        span.set(x=value)
    with tel.span("d") as span:
        span.set({"x": value})
    with tel.span("e") as span:
        span.event("f", x=value)
    tel.close()
    found = [record.attributes["x"] for record in memory.spans[:4]]
    found.append(memory.spans[4].events[0].attributes["x"])
    # By repr, for NaN is not equal to itself, and 1 is equal to True.
    assert [repr(it) for it in found] == [repr(found[0])] * 5
    return found[0]


def truncated(memory):
    """How many values were cut; none where nobody has counted yet."""
    counts = memory.metrics["obs.truncated"].points
    return sum(it.value for it in counts if it.labels["signal"] == "traces")


class Channel(enum.Enum):
    WEB = "web"
    PAIR = (1, "a")
    NOTHING = None


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError

    __repr__ = __len__ = __getitem__ = __iter__ = isascii = encode = __str__


class Whole(int):
    def __int__(self):
        raise RuntimeError

    __str__ = __repr__ = __index__ = __lt__ = __le__ = __neg__ = __int__


class Part(float):
    def __float__(self):
        raise RuntimeError

    __str__ = __repr__ = __int__ = __float__


class Plain:
    def __str__(self):
        return "plain text"


@dataclasses.dataclass
class Point:
    x: int
    y: list = dataclasses.field(default_factory=list)


class Named(typing.NamedTuple):
    a: int
    b: list


SOME_UUID = uuid.UUID(int=7)
UTC = datetime.UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        ("a\n\0é😀", "a\n\0é😀"),
        ("\ud800a", "?a"),
        (Text("a"), "a"),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, "-9223372036854775809"),
        (2**1024 - 1, str(2**1024 - 1)),
        (2**1024, "<int of more than 1,024 bits>"),
        (10**5_000, "<int of more than 1,024 bits>"),
        (Whole(7), 7),
        (Whole(-(2**80)), str(-(2**80))),
        (1.5, 1.5),
        (-0.0, -0.0),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (Part(1.5), 1.5),
        (True, True),
        (False, False),
        (None, ""),
        (b"ab", "ab"),
        (b"\xff\xc3\xa9", "\ufffdé"),
        (bytearray(b"ab"), "ab"),
        (memoryview(b"ab"), [97, 98]),
        (1 + 2j, "(1+2j)"),
        (Channel.WEB, "web"),
        (Channel.PAIR, [1, "a"]),
        (Channel.NOTHING, ""),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (Access.READ | Access.WRITE, 3),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(seconds=90), "0:01:30"),
        (decimal.Decimal("1.10"), "1.10"),
        (decimal.Decimal("NaN"), "NaN"),
        (fractions.Fraction(1, 3), "1/3"),
        (SOME_UUID, str(SOME_UUID)),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (Point(1, [2]), "Point(x=1, y=[2])"),
        (Plain(), "plain text"),
        (Plain, str(Plain)),
        (datetime.date, "<class 'datetime.date'>"),
        (ValueError("x"), "ValueError: x"),
        (TimeoutError(), "TimeoutError"),
        (KeyError("a"), "KeyError: 'a'"),
        ([], []),
        ([1, "a", None, [2.5]], [1, "a", "", [2.5]]),
        ((1, (2,)), [1, [2]]),
        (Named(1, [2]), [1, [2]]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (range(3), [0, 1, 2]),
        (range(10**30), list(range(ITEMS))),
        (collections.deque([1, 2]), [1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        ({}, {}),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
        (collections.UserDict(a=[1]), {"a": [1]}),
        (collections.UserList([1]), [1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes(value, expected):
    found = sane(value)
    assert repr(found) == repr(expected)
    assert type(found) is type(expected)


def test_not_a_number_stays():
    assert math.isnan(sane(math.nan))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (1, "1"),
        (1.5, "1.5"),
        (True, "True"),
        (None, ""),
        (b"a", "a"),
        ((1, "b"), "(1, 'b')"),
        (frozenset({1}), "frozenset({1})"),
        (Channel.WEB, "WEB"),
        (Colour.RED, "red"),
        (Level.LOW, "1"),
        (10**5_000, "<int of more than 1,024 bits>"),
        (SOME_UUID, str(SOME_UUID)),
        ("\ud800", "?"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_key_becomes_text(key, name):
    assert sane({key: 1}) == {name: 1}
    tel, memory = with_limits()
    with tel.span("a", {key: 1}) as span:
        span.set({key: 2})
    assert memory.spans[0].attributes == {name: 2}


# --- whatever it is ---------------------------------------------------------------------

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.sampled_from([*Channel, *Colour, *Level, Plain, Plain(), Point(1)]),
    st.builds(Text, st.text()),
    st.builds(Whole, st.integers()),
    st.builds(ValueError, st.text()),
    st.complex_numbers(),
)
keys = st.one_of(
    st.text(st.characters(exclude_categories=())), st.integers(), st.none()
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner),
        st.builds(collections.deque, st.lists(inner)),
        st.builds(types.MappingProxyType, st.dictionaries(keys, inner)),
    ),
    max_leaves=30,
)
limits = st.builds(
    Limits,
    value_chars=st.sampled_from([1, 2, 3, 10, 4_096]),
    record_bytes=st.sampled_from([1, 4, 20, 200, 65_536]),
    attributes=st.sampled_from([1, 2, 128]),
)


def texts_of(value):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from (name, *texts_of(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


def check_plain(value):
    if type(value) is dict:
        assert all(type(name) is str for name in value)
        value = list(value.values())
    if type(value) is list:
        for item in value:
            check_plain(item)
    else:
        assert type(value) in {str, int, float, bool}


@given(st.dictionaries(keys, values, max_size=5), limits)
def test_whatever_is_given_a_record_is_json_within_its_limits(attributes, limits):
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, limits=limits)
    with tel.start(), tel.span("a", attributes, links=[SpanLink(CONTEXT, attributes)]):
        span = tel.trace.current_span()
        span.set(attributes)
        span.event("b", x=list(attributes.values()))
    (record,) = memory.spans
    parts = [dict(it.attributes) for it in (record, *record.events, *record.links)]
    names = [record.name, *(event.name for event in record.events)]
    check_plain(parts)
    text = json.dumps(parts, ensure_ascii=False)
    assert json.dumps(json.loads(text), ensure_ascii=False) == text
    texts = [*names, *texts_of(parts)]
    assert max(map(len, texts)) <= limits.value_chars
    assert sum(len(it.encode()) for it in texts) <= limits.record_bytes


@given(values)
def test_what_has_been_made_sane_stays_as_it_is(value):
    cleaner = Cleaner(Limits(record_bytes=10**9, value_chars=10**6), Diag(strict=True))
    once = cleaner.value(value)
    assert repr(cleaner.value(once)) == repr(once)


# --- large ones -------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "é", "😀", "\ud800"], ids=ascii)
def test_a_text_is_cut_after_value_chars(text):
    tel, memory = with_limits(value_chars=5)
    with tel.span("a", x=text * 5):
        pass
    assert truncated(memory) == 0
    with tel.span("a", x=text * 6):
        pass
    assert truncated(memory) == 1
    one, other = [record.attributes["x"] for record in memory.spans]
    shown = "?" if text == "\ud800" else text
    assert (one, other) == (shown * 5, shown * 4 + "…")


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_are_cut_after_value_chars(kind):
    tel, memory = with_limits(value_chars=5)
    with tel.span("a", {"x": kind(b"a" * 5), "y": kind("😀".encode() * 5)}):
        pass
    assert truncated(memory) == 0
    with tel.span("a", {"x": kind(b"a" * 6), "y": kind("😀".encode() * 6)}):
        pass
    assert truncated(memory) == 2
    assert memory.spans[0].attributes == {"x": "aaaaa", "y": "😀" * 5}
    assert memory.spans[1].attributes == {"x": "aaaa…", "y": "😀" * 4 + "…"}


def test_names_of_spans_attributes_and_events_are_cut_too():
    tel, memory = with_limits(value_chars=5)
    with tel.span("s" * 6, {"a" * 6: 1}) as span:
        span.event("e" * 6, **{"b" * 6: {"c" * 6: 1}})
    (record,) = memory.spans
    assert record.name == "ssss…"
    assert record.attributes == {"aaaa…": 1}
    assert record.events[0].name == "eeee…"
    assert record.events[0].attributes == {"bbbb…": {"cccc…": 1}}
    assert truncated(memory) == 5


@pytest.mark.parametrize(
    ("given_name", "name"),
    [(7, "7"), (None, ""), (Colour.RED, "red"), (b"a", "a"), (Text("a"), "a")],
    ids=lambda value: type(value).__name__,
)
def test_a_name_of_any_type_becomes_text(given_name, name):
    tel, memory = with_limits()
    with tel.span(given_name) as span:
        span.event(given_name)
    (record,) = memory.spans
    assert (record.name, record.events[0].name) == (name, name)
    assert type(record.name) is str


@pytest.mark.parametrize(
    ("length", "shown", "n_cut"),
    [(38, "c" * 38, 0), (39, "c" * 35 + "…", 1)],
)
def test_all_texts_together_stay_within_record_bytes(length, shown, n_cut):
    tel, memory = with_limits(record_bytes=81)
    # The names of the span and the attributes take 3 bytes, "…" takes 3.
    with tel.span("n", x="b" * 40, y="c" * length):
        pass
    assert memory.spans[0].attributes == {"x": "b" * 40, "y": shown}
    assert truncated(memory) == n_cut


def test_bytes_count_and_not_characters():
    tel, memory = with_limits(record_bytes=100)
    with tel.span("n", x="😀" * 30, y=1):
        pass
    text = memory.spans[0].attributes["x"]
    assert text == "😀" * (len(text) - 1) + "…"
    assert 20 <= len(text) <= 25
    # Where one has been cut, there is no room for others.
    assert memory.spans[0].dropped == {"attributes": 1}
    assert truncated(memory) == 2


def test_what_finds_no_room_is_left_out_and_counted():
    tel, memory = with_limits(record_bytes=100)
    with tel.span("n", a="x" * 200, b=1, c=[1]) as span:
        span.event("e")
        span.event("f")
    (record,) = memory.spans
    assert record.attributes == {"a": "x" * 95 + "…"}
    assert record.events == []
    assert record.dropped == {"attributes": 2, "events": 2}
    assert truncated(memory) == 1 + 4


def test_numbers_take_room_too():
    tel, memory = with_limits(record_bytes=100)
    with tel.span("n", a=[1] * 50, b=2):
        pass
    (record,) = memory.spans
    # 2 bytes for names, 8 for a number and for the list.
    assert record.attributes == {"a": [1] * 12}
    assert record.dropped == {"attributes": 1}
    assert truncated(memory) == 2


@pytest.mark.parametrize(
    "make",
    [list, tuple, collections.deque, lambda it: dict.fromkeys(it, 0), set],
    ids=["list", "tuple", "deque", "dict", "set"],
)
def test_items_of_a_container_are_kept_to_a_limit(make):
    tel, memory = with_limits(record_bytes=10**6)
    with tel.span("a", x=make(range(ITEMS))):
        pass
    assert truncated(memory) == 0
    with tel.span("a", x=make(range(ITEMS + 1))):
        pass
    assert truncated(memory) == 1
    one, other = [record.attributes["x"] for record in memory.spans]
    assert (len(one), len(other)) == (ITEMS, ITEMS)
    assert sorted(map(int, one)) == sorted(map(int, other)) == list(range(ITEMS))


class Endless(collections.abc.Mapping):
    """A mapping that never ends, and counts how far it is read."""

    read = 0

    def __iter__(self):
        while True:
            self.read += 1
            yield str(self.read)

    def __getitem__(self, key):
        return key

    def __len__(self):
        return 1


def test_a_container_that_never_ends():
    endless = Endless()
    tel, memory = with_limits()
    with tel.span("a", x=endless):
        pass
    assert len(memory.spans[0].attributes["x"]) == ITEMS
    assert endless.read == ITEMS + 1


def nested(depth, make):
    value = "end"
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "make", [lambda it: [it], lambda it: (it,), lambda it: {"k": it}]
)
def test_containers_are_shown_to_a_depth(make):
    def depth_of(value):
        depth = 0
        while not isinstance(value, str):
            (value,) = value.values() if isinstance(value, dict) else value
            depth += 1
        return depth, value

    assert depth_of(sane(nested(DEPTH, make))) == (DEPTH, "end")
    assert depth_of(sane(nested(DEPTH + 1, make))) == (DEPTH, "…")
    assert depth_of(sane(nested(5_000, make))) == (DEPTH, "…")


def test_an_enum_of_enums_is_shown_to_a_depth():
    inner = Channel.WEB
    for index in range(DEPTH + 2):
        inner = enum.Enum(f"E{index}", {"ONE": inner}).ONE
    assert sane(inner) == "ONE"


def test_containers_that_contain_themselves():
    knot = [1]
    knot.append(knot)
    found = sane(knot)
    for _ in range(DEPTH - 1):
        one, found = found
        assert one == 1
    assert found == [1, "…"]
    loop = {}
    loop["loop"] = [loop]
    assert json.dumps(sane(loop)).count("loop") == DEPTH // 2


def bomb(width):
    value = ["x"]
    for _ in range(DEPTH - 1):
        value = [value] * width
    return value


def self_bomb(width):
    value = []
    value += [value] * width
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: bomb(ITEMS),
        lambda: self_bomb(ITEMS),
        lambda: (bomb(ITEMS),),
        lambda: {"a": self_bomb(ITEMS)},
        lambda: types.MappingProxyType({"a": self_bomb(ITEMS)}),
        lambda: [[1] * ITEMS] * ITEMS,
        lambda: list(range(1_000_000)),
        lambda: dict.fromkeys(range(1_000_000)),
        lambda: set(range(1_000_000)),
        lambda: collections.deque(range(1_000_000)),
        lambda: "a" * 10_000_000,
        lambda: "é" * 10_000_000,
        lambda: b"a" * 10_000_000,
        lambda: bytearray(10_000_000),
        lambda: 1 << 10_000_000,
        lambda: [["a" * 100_000] * 1_000] * 1_000,
    ],
    ids=[
        "bomb",
        "self",
        "tuple",
        "dict of self",
        "proxy",
        "square",
        "list",
        "dict",
        "set",
        "deque",
        "text",
        "wide text",
        "bytes",
        "bytearray",
        "int",
        "texts",
    ],
)
def test_what_is_large_takes_little_time_and_little_room(make):
    value = make()
    tel, memory = with_limits()
    begin = time.process_time()
    with tel.span("a", x=value) as span:
        span.event("b", y=value)
    # Some ms; what is not bounded takes minutes.
    assert time.process_time() - begin < 5
    (record,) = memory.spans
    parts = [record.attributes, *(event.attributes for event in record.events)]
    assert sum(len(it.encode()) for it in texts_of(parts)) <= 65_536
    assert len(json.dumps(parts)) < 2 * 65_536


def test_a_value_is_copied_to_a_limit_of_all_its_containers_together():
    tel, _ = with_limits()
    span = tel.span("a", x=[[1] * 100] * 100)
    rows = span.attributes["x"]
    assert sum(1 + len(row) for row in rows) == COPIED
    assert len(rows) == 100


# --- copies -----------------------------------------------------------------------------


def change_all(values):
    values["list"].append(2)
    values["nested"][0]["k"].append(2)
    values["tuple"][0].append(2)
    values["set"].add(2)
    values["dict"]["b"] = 2
    values["deque"].append(2)
    values["bytes"].extend(b"b")
    values["proxied"]["b"] = 2


def containers():
    proxied = {"a": 1}
    return {
        "list": [1],
        "nested": [{"k": [1]}],
        "tuple": ([1],),
        "set": {1},
        "dict": {"a": 1},
        "deque": collections.deque([1]),
        "bytes": bytearray(b"a"),
        "proxied": proxied,
        "proxy": types.MappingProxyType(proxied),
        "keys": proxied.keys(),
        "values": proxied.values(),
        "user dict": collections.UserDict(a=1),
    }


BEFORE = {
    "list": [1],
    "nested": [{"k": [1]}],
    "tuple": [[1]],
    "set": [1],
    "dict": {"a": 1},
    "deque": [1],
    "bytes": "a",
    "proxied": {"a": 1},
    "proxy": {"a": 1},
    "keys": ["a"],
    "values": [1],
    "user dict": {"a": 1},
}


def test_containers_are_copied_when_a_span_starts(tel, memory):
    values = containers()
    with tel.span("a", values):
        change_all(values)
        values["new"] = 1
    assert memory.spans[0].attributes == BEFORE


def test_containers_are_copied_when_they_are_set(tel, memory):
    values = containers()
    with tel.span("a") as span:
        span.set(values)
        change_all(values)
        values = containers()
        span.set(**{f"{name} too": value for name, value in values.items()})
        change_all(values)
    found = memory.spans[0].attributes
    assert found == BEFORE | {f"{name} too": it for name, it in BEFORE.items()}


def test_containers_are_copied_when_an_event_is_noted(tel, memory):
    values = containers()
    with tel.span("a") as span:
        span.event("b", **values)
        change_all(values)
    assert memory.spans[0].events[0].attributes == BEFORE


def test_containers_are_copied_when_a_link_is_made(tel, memory):
    values = containers()
    with tel.span("a", links=[SpanLink(CONTEXT, values)]) as span:
        span.link(SpanLink(CONTEXT, values))
        change_all(values)
        values["new"] = 1
    first, second = memory.spans[0].links
    assert first.context == second.context == CONTEXT
    assert first.attributes == second.attributes == BEFORE


@pytest.mark.parametrize(
    "make",
    [
        lambda: (it for it in (1, 2, 3)),
        lambda: iter([1, 2, 3]),
        lambda: iter({1: 1, 2: 2, 3: 3}),
        lambda: map(int, "123"),
        lambda: zip("123", strict=True),
        lambda: enumerate("123"),
        lambda: reversed([1, 2, 3]),
    ],
    ids=["generator", "list", "dict", "map", "zip", "enumerate", "reversed"],
)
def test_an_iterator_is_not_consumed(make):
    iterator = make()
    found = sane(iterator)
    assert found == str(iterator)
    assert sane([iterator]) == [found]
    assert len(list(iterator)) == 3


# --- objects that do what they like -----------------------------------------------------

RAISED = [ValueError, RecursionError, SystemExit, GeneratorExit, MemoryError, OSError]


def raising(error):
    def method(self, *args, **kwargs):
        raise error

    return method


def hostile(base, error, *names):
    return type("Hostile", (base,), dict.fromkeys(names, raising(error)))


def raising_property(name, error):
    return type("Hostile", (), {name: property(raising(error))})()


MAKERS = {
    "str": lambda error: hostile(object, error, "__str__", "__repr__")(),
    "class": lambda error: raising_property("__class__", error),
    "getattr": lambda error: hostile(
        object, error, "__getattr__", "__getattribute__", "__str__", "__eq__"
    )(),
    "isoformat": lambda error: hostile(object, error, "isoformat")(),
    "date": lambda error: hostile(datetime.date, error, "isoformat")(2026, 1, 2),
    "list": lambda error: hostile(list, error, "__iter__", "__getitem__")([1]),
    "tuple": lambda error: hostile(tuple, error, "__iter__", "__getitem__")([1]),
    "dict": lambda error: hostile(dict, error, "items", "keys", "__iter__")(a=1),
    "set": lambda error: hostile(set, error, "__iter__", "copy")({1}),
    "bytes": lambda error: hostile(bytes, error, "__getitem__")(b"a"),
    "bytearray": lambda error: hostile(bytearray, error, "__getitem__")(b"a"),
    "mapping": lambda error: hostile(
        collections.UserDict, error, "items", "keys", "__iter__"
    )(a=1),
    "late": lambda error: type(
        "Hostile",
        (collections.UserList,),
        {"__iter__": lambda self: late(error)},
    )([1]),
    "exception": lambda error: hostile(Exception, error, "__str__")("x"),
}


def late(error):
    yield 1
    raise error


@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("how", MAKERS)
def test_an_object_that_raises_is_shown_as_its_type(how, error):
    value = MAKERS[how](error)
    assert sane(value) == "<Hostile>"
    assert sane([1, {"a": value}]) in (["<Hostile>"], [1, {"a": "<Hostile>"}], "<list>")


@pytest.mark.parametrize("how", MAKERS)
def test_the_neighbours_of_an_object_that_raises_are_shown(how):
    tel, memory = with_limits()
    value = MAKERS[how](ValueError)
    with tel.span("a", before=1, bad=value, after=[2]):
        pass
    found = {"before": 1, "bad": "<Hostile>", "after": [2]}
    assert memory.spans[0].attributes == found


def test_an_interrupt_is_not_swallowed(tel):
    with pytest.raises(KeyboardInterrupt), tel.span("a") as span:
        span.set(x=hostile(list, KeyboardInterrupt, "__iter__")([1]))
    value = hostile(object, KeyboardInterrupt, "__str__")()
    with pytest.raises(KeyboardInterrupt), tel.span("a", x=value):
        pass


def liar(claimed, **methods):
    class Liar:
        @property
        def __class__(self):
            return claimed

        def __str__(self):
            return "liar"

    for name, answer in methods.items():
        setattr(Liar, name, lambda self, answer=answer: answer)
    return Liar()


@pytest.mark.parametrize(
    "claimed",
    [
        *(int, float, bool, str, list, dict, set, tuple, bytes, bytearray, enum.Enum),
        *(collections.abc.Mapping, collections.deque, datetime.date, TraceContext),
    ],
)
def test_an_object_that_lies_about_its_class(claimed):
    found = sane(liar(claimed))
    assert found in ("liar", "<Liar>")
    check_plain(found)
    check_plain(sane([liar(claimed, __iter__=iter(())), {"a": liar(claimed)}]))


def test_objects_that_answer_with_nonsense():
    class Str(str):
        __slots__ = ()

        def __len__(self):
            return -1  # noqa: PLE0303

    class Iso:
        def isoformat(self):
            return self

        def __str__(self):
            return Str("é")

    class Member:
        __class__ = enum.Enum
        name = Str("odd")

        @property
        def value(self):
            return self

    class Items(dict):
        def items(self):
            return 5

    class Pairs(collections.UserDict):
        def items(self):
            return iter([1, 2])

    class NotText:
        def __str__(self):
            return 5  # noqa: PLE0307

    check_plain(sane(Iso()))
    assert sane(Iso()) == "é"
    assert sane(Member()) == "odd"
    assert sane(Items(a=1)) == "<Items>"
    assert sane(Pairs(a=1)) == "<Pairs>"
    assert sane(NotText()) == "<NotText>"


def test_a_name_of_a_class_is_cut_too():
    kind = type("N" * 10_000, (), {"__str__": raising(ValueError)})
    assert sane(kind(), value_chars=10) == "<NNNNNNNN…"


def test_a_hostile_metaclass():
    class Meta(type):
        def __getattr__(cls, name):
            raise ValueError

        @property
        def __name__(cls):
            raise ValueError

        def __instancecheck__(cls, instance):
            raise ValueError

    class Odd(metaclass=Meta):
        def __str__(self):
            return "odd"

    assert sane(Odd()) in ("odd", "<Odd>")
    assert sane([Odd]) in ("odd", ["<Meta>"], [str(Odd)], "<list>")


def test_a_dataclass_that_contains_itself():
    point = Point(1)
    point.y.append(point)
    assert sane(point) == "Point(x=1, y=[...])"


@pytest.mark.parametrize("depth", [2, 10, 50])
def test_near_the_recursion_limit(depth):
    """What there is no room to show is shown as its type; the host sees nothing."""
    tel, memory = with_limits()

    def deep(left):
        if left:
            return deep(left - 1)
        with tel.span("a", x=[[[[1]]]]):
            pass
        return None

    used = len(_stack())
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(used + 200)
    try:
        deep(200 - 60 - depth)
    finally:
        sys.setrecursionlimit(limit)
    check_plain(dict(memory.spans[0].attributes))


def _stack():
    frame, frames = sys._getframe(), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


# --- what is given as attributes --------------------------------------------------------

NO_MAPPING = "span: attributes got a {}, needs a mapping. They were ignored."


class Refusing(collections.abc.Mapping):
    def __init__(self, error):
        self.error = error

    def __iter__(self):
        raise self.error

    __getitem__ = __len__ = keys = items = __iter__


class Unequal:
    """A key that is no text, and like no other key."""

    def __hash__(self):
        return hash("b")

    def __eq__(self, other):
        raise ValueError


WRONG = {
    "number": lambda: 5,
    "text": lambda: "ab",
    "list": lambda: [1],
    "object": Plain,
    "refusing": lambda: Refusing(ValueError),
    "exiting": lambda: Refusing(SystemExit),
    "recursion": lambda: Refusing(RecursionError),
    "odd": lambda: raising_property("keys", ValueError),
    "class": lambda: raising_property("keys", SystemExit),
}


@pytest.mark.parametrize("how", WRONG)
def test_attributes_that_are_no_mapping_are_ignored_and_counted(how, lenient, capfd):
    tel, memory = lenient
    wrong = WRONG[how]()
    with tel.span("a", wrong, b=1) as span:
        span.set(wrong, c=[2])
        span.link(SpanLink(CONTEXT, wrong))
    (record,) = memory.spans
    assert record.attributes == {"b": 1, "c": [2]}
    assert record.links == [SpanLink(CONTEXT, {})]
    counted = memory.value(
        "obs.dropped", signal="traces", exporter="", reason="invalid"
    )
    assert counted == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert NO_MAPPING.format(type(wrong).__name__) in said


@pytest.mark.parametrize("how", WRONG)
def test_in_strict_mode_attributes_that_are_no_mapping_raise(how, tel):
    wrong = WRONG[how]()
    with pytest.raises(InvalidValue) as caught:
        tel.span("a", wrong)
    assert str(caught.value) == NO_MAPPING.format(type(wrong).__name__)


def test_keys_that_are_like_no_other():
    key = Unequal()
    tel, memory = with_limits()
    with tel.span("a", {key: 1}) as span:
        span.set(b=2)
        span.set({key: 3})
    (record,) = memory.spans
    assert record.attributes["b"] == 2
    assert len(record.attributes) == 2


def test_keys_that_cannot_be_compared_with_a_name(lenient):
    tel, memory = lenient
    with tel.span("a", {Unequal(): 1}, b=2) as span:
        span.set({Unequal(): 1}, b=3)
    assert memory.spans[0].attributes == {"b": 3}


def test_pairs_are_a_mapping_too():
    tel, memory = with_limits()
    with tel.span("a", [("x", 1), ("y", [2])]):
        pass
    assert memory.spans[0].attributes == {"x": 1, "y": [2]}


def test_named_attributes_win_over_those_of_the_mapping(tel, memory):
    with tel.span("a", {"x": 1, "y": 1}, y=2) as span:
        span.set({"x": 3}, x=4)
    assert memory.spans[0].attributes == {"x": 4, "y": 2}


@pytest.mark.parametrize("mapping", [{"x": [1], 2: 3}, {"x": 1, 2: 3}])
def test_what_is_given_is_neither_changed_nor_kept(mapping, tel, memory):
    before = dict(mapping)
    with tel.span("a", mapping) as span:
        span.set(mapping, q=1)
        span.set(mapping)
        assert mapping == before
        mapping["late"] = 1
    assert memory.spans[0].attributes == {"x": before["x"], "2": 3, "q": 1}


# --- links ------------------------------------------------------------------------------


def test_a_link_to_a_context_a_span_or_a_link(tel, memory):
    with tel.span("other") as other:
        pass
    links = [CONTEXT, other, SpanLink(CONTEXT, {"x": 1})]
    with tel.span("a", links=links) as span:
        for link in links:
            span.link(link)
    expected = [SpanLink(CONTEXT), SpanLink(other.context), links[2]]
    assert memory.span("a").links == expected * 2


@pytest.mark.parametrize("empty", [TraceContext(), SpanLink(TraceContext(), {"x": 1})])
def test_an_empty_context_is_no_link_and_no_error(empty, tel, memory):
    with tel.span("a", links=[empty]) as span:
        span.link(empty)
    assert memory.spans[0].links == []


WRONG_LINKS = {
    "number": lambda: 5,
    "none": lambda: None,
    "context of another type": lambda: SpanLink("a"),
    "property": lambda: raising_property("context", RuntimeError),
    "exit": lambda: raising_property("context", SystemExit),
    "liar": lambda: liar(TraceContext),
    "link to a liar": lambda: SpanLink(liar(TraceContext)),
    "class": lambda: raising_property("__class__", RuntimeError),
}


@pytest.mark.parametrize("how", WRONG_LINKS)
def test_what_is_no_link_is_ignored_and_counted(how, lenient, capfd):
    tel, memory = lenient
    wrong = WRONG_LINKS[how]()
    with tel.span("a", links=[wrong, CONTEXT]) as span:
        span.link(wrong)
    assert memory.spans[0].links == [SpanLink(CONTEXT)]
    counted = memory.value(
        "obs.dropped", signal="traces", exporter="", reason="invalid"
    )
    assert counted == 2
    name = type(wrong).__name__
    text = f"span: a link got a {name}, needs a context. It was ignored."
    assert text in capfd.readouterr().err
    strict = Obs("x", runtime=False, strict=True)
    with pytest.raises(InvalidValue) as caught:
        strict.span("a").link(wrong)
    assert str(caught.value) == text
