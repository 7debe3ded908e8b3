"""What carries a body to InfluxDB: our own HTTP client, or the user's influxdb-client."""

import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.errors import ExportFailed, type_name
from obs_exporters._http_client import (
    ANSWER_BYTES,
    Answer,
    HttpClient,
    Tls,
    gzipped,
)
from obs_exporters._http_target import lower_names
from obs_exporters._push import wrong_argument
from obs_exporters.influxdb._target import Login, Target

if TYPE_CHECKING:
    import ssl

    from influxdb_client.client.influxdb_client import InfluxDBClient

_TEXT = "text/plain; charset=utf-8"
_SHOWN_CHARS = 200


class Transport(Protocol):
    """Posts a body and gives the answer.

    Attributes:
        imports: The modules that ``post`` may import.
        url: Where to, without user and password.
    """

    imports: tuple[str, ...]

    @property
    def url(self) -> str: ...

    def post(self, body: bytes, deadline: float) -> Answer:
        """Give the answer, whatever its status; raises ``ExportFailed`` without one."""
        ...

    def close(self) -> None:
        """Let go of the connection; a later ``post`` opens another."""
        ...


class OwnTransport:
    """Posts by our own client: one total deadline, and 64 KiB of an answer.

    Args:
        exporter: The exporter's name, for texts.
        url: The server's address.
        target: Where to write.
        login: As whom.
        tls: Whom to trust and who to be.
    """

    def __init__(
        self,
        exporter: str,
        url: str,
        target: Target,
        login: Login,
        tls: "Tls | ssl.SSLContext | None",
    ) -> None:
        self._client = HttpClient(exporter, url, headers=login.headers, tls=tls)
        self._path = f"{target.path}?{urlencode(target.parameters)}"
        self.imports = self._client.imports

    @property
    def url(self) -> str:
        """Where to, without user and password."""
        return self._client.url

    def post(self, body: bytes, deadline: float) -> Answer:
        """Post a body, packed if it is over 1 KiB; see ``Transport``."""
        packed, headers = gzipped(body)
        headers = {"content-type": _TEXT, **headers}
        return self._client.post(self._path, packed, headers, deadline)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class LibraryTransport:
    """Posts with the settings of an ``InfluxDBClient``, over connections of its own.

    The library knows no total deadline: each wait for the network may take what is left of
    the time. An answer that is no success it reads whole, and unpacks.

    Args:
        exporter: The exporter's name, for texts.
        client: The user's; it is read, and neither changed nor closed.
        target: Where to write.
    """

    imports: tuple[str, ...] = (
        "email.utils",
        "encodings.idna",
        "gzip",
        "json",
        "urllib3.exceptions",
        "zlib",
    )

    def __init__(self, exporter: str, client: "InfluxDBClient", target: Target) -> None:
        self._exporter = exporter
        self._target = target
        self._client: Any = client
        # Taken now: an InfluxDBClient that is closed has none.
        self._kind = type(self._client.api_client)
        self._headers = dict(self._client.api_client.default_headers)
        self._api: Any = None
        self._of_parents: list[object] = []
        on_fork(self)

    @property
    def url(self) -> str:
        """Where to, without user and password."""
        scheme, _, rest = str(self._client.url).partition("//")
        return f"{scheme}//{rest.rpartition('@')[2]}"

    def post(self, body: bytes, deadline: float) -> Answer:
        """Post a body, packed if it is over 1 KiB; see ``Transport``."""
        from influxdb_client.rest import ApiException  # noqa: PLC0415 - the user's
        from urllib3.exceptions import (  # noqa: PLC0415 - the library's
            ConnectTimeoutError,
            NewConnectionError,
        )

        left = deadline - monotonic()
        if not left > 0:
            raise self._failure("out of time", sent=False)
        try:
            return _answer(self._write(body, left))
        except ApiException as error:
            if error.status:
                return _answer(error)
            raise self._failure(error.reason, sent=True) from error  # of TLS
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise self._failure(error, sent=False) from error
        except BaseException as error:
            if is_the_hosts(error):
                raise
            raise self._failure(error, sent=True) from error

    def close(self) -> None:
        """Close the connections."""
        api, self._api = self._api, None
        if api is not None:
            api.cookie = None  # else its end would ask the server to end a session
            api.rest_client.pool_manager.clear()

    def after_fork_in_child(self) -> None:
        """Leave the connections to the parent."""
        # Kept, as its end takes locks that a thread of the parent may have held.
        self._of_parents.append(self._api)
        self._api = None

    def _write(self, body: bytes, seconds: float) -> Any:
        """Give the library's answer to a body."""
        from influxdb_client.service.write_service import (  # noqa: PLC0415 - the user's
            WriteService,
        )

        if self._api is None:
            # Without retries it follows no redirect, either.
            self._api = self._kind(self._client.conf, retries=False)
            self._api.default_headers.update(self._headers)
        target = self._target
        options: dict[str, Any] = {
            "_preload_content": False,
            "_request_timeout": 1_000 * seconds,
        }
        packed, coding = gzipped(body)
        if target.is_bucket:
            if self._client.conf.enable_gzip:
                packed = body  # the library packs it
            elif coding:
                options["content_encoding"] = coding["content-encoding"]
            parameters = target.parameters
            org = parameters.get("org") or self._client.org or ""
            service: Any = WriteService
            return service(self._api).post_write(
                org, parameters["bucket"], packed, precision="ns", **options
            )
        return self._api.call_api(
            target.path,
            "POST",
            query_params=list(target.parameters.items()),
            header_params={"Content-Type": _TEXT, **coding},
            body=packed,
            _return_http_data_only=True,
            **options,
        )

    def _failure(self, why: object, *, sent: bool) -> ExportFailed:
        said = f"{type_name(why)}: {why}" if isinstance(why, BaseException) else why
        text = f"exporter {self._exporter!r}: {self.url}: {str(said)[:_SHOWN_CHARS]}."
        return ExportFailed(text, retryable=True, sent=sent)


def check_client(exporter: str, client: object) -> None:
    """Check the ``client`` argument; raises DefinitionError."""
    library = sys.modules.get("influxdb_client")  # who has a client has imported it
    is_one = library is not None and isinstance(client, library.InfluxDBClient)
    if not is_one or getattr(client, "api_client", None) is None:
        needs = "an influxdb_client.InfluxDBClient that is not closed"
        # Its type alone: it may be a url with a password.
        raise wrong_argument(exporter, "client", type(client), needs)


def _answer(response: Any) -> Answer:
    """Give what the library gave, or raised, as an answer."""
    body = getattr(response, "body", None) or b""
    if getattr(response, "length_remaining", None) == 0:
        response.read()  # nothing; it makes the connection ready for the next body
        response.release_conn()
    elif hasattr(response, "close"):
        response.close()  # a success says nothing more
    headers = lower_names(dict(response.headers or {}))
    return Answer(response.status, headers, body[:ANSWER_BYTES])
