"""Finished spans as OTLP has them.

Every span has the flags of its own context in the low eight bits, and above them that it
is known whether its parent is remote, and whether it is.

Source: opentelemetry-proto, trace/v1/trace.proto; W3C Trace Context Level 2, 3.2.2.5.
"""

from collections.abc import Mapping
from struct import Struct

from obs.model import Batch, Payload, SpanEvent, SpanLink, SpanRecord, TraceContext
from obs_exporters._push import make_payload, outcome_attributes
from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._envelope import Body, request, resource_field, scope_field
from obs_exporters.otlp._wire import counted, sized, texted, utf8

_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUS = {"unset": b"", "ok": b"\x18\x01", "error": b"\x18\x02"}

# Ids, kind, start, end, flags: all that has the same length in every span.
_head = Struct("<2s16s2s8sBBBQBQ2sI").pack
_event_head = Struct("<BQB").pack
_link_head = Struct("<2s16s2s8sBI").pack
_KNOWN = 0x100  # it is known whether the parent (of a link: the span) is remote
_REMOTE = 0x200


def encode_spans(batch: Batch) -> Payload:
    """Give all spans of a batch as one request.

    A span is left out, counted ``invalid``, where an id is 0 or too long, it ends before
    it starts, a time does not fit 64 bits, or its kind or status is unknown: a Collector
    takes such a span and what comes behind it stumbles.
    """
    spans = []
    for record in batch.records:
        try:
            spans.append(b"\x12" + sized(_span(record)))
        except Exception:  # noqa: BLE001 - a record may be anything
            continue
    body = b""
    if spans:
        scopes = [(scope_field(batch.scope), b"".join(spans))]
        body = request(resource_field(batch.resource), scopes)
    invalid = len(batch.records) - len(spans)
    return make_payload(Body(body, "traces"), len(spans), invalid)


def _span(record: SpanRecord) -> bytes:
    (
        name, context, parent, kind, start_ns, end_ns, status, message, _,
        _, given, events, links, remote_parent, dropped,
    ) = record  # fmt: skip
    if not context.trace or not context.span or end_ns < start_ns:
        raise ValueError
    parts = [
        _head(
            b"\x0a\x10", context.trace.to_bytes(16, "big"),
            b"\x12\x08", context.span.to_bytes(8, "big"),
            0x30, _KINDS[kind], 0x39, start_ns, 0x41, end_ns,
            b"\x85\x01", _flags(context, remote_parent),
        ),
        b"\x2a", sized(utf8(name)),
    ]  # fmt: skip
    if parent:
        parts += b"\x22\x08", parent.to_bytes(8, "big")
    if context.tracestate:
        parts.append(texted(b"\x1a", context.tracestate))
    if ending := outcome_attributes(record):
        given = {**ending, **given}
    fields = attributes(b"\x4a", given)
    parts += fields
    parts += [b"\x5a" + sized(_event(event)) for event in events]
    good = [link for link in links if link.context.trace and link.context.span]
    parts += [b"\x6a" + sized(_link(link)) for link in good]
    lost = len(given) - len(fields), 0, len(links) - len(good)
    if dropped or any(lost):
        parts += _dropped(dropped, lost)
    code = _STATUS[status]
    if code or message:
        parts.append(b"\x7a" + sized(texted(b"\x12", message) + code))
    return b"".join(parts)


def _event(event: SpanEvent) -> bytes:
    name, time_ns, given = event
    fields = attributes(b"\x1a", given)
    left_out = counted(b"\x20", len(given) - len(fields))
    head = _event_head(0x09, time_ns, 0x12)
    return b"".join([head, sized(utf8(name)), *fields, left_out])


def _link(link: SpanLink) -> bytes:
    context, given = link
    fields = attributes(b"\x22", given)
    head = _link_head(
        b"\x0a\x10", context.trace.to_bytes(16, "big"),
        b"\x12\x08", context.span.to_bytes(8, "big"),
        0x35, _flags(context, context.remote),
    )  # fmt: skip
    state = texted(b"\x1a", context.tracestate)
    left_out = counted(b"\x28", len(given) - len(fields))
    return b"".join([head, state, *fields, left_out])


def _flags(context: TraceContext, is_remote: bool) -> int:
    flags = _KNOWN | _REMOTE if is_remote else _KNOWN
    if context.sampled:
        flags |= 0x01
    if context.random:
        flags |= 0x02
    return flags


def _dropped(counts: Mapping[str, int], more: tuple[int, int, int]) -> list[bytes]:
    return [
        counted(tag, counts.get(what, 0) + n)
        for what, tag, n in zip(
            ("attributes", "events", "links"),
            (b"\x50", b"\x60", b"\x70"),
            more,
            strict=True,
        )
    ]
