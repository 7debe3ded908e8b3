"""Records as JSON: names, order, golden lines."""

import json

import pytest
from hypothesis import given

from obs.encoding import json_line, log_dict, metric_dicts, span_dict
from obs.metrics import Registry
from obs.model import (
    Block,
    ExponentialPoint,
    LogRecord,
    MetricFamily,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)
from obs.testing import FakeClock
from tests.encoding import hostile

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
NOON = 1_764_072_000_123_456_789  # 2025-11-25T12:00:00


def golden(text):
    """Lines that are broken for people to read."""
    return "".join(line.strip() for line in text.split("\n")).encode() + b"\n"


def strict(line):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(line, parse_constant=refuse)


def test_a_log_record_in_full():
    fields = {"order": 17, "time": "noon", "span_id": "x", "ok": True, "tags": ["a"]}
    record = LogRecord(NOON, "info", "order.received", "orders", TRACE, SPAN, fields)
    assert json_line(log_dict(record, "shop")) == golden(
        """
        {"time":"2025-11-25T12:00:00.123Z","level":"info","event":"order.received",
        "logger":"orders","service":"shop",
        "trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331",
        "order":17,"field.time":"noon","field.span_id":"x","ok":true,"tags":["a"]}
        """
    )


def test_a_log_record_with_nothing_in_it():
    assert json_line(log_dict(LogRecord(NOON, "error", "failed"))) == (
        b'{"time":"2025-11-25T12:00:00.123Z","level":"error","event":"failed"}\n'
    )


@pytest.mark.parametrize("name", ["logger", "service", "trace_id", "span_id"])
def test_a_reserved_name_is_kept_free_where_it_is_not_used(name):
    found = log_dict(LogRecord(NOON, "info", "x", fields={name: "mine"}))
    assert list(found.items())[3:] == [(f"field.{name}", "mine")]


def test_two_fields_never_become_one():
    fields = {"field.time": 1, "time": 2}
    found = log_dict(LogRecord(NOON, "info", "x", fields=fields))
    assert (found["field.time"], found["field.field.time"]) == (1, 2)


def test_a_traceback_stays_in_its_line():
    stack = 'Traceback:\n  File "a.py"\nKeyError\n'
    record = LogRecord(NOON, "error", "x", fields={"exception.stacktrace": stack})
    line = json_line(log_dict(record))
    assert line.endswith(
        b',"exception.stacktrace":"Traceback:\\n  File \\"a.py\\"\\nKeyError\\n"}\n'
    )
    assert strict(line)["exception.stacktrace"] == stack


def test_fields_that_are_no_mapping_are_kept():
    found = log_dict(LogRecord(NOON, "info", "x", fields=[1, 2]))
    assert found["value"] == [1, 2]


def test_a_span_in_full():
    other = TraceContext(5, 6, tracestate="c=d")
    record = SpanRecord(
        "charge",
        TraceContext(TRACE, SPAN, True, "a=b"),
        0xFF,
        "client",
        NOON,
        NOON + 1_500_000_001,
        "error",
        "declined",
        "error",
        "CardError",
        {"cents": 1200},
        [SpanEvent("retry", NOON + 1, {"n": 1}), SpanEvent("end", NOON + 2)],
        [SpanLink(other, {"why": "batch"}), SpanLink(TraceContext(7, 8))],
        True,
        {"events": 3},
    )
    assert json_line(span_dict(record, "shop")) == golden(
        """
        {"type":"span","name":"charge","kind":"client","service":"shop",
        "trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331",
        "parent_id":"00000000000000ff","remote_parent":true,
        "start":"2025-11-25T12:00:00.123456789Z","end":"2025-11-25T12:00:01.623456790Z",
        "duration":1.500000001,"status":"error","status_message":"declined",
        "outcome":"error","error_type":"CardError","attributes":{"cents":1200},
        "events":[{"name":"retry","time":"2025-11-25T12:00:00.123456790Z",
        "attributes":{"n":1}},{"name":"end","time":"2025-11-25T12:00:00.123456791Z"}],
        "links":[{"trace_id":"00000000000000000000000000000005",
        "span_id":"0000000000000006","tracestate":"c=d","attributes":{"why":"batch"}},
        {"trace_id":"00000000000000000000000000000007","span_id":"0000000000000008"}],
        "tracestate":"a=b","dropped":{"events":3}}
        """
    )


