"""Metrics arrive in a real carbon, are read back by graphite-web, and in VictoriaMetrics.

graphite-web is the strict judge of tags; carbon logs each line that it cannot read.
"""

import math
import random
import time
from collections import Counter
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from obs import Obs
from obs.metrics import Registry
from obs.model import Batch, Block, MetricFamily, Resource
from obs_exporters import GraphiteExporter
from tests.exporters.graphite.reader import lines, read_line
from tests.real.graphite import Carbon
from tests.real.servers import eventually

WAYS = {"plaintext": "tcp", "pickle": "pickle", "udp": "udp"}
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@pytest.fixture
def service():
    return f"service-{uuid4().hex[:12]}"


@pytest.fixture
def exporting():
    """Give what makes an exporter that is closed after the test."""
    made = []

    def make(address, **options):
        made.append(GraphiteExporter(address, **options))
        return made[-1]

    yield make
    for exporter in made:
        exporter.close(0.0)


def push(exporter, service, families, now):
    resource = Resource({"service.name": service, "service.instance.id": "one"})
    batch = Batch("metrics", resource, families=list(families), time_ns=now * 10**9)
    accepted = 0
    for payload in exporter.encode(batch):
        accepted += exporter.send(payload, time.monotonic() + 10).accepted
        time.sleep(0.01)  # datagrams that come faster than they are read are lost
    return accepted


class Workload:
    """Some work in two parts, and what is to be found of it."""

    def __init__(self, seed):
        self.registry = Registry()
        self._chance = random.Random(seed)
        self._placed = self.registry.counter("orders.placed", labels=("channel",))
        self._depth = self.registry.gauge("orders.open")
        self._pool = self.registry.updown("pool.size")
        self._latency = self.registry.histogram(
            "latency", labels=("route",), buckets=BOUNDS
        )
        self.orders = Counter()
        self.seconds = []

    def work(self, scale):
        """Give what was observed in this part, sorted."""
        observed = sorted(self._chance.expovariate(1 / scale) for _ in range(2_000))
        for value in observed:
            channel = self._chance.choice(("web", "app", ""))
            self.orders[channel] += 1
            self._placed.labels(channel).inc()
            self._latency.labels("/users/{id}").observe(value)
        self._depth.set(-2.5 * scale)
        self._pool.inc(3)
        self.seconds += observed
        return observed

    def check(self, found, observed, prefix):
        """Compare what was read back with what was done."""
        for channel, n in self.orders.items():
            assert found[f"{prefix}orders.placed.{channel or '_empty_'}"] == n
        latency = f"{prefix}latency._users__id_"
        assert found[f"{latency}.count"] == len(self.seconds)
        assert math.isclose(found[f"{latency}.sum"], sum(self.seconds), rel_tol=1e-9)
        for suffix, q in QUANTILES.items():
            exact = observed[int(q * len(observed))]
            (low,) = [b for b in (0.0, *BOUNDS) if b <= exact][-1:]
            high = next((b for b in BOUNDS if b >= exact), BOUNDS[-1])
            assert low <= found[f"{latency}.{suffix}"] <= high


def at(points, now):
    """Give the value at a time by path."""
    return {
        path: dict(values)[now]
        for path, values in points.items()
        if now in dict(values)
    }


@pytest.mark.parametrize("protocol", WAYS)
def test_totals_and_percentiles_are_read_back(
    graphite_web, protocol, exporting, service
):
    carbon = graphite_web.carbon
    before = carbon.troubles()
    exporter = exporting(carbon.addresses[WAYS[protocol]], protocol=protocol)
    workload = Workload(protocol)
    now = int(time.time()) - 10
    prefix = f"{service}.one."
    for begin, scale in ((now, 0.02), (now + 5, 1.0)):
        observed = workload.work(scale)
        # Three counters, a gauge, an up-down counter, a histogram.
        assert push(exporter, service, workload.registry.snapshot(), begin) == 6

        def arrived(begin=begin):
            found = {}
            for depth in range(2, 6):
                pattern = prefix + ".".join("*" * depth)
                found |= at(graphite_web.points(pattern), begin)
            return len(found) == 11 and found

        found = eventually(arrived)
        workload.check(found, observed, prefix)
        assert found[f"{prefix}orders.open"] == -2.5 * scale
    assert found[f"{prefix}pool.size"] == 6
    rates = graphite_web.points(f"nonNegativeDerivative({prefix}latency.*.count)")
    assert rates is not None
    assert carbon.troubles() == before


