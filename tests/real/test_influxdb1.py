"""InfluxDB 1.6, a strict judge, takes our lines by `/write`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.influxdb_client import InfluxDBClient

from obs.model import Ack, MetricFamily, Payload
from obs.testing.contract._hostile import TEXTS, families_named
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.reader import read
from tests.exporters.influxdb.test_lines import families
from tests.real.influx import (
    BUCKETS,
    HYPOTHESIS,
    Row,
    check_totals,
    payloads,
    refusal,
    send,
    workload,
)
from tests.real.servers import eventually, http_call
from tests.real.stores import InfluxDB1


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


@HYPOTHESIS
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


def large(n: int) -> MetricFamily:
    rows = {(f"{i:0120}",): i for i in range(n)}
    return MetricFamily.of("rig.large", "gauge", rows, label_names=("k",))


def test_influxdb1_takes_the_largest_body(influxdb1: InfluxDB1, database: str) -> None:
    exporter = InfluxDBExporter(
        influxdb1.url, database=database, max_bytes=16 * 1024 * 1024
    )
    found = payloads(exporter, [large(100_000)])
    assert max(len(payload.body) for payload in found) > 15_000_000
    for payload in found:
        assert exporter.send(payload, time.monotonic() + 60) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)


class Small(InfluxDB1):
    """One that takes bodies of 20 kB at most."""

    def _config(self) -> str:
        return super()._config() + "  max-body-size = 20000\n"


def test_influxdb1_that_takes_less_gets_halves(influxdb1: InfluxDB1) -> None:
    with Small() as small, into(small, "d") as exporter:
        small.create("d")
        (payload,) = payloads(exporter, [large(1_000)])
        assert len(payload.body) > 100_000
        assert send(exporter, payload) == Ack(1_000)
        (row,) = small.rows("d", 'SELECT count("value") FROM "rig.large"')
        assert row["count"] == 1_000
