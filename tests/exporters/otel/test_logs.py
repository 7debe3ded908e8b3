"""Log records, beside those that the SDK itself makes."""

import json

import pytest
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
    use_span,
)

from obs.model import LogRecord
from obs_exporters.otel._logs import convert
from tests.exporters.otel.records import AT, ATTRIBUTES, RESOURCE, TRACE, batch


def logs_of(*some):
    data, n, left_out = convert(batch("logs", *some))
    assert len(data) == n
    assert n + left_out == len(some)
    return data


def log_of(**fields):
    (log,) = logs_of(
        LogRecord(**{"time_ns": AT, "level": "info", "event": "e"} | fields)
    )
    return log.log_record


def sdk_logs():
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(SdkResource(dict(RESOURCE.attributes)))
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    where = SpanContext(TRACE, 7, is_remote=False)
    contexts = [set_span_in_context(NonRecordingSpan(where), Context()), Context()]
    for context, attributes in zip(contexts, [ATTRIBUTES, None], strict=True):
        provider.get_logger("shop.cart").emit(
            SdkLogRecord(
                timestamp=AT,
                observed_timestamp=AT,
                context=context,
                severity_text="warning",
                severity_number=SeverityNumber.WARN,
                body="no stock",
                attributes=attributes,
            )
        )
    provider.shutdown()
    return list(kept.get_finished_logs())


def our_logs():
    return logs_of(
        LogRecord(AT, "warning", "no stock", "shop.cart", TRACE, 7, ATTRIBUTES),
        LogRecord(AT, "warning", "no stock", "shop.cart"),
    )


def test_they_are_what_the_sdk_makes_as_json_and_as_otlp():
    theirs = sdk_logs()
    for mine, one in zip(our_logs(), theirs, strict=True):
        assert type(mine) is type(one)
        assert json.loads(mine.to_json()) == json.loads(one.to_json())
        assert mine.resource == one.resource
        assert mine.instrumentation_scope.name == one.instrumentation_scope.name
    assert encode_logs(our_logs()) == encode_logs(theirs)


@pytest.mark.parametrize(
    ("level", "number"),
    [
        ("trace", 1),
        ("debug", 5),
        ("info", 9),
        ("warning", 13),
        ("error", 17),
        ("critical", 21),
    ],
)
def test_levels_have_their_number_and_their_word(level, number):
    log = log_of(level=level)
    assert log.severity_number.value == number
    assert log.severity_text == level


def test_a_record_without_a_logger_has_the_scope_of_the_batch():
    named, unnamed = logs_of(
        LogRecord(AT, "info", "a", "shop"), LogRecord(AT, "info", "a")
    )
    assert named.instrumentation_scope.name == "shop"
    assert unnamed.instrumentation_scope.name == "obs"
    assert unnamed.instrumentation_scope.version == "1.2"


def test_the_span_of_whoever_exports_is_not_that_of_the_record():
    span = NonRecordingSpan(SpanContext(5, 6, False, TraceFlags(1)))
    with use_span(span):
        log = log_of()
        assert (log.trace_id, log.span_id, log.trace_flags) == (0, 0, 0)
        log = log_of(trace=TRACE, span=7)
        assert (log.trace_id, log.span_id, log.trace_flags) == (TRACE, 7, 0)


def test_a_record_is_observed_when_it_is_made():
    log = log_of()
    assert log.timestamp == log.observed_timestamp == AT


def test_odd_values_become_such_that_can_be_encoded():
    (log,) = logs_of(
        LogRecord(AT, "info", "a\ud800", fields={"a": object, "b": [1 << 70]})
    )
    assert log.log_record.body == "a?"
    assert log.log_record.attributes == {
        "a": "<class 'object'>",
        "b": (str(1 << 70),),
    }
    assert encode_logs([log]).SerializeToString()


@pytest.mark.parametrize(
    "bad",
    [
        LogRecord(AT, "loud", "a"),
        LogRecord(-1, "info", "a"),
        LogRecord(AT, "info", "a", trace=1 << 128),
        LogRecord(AT, "info", "a", span=-1),
        LogRecord(AT, "info", "a", fields=None),
        None,
    ],
)
def test_what_cannot_be_converted_is_left_out(bad):
    good = LogRecord(AT, "info", "good")
    data, n, left_out = convert(batch("logs", good, bad))
    assert [log.log_record.body for log in data] == ["good"]
    assert (n, left_out) == (1, 1)
