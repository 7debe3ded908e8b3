"""Spans as Zipkin's v2 JSON."""

from pathlib import Path

import pytest

from obs.model import Resource, Scope, SpanEvent, SpanLink, TraceContext
from obs_exporters.zipkin import _text
from obs_exporters.zipkin._spans import encode_spans
from tests.exporters.zipkin.records import (
    AT,
    MS,
    TRACE,
    batch,
    read_back,
    record,
    whole_trace,
)

GOLDEN = Path(__file__).parent / "golden" / "trace.json"
MIB = 1024 * 1024


def spans_of(*records, **how):
    (payload,) = encode_spans(batch(*records, **how), MIB)
    return read_back(payload.body)


def span_of(**fields):
    (span,) = spans_of(record(**fields))
    return span


def tags_of(**fields):
    return span_of(**fields)["tags"]


@pytest.mark.parametrize("fast", [True, False])
def test_a_whole_trace_is_these_bytes_with_and_without_orjson(monkeypatch, fast):
    if fast:
        assert _text.fast_dumps() is not None
    else:
        monkeypatch.setattr(_text, "fast_dumps", lambda: None)
    (payload,) = encode_spans(batch(*whole_trace()), MIB)
    assert payload.records == 5
    assert payload.dropped == {}
    assert read_back(payload.body)
    assert payload.body == GOLDEN.read_bytes()


def test_ids_are_lower_case_hexadecimal_of_full_length():
    span = span_of(span=0xAB, trace=0xCD, parent=0xEF)
    assert span["id"] == "00000000000000ab"
    assert span["traceId"] == "000000000000000000000000000000cd"
    assert span["parentId"] == "00000000000000ef"
    assert "parentId" not in span_of(parent=0)


def test_an_internal_span_has_no_kind():
    assert "kind" not in span_of(kind="internal")
    assert "kind" not in span_of(kind="nonsense")
    assert span_of(kind="producer")["kind"] == "PRODUCER"


def test_times_are_whole_microseconds():
    span = span_of(start_ns=AT, end_ns=AT + 1_234)
    assert span["timestamp"] == AT // 1_000
    assert span["duration"] == 1


@pytest.mark.parametrize("end", [AT, AT - 5, AT + 999])
def test_a_duration_is_at_least_a_microsecond(end):
    assert span_of(end_ns=end)["duration"] == 1


def test_times_that_no_long_holds_are_cut():
    span = span_of(start_ns=1 << 90, end_ns=1 << 100)
    assert span["timestamp"] == span["duration"] == (1 << 63) - 1
    assert span_of(start_ns=0)["timestamp"] == 1


def test_the_service_is_the_local_endpoint_and_the_rest_of_the_resource_tags():
    (span,) = spans_of(
        record(attributes={"host.name": "mine"}),
        resource=Resource({"service.name": "a", "host.name": "h", "process.pid": "7"}),
        scope=Scope("lib"),
    )
    assert span["localEndpoint"] == {"serviceName": "a"}
    assert span["tags"] == {
        "host.name": "mine",
        "process.pid": "7",
        "otel.scope.name": "lib",
    }
    (span,) = spans_of(record(), resource=Resource({}))
    assert span["localEndpoint"] == {"serviceName": "unknown_service"}


def test_the_remote_endpoint_is_that_of_who_calls():
    called = {"peer.service": "stock"}
    for kind in ("client", "producer"):
        span = span_of(kind=kind, attributes=called)
        assert span["remoteEndpoint"] == {"serviceName": "stock"}
        assert span["tags"]["peer.service"] == "stock"
    for kind in ("server", "consumer", "internal"):
        assert "remoteEndpoint" not in span_of(kind=kind, attributes=called)
    assert "remoteEndpoint" not in span_of(kind="client", attributes={})


def test_a_server_span_with_the_id_of_its_parent_is_shared():
    span = span_of(span=7, parent=7, kind="server", remote_parent=True)
    assert span["shared"] is True
    assert "parentId" not in span
    for kind in ("client", "internal", "consumer"):
        span = span_of(span=7, parent=7, kind=kind)
        assert "shared" not in span
        assert "parentId" not in span
    assert "shared" not in span_of(span=7, parent=8, kind="server")


def test_a_debug_trace_says_so():
    context = TraceContext(TRACE, 1, sampled=True, debug=True)
    assert span_of(context=context)["debug"] is True
    assert "debug" not in span_of()


def test_attributes_are_tags_and_every_value_is_text():
    tags = tags_of(
        attributes={
            "yes": True,
            "int": -(1 << 80),
            "float": 1.5,
            "nan": float("nan"),
            "none": None,
            "list": [1, True, None, "é", float("inf")],
            "dict": {"a": {"b": 2}, 5: 1},
            7: "odd name",
        }
    )
    assert tags["yes"] == "true"
    assert tags["int"] == str(-(1 << 80))
    assert tags["float"] == "1.5"
    assert tags["nan"] == "nan"
    assert tags["none"] == ""
    assert tags["list"] == '[1,true,null,"é",null]'
    assert tags["dict"] == '{"a":{"b":2},"5":1}'
    assert tags["7"] == "odd name"


def test_an_error_has_the_tag_that_zipkin_looks_for():
    tags = tags_of(status="error", status_message="no", error_type="ValueError")
    assert tags["error"] == "no"
    assert tags["otel.status_code"] == "ERROR"
    assert tags["error.type"] == "ValueError"
    assert tags_of(status="error")["error"] == ""
    tags = tags_of(error_type="A", attributes={"error.type": "B"})
    assert tags["error.type"] == "B"


