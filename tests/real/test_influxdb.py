"""InfluxDB 2.7, InfluxDB 1.6 (a strict judge) and VictoriaMetrics take our lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from influxdb_client.client.influxdb_client import InfluxDBClient

from obs.errors import ExportFailed
from obs.metrics import Registry
from obs.model import Ack, Batch, MetricFamily, Payload, Resource
from obs.testing.contract._hostile import TEXTS, families_named
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.reader import read
from tests.exporters.influxdb.test_lines import families
from tests.real.servers import eventually, http_call
from tests.real.stores import InfluxDB1, VictoriaMetrics

BOUNDS = (0.005, 0.1, 1.0)
BUCKETS = {"0.005": 1, "0.1": 1, "1": 3, "+Inf": 4}
ORDERS = {"web": 5.0, 'a b,c=d"é😀': 2.5, "ends/": 1.0}


class Row(NamedTuple):
    """The last value of a field that a server has."""

    labels: dict[str, str]
    value: float


RESOURCE = Resource(
    {
        "service.name": "shop",
        "service.instance.id": "0a1b",
        "deployment.environment.name": "test",
        "process.pid": "42",
    }
)


def workload(exporter: InfluxDBExporter) -> None:
    """Record and push the same to each server, twice."""
    registry = Registry()
    orders = registry.counter("rig.orders", labels=("channel", "time"))
    wait = registry.histogram("rig.wait", unit="s", buckets=BOUNDS)
    temperature = registry.gauge("rig.temperature")
    registry.info("rig.build", labels=("version",)).set("1.4.2")
    temperature.set(-1)
    orders.labels("web", "").inc(2)
    wait.observe(0.001)
    push(exporter, registry)
    orders.labels("web", "").inc(3)
    orders.labels('a b,c=d"é😀', "noon\n").inc(2.5)
    orders.labels("ends\\", "").inc()
    temperature.set(21.5)
    registry.updown("rig.items").dec(4)
    for value in (0.5, 1.0, 7):
        wait.observe(value)
    push(exporter, registry)
    exporter.close(time.monotonic() + 1)


def push(exporter: InfluxDBExporter, registry: Registry) -> None:
    families = list(registry.snapshot())
    batch = Batch("metrics", RESOURCE, families=families, time_ns=time.time_ns())
    for payload in exporter.encode(batch):
        assert (payload.dropped, payload.merged) == ({}, 0)
        assert send(exporter, payload) == Ack(payload.records)


def check_totals(last: Callable[[str, str], list[Row]]) -> bool:
    """Check what a server keeps; ``last(metric, field)`` gives the last of each series."""
    rows = last("rig.orders", "value")
    assert {row.labels["channel"]: row.value for row in rows} == ORDERS
    at = {row.labels["channel"]: row.labels.get("tag_time") for row in rows}
    assert at == {"web": None, 'a b,c=d"é😀': "noon ", "ends/": None}
    for metric, value in (("temperature", 21.5), ("items", -4.0), ("build", 1)):
        (row,) = last(f"rig.{metric}", "value")
        assert row.value == value
        assert RESOURCE.attributes.items() - row.labels.items() == {
            ("process.pid", "42")
        }
    for field, value in {"count": 4, "sum": 8.501, **BUCKETS}.items():
        (row,) = last("rig.wait", field)
        assert row.value == pytest.approx(value)
    return True


@pytest.fixture(scope="module")
def database(influxdb1: InfluxDB1) -> str:
    influxdb1.create("exporter")
    return "exporter"


def write_errors(server: InfluxDB1) -> float:
    """Return how many writes it has refused or dropped, by its own counters."""
    status, body = http_call("GET", server.port, "/debug/vars")
    assert status == 200
    bad = ("clientError", "serverError", "pointsWrittenFail", "pointsWrittenDropped")
    bad += (
        "writeDrop",
        "writeError",
        "writePointsDropped",
        "writePointsErr",
        "pointReqErr",
    )
    parts = json.loads(body).values()
    values = [part["values"] for part in parts if "values" in part]
    return sum(each.get(name, 0) for each in values for name in bad)


def as_rows(found: list[dict[str, Any]], field: str) -> list[Row]:
    return [
        Row(
            {name: text for name, text in row.items() if text and name != "time"},
            row[field],
        )
        for row in found
    ]


def test_influxdb1_has_the_totals(influxdb1: InfluxDB1, database: str) -> None:
    bad = write_errors(influxdb1)
    workload(InfluxDBExporter(influxdb1.url, database=database))

    def last(metric: str, field: str) -> list[Row]:
        query = f'SELECT last("{field}") AS "{field}" FROM "{metric}" GROUP BY *'
        return as_rows(influxdb1.rows(database, query), field)

    check_totals(last)
    assert write_errors(influxdb1) == bad
    types = influxdb1.rows(database, 'SHOW FIELD KEYS FROM "rig.wait"')
    assert {row["fieldKey"]: row["fieldType"] for row in types} == {
        "sum": "float",
        **dict.fromkeys(("count", *BUCKETS), "integer"),
    }


def test_influxdb1_has_the_totals_by_a_client_of_the_users(
    influxdb1: InfluxDB1,
) -> None:
    influxdb1.create("library")
    with InfluxDBClient(influxdb1.url, "me:secret", auth_basic=True) as client:
        workload(InfluxDBExporter(client=client, database="library"))

    def last(metric: str, field: str) -> list[Row]:
        query = f'SELECT last("{field}") AS "{field}" FROM "{metric}" GROUP BY *'
        return as_rows(influxdb1.rows("library", query), field)

    check_totals(last)


@contextmanager
def into(server: InfluxDB1, database: str) -> Iterator[InfluxDBExporter]:
    exporter = InfluxDBExporter(server.url, database=database)
    yield exporter
    exporter.close(time.monotonic() + 1)


def payloads(exporter: InfluxDBExporter, some: list[MetricFamily]) -> list[Payload]:
    batch = Batch("metrics", Resource({}), families=some, time_ns=time.time_ns())
    return [payload for payload in exporter.encode(batch) if payload.records]


def send(exporter: InfluxDBExporter, payload: Payload) -> Ack:
    return exporter.send(payload, time.monotonic() + 10)


def stored(server: InfluxDB1, database: str, payload: Payload) -> bool:
    """Whether it keeps each line of a payload as our reader reads it."""
    for line in read(payload.body):
        quoted = line.measurement.replace('"', '\\"')
        query = f'SELECT * FROM "{quoted}" WHERE time = {line.time} GROUP BY *'
        rows = [
            {name: value for name, value in row.items() if value not in ("", None)}
            for row in server.rows(database, query)
        ]
        wanted = {**line.tags, **line.fields, "time": line.time}
        assert wanted in rows, (wanted, rows)
    return True


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:20])
def test_influxdb1_takes_every_hostile_text(
    influxdb1: InfluxDB1, database: str, text: str
) -> None:
    with into(influxdb1, database) as exporter:
        for payload in payloads(exporter, families_named(text)):
            assert send(exporter, payload) == Ack(payload.records)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(families(), min_size=1, max_size=3))
def test_influxdb1_takes_whatever_hypothesis_finds(
    influxdb1: InfluxDB1, database: str, some: list[MetricFamily]
) -> None:
    with into(influxdb1, database) as exporter:
        for payload in payloads(exporter, some):
            assert send(exporter, payload) == Ack(payload.records)


def test_influxdb1_reads_what_our_reader_reads(
    influxdb1: InfluxDB1, database: str
) -> None:
    texts = [text for text in TEXTS if text and len(text) < 1_000]
    rows = {(text, f"{n}"): n + 0.5 for n, text in enumerate(texts)}
    some = [MetricFamily.of("read back", "gauge", rows, label_names=("a b", "n"))]
    some += [
        MetricFamily.of(f"m{text}", "gauge", 1) for text in texts if "\n" not in text
    ]
    with into(influxdb1, database) as exporter:
        for payload in payloads(exporter, some):
            assert send(exporter, payload) == Ack(payload.records)
            eventually(lambda payload=payload: stored(influxdb1, database, payload))


def test_influxdb1_says_which_points_it_refused(
    influxdb1: InfluxDB1, database: str
) -> None:
    now = time.time_ns()
    with into(influxdb1, database) as exporter:
        bad = write_errors(influxdb1)
        good = Payload(b"typed v=1 %d\nother v=1 %d" % (now, now), 2)
        assert send(exporter, good) == Ack(2)
        assert write_errors(influxdb1) == bad
        mixed = Payload(b"typed v=1i %d\nother v=2 %d" % (now + 1, now + 1), 2)
        assert send(exporter, mixed) == Ack(1, {"partial_write": 1})
        unreadable = Payload(b"bad line here\nother v=3 %d" % now, 2)
        assert send(exporter, unreadable) == Ack(1, {"partial_write": 1})
        assert write_errors(influxdb1) > bad
    with into(influxdb1, "nothing") as exporter:
        error = refusal(exporter)
    assert (error.retryable, error.reason) == (False, "http_404")
    assert str(error).startswith("exporter 'influxdb': the backend answered 404: ")
    assert str(error).endswith("Check the url, and that there is database='nothing'.")


def test_a_bucket_at_influxdb1_is_refused_with_a_text_that_helps(
    influxdb1: InfluxDB1,
) -> None:
    exporter = InfluxDBExporter(influxdb1.url, bucket="b", org="o")
    assert str(refusal(exporter)).endswith(
        "Check the url, and that there is bucket='b', org='o'; before 1.8, give "
        "database= instead."
    )


def refusal(exporter: InfluxDBExporter) -> ExportFailed:
    (payload,) = payloads(exporter, [MetricFamily.of("rig.refused", "gauge", 1)])
    try:
        with pytest.raises(ExportFailed) as error:
            send(exporter, payload)
    finally:
        exporter.close(time.monotonic() + 1)
    return error.value


def test_influxdb1_was_given_a_body_too_large(
    influxdb1: InfluxDB1, database: str
) -> None:
    """Its limit is 25 MB, packed or not; a body of 16 MiB at most is below it."""
    rows = {(f"{n:0120}",): n for n in range(100_000)}
    family = MetricFamily.of("rig.large", "gauge", rows, label_names=("k",))
    exporter = InfluxDBExporter(
        influxdb1.url, database=database, max_bytes=16 * 1024 * 1024
    )
    found = payloads(exporter, [family])
    assert max(len(payload.body) for payload in found) > 15_000_000
    for payload in found:
        assert exporter.send(payload, time.monotonic() + 60) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)


@pytest.mark.parametrize("target", ["bucket", "database"])
def test_victoriametrics_has_the_totals(
    victoriametrics: VictoriaMetrics, target: str
) -> None:
    exporter = InfluxDBExporter(victoriametrics.url, **{target: f"by_{target}"})
    troubles = victoriametrics.troubles()
    workload(exporter)

    def last(metric: str, field: str) -> list[Row]:
        selector = f'{{__name__="{metric}_{field}"}}'
        return [
            Row(series.labels, max(series.points)[1])
            for series in victoriametrics.series(selector)
            if (series.labels.get("db") == "by_database") == (target == "database")
        ]

    eventually(lambda: check_totals(last))
    assert victoriametrics.troubles() == troubles == {}


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(families(), min_size=1, max_size=3))
def test_victoriametrics_takes_whatever_hypothesis_finds(
    victoriametrics: VictoriaMetrics, some: list[MetricFamily]
) -> None:
    exporter = InfluxDBExporter(victoriametrics.url, bucket="b")
    for payload in payloads(exporter, some):
        assert send(exporter, payload) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)
