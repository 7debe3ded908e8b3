"""The rig itself works: each server gives back what an independent client sent it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import prometheus_client
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from tests.real.receivers import Collector, Jaeger, Received, Zipkin, plain
from tests.real.servers import (
    HOST,
    Prometheus,
    Prometheus2,
    Prometheus3,
    Promtool,
    Server,
    TextFormat,
    eventually,
    free_port,
    http_call,
)

BOTH_FORMATS: tuple[TextFormat, ...] = ("text", "openmetrics")

SLOW_JAEGER = pytest.param("jaeger", marks=pytest.mark.slow)

ATTRIBUTES = [
    {"key": "text", "value": {"stringValue": "\u00e9"}},
    {"key": "int", "value": {"intValue": "9007199254740993"}},
    {"key": "float", "value": {"doubleValue": 1.5}},
    {"key": "bool", "value": {"boolValue": True}},
    {"key": "bytes", "value": {"bytesValue": "AP8="}},
    {
        "key": "list",
        "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}},
    },
    {
        "key": "map",
        "value": {
            "kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}
        },
    },
]
PLAIN = {
    "text": "\u00e9",
    "int": 9007199254740993,
    "float": 1.5,
    "bool": True,
    "bytes": "AP8=",
    "list": [1, "b"],
    "map": {"k": True},
}


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A page of prometheus_client; its exemplar shows in OpenMetrics only."""
    registry = prometheus_client.CollectorRegistry()
    orders = prometheus_client.Counter(
        "rig_orders", "Orders.", ["channel"], registry=registry
    )
    orders.labels('a \\ "b"\n\u00e9').inc(3, exemplar={"trace_id": "abc"})
    seconds = prometheus_client.Histogram(
        "rig_seconds", "Seconds.", buckets=(0.1, 1.0), registry=registry
    )
    seconds.observe(0.25)
    server, thread = prometheus_client.start_http_server(0, HOST, registry)
    yield f"{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", params=[Prometheus2, Prometheus3])
def prometheus(request: pytest.FixtureRequest, target: str) -> Prometheus:
    """Each server, told to scrape the target in both formats."""
    name = request.param.program
    server: Prometheus = request.getfixturevalue(name)
    for text_format in BOTH_FORMATS:
        server.scrape(f"rig-{text_format}", target, text_format=text_format)
    server.scrape("rig-any", target)
    return server


@pytest.mark.parametrize("text_format", BOTH_FORMATS)
def test_values_and_labels_arrive_as_they_were_written(
    prometheus: Prometheus, text_format: TextFormat
) -> None:
    job = f"rig-{text_format}"
    prometheus.wait_up(job)
    (orders,) = prometheus.query(f'rig_orders_total{{job="{job}"}}')
    assert orders["metric"]["channel"] == 'a \\ "b"\n\u00e9'
    assert orders["value"][1] == "3"
    bucket = f'sum(rig_seconds_bucket{{job="{job}",le="%s"}})'
    assert prometheus.value(bucket % "0.1") == 0
    assert prometheus.value(bucket % "+Inf") == 1


@pytest.mark.parametrize(("text_format", "count"), [("text", 0), ("openmetrics", 1)])
def test_a_format_can_be_forced(
    prometheus: Prometheus, text_format: TextFormat, count: int
) -> None:
    job = f"rig-{text_format}"
    prometheus.wait_up(job)
    exemplars = prometheus.api(
        "query_exemplars",
        query=f'rig_orders_total{{job="{job}"}}',
        start="1",
        end="9999999999",
    )
    assert len(exemplars) == count


def test_left_alone_both_servers_choose_openmetrics(prometheus: Prometheus) -> None:
    prometheus.wait_up("rig-any")
    exemplars = prometheus.api(
        "query_exemplars", query='{job="rig-any"}', start="1", end="9999999999"
    )
    assert len(exemplars) == 1


def test_a_failed_scrape_gives_its_reason(prometheus: Prometheus) -> None:
    prometheus.scrape("rig-nobody", f"{HOST}:{free_port()}")
    assert "refused" in prometheus.wait_refused("rig-nobody")
    prometheus.forget("rig-nobody")
    eventually(lambda: "rig-nobody" not in prometheus.targets())


def test_a_wrong_option_raises_and_leaves_the_server_usable(
    prometheus: Prometheus,
) -> None:
    with pytest.raises(RuntimeError, match="no_such_option"):
        prometheus.scrape("rig-wrong", f"{HOST}:1", no_such_option=1)
    prometheus.wait_up("rig-any")
    assert "rig-wrong" not in prometheus.targets()


