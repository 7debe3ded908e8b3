"""Log records as OTLP has them.

The logger's name is the scope's, as the logs API has it for sources that know one; a
record without one has the batch's scope. The event is the body, the fields are the
attributes. A record is observed when it is made, so both times are one. It carries its
trace's and its span's id; whether the trace is sampled it does not know, so its flags stay
0.

Source: opentelemetry-proto, logs/v1/logs.proto; OpenTelemetry specification, "Logs API,
Get a Logger", "Logs Data Model".
"""

from struct import Struct

from obs.model import Batch, LogRecord, Payload, Scope
from obs_exporters._push import make_payload
from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._envelope import Body, request, resource_field, scope_field
from obs_exporters.otlp._wire import counted, sized, utf8

_NUMBERS = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "warning": 13,
    "error": 17,
    "critical": 21,
}
# Number and text of the severity.
_SEVERITIES = {
    level: bytes([0x10, number, 0x1A]) + sized(level.encode())
    for level, number in _NUMBERS.items()
}
_times = Struct("<BQBQ").pack


def encode_logs(batch: Batch) -> Payload:
    """Give all log records of a batch as one request, in groups by logger.

    A record is left out, counted ``invalid``, where its level is unknown, or an id or a
    time does not fit.
    """
    loggers: dict[str, list[bytes]] = {}
    encoded = 0
    for record in batch.records:
        try:
            field = b"\x12" + sized(_log(record))
            loggers.setdefault(record.logger, []).append(field)
        except Exception:  # noqa: BLE001 - a record may be anything
            continue
        encoded += 1
    body = b""
    if loggers:
        scopes = [
            (scope_field(Scope(name) if name else batch.scope), b"".join(fields))
            for name, fields in loggers.items()
        ]
        body = request(resource_field(batch.resource), scopes)
    return make_payload(Body(body, "logs"), encoded, len(batch.records) - encoded)


def _log(record: LogRecord) -> bytes:
    time_ns, level, event, logger, trace, span, given = record
    if type(logger) is not str:
        raise TypeError
    body = b"\x0a" + sized(utf8(event))
    parts = [
        _times(0x09, time_ns, 0x59, time_ns),
        _SEVERITIES[level],
        b"\x2a",
        sized(body),
    ]
    if trace:
        parts += b"\x4a\x10", trace.to_bytes(16, "big")
        if span:
            parts += b"\x52\x08", span.to_bytes(8, "big")
    fields = attributes(b"\x32", given)
    parts += fields
    parts.append(counted(b"\x38", len(given) - len(fields)))
    return b"".join(parts)
