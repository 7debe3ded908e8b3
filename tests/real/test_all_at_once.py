"""One workload through all exporters of metrics at once: the same totals everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from obs import Obs
from obs.encoding import quantile
from obs_exporters import (
    GraphiteExporter,
    InfluxDBExporter,
    OTLPExporter,
    PrometheusExporter,
    StatsdExporter,
)
from tests.real.graphite import GraphiteWeb
from tests.real.quantiles import check_quantile
from tests.real.receivers import Collector, plain
from tests.real.servers import Prometheus3, eventually
from tests.real.statsd_servers import Statsd
from tests.real.statsd_servers import StatsdExporter as StatsdBridge
from tests.real.stores import InfluxDB1, InfluxDB2, VictoriaMetrics

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
QUANTILES = (0.5, 0.9, 0.95, 0.99)
ROUNDS = 3
EACH = 1_000


class Seen(NamedTuple):
    """What a server shows of the workload; None where it does not say."""

    web: float
    app: float
    depth: float
    count: float
    sum: float | None = None


class Work:
    """The workload, and what it did."""

    def __init__(self, tel: Obs) -> None:
        self._placed = tel.counter("orders", labels=("channel",))
        self._depth = tel.gauge("depth")
        self._wait = tel.histogram("wait", unit="s", buckets=BOUNDS)
        self._chance = Random(7)
        self.rounds: list[list[float]] = []

    def do(self) -> None:
        self._placed.labels("web").inc(3)
        self._placed.labels("app").inc(2)
        self._depth.set(-2.5 * len(self.rounds))
        waits = [min(self._chance.lognormvariate(-3, 1.2), 4.9) for _ in range(EACH)]
        for wait in waits:
            self._wait.observe(wait)
        self.rounds.append(waits)

    @property
    def all(self) -> list[float]:
        return [wait for waits in self.rounds for wait in waits]

    @property
    def seen(self) -> Seen:
        rounds = len(self.rounds)
        depth = -2.5 * (rounds - 1)
        return Seen(
            3.0 * rounds, 2.0 * rounds, depth, float(EACH * rounds), sum(self.all)
        )


@pytest.fixture
def service() -> str:
    return f"all{uuid4().hex[:10]}"


@pytest.fixture
def page() -> PrometheusExporter:
    return PrometheusExporter(port=0)


@pytest.fixture
def bad(
    statsd: Statsd, statsd_exporter: StatsdBridge, victoriametrics: VictoriaMetrics
) -> list[Any]:
    """What servers say of bad lines before: other tests send them some."""
    servers = (statsd_exporter, victoriametrics)
    return [statsd.bad_lines(), *(server.troubles() for server in servers)]


@pytest.fixture
def work(
    service: str,
    page: PrometheusExporter,
    statsd: Statsd,
    statsd_exporter: StatsdBridge,
    collector: Collector,
    graphite_web: GraphiteWeb,
    influxdb1: InfluxDB1,
    influxdb2: InfluxDB2,
    victoriametrics: VictoriaMetrics,
    prometheus3: Prometheus3,
) -> Iterator[Work]:
    """The workload, done and pushed in rounds to all of them at once."""
    influxdb1.create(service)
    push: dict[str, Any] = {"interval": 3_600.0}  # by flush alone
    carbon = graphite_web.carbon
    exporters = [
        page,
        StatsdExporter(statsd.addresses["udp"], prefix=service, name="etsy", **push),
        StatsdExporter(
            statsd_exporter.addresses["tcp"],
            protocol="tcp",
            dialect="datadog",
            prefix=service,
            name="bridge",
            **push,
        ),
        StatsdExporter(
            collector.statsd_address,
            dialect="datadog",
            prefix=service,
            name="collector",
            **push,
        ),
        OTLPExporter(collector.http_url, signals=["metrics"], **push),
        GraphiteExporter(
            carbon.addresses["tcp"], prefix=service, name="carbon", **push
        ),
        GraphiteExporter(
            victoriametrics.graphite_address, tags=True, name="vm-graphite", **push
        ),
        InfluxDBExporter(influxdb1.url, database=service, name="influx1", **push),
        InfluxDBExporter(
            influxdb2.url,
            org=influxdb2.org,
            bucket=influxdb2.bucket,
            token=influxdb2.token,
            name="influx2",
            **push,
        ),
        InfluxDBExporter(victoriametrics.url, database="d", name="vm-influx", **push),
    ]
    tel = Obs(service, exporters=exporters, runtime=False, routes=[])
    work = Work(tel)
    with tel.start():
        prometheus3.scrape(service, f"127.0.0.1:{page.port}")
        prometheus3.wait_up(service)
        for _ in range(ROUNDS):
            work.do()
            statsd.wait_flush()  # what comes is summed up in one piece
            result = tel.flush(10)
            assert (result.lost, result.pending) == (0, 0), result
        yield work
        prometheus3.forget(service)


def check(work: Work, read: Callable[[], Seen]) -> None:
    """Wait until a server shows what was done."""

    def shows() -> bool:
        found, done = read(), work.seen
        assert found[:4] == done[:4]
        assert found.sum is None or found.sum == pytest.approx(done.sum)
        return True

    eventually(shows, 20)


def test_the_same_arrives_everywhere(
    bad: list[Any],
    work: Work,
    service: str,
    statsd: Statsd,
    statsd_exporter: StatsdBridge,
    collector: Collector,
    graphite_web: GraphiteWeb,
    influxdb1: InfluxDB1,
    influxdb2: InfluxDB2,
    victoriametrics: VictoriaMetrics,
    prometheus3: Prometheus3,
) -> None:
    check(work, lambda: of_prometheus(prometheus3, service))
    for q in QUANTILES:
        promql = f"histogram_quantile({q}, wait_seconds_bucket{{job='{service}'}})"
        check_quantile(prometheus3.value(promql), work.all, BOUNDS, q)

    check(work, lambda: of_statsd(statsd, service))
    pieces = statsd.timer_data(f"{service}.wait")
    for waits, piece in zip(work.rounds, pieces, strict=True):
        for q in QUANTILES:
            value = piece[f"upper_{100 * q:g}"] / 1_000
            check_quantile(value, waits, BOUNDS, q)

    check(work, lambda: of_bridge(statsd_exporter, service))
    for q in QUANTILES:
        (value,) = of_sample(statsd_exporter, f"{service}_wait", f'quantile="{q:g}"')
        check_quantile(value, work.all, BOUNDS, q, off=0.002)

    check(work, lambda: of_collector_statsd(collector, service))
    check(work, lambda: of_otlp(collector, service))

    check(work, lambda: of_graphite(graphite_web, service))
    for q in QUANTILES:
        value = graphite(graphite_web, f"{service}.wait.p{100 * q:g}")
        check_quantile(value, work.rounds[-1], BOUNDS, q)
    check(work, lambda: of_vm(victoriametrics, service, "", ".count", ".sum"))

    for buckets in (
        check_influx(work, lambda: of_influx1(influxdb1, service)),
        check_influx(work, lambda: of_influx2(influxdb2, service)),
    ):
        for q in QUANTILES:
            check_quantile(quantile(q, BOUNDS, buckets), work.all, BOUNDS, q)
    check(work, lambda: of_vm(victoriametrics, service, "_value", "_count", "_sum"))

    assert statsd.bad_lines() == bad[0]
    assert statsd_exporter.troubles() == bad[1]
    assert victoriametrics.troubles() == bad[2]
    assert not [line for line in collector.statsd_troubles() if service in line]
    assert not [line for line in graphite_web.carbon.troubles() if service in line]


def of_prometheus(prometheus: Prometheus3, service: str) -> Seen:
    def value(name: str) -> float:
        head, brace, labels = name.partition("{")
        labels = labels.removesuffix("}")
        return prometheus.value(f"{head}{{job='{service}'{',' * bool(brace)}{labels}}}")

    return Seen(
        value("orders_total{channel='web'}"),
        value("orders_total{channel='app'}"),
        value("depth"),
        value("wait_seconds_count"),
        value("wait_seconds_sum"),
    )


def of_statsd(statsd: Statsd, service: str) -> Seen:
    """What Etsy's shows; its sums do not weigh values."""
    counters = statsd.counters()
    return Seen(
        counters[f"{service}.orders.web"],
        counters[f"{service}.orders.app"],
        statsd.gauges()[f"{service}.depth"],
        sum(round(each["count"], 6) for each in statsd.timer_data(f"{service}.wait")),
    )


