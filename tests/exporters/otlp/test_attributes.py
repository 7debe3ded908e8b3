"""Attributes: every value that records may have, and what is odd."""

from math import isnan

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from obs_exporters.otlp import _attributes
from obs_exporters.otlp._attributes import attributes
from tests.exporters.otlp.oracle import pairs


def read(given):
    return pairs(KeyValueList.FromString(b"".join(attributes(b"\x0a", given))).values)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "żółć 😀",
        "x" * 127,
        "x" * 128,
        "x" * 1023,
        "x" * 1024,
        "x" * 70_000,
        True,
        False,
        0,
        1,
        127,
        128,
        1023,
        1024,
        2**63 - 1,
        -1,
        -(2**63),
        0.0,
        2.5,
        float("inf"),
        None,
        b"",
        b"\x00\xff",
        [],
        [1, "a", True, 2.5, None, [1], {"a": b"b"}],
        {},
        {"a": {"b": [{"c": 1}]}, "d": 2},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_is_read_back_with_its_type(value):
    ((name, found),) = read({"key": value})
    assert name == "key"
    assert found == value
    assert type(found) is type(value)


def test_a_tuple_is_a_list():
    assert read({"a": (1, (2,))}) == [("a", [1, [2]])]


def test_nan_is_a_double():
    ((_, found),) = read({"a": float("nan")})
    assert isnan(found)


def test_the_order_stays():
    given = {name: number for number, name in enumerate("zyxabc")}
    assert read(given) == list(given.items())


def test_each_attribute_is_one_field():
    fields = attributes(b"\x4a", {"a": 1, "b": "x"})
    assert fields == [
        bytes.fromhex("4a 07 0a01 61 12 02 18 01"),
        bytes.fromhex("4a 08 0a01 62 12 03 0a01 78"),
    ]


def test_an_attribute_without_a_name_is_left_out():
    assert read({"": 1, "b": 2}) == [("b", 2)]


def test_names_that_become_one_go_out_once_the_first_of_them():
    names = ["\ud800", "\ud801", "?", 1, "1"]
    given = dict(zip(names, range(5), strict=True))
    assert read(given) == [("?", 0), ("1", 3)]


def test_what_is_no_dict_is_read_as_one():
    class Twice:
        def keys(self):
            return ["a", "b", "a"]

        def __getitem__(self, name):
            return name

    assert read(Twice()) == [("a", "a"), ("b", "b")]


def test_names_are_kept_but_not_without_end(monkeypatch):
    monkeypatch.setattr(_attributes, "_keys", {})
    for number in range(3 * _attributes._MAX_KEYS):
        assert read({f"name {number}": 1}) == [(f"name {number}", 1)]
    assert len(_attributes._keys) <= _attributes._MAX_KEYS
