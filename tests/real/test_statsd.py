"""Metrics arrive in real StatsD servers: totals, levels, percentiles, and no bad line."""

import re
from math import isclose
from random import Random
from time import monotonic
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from obs.metrics import Registry
from obs.model import Batch, Block, MetricFamily, Resource, delta
from obs.testing.contract._hostile import TEXTS
from obs_exporters import StatsdExporter
from tests.real.quantiles import bucket_at, check_quantile
from tests.real.receivers import plain
from tests.real.servers import eventually

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (100, 1_000, 10_000, 100_000)
QUANTILES = (0.5, 0.9, 0.95, 0.99)
RESOURCE = Resource({"service.name": "shop"})
STATSD_WAYS = ("udp", "tcp", "unix-stream")
EXPORTER_WAYS = [
    (way, dialect)
    for way in ("udp", "tcp", "unix")
    for dialect in ("plain", "datadog", "telegraf")
]


class Workload:
    """One of everything, pushed three times as increases; it knows what it did."""

    def __init__(self):
        self.prefix = f"w{uuid4().hex[:10]}"
        self.registry = registry = Registry()
        self._placed = registry.counter("orders.placed", labels=("channel", "region"))
        self._paid = registry.counter("paid")
        self._depth = registry.gauge("depth")
        self._balance = registry.gauge("balance", labels=("currency",))
        self._in_flight = registry.updown("in.flight")
        registry.info("build", labels=("revision",)).set("abc")
        self._latency = registry.histogram("latency", unit="s", buckets=SECONDS)
        self._size = registry.histogram("size", unit="By", buckets=SIZES)
        self._never = registry.counter("never")
        self._never.inc(0)
        self.latencies, self.sizes = [], []
        self._chance = Random(7)
        self._baseline = None
        self.sent = 0

    def record(self, n):
        self._placed.labels("web shop", "").inc(3)
        self._placed.labels("app", "eu").inc(2)
        self._paid.inc(0.25)
        self._depth.set(17 - n)
        self._balance.labels("eur").set(-2.5 * n)
        self._balance.labels("usd").set(1 - n)
        self._in_flight.dec(2)
        for _ in range(4_115):
            self.latencies.append(min(self._chance.lognormvariate(-3, 1.2), 4.9))
            self._latency.observe(self.latencies[-1])
        for _ in range(7):
            self.sizes.append(self._chance.randrange(90_000))
            self._size.observe(self.sizes[-1])

    def push(self, exporter):
        now = self.registry.snapshot()
        change = now if self._baseline is None else delta(self._baseline, now)
        self.sent += send(exporter, change)
        self._baseline = now


def send(exporter, families, resource=RESOURCE):
    """Send families, and give how many points went out; none may be left out."""
    accepted = 0
    batch = Batch("metrics", resource, families=list(families), temporality="delta")
    for payload in exporter.encode(batch):
        assert not payload.dropped
        ack = exporter.send(payload, monotonic() + 10)
        assert not ack.rejected
        accepted += ack.accepted
    return accepted


def exporter_to(server, way, workload=None, **more):
    protocol = "unix" if way.startswith("unix") else way
    prefix = workload.prefix if workload else ""
    return StatsdExporter(
        server.addresses[way], protocol=protocol, prefix=prefix, **more
    )


@pytest.mark.parametrize("way", STATSD_WAYS)
def test_etsys_statsd_adds_up_the_same(statsd, way):
    before = statsd.bad_lines()
    work = Workload()
    exporter = exporter_to(statsd, way, work)
    for n in range(3):
        work.record(n)
        work.push(exporter)
    exporter.close(monotonic() + 1)
    name = work.prefix
    eventually(lambda: statsd.counters().get(f"{name}.orders.placed.app.eu") == 6)
    eventually(lambda: f"{name}.in.flight" in statsd.gauges())
    counters = statsd.counters()
    assert counters[f"{name}.orders.placed.web_shop.none"] == 9
    assert counters[f"{name}.paid"] == 0.75
    assert not any(f"{name}.never" in each for each in counters)
    assert {
        gauge.removeprefix(f"{name}."): value
        for gauge, value in statsd.gauges().items()
        if gauge.startswith(name)
    } == {
        "depth": 15,
        "balance.eur": -5,
        "balance.usd": -1,
        "in.flight": -6,
        "build.abc": 1,
    }

    def count(timer):
        return sum(each["count"] for each in statsd.timer_data(f"{name}.{timer}"))

    eventually(lambda: isclose(count("latency"), 3 * 4_115))
    eventually(lambda: isclose(count("size"), 3 * 7))
    assert sum(statsd.timers()[f"{name}.size"]) == pytest.approx(sum(work.sizes))
    assert statsd.bad_lines() == before