def of_bridge(server: StatsdBridge, service: str) -> Seen:
    def one(name: str, *labels: str) -> float:
        (value,) = of_sample(server, f"{service}_{name}", *labels)
        return value

    return Seen(
        one("orders", 'channel="web"'),
        one("orders", 'channel="app"'),
        one("depth"),
        one("wait_count"),
        one("wait_sum"),
    )


def of_sample(server: StatsdBridge, name: str, *labels: str) -> list[float]:
    return [
        value
        for sample, value in server.samples().items()
        if sample.partition("{")[0] == name and all(it in sample for it in labels)
    ]


def of_collector_statsd(collector: Collector, service: str) -> Seen:
    """What its StatsD receiver made of increases: sums of its intervals."""
    totals: dict[object, float] = {}
    for _, _, record in collector.metrics():
        prefix, _, name = record["name"].partition(".")
        if prefix != service or name not in ("orders", "depth", "wait"):
            continue
        for point in record.get("sum", {}).get("dataPoints", ()):
            key = name, plain(point.get("attributes")).get("channel")
            totals[key] = totals.get(key, 0) + int(point["asInt"])
        for point in record.get("gauge", {}).get("dataPoints", ()):
            totals[name] = point.get("asDouble", 0.0)
        for point in record.get("exponentialHistogram", {}).get("dataPoints", ()):
            totals["count"] = totals.get("count", 0) + int(point["count"])
            totals["sum"] = totals.get("sum", 0) + point["sum"] / 1_000
    return Seen(
        totals["orders", "web"],
        totals["orders", "app"],
        totals["depth"],
        totals["count"],
        totals["sum"],
    )