def test_what_never_comes_is_said() -> None:
    with pytest.raises(AssertionError, match=r"after 0.1 s still \[\]"):
        eventually(list, 0.1)


@pytest.mark.parametrize("version", [2, 3])
def test_promtool_finds_faults(request: pytest.FixtureRequest, version: int) -> None:
    promtool: Promtool = request.getfixturevalue(f"promtool{version}")
    good = b"# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
    assert promtool.check_metrics(good) == []
    (fault,) = promtool.check_metrics(good.replace(b"a_total", b"a"))
    assert "counter" in fault
    assert promtool.check_metrics(b"}{")


@pytest.mark.parametrize(
    "name",
    [
        "prometheus2",
        "prometheus3",
        "collector",
        "zipkin",
        "rsyslogd",
        "statsd",
        "statsd_exporter",
        "carbon",
        "graphite_web",
        "influxdb1",
        "influxdb2",
        "victoriametrics",
        "pushgateway",
        "node_exporter",
        SLOW_JAEGER,
    ],
)
def test_a_server_listens_on_this_machine_only(
    request: pytest.FixtureRequest, name: str
) -> None:
    server: Server = request.getfixturevalue(name)
    assert server.listens_on() == {HOST}


def test_prometheus_takes_otlp(prometheus3: Prometheus3) -> None:
    job = "rig-otlp"
    point = {
        "asInt": "3",
        "timeUnixNano": str(time.time_ns()),
        "attributes": [{"key": "a.b", "value": {"stringValue": "x"}}],
    }
    metric = {
        "name": "rig.pushed",
        "unit": "By",
        "sum": {
            "dataPoints": [point],
            "isMonotonic": True,
            "aggregationTemporality": 2,
        },
    }
    _post(f"{prometheus3.otlp_url}/v1/metrics", _otlp("Metrics", job, metric))
    query = f'rig_pushed_bytes_total{{job="{job}"}}'
    (series,) = eventually(lambda: prometheus3.query(query))
    assert series["metric"]["a_b"] == "x"
    assert series["value"][1] == "3"


def test_the_collector_writes_spans_as_they_were_sent(collector: Collector) -> None:
    span = _span()
    _post(f"{collector.http_url}/v1/traces", _otlp("Spans", "rig-spans", span))
    got = _only(collector, "spans", "rig-spans")
    assert got.resource == {"service.name": "rig-spans"}
    assert got.scope == {"name": "scope", "version": "1"}
    assert got.record == span
    assert plain(got.record["attributes"]) == PLAIN


def test_the_collector_writes_metrics_as_they_were_sent(collector: Collector) -> None:
    point = {
        "startTimeUnixNano": "1",
        "timeUnixNano": "2",
        "count": "3",
        "sum": 1.5,
        "bucketCounts": ["1", "2"],
        "explicitBounds": [0.5],
        "attributes": ATTRIBUTES,
    }
    metric = {
        "name": "rig.size",
        "unit": "By",
        "description": "Sizes.",
        "histogram": {"dataPoints": [point], "aggregationTemporality": 2},
    }
    _post(f"{collector.http_url}/v1/metrics", _otlp("Metrics", "rig-metrics", metric))
    got = _only(collector, "metrics", "rig-metrics")
    assert got == ({"service.name": "rig-metrics"}, got.scope, metric)


def test_the_collector_writes_logs_as_they_were_sent(collector: Collector) -> None:
    record = {
        "timeUnixNano": "1",
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": "order.received"},
        "attributes": ATTRIBUTES,
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
    }
    _post(f"{collector.http_url}/v1/logs", _otlp("Logs", "rig-logs", record))
    got = _only(collector, "logs", "rig-logs")
    assert got == ({"service.name": "rig-logs"}, got.scope, record)


def test_the_collector_takes_grpc(collector: Collector) -> None:
    trace_id, span_id = _send_by_grpc(collector.grpc_address, "rig-grpc")
    got = _only(collector, "spans", "rig-grpc")
    assert (got.record["traceId"], got.record["spanId"]) == (trace_id, span_id)
    _check_sent_by_grpc(got)


def test_a_half_written_line_is_left_for_later() -> None:
    collector = Collector()
    line = _otlp("Spans", "rig-half", _span())
    collector._output.write_bytes(line + b"\n" + line[:-1])
    assert len(collector.spans()) == 1
    collector.stop()