def test_buckets_are_read_back(graphite_web, exporting, service):
    carbon = graphite_web.carbon
    exporter = exporting(carbon.addresses["tcp"], prefix=service, histograms="buckets")
    block = Block((), [()], [7.5], [(1, 2, 0, 4)])
    family = MetricFamily("h", "histogram", blocks=[block], bounds=(0.25, 1.0, 20.0))
    now = int(time.time())
    assert push(exporter, service, [family], now) == 1
    begin = f"{service}.h"
    wanted = {
        f"{begin}.bucket.0_25": 1.0,
        f"{begin}.bucket.1": 3.0,
        f"{begin}.bucket.20": 3.0,
        f"{begin}.bucket.Inf": 7.0,
    }
    eventually(lambda: at(graphite_web.points(f"{begin}.bucket.*"), now) == wanted)
    counts = {f"{begin}.count": 7.0, f"{begin}.sum": 7.5}
    eventually(lambda: at(graphite_web.points(f"{begin}.*"), now) == counts)


@pytest.mark.parametrize("protocol", WAYS)
def test_tags_are_read_back_by_their_names(graphite_web, protocol, exporting, service):
    carbon = graphite_web.carbon
    exporter = exporting(carbon.addresses[WAYS[protocol]], protocol=protocol, tags=True)
    rows = {("/users/{id}", "GET"): 3, ("/", ""): 4}
    family = MetricFamily.of(
        "http.requests", "counter", rows, label_names=("http.route", "method")
    )
    now = int(time.time())
    assert push(exporter, service, [family], now) == 2
    resource = f"service.instance.id=one;service.name={service}"
    wanted = {
        f"http.requests;http.route=/users/{{id}};method=GET;{resource}": 3.0,
        f"http.requests;http.route=/;{resource}": 4.0,
    }
    for path in wanted:
        assert graphite_web.tag(path) == path
    target = f"seriesByTag('name=http.requests','service.name={service}')"
    eventually(lambda: at(graphite_web.points(target), now) == wanted)
    target = target.replace("seriesByTag(", "seriesByTag('http.route=/users/{id}',")
    assert list(at(graphite_web.points(target), now).values()) == [3.0]


ANY_TEXT = st.text(
    "\n\r\t\x00\x0b\x1c\x85\xa0\u2028 \"'\\,;:=|~!^/.{}é日\ud800", max_size=6
)
TEXTS = ANY_TEXT | st.text(max_size=20) | st.text("xé", min_size=180, max_size=260)


def hostile(service, count):
    """Give families with any text at each place, their names beginning with a service."""
    found = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
    def collect(name, labels):
        family = MetricFamily.of(
            f"{service}.{len(found)}.{name}",
            "gauge",
            {tuple(labels.values()): len(found) + 0.5},
            label_names=tuple(labels),
        )
        found.append(family)

    collect()
    return found


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("protocol", WAYS)
def test_no_text_forges_or_loses_a_value(
    graphite_web, protocol, tags, exporting, service
):
    carbon = graphite_web.carbon
    before = carbon.troubles()
    address = carbon.addresses[WAYS[protocol]]
    families = hostile(service, 150)
    exporter, plain = (
        exporting(address, protocol=each, prefix="", tags=tags)
        for each in (protocol, "plaintext")
    )
    wanted = set()
    now = int(time.time())
    batch = Batch("metrics", Resource({}), families=families, time_ns=now * 10**9)
    for payload in plain.encode(batch):
        found, _ = lines(payload.body)
        assert all(map(read_line, found))
        wanted |= {line.decode().split()[0] for line in found}
    assert len(wanted) > 40
    for payload in exporter.encode(batch):
        exporter.send(payload, time.monotonic() + 10)

    def arrived():
        return {name for name in carbon.names() if name.startswith(service)} == wanted

    eventually(arrived)
    assert carbon.troubles() == before
    if tags:
        for path in sorted(wanted)[:40]:
            assert graphite_web.tag(path) == path


