"""Units as Grafana calls them."""

import pytest

from obs.catalog import CATALOG
from obs.dashboards._metric import Metric, builtin
from obs.dashboards._queries import (
    Age,
    Count,
    Heat,
    Last,
    Outlier,
    Quantile,
    Rate,
    Ratio,
    Reached,
    Share,
    Sum,
    Total,
)
from obs.dashboards._units import _UNITS, grafana_unit, unit_of
from obs.naming import _PROMETHEUS_UNITS


def metric(kind, unit):
    return Metric("x", kind, unit, "", ())


@pytest.mark.parametrize(
    ("kind", "unit", "expected"),
    [
        ("gauge", "s", "s"),
        ("gauge", "By", "bytes"),
        ("gauge", "", "short"),
        ("gauge", "{order}", "short"),
        ("gauge", "1", "percentunit"),
        ("counter", "1", "short"),
        ("gauge", "Cel", "celsius"),
        ("gauge", "{order}/s", "suffix: {order}/s"),
        ("gauge", "furlong", "suffix: furlong"),
    ],
)
def test_the_unit_of_a_value(kind, unit, expected):
    assert grafana_unit(metric(kind, unit)) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("", "cps"),
        ("{order}", "cps"),
        ("By", "binBps"),
        ("s", "percentunit"),
        ("g", "suffix: g/s"),
    ],
)
def test_the_unit_of_a_rate(unit, expected):
    assert unit_of(Rate(metric("counter", unit))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Rate(metric("histogram", "s")), "ops"),
        (Share(metric("counter", ""), {}), "percentunit"),
        (
            Ratio(Last(metric("gauge", "By")), Last(metric("gauge", "By"))),
            "percentunit",
        ),
        (Reached(), "percentunit"),
        (Quantile(metric("histogram", "ms"), 0.5), "ms"),
        (Heat(metric("histogram", "By")), "bytes"),
        (Sum(metric("histogram", "s")), "percentunit"),
        (Sum(metric("histogram", "By")), "bytes"),
        (Total(metric("counter", "By")), "bytes"),
        (Total(metric("histogram", "s")), "short"),
        (Age(builtin("process.start_time")), "s"),
        (Outlier(Last(metric("gauge", "By"))), "none"),
        (Count(metric("info", "")), "short"),
    ],
    ids=lambda it: type(it).__name__,
)
def test_the_unit_of_an_answer(query, expected):
    assert unit_of(query) == expected


def test_grafana_has_every_unit_that_has_a_name_in_prometheus():
    assert {*_PROMETHEUS_UNITS} <= {*_UNITS}


@pytest.mark.parametrize("name", CATALOG)
def test_grafana_has_every_unit_of_the_catalogue(name):
    assert not grafana_unit(builtin(name)).startswith("suffix")
