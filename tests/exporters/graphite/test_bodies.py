"""Bodies: golden bytes, sizes, counts, datagrams."""

import pickle
from itertools import pairwise
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_exporters.graphite._bodies import (
    DATAGRAM,
    MAX_BYTES,
    datagrams,
    frames,
    lines,
    payloads,
)
from obs_exporters.graphite._values import Value
from tests.exporters.graphite.reader import lines as lines_of
from tests.exporters.graphite.reader import pickles, read_line, read_pickle

TIME = 1_700_000_000
SOME = [Value("a.b", 1.0), Value("é;k=v", -0.25)]
GOLDEN_LINES = b"a.b 1 1700000000\n\xc3\xa9;k=v -0.25 1700000000\n"
GOLDEN_FRAME = bytes.fromhex(
    "00000047"  # 71 bytes follow
    "8002"  # protocol 2
    "5d7100"  # a list, kept as 0
    "28"  # mark
    "5803000000612e62"
    "7101"  # "a.b"
    "4a00f15365"
    "473ff0000000000000"
    "86"
    "7102"  # 1700000000, 1.0
    "86"
    "7103"
    "5806000000c3a93b6b3d76"
    "7104"  # "é;k=v"
    "4a00f15365"
    "47bfd0000000000000"
    "86"
    "7105"  # 1700000000, -0.25
    "86"
    "7106"
    "65"  # all that into the list
    "2e"
)


def values(n, chars=10, begin=0):
    paths = (f"{i:0{chars}}" for i in range(begin, begin + n))
    levels = (".".join(wrap(path, 200)) for path in paths)
    return [Value(path, i + 0.5) for i, path in enumerate(levels, begin)]


def test_lines():
    assert lines(SOME, TIME) == GOLDEN_LINES
    assert lines([], TIME) == b""


def test_a_frame():
    assert frames(SOME, TIME) == GOLDEN_FRAME
    assert pickle.loads(GOLDEN_FRAME[4:]) == [
        ("a.b", (TIME, 1.0)),
        ("é;k=v", (TIME, -0.25)),
    ]
    assert frames([], TIME) == b""


def test_a_frame_has_at_most_500_tuples():
    found, rest = pickles(frames(values(1_201), TIME))
    assert ([len(pickle.loads(it)) for it in found], rest) == ([500, 500, 201], b"")
    read = [it for frame in found for it in read_pickle(frame)]
    assert [it.value for it in read] == [i + 0.5 for i in range(1_201)]


def test_the_values_of_a_point_stay_together_and_are_one_record():
    points = [values(3), values(1), values(2)]
    (payload,) = payloads(points, TIME, lines, {})
    assert payload.body.count(b"\n") == 6
    assert (payload.records, payload.dropped, payload.merged) == (3, {}, 0)


def test_what_cannot_be_sent_is_counted():
    found = list(payloads([None, values(1), None], TIME, lines, {}))
    assert [(it.records, it.dropped) for it in found] == [(1, {"invalid": 2})]
    (nothing,) = payloads([None], TIME, lines, {})
    assert (nothing.body, nothing.records, nothing.dropped) == (b"", 0, {"invalid": 1})
    assert list(payloads([], TIME, lines, {})) == []


def test_a_point_that_is_larger_than_a_body_is_left_out():
    points = [values(1), values(70, 1_000), values(1)]
    (payload,) = payloads(points, TIME, lines, {})
    assert (payload.records, payload.dropped) == (2, {"invalid": 1})


@pytest.mark.parametrize("pack", [lines, frames])
def test_short_paths_and_long_numbers_do_not_grow_past_a_body(pack):
    points = [[Value("x", -1.7976931348623157e308)]] * 10_000
    found = list(payloads(points, TIME, pack, {}))
    assert max(len(it.body) for it in found) <= MAX_BYTES
    assert sum(it.records for it in found) == 10_000


def test_a_body_carries_the_histograms_of_its_batch():
    histograms = {}
    for payload in payloads([values(1)] * 2_000, TIME, lines, histograms):
        assert payload.body.histograms is histograms


POINTS = st.lists(
    st.none() | st.builds(values, st.integers(1, 40), st.integers(1, 1_100)),
    max_size=30,
)


@given(POINTS, st.sampled_from([lines, frames]))
def test_bodies_keep_their_size_and_account_for_each_point(points, pack):
    found = list(payloads(points, TIME, pack, {}))
    assert all(len(it.body) <= MAX_BYTES for it in found)
    records = sum(it.records for it in found)
    invalid = sum(it.dropped.get("invalid", 0) for it in found)
    assert records + invalid == len(points)
    read = []
    for it in found:
        if pack is lines:
            each, rest = lines_of(it.body)
            read += map(read_line, each)
        else:
            each, rest = pickles(it.body)
            read += [value for frame in each for value in read_pickle(frame)]
        assert rest == b""
    kept = [
        it for it in points if it and sum(len(v.path) + 48 for v in it) <= MAX_BYTES
    ]
    assert [it.value for it in read] == [v.number for it in kept for v in it]
    assert all(it.time == TIME for it in read)


@given(st.lists(st.integers(1, 1_340), max_size=60))
def test_datagrams_are_packed_and_divide_no_line(sizes):
    body = lines([Value("x" * size, 1.0) for size in sizes], TIME)
    found = list(datagrams(body))
    assert b"".join(found) == body
    assert all(len(it) <= DATAGRAM and it.endswith(b"\n") for it in found)
    for one, other in pairwise(found):
        first_line = other.index(b"\n") + 1
        assert len(one) + first_line > DATAGRAM
