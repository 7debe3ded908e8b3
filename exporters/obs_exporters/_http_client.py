"""The HTTP client of the push exporters: one total deadline, everything bounded."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.errors import DefinitionError, ExportFailed, shown
from obs.limits import Limits
from obs_exporters._http_answer import Answer, AnswerReader
from obs_exporters._http_connection import Connection, Tls, make_context, reason_of
from obs_exporters._http_request import host_name

if TYPE_CHECKING:
    import ssl

__all__ = ["Answer", "Headers", "HttpClient", "Tls", "failed", "gzipped"]

Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]

ANSWER_BYTES = Limits().answer_bytes
GZIP_BYTES = 1_024
"""A body up to this length is not packed: nothing would be won."""

RETRY_AFTER_SECONDS = 3_600.0
"""The longest wait that a backend may ask for."""

_SHOWN_BYTES = 200
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_TARGET = re.compile(r"[!-~]*")
_OF_THE_CLIENT = ("content-length", "transfer-encoding", "connection")
_NONE: Mapping[str, str] = MappingProxyType({})


class _Address(NamedTuple):
    """A URL in parts; ``url`` is without user and password."""

    url: str
    secure: bool
    host: str
    port: int
    path: str
    headers: Mapping[str, str]


class HttpClient:
    """Posts to one URL over one connection, which is kept while the backend keeps it.

    It follows no redirect, takes no proxy from the environment and unpacks no answer.
    Constructing opens nothing and imports neither ``ssl`` nor ``http.client``.

    Args:
        exporter: The exporter's name, for texts.
        url: ``http://`` or ``https://``, host, and optionally port, path and
            ``user:password@`` (percent-encoded), which goes out as basic authorization.
        headers: Sent with each request, or a function that is asked for them each time.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``; None trusts the
            issuers of the system.
        answer_bytes: Bytes of an answer's body that are read; past it, the connection is
            closed.

    Attributes:
        url: Without user and password.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: one at a time; ``close`` from any.
    """

    def __init__(
        self,
        exporter: str,
        url: str,
        *,
        headers: Headers = _NONE,
        tls: "Tls | ssl.SSLContext | None" = None,
        answer_bytes: int = ANSWER_BYTES,
    ) -> None:
        self._exporter = exporter
        self._address = _parse(exporter, url)
        self._headers = headers if callable(headers) else _fixed(exporter, headers)
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._answer_bytes = answer_bytes
        self._connection: Connection | None = None
        self._is_busy = self._is_closed = False
        on_fork(self)

    @property
    def url(self) -> str:
        """The URL, without user and password."""
        return self._address.url

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        """Send one request and read its answer, whatever its status.

        Args:
            path: What to add to the URL's own path, a query included.
            body: All of it.
            headers: Of this request; they go before those of the client.
            deadline: When to be done, by ``time.monotonic()``, in seconds.

        Raises:
            ExportFailed: There was no answer in time; it may be tried again.
        """
        self._is_busy = True
        try:
            if self._is_closed:
                raise self._failure("it is closed")
            return self._post(self._request(path, body, headers), deadline)
        finally:
            self._is_busy = False
            if self._is_closed:
                self._drop()

    def close(self) -> None:
        """Close the connection; a post that runs on another thread fails."""
        self._is_closed = True
        connection = self._connection
        if self._is_busy and connection is not None:
            connection.interrupt()
        else:
            self._drop()

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self._drop()

    def _post(self, request: bytes, deadline: float) -> Answer:
        sent = False
        while True:
            is_reused = self._is_reusable(deadline)
            try:
                answer = self._exchange(request, deadline)
            except (OSError, ValueError) as error:
                connection = self._connection
                self._drop()
                may_be_idle_too_long = (
                    is_reused
                    and connection is not None
                    and not connection.answered
                    and not isinstance(error, TimeoutError)
                )
                doing = "" if connection is None else f"{connection.doing}: "
                sent |= connection is not None and connection.sent
                if not may_be_idle_too_long:
                    raise self._failure(doing + reason_of(error), sent=sent) from error
            except BaseException:
                self._drop()
                raise
            else:
                return answer

    def _is_reusable(self, deadline: float) -> bool:
        connection = self._connection
        if connection is not None and connection.is_alive():
            connection.deadline = deadline
            return True
        self._drop()
        return False

    def _exchange(self, request: bytes, deadline: float) -> Answer:
        connection = self._connection or self._connect(deadline)
        receive = connection.receive
        try:
            connection.send(request)
        except OSError:
            # A backend that refuses a large body may answer before it has read it.
            answer = self._early_refusal(connection)
            if answer is None:
                raise
            self._drop()
            return answer
        reader = AnswerReader(receive, self._answer_bytes)
        answer = reader.read()
        if not reader.keep:
            self._drop()
        return answer

    def _early_refusal(self, connection: Connection) -> Answer | None:
        try:
            reader = AnswerReader(connection.receive_ready, self._answer_bytes)
            answer = reader.read()
        except (OSError, ValueError):
            return None
        return answer if answer.status >= 400 else None

    def _connect(self, deadline: float) -> Connection:
        address = self._address
        context = self._tls_context() if address.secure else None
        connection = self._connection = Connection(deadline)
        try:
            connection.open(address.host, address.port, context)
        except (OSError, ValueError):
            self._context = None
            raise
        return connection

    def _tls_context(self) -> "ssl.SSLContext":
        if self._tls is not None and not isinstance(self._tls, Tls):
            return self._tls
        if self._context is None:
            self._context = make_context(self._tls or Tls())
        return self._context

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        address = self._address
        base = address.path.rstrip("/") if path.startswith("/") else address.path
        target = base + path
        if not _TARGET.fullmatch(target):
            text = f"path got {shown(path)}, needs visible ASCII"
            raise self._failure(text)
        merged = {**address.headers, **self._own_headers(), **_lower(headers)}
        wrong = _wrong_header(merged.items())
        if wrong:
            raise self._failure(wrong)
        lines = [f"POST {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in merged.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def _own_headers(self) -> Mapping[str, str]:
        if not callable(self._headers):
            return self._headers
        try:
            return _lower(self._headers())
        except BaseException as error:
            if is_the_hosts(error):
                raise
            text = f"headers() raised {type(error).__name__}"
            raise self._failure(text) from error

    def _failure(self, text: str, *, sent: bool = False) -> ExportFailed:
        text = f"exporter {self._exporter!r}: {self.url}: {text}."
        return ExportFailed(text, retryable=True, sent=sent)

    def __repr__(self) -> str:
        return f"HttpClient({self.url!r})"


def failed(
    exporter: str, answer: Answer, retryable: frozenset[int] | set[int]
) -> ExportFailed:
    """Give the exception for an answer that is not 2xx.

    Args:
        exporter: The exporter's name.
        answer: What came.
        retryable: Statuses after which the same body may be sent again.

    Returns:
        ``sent``, with the reason ``http_<status>`` and what ``Retry-After`` asks for
        (seconds or a date, at most an hour; what is negative or junk is ignored).
    """
    status = answer.status
    text = f"exporter {exporter!r}: the backend answered {status}"
    if "location" in answer.headers:
        text += f" to {shown(answer.headers['location'])}, redirects are not followed"
    if answer.body:
        text += f": {answer.body[:_SHOWN_BYTES].decode('utf-8', 'replace')!r}"
    return ExportFailed(
        f"{text}.",
        retryable=status in retryable,
        retry_after=_retry_after(answer.headers.get("retry-after", "")),
        sent=True,
        reason=f"http_{status}",
    )


def gzipped(body: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Pack a body that is longer than 1 KiB.

    Returns:
        The body as it is to be sent, and the headers that say so.
    """
    if len(body) <= GZIP_BYTES:
        return body, _NONE
    from zlib import compress  # noqa: PLC0415 - for those who use it

    return compress(body, wbits=31), {"content-encoding": "gzip"}


