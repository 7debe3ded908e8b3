"""Spans for the tests, and what Zipkin refuses or changes, said once more."""

import json
import re
from ipaddress import IPv4Address, IPv6Address

from obs.model import (
    Batch,
    Resource,
    Scope,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)

TRACE = 0x463AC35C9F6413AD48485A3953BB6124
AT = 1_700_000_000_123_456_789
MS = 1_000_000
RESOURCE = Resource({"service.name": "checkout", "host.name": "node-1"})
SCOPE = Scope("obs", "1.2")


def record(span=0xB7, *, trace=TRACE, name="GET /pay", **fields):
    """Give a span of 1.5 ms."""
    fields = {"start_ns": AT, "end_ns": AT + 1_500_000} | fields
    context = fields.pop("context", TraceContext(trace, span, sampled=True))
    return SpanRecord(name, context, **fields)


def batch(*records, resource=RESOURCE, scope=SCOPE):
    return Batch("traces", resource, scope, records)


def whole_trace(trace=TRACE):
    """Give a trace with a span of every kind, an error, events and links."""
    other = TraceContext(0xABC << 100 | 5, 0xDEF, tracestate="a=b")
    return [
        record(
            1,
            trace=trace,
            kind="server",
            parent=0xFFFF_0000_0000_0001,
            remote_parent=True,
            attributes={"http.route": "/pay", "ok": True, "n": 5, "share": 0.25},
        ),
        record(
            2,
            trace=trace,
            name="charge",
            kind="client",
            parent=1,
            attributes={"server.address": "psp.example", "server.port": 443},
            status="error",
            status_message="card refused",
            outcome="error",
            error_type="CardRefused",
            events=[
                SpanEvent("retry", AT + MS),
                SpanEvent("exception", AT + MS + 9_999, {"exception.type": "x.Y"}),
            ],
        ),
        record(
            3,
            trace=trace,
            name="orders send",
            kind="producer",
            parent=1,
            attributes={"network.peer.address": "10.0.0.7", "network.peer.port": 5672},
            links=[SpanLink(other, {"why": "batch"})],
            dropped={"attributes": 2, "events": 1, "links": 3},
        ),
        record(
            4,
            trace=trace,
            name="orders process",
            kind="consumer",
            parent=3,
            status="ok",
        ),
        record(
            5,
            trace=trace,
            name="compute",
            parent=4,
            attributes={"rows": [1, "b", None], "more": {"a": {"b": True}}},
            end_ns=AT,
        ),
    ]


_KEYS = {
    "traceId",
    "id",
    "parentId",
    "kind",
    "name",
    "timestamp",
    "duration",
    "localEndpoint",
    "remoteEndpoint",
    "annotations",
    "tags",
    "debug",
    "shared",
}


def read_back(body):
    """Read a body as strictly as Zipkin reads it, and check that it changes nothing."""
    text = body.decode()  # raises where it is not UTF-8
    spans = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    assert type(spans) is list
    for span in spans:
        check_span(span)
    assert "\u2028" not in text
    assert "\u2029" not in text
    return spans


def check_span(span):
    assert span.keys() <= _KEYS
    _check_id(span["traceId"], 32)
    _check_id(span["id"], 16)
    if "parentId" in span:
        _check_id(span["parentId"], 16)
        assert span["parentId"] != span["id"]
    assert span.get("kind", "CLIENT") in {"CLIENT", "SERVER", "PRODUCER", "CONSUMER"}
    assert type(span["name"]) is str
    _check_number(span["timestamp"])
    _check_number(span["duration"])
    assert span["localEndpoint"]["serviceName"]
    for key in ("localEndpoint", "remoteEndpoint"):
        _check_endpoint(span.get(key, {"serviceName": "x"}))
    for annotation in span.get("annotations", []):
        assert annotation.keys() == {"timestamp", "value"}
        _check_number(annotation["timestamp"])
        assert type(annotation["value"]) is str
        assert annotation["value"]
    assert all(type(text) is str for pair in span["tags"].items() for text in pair)
    assert span.get("debug", True) is True
    assert span.get("shared", True) is True


def _check_id(text, digits):
    assert re.fullmatch(r"[0-9a-f]+", text)
    assert len(text) == digits
    assert int(text, 16)


def _check_number(number):
    assert type(number) is int
    assert 1 <= number < 1 << 63


def _check_endpoint(endpoint):
    assert endpoint
    assert endpoint.keys() <= {"serviceName", "ipv4", "ipv6", "port"}
    assert endpoint.get("serviceName", "x")
    IPv4Address(endpoint.get("ipv4", "1.2.3.4"))
    assert "%" not in str(IPv6Address(endpoint.get("ipv6", "::1")))
    port = endpoint.get("port", 1)
    assert type(port) is int
    assert 1 <= port <= 65_535


def _refuse(constant):
    raise ValueError(constant)


def _unique(pairs):
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names)
    return dict(pairs)
