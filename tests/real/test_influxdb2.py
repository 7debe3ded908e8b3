"""InfluxDB 2.7 takes our lines, and gives them back by Flux."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.influxdb_client import InfluxDBClient

from obs import Obs
from obs.model import Ack, Block, MetricFamily, Payload
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
from tests.real.stores import InfluxDB2


def into_bucket(server: InfluxDB2, **changed: Any) -> InfluxDBExporter:
    arguments = {"bucket": server.bucket, "org": server.org, "token": server.token}
    return InfluxDBExporter(server.url, **{**arguments, **changed})


def last_in(server: InfluxDB2, bucket: str) -> Callable[[str, str], list[Row]]:
    """Give what the last value of each series is, read by Flux."""

    def last(metric: str, field: str) -> list[Row]:
        rows = {}
        for each in sorted(server.fields(metric, bucket), key=lambda it: it.time):
            if each.name == field:
                key = tuple(sorted(each.tags.items()))
                rows[key] = Row(each.tags, each.value)
        return list(rows.values())

    return last


def test_influxdb2_has_the_totals(influxdb2: InfluxDB2) -> None:
    influxdb2.make_bucket("totals")
    token = influxdb2.make_token("write", "totals")
    workload(into_bucket(influxdb2, bucket="totals", token=token))
    check_totals(last_in(influxdb2, "totals"))
    types = {
        each.name: type(each.value) for each in influxdb2.fields("rig.wait", "totals")
    }
    assert types == {"sum": float, **dict.fromkeys(("count", *BUCKETS), int)}


@pytest.mark.parametrize("enable_gzip", [False, True])
def test_influxdb2_has_the_totals_by_a_client_of_the_users(
    influxdb2: InfluxDB2, enable_gzip: bool
) -> None:
    bucket = f"client {enable_gzip}"
    influxdb2.make_bucket(bucket)
    with InfluxDBClient(
        influxdb2.url, influxdb2.token, org=influxdb2.org, enable_gzip=enable_gzip
    ) as client:
        workload(InfluxDBExporter(client=client, bucket=bucket))
    check_totals(last_in(influxdb2, bucket))


def test_influxdb2_has_the_totals_by_a_session_of_the_users(
    influxdb2: InfluxDB2,
) -> None:
    influxdb2.make_bucket("session")
    with InfluxDBClient(
        influxdb2.url, username="rig", password="rig-password", org=influxdb2.org
    ) as client:
        workload(InfluxDBExporter(client=client, bucket="session"))
    check_totals(last_in(influxdb2, "session"))


def test_influxdb2_takes_the_way_of_1x_too(influxdb2: InfluxDB2) -> None:
    """A bucket is known there by its own name."""
    workload(
        InfluxDBExporter(
            influxdb2.url, database=influxdb2.bucket, token=influxdb2.token
        )
    )
    check_totals(last_in(influxdb2, influxdb2.bucket))
    workload(
        InfluxDBExporter(
            influxdb2.url,
            database=influxdb2.bucket,
            username="rig",
            password=influxdb2.token,
        )
    )


def test_influxdb2_adds_up_increases_of_an_instance(influxdb2: InfluxDB2) -> None:
    exporter = into_bucket(influxdb2, temporality="delta")
    tel = Obs("shop", exporters=[exporter], runtime=False)
    counter = tel.counter("rig.increases", labels=("k",))
    with tel.start():
        for n in range(1, 5):
            counter.labels("a").inc(n)
            counter.labels("b").inc(0.5)
            assert tel.flush(10).lost == 0
    sums = {"a": 0.0, "b": 0.0}
    for each in influxdb2.fields("rig.increases"):
        sums[each.tags["k"]] += each.value
    assert sums == {"a": 10.0, "b": 2.0}


def test_a_quantile_as_the_guide_has_it(influxdb2: InfluxDB2) -> None:
    guide = Path(__file__).parents[2] / "docs" / "influxdb.md"
    (query,) = re.findall(r"```text\n(from\(.*?)```", guide.read_text("utf-8"), re.S)
    query = query.replace('"shop"', f'"{influxdb2.bucket}"')
    bounds = (0.1, 0.25, 0.5, 1.0, 5.0, 10.0)
    block = Block(
        ("operation",),
        [("charge",), ("other",)],
        [500.0, 7_000.0],
        [[100, 150, 250, 500, 0, 0, 0], [0, 0, 0, 0, 0, 1_000, 0]],
    )
    family = MetricFamily("operation.duration", "histogram", "s", "", [block], bounds)
    exporter = into_bucket(influxdb2)
    for payload in payloads(exporter, [family]):
        assert send(exporter, payload) == Ack(2)
    exporter.close(time.monotonic() + 1)
    with influxdb2.client() as client:
        tables = client.query_api().query(query)
    found = {row["operation"]: row["_value"] for it in tables for row in it.records}
    assert found == {"charge": pytest.approx(0.99), "other": pytest.approx(9.95)}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:20])
def test_influxdb2_takes_every_hostile_text(influxdb2: InfluxDB2, text: str) -> None:
    exporter = into_bucket(influxdb2)
    for payload in payloads(exporter, families_named(text)):
        assert send(exporter, payload) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)


@HYPOTHESIS
@given(st.lists(families(), min_size=1, max_size=3))
def test_influxdb2_takes_whatever_hypothesis_finds(
    influxdb2: InfluxDB2, some: list[MetricFamily]
) -> None:
    exporter = into_bucket(influxdb2)
    for payload in payloads(exporter, some):
        assert send(exporter, payload) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)


def test_influxdb2_reads_what_our_reader_reads(influxdb2: InfluxDB2) -> None:
    texts = [text for text in TEXTS if text and len(text) < 1_000]
    rows = {(text, f"{n}"): n + 0.5 for n, text in enumerate(texts)}
    family = MetricFamily.of("read back", "gauge", rows, label_names=("a b", "n"))
    exporter = into_bucket(influxdb2)
    (payload,) = payloads(exporter, [family])
    assert send(exporter, payload) == Ack(len(texts))
    exporter.close(time.monotonic() + 1)
    found = influxdb2.fields("read back")
    wanted = [(line.tags, line.fields["value"]) for line in read(payload.body)]
    assert sorted(((it.tags, it.value) for it in found), key=str) == sorted(
        wanted, key=str
    )


def test_influxdb2_says_which_points_it_refused(influxdb2: InfluxDB2) -> None:
    exporter = into_bucket(influxdb2)
    now = time.time_ns()
    good = Payload(b"typed v=1 %d\nother v=1 %d" % (now, now), 2)
    assert send(exporter, good) == Ack(2)
    lines = [b"typed v=%di %d" % (n, now + n) for n in range(1, 4)]
    mixed = Payload(b"\n".join([*lines, b"other v=2 %d" % (now + 1)]), 4)
    assert send(exporter, mixed) == Ack(1, {"partial_write": 3})
    exporter.close(time.monotonic() + 1)
    assert len(influxdb2.fields("other")) == 2


@pytest.mark.parametrize(
    ("changed", "status", "hint"),
    [
        ({"token": "wrong"}, 401, "Check token=."),
        ({"token": None}, 401, "Give token=, or username= and password=."),
        (
            {"bucket": "none"},
            404,
            "Check the url, and that there is bucket='none', org='rig'; before 1.8, give "
            "database= instead.",
        ),
        (
            {"org": "none"},
            404,
            "Check the url, and that there is bucket='rig', org='none'; before 1.8, give "
            "database= instead.",
        ),
    ],
)
def test_influxdb2_refuses_with_a_text_that_helps(
    influxdb2: InfluxDB2, changed: dict[str, Any], status: int, hint: str
) -> None:
    error = refusal(into_bucket(influxdb2, **changed))
    assert (error.retryable, error.sent) == (False, False)
    assert error.reason == f"http_{status}"
    assert str(error).endswith(f" {hint}")
    assert "wrong" not in str(error)


def test_a_token_that_may_only_read_is_refused(influxdb2: InfluxDB2) -> None:
    token = influxdb2.make_token("read")
    error = refusal(into_bucket(influxdb2, token=token))
    assert error.reason == "http_403"
    assert str(error).endswith(
        "Check that who writes may write to bucket='rig', org='rig'."
    )