def test_a_span_with_nothing_in_it():
    record = SpanRecord("x", TraceContext(1, 2), start_ns=NOON, end_ns=NOON)
    assert json_line(span_dict(record)) == golden(
        """
        {"type":"span","name":"x","kind":"internal",
        "trace_id":"00000000000000000000000000000001","span_id":"0000000000000002",
        "start":"2025-11-25T12:00:00.123456789Z","end":"2025-11-25T12:00:00.123456789Z",
        "duration":0.0,"status":"unset","outcome":"ok"}
        """
    )


def lines(families, **more):
    return [json_line(each) for each in metric_dicts(families, NOON, **more)]


def test_a_counter():
    registry = Registry(clock=FakeClock())
    registry.counter("orders.placed", unit="{order}", labels=("channel",)).labels(
        "web"
    ).inc(3)
    (line,) = lines([registry.snapshot()["orders.placed"]], service="shop")
    start = registry.snapshot()["orders.placed"].points[0].start_ns
    assert start
    assert strict(line) == {
        "type": "metric",
        "name": "orders.placed",
        "kind": "counter",
        "unit": "{order}",
        "service": "shop",
        "time": "2025-11-25T12:00:00.123456789Z",
        "labels": {"channel": "web"},
        "value": 3,
        "temporality": "cumulative",
        "start": strict(lines([registry.snapshot()["orders.placed"]])[0])["start"],
    }


def test_golden_lines_of_each_kind():
    block = Block(("a",), [("x",)], [1.5], start_ns=10**9)
    histogram = Block((), [()], [7.5], [[1, 0, 2]], start_ns=10**9)
    families = [
        MetricFamily("g", "gauge", "By", "", [block]),
        MetricFamily("u", "updown", "", "", [block]),
        MetricFamily("h", "histogram", "s", "", [histogram], (0.5, 1.0)),
        MetricFamily.of("i", "info", 1),
        MetricFamily.of("nan", "gauge", float("nan")),
    ]
    head = b'","time":"2025-11-25T12:00:00.123456789Z","labels":'
    start = b'"start":"1970-01-01T00:00:01.000000000Z"}\n'
    assert lines(families, temporality="delta") == [
        b'{"type":"metric","name":"g","kind":"gauge","unit":"By' + head
        + b'{"a":"x"},"value":1.5}\n',
        b'{"type":"metric","name":"u","kind":"updown' + head
        + b'{"a":"x"},"value":1.5,"temporality":"cumulative",' + start,
        b'{"type":"metric","name":"h","kind":"histogram","unit":"s' + head
        + b'{},"count":3,"sum":7.5,"bounds":[0.5,1.0],"buckets":[1,0,2],'
        + b'"temporality":"delta",' + start,
        b'{"type":"metric","name":"i","kind":"info' + head + b'{},"value":1}\n',
        b'{"type":"metric","name":"nan","kind":"gauge' + head + b'{},"value":"NaN"}\n',
    ]  # fmt: skip


def test_an_exponential_histogram():
    class Family(MetricFamily):
        points = [ExponentialPoint({"a": "x"}, 3, 7.5, 2, 1, -4, (1, 1), 0.5)]  # noqa: RUF012

    (line,) = lines([Family("e", "exponential")])
    assert list(strict(line).items())[5:] == [
        ("count", 3), ("sum", 7.5), ("scale", 2), ("zero_count", 1), ("offset", -4),
        ("min", 0.5), ("buckets", [1, 1]), ("temporality", "cumulative"),
    ]  # fmt: skip


def test_no_bucket_is_lost_however_many_there_are():
    bounds = tuple(float(n) for n in range(3_000))
    block = Block((), [()], [1.0], [[1] * 3_001])
    (line,) = lines([MetricFamily("h", "histogram", "", "", [block], bounds)])
    assert len(strict(line)["bounds"]) == 3_000
    assert len(strict(line)["buckets"]) == 3_001


@pytest.mark.parametrize("events", [hostile.Torn([SpanEvent("x", 1)]), 5, None])
def test_events_that_are_no_list_break_no_span(events):
    record = SpanRecord("x", TraceContext(1, 2), events=events, links=events)
    found = span_dict(record)
    assert len(found.get("events", ())) == (events not in (5, None))
    assert "links" not in found


@given(hostile.log_records, hostile.texts)
def test_any_log_record_is_one_line_of_json(record, service):
    line = json_line(log_dict(record, service))
    assert len(line.decode().splitlines()) == 1
    assert list(strict(line))[:3] == ["time", "level", "event"]
    assert len(line) < 6 * 64 * 1024 + 4_096


@given(hostile.span_records, hostile.texts)
def test_any_span_is_one_line_of_json(record, service):
    line = json_line(span_dict(record, service))
    assert len(line.decode().splitlines()) == 1
    assert list(strict(line))[:3] == ["type", "name", "kind"]
