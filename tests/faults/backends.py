"""What the cells of the fault matrix send to: a sink, its protocol, its exporter."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Self

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from obs_exporters import OTelExporter, OTLPExporter, Tls, ZipkinExporter
from tests.faults.certificates import KINDS
from tests.faults.modes import Mode, answer
from tests.faults.sink import Sink

REFUSED = 3
"""How many spans of each request the mode ``partial`` refuses."""


def otlp_ids(body: bytes) -> list[object]:
    """Give the ids in a request of OTLP, read by its official classes."""
    request = service.ExportTraceServiceRequest.FromString(body)
    return [
        attribute.value.int_value
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        for attribute in span.attributes
        if attribute.key == "i"
    ]


def zipkin_ids(body: bytes) -> list[object]:
    return [int(span["tags"]["i"]) for span in json.loads(body)]


def partial_success() -> Mode:
    said = service.ExportTracePartialSuccess(
        rejected_spans=REFUSED, error_message="old"
    )
    body = service.ExportTraceServiceResponse(partial_success=said).SerializeToString()
    return answer(200, body, ("Content-Type", "application/x-protobuf"))


class OtlpHttp:
    """OTLP over HTTP to a fault sink; over TLS if the mode is one of certificates."""

    unclear_is_lost = False
    """Whether it does not try again what may have arrived."""

    def __init__(self, mode: str, **sink) -> None:
        self.mode = mode
        is_tls = mode in KINDS
        self.sink = Sink(tls="good" if is_tls else None, ids=self.ids, **sink)

    def ids(self, body: bytes) -> Iterable[object]:
        return otlp_ids(body)

    def __enter__(self) -> Self:
        self.sink.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.sink.__exit__(*error)

    def exporter(self, timeout: float, interval: float):
        tls = Tls(self.sink.ca_file) if self.sink.ca_file else None
        return OTLPExporter(
            self.sink.url,
            tls=tls,
            timeout=timeout,
            interval=interval,
            signals=["traces"],
        )

    def fault(self) -> None:
        """Misbehave from now on."""
        if self.mode in KINDS:
            self.sink.tls = self.mode
            self.sink.cut()
        else:
            self.sink.mode = (
                partial_success() if self.mode == "partial" else self.mode
            )

    def mend(self) -> None:
        """Behave again. What hangs goes on hanging: a client has to help itself."""
        if self.mode in KINDS:
            self.sink.tls = "good"
        else:
            self.sink.mode = "ok"

    def arrived(self) -> Counter[object]:
        return self.sink.arrived()

    def unanswered(self) -> set[object]:
        """Give the ids in requests that the client may not know the end of."""
        return {
            each
            for request in list(self.sink.requests)
            if not (request.answered and 200 <= request.status < 300)
            for each in self.ids(request.body)
        }

    def times(self, status: int) -> list[tuple[float, float]]:
        """Give when requests with this answer came, and when each one's next came."""
        requests = list(self.sink.requests)
        return [
            (one.time, following.time)
            for one, following in zip(requests, requests[1:], strict=False)
            if one.status == status
        ]


class Zipkin(OtlpHttp):
    """Zipkin to a fault sink."""

    def ids(self, body: bytes) -> Iterable[object]:
        return zipkin_ids(body)

    def exporter(self, timeout: float, interval: float):
        return ZipkinExporter(
            f"{self.sink.url}/api/v2/spans", timeout=timeout, interval=interval
        )


class Official(OtlpHttp):
    """The official exporter of OTLP over HTTP, by way of ``OTelExporter``."""

    unclear_is_lost = True

    def exporter(self, timeout: float, interval: float):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )

        theirs = OTLPSpanExporter(f"{self.sink.url}/v1/traces", timeout=timeout)
        return OTelExporter(theirs, timeout=timeout, interval=interval)
