"""The exporter: spans go to a Zipkin server, or to whoever speaks its v2 API."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obs.model import Ack, Batch, Delivery, Payload
from obs_exporters._http_client import (
    NO_HEADERS,
    Headers,
    HttpClient,
    Tls,
    failed,
    gzipped,
)
from obs_exporters._push import check_push
from obs_exporters.zipkin._spans import encode_spans

if TYPE_CHECKING:
    import ssl


class ZipkinExporter:
    """Sends finished spans to Zipkin as v2 JSON.

    What Zipkin would refuse is mended, as one bad span refuses its whole list; a span
    without ids is left out and counted as ``invalid``. Bodies over 1 KiB are gzipped if
    they are ASCII. The statuses 429, 502, 503 and 504 are tried again; a list that is
    refused otherwise is divided until the span that is not liked stands alone. A list
    that arrives twice does no harm.

    Args:
        url: Where spans are posted; ``/api/v2/spans`` of a host without a path.
        headers: Sent with each request, or a function that is asked for them each time.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``.
        interval: Seconds between pushes of metrics; spans do not wait for it.
        timeout: Seconds that one request may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9411/api/v2/spans",
        *,
        headers: Headers = NO_HEADERS,
        tls: "Tls | ssl.SSLContext | None" = None,
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "zipkin",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("traces",),
        )
        self.name = name
        self.delivery = Delivery(interval=interval, timeout=timeout)
        self._client = HttpClient(name, url, headers=headers, tls=tls)
        self.imports = (*self._client.imports, "orjson")
        has_path = urlsplit(self._client.url).path.strip("/")
        self._path = "" if has_path else "/api/v2/spans"

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give JSON lists of spans, none over ``delivery.max_bytes`` but of one span."""
        return encode_spans(batch, self.delivery.max_bytes)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Post one list; Zipkin takes all of it or nothing.

        Raises:
            ExportFailed: It was refused, or there was no answer before ``deadline``.
        """
        body: Any = payload.body
        headers = {"content-type": "application/json"}
        # Zipkin 3.5.1 unpacks 8 KiB at a time and reads each piece by itself: a character
        # of several bytes that lies across two of them becomes question marks.
        if body.isascii():
            body, packed = gzipped(body)
            headers |= packed
        answer = self._client.post(self._path, body, headers, deadline)
        if not 200 <= answer.status < 300:
            raise failed(self.name, answer)
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Let go of the connection; a later ``send`` opens another."""
        self._client.close()

    def __repr__(self) -> str:
        return f"ZipkinExporter({self._client.url.rstrip('/') + self._path!r})"
