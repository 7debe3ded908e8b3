"""HTTP/1.1 requests and answers for the pull server: strict, bounded, no I/O.

Two parsers that disagree about where a line ends are how requests get smuggled, so
this one takes the one spelling of RFC 9112 and refuses the rest: lines end in CRLF (a
bare LF is refused), no folded header, no blank before a colon, no control characters.
One empty line before a request is skipped (RFC 9112, 2.2). Each byte is looked at a
fixed number of times.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from obs.errors import shown

# Where a pattern fails, no part of it can take over what its neighbour matched, so
# each is linear in the length of the text.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/([0-9]\.[0-9])".encode())
_HEADER = re.compile(rf"({_TOKEN}):([^\x00-\x08\x0a-\x1f\x7f]*)".encode())
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*)(.*)")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]*))(?::[0-9]*)?")
_ANSWER_NAME = re.compile(_TOKEN)
_ANSWER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_NO_BODY = (204, 304)
_OF_THE_SERVER = frozenset(
    {
        "cache-control",
        "connection",
        "content-length",
        "transfer-encoding",
        "x-content-type-options",
    }
)


class HttpLimits(NamedTuple):
    """What one server takes at most; times in seconds, on the monotonic clock.

    Attributes:
        request_line_bytes: Bytes of the request line with its line end; past it, 414.
        header_bytes: Bytes of all header lines with their line ends; past it, 431.
        header_lines: Header lines; past it, 431.
        connections: Connections held at a time.
        header_seconds: From accept (TLS handshake included), or from the first byte on
            a kept-alive connection, to the complete request; past it, closed.
        answer_seconds: From the complete request until all of the answer has been
            handed to the kernel, the handler included; past it, reset. It holds for
            those who read steadily, too: a client cannot stay by reading slowly.
        idle_seconds: From an answer to the next request's first byte.
        linger_seconds: How long a closed connection is read from, so that the last
            answer arrives (closing over unread bytes would reset the connection).
        burst_seconds: Where all connections got on within this time, a newcomer takes
            a place of the kind there is more of; see ``stalest_first``.
        accept_pause_seconds: How long nothing is accepted after accepting failed.
    """

    request_line_bytes: int = 4_096
    header_bytes: int = 8_192
    header_lines: int = 64
    connections: int = 16
    header_seconds: float = 5.0
    answer_seconds: float = 10.0
    idle_seconds: float = 30.0
    linger_seconds: float = 1.0
    burst_seconds: float = 1.0
    accept_pause_seconds: float = 0.1


class Request(NamedTuple):
    """One request, complete and well-formed; it has no body.

    Attributes:
        method: As sent, upper or lower case: ``GET``.
        path: From the target, as sent (percent signs are not decoded): ``/metrics``.
        query: What follows the first ``?``, or ``""``.
        headers: By lower-case name; values as latin-1 text, which keeps each byte.
            A header that came twice has both values, joined by ``", "``. ``host`` is
            the target's where the target was absolute (RFC 9112, 3.2.2).
        version: ``"1.0"``, ``"1.1"`` or another 1.x.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    version: str = "1.1"

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection stay open after the answer."""
        options = self.headers.get("connection", "").lower().split(",")
        wishes = {option.strip() for option in options}
        return "close" not in wishes and (
            self.version != "1.0" or "keep-alive" in wishes
        )


class Response(NamedTuple):
    """What a handler answers.

    Attributes:
        status: 200 to 599; 204 and 304 go out without a body.
        headers: Pairs of name and value, latin-1 without control characters. Length,
            connection, caching and sniffing are the server's: those are left out.
        body: All of it.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


Handler = Callable[[Request], Response]


class RequestError(Exception):
    """The bytes are no request that is served; the connection must close.

    Attributes:
        status: What to answer.
        head_only: Whether the method was HEAD, which forbids a body in the answer.
    """

    def __init__(self, status: int, *, head_only: bool = False) -> None:
        super().__init__(status)
        self.status = status
        self.head_only = head_only


