"""Real InfluxDB and Graphite are asked everything that their dashboards ask."""

from contextlib import ExitStack

import pytest

from obs.cli.demo import _orders, _shop
from obs.dashboards import build
from obs.dashboards._graphite import QUANTILES
from obs_exporters.graphite import _values
from tests.real.demos import running_demo
from tests.real.grafana import only, panels_of
from tests.real.grafana_push import Graphite, Influx, problems
from tests.real.servers import eventually

DATABASE = "dashboards"
GENERAL = ("service", "runtime", "telemetry", "fleet")
OWN = {"shop": _shop.tel, "orders": _orders.tel}
BACKENDS = ("influxdb", "graphite")


@pytest.fixture(scope="module")
def backends(influxdb1, graphite_web, collector):
    """Two demos of two services each, which push to both, and spans and logs elsewhere."""
    influxdb1.create(DATABASE)
    urls = [
        f"influxdb://127.0.0.1:{influxdb1.port}?database={DATABASE}&interval=1",
        f"graphite://{graphite_web.carbon.addresses['tcp']}?interval=1",
        f"otlp://{collector.http_url.removeprefix('http://')}",
    ]
    arguments = [part for url in urls for part in ("--exporter", url)]
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(running_demo("--rate", "40", *arguments))
        yield {
            "influxdb": Influx(influxdb1, DATABASE),
            "graphite": Graphite(graphite_web),
        }


def shows_everything(dashboard, asked):
    found = problems(dashboard, asked)
    assert not found, "\n".join(found)
    return True


@pytest.mark.parametrize("key", GENERAL)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_panel_and_every_variable_shows_data(backend, key, backends):
    dashboard = build(backend=backend)[key]
    eventually(lambda: shows_everything(dashboard, backends[backend]), 60)


@pytest.mark.parametrize("service", OWN)
@pytest.mark.parametrize("backend", BACKENDS)
def test_ones_own_metrics_show_data(backend, service, backends):
    dashboard = build(OWN[service], backend=backend, service=service)["own"]
    eventually(lambda: shows_everything(dashboard, backends[backend]), 60)


@pytest.mark.parametrize("backend", BACKENDS)
def test_four_instances_of_two_services_can_be_chosen(backend, backends):
    asked = backends[backend]
    _, service, instance = build(backend=backend)["fleet"]["templating"]["list"]

    def chosen():
        assert {*OWN} <= {*asked.values_of(service, {})}
        every = {*asked.values_of(instance, {"service": service["allValue"]})}
        shop = {*asked.values_of(instance, {"service": "shop"})}
        assert len(every) >= 4
        assert len(shop) == 2
        return shop < every

    eventually(chosen)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rates_and_shares_are_those_of_the_traffic(backend, backends):
    asked = backends[backend]
    dashboard = build(backend=backend)["service"]
    panels = {panel["title"]: panel for panel in panels_of(dashboard)}

    def lines(title):
        (target,) = panels[title]["targets"]
        values = asked.choose_all(dashboard)
        return asked.ask(asked.filled_in(target, values), target)

    def steady():
        calls = {
            name: sum(line) / len(line)
            for name, line in lines("Calls by operation")
            if line
        }
        # Two demos; each customer's request is one call of one of these two.
        requests = [
            calls[name.replace(".", sep)]
            for name in ("Shop.browse", "Shop.checkout")
            for sep in (".", "_")
            if name.replace(".", sep) in calls
        ]
        return 0.8 * 80 < sum(requests) < 1.2 * 80 and len(requests) == 2

    eventually(steady, 60)
    failed = [value for _, line in lines("Failed by operation") for value in line]
    assert failed
    assert 0 <= min(failed) <= max(failed) <= 1


@pytest.mark.parametrize(
    ("backend", "key", "old", "new", "says"),
    [
        ("influxdb", "query", "operation.duration", "operation.durations", "no data"),
        ("influxdb", "query", "$timeFilter", "$timeFilters", "not filled in"),
        ("influxdb", "query", ', "operation" fill', ', "outcome" fill', "is called"),
        ("influxdb", "alias", "[[tag_operation]]", "calls", "two lines are"),
        ("influxdb", "query", '"count"', '"counts"', "no data"),
        ("graphite", "target", "operation.duration", "operation.durations", "no data"),
        (
            "graphite",
            "target",
            "${instance:glob}",
            "${instances:glob}",
            "not filled in",
        ),
        ("graphite", "target", "'sum', 4)", "'sum', 99)", "is called ''"),
    ],
)
def test_what_is_wrong_is_found(backend, key, old, new, says, backends):
    dashboard = only("Calls by operation", build(backend=backend)["service"])
    eventually(lambda: shows_everything(dashboard, backends[backend]), 60)
    (panel,) = dashboard["panels"]
    (target,) = panel["targets"]
    assert old in target[key]
    target[key] = target[key].replace(old, new)

    def found():  # a second outcome may have to come first
        said = [it for it in problems(dashboard, backends[backend]) if says in it]
        return all(it.startswith("Calls by operation A: ") for it in said) and said

    eventually(found, 30)


def test_quantiles_are_those_that_the_exporter_sends():
    assert {part: name for name, part in _values.QUANTILES.items()} == QUANTILES
