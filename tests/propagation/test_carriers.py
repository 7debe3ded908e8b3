"""Reading from, and writing to, what carries headers."""

import collections
import email.message
import types
from typing import NamedTuple

import pytest

from obs._diag import Diag
from obs.errors import InvalidValue
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation import Propagation

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = {"Host": "x", "TraceParent": PARENT, "tracestate": "a=1", "baggage": "b=2"}
FOUND = TraceContext(
    0x0AF7651916CD43DD8448EB211C80319C,
    0xB7AD6B7169203331,
    sampled=True,
    tracestate="a=1",
    remote=True,
    baggage={"b": "2"},
)
PLAIN = FOUND._replace(tracestate="", baggage={})
DEFAULT = ("tracecontext", "baggage")
Object = types.SimpleNamespace


def make(diag=None):
    return Propagation(DEFAULT, Limits(), diag or Diag(strict=True))


def message(headers=HEADERS):
    made = email.message.Message()
    for name, value in headers.items():
        made[name] = value
    return made


class Dict(dict):
    pass


class Pair(NamedTuple):
    key: str
    value: str


class Getter:
    """Like werkzeug's and Starlette's headers: no mapping, ignores case."""

    def __init__(self, **methods):
        self.__dict__.update(methods)


def insensitive(name):
    return next((v for k, v in HEADERS.items() if k.lower() == name.lower()), None)


def raising(error):
    def get(*args):
        raise error

    return get


@pytest.mark.parametrize(
    "carrier",
    [
        HEADERS,
        Dict(HEADERS),
        collections.UserDict(HEADERS),
        types.MappingProxyType(HEADERS),
        {k.upper(): v for k, v in HEADERS.items()},
        {k.encode(): v.encode() for k, v in HEADERS.items()},
        {k: [v] for k, v in HEADERS.items()},
        {k: (v.encode(),) for k, v in HEADERS.items()},
        {f"HTTP_{k.upper()}": v for k, v in HEADERS.items()} | {"wsgi.version": (1, 0)},
        {5: 6, None: 7, (1, 2): 8} | HEADERS,
        list(HEADERS.items()),
        tuple(HEADERS.items()),
        HEADERS.items(),
        iter(HEADERS.items()),
        [list(pair) for pair in HEADERS.items()],
        [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()],
        tuple(Pair(*pair) for pair in HEADERS.items()),
        [Object(key=k, value=v) for k, v in HEADERS.items()],
        [5, None, (), (1,), (1, 2), "ab", *HEADERS.items()],
        message(),
        Getter(get=insensitive),
        Getter(get_all=lambda name: [insensitive(name)]),
        Getter(getlist=lambda name: (insensitive(name),), get=None),
        Getter(
            getall=lambda name: [
                HEADERS[{"traceparent": "TraceParent"}.get(name, name)]
            ]
        ),
    ],
    ids=lambda carrier: type(carrier).__name__,
)
def test_a_carrier_of_any_kind_is_read(carrier):
    assert make().extract(carrier) == FOUND


def test_several_lines_of_a_header():
    lines = [("tracestate", "a=1"), ("TraceParent", PARENT), ("Tracestate", b"c=3")]
    assert make().extract(lines).tracestate == "a=1,c=3"
    assert make().extract([*lines, ("traceparent", PARENT)]) == TraceContext()
    headers = message({"traceparent": PARENT})
    headers["tracestate"] = "a=1"
    headers["tracestate"] = "c=3"
    assert make().extract(headers).tracestate == "a=1,c=3"
    headers["traceparent"] = PARENT
    assert make().extract(headers) == TraceContext()


def test_the_lower_case_name_goes_before_others():
    other = PARENT.replace("b7", "b8")
    assert make().extract({"Traceparent": other, "traceparent": PARENT}) == PLAIN
    assert make().extract({"HTTP_TRACEPARENT": other, "traceparent": PARENT}) == PLAIN


def test_none_and_empty_carriers_give_nothing():
    for carrier in (None, {}, [], (), iter([]), email.message.Message()):
        assert make().extract(carrier) == TraceContext()


@pytest.mark.parametrize(
    "value", [5, None, object(), [], [5], [None], {}, b"\xff", "\ud800"]
)
def test_values_that_are_no_headers_are_none(value):
    assert make().extract({"traceparent": value, "baggage": value}) == TraceContext()
    assert make().extract([("traceparent", value)]) == TraceContext()


