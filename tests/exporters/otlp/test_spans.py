"""Finished spans: each field, what is left out, golden bytes."""

import pytest

from obs.model import SpanEvent, SpanLink, TraceContext
from obs_exporters.otlp._spans import encode_spans
from tests.exporters.otlp.oracle import (
    CONTEXT,
    END,
    SPAN,
    START,
    batch,
    compare_with_golden,
    pairs,
    traces_in,
)

OTHER = TraceContext(5, 7, sampled=False, tracestate="a=b", remote=True, random=True)
FULL = SPAN._replace(
    context=CONTEXT._replace(tracestate="vendor=1", random=True),
    parent=0xABC,
    kind="client",
    status="error",
    status_message="no money",
    outcome="error",
    error_type="PaymentRefused",
    attributes={"psp.name": "stripe", "attempts": 2, "amount": 12.5, "new": True},
    events=[SpanEvent("exception", START + 5, {"exception.type": "PaymentRefused"})],
    links=[SpanLink(OTHER, {"why": "retry of"})],
    remote_parent=True,
    dropped={"attributes": 1, "events": 2, "links": 3},
)


def encoded(*records):
    return encode_spans(batch("traces", records))


def one(record):
    (span,) = traces_in(encoded(record))
    return span


def test_a_small_span_has_its_golden_bytes():
    compare_with_golden("span.bin", encoded(SPAN).body)


def test_a_full_span_has_its_golden_bytes():
    compare_with_golden("span-full.bin", encoded(FULL).body)


def test_each_field_of_a_full_span_is_read_back():
    span = one(FULL)
    assert span.trace_id.hex() == FULL.trace_id
    assert span.span_id.hex() == FULL.span_id
    assert span.parent_span_id.hex() == FULL.parent_id
    assert span.trace_state == "vendor=1"
    assert span.name == "charge"
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (START, END)
    assert (span.status.code, span.status.message) == (2, "no money")
    counts = (
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    )
    assert counts == (1, 2, 3)
    assert pairs(span.attributes) == [
        ("error.type", "PaymentRefused"),
        *FULL.attributes.items(),
    ]
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("exception", START + 5)
    assert pairs(event.attributes) == [("exception.type", "PaymentRefused")]
    (link,) = span.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (OTHER.trace_id, OTHER.span_id)
    assert (link.trace_state, pairs(link.attributes)) == ("a=b", [("why", "retry of")])


def test_a_root_has_no_parent_and_no_status():
    span = one(SPAN)
    assert span.parent_span_id == b""
    assert not span.HasField("status")
    assert not span.attributes


@pytest.mark.parametrize(
    ("kind", "code"),
    [("internal", 1), ("server", 2), ("client", 3), ("producer", 4), ("consumer", 5)],
)
def test_each_kind_has_its_number(kind, code):
    assert one(SPAN._replace(kind=kind)).kind == code


@pytest.mark.parametrize(("status", "code"), [("unset", 0), ("ok", 1), ("error", 2)])
def test_each_status_has_its_number(status, code):
    assert one(SPAN._replace(status=status)).status.code == code


@pytest.mark.parametrize(
    ("sampled", "random", "remote", "flags"),
    [
        (True, False, False, 0x101),
        (True, True, False, 0x103),
        (True, True, True, 0x303),
        (None, False, True, 0x300),
        (False, True, False, 0x102),
    ],
)
def test_flags_are_those_of_w3c_and_whether_the_parent_is_remote(
    sampled, random, remote, flags
):
    context = CONTEXT._replace(sampled=sampled, random=random)
    record = SPAN._replace(context=context, remote_parent=remote)
    assert one(record).flags == flags
    linked = SPAN._replace(links=[SpanLink(context._replace(remote=remote))])
    assert one(linked).links[0].flags == flags


@pytest.mark.parametrize("outcome", ["cancelled", "deadline_exceeded", "aborted"])
def test_an_outcome_that_the_status_does_not_say_is_an_attribute(outcome):
    found = one(SPAN._replace(outcome=outcome, error_type="X", attributes={"a": 1}))
    expected = [("error.type", "X"), ("obs.outcome", outcome), ("a", 1)]
    assert pairs(found.attributes) == expected


@pytest.mark.parametrize("outcome", ["ok", "error"])
def test_an_outcome_that_the_status_says_is_none(outcome):
    assert not one(SPAN._replace(outcome=outcome)).attributes


def test_what_the_user_has_set_stays():
    mine = {"error.type": "mine", "obs.outcome": "mine"}
    record = SPAN._replace(outcome="aborted", error_type="X", attributes=mine)
    assert dict(pairs(one(record).attributes)) == mine


@pytest.mark.parametrize(
    "changed",
    [
        {"context": CONTEXT._replace(trace=0)},
        {"context": CONTEXT._replace(span=0)},
        {"context": CONTEXT._replace(trace=2**128)},
        {"context": CONTEXT._replace(span=2**64)},
        {"context": CONTEXT._replace(span=-1)},
        {"parent": 2**64},
        {"start_ns": END, "end_ns": START},
        {"start_ns": -1},
        {"end_ns": 2**64},
        {"kind": "unknown"},
        {"status": "unknown"},
        {"name": 5},
        {"events": [SpanEvent("e", -1)]},
        {"attributes": 5},
        {"dropped": None, "links": [SpanLink(TraceContext())]},
    ],
    ids=str,
)
def test_a_span_that_must_not_leave_is_counted_and_the_others_leave(changed):
    payload = encoded(SPAN, SPAN._replace(**changed), FULL)
    assert payload.dropped == {"invalid": 1}
    assert [span.name for span in traces_in(payload)] == ["charge", "charge"]


def test_what_is_no_span_is_counted():
    payload = encoded(None, 5, ())
    assert (payload.records, payload.dropped, payload.body) == (0, {"invalid": 3}, b"")


def test_a_link_to_nowhere_is_left_out_and_counted_in_the_span():
    links = [SpanLink(TraceContext()), SpanLink(CONTEXT), SpanLink(TraceContext(1))]
    span = one(SPAN._replace(links=links, dropped={"links": 1}))
    assert len(span.links) == 1
    assert span.dropped_links_count == 3


def test_attributes_that_cannot_go_out_are_counted_in_the_span():
    odd = dict.fromkeys(("", "\ud800", "\ud801"), 1)
    record = SPAN._replace(
        attributes=odd,
        events=[SpanEvent("e", START, odd)],
        links=[SpanLink(CONTEXT, odd)],
    )
    span = one(record)
    for part in (span, span.events[0], span.links[0]):
        assert pairs(part.attributes) == [("?", 1)]
        assert part.dropped_attributes_count == 2


def test_a_name_with_a_lone_surrogate_is_mended():
    context = CONTEXT._replace(tracestate="a=\ud800")
    span = one(SPAN._replace(name="a\ud800", status_message="\ud800", context=context))
    assert (span.name, span.status.message, span.trace_state) == ("a?", "?", "a=?")
