"""OTLP over gRPC, by grpcio, which is imported when the lane starts.

In a forked child a new channel is made, and it works: grpcio 1.85 restarts its threads in
the child, also where another thread of the parent was in a call (it then says "skipping
fork() handlers" on stderr). Where that is switched off (``GRPC_ENABLE_FORK_SUPPORT=0``)
and the parent had a channel, a call in the child never ends, not even by its own timeout:
so the wait for it is ours. Forked children of such a process should use HTTP.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any

from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.errors import DefinitionError, ExportFailed, shown, type_name
from obs_exporters._http_client import ANSWER_BYTES, RETRY_AFTER_SECONDS, Headers, Tls
from obs_exporters._http_connection import check_tls
from obs_exporters._http_target import check_headers, check_url, current_headers
from obs_exporters.otlp._answers import retry_delay

if TYPE_CHECKING:
    from obs_exporters.otlp._envelope import Body

_UNCLEAR = frozenset({"DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE"})
"""Codes of a lost connection, too: they do not say that nothing was taken.

Not UNKNOWN, which a server sends when its handler raised: one record may be to blame.
"""

RETRYABLE = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
"""After these codes a request may be sent again; after RESOURCE_EXHAUSTED, too, where the
backend says when, and after no others.

Source: OTLP specification 1.x, "Failures" of OTLP/gRPC.
"""

_METHODS = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
}
_OPTIONS = (
    ("grpc.max_receive_message_length", ANSWER_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.primary_user_agent", "obs-sdk"),
    # No proxy out of the environment, no retries and no waits behind the lane's back.
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
)
_NOT_CONNECTED = ("failed to connect to all addresses", "DNS resolution failed")
_ANSWER_TOO_LARGE = "CLIENT: Received message larger than max"
"""Servers say the like of a request that is too large for them, without CLIENT."""
_GRACE_SECONDS = 0.2
"""How much later than the call's own timeout the wait for it ends."""
_SHOWN_CHARS = 200
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")


class GrpcTransport:
    """Calls ``Export`` of the three services.

    Args:
        exporter: The exporter's name, for texts.
        url: ``http://`` for plain text, ``https://`` for TLS; host and port.
        headers: Sent as metadata with each call.
        tls: Whom to trust and who to be; None trusts the issuers that grpcio brings.
        gzip: Whether to pack messages.

    Raises:
        DefinitionError: An argument breaks its rule, or grpcio is not installed.

    Threads: one at a time.
    """

    imports: tuple[str, ...] = ("grpc", "grpc._channel")

    def __init__(
        self, exporter: str, url: str, headers: Headers, tls: object, *, gzip: bool
    ) -> None:
        address = check_url(exporter, url)
        check_tls(exporter, tls, address.secure)
        self._exporter = exporter
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._target = f"{host}:{address.port}"
        self._secure = address.secure
        self._headers = check_headers(exporter, headers)
        self._tls = tls if isinstance(tls, Tls) else Tls()
        self._gzip = gzip
        self._channel: Any = None
        self._left: list[Any] = []
        wrong = self._wrong(url, address.path, tls)
        if wrong:
            text = f"exporter {exporter!r}: {wrong}."
            raise DefinitionError(text)
        on_fork(self)

    def _wrong(self, url: str, path: str, tls: object) -> str:
        """Say which argument gRPC does not take; empty if it takes all."""
        if "@" in url:
            return "url has a user, but gRPC takes none. Put the secret into headers="
        if path != "/":
            return f"url has the path {shown(path)}, but gRPC takes none. Leave it out"
        if tls is not None and not isinstance(tls, Tls):
            return f"tls got {shown(tls)}, but gRPC needs a Tls with files"
        if find_spec("grpc") is None:
            return (
                "protocol='grpc' needs grpcio, which is not installed. Install "
                "'obs-sdk[otlp]', or use protocol='http/protobuf'"
            )
        return "" if callable(self._headers) else _wrong_header(self._headers)

    def send(self, body: "Body", deadline: float) -> bytes:
        """Call ``Export``; see ``Transport``."""
        metadata = self._metadata()
        left = deadline - monotonic()
        if left <= 0:
            raise self._failure("there was no time left")
        call = None
        try:
            channel = self._channel = self._channel or self._open()
            # No serializers: bytes go out and come in as they are.
            method = channel.unary_unary(_METHODS[body.signal])
            call = method.future(bytes(body), timeout=left, metadata=metadata)
            return call.result(timeout=left + _GRACE_SECONDS)  # type: ignore[no-any-return]
        except BaseException as error:
            if is_the_hosts(error):
                if call is not None:
                    call.cancel()
                raise
            return self._ended(error, sent=call is not None)

    def close(self) -> None:
        """Close the channel; a later call opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def after_fork_in_child(self) -> None:
        """Leave the channel to the parent."""
        self._leave()

    def _open(self) -> Any:
        grpc = _library()
        packing = grpc.Compression.Gzip if self._gzip else None
        if not self._secure:
            return grpc.insecure_channel(self._target, _OPTIONS, packing)
        tls = self._tls
        chain, key = _read(tls.cert_file), _read(tls.key_file or tls.cert_file)
        credentials = grpc.ssl_channel_credentials(_read(tls.ca_file), key, chain)
        return grpc.secure_channel(self._target, credentials, _OPTIONS, packing)

    def _leave(self) -> None:
        """Never touch the channel again: grpcio's threads, which it needs, are gone.

        With a call that another thread of the parent was in, closing it would wait for
        ever, and break off that call in the parent (grpcio 1.85).
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            self._left.append(channel)

    def _metadata(self) -> list[tuple[str, str]]:
        headers = current_headers(self._headers, self._failure)
        wrong = _wrong_header(headers)
        if wrong:
            raise self._failure(wrong)
        return list(headers.items())

    def _ended(self, error: BaseException, *, sent: bool) -> bytes:
        """Give what a call that ended badly means: an exception, mostly."""
        if isinstance(error, ImportError):  # installed, but it does not load
            text = f"{type_name(error)}: {error}"
            raise self._failure(text) from error
        grpc = _library()
        if isinstance(error, grpc.RpcError):
            return self._answered(error)
        if isinstance(error, grpc.FutureTimeoutError):
            self._leave()
            text = "no end of the call by its deadline"
            raise self._failure(text, sent=True) from error
        self.close()
        # Of a file that cannot be read all is said; other texts might show a secret.
        text = type_name(error)
        if isinstance(error, OSError):
            text += f": {error}"
        raise self._failure(text, sent=sent) from error

    def _answered(self, error: Any) -> bytes:
        code, details = error.code().name, error.details() or ""
        if _ANSWER_TOO_LARGE in details:
            return b""  # with a refusal comes no answer, so it was taken
        is_connected = not details.startswith(_NOT_CONNECTED)
        if not is_connected or code == "DEADLINE_EXCEEDED":
            # The next one connects at once, and reads the files again. Over a connection
            # whose other end is gone, every call would miss its deadline for minutes.
            self.close()
        delay = _delay(error)
        retryable = code in RETRYABLE or (
            code == "RESOURCE_EXHAUSTED" and delay is not None
        )
        said = f"{code}: {details[:_SHOWN_CHARS]!r}" if details else code
        text = f"exporter {self._exporter!r}: {self._target} by gRPC: {said}."
        raise ExportFailed(
            text,
            retryable=retryable,
            retry_after=delay,
            sent=is_connected and code in _UNCLEAR,
            reason=f"grpc_{code.lower()}",
        ) from error

    def _failure(self, text: str, *, sent: bool = False) -> ExportFailed:
        text = f"exporter {self._exporter!r}: {self._target} by gRPC: {text}."
        return ExportFailed(text, retryable=True, sent=sent)


def _library() -> Any:
    """Give grpcio: 40 ms, for those who use it."""
    return import_module("grpc")


def _delay(error: Any) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            delay = retry_delay(value)
            return None if delay is None else min(delay, RETRY_AFTER_SECONDS)
    return None


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def _wrong_header(headers: Mapping[str, str]) -> str:
    """Say what gRPC does not take in the headers, without values; empty if nothing."""
    for name, value in headers.items():
        if (
            not isinstance(name, str)
            or not _KEY.fullmatch(name)
            or name.endswith("-bin")
        ):
            return f"header {shown(name)} is no name of a text in gRPC's metadata"
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            return f"the value of header {name!r} needs to be printable ASCII"
    return ""