class RequestParser:
    """The requests in one connection's bytes, one after the other.

    It holds at most ``request_line_bytes + header_bytes``, pipelined requests included.
    """

    __slots__ = (
        "_buffer", "_headers", "_limits", "_line_at", "_lines", "_part_at", "_scanned",
        "_start",
    )  # fmt: skip

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._start: tuple[str, str, str] | None = None
        self._headers: dict[str, str] = {}
        self._lines = self._part_at = self._line_at = self._scanned = 0

    @property
    def room(self) -> int:
        """How many bytes may be fed; at least 1 after ``next_request`` gave None."""
        limits = self._limits
        return limits.request_line_bytes + limits.header_bytes - len(self._buffer)

    @property
    def is_empty(self) -> bool:
        """Whether no byte of a next request is there."""
        return not self._buffer

    def feed(self, data: bytes) -> None:
        """Add received bytes, at most ``room`` of them."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """Take the next complete request out.

        Returns:
            The request, or None while bytes of it are missing.

        Raises:
            RequestError: What came cannot be served; nothing more can be parsed.
        """
        while (line := self._next_line()) is not None:
            if self._start is not None:
                if not line:
                    return self._finish(*self._start)
                self._add_header(line)
            elif line or self._line_at > 2:
                self._start = _request_line(line)
                self._part_at = self._line_at
        return None

    def _next_line(self) -> bytes | None:
        buffer = self._buffer
        found = buffer.find(b"\n", self._scanned)
        self._scanned = found + 1 or len(buffer)
        in_headers = self._start is not None
        limits = self._limits
        limit = limits.header_bytes if in_headers else limits.request_line_bytes
        # Without its line end a part has to stay below the limit: one byte must fit.
        if self._scanned - self._part_at + (found < 0) > limit:
            raise self._error(431 if in_headers else 414)
        if found < 0:
            return None
        start, self._line_at = self._line_at, self._scanned
        line = bytes(buffer[start : self._line_at])
        if not line.endswith(b"\r\n"):
            raise self._error(400)
        return line[:-2]

    def _add_header(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > self._limits.header_lines:
            raise self._error(431)
        match = _HEADER.fullmatch(line)
        if match is None:
            raise self._error(400)
        name = match[1].decode("ascii").lower()
        value = match[2].strip(b" \t").decode("latin-1")
        if name in self._headers:
            if name == "host":
                raise self._error(400)
            value = f"{self._headers[name]}, {value}"
        self._headers[name] = value

    def _finish(self, method: str, target: str, version: str) -> Request:
        headers = self._headers
        if version != "1.0" and "host" not in headers:
            raise self._error(400)
        if "host" in headers and host_name(headers["host"]) is None:
            raise self._error(400)
        path, query, authority = self._split(method, target)
        if authority is not None:
            headers["host"] = authority
        if "expect" in headers:
            raise self._error(417)
        self._refuse_body()
        del self._buffer[: self._line_at]
        self._start = None
        self._headers = {}
        self._lines = self._part_at = self._line_at = self._scanned = 0
        return Request(method, path, query, headers, version)

    def _split(self, method: str, target: str) -> tuple[str, str, str | None]:
        """Give path, query, and the host that an absolute target names."""
        authority = None
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            authority, target = absolute.groups()
            if not host_name(authority):
                raise self._error(400)
            if not target.startswith("/"):
                target = f"/{target}"
        is_path = target.startswith("/") and "#" not in target
        if not is_path and (method, target) != ("OPTIONS", "*"):
            raise self._error(400)
        path, _, query = target.partition("?")
        return path, query, authority

    def _refuse_body(self) -> None:
        if "transfer-encoding" in self._headers:
            raise self._error(413)
        length = self._headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise self._error(400)
        if length.strip("0"):
            raise self._error(413)

    def _error(self, status: int) -> RequestError:
        start = self._start
        head_only = start is not None and start[0] == "HEAD"
        return RequestError(status, head_only=head_only)


def host_name(host: str) -> str | None:
    """Give the name in a Host header, lower-case and without port, or None.

    Address literals come in their shortest form and without brackets.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    if match[1] is not None:
        return address_literal(match[1])
    return match[2].lower().removesuffix(".")


def refusal(status: int, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """Give a plain answer that says its status and nothing else."""
    text = ("Content-Type", "text/plain; charset=utf-8")
    return Response(status, (text, *headers), f"{status} {_phrase(status)}\n".encode())


def encode(
    response: Response, *, keep: bool, head_only: bool = False, version: str = "1.1"
) -> bytes:
    """Give an answer's bytes.

    Args:
        response: What the handler or the server answers.
        keep: Whether the connection stays open.
        head_only: Whether to leave the body out, as HEAD wants.
        version: The request's; 1.0 has to be told that the connection stays.

    Raises:
        ValueError: A status, header name or header value cannot be sent; a line break
            in one would let its author write headers and answers of their own.
        TypeError: A part of the response has the wrong type.
    """
    status = response.status
    if not 200 <= status <= 599:
        text = f"status got {shown(status)}, needs 200 to 599"
        raise ValueError(text)
    lines = [f"HTTP/1.1 {status:d} {_phrase(status)}"]
    for name, value in response.headers:
        if not _ANSWER_NAME.fullmatch(name) or not _ANSWER_VALUE.fullmatch(value):
            text = f"header {shown(name)} holds a character that may not be sent"
            raise ValueError(text)
        if name.lower() not in _OF_THE_SERVER:
            lines.append(f"{name}: {value}")
    length = memoryview(response.body).nbytes
    if status not in _NO_BODY:  # RFC 9110, 8.6: those two say no length
        lines.append(f"Content-Length: {length}")
    lines += ["X-Content-Type-Options: nosniff", "Cache-Control: no-store"]
    if not keep:
        lines.append("Connection: close")
    elif version == "1.0":
        lines.append("Connection: keep-alive")
    head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    return head if head_only or status in _NO_BODY else head + response.body


def _request_line(line: bytes) -> tuple[str, str, str]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RequestError(400)
    method, target, version = (part.decode("ascii") for part in match.groups())
    if not version.startswith("1."):
        raise RequestError(505, head_only=method == "HEAD")
    return method, target, version


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def address_literal(text: str) -> str | None:
    """Give an address literal in its shortest form, or None if it is no address."""
    for family in (AF_INET6, AF_INET):
        try:
            return inet_ntop(family, inet_pton(family, text))
        except (OSError, ValueError):
            continue
    return None
