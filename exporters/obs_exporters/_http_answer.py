"""HTTP/1.1 answers for the push exporters: strict, bounded, no I/O of their own.

Not ``http.client``: it takes 6 MiB of headers and any number of interim answers, and its
import costs what the rest of a push exporter does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

HEAD_BYTES = 64 * 1024
"""Bytes of all lines of an answer: status, headers, interim answers, trailers."""

HEADER_LINES = 256
"""Header lines of one answer, those of interim answers and trailers included."""

CHUNK_LINE_BYTES = 4_096
"""Bytes of the line before a chunk."""

_READ_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: .*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00\r]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_NO_BODY = (204, 304)


class Answer(NamedTuple):
    """What a backend answered.

    Attributes:
        status: 200 to 999.
        headers: By lower-case name; values as latin-1 text, which keeps each byte. A
            header that came twice has both values, joined by ``", "``.
        body: At most ``answer_bytes`` of it, or what came of it; nothing is unpacked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class BadAnswer(ValueError):
    """What came is no HTTP/1 answer, breaks a bound, or ends before its body begins."""


class AnswerReader:
    """Reads one answer.

    Args:
        receive: Gives some bytes, at most as many as it is asked for; empty at the end.
        answer_bytes: How much of the body to keep.

    Attributes:
        keep: Whether the connection may carry another request, once ``read`` returned.
    """

    def __init__(self, receive: Callable[[int], bytes], answer_bytes: int) -> None:
        self._receive = receive
        self._answer_bytes = answer_bytes
        self._buffer = bytearray()
        self._line_bytes = HEAD_BYTES
        self._lines = HEADER_LINES
        self.keep = False

    def read(self) -> Answer:
        """Read the answer; interim ones are skipped.

        The status says enough, whatever becomes of the body: a backend that has taken a
        request would otherwise be sent it again.

        Raises:
            BadAnswer: It is none.
            OSError: ``receive`` raised it before the body began.
        """
        minor, status = self._status()
        headers = self._headers()
        while status < 200:
            minor, status = self._status()
            headers = self._headers()
        wishes = headers.get("connection", "").lower()
        keep = "close" not in wishes and (minor == 1 or "keep-alive" in wishes)
        body = bytearray()
        is_whole = False
        with suppress(OSError, BadAnswer):
            is_whole = self._read_body(body, self._parts(status, headers))
        self.keep = keep and is_whole and not self._buffer
        return Answer(status, headers, bytes(body))

    def _status(self) -> tuple[int, int]:
        line = self._line()
        match = _STATUS.fullmatch(line)
        if match is None:
            text = f"the answer is not HTTP/1: {line[:40]!r}"
            raise BadAnswer(text)
        return int(match[1]), int(match[2])

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line():
            self._lines -= 1
            match = _HEADER.fullmatch(line)
            if match is None or self._lines < 0:
                text = f"a header line of the answer is malformed: {line[:40]!r}"
                if self._lines < 0:
                    text = f"the answer has more than {HEADER_LINES} header lines"
                raise BadAnswer(text)
            name = match[1].decode("latin-1").lower()
            value = match[2].strip(b" \t").decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def _read_body(self, body: bytearray, parts: Iterator[bytes]) -> bool:
        """Fill ``body``; tell whether it is whole and its end does not need the peer's."""
        for part in parts:
            body += part
            if len(body) > self._answer_bytes:
                del body[self._answer_bytes :]
                return False
        return self.keep

    def _parts(self, status: int, headers: Mapping[str, str]) -> Iterator[bytes]:
        self.keep = True
        coding = headers.get("transfer-encoding")
        if status in _NO_BODY:
            return
        if coding is not None and coding.lower() == "chunked":
            yield from self._chunked()
        elif coding is None and "content-length" in headers:
            yield from self._exactly(_length(headers["content-length"]))
        else:
            self.keep = False
            while self._buffer or self._fill():
                yield self._take(_READ_BYTES)

    def _chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            if self._next_line(CHUNK_LINE_BYTES):
                raise BadAnswer(_BROKEN_BODY)
        self._headers()

    def _chunk_size(self) -> int:
        match = _CHUNK.fullmatch(self._next_line(CHUNK_LINE_BYTES))
        if match is None:
            raise BadAnswer(_BROKEN_BODY)
        return int(match[1], 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer and not self._fill():
                raise BadAnswer(_ENDS_EARLY)
            part = self._take(min(size, _READ_BYTES))
            size -= len(part)
            yield part

    def _line(self) -> bytes:
        line = self._next_line(max(0, self._line_bytes))
        self._line_bytes -= len(line) + 2
        return line

    def _next_line(self, limit: int) -> bytes:
        """Give the next line without its end, which is CRLF or LF."""
        while (end := self._buffer.find(b"\n", 0, limit)) < 0:
            if len(self._buffer) >= limit:
                text = "the lines of the answer are too long"
                raise BadAnswer(text)
            if not self._fill():
                raise BadAnswer(_ENDS_EARLY)
        return self._take(end + 1)[:-1].removesuffix(b"\r")

    def _take(self, limit: int) -> bytes:
        part = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return part

    def _fill(self) -> bool:
        data = self._receive(_READ_BYTES)
        self._buffer += data
        return bool(data)


_BROKEN_BODY = "the body of the answer is malformed"
_ENDS_EARLY = "the connection was closed before the whole answer came"


def _length(text: str) -> int:
    # RFC 9110, 8.6: the same length twice is one length.
    lengths = {part.strip() for part in text.split(",")}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit() and len(length) < 19):
        raise BadAnswer(_BROKEN_BODY)
    return int(length)
