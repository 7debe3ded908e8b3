"""The HTTP client of the push exporters: one total deadline, everything bounded."""

from collections.abc import Mapping
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from obs._fork import on_fork
from obs.errors import ExportFailed, shown
from obs.limits import Limits
from obs_exporters._http_answer import Answer, AnswerReader
from obs_exporters._http_connection import (
    Connection,
    Tls,
    check_tls,
    is_tls_alert,
    is_tls_error,
    make_context,
    reason_of,
)
from obs_exporters._http_target import (
    TARGET,
    Headers,
    check_headers,
    check_url,
    current_headers,
    lower_names,
    wrong_header,
)

if TYPE_CHECKING:
    import ssl

__all__ = ["NO_HEADERS", "Answer", "Headers", "HttpClient", "Tls", "failed", "gzipped"]

ANSWER_BYTES = Limits().answer_bytes
"""Bytes of an answer's body that are read; past it, the connection is closed."""

GZIP_BYTES = 1_024
"""A body up to this length is not packed: nothing would be won."""

RETRY_AFTER_SECONDS = 3_600.0
"""The longest wait that a backend may ask for."""

RETRYABLE = frozenset({429, 502, 503, 504})
"""Statuses after which the same body may be sent again, and after no others.

Those of the OTLP specification ("Retryable Response Codes"). Not 500: backends answer so to
a body that they cannot take, Zipkin to one that is too large.
"""

