"""Limits, errors, records: what other parts start from."""

import tracemalloc

import pytest

from obs import DefinitionError, ExportFailed, Limits, Resource
from obs.errors import shown
from obs.model import (
    Ack,
    Batch,
    Delivery,
    FlushResult,
    LaneResult,
    LogRecord,
    Payload,
    SpanRecord,
    TraceContext,
)


def test_limits_have_the_documented_order_and_defaults():
    assert repr(Limits()) == (
        "Limits(series_per_block=2000, series=50000, queue_records=8192, "
        "queue_bytes=16777216, record_bytes=65536, attributes=128, events=128, links=128, "
        "value_chars=4096, baggage_members=64, baggage_bytes=8192, tracestate_members=32, "
        "tracestate_bytes=512, repr_chars=8192, repr_depth=8, answer_bytes=65536)"
    )


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_a_limit_is_an_integer_of_at_least_one(value):
    with pytest.raises(DefinitionError) as error:
        Limits(series=value)
    assert str(error.value) == (
        f"limits: series got {value!r}, needs an integer of at least 1."
    )


def test_limits_do_not_change():
    limits = Limits(series=7)
    with pytest.raises(
        AttributeError, match=r"limits: series cannot be changed. Make another"
    ):
        limits.series = 8
    assert limits.series == 7


def test_a_value_in_an_error_text_is_cut_and_never_raises():
    class Explodes:
        def __repr__(self):
            raise RuntimeError

    assert len(shown("x" * 1000)) <= 80
    assert shown(Explodes()) == "<Explodes>"
    assert shown(("a", Explodes())) == "('a', <Explodes>)"
    assert len(shown([["x" * 50] * 9] * 9)) <= 80
    assert shown(10**5000) == "<int>"
    assert shown(len) == "<built-in function len>"


def test_a_huge_value_in_an_error_text_is_not_copied():
    huge = "x" * 50_000_000
    tracemalloc.start()
    try:
        shown(({"a": huge}, [huge] * 1000))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_ids_read_as_lower_case_hex_and_absent_ones_as_nothing():
    context = TraceContext(0xAB, 0xC, sampled=True)
    assert context
    assert not TraceContext()
    assert (context.trace_id, context.span_id) == ("ab".zfill(32), "c".zfill(16))
    assert (TraceContext().trace_id, TraceContext().span_id) == ("", "")
    span = SpanRecord("op", context)
    assert (span.trace_id, span.span_id) == (context.trace_id, context.span_id)
    assert (span.parent_id, span.sampled, span.tracestate) == ("", True, "")
    assert SpanRecord("op", context, parent=1).parent_id == "1".zfill(16)
    log = LogRecord(1, "info", "event")
    assert (log.trace_id, log.span_id, dict(log.fields)) == ("", "", {})


def test_resources_compare_by_their_attributes():
    assert Resource({"a": "1"}) == Resource({"a": "1"}) != Resource({"a": "2"})
    assert hash(Resource({"a": "1"})) == hash(Resource({"a": "1"}))
    with pytest.raises(TypeError):
        Resource({"a": "1"}).attributes["a"] = "2"


def test_a_flush_adds_up_its_lanes():
    lanes = {"a": LaneResult(1, 2, 3, 1), "b": LaneResult(10, 20, 30)}
    assert FlushResult.over(lanes) == (11, 22, 33, lanes)


def test_what_passes_between_delivery_and_exporter_has_defaults():
    assert Batch("metrics", Resource({})).temporality == "cumulative"
    assert Payload(b"", 1).dropped == {}
    assert Ack(3).rejected == {}
    assert Delivery().interval == 10.0
    error = ExportFailed("503", retryable=True, retry_after=2.0)
    assert (error.retryable, error.retry_after, error.sent) == (True, 2.0, False)
