"""What a backend says: how many records it refused, and when to come again.

Read by hand, so that OTLP over HTTP needs no library.

Source: opentelemetry-proto, collector/*/v1 (the three answers have one shape);
googleapis, google/rpc/status.proto and error_details.proto.
"""

from collections.abc import Iterator
from typing import NamedTuple

_LENGTHS = {1: 8, 5: 4}
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


class Partial(NamedTuple):
    """A partial success.

    Attributes:
        rejected: How many records were refused.
        message: Why; with none refused, a warning.
    """

    rejected: int = 0
    message: str = ""


def partial_success(body: bytes) -> Partial:
    """Read the body of an answer that says success.

    One that cannot be read says nothing against it: its status says that the backend has
    taken the request, and there are backends that answer with text. Taken for a failure,
    everything would be sent again.
    """
    rejected, message = 0, b""
    try:
        for part in _messages(body, 1):
            for number, value in _fields(part):
                if number == 1 and isinstance(value, int):
                    rejected = value
                elif number == 2 and isinstance(value, bytes):
                    message = value
    except ValueError:
        return Partial()
    is_negative = rejected >> 63
    return Partial(0 if is_negative else rejected, message.decode("utf-8", "replace"))


def status_message(body: bytes) -> bytes:
    """Give the message of a ``google.rpc.Status``; what cannot be read comes back whole."""
    try:
        return next(_messages(body, 2), body)
    except ValueError:
        return body


def retry_delay(details: bytes) -> float | None:
    """Read ``grpc-status-details-bin``: the seconds of its RetryInfo.

    Returns:
        0 where a RetryInfo names no delay; None where there is no RetryInfo.
    """
    try:
        for detail in _messages(details, 3):
            parts = dict(_fields(detail))
            if parts.get(1) == _RETRY_INFO:
                info = parts.get(2, b"")
                delays = list(_messages(info, 1)) if isinstance(info, bytes) else []
                return _seconds(delays[0]) if delays else 0.0
    except ValueError:
        pass
    return None


def _seconds(duration: bytes) -> float:
    parts = dict(_fields(duration))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        raise ValueError  # noqa: TRY004 - to the caller it is a bad message, too
    if seconds >> 63 or nanos >> 63:  # negative
        return 0.0
    return seconds + nanos / 1e9


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in _fields(data):
        if number == wanted and isinstance(value, bytes):
            yield value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give numbers and values of a message's fields; fixed ones as bytes.

    Raises:
        ValueError: It is no message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in _LENGTHS:
            size = _LENGTHS[kind]
        else:
            raise ValueError
        if at + size > len(data):
            raise ValueError
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError
        digit = data[at]
        at += 1
        number |= (digit & 127) << shift
        if digit < 128:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError
