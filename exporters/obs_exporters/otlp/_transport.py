"""What carries a request to a backend: HTTP here, gRPC in its own module."""

from typing import TYPE_CHECKING, Protocol

from obs_exporters._http_client import Headers, HttpClient, Tls, failed, gzipped
from obs_exporters.otlp._answers import status_message
from obs_exporters.otlp._envelope import Body

if TYPE_CHECKING:
    import ssl

_PROTOBUF = "application/x-protobuf"


class Transport(Protocol):
    """Sends a request and gives the answer.

    Attributes:
        imports: The modules that ``send`` may import.
    """

    imports: tuple[str, ...]

    def send(self, body: Body, deadline: float) -> bytes:
        """Give the answer's message; raises ``ExportFailed`` where it is not a success."""
        ...

    def close(self) -> None:
        """Let go of the connection; a later ``send`` opens another."""
        ...


class HttpTransport:
    """Posts protobuf to ``/v1/traces``, ``/v1/metrics`` and ``/v1/logs``.

    Args:
        exporter: The exporter's name, for texts.
        url: The backend's base address.
        headers: Sent with each request.
        tls: Whom to trust and who to be.
        gzip: Whether to pack bodies over 1 KiB.
    """

    def __init__(
        self,
        exporter: str,
        url: str,
        headers: Headers,
        tls: "Tls | ssl.SSLContext | None",
        *,
        gzip: bool,
    ) -> None:
        self._exporter = exporter
        self._client = HttpClient(exporter, url, headers=headers, tls=tls)
        self.imports = self._client.imports
        self._gzip = gzip

    def send(self, body: Body, deadline: float) -> bytes:
        """Post a request; see ``Transport``."""
        packed, headers = gzipped(body) if self._gzip else (body, {})
        headers = {"content-type": _PROTOBUF, **headers}
        answer = self._client.post(f"/v1/{body.signal}", packed, headers, deadline)
        if not 200 <= answer.status < 300:
            if answer.headers.get("content-type") == _PROTOBUF:
                answer = answer._replace(body=status_message(answer.body))
            raise failed(self._exporter, answer)
        return answer.body

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
