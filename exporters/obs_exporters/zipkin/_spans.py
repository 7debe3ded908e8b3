"""Spans as Zipkin's v2 JSON. One bad span refuses its whole list: so none is bad."""

from collections.abc import Iterator
from typing import Any

from obs.model import (
    Batch,
    Payload,
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanRecord,
)
from obs_exporters._push import attempt, divided, outcome_attributes
from obs_exporters.zipkin._remote import remote_endpoint
from obs_exporters.zipkin._text import json_bytes, text_of

_KINDS: dict[SpanKind, str] = {
    "client": "CLIENT",
    "server": "SERVER",
    "producer": "PRODUCER",
    "consumer": "CONSUMER",
}
_MOST = (1 << 63) - 1


def encode_spans(batch: Batch, max_bytes: int) -> Iterator[Payload]:
    """Give lists of spans of at most ``max_bytes``; one span alone may be larger.

    What has no ids, or cannot be read, is left out and counted as ``invalid``.
    """
    writer = SpanWriter(batch.resource, batch.scope)
    spans = (attempt(writer.write, record) for record in batch.records)
    return divided(spans, max_bytes, (b"[", b",", b"]"))


class SpanWriter:
    """Writes the spans of one process.

    Args:
        resource: Who sends: its name is the local endpoint, the rest are tags.
        scope: Which instrumentation.

    Source: OpenTelemetry specification, "Transformation to Zipkin". Links, about which it
    is silent, go as the OpenTelemetry Collector writes them.
    """

    def __init__(self, resource: Resource, scope: Scope) -> None:
        common = {k: text_of(v) for k, v in resource.attributes.items()}
        service = common.pop("service.name", "")
        self._local = {"serviceName": service or "unknown_service"}
        self._resource = common
        self._scope = {"otel.scope.name": text_of(scope.name)}
        if scope.version:
            self._scope["otel.scope.version"] = text_of(scope.version)

    def write(self, record: SpanRecord) -> bytes:
        """Give a span as JSON; raises where Zipkin could not take it, whatever is mended."""
        context = record.context
        if not (0 < context.trace < 1 << 128 and 0 < context.span < 1 << 64):
            raise ValueError
        kind = _KINDS.get(record.kind)
        span: dict[str, Any] = {
            "traceId": f"{context.trace:032x}",
            "id": f"{context.span:016x}",
        }
        if 0 < record.parent < 1 << 64 and record.parent != context.span:
            span["parentId"] = f"{record.parent:016x}"
        if kind is not None:
            span["kind"] = kind
        span["name"] = text_of(record.name)
        start = _micros(record.start_ns)
        span["timestamp"] = start
        span["duration"] = _micros(record.end_ns - record.start_ns)
        span["localEndpoint"] = self._local
        if kind in ("CLIENT", "PRODUCER"):
            remote = remote_endpoint(record.attributes)
            if remote is not None:
                span["remoteEndpoint"] = remote
        if record.events:
            span["annotations"] = [_annotation(event, start) for event in record.events]
        span["tags"] = self._tags(record)
        if context.debug:
            span["debug"] = True
        if kind == "SERVER" and record.parent == context.span:
            # The server's half of a span that the client has begun, as B3 allows. Spans
            # of obs have ids of their own; those of others may not.
            span["shared"] = True
        return json_bytes(span)

    def _tags(self, record: SpanRecord) -> dict[str, str]:
        tags = self._resource.copy()
        for name, value in record.attributes.items():
            tags[text_of(name)] = text_of(value)
        tags.update(self._scope)
        for name, value in outcome_attributes(record).items():
            tags.setdefault(name, text_of(value))
        # Zipkin shows every span that has this tag as failed, whatever is in it.
        tags.pop("error", None)
        if record.status == "error":
            tags["error"] = text_of(record.status_message)
            tags["otel.status_code"] = "ERROR"
        elif record.status == "ok":
            tags["otel.status_code"] = "OK"
        for index, link in enumerate(record.links):
            tags[f"otlp.link.{index}"] = _link(link)
        for what, count in record.dropped.items():
            if count:
                tags[f"otel.dropped_{text_of(what)}_count"] = text_of(count)
        return tags


def _micros(ns: int) -> int:
    """Give whole microseconds, at least 1: Zipkin takes 0 for none."""
    return min(max(int(ns) // 1_000, 1), _MOST)


def _annotation(event: SpanEvent, start: int) -> dict[str, Any]:
    value = text_of(event.name)
    if event.attributes:
        value = f"{text_of([value])[1:-1]}: {text_of(event.attributes)}"
    # Zipkin would show one without a time in 1970, and one without a text as nothing.
    at = _micros(event.time_ns) if event.time_ns > 0 else start
    return {"timestamp": at, "value": value or "event"}


def _link(link: SpanLink) -> str:
    context = link.context
    return (
        f"{context.trace:032x}|{context.span:016x}|{text_of(context.tracestate)}"
        f"|{text_of(link.attributes)}|0"
    )
