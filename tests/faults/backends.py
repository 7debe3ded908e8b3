"""What the cells of the fault matrix send to: a sink, its protocol, its exporter."""

import json
import threading
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from time import sleep
from typing import ClassVar, Self

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from obs.errors import ExportFailed
from obs.model import Ack
from obs_exporters import OTelExporter, OTLPExporter, Tls, ZipkinExporter
from tests.delivery.scripted import Scripted, down, refused
from tests.exporters.otlp.grpc_backend import Backend
from tests.faults.certificates import KINDS
from tests.faults.modes import Mode, answer
from tests.faults.relay import Relay
from tests.faults.sink import Sink

REFUSED = 3
"""How many spans of each request the mode ``partial`` refuses."""


def otlp_ids(body: bytes) -> list[object]:
    """Give the ids in a request of OTLP, read by its official classes; metrics have none."""
    try:
        request = service.ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return []
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
    keeps_deadlines = True
    """Whether a send ends when it is told to."""

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
            self.sink.mode = partial_success() if self.mode == "partial" else self.mode

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
            for one, following in pairwise(requests)
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
    keeps_deadlines = False

    def exporter(self, timeout: float, interval: float):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )

        theirs = OTLPSpanExporter(f"{self.sink.url}/v1/traces", timeout=timeout)
        return OTelExporter(theirs, timeout=timeout, interval=interval)


class OtlpGrpc:
    """OTLP over gRPC to a server of this process, through a relay that misbehaves.

    Modes are those of the relay; ``reset_before_answer``, a RST when the request has been
    taken; and a code such as ``UNAVAILABLE``, which takes nothing.
    """

    unclear_is_lost = False
    keeps_deadlines = True

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._behaves = True
        self._server = Backend()
        self._server.answer = self._answer
        self._relay = Relay(self._server.port)
        self._arrived: Counter[object] = Counter()
        self._unanswered: set[object] = set()

    def __enter__(self) -> Self:
        self._server.__enter__()
        self._relay.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._relay.__exit__(*error)
        self._server.__exit__(*error)

    def exporter(self, timeout: float, interval: float):
        return OTLPExporter(
            f"http://127.0.0.1:{self._relay.port}",
            protocol="grpc",
            timeout=timeout,
            interval=interval,
            signals=["traces"],
        )

    def fault(self) -> None:
        self._behaves = False
        if self.mode in ("refuse", "never_read", "reset"):
            self._relay.mode = self.mode

    def mend(self) -> None:
        self._behaves = True
        self._relay.mode = "ok"

    def arrived(self) -> Counter[object]:
        return self._arrived.copy()

    def unanswered(self) -> set[object]:
        return self._unanswered

    def _answer(self, call, context) -> bytes:
        ids = otlp_ids(call.body)
        if not self._behaves and self.mode.isupper():
            context.abort(grpc.StatusCode[self.mode], "no")
        self._arrived.update(ids)
        if not self._behaves and self.mode == "reset_before_answer":
            self._unanswered |= set(ids)
            self._relay.cut(reset=True)
        return b""


class ByScript:
    """An exporter without a network, whose ``send`` does what the mode says."""

    unclear_is_lost = False

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.keeps_deadlines = mode != "hangs"
        self._arrived: Counter[object] = Counter()
        self._unanswered: set[object] = set()
        self._mended = threading.Event()
        self._mended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._mended.set()

    def exporter(self, timeout: float, interval: float):
        scripted = Scripted(timeout=timeout, interval=interval)
        scripted.always = self._answer
        return scripted

    def fault(self) -> None:
        self._mended.clear()

    def mend(self) -> None:
        self._mended.set()

    def arrived(self) -> Counter[object]:
        return self._arrived.copy()

    def unanswered(self) -> set[object]:
        return self._unanswered

    def times(self, status: int) -> list[tuple[float, float]]:
        return []

    def _answer(self, payload):
        if self._mended.is_set():
            return self._take(payload)
        return self._FAULTS[self.mode](self, payload)

    def _take(self, payload, *_):
        self._arrived.update(payload.body)
        return Ack(payload.records)

    def _lost_answer(self, payload, **more):
        self._take(payload)
        self._unanswered |= set(payload.body)
        return ExportFailed("no answer", sent=True, **more)

    def _hang(self, payload):
        self._mended.wait(30)
        return self._take(payload)

    def _slow(self, payload):
        sleep(0.1)
        return self._take(payload)

    def _partly(self, payload):
        ack = self._take(payload)
        rejected = min(REFUSED, ack.accepted)
        return Ack(ack.accepted - rejected, {"partial_success": rejected})

    _FAULTS: ClassVar = {
        "down": lambda self, _: down(),
        "503, held": lambda self, _: down(retry_after=3600.0),
        "refused": lambda self, _: refused(),
        "lost_answer": lambda self, it: self._lost_answer(it, retryable=True),
        "lost_for_good": _lost_answer,
        "raises": lambda self, _: ValueError("x"),
        "exits": lambda self, _: SystemExit(),
        "no_memory": lambda self, _: MemoryError(),
        "answers_nonsense": lambda self, _: "fine",
        "hangs": _hang,
        "slow": _slow,
        "partial": _partly,
    }