def _retry_after(value: str) -> float | None:
    if value.isascii() and value.isdigit():
        # Of a number with thousands of digits int() would raise.
        return min(float(value[:400]), RETRY_AFTER_SECONDS)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare
    from time import time  # noqa: PLC0415

    try:
        seconds = parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(seconds, RETRY_AFTER_SECONDS) if seconds >= 0 else None


def _parse(exporter: str, url: object) -> _Address:
    try:
        address = _parts(url) if isinstance(url, str) else None
    except ValueError:  # a port that is none, a bracket that is not closed
        address = None
    if address is None:
        seen = url
        if isinstance(url, str) and "@" in url:
            seen = "***@" + url.rpartition("@")[2]
        text = (
            f"exporter {exporter!r}: url got {shown(seen)}, needs http:// or https://, a "
            "host, and no query or fragment, in ASCII."
        )
        raise DefinitionError(text)
    return address


def _parts(url: str) -> _Address | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    path = parts.path or "/"
    authority = parts.netloc.rpartition("@")[2]
    if (
        parts.scheme not in ("http", "https")
        or not host_name(authority)
        or not _TARGET.fullmatch(url)
        or set(url) & set("?#")
        or parts.port == 0
    ):
        return None
    headers = {
        "host": authority,
        "user-agent": "obs-sdk",
        "accept-encoding": "identity",
    }
    if "@" in parts.netloc:
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        secret = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        headers["authorization"] = f"Basic {b64encode(secret).decode()}"
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    shown_url = f"{parts.scheme}://{authority}{parts.path}"
    return _Address(shown_url, is_secure, host, port, path, headers)


def _fixed(exporter: str, headers: object) -> Mapping[str, str]:
    try:
        found = _lower(headers)  # type: ignore[arg-type]
        wrong = _wrong_header(found.items())
    except (TypeError, AttributeError, ValueError):
        wrong = f"headers got {shown(type(headers))}, needs a mapping of texts"
        found = {}
    if wrong:
        text = f"exporter {exporter!r}: {wrong}."
        raise DefinitionError(text)
    return found


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _wrong_header(headers: Iterable[tuple[object, object]]) -> str:
    """Say what is wrong with the headers, without their values; empty if nothing is."""
    for name, value in headers:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"header {shown(name)} is no name of a header"
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            return (
                f"the value of header {name!r} needs to be text in latin-1 without line "
                "breaks or other control characters"
            )
        if name in _OF_THE_CLIENT:
            return f"header {name!r} is the client's own"
    return ""
