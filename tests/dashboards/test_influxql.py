"""What each query is in InfluxQL."""

import pytest

from obs.dashboards._influxdb import InfluxDBBackend
from obs.dashboards._influxql import InfluxQL, tag_of, values_of
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

WAIT = Metric("charge.wait", "histogram", "s", "", ("provider.name",), (0.5, 1.0))
PLACED = Metric("orders.placed", "counter", "{order}", "", ("channel", "kind"))
CARTS = Metric("carts.open", "gauge", "", "", ())
EACH = (SERVICE, INSTANCE)
MINE = (
    '"service.name" =~ /^${service:regex}$/ AND '
    '"service.instance.id" =~ /^${instance:regex}$/'
)
STEP = "time($__interval)"
INNER = f"$timeFilter GROUP BY {STEP}, * fill(none))"
RATE = 'non_negative_derivative(last("%s"), 1s) AS "%s"'
LAST = 'last("value") AS "a"'
MORE = 'non_negative_difference(last("%s")) AS "%s"'


def series(fields, measurement, more=""):
    return f'(SELECT {fields} FROM "{measurement}" WHERE {MINE}{more} AND {INNER}'


CASES = [
    (
        Rate(PLACED),
        f'SELECT sum("a") FROM {series(RATE % ("value", "a"), "orders.placed")} '
        f"WHERE $timeFilter GROUP BY {STEP} fill(none)",
    ),
    (
        Rate(WAIT, (SERVICE, "provider.name"), {"provider.name": "it's \\ b\n"}),
        'SELECT sum("a") FROM '
        + series(
            RATE % ("count", "a"),
            "charge.wait",
            " AND \"provider.name\" = 'it\\'s \\\\ b\\n'",
        )
        + f' WHERE $timeFilter GROUP BY {STEP}, "service.name", "provider.name" '
        "fill(none)",
    ),
    (
        Share(PLACED, {"kind": ("a", "b")}, ("channel",), {"channel": CHOSEN}),
        'SELECT sum("a") / sum("b") FROM '
        + series(
            RATE % ("value", "a"),
            "orders.placed",
            ' AND "channel" =~ /^${channel:regex}$/ AND '
            "(\"kind\" = 'a' OR \"kind\" = 'b')",
        )
        + ", "
        + series(
            RATE % ("value", "b"),
            "orders.placed",
            ' AND "channel" =~ /^${channel:regex}$/',
        )
        + f' WHERE $timeFilter GROUP BY {STEP}, "channel" fill(0)',
    ),
    (
        Rate(PLACED, where={"kind": But("x")}),
        'SELECT sum("a") FROM '
        + series(RATE % ("value", "a"), "orders.placed", " AND \"kind\" != 'x'")
        + f" WHERE $timeFilter GROUP BY {STEP} fill(none)",
    ),
    (
        Total(PLACED, ("channel",), most=3),
        f'SELECT sum("a") FROM {series(MORE % ("value", "a"), "orders.placed")} '
        'WHERE $timeFilter GROUP BY "channel"',
    ),
    (
        Total(PLACED),
        f'SELECT sum("a") FROM {series(MORE % ("value", "a"), "orders.placed")} '
        "WHERE $timeFilter",
    ),
    (
        Mean(WAIT),
        'SELECT sum("a") / sum("b") FROM '
        + series(
            f"{RATE % ('sum', 'a')}, {RATE % ('count', 'b')}",
            "charge.wait",
        )
        + f" WHERE $timeFilter GROUP BY {STEP} fill(none)",
    ),
    (
        Heat(WAIT),
        'SELECT sum("0.5") AS "0.5", sum("1") - sum("0.5") AS "1", '
        'sum("+Inf") - sum("1") AS "+Inf" FROM '
        + series(
            ", ".join(MORE % (it, it) for it in ("0.5", "1", "+Inf")), "charge.wait"
        )
        + f" WHERE $timeFilter GROUP BY {STEP} fill(none)",
    ),
    (
        Sum(WAIT),
        f'SELECT sum("a") FROM {series(RATE % ("sum", "a"), "charge.wait")} '
        f"WHERE $timeFilter GROUP BY {STEP} fill(none)",
    ),
    (
        Last(CARTS, EACH, "avg"),
        f'SELECT mean("a") FROM {series(LAST, "carts.open")} '
        f'WHERE $timeFilter GROUP BY {STEP}, "service.name", "service.instance.id" '
        "fill(none)",
    ),
    (
        Extreme(CARTS, "max"),
        f'SELECT max("value") FROM "carts.open" WHERE {MINE} AND $timeFilter',
    ),
    (
        Instances(),
        f'SELECT last("value") AS "Value" FROM "obs.series" WHERE {MINE} AND '
        "$timeFilter GROUP BY *",
    ),
]


@pytest.mark.parametrize(("query", "text"), CASES, ids=lambda it: type(it).__name__)
def test_a_query_in_influxql(query, text):
    assert InfluxQL().write(query) == text


def test_what_is_another_query_there():
    write = InfluxQL().write
    uptime = Last(builtin("process.uptime"), EACH)
    assert write(Age(builtin("process.start_time"), EACH)) == write(uptime)
    info = builtin("python.info")
    assert write(Count(info, ("version",))) == write(Last(info, ("version",)))
    counted = write(Last(builtin("obs.series"), (SERVICE,)))
    assert write(Instances((SERVICE,))) == counted.replace('sum("a")', 'count("a")')


@pytest.mark.parametrize(
    "query",
    [
        Quantile(WAIT, 0.95),
        Changes(CARTS),
        Ratio(Last(CARTS), Last(CARTS)),
        Outlier(Last(CARTS, EACH)),
        Reached(),
    ],
    ids=lambda it: type(it).__name__,
)
def test_what_cannot_be_asked(query):
    assert InfluxQL().write(query) is None
    assert InfluxDBBackend().target(query, "", "lines") is None


def test_exponential_histograms_are_not_sent():
    exponential = WAIT._replace(kind="exponential")
    assert InfluxDBBackend().target(Mean(exponential), "", "lines") is None


@pytest.mark.parametrize(
    ("query", "text", "draw", "alias"),
    [
        (Rate(PLACED, ("channel",)), "", "lines", "[[tag_channel]]"),
        (Rate(PLACED, (SERVICE,)), "made", "lines", "made [[tag_service.name]]"),
        (Mean(WAIT), "mean", "lines", "mean"),
        (Mean(WAIT), "", "lines", "charge.wait"),
        (Heat(WAIT), "", "heat", "$col"),
        (Instances(), "", "table", ""),
    ],
)
def test_how_lines_are_called(query, text, draw, alias):
    target = InfluxDBBackend().target(query, text, draw)
    assert target["alias"] == alias
    assert target["rawQuery"]
    assert target["resultFormat"] == ("table" if draw == "table" else "time_series")


def test_the_values_of_a_label():
    assert values_of("channel", PLACED, {SERVICE: CHOSEN}) == (
        'SHOW TAG VALUES FROM "orders.placed" WITH KEY = "channel" WHERE '
        '"service.name" =~ /^${service:regex}$/'
    )


def test_names_that_influxdb_has_for_itself():
    assert tag_of("time") == "tag_time"
    assert tag_of("__x") == "tag_x"
    query = Extreme(Metric('_odd"', "gauge", "", "", ()), "min")
    assert 'FROM "metric_odd\\"" WHERE' in InfluxQL().write(query)