def test_an_outcome_that_the_status_does_not_say_is_a_tag():
    assert tags_of(outcome="cancelled")["obs.outcome"] == "cancelled"
    assert "obs.outcome" not in tags_of(outcome="error")
    assert "obs.outcome" not in tags_of()


@pytest.mark.parametrize("value", [False, "false", True, "yes"])
def test_what_is_no_error_has_no_such_tag(value):
    assert "error" not in tags_of(attributes={"error": value})
    tags = tags_of(status="ok", attributes={"error": value})
    assert "error" not in tags
    assert tags["otel.status_code"] == "OK"
    assert "otel.status_code" not in tags_of()


def test_events_are_annotations_with_their_attributes_as_json():
    events = [
        SpanEvent("plain", AT + MS),
        SpanEvent('q"\n', AT + 2 * MS + 200, {"a": 1, "b": [True], "c": "x\u2028"}),
    ]
    assert span_of(events=events)["annotations"] == [
        {"timestamp": (AT + MS) // 1_000, "value": "plain"},
        {
            "timestamp": (AT + 2 * MS) // 1_000,
            "value": r'"q\"\n": {"a":1,"b":[true],"c":"x\n"}',
        },
    ]
    assert "annotations" not in span_of(events=[])


@pytest.mark.parametrize("at", [0, -5])
def test_an_event_without_time_or_name_is_mended(at):
    span = span_of(events=[SpanEvent("", at)])
    assert span["annotations"] == [{"timestamp": AT // 1_000, "value": "event"}]


def test_links_are_tags_as_the_collector_writes_them():
    links = [
        SpanLink(TraceContext(0xA, 0xB)),
        SpanLink(TraceContext(0xC, 0xD, tracestate="k=v"), {"n": 1}),
    ]
    tags = tags_of(links=links)
    assert tags["otlp.link.0"] == f"{'a':0>32}|{'b':0>16}||{{}}|0"
    assert tags["otlp.link.1"] == f'{"c":0>32}|{"d":0>16}|k=v|{{"n":1}}|0'


def test_dropped_counts_are_tags_where_they_are_not_zero():
    tags = tags_of(dropped={"attributes": 2, "events": 0, "links": 1})
    assert tags["otel.dropped_attributes_count"] == "2"
    assert tags["otel.dropped_links_count"] == "1"
    assert "otel.dropped_events_count" not in tags


def test_a_line_separator_that_spoils_zipkins_answers_is_a_newline():
    tags = tags_of(attributes={"é\u2028": "\u2029é", "l": ["\u2028"]})
    assert tags["é\n"] == "\né"
    assert tags["l"] == r'["\n"]'


@pytest.mark.parametrize("fast", [True, False])
def test_a_lone_surrogate_spoils_nothing(monkeypatch, fast):
    if not fast:
        monkeypatch.setattr(_text, "fast_dumps", lambda: None)
    spans = spans_of(
        record(name="a\ud800b", attributes={"\udfff": ["é\ud900"]}), record()
    )
    assert spans[0]["name"] == "a?b"
    assert spans[0]["tags"]["?"] == '["é?"]'
    assert spans[1]["name"] == "GET /pay"


@pytest.mark.parametrize(
    "bad",
    [
        record(context=TraceContext(0, 5)),
        record(context=TraceContext(5, 0)),
        record(context=TraceContext(1 << 128, 5)),
        record(context=TraceContext(5, 1 << 64)),
        record(context=TraceContext(-1, 5)),
        record(context=None),
        record(start_ns="soon"),
        record(attributes=None),
        None,
    ],
)
def test_what_cannot_be_mended_is_left_out_and_counted(bad):
    (payload,) = encode_spans(batch(record(1), bad, record(2)), MIB)
    assert [span["id"][-1] for span in read_back(payload.body)] == ["1", "2"]
    assert payload.records == 2
    assert payload.dropped == {"invalid": 1}
    (payload,) = encode_spans(batch(bad), MIB)
    assert payload == (b"[]", 0, {"invalid": 1}, 0)


def test_a_ctrl_c_goes_on_to_the_host():
    class Interrupting(dict):
        def items(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spans_of(record(attributes=Interrupting()))


def test_a_batch_is_divided_in_order_and_no_list_is_too_large():
    bad = record(context=TraceContext(0, 0))
    records = [record(i, name="x" * (i % 7 * 40)) for i in range(1, 60)]
    records[20:20] = [bad, bad]
    payloads = list(encode_spans(batch(*records), 1_000))
    assert len(payloads) > 5
    assert all(len(payload.body) <= 1_000 for payload in payloads)
    ids = [span["id"] for payload in payloads for span in read_back(payload.body)]
    assert ids == [f"{i:016x}" for i in range(1, 60)]
    seen = 0
    for payload in payloads:  # each stands for the next of them
        size = payload.records + sum(payload.dropped.values())
        mine = [r.span_id for r in records[seen : seen + size] if r is not bad]
        assert [span["id"] for span in read_back(payload.body)] == mine
        seen += size
    assert seen == len(records)


def test_a_list_fills_its_bytes_to_the_last():
    pair = [record(1), record(2)]
    (payload,) = encode_spans(batch(*pair), MIB)
    size = len(payload.body)
    assert len(list(encode_spans(batch(*pair), size))) == 1
    assert len(list(encode_spans(batch(*pair), size - 1))) == 2


def test_a_span_that_is_larger_stands_alone():
    records = [record(1), record(2, name="x" * 2_000), record(3)]
    payloads = list(encode_spans(batch(*records), 1_000))
    assert [payload.records for payload in payloads] == [1, 1, 1]


def test_no_records_give_no_payload():
    assert list(encode_spans(batch(), MIB)) == []
