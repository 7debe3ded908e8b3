"""Any value as a plain one."""

import datetime as dt
import sys
import uuid
from collections import UserString
from itertools import count

import pytest
from hypothesis import given

from obs.encoding._values import CIRCULAR, CUT, DEPTH, ITEMS, Plain
from tests.encoding import hostile


def plain(value, room=64 * 1024):
    return Plain(room).value(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (10**5_000, "<int of more than 1,024 bits>"),
        (hostile.Number(7), 7),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ("text", "text"),
        ("\ud800", "\\ud800"),
        (hostile.Wide("a\nb"), "a\nb"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abc"), "abc"),
        (hostile.Color.RED, "red"),
        (ValueError("wrong"), "ValueError: wrong"),
        (KeyError(), "KeyError"),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (UserString("us"), "us"),
        ((1, [2]), [1, [2]]),
        ({1: {None: b"x"}}, {"1": {"None": "x"}}),
        (hostile.Exploding(), "<Exploding>"),
        (hostile.Exiting(), "<Exiting>"),
        (hostile.Recursing(), "<Recursing>"),
        (hostile.Lying(), "<Lying>"),
        (hostile.Torn([1]), "<Torn>"),
    ],
    ids=count(),
)
def test_what_each_kind_of_value_becomes(value, found):
    got = plain(value)
    assert (got, type(got)) == (found, type(found))


def test_what_refers_to_itself_is_cut_there():
    assert plain(hostile.circle()) == {"name": "ring", "again": [CIRCULAR]}
    twice = ["shared"]
    assert plain([twice, twice]) == [["shared"], ["shared"]]


def test_depth_ends_in_a_short_text():
    assert plain(hostile.deep()) == nested("[[[...]]]")
    assert plain(nested(hostile.Color.RED)) == nested("RED")


def nested(value):
    for _ in range(DEPTH):
        value = [value]
    return value


def test_a_container_keeps_its_first_items_and_a_mark():
    assert plain(range(10**9)) == [*range(ITEMS), CUT]
    found = plain({n: n for n in range(ITEMS + 1)})
    assert len(found) == ITEMS + 1
    assert found[CUT] == CUT
    assert CUT not in plain(list(range(ITEMS)))


def test_a_text_takes_half_of_the_room_and_what_follows_has_the_rest():
    found = plain(["x" * 1_000, "y" * 10], 108)
    assert found == ["x" * 50 + CUT, "y" * 10]
    assert plain("é" * 100, 21) == "é" * 5 + CUT
    assert plain("\ud800" * 3, 24) == "\\ud800\\ud800" + CUT


def test_a_record_without_room_ends_with_a_mark():
    assert plain([1, 2, 3], 24) == [1, 2, CUT]
    assert plain({"a": 1, "b": 2}, 18) == {"a": 1, CUT: CUT}
    assert sum(map(len, plain([[""] * 1024] * 1024))) < 64 * 1024


def test_a_long_repr_is_cut():
    class Long:
        def __str__(self):
            return "z" * 10_000

    assert plain(Long()) == "z" * 8_192 + CUT


def test_what_was_meant_for_the_host_goes_on():
    class Interrupted:
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain([Interrupted()])


def is_plain(value, depth):
    assert depth >= 0
    kind = type(value)
    assert kind in (str, int, float, bool, list, dict, type(None))
    if kind is dict:
        assert all(type(name) is str for name in value)
        return sum(is_plain(v, depth - 1) + len(k) for k, v in value.items())
    if kind is list:
        return sum(is_plain(item, depth - 1) for item in value)
    return len(value.encode()) if kind is str else sys.getsizeof(value)


@given(hostile.values)
def test_any_value_is_made_plain_and_small(value):
    assert is_plain(plain(value, 2_000), 8) < 12_000