_FROM_GATEWAYS = (502, 504)
_IMPORTS = ("zlib", "email.utils", "encodings.idna")
"""For bodies, for dates in Retry-After; the last is what ``getaddrinfo`` imports."""
_SHOWN_BYTES = 200
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class HttpClient:
    """Sends to one URL over one connection, which is kept while the backend keeps it.

    It follows no redirect, takes no proxy from the environment and unpacks no answer.
    Constructing opens nothing and imports neither ``ssl`` nor ``http.client``.

    Args:
        exporter: The exporter's name, for texts.
        url: ``http://`` or ``https://``, host, and optionally port, path and
            ``user:password@`` (percent-encoded), which goes out as basic authorization.
        headers: Sent with each request, or a function that is asked for them each time.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``; None trusts the
            issuers of the system.

    Attributes:
        imports: The modules that a post may import.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: one at a time.
    """

    def __init__(
        self,
        exporter: str,
        url: str,
        *,
        headers: Headers = NO_HEADERS,
        tls: "Tls | ssl.SSLContext | None" = None,
    ) -> None:
        self._exporter = exporter
        self._address = check_url(exporter, url)
        self._headers = check_headers(exporter, headers)
        check_tls(exporter, tls, self._address.secure)
        self._tls = tls
        self.imports: tuple[str, ...] = _IMPORTS
        if self._address.secure:
            self.imports += ("ssl",)
        self._context: ssl.SSLContext | None = None
        self._connection: Connection | None = None
        on_fork(self)

    @property
    def url(self) -> str:
        """The URL, without user and password."""
        return self._address.url

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        """Send a POST; see ``request``."""
        return self.request("POST", path, body, headers, deadline)

    def request(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Answer:
        """Send one request and read its answer, whatever its status.

        Args:
            method: One that may be sent twice: a connection that the backend had closed
                is opened anew.
            path: What to add to the URL's own path, a query included.
            body: All of it.
            headers: Of this request; they go before those of the client.
            deadline: When to be done, by ``time.monotonic()``, in seconds.

        Raises:
            ExportFailed: There was no answer in time; it may be tried again.
        """
        request = self._request(method, path, body, headers)
        was_sent = False
        connection = self._living_connection()
        while True:
            is_reused = connection is not None
            if connection is None:
                connection = self._connection = Connection(deadline)
            connection.deadline = deadline
            try:
                return self._exchange(connection, request, is_open=is_reused)
            except (OSError, ValueError) as error:
                if is_tls_error(error):
                    self._context = None  # its files may have been renewed
                was_sent |= connection.sent
                has_timed_out = isinstance(error, TimeoutError)
                if not is_reused or connection.answered or has_timed_out:
                    doing = f"{connection.doing}: " if connection.doing else ""
                    text = f"{doing}{reason_of(error)}"
                    raise self._failure(text, sent=was_sent) from error
            connection = None  # the backend had closed it meanwhile: once more

    def close(self) -> None:
        """Close the connection; a later post opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self.close()

    def _living_connection(self) -> Connection | None:
        connection = self._connection
        if connection is not None and not connection.is_alive():
            self.close()
        return self._connection

    def _exchange(
        self, connection: Connection, request: bytes, *, is_open: bool
    ) -> Answer:
        keep = False
        try:
            if not is_open:
                address = self._address
                context = self._tls_context() if address.secure else None
                connection.open(address.host, address.port, context)
            try:
                connection.send(request)
            except OSError:
                # Who refuses a large body may answer before it has read it.
                if (answer := self._early_refusal(connection)) is not None:
                    return answer
                raise
            reader = AnswerReader(connection.receive, ANSWER_BYTES)
            answer = reader.read()
            keep = reader.keep
            return answer
        finally:
            if not keep:
                self.close()

    def _early_refusal(self, connection: Connection) -> Answer | None:
        reader = AnswerReader(connection.receive_ready, ANSWER_BYTES)
        try:
            answer = reader.read()
        except (OSError, ValueError) as error:
            if is_tls_alert(error):
                raise  # it tells more than that nothing could be sent
            return None
        return answer if answer.status >= 400 else None

    def _tls_context(self) -> "ssl.SSLContext":
        if self._tls is not None and not isinstance(self._tls, Tls):
            return self._tls
        if self._context is None:
            self._context = make_context(self._tls or Tls())
        return self._context

    def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> bytes:
        address = self._address
        base = address.path.rstrip("/") if path.startswith("/") else address.path
        target = base + path
        if not TARGET.fullmatch(target):
            text = f"path got {shown(path)}, needs visible ASCII"
            raise self._failure(text)
        own = current_headers(self._headers, self._failure)
        merged = {**address.headers, **own, **lower_names(headers)}
        wrong = wrong_header(merged.items())
        if wrong:
            raise self._failure(wrong)
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in merged.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def _failure(self, text: str, *, sent: bool = False) -> ExportFailed:
        text = f"exporter {self._exporter!r}: {self.url}: {text}."
        return ExportFailed(text, retryable=True, sent=sent)

    def __repr__(self) -> str:
        return f"HttpClient({self.url!r})"


def failed(exporter: str, answer: Answer) -> ExportFailed:
    """Give the exception for an answer that is not 2xx.

    Args:
        exporter: The exporter's name.
        answer: What came.

    Returns:
        Retryable by ``RETRYABLE``, with the reason ``http_<status>`` and what
        ``Retry-After`` asks for (seconds or a date, at most an hour; what is negative or
        junk is ignored). ``sent`` only where a gateway answered, which does not know: all
        else says that nothing was taken.
    """
    status = answer.status
    text = f"exporter {exporter!r}: the backend answered {status}"
    if "location" in answer.headers:
        text += f" to {shown(answer.headers['location'])}, redirects are not followed"
    if answer.body:
        text += f": {answer.body[:_SHOWN_BYTES].decode('utf-8', 'replace')!r}"
    return ExportFailed(
        f"{text}.",
        retryable=status in RETRYABLE,
        retry_after=_retry_after(answer.headers.get("retry-after", "")),
        sent=status in _FROM_GATEWAYS,
        reason=f"http_{status}",
    )


def gzipped(body: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Pack a body that is longer than 1 KiB.

    Returns:
        The body as it is to be sent, and the headers that say so.
    """
    if len(body) <= GZIP_BYTES:
        return body, NO_HEADERS
    from zlib import compress  # noqa: PLC0415 - a body under 1 KiB needs none

    # Level 3: 2.6 times as fast as the usual 6 on spans in JSON, and 9 % larger.
    return compress(body, 3, wbits=31), {"content-encoding": "gzip"}


def _retry_after(value: str) -> float | None:
    if value.isascii() and value.isdigit():
        # Of a number with thousands of digits int() would raise.
        return min(float(value[:400]), RETRY_AFTER_SECONDS)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only for a Retry-After

    try:
        seconds = parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(seconds, RETRY_AFTER_SECONDS) if seconds >= 0 else None
