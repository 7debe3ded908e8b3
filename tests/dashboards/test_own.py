"""One's own instruments on a dashboard."""

import pytest

from obs._obs import Obs
from obs.dashboards import build
from obs.dashboards._own import own_board
from obs.model import MetricFamily
from tests.dashboards.linter import panels_of


def own(define):
    tel = Obs("checkout", runtime=False)
    define(tel)
    return build(tel)["own"]


def drawn(dashboard):
    """Give type, unit and queries of each panel by its title; matchers left out."""
    mine = 'job=~"$job", instance=~"$instance"'
    return {
        panel["title"]: (
            panel["type"],
            panel["fieldConfig"]["defaults"].get("unit"),
            [
                target["expr"].replace(f"{{{mine}}}", "").replace(f"{mine}, ", "")
                for target in panel["targets"]
            ],
        )
        for panel in panels_of(dashboard)
    }


def test_a_counter_has_its_rate():
    found = own(
        lambda tel: tel.counter("orders.placed", "Orders.", labels=("channel",))
    )
    expr = "sum by (channel) (rate(orders_placed_total[$__rate_interval]))"
    assert drawn(found) == {"orders.placed": ("timeseries", "cps", [expr])}
    (panel,) = panels_of(found)
    assert panel["description"] == "Orders."
    assert panel["targets"][0]["legendFormat"] == "{{channel}}"


def test_a_gauge_has_its_last_value_and_its_range():
    found = own(
        lambda tel: tel.gauge("cart.size", "Carts.", unit="By", labels=("kind",))
    )
    assert drawn(found) == {
        "cart.size": (
            "timeseries",
            "bytes",
            ["sum by (job, instance, kind) (cart_size_bytes)"],
        ),
        "cart.size: range": (
            "stat",
            "bytes",
            [
                "avg(cart_size_bytes)",
                "min(min_over_time(cart_size_bytes[$__range]))",
                "max(max_over_time(cart_size_bytes[$__range]))",
            ],
        ),
    }
    names = [target["legendFormat"] for target in panels_of(found)[1]["targets"]]
    assert names == ["last", "lowest", "highest"]


def test_an_up_down_counter_adds_up_over_instances():
    found = own(lambda tel: tel.metrics.updown("carts.open"))
    series = "sum(carts_open)"
    assert drawn(found)["carts.open"] == ("timeseries", "short", [series])
    assert drawn(found)["carts.open: range"][2][0] == series


def test_a_histogram_has_quantiles_and_a_heatmap():
    found = own(lambda tel: tel.histogram("charge.wait", "Waiting.", unit="s"))
    buckets = "charge_wait_seconds_bucket"
    assert drawn(found) == {
        "charge.wait": (
            "timeseries",
            "s",
            [
                f"histogram_quantile({part}, sum by (le) "
                f"(rate({buckets}[$__rate_interval])))"
                for part in (0.5, 0.95, 0.99)
            ],
        ),
        "charge.wait: all values": (
            "heatmap",
            None,
            [f"sum by (le) (increase({buckets}[$__rate_interval]))"],
        ),
    }
    heat = panels_of(found)[1]
    assert heat["options"]["yAxis"]["unit"] == "s"
    assert heat["targets"][0]["format"] == "heatmap"


def test_an_info_has_its_facts():
    found = own(lambda tel: tel.metrics.info("build", labels=("version",)))
    assert drawn(found) == {
        "build": ("bargauge", "short", ["count by (version) (build_info)"])
    }
    assert panels_of(found)[0]["description"] == "build."


def test_labels_of_decorated_calls_divide_them():
    def define(tel):
        @tel.endpoint("place", labels=("channel",))
        def place(channel): ...

        place("web")

    expr = (
        "sum by (operation, channel) "
        '(rate(operation_duration_seconds_count{channel!=""}[$__rate_interval]))'
    )
    assert drawn(own(define)) == {"Calls by channel": ("timeseries", "ops", [expr])}


@pytest.mark.parametrize(
    ("backend", "by", "chosen"),
    [
        ("prometheus", "(service, exported_instance, exported_job)", 'job=~"$job"'),
        (
            "influxdb",
            'time($__interval), "service", "instance", "job"',
            '"service.name" =~ /^${service:regex}$/',
        ),
        ("graphite", "'sum', 4, 5, 6", "${service:glob}.${instance:glob}.dep.calls"),
    ],
)
def test_a_label_may_be_called_as_what_says_whose_a_series_is(backend, by, chosen):
    tel = Obs("checkout", runtime=False)
    tel.counter("dep.calls", "Calls.", labels=("service", "instance", "job"))
    (panel,) = panels_of(build(tel, backend=backend)["own"])
    (target,) = panel["targets"]
    asked = target.get("expr") or target.get("query") or target["target"]
    assert by in asked
    assert chosen in asked


def test_what_a_collector_yields_is_ones_own_too():
    class Jobs:
        def collect(self):
            yield MetricFamily.of(
                "jobs.done", "counter", {("mail",): 7}, label_names=("queue",)
            )

    assert [*drawn(own(lambda tel: tel.metrics.register(Jobs())))] == ["jobs.done"]


@pytest.mark.parametrize("runtime", [True, False])
def test_without_metrics_of_its_own_there_is_none(runtime):
    assert "own" not in build(Obs("checkout", runtime=runtime))


def test_an_exponential_histogram_waits_for_a_backend_that_has_them():
    assert own_board([MetricFamily("wait", "exponential")]) is None
