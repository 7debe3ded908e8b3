"""Which values are plain, and the text of the others."""

from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from math import inf, nan

import pytest

from obs_exporters.prometheus._values import are_plain, value_text
from tests.exporters.prometheus.sources import (
    OPENMETRICS,
    FixedSource,
    histogram,
    number,
    page_of,
    samples,
)

HUGE = 10**400


class Hostile:
    def __float__(self):
        raise ZeroDivisionError


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    "values", [[], [0], [1, 2.5, -3], [10**300], [-0.0], [1.7e308, -1.7e308]]
)
def test_finite_numbers_are_plain(values):
    assert are_plain(values)


@pytest.mark.parametrize(
    "values",
    [
        [nan], [inf], [1, -inf], [inf, -inf], [HUGE], [HUGE, -HUGE], [True], ["1"], [None],
        [1.7e308, 1.7e308], [Decimal(1)], [Level.LOW], [Hostile()],
    ],
)  # fmt: skip
def test_all_others_are_not(values):
    assert not are_plain(values)


def test_what_is_below_the_least_is_not_plain():
    assert are_plain([0, 5], 0)
    assert not are_plain([5, -1], 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (2**53 + 1, "9007199254740993"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (inf, "+Inf"),
        (-inf, "-Inf"),
        (nan, "NaN"),
        (HUGE, "+Inf"),
        (-HUGE, "-Inf"),
        (True, "1.0"),
        (Level.LOW, "1.0"),
        (Decimal("1.5"), "1.5"),
        (Decimal("NaN"), "NaN"),
        (Fraction(1, 4), "0.25"),
        ("1", None),
        (b"1", None),
        (None, None),
        (1j, None),
        ([], None),
        (Hostile(), None),
    ],
)
def test_a_value_has_this_text(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize("value", [nan, -1, -0.5, -inf, -HUGE, "x"])
def test_what_a_counter_cannot_be_has_no_text(value):
    assert value_text(value, 0) is None
    assert value_text(inf, 0) == "+Inf"


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_series_whose_value_is_no_number_is_left_out_counted_and_said(accept):
    values = {("a",): 1, ("b",): "x", ("c%",): 2.5, ("d",): None, ("e",): inf}
    source = FixedSource(number("n", values=values, label_names=("l",)))
    found = samples(page_of(source=source, accept=accept), accept)
    assert found == {
        ("n", frozenset({("l", "a")})): 1,
        ("n", frozenset({("l", "c%")})): 2.5,
        ("n", frozenset({("l", "e")})): inf,
    }
    assert source.counted == {"invalid": 2}
    assert source.said == [
        (
            "prometheus",
            "metric 'n': a collector gave a value that is not a number. Its series is "
            "not on the page. Let it give an int or a float.",
        )
    ]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_counter_that_is_negative_or_nan_is_left_out(accept):
    values = {("a",): 1, ("b",): -1, ("c",): nan, ("d",): inf}
    source = FixedSource(number("n", "counter", values, label_names=("l",)))
    found = samples(page_of(source=source, accept=accept), accept)
    assert found == {
        ("n_total", frozenset({("l", "a")})): 1,
        ("n_total", frozenset({("l", "d")})): inf,
    }
    assert source.counted == {"invalid": 2}
    assert "a value that is not at least 0" in source.said[0][1]


@pytest.mark.parametrize(
    ("total", "text_lines", "openmetrics_lines"),
    [
        (1.5, 5, 5),
        (-1.5, 5, 3),
        (nan, 5, 3),
        (inf, 5, 5),
        (Decimal(2), 5, 5),
        ("x", 0, 0),
    ],
)
def test_openmetrics_shows_no_sum_that_falls(total, text_lines, openmetrics_lines):
    """OpenMetrics 1.0: sums are counters, so they are not negative and not NaN."""
    source = FixedSource(histogram("h", rows={("%s",): (total, [1, 2, 3])},
                                   label_names=("l",)))  # fmt: skip
    assert len(samples(page_of(source=source))) == text_lines
    page = page_of(source=source, accept=OPENMETRICS)
    assert len(samples(page, OPENMETRICS)) == openmetrics_lines
    assert source.counted == ({} if text_lines else {"invalid": 2})
