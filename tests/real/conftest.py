"""The real servers as fixtures: each is started once a session, for all tests.

A test whose server is not installed is skipped with the reason. With OBS_REAL=required
(the continuous build) every skip below this folder is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.real.graphite import Carbon, GraphiteWeb
from tests.real.receivers import Collector, Jaeger, Rsyslog, Zipkin
from tests.real.servers import (
    NotInstalled,
    Prometheus2,
    Prometheus3,
    Promtool,
    Server,
    find,
)
from tests.real.statsd_servers import Statsd, StatsdExporter
from tests.real.stores import (
    InfluxDB1,
    InfluxDB2,
    NodeExporter,
    Pushgateway,
    VictoriaMetrics,
)

S = TypeVar("S", bound=Server)
T = TypeVar("T")


@pytest.fixture(scope="session")
def prometheus2() -> Iterator[Prometheus2]:
    yield from _running(Prometheus2)


@pytest.fixture(scope="session")
def prometheus3() -> Iterator[Prometheus3]:
    yield from _running(Prometheus3)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    yield from _running(Collector)


@pytest.fixture(scope="session")
def zipkin() -> Iterator[Zipkin]:
    yield from _running(Zipkin)


@pytest.fixture(scope="session")
def rsyslogd() -> Iterator[Rsyslog]:
    yield from _running(Rsyslog)


@pytest.fixture(scope="session")
def statsd() -> Iterator[Statsd]:
    yield from _running(Statsd)


@pytest.fixture(scope="session")
def statsd_exporter() -> Iterator[StatsdExporter]:
    yield from _running(StatsdExporter)


@pytest.fixture(scope="session")
def carbon() -> Iterator[Carbon]:
    yield from _running(Carbon)


@pytest.fixture(scope="session")
def graphite_web(carbon: Carbon) -> Iterator[GraphiteWeb]:
    """What is sent to the `carbon` of the same test is read here."""
    yield from _running(lambda: GraphiteWeb(carbon))


@pytest.fixture(scope="session")
def influxdb1() -> Iterator[InfluxDB1]:
    yield from _running(InfluxDB1)


@pytest.fixture(scope="session")
def influxdb2() -> Iterator[InfluxDB2]:
    yield from _running(InfluxDB2)


@pytest.fixture(scope="session")
def victoriametrics() -> Iterator[VictoriaMetrics]:
    yield from _running(VictoriaMetrics)


@pytest.fixture(scope="session")
def pushgateway() -> Iterator[Pushgateway]:
    yield from _running(Pushgateway)


@pytest.fixture(scope="session")
def node_exporter() -> Iterator[NodeExporter]:
    yield from _running(NodeExporter)


@pytest.fixture(scope="session")
def jaeger() -> Iterator[Jaeger]:
    """For tests marked `slow`: `install-rig.sh` builds it only by name."""
    yield from _running(Jaeger)


@pytest.fixture(scope="session")
def promtool2() -> Promtool:
    return _installed(lambda: Promtool(2))


@pytest.fixture(scope="session")
def promtool3() -> Promtool:
    return _installed(lambda: Promtool(3))


@pytest.fixture(scope="session")
def grafana_schema() -> str:
    """The types of Grafana's dashboards, and what checks them."""
    return _installed(lambda: find("grafana-schema"))


def _running(kind: Callable[[], S]) -> Iterator[S]:
    server = _installed(lambda: kind().start())
    try:
        yield server
    finally:
        server.stop()


def _installed(make: Callable[[], T]) -> T:
    try:
        return make()
    except NotInstalled as missing:
        pytest.skip(str(missing))


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as `real`."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.real)


# pytest asks these two only about what is in this folder.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    report = yield
    if not hasattr(report, "wasxfail"):  # an expected failure counts as skipped too
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("OBS_REAL") == "required":
        where_and_why = report.longrepr
        reason = where_and_why[2] if isinstance(where_and_why, tuple) else where_and_why
        report.outcome = "failed"
        report.longrepr = f"OBS_REAL=required, but: {reason}"
