"""Quantiles from buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.encoding import quantile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("q", "buckets", "wanted"),
    [
        (0.5, (0, 10, 0, 0), 1.5),
        (0.5, (10, 0, 0, 0), 0.5),
        (1.0, (10, 0, 0, 0), 1.0),
        (0.0, (0, 0, 5, 0), 2.0),
        (0.5, (1, 1, 1, 1), 2.0),
        (0.75, (0, 2, 2, 0), 3.0),
        (0.95, (1, 0, 0, 99), 4.0),
        (0.5, (5, 0, 5, 0), 1.0),
    ],
)
def test_quantile(q, buckets, wanted):
    assert quantile(q, BOUNDS, buckets) == pytest.approx(wanted)


def test_a_first_bucket_below_zero_gives_its_bound():
    assert quantile(0.5, (-2.0, 1.0), (4, 0, 0)) == -2.0
    assert quantile(0.5, (-2.0, 1.0), (0, 4, 0)) == -0.5


def test_quantile_of_nothing_is_nan():
    assert str(quantile(0.5, BOUNDS, (0, 0, 0, 0))) == "nan"


@given(
    st.lists(st.integers(0, 1_000), min_size=4, max_size=4).filter(any),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_quantiles_rise_and_stay_within_the_buckets(buckets, qs):
    low, high = (quantile(q, BOUNDS, buckets) for q in sorted(qs))
    assert 0.0 <= low <= high <= BOUNDS[-1]
