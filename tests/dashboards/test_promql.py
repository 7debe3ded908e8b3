"""What each query is in PromQL."""

import pytest

from obs.catalog import CATALOG
from obs.dashboards._metric import INSTANCE, SERVICE, Metric, builtin
from obs.dashboards._promql import PromQL, family_name, is_there, quoted
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
    check,
    lines_of,
    metrics_of,
)
from obs_exporters.prometheus._names import page_name

WAIT = Metric("charge.wait", "histogram", "s", "Waiting.", ("provider.name",))
PLACED = Metric("orders.placed", "counter", "{order}", "Orders.", ("channel",))
CARTS = Metric("carts.open", "updown", "", "Carts.", ())
ROOM = Metric("carts.room", "gauge", "", "Carts.", ())
GC = builtin("cpython.gc.collections")
START = builtin("process.start_time")
INFO = builtin("python.info")
EACH = (SERVICE, INSTANCE)

P = 'j="a"'
PLACES = f"orders_placed_total{{{P}}}"
CPU = f"sum by (job, instance) (carts_open{{{P}}})"
FAR = f"abs({CPU} - on (job) group_left () quantile by (job) (0.5, {CPU}))"

CASES = [
    (Rate(PLACED), f"sum(rate({PLACES}[5m]))"),
    (
        Rate(PLACED, ("channel",), {"channel": 'we"b\\'}),
        'sum by (channel) (rate(orders_placed_total{j="a", channel="we\\"b\\\\"}[5m]))',
    ),
    (Rate(WAIT), f"sum(rate(charge_wait_seconds_count{{{P}}}[5m]))"),
    (
        Rate(GC, ("cpython.gc.generation",)),
        f"sum by (generation) (rate(python_gc_collections_total{{{P}}}[5m]))",
    ),
    (
        Rate(PLACED, where={"channel": But("web")}),
        f'sum(rate(orders_placed_total{{{P}, channel!="web"}}[5m]))',
    ),
    (
        Share(PLACED, {"channel": ("a.b", "c")}, EACH, {SERVICE: CHOSEN}),
        '(sum by (job, instance) (rate(orders_placed_total{j="a", job=~"$job", '
        'channel=~"a\\\\.b|c"}[5m])) or sum by (job, instance) '
        '(rate(orders_placed_total{j="a", job=~"$job"}[5m])) * 0) / '
        'sum by (job, instance) (rate(orders_placed_total{j="a", job=~"$job"}[5m]))',
    ),
    (Total(PLACED), f"sum(increase({PLACES}[1d]))"),
    (
        Total(PLACED, ("channel",), most=3),
        f"topk(3, sum by (channel) (increase({PLACES}[1d])))",
    ),
    (
        Quantile(WAIT, 0.95, ("provider.name",)),
        "histogram_quantile(0.95, sum by (provider_name, le) "
        f"(rate(charge_wait_seconds_bucket{{{P}}}[5m])))",
    ),
    (
        Quantile(WAIT, 0.5, most=2),
        "topk(2, histogram_quantile(0.5, sum by (le) "
        f"(increase(charge_wait_seconds_bucket{{{P}}}[1d]))))",
    ),
    (
        Mean(WAIT, ("provider.name",), {"provider.name": "x"}),
        f"sum by (provider_name) (rate(charge_wait_seconds_sum{{{P}, "
        'provider_name="x"}[5m])) / sum by (provider_name) '
        f'(rate(charge_wait_seconds_count{{{P}, provider_name="x"}}[5m]))',
    ),
    (
        Heat(WAIT),
        f"sum by (le) (increase(charge_wait_seconds_bucket{{{P}}}[5m]))",
    ),
    (Sum(WAIT), f"sum(rate(charge_wait_seconds_sum{{{P}}}[5m]))"),
    (Last(CARTS, EACH), CPU),
    (Last(CARTS, fold="avg"), f"avg(carts_open{{{P}}})"),
    (Extreme(CARTS, "min"), f"min(min_over_time(carts_open{{{P}}}[1d]))"),
    (
        Age(START, EACH),
        f"time() - max by (job, instance) (process_start_time_seconds{{{P}}})",
    ),
    (Changes(START), f"sum(changes(process_start_time_seconds{{{P}}}[1d]))"),
    (
        Ratio(Last(CARTS), Last(ROOM)),
        f"sum(carts_open{{{P}}}) / sum(carts_room{{{P}}})",
    ),
    (
        Outlier(Last(CARTS, EACH)),
        f"{FAR} / on (job) group_left () (quantile by (job) (0.5, {FAR}) + 0.01 * "
        f"quantile by (job) (0.5, {CPU}))",
    ),
    (Count(INFO, ("version",)), f"count by (version) (python_info{{{P}}})"),
    (Instances(), f"target_info{{{P}}}"),
    (
        Instances((SERVICE, "service.version")),
        f"count by (job, service_version) (target_info{{{P}}})",
    ),
    (Reached((SERVICE,)), f"avg by (job) (up{{{P}}})"),
]


@pytest.mark.parametrize(("query", "text"), CASES, ids=lambda it: type(it).__name__)
def test_a_query_in_promql(query, text):
    check(query)
    assert PromQL((P,), "5m", "1d").write(query) == text


def test_without_matchers_there_are_no_braces():
    assert PromQL((), "5m", "1d").write(Rate(PLACED)) == (
        "sum(rate(orders_placed_total[5m]))"
    )


def test_what_is_no_query_is_refused():
    with pytest.raises(NotImplementedError):
        PromQL((), "5m", "1d").write("x")


@pytest.mark.parametrize("name", CATALOG)
def test_names_are_those_of_the_page(name):
    metric = builtin(name)
    assert family_name(metric) == page_name(CATALOG[name].definition())
    assert is_there(metric) == (name != "process.uptime")


def test_exponential_histograms_are_not_on_the_page():
    assert not is_there(WAIT._replace(kind="exponential"))


def test_a_text_is_one_in_promql():
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'


@pytest.mark.parametrize(
    "query",
    [
        Rate(PLACED, ("colour",)),
        Rate(PLACED, where={"colour": "red"}),
        Share(PLACED, {"colour": "red"}),
        Ratio(Last(CARTS), Last(ROOM, ("channel",))),
        Outlier(Last(CARTS, ("channel",))),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_label_that_a_metric_does_not_have_is_refused(query):
    with pytest.raises(ValueError, match="no such labels: "):
        check(query)


def test_what_a_query_reads_and_how_its_lines_differ():
    query = Outlier(Ratio(Rate(PLACED, ("channel",)), Last(CARTS)))
    assert metrics_of(query) == [PLACED, CARTS]
    assert lines_of(query) == ("channel",)
    assert metrics_of(Instances()) == []
    assert lines_of(Heat(WAIT)) == lines_of(Extreme(CARTS, "min")) == ()