@pytest.mark.parametrize("n", [1, 7, 99, 100, 101, 150, 199, 250, 12_345])
def test_percentiles_of_etsys_statsd_are_in_their_buckets(statsd, n):
    """Its own are of the lines, whatever their sample rates: the exporter knows."""
    chance = Random(n)
    name = f"p{uuid4().hex[:10]}"
    registry = Registry()
    histogram = registry.histogram("latency", unit="s", buckets=SECONDS)
    values = [chance.lognormvariate(-3, 1.5) for _ in range(n)]
    for value in values:
        histogram.observe(value)
    statsd.wait_flush()
    exporter = StatsdExporter(statsd.addresses["udp"], prefix=name)
    send(exporter, registry.snapshot())
    exporter.close(0.0)
    (data,) = eventually(lambda: statsd.timer_data(f"{name}.latency"))
    assert data["count"] == pytest.approx(n, rel=1e-12)
    assert data["mean"] == pytest.approx(1000 * sum(values) / n)
    for q in QUANTILES:
        lines = min(n, 100)
        # Of fewer than 100 lines it takes the nearest, rounded half up.
        rank = int(q * lines + 0.5) / lines
        if rank:
            value = data[f"upper_{q * 100:g}"] / 1000
            check_quantile(value, values, SECONDS, rank)


def labelled(samples, prefix):
    """Samples of statsd_exporter by name and labels, with what it adds left out."""
    found = {}
    for sample, value in samples.items():
        name, _, labels = sample.partition("{")
        pairs = tuple(re.findall(r'(\w+)="([^"]*)"', labels))
        if name.startswith(prefix):
            own = [pair for pair in pairs if not pair[0].startswith("service")]
            found[name.removeprefix(f"{prefix}_"), *own] = value
    return found


@pytest.mark.parametrize(("way", "dialect"), EXPORTER_WAYS)
def test_statsd_exporter_adds_up_the_same(statsd_exporter, way, dialect):
    before = statsd_exporter.troubles()
    work = Workload()
    exporter = exporter_to(statsd_exporter, way, work, dialect=dialect)
    for n in range(3):
        work.record(n)
        work.push(exporter)
    exporter.close(monotonic() + 1)

    def all_there():
        found = labelled(statsd_exporter.samples(), work.prefix)
        assert found["latency_count",] == 3 * 4_115
        assert found["size_count",] == 21
        return found

    found = eventually(all_there)
    is_plain = dialect == "plain"
    expected = (
        {
            ("orders_placed_web_shop_none",): 9,
            ("orders_placed_app_eu",): 6,
            ("balance_eur",): -5,
            ("balance_usd",): -1,
            ("build_abc",): 1,
        }
        if is_plain
        else {
            ("orders_placed", ("channel", "web_shop")): 9,
            ("orders_placed", ("channel", "app"), ("region", "eu")): 6,
            ("balance", ("currency", "eur")): -5,
            ("balance", ("currency", "usd")): -1,
            ("build", ("revision", "abc")): 1,
        }
    ) | {("paid",): 0.75, ("depth",): 15, ("in_flight",): -6}
    assert {key: found.get(key) for key in expected} == expected
    others = {key[0] for key in found} - {key[0] for key in expected}
    assert others == {
        *("latency", "latency_count", "latency_sum"),
        *("size", "size_count", "size_sum"),
    }
    # What is no duration the plain dialect has as one: 1,000 bytes are "a second".
    unit = 1000 if is_plain else 1
    assert found["latency_sum",] == pytest.approx(
        sum(work.latencies), rel=0.02 if is_plain else 1e-9
    )
    assert found["size_sum",] * unit == pytest.approx(sum(work.sizes))
    for q in QUANTILES:
        # It is 0.1 % of ranks off by itself; in the plain dialect a line is 1 %.
        off = 0.013 if is_plain else 0.002
        value = found["latency", ("quantile", f"{q:g}")]
        check_quantile(value, work.latencies, SECONDS, q, off)
    assert statsd_exporter.troubles() == before


