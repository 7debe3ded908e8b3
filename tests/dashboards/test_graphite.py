"""What each query is in Graphite."""

import pytest

from obs.dashboards._graphite import GraphiteBackend
from obs.dashboards._metric import INSTANCE, SERVICE, Metric, builtin
from obs.dashboards._queries import (
    CHOSEN,
    Age,
    But,
    Changes,
    Count,
    Extreme,
    Heat,
    Instances,
    Last,
    Mean,
    Outlier,
    Quantile,
    Rate,
    Ratio,
    Reached,
    Share,
    Sum,
    Total,
)

WAIT = Metric("charge.wait", "histogram", "s", "", ("provider",), (0.5, 1.0))
PLACED = Metric("orders.placed", "counter", "{order}", "", ("channel", "kind"))
CARTS = Metric("carts.open", "gauge", "", "", ())
EACH = (SERVICE, INSTANCE)
MINE = "${service:glob}.${instance:glob}"
ORDERS = f"{MINE}.orders.placed"

CASES = [
    (Rate(PLACED), f"sumSeries(perSecond({ORDERS}.*.*))"),
    (
        Rate(PLACED, (SERVICE, "kind"), {"channel": "the web"}),
        f"groupByNodes(perSecond({ORDERS}.the_web.*), 'sum', 0, 5)",
    ),
    (
        Rate(PLACED, ("channel",), {"channel": CHOSEN, "kind": ("a", "b")}),
        f"groupByNodes(perSecond({ORDERS}.${{channel:glob}}.{{a,b}}), 'sum', 4)",
    ),
    (
        Rate(builtin("operation.duration"), ("operation",)),
        "groupByNodes(perSecond(group("
        + ", ".join(
            f"{MINE}.operation.duration.*.*.*{'.*' * more}.count" for more in range(4)
        )
        + ")), 'sum', 4)",
    ),
    (
        Share(PLACED, {"kind": ("a",)}, ("channel",)),
        "aliasByNode(scale(removeEmptySeries(asPercent("
        f"groupByNodes(perSecond({ORDERS}.*.{{a}}), 'sum', 4), "
        f"groupByNodes(perSecond({ORDERS}.*.*), 'sum', 4), 0)), 0.01), 0)",
    ),
    (
        Share(PLACED, {"kind": ("a",)}),
        f"divideSeries(sumSeries(perSecond({ORDERS}.*.{{a}})), "
        f"sumSeries(perSecond({ORDERS}.*.*)))",
    ),
    (Total(PLACED), f"integral(sumSeries(nonNegativeDerivative({ORDERS}.*.*)))"),
    (
        Total(PLACED, ("channel", "kind"), most=3),
        "highest(aliasByNode(integral(groupByNodes(nonNegativeDerivative("
        f"{ORDERS}.*.*), 'sum', 4, 5)), 0, 1), 3, 'max')",
    ),
    (Quantile(WAIT, 0.95), f"maxSeries({MINE}.charge.wait.*.p95)"),
    (
        Quantile(WAIT, 0.5, ("provider",), most=2),
        f"highest(groupByNodes({MINE}.charge.wait.*.p50, 'max', 4), 2, 'max')",
    ),
    (
        Mean(WAIT),
        f"divideSeries(sumSeries(perSecond({MINE}.charge.wait.*.sum)), "
        f"sumSeries(perSecond({MINE}.charge.wait.*.count)))",
    ),
    (Sum(WAIT), f"sumSeries(perSecond({MINE}.charge.wait.*.sum))"),
    (Last(CARTS, EACH), f"groupByNodes({MINE}.carts.open, 'sum', 0, 1)"),
    (Last(CARTS, EACH, "avg"), f"groupByNodes({MINE}.carts.open, 'average', 0, 1)"),
    (Last(CARTS, fold="avg"), f"averageSeries({MINE}.carts.open)"),
    (Extreme(CARTS, "min"), f"aggregateLine(minSeries({MINE}.carts.open), 'min')"),
    (
        Age(builtin("process.start_time"), EACH),
        f"groupByNodes({MINE}.process.uptime, 'max', 0, 1)",
    ),
    (
        Count(builtin("python.info"), (SERVICE, "version")),
        f"groupByNodes({MINE}.python.info.*.*.*.*.*, 'sum', 0, 8)",
    ),
    (Instances((SERVICE,)), f"groupByNodes({MINE}.obs.series, 'count', 0)"),
]


@pytest.mark.parametrize(("query", "text"), CASES, ids=lambda it: type(it).__name__)
def test_a_query_in_graphite(query, text):
    assert GraphiteBackend().write(query) == text


@pytest.mark.parametrize(
    "query",
    [
        Heat(WAIT),
        Quantile(WAIT, 0.75),
        Changes(CARTS),
        Ratio(Last(CARTS), Last(CARTS)),
        Outlier(Last(CARTS, EACH)),
        Reached(),
        Rate(PLACED, where={"kind": But("a")}),
        Instances(),
        Instances((SERVICE, "service.version")),
    ],
    ids=lambda it: type(it).__name__,
)
def test_what_cannot_be_asked(query):
    assert GraphiteBackend().target(query, "", "lines") is None


def test_labels_whose_level_is_not_known_cannot_be_asked_for():
    calls = builtin("operation.duration")
    mine = calls._replace(labels=(*calls.labels, "channel"))
    assert GraphiteBackend().target(Rate(mine, ("channel",)), "", "lines") is None
    assert GraphiteBackend().target(Rate(mine, ("operation",)), "", "lines")


def test_exponential_histograms_are_not_sent():
    exponential = WAIT._replace(kind="exponential")
    assert GraphiteBackend().target(Mean(exponential), "", "lines") is None


@pytest.mark.parametrize(
    ("query", "text", "target"),
    [
        (Last(CARTS), "", f"alias(sumSeries({MINE}.carts.open), 'carts.open')"),
        (Last(CARTS), "last", f"alias(sumSeries({MINE}.carts.open), 'last')"),
        (Last(CARTS, EACH), "", f"groupByNodes({MINE}.carts.open, 'sum', 0, 1)"),
        (
            Last(CARTS, EACH),
            "now",
            f"aliasSub(groupByNodes({MINE}.carts.open, 'sum', 0, 1), '^', 'now ')",
        ),
    ],
)
def test_how_lines_are_called(query, text, target):
    assert GraphiteBackend().target(query, text, "lines") == {
        "target": target,
        "textEditor": True,
    }


def test_a_service_is_called_as_a_level_of_a_path():
    assert GraphiteBackend().service("the shop.eu") == "the_shop_eu"
    assert GraphiteBackend().service("") == "_empty_"
