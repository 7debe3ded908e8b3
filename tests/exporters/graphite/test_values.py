"""What is sent of a point."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.model import ExponentialPoint, HistogramPoint, NumberPoint
from obs_exporters.graphite._paths import Path
from obs_exporters.graphite._values import text_of, values_of

PATH = Path("a.b", None)
TAGGED = Path("a.b", ("k=v",))


def histogram(buckets, total=7.5, bounds=(1.0, 2.0, 4.0), start_ns=1):
    return HistogramPoint({}, sum(buckets), total, bounds, tuple(buckets), start_ns)


def sent(point, before=None, path=PATH):
    return dict(values_of(path, point, before))


def test_a_number():
    assert sent(NumberPoint({}, 3)) == {"a.b": 3.0}
    assert sent(NumberPoint({}, -2.5), path=TAGGED) == {"a.b;k=v": -2.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, "1x", None])
def test_what_is_no_finite_number_is_not_sent(value):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        values_of(PATH, NumberPoint({}, value), {})
    with pytest.raises((ValueError, TypeError, OverflowError)):
        values_of(PATH, histogram([1, 2, 3, 4], value), {})


def test_an_exponential_histogram_is_not_sent():
    with pytest.raises(TypeError):
        values_of(PATH, ExponentialPoint({}, 1, 1.0, 0, 0, 0, (1,)), {})


def test_percentiles():
    assert sent(histogram([0, 100, 0, 0]), {}) == {
        "a.b.count": 100.0,
        "a.b.sum": 7.5,
        "a.b.p50": 1.5,
        "a.b.p90": 1.9,
        "a.b.p95": 1.95,
        "a.b.p99": 1.99,
    }


def test_percentiles_are_of_what_was_observed_since_the_last_push():
    before = {PATH: histogram([1000, 0, 0, 0])}
    found = sent(histogram([1000, 0, 100, 0], 9.0), before)
    assert found == {
        "a.b.count": 1100.0,
        "a.b.sum": 9.0,
        "a.b.p50": 3.0,
        "a.b.p90": 3.8,
        "a.b.p95": 3.9,
        "a.b.p99": 3.98,
    }


def test_where_nothing_was_observed_there_are_no_percentiles():
    nothing = {"a.b.count": 0.0, "a.b.sum": 0.0}
    assert sent(histogram([0, 0, 0, 0], 0), {}) == nothing
    some = histogram([1, 2, 3, 4])
    assert sent(some, {PATH: some}) == {"a.b.count": 10.0, "a.b.sum": 7.5}


@pytest.mark.parametrize(
    "before",
    [
        histogram([1000, 0, 0, 0], start_ns=2),
        histogram([0, 101, 0, 0]),
        histogram([1000, 0, 0, 0], bounds=(1.0, 2.0, 5.0)),
        histogram([1, 0], bounds=(1.0,)),
    ],
    ids=["made anew", "fell", "other bounds", "fewer bounds"],
)
def test_a_histogram_that_is_another_counts_from_its_start(before):
    point = histogram([0, 100, 0, 0])
    assert sent(point, {PATH: before}) == sent(point, {})


def test_percentiles_below_zero_and_above_all_bounds():
    found = sent(histogram([90, 0, 0, 10], bounds=(-1.0, 0.5, 10.0)), {})
    assert (found["a.b.p50"], found["a.b.p99"]) == (-1.0, 10.0)


def test_without_bounds_there_are_no_percentiles():
    found = sent(HistogramPoint({}, 3, 1.5, (), (3,)), {})
    assert found == {"a.b.count": 3.0, "a.b.sum": 1.5}


def test_buckets_hold_what_was_at_most_their_bound():
    point = histogram([1, 2, 0, 4], bounds=(0.25, 1.0, 20.0))
    assert sent(point) == {
        "a.b.count": 7.0,
        "a.b.sum": 7.5,
        "a.b.bucket.0_25": 1.0,
        "a.b.bucket.1": 3.0,
        "a.b.bucket.20": 3.0,
        "a.b.bucket.Inf": 7.0,
    }
    assert list(sent(point, path=TAGGED)) == [
        "a.b.count;k=v",
        "a.b.sum;k=v",
        "a.b.bucket;k=v;le=0.25",
        "a.b.bucket;k=v;le=1",
        "a.b.bucket;k=v;le=20",
        "a.b.bucket;k=v;le=+Inf",
    ]


@pytest.mark.parametrize("buckets", [(1,), (1, 2, 3, 4, 5)])
def test_buckets_that_do_not_fit_their_bounds_are_not_sent(buckets):
    point = HistogramPoint({}, 1, 1.0, (1.0, 2.0), buckets)
    with pytest.raises(ValueError, match="zip"):
        values_of(PATH, point, None)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3.0, "3"),
        (-0.1, "-0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e22, "1e+22"),
        (5e-324, "5e-324"),
        (2.0**53, "9007199254740992"),
    ],
)
def test_texts_of_numbers(number, text):
    assert text_of(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back(number):
    assert float(text_of(number)) == number
    assert len(text_of(number)) <= 24


COUNTS = st.lists(st.integers(0, 1_000), min_size=4, max_size=4)


@given(COUNTS, COUNTS)
def test_percentiles_of_an_interval_are_those_of_its_observations_alone(old, new):
    both = histogram([a + b for a, b in zip(old, new, strict=True)])
    found = sent(both, {PATH: histogram(old)})
    alone = sent(histogram(new), {})
    names = {name for name in (*found, *alone) if ".p" in name}
    assert len(names) == (4 if any(new) else 0)
    assert [found.get(name) for name in names] == [alone.get(name) for name in names]
