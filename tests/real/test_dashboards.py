"""Real Prometheus servers are asked everything that the dashboards ask."""

from contextlib import ExitStack

import pytest

from obs.cli.demo import _orders, _shop
from obs.dashboards import build
from tests.real.demos import running_demo
from tests.real.grafana import choose_all, only, problems, values_of
from tests.real.servers import HOST, Prometheus2, Prometheus3, eventually

GENERAL = ("service", "runtime", "telemetry", "fleet")
OWN = {"shop": _shop.tel, "orders": _orders.tel}


@pytest.fixture(scope="module")
def demos(collector):
    """Two demos of two services each, which push to a Collector as well."""
    url = f"otlp://{collector.http_url.removeprefix('http://')}"
    arguments = ("--rate", "40", "--exporter", url)
    with ExitStack() as stack:
        yield [stack.enter_context(running_demo(*arguments))[1] for _ in range(2)]


@pytest.fixture(scope="module", params=[Prometheus2, Prometheus3])
def prometheus(request, demos):
    server = request.getfixturevalue(request.param.program)
    for service in OWN:
        targets = [f"{HOST}:{ports[service]}" for ports in demos]
        server.scrape(service, "", static_configs=[{"targets": targets}])
    yield server
    for service in OWN:
        server.forget(service)


def shows_everything(dashboard, prometheus):
    found = problems(dashboard, prometheus)
    assert not found, "\n".join(found)
    return True


@pytest.mark.parametrize("key", GENERAL)
def test_every_panel_and_every_variable_shows_data(key, prometheus):
    dashboard = build()[key]
    eventually(lambda: shows_everything(dashboard, prometheus), 60)


@pytest.mark.parametrize("service", OWN)
def test_ones_own_metrics_show_data(service, prometheus):
    dashboard = build(OWN[service], service=service)["own"]
    eventually(lambda: shows_everything(dashboard, prometheus), 60)


def test_four_instances_of_two_services_can_be_chosen(prometheus, demos):
    dashboard = build()["fleet"]
    _, job, instance = dashboard["templating"]["list"]

    def chosen():
        every = choose_all(dashboard, prometheus)
        assert {*OWN} <= {*values_of(job, every, prometheus)}
        ports = {f"{HOST}:{port}" for ports in demos for port in ports.values()}
        assert ports <= {*values_of(instance, every, prometheus)}
        return True

    eventually(chosen)
    one = values_of(instance, {"job": "shop"}, prometheus)
    assert {*one} == {f"{HOST}:{ports['shop']}" for ports in demos}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("operation_duration", "operation_durations", "no data"),
        ("$instance", "$instances", "not filled in"),
        ("by (operation)", "by (outcome)", "no label"),
        ("by (operation)", "by (operation, outcome)", "two lines are"),
    ],
)
def test_what_is_wrong_is_found(old, new, says, prometheus):
    dashboard = only("Calls by operation", build()["service"])
    eventually(lambda: shows_everything(dashboard, prometheus), 60)
    (panel,) = dashboard["panels"]
    (target,) = panel["targets"]
    assert old in target["expr"]
    target["expr"] = target["expr"].replace(old, new)

    def found():  # a second outcome may have to come first
        said = [it for it in problems(dashboard, prometheus) if says in it]
        return all(it.startswith("Calls by operation A: ") for it in said) and said

    eventually(found, 30)
