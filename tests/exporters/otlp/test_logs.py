"""Log records: each field, scopes by logger, golden bytes."""

import pytest

from obs.encoding import sane
from obs_exporters.otlp._logs import encode_logs
from tests.encoding.hostile import Spray
from tests.exporters.otlp.oracle import (
    LOG,
    START,
    batch,
    compare_with_golden,
    logs_in,
    pairs,
)

FULL = LOG._replace(
    level="error",
    logger="shop.orders",
    trace=0x0AF7651916CD43DD8448EB211C80319C,
    span=0xB7AD6B7169203331,
    fields={"order_id": "4711", "total": 12.5, "exception.type": "KeyError"},
)


def encoded(*records):
    return encode_logs(batch("logs", records))


def one(record):
    ((_, found),) = logs_in(encoded(record))
    return found


def test_a_small_record_has_its_golden_bytes():
    compare_with_golden("log.bin", encoded(LOG).body)


def test_full_records_have_their_golden_bytes():
    compare_with_golden("log-full.bin", encoded(FULL, LOG, FULL).body)


def test_each_field_of_a_full_record_is_read_back():
    record = one(FULL)
    assert record.body.string_value == "order.placed"
    assert record.time_unix_nano == record.observed_time_unix_nano == START
    assert record.trace_id.hex() == FULL.trace_id
    assert record.span_id.hex() == FULL.span_id
    assert pairs(record.attributes) == list(FULL.fields.items())
    assert (record.flags, record.event_name) == (0, "")


def test_a_record_outside_a_trace_has_no_ids():
    record = one(LOG._replace(span=7))
    assert (record.trace_id, record.span_id) == (b"", b"")


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("trace", 1),
        ("debug", 5),
        ("info", 9),
        ("warning", 13),
        ("error", 17),
        ("critical", 21),
    ],
)
def test_each_level_has_its_severity_and_its_text(level, severity):
    record = one(LOG._replace(level=level))
    assert (record.severity_number, record.severity_text) == (severity, level)


def test_the_logger_is_the_scope_and_without_one_it_is_the_batch_s():
    records = [
        LOG._replace(logger=logger, event=event)
        for event, logger in (("1", "a"), ("2", ""), ("3", "a"), ("4", "b"))
    ]
    found = [
        (scope, record.body.string_value)
        for scope, record in logs_in(encoded(*records))
    ]
    assert found == [
        (("a", ""), "1"),
        (("a", ""), "3"),
        (("obs", "0.1.0"), "2"),
        (("b", ""), "4"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"level": "loud"},
        {"time_ns": -1},
        {"trace": 2**128},
        {"trace": 1, "span": 2**64},
        {"event": 5},
        {"logger": None},
        {"fields": 5},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_encoded_is_counted_and_the_others_leave(changed):
    payload = encoded(LOG, LOG._replace(**changed), FULL)
    assert payload.dropped == {"invalid": 1}
    assert len(logs_in(payload)) == 2


def test_what_is_no_record_is_counted():
    payload = encoded(None, 5)
    assert (payload.records, payload.dropped, payload.body) == (0, {"invalid": 2}, b"")


def test_fields_that_cannot_go_out_are_counted_in_the_record():
    record = one(LOG._replace(fields={"": 1, "b": 2}))
    assert pairs(record.attributes) == [("b", 2)]
    assert record.dropped_attributes_count == 1


def test_whatever_is_sane_goes_out_whole():
    records = [sane(record)[0] for record in Spray(6).records(3_000)]
    found = [record for _, record in logs_in(encoded(*records))]
    assert len(found) == 3_000
    assert sum(record.dropped_attributes_count for record in found) == 0
    sent = sorted(len(record.attributes) for record in found)
    assert sent == sorted(len(record.fields) for record in records)
