"""What is sent to each server that takes InfluxDB's lines, and what it has to keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from obs.errors import ExportFailed
from obs.metrics import Registry
from obs.model import Ack, Batch, MetricFamily, Payload, Resource
from obs_exporters import InfluxDBExporter

BOUNDS = (0.005, 0.1, 1.0)
BUCKETS = {"0.005": 1, "0.1": 1, "1": 3, "+Inf": 4}
ORDERS = {"web": 5.0, 'a b,c=d"é😀': 2.5, "ends/": 1.0}
HYPOTHESIS = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


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


def payloads(exporter: InfluxDBExporter, some: list[MetricFamily]) -> list[Payload]:
    batch = Batch("metrics", Resource({}), families=some, time_ns=time.time_ns())
    return [payload for payload in exporter.encode(batch) if payload.records]


def send(exporter: InfluxDBExporter, payload: Payload) -> Ack:
    return exporter.send(payload, time.monotonic() + 10)


def refusal(exporter: InfluxDBExporter) -> ExportFailed:
    (payload,) = payloads(exporter, [MetricFamily.of("rig.refused", "gauge", 1)])
    try:
        with pytest.raises(ExportFailed) as error:
            send(exporter, payload)
    finally:
        exporter.close(time.monotonic() + 1)
    return error.value
