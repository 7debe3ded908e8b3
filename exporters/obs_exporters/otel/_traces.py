"""Finished spans as the SDK's ``ReadableSpan``."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from obs.model import Batch, SpanLink, SpanRecord, TraceContext
from obs_exporters._push import outcome_attributes
from obs_exporters.otel._common import (
    Converted,
    attributes_of,
    check_time,
    converted,
    resource_of,
    scope_of,
    text_of,
)

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_CODES = {code.name.lower(): code for code in StatusCode}
_MOST = (1 << 32) - 1


def convert(batch: Batch) -> Converted:
    """Give the spans of a batch.

    One is left out where an id is 0 or too long, it ends before it starts, a time does
    not fit 64 bits, or its kind or status is unknown.
    """
    resource, scope = resource_of(batch.resource), scope_of(batch.scope)
    return converted(batch.records, lambda record: _span(record, resource, scope))


def _span(
    record: SpanRecord, resource: Resource, scope: InstrumentationScope
) -> ReadableSpan:
    context = _context(record.context, is_remote=False)
    start_ns, end_ns = check_time(record.start_ns), check_time(record.end_ns)
    if not context.is_valid or end_ns < start_ns:
        raise ValueError
    parent = None
    if record.parent:
        above = record.context._replace(span=record.parent)
        parent = _context(above, is_remote=record.remote_parent)
        if not parent.is_valid:
            raise ValueError
    dropped = record.dropped
    links = [link for link in map(_link, record.links) if link.context.is_valid]
    lost_links = dropped.get("links", 0) + len(record.links) - len(links)
    code = _CODES[record.status]
    # The SDK keeps a message with an error alone.
    message = record.status_message if code is StatusCode.ERROR else ""
    return ReadableSpan(
        text_of(record.name),
        context,
        parent,
        resource,
        _attributes(record, dropped.get("attributes", 0)),
        _list(
            [
                Event(
                    text_of(event.name),
                    attributes_of(event.attributes),
                    check_time(event.time_ns),
                )
                for event in record.events
            ],
            dropped.get("events", 0),
        ),
        _list(links, lost_links),
        _KINDS[record.kind],
        status=Status(code, text_of(message) or None),
        start_time=start_ns,
        end_time=end_ns,
        instrumentation_scope=scope,
    )


def _link(link: SpanLink) -> Link:
    context = _context(link.context, is_remote=link.context.remote)
    return Link(context, attributes_of(link.attributes))


def _context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    flags = TraceFlags.SAMPLED if context.sampled else 0
    if context.random:
        flags |= 0x02
    state = TraceState.from_header([context.tracestate]) if context.tracestate else None
    return SpanContext(context.trace, context.span, is_remote, TraceFlags(flags), state)


def _attributes(record: SpanRecord, dropped: int) -> Mapping[str, Any]:
    found = attributes_of(outcome_attributes(record))
    found |= attributes_of(record.attributes)
    if not dropped:
        return found
    bounded = BoundedAttributes(attributes=found)
    bounded.dropped = min(dropped + bounded.dropped, _MOST)
    return bounded


def _list(items: Sequence[Any], dropped: int) -> Sequence[Any]:
    if not dropped:
        return items
    bounded = BoundedList.from_seq(None, items)
    bounded.dropped = min(dropped, _MOST)
    return bounded
