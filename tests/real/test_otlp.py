"""What a service records arrives in a real OpenTelemetry Collector, field by field."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from time import monotonic
from uuid import uuid4

import pytest

from obs import Limits, Obs
from obs.model import Batch, LogRecord, Resource, Scope
from obs_exporters import OTLPExporter
from tests.real.receivers import plain
from tests.real.servers import eventually

WAYS = ("http", "http+gzip", "grpc", "grpc+gzip")


def exporter_to(collector, way, **more):
    protocol, _, packing = way.partition("+")
    is_grpc = protocol == "grpc"
    url = f"http://{collector.grpc_address}" if is_grpc else collector.http_url
    return OTLPExporter(
        url,
        protocol="grpc" if is_grpc else "http/protobuf",
        compression=packing or None,
        **more,
    )


def mine(received, service):
    return [it for it in received if it.resource.get("service.name") == service]


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def service():
    return f"service-{uuid4().hex[:12]}"


@pytest.fixture
def tel(collector, way, service):
    tel = Obs(
        service,
        version="1.4.2",
        environment="test",
        resource={"team": "pay"},
        exporters=[exporter_to(collector, way)],
        runtime=False,
        limits=Limits(series_per_block=3),
    )
    with tel.start():
        yield tel


def arrived(tel, read, service, count):
    """Flush, and give what the Collector has of this service."""
    result = tel.flush(10.0)
    assert (result.pending, result.lost) == (0, 0)
    return eventually(
        lambda: len(mine(read(), service)) >= count and mine(read(), service)
    )


def test_a_trace(tel, collector, service):
    upstream = tel.extract(
        {
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            "tracestate": "vendor=abc",
        }
    )
    with tel.use(upstream), tel.span("GET /orders", kind="server") as server:
        values = {
            "i": 42,
            "f": 1.5,
            "b": True,
            "u": "é",
            "list": ["a", 1],
            "map": {"k": [1]},
        }
        server.set(values)
        server.event("cache.miss", key="k")
        with tel.span("SELECT", kind="client", links=[server.context]) as client:
            client.fail(ValueError("boom"))
    spans = {it.record["name"]: it for it in arrived(tel, collector.spans, service, 2)}
    one = spans["GET /orders"]
    assert one.resource["service.version"] == "1.4.2"
    assert one.resource["deployment.environment.name"] == "test"
    assert one.resource["team"] == "pay"
    assert re.fullmatch(r"[0-9a-f-]{36}", one.resource["service.instance.id"])
    assert one.scope["name"] == "obs"
    root = one.record
    assert root["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert root["parentSpanId"] == "b7ad6b7169203331"
    assert root["traceState"] == "vendor=abc"
    assert root["flags"] == 0x303, "sampled, random id, and a parent that is remote"
    assert root["kind"] == 2
    assert root.get("status", {}) == {}
    assert plain(root["attributes"]) == values
    (event,) = root["events"]
    assert (event["name"], plain(event["attributes"])) == ("cache.miss", {"key": "k"})
    assert int(root["startTimeUnixNano"]) <= int(event["timeUnixNano"])
    assert int(event["timeUnixNano"]) <= int(root["endTimeUnixNano"])
    child = spans["SELECT"].record
    assert child["parentSpanId"] == root["spanId"]
    assert child["flags"] == 0x103
    assert child["kind"] == 3
    assert child["status"] == {"code": 2, "message": "boom"}
    (link,) = child["links"]
    assert (link["traceId"], link["spanId"]) == (root["traceId"], root["spanId"])
    (failure,) = child["events"]
    assert failure["name"] == "exception"
    assert plain(failure["attributes"])["exception.type"] == "ValueError"


def test_every_kind_of_metric(tel, collector, service):
    tel.counter("orders.placed", "Placed.", unit="{order}", labels=("channel",))
    placed = tel.counter(
        "orders.placed", "Placed.", unit="{order}", labels=("channel",)
    )
    for channel, n in {"web": 3, "": 1, 'o"\n': 2, "more": 4, "past": 5}.items():
        placed.labels(channel).inc(n)
    tel.counter("ratio").inc(0.5)
    tel.gauge("room", unit="By").set(-2.5)
    tel.metrics.updown("open").dec(3)
    latency = tel.histogram("latency", unit="s", buckets=(0.1, 1.0))
    for value in (0.05, 0.5, 0.5, 7.0):
        latency.observe(value)
    tel.metrics.info("build", labels=("commit",)).set(commit="8f3c")
    received = arrived(tel, collector.metrics, service, 6)
    metrics = {it.record["name"]: it.record for it in received}
    counter = metrics["orders.placed"]
    assert (counter["description"], counter["unit"]) == ("Placed.", "{order}")
    assert counter["sum"]["isMonotonic"] is True
    assert counter["sum"]["aggregationTemporality"] == 2
    points = {
        tuple(plain(point.get("attributes")).items()): int(point["asInt"])
        for point in counter["sum"]["dataPoints"]
    }
    assert points == {
        (("channel", "web"),): 3,
        (("channel", ""),): 1,
        (("channel", 'o"\n'),): 2,
        (("otel.metric.overflow", "true"),): 9,
    }
    assert metrics["ratio"]["sum"]["dataPoints"][0]["asDouble"] == 0.5
    assert metrics["room"]["gauge"]["dataPoints"][0]["asDouble"] == -2.5
    updown = metrics["open"]["sum"]
    assert "isMonotonic" not in updown
    assert updown["dataPoints"][0]["asInt"] == "-3"
    (histogram,) = metrics["latency"]["histogram"]["dataPoints"]
    assert histogram["count"] == "4"
    assert histogram["sum"] == pytest.approx(8.05)
    assert histogram["explicitBounds"] == [0.1, 1.0]
    assert histogram["bucketCounts"] == ["1", "2", "1"]
    assert int(histogram["startTimeUnixNano"]) < int(histogram["timeUnixNano"])
    ((info,),) = [
        points["dataPoints"]
        for points in metrics["build"].values()
        if isinstance(points, dict)
    ]
    assert plain(info["attributes"]) == {"commit": "8f3c"}


def test_the_lanes_own_numbers_arrive_as_well(tel, collector, service):
    with tel.span("s"):
        pass
    assert tel.flush(10.0).lost == 0
    assert tel.flush(10.0).lost == 0

    def exported():
        """What the last push says."""
        found = {
            it.record["name"]: it.record for it in mine(collector.metrics(), service)
        }
        assert found["otel.sdk.exporter.operation.duration"]["histogram"]["dataPoints"]
        points = found["obs.exported"]["sum"]["dataPoints"]
        return {plain(it["attributes"])["signal"]: int(it["asInt"]) for it in points}

    assert eventually(lambda: exported()["traces"]) == 1


def test_log_records(collector, way, service):
    exporter = exporter_to(collector, way)
    fields = {"order_id": 7, "ratio": 0.5, "ok": True, "text": "é\n", "none": None}
    records = [
        LogRecord(
            1_700_000_000_000_000_001, "warning", "order.late", "orders", 10, 11, fields
        ),
        LogRecord(1_700_000_000_000_000_002, "trace", "outside"),
    ]
    batch = Batch("logs", Resource({"service.name": service}), Scope(), records)
    for payload in exporter.encode(batch):
        assert exporter.send(payload, monotonic() + 10).accepted == 2
    exporter.close(monotonic() + 1)
    received = eventually(
        lambda: (
            len(mine(collector.logs(), service)) == 2
            and mine(collector.logs(), service)
        )
    )
    late, outside = sorted(received, key=lambda it: it.record["timeUnixNano"])
    record = late.record
    assert record["timeUnixNano"] == "1700000000000000001"
    assert (record["severityNumber"], record["severityText"]) == (13, "warning")
    assert record["body"] == {"stringValue": "order.late"}
    assert (record["traceId"], record["spanId"]) == (f"{10:032x}", f"{11:016x}")
    found = plain(record["attributes"])
    assert {name: found[name] for name in ("order_id", "ratio", "ok", "text")} == {
        "order_id": 7,
        "ratio": 0.5,
        "ok": True,
        "text": "é\n",
    }
    assert "none" in found
    assert late.scope["name"] == "orders"
    assert (record["observedTimeUnixNano"]) == record["timeUnixNano"]
    assert outside.record["severityNumber"] == 1
    assert outside.scope["name"] == "obs"
    assert "traceId" not in outside.record
    assert "spanId" not in outside.record


def test_the_levels_of_log_records(collector, way, service):
    exporter = exporter_to(collector, way)
    levels = {
        "trace": 1,
        "debug": 5,
        "info": 9,
        "warning": 13,
        "error": 17,
        "critical": 21,
    }
    records = [LogRecord(1, level, level) for level in levels]
    batch = Batch("logs", Resource({"service.name": service}), Scope(), records)
    for payload in exporter.encode(batch):
        assert exporter.send(payload, monotonic() + 10).accepted == len(levels)
    exporter.close(monotonic() + 1)
    received = eventually(
        lambda: (
            len(mine(collector.logs(), service)) == len(levels)
            and mine(collector.logs(), service)
        )
    )
    found = {it.record["body"]["stringValue"]: it.record for it in received}
    assert {each: it["severityNumber"] for each, it in found.items()} == levels
    assert all(it["severityText"] == level for level, it in found.items())


def test_a_thousand_spans_arrive_once(tel, collector, service):
    for i in range(1_000):
        tel.span("s", i=i).end()
    spans = arrived(tel, collector.spans, service, 1_000)
    assert sorted(plain(it.record["attributes"])["i"] for it in spans) == list(
        range(1_000)
    )


def test_increases_add_up(collector, way, service):
    tel = Obs(
        service,
        exporters=[exporter_to(collector, way, temporality="delta")],
        runtime=False,
    )
    counter = tel.counter("c")
    with tel.start():
        for n in (1, 10, 100):
            counter.inc(n)
            assert tel.flush(10.0).delivered
    points = eventually(
        lambda: [
            point
            for it in mine(collector.metrics(), service)
            if it.record["name"] == "c"
            for point in it.record["sum"]["dataPoints"]
            if it.record["sum"]["aggregationTemporality"] == 1
        ]
    )
    assert sum(int(point["asInt"]) for point in points) == 111
    assert [int(point["asInt"]) for point in points][:3] == [1, 10, 100]


def test_a_prometheus_takes_metrics_by_its_own_receiver(prometheus3, service):
    exporter = OTLPExporter(prometheus3.otlp_url, signals=["metrics"])
    tel = Obs(service, exporters=[exporter], runtime=False)
    tel.counter("orders.placed", labels=("channel",)).labels("web").inc(7)
    tel.histogram("latency", unit="s", buckets=(0.1, 1.0)).observe(0.5)
    with tel.start():
        result = tel.flush(10.0)
        assert (result.delivered, result.lost) == (1, 0)
    placed = f'orders_placed_total{{job="{service}",channel="web"}}'
    assert eventually(lambda: prometheus3.value(placed)) == 7
    within = f'latency_seconds_bucket{{job="{service}",le="1"}}'
    assert eventually(lambda: prometheus3.value(within)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_jaeger_shows_the_trace(jaeger, protocol, service):
    tel = Obs(service, exporters=[exporter_to(jaeger, protocol)], runtime=False)
    with tel.start(), tel.span("GET /", kind="server") as root, tel.span("load"):
        pass
    spans = eventually(lambda: jaeger.trace(root.context.trace_id))
    found = {it.record["name"]: it.record for it in spans}
    assert found["load"]["parentSpanId"] == root.context.span_id
    assert {it.resource["service.name"] for it in spans} == {service}


def test_the_demo_is_one_trace_in_the_collector(collector):
    url = collector.http_url.replace("http:", "otlp:")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "obs.cli", "demo", "--metrics-port", "0"),
            *("--duration", "3", "--exporter", url, "--log-level", "info"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    (shown,) = re.findall(r"^trace ([0-9a-f]{32}), .* (\d+) spans?", done.stdout, re.M)
    services = ("shop", "orders")

    def traces():
        found = defaultdict(list)
        for it in collector.spans():
            if it.resource["service.name"] in services:
                found[it.record["traceId"]].append(it)
        return found

    # What the demo draws is there, whole.
    trace_id, count = shown
    eventually(lambda: len(traces()[trace_id]) == int(count))
    shown_again = subprocess.run(
        [
            *(sys.executable, "-m", "obs.cli", "trace", "show", "--trace", trace_id),
            str(collector.folder / "received.jsonl"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    drawn = done.stdout[done.stdout.index(f"trace {trace_id}") :].split("\n\n")[0]
    assert shown_again.rstrip() == drawn.rstrip()
    # A request that went all the way is one tree over both services and the queue.
    whole = [
        spans
        for spans in traces().values()
        if any(it.record["name"] == "Packing.pack" for it in spans)
    ]
    assert len(whole) > 3
    for spans in whole:
        assert {it.resource["service.name"] for it in spans} == set(services)
        ids = {it.record["spanId"] for it in spans}
        assert sum(it.record.get("parentSpanId") not in ids for it in spans) == 1
    names = {
        it.record["name"]
        for it in collector.metrics()
        if it.resource.get("service.name") == "shop"
    }
    assert {"shop.payments", "operation.duration", "process.memory.usage"} <= names
    ledger = re.findall(
        r"^(shop|orders) +otlp +(\w+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$",
        done.stdout,
        re.MULTILINE,
    )
    for _, _, delivered, *lost in ledger:
        assert int(delivered) > 0
        assert lost == ["0"] * 4
    assert len(ledger) == 6
    # Each line of its logs is there, too, with the ids of the span that it was made in.
    shown_logs = {
        (it["service"], it["event"], it.get("trace_id"), it.get("span_id"))
        for it in lines
    }
    its_traces = {trace for _, _, trace, _ in shown_logs}  # others run demos, too

    def sent_logs():
        return {
            (
                it.resource["service.name"],
                it.record["body"]["stringValue"],
                it.record["traceId"],
                it.record["spanId"],
            )
            for it in collector.logs()
            if it.record.get("traceId") in its_traces
        }

    eventually(lambda: sent_logs() == shown_logs)
    spans = {
        (it.record["traceId"], it.record["spanId"]): it.record["name"]
        for found in traces().values()
        for it in found
    }
    placed = [it for it in lines if it["event"] == "order.placed"]
    assert len(placed) > 3
    for it in placed:
        assert spans[it["trace_id"], it["span_id"]] == "POST /checkout"