def points_of(collector, prefix):
    """Points of the Collector by metric and attributes, over all its intervals."""
    found = {}
    for _, _, record in collector.metrics():
        if not record["name"].startswith(f"{prefix}."):
            continue
        for kind in ("sum", "gauge", "exponentialHistogram"):
            for point in record.get(kind, {}).get("dataPoints", ()):
                attributes = plain(point.get("attributes"))
                attributes.pop("service", None)
                key = record["name"].removeprefix(f"{prefix}."), *attributes.items()
                found.setdefault(key, []).append(point)
    return found


def exponential_quantile(points, q):
    """The edges of the exponential bucket that a quantile is in."""
    counts = []
    for point in points:
        base = 2.0 ** (2.0 ** -int(point.get("scale", 0)))
        positive = point.get("positive", {})
        offset = int(positive.get("offset", 0))
        for index, n in enumerate(positive.get("bucketCounts", ())):
            low = base ** (offset + index)
            counts.append((low, low * base, int(n)))
    rank = q * sum(n for _, _, n in counts)
    for low, high, n in sorted(counts):
        rank -= n
        if rank <= 1e-9:
            return low, high
    raise AssertionError(counts)


@pytest.mark.parametrize("dialect", ["plain", "datadog"])
def test_the_collector_adds_up_the_same(collector, dialect):
    work = Workload()
    exporter = StatsdExporter(
        collector.statsd_address, prefix=work.prefix, dialect=dialect
    )
    for n in range(3):
        work.record(n)
        work.push(exporter)
    exporter.close(0.0)

    def counts(name):
        points = points_of(collector, work.prefix)[name,]
        return sum(int(point["count"]) for point in points)

    eventually(lambda: counts("latency") == 3 * 4_115)
    eventually(lambda: counts("size") == 21)
    found = points_of(collector, work.prefix)
    is_plain = dialect == "plain"
    app = (
        ("orders.placed.app.eu",)
        if is_plain
        else ("orders.placed", ("channel", "app"), ("region", "eu"))
    )
    eur = ("balance.eur",) if is_plain else ("balance", ("currency", "eur"))
    assert sum(int(point["asInt"]) for point in found[app]) == 6
    assert found[eur][-1]["asDouble"] == -5
    assert found["in.flight",][-1]["asDouble"] == -6
    assert found["depth",][-1]["asDouble"] == 15
    total = sum(point["sum"] for point in found["latency",])
    assert total == pytest.approx(
        1000 * sum(work.latencies), rel=0.02 if is_plain else 1e-9
    )
    for q in QUANTILES:
        low, high = exponential_quantile(found["latency",], q)
        off = 0.011 if is_plain else 0.0
        least, _ = bucket_at(work.latencies, SECONDS, q - off)
        _, most = bucket_at(work.latencies, SECONDS, q + off)
        assert low / 1000 <= most, q
        assert high / 1000 >= least, q
    assert not [each for each in collector.statsd_troubles() if work.prefix in each]


def hostile_families(prefix, count=60):
    """Families with odd texts in each place, which sanitising keeps apart."""
    texts = list(TEXTS)

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.text(max_size=30))
    def collect(text):
        texts.append(text)

    collect()
    families = []
    for n, text in enumerate(texts):
        text = text[:200]
        of = MetricFamily.of
        families += [
            of(f"{prefix}.a{n}.{text}", "counter", 1),
            of(f"{prefix}.b{n}", "counter", {(text,): 1}, label_names=("l",)),
            of(f"{prefix}.c{n}", "counter", {("v",): 1}, label_names=(text or "l",)),
        ]
    return families


@pytest.mark.parametrize("way", STATSD_WAYS)
def test_etsys_statsd_takes_hostile_texts(statsd, way):
    before = statsd.bad_lines()
    prefix = f"h{uuid4().hex[:10]}"
    families = hostile_families(prefix)
    exporter = exporter_to(statsd, way)
    assert send(exporter, families) == len(families)
    exporter.close(monotonic() + 1)

    def arrived():
        found = {k: v for k, v in statsd.counters().items() if k.startswith(prefix)}
        return len(found) == len(families) and found

    assert set(eventually(arrived).values()) == {1}
    assert statsd.bad_lines() == before