def test_zipkin_gives_back_a_trace(zipkin: Zipkin) -> None:
    now = time.time_ns() // 1000
    span = {
        "traceId": secrets.token_hex(16),
        "id": secrets.token_hex(8),
        "parentId": secrets.token_hex(8),
        "kind": "CLIENT",
        "name": "charge",
        "timestamp": now,
        "duration": 1500,
        "localEndpoint": {"serviceName": "rig", "ipv4": "10.0.0.1"},
        "remoteEndpoint": {"serviceName": "psp", "port": 443},
        "annotations": [{"timestamp": now + 1, "value": "retry"}],
        "tags": {"psp.name": "\u00e9"},
    }
    counter = "counter.zipkin_collector.spans.http"
    before = zipkin.metrics()[counter]
    _post(zipkin.url, json.dumps([span]).encode(), 202)
    assert eventually(lambda: zipkin.trace(span["traceId"])) == [span]
    assert zipkin.metrics()[counter] == before + 1


def test_zipkin_knows_no_other_trace(zipkin: Zipkin) -> None:
    assert zipkin.trace(secrets.token_hex(16)) == []


@pytest.mark.slow
def test_jaeger_gives_back_a_trace(jaeger: Jaeger) -> None:
    span = _span()
    _post(f"{jaeger.http_url}/v1/traces", _otlp("Spans", "rig-jaeger", span))
    (got,) = eventually(lambda: jaeger.trace(span["traceId"]))
    assert got.resource == {"service.name": "rig-jaeger"}
    assert got.scope == {"name": "scope", "version": "1"}
    assert got.record == span


@pytest.mark.slow
def test_jaeger_takes_grpc(jaeger: Jaeger) -> None:
    trace_id, span_id = _send_by_grpc(jaeger.grpc_address, "rig-jaeger-grpc")
    (got,) = eventually(lambda: jaeger.trace(trace_id))
    assert got.record["spanId"] == span_id
    _check_sent_by_grpc(got)


@pytest.mark.slow
def test_jaeger_knows_no_other_trace(jaeger: Jaeger) -> None:
    assert jaeger.trace(secrets.token_hex(16)) == []


def _post(url: str, body: bytes, expected: int = 200) -> None:
    parts = urlsplit(url)
    assert parts.port is not None
    status, answer = http_call("POST", parts.port, parts.path, body)
    assert status == expected, answer


def _otlp(signal: str, service: str, record: dict[str, Any]) -> bytes:
    """Return an OTLP JSON request of one record."""
    records = {"Spans": "spans", "Metrics": "metrics", "Logs": "logRecords"}[signal]
    name = {"key": "service.name", "value": {"stringValue": service}}
    scope = {"scope": {"name": "scope", "version": "1"}, records: [record]}
    resource = {"resource": {"attributes": [name]}, f"scope{signal}": [scope]}
    return json.dumps({f"resource{signal}": [resource]}).encode()


def _span() -> dict[str, Any]:
    now = time.time_ns()
    trace_id = secrets.token_hex(16)
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "parentSpanId": secrets.token_hex(8),
        "traceState": "a=b",
        "flags": 0x101,
        "name": "Charge",
        "kind": 3,
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1_000_001),
        "attributes": ATTRIBUTES,
        "events": [{"timeUnixNano": str(now + 1), "name": "retry"}],
        "links": [{"traceId": trace_id, "spanId": secrets.token_hex(8)}],
        "status": {"code": 2, "message": "refused"},
    }


def _only(collector: Collector, signal: str, service: str) -> Received:
    def mine() -> Iterable[Received]:
        everything: list[Received] = getattr(collector, signal)()
        return [
            one for one in everything if one.resource.get("service.name") == service
        ]

    (found,) = eventually(mine)
    return found


def _send_by_grpc(address: str, service: str) -> tuple[str, str]:
    """Send one span by OpenTelemetry's own exporter; return its ids."""
    exporter = OTLPSpanExporter(endpoint=address, insecure=True)
    provider = TracerProvider(
        resource=Resource({"service.name": service}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("scope", "1").start_span(
        "Charge", kind=SpanKind.SERVER, attributes={"i": 42, "l": ["a", "b"]}
    )
    span.set_status(StatusCode.ERROR, "refused")
    span.end()
    provider.shutdown()
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def _check_sent_by_grpc(got: Received) -> None:
    assert (got.scope["name"], got.scope["version"]) == ("scope", "1")
    assert (got.record["name"], got.record["kind"]) == ("Charge", 2)
    assert got.record["status"] == {"code": 2, "message": "refused"}
    assert plain(got.record["attributes"]) == {"i": 42, "l": ["a", "b"]}
