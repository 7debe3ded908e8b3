"""Attributes that cannot go out as they are."""

import enum

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._mend import mended
from tests.exporters.otlp.oracle import pairs


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


class Whole(enum.IntEnum):
    ONE = 1


class Explodes:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "sane"),
    [
        (Text("a"), "a"),
        ("a\ud800", "a?"),
        (Whole.ONE, 1),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        (10**5000, "<int>"),
        (Explodes(), "<Explodes>"),
        (1 + 2j, "(1+2j)"),
        (bytearray(b"ab"), "bytearray(b'ab')"),
        (frozenset({1}), [1]),
        ({1: 2}, {"1": 2}),
        ([2**70], ["1180591620717411303424"]),
        ({"": 1, "b": "\ud800"}, {"b": "?"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes_one_that_protobuf_has(value, sane):
    assert mended({"key": value}) == {"key": sane}
    fields = b"".join(attributes(b"\x0a", {"key": value}))
    assert pairs(KeyValueList.FromString(fields).values) == [("key", sane)]


def test_what_contains_itself_ends():
    loop = []
    loop += [loop] * 1000
    tree = {}
    tree.update(dict.fromkeys(map(str, range(1000)), tree))
    fields = b"".join(attributes(b"\x0a", {"list": loop, "tree": tree}))
    found = dict(pairs(KeyValueList.FromString(fields).values))
    assert set(found) == {"list", "tree"}
    assert len(fields) < 2_000_000


def test_containers_in_containers_are_text_below_sixteen():
    deep = "leaf"
    for _ in range(30):
        deep = [deep]
    fields = b"".join(attributes(b"\x0a", {"deep": deep}))
    ((_, found),) = pairs(KeyValueList.FromString(fields).values)
    depth = 0
    while isinstance(found, list):
        (found,) = found
        depth += 1
    assert depth == 16
    assert isinstance(found, str)
