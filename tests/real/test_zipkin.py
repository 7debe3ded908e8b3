"""A real Zipkin takes what the exporter sends, and shows all of it."""

import json
import random
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obs.errors import ExportFailed
from obs.model import Ack, Payload, SpanEvent, SpanLink, TraceContext
from obs_exporters import ZipkinExporter
from tests.exporters.zipkin.records import (
    AT,
    batch,
    read_back,
    record,
    whole_trace,
)
from tests.exporters.zipkin.strategies import records, resources
from tests.real.servers import eventually


@pytest.fixture
def exporter(zipkin):
    exporter = ZipkinExporter(zipkin.url)
    yield exporter
    exporter.close(soon())


def soon():
    return monotonic() + 30


def new_trace():
    return random.SystemRandom().getrandbits(127) | 1 << 127


def send_all(exporter, given):
    """Send a batch and give its spans as Zipkin is to show them."""
    found = []
    for payload in exporter.encode(given):
        assert exporter.send(payload, soon()) == Ack(payload.records)
        found += read_back(payload.body)
    return [as_shown(span) for span in found]


def as_shown(span):
    """Give a span with lower-case names, all that Zipkin changes of ours."""
    shown = dict(span)
    for key in ("localEndpoint", "remoteEndpoint"):
        if "serviceName" in shown.get(key, {}):
            name = shown[key]["serviceName"].lower()
            shown[key] = shown[key] | {"serviceName": name}
    shown["name"] = shown["name"].lower()
    return shown


def arrived(zipkin, trace, count):
    """Give the spans of a trace, by id, once there are so many."""
    trace_id = f"{trace:032x}"
    spans = eventually(lambda: _if_so_many(zipkin.trace(trace_id), count))
    assert all(span["traceId"] == trace_id for span in spans)
    return {span["id"]: span for span in spans}


def _if_so_many(spans, count):
    assert len(spans) == count
    return spans


def test_a_trace_is_read_back_field_by_field(zipkin, exporter):
    trace = new_trace()
    sent = send_all(exporter, batch(*whole_trace(trace)))
    found = arrived(zipkin, trace, 5)
    assert [found[span["id"]] for span in sent] == sent
    server, client, producer, consumer, internal = [
        found[f"{n:016x}"] for n in range(1, 6)
    ]
    assert server["kind"] == "SERVER"
    assert server["parentId"] == "ffff000000000001"
    assert server["tags"]["n"] == "5"
    assert client["remoteEndpoint"] == {"serviceName": "psp.example"}
    assert client["tags"]["error"] == "card refused"
    assert [note["value"] for note in client["annotations"]] == [
        "retry",
        '"exception": {"exception.type":"x.Y"}',
    ]
    assert client["annotations"][0]["timestamp"] == (AT + 1_000_000) // 1_000
    assert producer["remoteEndpoint"] == {"ipv4": "10.0.0.7", "port": 5672}
    assert producer["tags"]["otlp.link.0"].startswith("0000abc0000")
    assert consumer["tags"]["otel.status_code"] == "OK"
    assert "kind" not in internal
    assert internal["tags"]["rows"] == '[1,"b",null]'
    assert internal["timestamp"] == AT // 1_000
    assert internal["duration"] == 1


def test_both_halves_of_a_shared_span_are_there(zipkin, exporter):
    trace = new_trace()
    halves = [
        record(7, trace=trace, kind="client", parent=1),
        record(7, trace=trace, kind="server", parent=7, remote_parent=True),
    ]
    client, server = send_all(exporter, batch(*halves))
    spans = eventually(lambda: _if_so_many(zipkin.trace(f"{trace:032x}"), 2))
    assert client in spans
    assert server in spans
    assert server["shared"] is True


