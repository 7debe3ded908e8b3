"""Which values stand for a histogram, and how often."""

from bisect import bisect_left
from itertools import accumulate
from math import inf, isclose, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obs_exporters.statsd._samples import (
    MOST_OBSERVATIONS,
    Sample,
    decimal,
    rate_of,
    samples_of,
)

BOUNDS = (1.0, 2.0, 5.0)


def samples(buckets, total, bounds=BOUNDS, most_lines=None, is_signed=False):
    return samples_of(
        bounds, buckets, total, most_lines=most_lines, is_signed=is_signed
    )


def test_a_line_for_each_bucket_with_anything():
    assert samples((4, 0, 10, 0), 4 * 0.5 + 10 * 3.5) == [
        Sample(0.5, 4, 1),
        Sample(3.5, 10, 1),
    ]


def test_values_stand_where_the_sum_is_right():
    found = samples((4, 2, 0, 0), 4 * 0.25 + 2 * 1.25)
    assert found == [Sample(0.25, 4, 1), Sample(1.25, 2, 1)]


def test_the_bucket_above_all_bounds_has_what_is_left_of_the_sum():
    assert samples((0, 2, 0, 3), 2 * 1.5 + 3 * 40)[-1] == Sample(40.0, 3, 1)


def test_a_sum_that_no_values_of_the_buckets_have():
    """As of values below zero in the first: each stays in its bucket."""
    low = samples((1, 1, 0, 1), -100.0)
    high = samples((1, 1, 0, 0), 100.0)
    assert [bisect_left(BOUNDS, each.value) for each in low] == [0, 1, 3]
    assert [each.value for each in high] == [1.0, 2.0]


def test_nothing_observed_and_no_bounds():
    assert samples((0, 0, 0, 0), 0.0) == []
    assert samples((4,), 6.0, bounds=()) == [Sample(1.5, 4, 1)]


def test_values_below_zero():
    bounds = (-10.0, 1.0)
    assert samples((2, 0, 0), -25.0, bounds, is_signed=True) == [Sample(-10.0, 2, 1)]
    assert samples((0, 1, 0), 0.5, bounds) == [Sample(0.5, 1, 1)]
    assert samples((0, 1, 0), -5.0, bounds) == [Sample(0.0, 1, 1)]
    for buckets, total in (((1, 0, 0), -20.0), ((1, 5, 5), 100.0)):
        with pytest.raises(ValueError, match=r"^$"):
            samples(buckets, total, bounds)


@pytest.mark.parametrize(
    ("buckets", "total"),
    [
        ((MOST_OBSERVATIONS, 1, 0, 0), 1.0),
        ((-1, 2, 0, 0), 1.0),
        ((0, 0, 0, 1), inf),
    ],
)
def test_what_cannot_be_said(buckets, total):
    with pytest.raises(ValueError, match=r"^$"):
        samples(buckets, total)


def test_lines_by_rank():
    """Of 250 the I-th line stands at the rank I / 100: each for two or three."""
    found = samples((50, 125, 70, 5), 400.0, most_lines=100)
    assert [(each.weight, each.lines) for each in found] == [
        (50, 20),
        (125, 50),
        (70, 28),
        (5, 2),
    ]


def test_the_mean_of_lines_is_the_true_one():
    """Of lines, not of what they stand for: such a server does not weigh them."""
    buckets = (3, 100, 48, 0)
    total = 3 * 0.4 + 100 * 1.4 + 48 * 3.2
    found = samples(buckets, total, most_lines=100)
    mean = sum(each.value * each.lines for each in found) / 100
    assert isclose(mean, total / sum(buckets), rel_tol=1e-9)
    assert len({each.weight / each.lines for each in found}) > 1


def test_fewer_than_the_lines_are_sent_as_they_are():
    found = samples((1, 3, 0, 2), 20.0, most_lines=100)
    assert [(each.weight, each.lines) for each in found] == [(1, 1), (3, 3), (2, 2)]


histograms = st.lists(st.integers(0, 3_000), min_size=1, max_size=8).map(tuple)
bounds_for = st.lists(
    st.floats(0.001, 1e6).map(lambda bound: round(bound, 4)),
    min_size=7,
    max_size=7,
    unique=True,
).map(sorted)


@given(histograms, bounds_for, st.floats(0, 1e9))
def test_each_value_is_in_its_bucket_and_none_is_lost(buckets, bounds, total):
    bounds = bounds[: len(buckets) - 1]
    found = samples_of(bounds, buckets, total, most_lines=None, is_signed=False)
    counted = [0] * len(buckets)
    for sample in found:
        counted[bisect_left(bounds, sample.value)] += sample.weight
    assert tuple(counted) == buckets


@given(histograms, bounds_for, st.data())
def test_the_sum_is_what_the_values_may_have(buckets, bounds, data):
    bounds = bounds[: len(buckets) - 1]
    edges = [0.0, *bounds, 1e7]
    total = sum(
        n * (low + data.draw(st.floats(0.001, 1)) * (high - low))
        for n, low, high in zip(buckets, edges, edges[1:], strict=False)
    )
    found = samples_of(bounds, buckets, total, most_lines=None, is_signed=False)
    assert isclose(sum(each.value * each.weight for each in found), total, rel_tol=1e-9)


@given(histograms, st.integers(1, 100))
@example((12_345, 1), 100)
def test_each_line_has_the_bucket_of_its_rank(buckets, most):
    bounds = list(range(1, len(buckets)))
    found = samples_of(bounds, buckets, sum(buckets), most_lines=most, is_signed=False)
    observed = sum(buckets)
    lines = [
        bisect_left(bounds, each.value) for each in found for _ in range(each.lines)
    ]
    assert len(lines) == min(observed, most)
    assert sum(each.weight for each in found) == observed
    upper = list(accumulate(buckets))
    for number, bucket in enumerate(lines, 1):
        rank = -(-number * observed // len(lines))
        assert bucket == bisect_left(upper, rank)
    for each in found:  # as even as can be
        least, more = divmod(each.weight, each.lines)
        assert observed // len(lines) <= least
        assert least + bool(more) <= -(-observed // len(lines))


def test_rates_at_which_a_server_that_cuts_finds_the_number():
    for n in range(1, 100_001):
        rate = rate_of(n)
        assert int(1 / float(rate)) == n
        assert isclose(1 / float(rate), n, rel_tol=1e-15)
    assert rate_of(2) == "0.5"
    assert rate_of(49) == "0.02040816326530612"  # 1 / 49 would count as 48
    assert rate_of(10**6) == "0.000001"


@given(st.integers(1, MOST_OBSERVATIONS))
def test_rates_have_no_exponent(n):
    rate = rate_of(n)
    assert set(rate) <= set("0123456789.")
    assert int(1 / float(rate)) == n


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e-300)
@example(1.7e308)
def test_numbers_have_no_exponent(value):
    text = decimal(value)
    assert set(text) <= set("-0123456789.")
    assert float(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (1e-7, "0.0000001"),
        (1e22, "1" + "0" * 22),
    ],
)
def test_numbers(value, text):
    assert decimal(value) == text


def test_no_number():
    with pytest.raises(ValueError, match="NaN"):
        decimal(nan)
