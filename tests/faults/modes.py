"""What the fault sink does to a request: as data, and as text for parameters."""

import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import NamedTuple

HUGE_BYTES = 400 * 1024 * 1024
BOMB_BYTES = 1024 * 1024 * 1024
GARBAGE = b"\x16\x03\x01\x02\x00\x01\x00 220 mail ready\r\n\xff\xfe\x00 who is this\r\n"


class Mode(NamedTuple):
    """One way to behave.

    Attributes:
        kind: Which; see ``mode_from_text``.
        status: Of the answer; 0 asks the sink's handler for the whole answer.
        headers: Of the answer.
        body: Of the answer; for ``raw`` all of its bytes.
        seconds: How long to stall, or between the bytes of a drip.
        amount: Requests before a close, or bytes of a huge answer.
        framing: Of a huge answer: ``length``, ``close`` or ``chunked``.
    """

    kind: str = "answer"
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0
    amount: int = 0
    framing: str = ""


def answer(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Mode:
    """Answer like this, a partial success for instance."""
    return Mode("answer", status, headers, body)


def raw(data: bytes) -> Mode:
    """Answer these bytes, whatever they are, and close."""
    return Mode("raw", body=data)


def mode_from_text(text: str) -> Mode:
    """Give a mode by its name.

    ``ok``: what the handler answers, else 200 without a body.
    ``refuse``: the port is closed, and with it every connection.
    ``never_read``: the connection is accepted, nothing is read.
    ``never_answer``: the request is read, nothing is answered.
    ``reset_mid_request``: RST when half of the request has been read.
    ``reset_before_answer``: RST when all of it has been read.
    ``close_after:N``: closed without a word after N answers on a connection.
    ``drip_head``, ``drip_body``, with ``:SECONDS``: one byte a second, or so often.
    ``stall:SECONDS``: then as ``ok``.
    ``garbage``: what is no HTTP.
    ``STATUS``, such as ``400``, ``503``; 3xx lead to a ``Location``.
    ``STATUS:RETRY``: with Retry-After: ``503:7``, ``429:junk``, ``503:-5``; ``503:date``
    and ``503:past`` are an HTTP date in 30 seconds, and 30 seconds ago.
    ``early:STATUS``: answered and closed when the headers have been read.
    ``huge:length``, ``huge:close``, ``huge:chunked``: 200 and 400 MB.
    ``bomb``: 200 and a gzip of 1 GiB.
    ``interim:N``: N answers 103, then as ``ok``.
    """
    name, _, argument = text.partition(":")
    if name.isdigit():
        return _status(int(name), argument)
    if name == "early":
        return Mode("early", int(argument))
    if name == "garbage":
        return raw(GARBAGE)
    if name == "huge":
        return Mode("huge", 200, amount=HUGE_BYTES, framing=argument)
    if name == "bomb":
        return answer(200, bomb(), ("Content-Encoding", "gzip"))
    if name in ("drip_head", "drip_body", "stall"):
        return Mode(name, seconds=float(argument or 1))
    if name in ("close_after", "interim"):
        return Mode(name, amount=int(argument))
    if name == "ok":
        return Mode()
    if name in _PLAIN:
        return Mode(name)
    message = f"no mode {text!r}"
    raise ValueError(message)


_PLAIN = (
    "refuse", "never_read", "never_answer", "reset_mid_request", "reset_before_answer",
)  # fmt: skip


def _status(status: int, retry: str) -> Mode:
    headers = []
    if 300 <= status < 400:
        headers.append(("Location", "http://127.0.0.1:9/elsewhere"))
    if retry in ("date", "past"):
        away = timedelta(seconds=30 if retry == "date" else -30)
        retry = format_datetime(datetime.now(UTC) + away, usegmt=True)
    if retry:
        headers.append(("Retry-After", retry))
    return answer(status, f"status {status}".encode(), *headers)


@cache
def bomb() -> bytes:
    """Give a gzip of 1 GiB in about 1 MiB: 16 members of 64 MiB, packed once."""
    size = 64 * 1024 * 1024
    return gzip.compress(bytes(size), compresslevel=9, mtime=0) * (BOMB_BYTES // size)
