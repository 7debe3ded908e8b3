"""Spans, beside those that the SDK itself makes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import SpanKind

from obs.model import SpanEvent, SpanLink, TraceContext
from obs_exporters.otel._traces import convert
from tests.exporters.otel.records import (
    AT,
    PARENT,
    TRACE,
    batch,
    our_spans,
    record,
    sdk_spans,
)
from tests.exporters.zipkin.strategies import records


def spans_of(*some):
    data, n, left_out = convert(batch("traces", *some))
    assert len(data) == n
    assert n + left_out == len(some)
    return data


def span_of(**fields):
    (span,) = spans_of(record(**fields))
    return span


def test_they_are_what_the_sdk_makes_as_json_and_as_otlp():
    ours, theirs = spans_of(*our_spans()), sdk_spans()
    for mine, one in zip(ours, theirs, strict=True):
        assert json.loads(mine.to_json()) == json.loads(one.to_json())
    assert encode_spans(ours) == encode_spans(theirs)


def test_every_part_is_of_the_types_of_the_sdk():
    for mine, one in zip(spans_of(*our_spans()), sdk_spans(), strict=True):
        for name in (
            "context",
            "parent",
            "kind",
            "status",
            "resource",
            "instrumentation_scope",
        ):
            assert type(getattr(mine, name)) is type(getattr(one, name))
        assert mine.context == one.context
        assert mine.context.trace_state == one.context.trace_state
        assert mine.parent == one.parent
        assert mine.resource == one.resource
        assert mine.instrumentation_scope == one.instrumentation_scope
        for values in ("attributes", "events", "links"):
            kinds = [type(item) for item in getattr(one, values)]
            assert [type(item) for item in getattr(mine, values)] == kinds
        assert dict(mine.attributes) == dict(one.attributes)


@pytest.mark.parametrize("kind", SpanKind)
def test_every_kind_has_its_name(kind):
    assert span_of(kind=kind.name.lower()).kind is kind


def test_flags_say_sampled_and_random():
    for sampled, random, flags in [(1, 0, 1), (1, 1, 3), (0, 1, 2), (None, 0, 0)]:
        context = TraceContext(TRACE, 1, sampled=sampled, random=bool(random))
        assert span_of(context=context).context.trace_flags == flags


def test_a_parent_is_remote_where_it_is():
    assert span_of(parent=0).parent is None
    for remote in (True, False):
        parent = span_of(parent=PARENT, remote_parent=remote).parent
        assert parent.span_id == PARENT
        assert parent.trace_id == TRACE
        assert parent.is_remote is remote


def test_what_the_status_does_not_say_is_an_attribute():
    span = span_of(status="error", outcome="cancelled", error_type="X")
    assert span.attributes == {"obs.outcome": "cancelled", "error.type": "X"}
    span = span_of(error_type="X", outcome="error", attributes={"error.type": "mine"})
    assert span.attributes == {"error.type": "mine"}


def test_a_message_goes_with_an_error_alone():
    assert span_of(status="error", status_message="no").status.description == "no"
    assert span_of(status="ok", status_message="no").status.description is None
    assert span_of(status="error").status.description is None


def test_dropped_counts_stay():
    span = span_of(
        dropped={"attributes": 2, "events": 3, "links": 4},
        attributes={"a": 1},
        events=[SpanEvent("e", AT)],
        links=[SpanLink(TraceContext(1, 2)), SpanLink(TraceContext())],
    )
    assert span.dropped_attributes == 2
    assert span.dropped_events == 3
    assert span.dropped_links == 5  # one that points nowhere besides
    assert span.attributes == {"a": 1}
    assert [event.name for event in span.events] == ["e"]
    assert [link.context.span_id for link in span.links] == [2]
    assert span_of(attributes={"a": 1}).dropped_attributes == 0


def test_odd_values_become_such_that_can_be_encoded():
    span = span_of(
        name="a\ud800",
        attributes={
            "list": [1, "a", [True]],
            "map": {"a": None},
            "huge": 1 << 70,
            "text": "\udfff",
            7: object,
            "bytes": b"x",
        },
    )
    assert span.name == "a?"
    assert span.attributes == {
        "list": (1, "a", (True,)),
        "map": {"a": None},
        "huge": str(1 << 70),
        "text": "?",
        "7": "<class 'object'>",
        "bytes": b"x",
    }
    assert encode_spans([span]).SerializeToString()


@pytest.mark.parametrize(
    "bad",
    [
        record(context=TraceContext(0, 1)),
        record(context=TraceContext(1, 0)),
        record(context=TraceContext(1 << 128, 1)),
        record(context=TraceContext(1, 1 << 64)),
        record(parent=1 << 64),
        record(start_ns=5, end_ns=4),
        record(start_ns=-1),
        record(end_ns=1 << 64),
        record(kind="else"),
        record(status="else"),
        record(events=[SpanEvent("a", -1)]),
        None,
    ],
)
def test_what_cannot_be_converted_is_left_out(bad):
    data, n, left_out = convert(batch("traces", record(1), bad, record(2)))
    assert [span.context.span_id for span in data] == [1, 2]
    assert (n, left_out) == (2, 1)


@given(st.lists(records, max_size=4))
def test_whatever_a_record_holds_the_rest_can_be_encoded(some):
    spans = spans_of(*some)
    assert encode_spans(spans).SerializeToString() or not spans