def test_a_carbon_that_is_restarted_between_pushes_loses_no_line(
    carbon, exporting, service
):
    never_started = Carbon()
    never_started.stop()
    addresses = never_started.addresses  # not those of the one that all tests share
    exporters = {
        way: exporting(addresses[way], protocol=protocol, prefix="")
        for protocol, way in WAYS.items()
        if way != "udp"
    }
    for _ in range(3):
        again = Carbon()
        again.port = int(addresses["tcp"].rpartition(":")[2])
        again.addresses = addresses
        with again:
            wanted = set()
            for way, exporter in exporters.items():
                rows = {(f"{i}",): i for i in range(100)}
                family = MetricFamily.of(
                    f"{service}.{way}", "gauge", rows, label_names=("l",)
                )
                assert push(exporter, service, [family], int(time.time())) == 100
                wanted |= {f"{service}.{way}.{i}" for i in range(100)}
            eventually(lambda wanted=wanted, it=again: it.names() >= wanted)
            assert again.troubles() == []


@pytest.mark.parametrize("protocol", ["plaintext", "udp"])
@pytest.mark.parametrize("tags", [False, True])
def test_victoriametrics_keeps_all(victoriametrics, protocol, tags, exporting, service):
    before = victoriametrics.troubles()
    exporter = exporting(victoriametrics.graphite_address, protocol=protocol, tags=tags)
    workload = Workload(protocol)
    now = int(time.time()) - 10
    for begin, scale in ((now, 0.02), (now + 5, 1.0)):
        observed = workload.work(scale)
        assert push(exporter, service, workload.registry.snapshot(), begin) == 6
    selector = (
        f'{{"service.name"="{service}"}}' if tags else f'{{__name__=~"{service}.*"}}'
    )

    def arrived():
        found = {}
        for series in victoriametrics.series(selector):
            name, labels = series.name, series.labels
            if tags:
                assert labels.pop("service.name") == service
                assert labels.pop("service.instance.id") == "one"
            key = name if not labels else (name, *labels.values())
            found[key] = dict(series.points).get((now + 5) * 1000)
        return len(found) == 11 and found

    found = eventually(arrived)
    if not tags:
        workload.check(found, observed, f"{service}.one.")
        assert found[f"{service}.one.pool.size"] == 6
    else:
        assert found["orders.placed", "web"] == workload.orders["web"]
        assert found["orders.placed"] == workload.orders[""]
        assert found["latency.count", "/users/{id}"] == 4_000
    assert victoriametrics.troubles() == before


def test_victoriametrics_takes_hostile_texts(victoriametrics, exporting, service):
    before = victoriametrics.troubles()
    families = hostile(service, 150)
    exporter = exporting(
        victoriametrics.graphite_address, tags=True, resource_tags=(), prefix=""
    )
    sent = push(exporter, service, families, int(time.time()))
    assert sent > 40

    def arrived():
        found = victoriametrics.series(f'{{__name__=~"{service}.*"}}')
        return sorted(value for it in found for _, value in it.points)

    eventually(lambda: len(arrived()) == sent)
    assert victoriametrics.troubles() == before


def test_an_instance_pushes_its_metrics(graphite_web, exporting, service):
    exporter = exporting(graphite_web.carbon.addresses["tcp"], prefix="{service.name}")
    tel = Obs(service, exporters=[exporter], runtime=False)
    placed = tel.counter("orders.placed", "Orders placed.", labels=("channel",))
    with tel.start():
        placed.labels("web").inc(3)
        assert tel.flush(10.0).lost == 0

    def arrived():
        found = graphite_web.points(f"{service}.orders.placed.web")
        return [value for _, value in found.get(f"{service}.orders.placed.web", ())]

    assert set(eventually(arrived)) == {3.0}
