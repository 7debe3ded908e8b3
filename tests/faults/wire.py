"""The bytes of requests and answers as the fault sink reads and writes them."""

import socket
import zlib
from collections.abc import Iterator, Mapping

from tests.faults.modes import Mode

BODY_BYTES = 64 * 1024 * 1024
HEAD_BYTES = 64 * 1024
BLOCK = b"x" * 64 * 1024

Reply = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body of an answer."""


class BadRequest(Exception):
    """The client went away, or sent what is no request."""


class NotHttp(BadRequest):
    """A TLS handshake came where HTTP is spoken."""


class RequestReader:
    """Reads one request from a socket: the sink's own, no client's parser."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._buffer = bytearray()

    def head(self) -> tuple[str, str, dict[str, str]]:
        """Give method, path, and headers by lower-case name."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEAD_BYTES:
                raise BadRequest
            self._fill()
            if self._buffer.startswith(b"\x16\x03"):
                raise NotHttp
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, path, _ = lines[0].split(" ")
        pairs = (line.partition(":") for line in lines[1:])
        return method, path, {name.lower(): value.strip() for name, _, value in pairs}

    def body(self, headers: Mapping[str, str], *, half: bool) -> bytes:
        """Give the body, unpacked; or read half of it and give nothing."""
        if "transfer-encoding" in headers:
            message = "the sink reads no chunked requests"
            raise NotImplementedError(message)
        size = int(headers.get("content-length", "0"))
        if size > BODY_BYTES:
            raise BadRequest
        while len(self._buffer) < (size // 2 if half else size):
            self._fill()
        if half:
            return b""
        if len(self._buffer) > size:
            message = "a client sent more than one request at a time"
            raise AssertionError(message)
        return _unpacked(headers.get("content-encoding", ""), bytes(self._buffer))

    def _fill(self) -> None:
        data = self._peer.recv(64 * 1024)
        if not data:
            raise BadRequest
        self._buffer += data


def _unpacked(coding: str, body: bytes) -> bytes:
    if coding != "gzip":
        return body
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(body, BODY_BYTES)
    if not unpacker.eof:
        raise BadRequest
    return plain


def parts_of(mode: Mode, reply: Reply) -> Iterator[tuple[bytes, float]]:
    """Give the answer in pieces, each with the seconds to wait before it."""
    status, headers, body = reply
    if mode.kind == "raw":
        yield mode.body, 0
    elif mode.kind == "huge":
        yield from ((part, 0) for part in _huge(mode))
    elif mode.kind == "stall":
        yield encode(status, headers, body), mode.seconds
    elif mode.kind in ("drip_head", "drip_body"):
        whole = encode(status, headers, body or b"drip " * 12)
        at_once = 0 if mode.kind == "drip_head" else whole.index(b"\r\n\r\n") + 4
        yield whole[:at_once], 0
        yield from ((bytes([each]), mode.seconds) for each in whole[at_once:])
    else:
        for _ in range(mode.amount if mode.kind == "interim" else 0):
            yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0
        yield encode(status, headers, body), 0


def _huge(mode: Mode) -> Iterator[bytes]:
    framing = {
        "length": f"Content-Length: {mode.amount}",
        "close": "Connection: close",
        "chunked": "Transfer-Encoding: chunked",
    }[mode.framing]
    yield f"HTTP/1.1 {mode.status} Huge\r\n{framing}\r\n\r\n".encode()
    block = BLOCK
    if mode.framing == "chunked":
        block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)
    for _ in range(mode.amount // len(BLOCK)):
        yield block
    if mode.framing == "chunked":
        yield b"0\r\n\r\n"


def encode(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Give an answer's bytes."""
    lines = [f"HTTP/1.1 {status} Sink"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