def test_etsys_statsd_outlives_names_that_its_objects_have(statsd):
    """Sent as it is, a timer of this name would end it."""
    names = ("constructor", "__proto__", "toString", "hasOwnProperty")
    families = [MetricFamily.of(name, "counter", 1) for name in names]
    registry = Registry()
    registry.histogram("valueOf", unit="s").observe(1)
    exporter = StatsdExporter(statsd.addresses["udp"])
    send(exporter, [*families, *registry.snapshot()])
    exporter.close(0.0)
    eventually(lambda: statsd.timer_data("valueOf_"))
    assert {f"{name}_" for name in names} <= statsd.counters().keys()


@pytest.mark.parametrize(("way", "dialect"), EXPORTER_WAYS)
def test_statsd_exporter_takes_hostile_texts(statsd_exporter, way, dialect):
    before = statsd_exporter.troubles()
    prefix = f"h{uuid4().hex[:10]}"
    families = hostile_families(prefix)
    exporter = exporter_to(statsd_exporter, way, dialect=dialect)
    assert send(exporter, families) == len(families)
    exporter.close(monotonic() + 1)

    def arrived():
        samples = statsd_exporter.samples()
        found = {k: v for k, v in samples.items() if k.startswith(prefix)}
        return len(found) == len(families) and found

    assert set(eventually(arrived).values()) == {1}
    assert statsd_exporter.troubles() == before


@pytest.mark.parametrize("dialect", ["plain", "datadog"])
def test_the_collector_takes_hostile_texts(collector, dialect):
    before = collector.statsd_troubles()
    prefix = f"h{uuid4().hex[:10]}"
    families = hostile_families(prefix)
    exporter = StatsdExporter(collector.statsd_address, dialect=dialect)
    assert send(exporter, families) == len(families)
    exporter.close(0.0)
    eventually(lambda: len(points_of(collector, prefix)) == len(families))
    points = points_of(collector, prefix).values()
    assert {sum(int(each["asInt"]) for each in some) for some in points} == {1}
    assert collector.statsd_troubles() == before


@pytest.mark.parametrize("dialect", ["datadog", "telegraf"])
def test_statsd_exporter_outlives_tags_that_are_its_own(statsd_exporter, dialect):
    """Sent as they are, they would end it, or its page."""
    prefix = f"o{uuid4().hex[:10]}"
    labels = ("quantile", "le", "__name__", "__a")
    for unit in ("s", "By"):
        block = Block(labels, [labels], [1.0], [[1, 0]])
        family = MetricFamily(
            f"{prefix}.{unit}", "histogram", unit, "", [block], (1.0,)
        )
        exporter = StatsdExporter(statsd_exporter.addresses["udp"], dialect=dialect)
        send(exporter, [family], Resource({}))
        exporter.close(0.0)
        sample = (
            f'{prefix}_{unit}_count{{_a="__a",_name__="__name__",le_="le",'
            'quantile_="quantile"}'
        )
        assert eventually(lambda: statsd_exporter.samples()[sample]) == 1  # noqa: B023 - called at once


def test_ids_of_datadog_arrive(statsd_exporter):
    prefix = f"i{uuid4().hex[:10]}"
    exporter = StatsdExporter(
        statsd_exporter.addresses["udp"],
        dialect="datadog",
        container_id=True,
        entity_id="pod-uid",
    )
    attributes = {
        "service.name": "my shop",
        "service.version": "1.2",
        "deployment.environment.name": "prod",
        "process.pid": "7",
        "container.id": "0123abc",
    }
    send(exporter, [MetricFamily.of(prefix, "gauge", -1.5)], Resource(attributes))
    exporter.close(0.0)
    sample = (
        f'{prefix}{{container_id="0123abc",dd_internal_entity_id="pod-uid",'
        'env="prod",service="my_shop",version="1.2"}'
    )
    assert eventually(lambda: statsd_exporter.samples()[sample]) == -1.5
