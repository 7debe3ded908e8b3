"""Log records as the SDK's ``ReadableLogRecord``."""

from functools import lru_cache

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from obs.model import Batch, Scope
from obs.model import LogRecord as OurLogRecord
from obs_exporters.otel._common import (
    Converted,
    attributes_of,
    check_time,
    converted,
    resource_of,
    scope_of,
    value_of,
)

_NUMBERS = {
    "trace": SeverityNumber.TRACE,
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


def convert(batch: Batch) -> Converted:
    """Give the log records of a batch; the logger's name is the scope's, if it has one.

    One is left out where its level is unknown, or an id or a time does not fit.
    """
    resource, scope = resource_of(batch.resource), scope_of(batch.scope)
    return converted(batch.records, lambda record: _log(record, resource, scope))


@lru_cache(256)
def _scope(logger: str) -> InstrumentationScope:
    return scope_of(Scope(logger))


def _log(
    record: OurLogRecord, resource: Resource, scope: InstrumentationScope
) -> ReadableLogRecord:
    if not (0 <= record.trace < 1 << 128 and 0 <= record.span < 1 << 64):
        raise ValueError
    # Never the current context, which is that of whoever exports.
    where = SpanContext(record.trace, record.span, is_remote=False)
    at = check_time(record.time_ns)
    log = LogRecord(
        timestamp=at,
        observed_timestamp=at,
        context=set_span_in_context(NonRecordingSpan(where), Context()),
        severity_text=record.level,
        severity_number=_NUMBERS[record.level],
        body=value_of(record.event),
        attributes=attributes_of(record.fields),
    )
    named = _scope(record.logger) if record.logger else scope
    return ReadableLogRecord(log, resource, named)
