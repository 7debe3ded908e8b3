"""The exporter: batches become requests, requests go out by HTTP or gRPC."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from obs._diag import Diag
from obs.model import Ack, Batch, Delivery, Payload, Temporality
from obs_exporters._http_client import NO_HEADERS, Headers, Tls
from obs_exporters._push import SIGNALS, check_integer, check_push, wrong_argument
from obs_exporters.otlp._answers import partial_success
from obs_exporters.otlp._grpc import GrpcTransport
from obs_exporters.otlp._logs import encode_logs
from obs_exporters.otlp._metrics import MetricsEncoder
from obs_exporters.otlp._points import Prefixes
from obs_exporters.otlp._spans import encode_spans
from obs_exporters.otlp._transport import HttpTransport, Transport

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 1024 * 1024
LEAST_BYTES = 16 * 1024
MOST_BYTES = 64 * 1024 * 1024
_SHOWN_CHARS = 200


class OTLPExporter:
    """Sends metrics, logs and traces to an OpenTelemetry Collector or any OTLP backend.

    Args:
        url: ``http://`` or ``https://``, host and port: 4318 for HTTP, mostly, 4317 for
            gRPC. For HTTP a path may follow, to which ``/v1/traces`` and so on is added.
        protocol: ``http/protobuf``, which needs no other library, or ``grpc``.
        headers: Sent with each request, or a function that is asked for them each time,
            such as for a token that expires. It is called on the exporter's own thread.
        temporality: ``cumulative``, or ``delta`` for backends that want increases.
        compression: ``gzip`` packs bodies over 1 KiB (gRPC: all), None packs none.
        tls: Whom to trust and who to be; over HTTP also an ``ssl.SSLContext``. None
            trusts the issuers of the system (gRPC: those that grpcio brings).
        max_bytes: The largest request before packing, 16 KiB to 64 MiB. A Collector takes
            20 MiB over HTTP and 4 MiB over gRPC.
        interval: Seconds between pushes of metrics.
        timeout: Seconds that one request may take.
        signals: Which of ``metrics``, ``logs``, ``traces``.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: one at a time.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:4318",
        *,
        protocol: Literal["http/protobuf", "grpc"] = "http/protobuf",
        headers: Headers = NO_HEADERS,
        temporality: Temporality = "cumulative",
        compression: Literal["gzip"] | None = "gzip",
        tls: "Tls | ssl.SSLContext | None" = None,
        max_bytes: int = MAX_BYTES,
        interval: float = 10.0,
        timeout: float = 10.0,
        signals: Iterable[str] = SIGNALS,
        name: str = "otlp",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=signals,
            temporality=temporality,
        )
        self.name = name
        _check(name, protocol, compression, max_bytes)
        self.delivery = Delivery(interval, timeout, max_bytes, temporality)
        kind = GrpcTransport if protocol == "grpc" else HttpTransport
        gzip = compression == "gzip"
        self._transport: Transport = kind(name, url, headers, tls, gzip=gzip)
        self.imports = self._transport.imports
        if url.rstrip("/").endswith(tuple(f"/v1/{signal}" for signal in SIGNALS)):
            needs = "the base address: /v1/traces and so on is added to it"
            raise wrong_argument(name, "url", url.rpartition("@")[2], needs)
        self._shown = f"OTLPExporter({url.rpartition('@')[2]!r}, protocol={protocol!r})"
        self._prefixes = Prefixes()
        self._diag = Diag()

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give the requests of a batch; what cannot be encoded is counted in them.

        Metrics are divided so that no request is larger than ``delivery.max_bytes``; spans
        and logs are one request.
        """
        self._diag.service = batch.resource.attributes.get("service.name", "")
        if batch.signal == "metrics":
            encoder = MetricsEncoder(batch, self._prefixes, self.delivery.max_bytes)
            yield from encoder.payloads()
            self._prefixes = encoder.prefixes
        elif batch.records:
            encode = encode_spans if batch.signal == "traces" else encode_logs
            yield encode(batch)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Send a request and read what the backend says of it.

        What it refuses in a partial success counts as rejected, ``partial_success``, and
        is not sent again; a partial success that refuses nothing is a warning. The text of
        either goes to stderr, at most once a minute.

        Args:
            payload: One that ``encode`` gave.
            deadline: When to be done, by ``time.monotonic()``, in seconds.

        Raises:
            ExportFailed: There was no answer, or one that says no.
        """
        answer = self._transport.send(payload.body, deadline)
        rejected, message = partial_success(answer)
        rejected = min(rejected, payload.records)
        if rejected or message:
            self._diag.say(
                "partial_success",
                f"exporter {self.name!r}: the backend refused {rejected} of "
                f"{payload.records} records: {message[:_SHOWN_CHARS]!r}.",
            )
        accepted = payload.records - rejected
        return Ack(accepted, {"partial_success": rejected} if rejected else {})

    def close(self, deadline: float) -> None:
        """Let go of the connection; a later ``send`` opens another."""
        self._transport.close()

    def __repr__(self) -> str:
        return self._shown


def _check(name: str, protocol: object, compression: object, max_bytes: object) -> None:
    if protocol not in ("http/protobuf", "grpc"):
        raise wrong_argument(name, "protocol", protocol, "'http/protobuf' or 'grpc'")
    if compression not in ("gzip", None):
        raise wrong_argument(name, "compression", compression, "'gzip' or None")
    check_integer(name, "max_bytes", max_bytes, LEAST_BYTES, MOST_BYTES)