@pytest.mark.parametrize(
    ("carrier", "problem"),
    [
        (5, "of type int, which has no headers."),
        ("traceparent", "of type str, which has no headers."),
        (b"traceparent", "of type bytes, which has no headers."),
        (object(), "of type object, which has no headers."),
        (dict, "of type type, which raised TypeError."),
        (
            Getter(get=raising(RuntimeError())),
            "of type Getter, which raised RuntimeError.",
        ),
        ((1 / 0 for _ in "a"), "of type generator, which raised ZeroDivisionError."),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_carrier_is_counted(carrier, problem):
    diag = Diag()
    if not isinstance(carrier, types.GeneratorType):
        assert make(diag).extract(carrier) == TraceContext()
        assert diag.dropped_counts()["traces", "", "invalid"] == 1
    with pytest.raises(InvalidValue) as error:
        make().extract(carrier)
    assert str(error.value) == f"propagation: extract() got a carrier {problem}"


def test_a_hostile_attribute_or_key_does_not_raise():
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError

    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            raise RuntimeError

    diag = Diag()
    assert make(diag).extract(Hostile()) == TraceContext()
    assert make(diag).extract({Key("traceparent"): PARENT}) == TraceContext()
    assert diag.dropped_counts()["traces", "", "invalid"] == 2


def test_of_a_huge_carrier_the_first_names_are_looked_at():
    seen = []

    def pairs():
        for n in range(10**6):
            seen.append(n)
            yield f"x{n}", "y"

    assert make().extract(pairs()) == TraceContext()
    assert len(seen) == 1_000
    huge = {f"X{n}": "y" for n in range(10**4)}
    assert make().extract(huge | {"Traceparent": PARENT}) == TraceContext()
    assert make().extract({"Traceparent": PARENT} | huge) == PLAIN
    assert make().extract(huge | {"traceparent": PARENT}) == PLAIN
    assert make().extract({"a" * 10**6: "x", "Traceparent": PARENT}) == PLAIN


OLD = "00-00000000000000000000000000000001-0000000000000002-00"


@pytest.mark.parametrize(
    ("carrier", "written"),
    [
        ({}, {"traceparent": PARENT}),
        ({"a": "b", "Traceparent": OLD}, {"a": "b", "traceparent": PARENT}),
        ({5: 6, "traceparent": OLD}, {5: 6, "traceparent": PARENT}),
        (Dict(TRACEPARENT=OLD), {"traceparent": PARENT}),
        (collections.UserDict(Traceparent=OLD), {"traceparent": PARENT}),
        ([], [("traceparent", PARENT)]),
        (
            [("a", "b"), ("Traceparent", OLD), 5],
            [("a", "b"), 5, ("traceparent", PARENT)],
        ),
        (
            [(b"a", b"b"), (b"TRACEPARENT", b"x")],
            [(b"a", b"b"), (b"traceparent", PARENT.encode())],
        ),
    ],
    ids=repr,
)
def test_a_carrier_is_written_in_place(carrier, written):
    assert make().inject(PLAIN, carrier) is carrier
    assert carrier == written


def test_a_tuple_gives_another_tuple():
    metadata = (("a", "b"), Pair("Traceparent", OLD))
    assert make().inject(PLAIN, metadata) == (("a", "b"), ("traceparent", PARENT))
    assert make().inject(PLAIN, ()) == (("traceparent", PARENT),)


def test_an_email_message_gets_no_second_line():
    carrier = message({"Traceparent": OLD, "a": "b"})
    assert make().inject(PLAIN, carrier) is carrier
    assert carrier.items() == [("a", "b"), ("traceparent", PARENT)]


def test_an_object_with_setitem_alone_is_written():
    class Only:
        def __setitem__(self, name, value):
            self.written = name, value

    assert make().inject(PLAIN, Only()).written == ("traceparent", PARENT)


def test_none_gives_a_new_dictionary():
    assert make().inject(FOUND) == {
        "traceparent": PARENT,
        "tracestate": "a=1",
        "baggage": "b=2",
    }
    assert make().inject(TraceContext()) == {}


def test_what_cannot_be_written_is_counted_and_given_back():
    class Raising(dict):
        def __setitem__(self, name, value):
            raise RuntimeError

    for carrier, problem in (
        (5, "of type int, which raised TypeError."),
        ("a", "of type str, which raised TypeError."),
        (frozenset(), "of type frozenset, which raised TypeError."),
        (Raising(), "of type Raising, which raised RuntimeError."),
    ):
        diag = Diag()
        assert make(diag).inject(PLAIN, carrier) is carrier
        assert diag.dropped_counts()["traces", "", "invalid"] == 1
        with pytest.raises(InvalidValue) as error:
            make().inject(PLAIN, carrier)
        assert str(error.value) == f"propagation: inject() got a carrier {problem}"


def test_a_round_trip_through_every_kind():
    for carrier in ({}, [], [(b"a", b"b")], (), message({}), collections.UserDict()):
        assert make().extract(make().inject(FOUND, carrier)) == FOUND