def of_otlp(collector: Collector, service: str) -> Seen:
    last: dict[object, Any] = {}
    for resource, _, record in collector.metrics():
        if resource.get("service.name") != service:
            continue
        for kind in ("sum", "gauge", "histogram"):
            for point in record.get(kind, {}).get("dataPoints", ()):
                channel = plain(point.get("attributes")).get("channel")
                last[record["name"], channel] = point

    def number(point: dict[str, Any]) -> float:
        return float(point.get("asInt", point.get("asDouble", 0.0)))

    wait = last["wait", None]
    return Seen(
        number(last["orders", "web"]),
        number(last["orders", "app"]),
        number(last["depth", None]),
        float(wait["count"]),
        wait["sum"],
    )


def graphite(server: GraphiteWeb, path: str) -> float:
    ((_, values),) = server.points(path).items()
    return values[-1][1]


def of_graphite(server: GraphiteWeb, service: str) -> Seen:
    names = ("orders.web", "orders.app", "depth", "wait.count", "wait.sum")
    return Seen(*(graphite(server, f"{service}.{name}") for name in names))


def of_vm(
    server: VictoriaMetrics, service: str, value: str, count: str, total: str
) -> Seen:
    """What came by InfluxDB's lines or by Graphite's, which differ in their suffixes."""
    last = {
        (series.name, series.labels.get("channel")): max(series.points)[1]
        for series in server.series(f'{{"service.name"="{service}"}}')
    }
    return Seen(
        last[f"orders{value}", "web"],
        last[f"orders{value}", "app"],
        last[f"depth{value}", None],
        last[f"wait{count}", None],
        last[f"wait{total}", None],
    )


Fields = dict[tuple[str, str | None], dict[str, Any]]


def check_influx(work: Work, read: Callable[[], Fields]) -> list[int]:
    """Check the totals, and return the buckets."""

    def seen() -> Seen:
        found = read()
        return Seen(
            found["orders", "web"]["value"],
            found["orders", "app"]["value"],
            found["depth", None]["value"],
            found["wait", None]["count"],
            found["wait", None]["sum"],
        )

    check(work, seen)
    wait = read()["wait", None]
    names = [*(repr(bound).removesuffix(".0") for bound in BOUNDS), "+Inf"]
    upto = [int(wait[name]) for name in names]
    return [upto[0], *(now - then for then, now in pairwise(upto))]


def of_influx1(server: InfluxDB1, service: str) -> Fields:
    found: Fields = {}
    for metric in ("orders", "depth", "wait"):
        query = f'SELECT last(*) FROM "{metric}" GROUP BY channel'
        for row in server.rows(service, query):
            fields = {name.removeprefix("last_"): value for name, value in row.items()}
            found[metric, row["channel"] or None] = fields
    return found


def of_influx2(server: InfluxDB2, service: str) -> Fields:
    found: Fields = {}
    for metric in ("orders", "depth", "wait"):
        for field in sorted(server.fields(metric), key=lambda field: field.time):
            if field.tags["service.name"] == service:
                key = metric, field.tags.get("channel")
                found.setdefault(key, {})[field.name] = field.value
    return found
