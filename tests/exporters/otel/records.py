"""The same spans and log records, ours and the SDK's."""

from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from obs.model import (
    Batch,
    Resource,
    Scope,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)

TRACE = 0x463AC35C9F6413AD48485A3953BB6124
PARENT = 0xFFFF_0000_0000_0001
AT = 1_700_000_000_123_456_789
ATTRIBUTES = {"http.route": "/pay", "ok": True, "n": 5, "share": 0.25, "é": ["a", "b"]}
RESOURCE = Resource({"service.name": "checkout", "host.name": "node-1"})
SCOPE = Scope("obs", "1.2")
STATE = "a=b,c=d"
LINKED = TraceContext(0xABC, 0xDEF, sampled=True, tracestate="x=y", remote=True)


def batch(signal, *records, resource=RESOURCE, scope=SCOPE, **more):
    return Batch(signal, resource, scope, records, **more)


def record(span=0xB7, *, name="GET /pay", **fields):
    context = fields.pop("context", TraceContext(TRACE, span, sampled=True))
    fields = {"start_ns": AT, "end_ns": AT + 1_500_000} | fields
    return SpanRecord(name, context, **fields)


def our_spans():
    return [
        record(1, name="plain"),
        record(
            2,
            name="whole",
            context=TraceContext(TRACE, 2, sampled=True, tracestate=STATE),
            parent=PARENT,
            remote_parent=True,
            kind="server",
            status="error",
            status_message="no",
            attributes=ATTRIBUTES,
            events=[
                SpanEvent("one", AT + 5),
                SpanEvent("two", AT + 6, {"a": 1, "l": [1, 2]}),
            ],
            links=[SpanLink(LINKED, {"why": "batch"})],
        ),
        record(3, name="fine", kind="producer", status="ok"),
    ]


def sdk_spans():
    """Have the SDK make the spans of ``our_spans``."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(
        resource=SdkResource(dict(RESOURCE.attributes)), id_generator=_Ids()
    )
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer(*SCOPE)
    tracer.start_span("plain", start_time=AT).end(AT + 1_500_000)
    above = SpanContext(
        TRACE, PARENT, True, TraceFlags(1), TraceState.from_header([STATE])
    )
    linked = SpanContext(
        LINKED.trace, LINKED.span, True, TraceFlags(1), TraceState.from_header(["x=y"])
    )
    span = tracer.start_span(
        "whole",
        set_span_in_context(NonRecordingSpan(above)),
        SpanKind.SERVER,
        ATTRIBUTES,
        [Link(linked, {"why": "batch"})],
        AT,
    )
    span.add_event("one", timestamp=AT + 5)
    span.add_event("two", {"a": 1, "l": [1, 2]}, AT + 6)
    span.set_status(Status(StatusCode.ERROR, "no"))
    span.end(AT + 1_500_000)
    span = tracer.start_span("fine", kind=SpanKind.PRODUCER, start_time=AT)
    span.set_status(StatusCode.OK)
    span.end(AT + 1_500_000)
    provider.shutdown()
    return list(kept.get_finished_spans())


class _Ids(IdGenerator):
    def __init__(self):
        self._next = 0

    def generate_span_id(self):
        self._next += 1
        return self._next

    def generate_trace_id(self):
        return TRACE