def test_hostile_spans_are_mended_or_counted(zipkin, exporter):
    trace = new_trace()
    hostile = [
        record(1, trace=trace, attributes={"n": None, "f": float("nan"), "x": {}}),
        record(2, trace=trace, start_ns=-5, end_ns=-9),
        record(3, trace=trace, start_ns=1 << 90, end_ns=1 << 100),
        record(4, trace=trace, kind="INTERNAL", name=""),
        record(5, trace=trace, parent=5, context=TraceContext(trace, 5, debug=True)),
        record(6, trace=trace, events=[SpanEvent("", 0), SpanEvent("\0", -1)]),
        record(
            7, trace=trace, name="\u2028É", attributes={"é\u2029": "\u2028é\n\ud800"}
        ),
        record(
            8,
            trace=trace,
            kind="client",
            attributes={
                "network.peer.address": "fe80::1%eth0",
                "network.peer.port": 1 << 20,
            },
        ),
        record(9, trace=trace, attributes={f"k{n}": "\x01" * 4_096 for n in range(16)}),
        record(10, trace=trace, links=[SpanLink(TraceContext(), {"a": object})]),
    ]
    refused = [
        record(0, trace=trace),
        record(0xB, trace=0),
        record(1 << 64, trace=trace),
        None,
    ]
    (payload,) = exporter.encode(batch(*hostile, *refused))
    assert payload.dropped == {"invalid": 4}
    sent = send_all(exporter, batch(*hostile, *refused))
    found = arrived(zipkin, trace, len(hostile))
    for span in sent:
        assert found[span["id"]] == without_what_says_nothing(span)


def without_what_says_nothing(span):
    """Give a span without an empty name, and with its annotations as Zipkin sorts them."""
    shown = {key: value for key, value in span.items() if value != ""}
    if "annotations" in shown:
        shown["annotations"] = sorted(
            shown["annotations"], key=lambda note: (note["timestamp"], note["value"])
        )
    return shown


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(some=st.lists(records, min_size=1, max_size=8), resource=resources)
def test_whatever_a_span_holds_it_is_taken_and_shown(zipkin, some, resource):
    exporter = ZipkinExporter(zipkin.url)
    trace = new_trace()
    unique = [
        each._replace(context=each.context._replace(trace=trace, span=n))
        for n, each in enumerate(some, 1)
    ]
    sent = send_all(exporter, batch(*unique, resource=resource))
    exporter.close(soon())
    found = arrived(zipkin, trace, len(sent))
    assert found.keys() == {span["id"] for span in sent}
    for span in sent:
        assert found[span["id"]]["tags"] == span["tags"]


def test_no_character_of_a_long_list_is_damaged(zipkin, exporter):
    trace = new_trace()
    many = [record(n, trace=trace, name="é中😀" * n) for n in range(1, 400)]
    sent = send_all(exporter, batch(*many))
    found = arrived(zipkin, trace, len(many))
    assert [found[span["id"]]["name"] for span in sent] == [each.name for each in many]


def test_a_full_list_goes_out_gzipped(zipkin, exporter):
    trace = new_trace()
    many = [
        record(n, trace=trace, attributes={"x": f"{n:x<300}"}) for n in range(1, 4_001)
    ]
    payloads = list(exporter.encode(batch(*many)))
    assert len(payloads) > 1
    send_all(exporter, batch(*many))
    assert len(arrived(zipkin, trace, 4_000)) == 4_000


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ({"traceId": "00", "id": "01"}, "traceId is all zeros"),
        ({"traceId": "0a", "id": "01", "tags": {"a": None}}, "No value at $[0].tags.a"),
    ],
)
def test_what_zipkin_refuses_is_given_up_with_its_reason(exporter, span, reason):
    body = json.dumps([span]).encode()
    with pytest.raises(ExportFailed) as error:
        exporter.send(Payload(body, 1), soon())
    assert reason in str(error.value)
    assert not error.value.retryable
    assert error.value.reason == "http_400"


def test_a_list_that_is_too_large_for_zipkin_is_given_up(exporter):
    body = b"[" + random.Random(1).randbytes(11_000_000).hex().encode() + b"]"
    with pytest.raises(ExportFailed) as error:
        exporter.send(Payload(body, 1), soon())
    assert not error.value.retryable
    assert error.value.reason == "http_500"
