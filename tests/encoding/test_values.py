"""Any value as a plain one."""

import datetime as dt
import re
import sys
import uuid
from collections import UserString
from itertools import count
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.encoding._values import CIRCULAR, CUT, DEPTH, ITEMS, MARGIN, Plain
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
    assert plain(range(10**9)) == [*range(ITEMS - 1), CUT]
    found = plain({n: n for n in range(ITEMS + 1)})
    assert len(found) == ITEMS
    assert found[CUT] == CUT
    assert CUT not in plain(list(range(ITEMS)))


def test_a_mapping_keeps_as_many_items_as_it_is_told():
    three = {"a": 1, "b": 2, "c": 3}
    assert Plain(100).mapping(three, 3) == three
    assert Plain(100).mapping(three, 2) == {"a": 1, CUT: CUT}
    assert Plain(100).mapping(MappingProxyType(three), 2) == {"a": 1, CUT: CUT}


def test_what_is_no_mapping_becomes_one():
    assert Plain(100).mapping(None) == {}
    assert Plain(100).mapping([1]) == {"value": [1]}
    assert Plain(100).mapping(hostile.Torn([1])) == {"value": "<Torn>"}
    assert Plain(100).mapping(hostile.Growing()) == {"value": "<Growing>"}


def test_a_name_is_not_empty():
    assert plain({"": {"": 1}}) == {"<empty>": {"<empty>": 1}}


def test_what_is_cut_is_counted():
    for value, cut in [
        ("x" * 10, 0),
        ("x" * 100, 1),
        (list(range(3)), 0),
        (["x" * 100, "y" * 100], 2),
        (hostile.deep(), 1),
        (range(2_000), 1),
        ({1: 1, "1": 2}, 1),
        (hostile.circle(), 0),
    ]:
        one = Plain(120)
        one.value(value)
        assert one.cut == cut, value


def test_a_text_takes_half_of_the_room_and_what_follows_has_the_rest():
    found = plain(["x" * 1_000, "y" * 10], 108)
    assert found == ["x" * 47 + CUT, "y" * 10]
    assert plain("é" * 100, 21) == "é" * 3 + CUT
    assert plain("\ud800" * 3, 30) == "\\ud800\\ud800" + CUT


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


@given(hostile.values, st.integers(0, 400))
def test_a_plain_value_stays_as_it_is(value, room):
    once = plain(value, room)
    assert plain(once, room) == once


@pytest.mark.parametrize(
    "before",
    [
        *(hostile.circle(), range(2_000), {n: n for n in range(2_000)}, "x" * 10**5),
        *(-float("inf"), 1 << 64, hostile.Exploding(), b"\xff\x00", "\ud800", {"": ""}),
        hostile.deep(),
    ],
    ids=count(),
)
def test_what_was_made_plain_takes_no_more_room(before):
    for room in (40_000, 40_001):
        once = plain([before, "x" * 10**5], room)
        assert once[1].endswith("x" + CUT)
        assert plain(once, room) == once


class Mines:
    """Finds secrets by a word; the values of secret names explode."""

    mask = "[redacted]"

    def is_secret(self, name):
        return name.endswith("password")

    def text(self, text):
        return re.sub("S[a-z0-9]*E", self.mask, text)


def redacted(value, room=64 * 1024):
    return Plain(room, Mines()).value(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a Ssecret0E b", "a [redacted] b"),
        (b"a Ssecret0E b", "a [redacted] b"),
        (ValueError("Ssecret0E"), "ValueError: [redacted]"),
        ({"password": hostile.Endless()}, {"password": "[redacted]"}),
        ({"a": [{"password": 1}]}, {"a": [{"password": "[redacted]"}]}),
        ({b"password": 1}, {"password": "[redacted]"}),
        ({"Ssecret0E": 1}, {"[redacted]": 1}),
        (("password", "x"), ["password", "[redacted]"]),
        ([(b"password", b"x"), (b"accept", b"x")],
         [["password", "[redacted]"], ["accept", "x"]]),
        (["password", "x"], ["password", "[redacted]"]),
        (["a password", "x"], ["a password", "x"]),
        (("password", "x", "y"), ["password", "x", "y"]),
        (UserString("Ssecret0E"), "[redacted]"),
        (hostile.Wide("Ssecret0E"), "[redacted]"),
    ],
    ids=count(),
)  # fmt: skip
def test_secrets_are_taken_out_at_any_depth(value, found):
    assert redacted(value) == found


def test_nothing_is_shown_of_what_lies_too_deep():
    assert redacted(nested({"password": "x"})) == nested("<dict>")


@pytest.mark.parametrize("wrap", [str, str.encode])
@pytest.mark.parametrize("lead", [0, 1, 10, 30, 47, 50, 51])
def test_a_secret_across_the_cut_does_not_show_half(wrap, lead):
    text = "x" * lead + "S" + "secret0" * 3 + "E" + "y" * 10**5
    (found, rest) = redacted([wrap(text), "z"], 108)
    assert "secret" not in found
    assert found.startswith("x" * min(lead, 30))
    assert (found[-1], rest) == (CUT, "z")
    long = text.replace("secret0", "secret0" * 390)
    assert "secret" not in redacted([wrap(long)], 108)[0]


def test_half_a_secret_at_the_end_of_the_search_does_not_show():
    # Masks make the text so short that what lies behind the cut would be kept.
    text = ("S" + "a" * 4_100 + "E") * 2 + "Shalf" + "b" * 10**4
    assert redacted([text], 108) == [CUT]


def test_a_secret_name_is_known_though_it_is_cut():
    found = redacted({"a": "x", "the password": "hunter2"}, 30)
    assert found == {"a": "x", "the p" + CUT: "[redacted]"}


def test_no_more_of_a_text_is_searched_than_can_be_kept_and_a_margin():
    searched = []

    class Noting(Mines):
        def text(self, text):
            searched.append(len(text))
            return text

        def is_secret(self, name):
            searched.append(len(name))
            return False

    for value in ("x" * 10**7, b"x" * 10**7, {"x" * 10**7: 1}, ("x" * 10**7, 1)):
        Plain(1_000, Noting()).value(value)
    assert max(searched) <= 500 + MARGIN


def test_a_long_repr_is_searched_before_it_is_cut():
    class Long:
        def __str__(self):
            return "z" * 8_190 + "S" + "secret" * 900 + "E"

    assert redacted(Long()) == "z" * 8_190 + "[r" + CUT


def test_the_mask_takes_room():
    found = redacted([{"password": 1}] * 1_000, 1_000)
    assert len(found) == 1_000 // (8 + len("password") + 2 + len(Mines.mask) + 2) + 2


@given(hostile.values, st.integers(0, 400))
def test_a_redacted_value_stays_as_it_is(value, room):
    once = redacted(value, room)
    assert redacted(once, room) == once
