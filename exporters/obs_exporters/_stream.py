"""Writing to a file object of the user's: text or binary, ours to flush, not to close."""

import io
from collections.abc import Callable
from typing import Any

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, ExportFailed, shown


def check_stream(
    name: str, what: str, stream: object, needs: str = "a file object"
) -> None:
    """Check that something can be written to.

    Raises:
        DefinitionError: It cannot.
    """
    if not callable(getattr(stream, "write", None)):
        text = f"exporter {name!r}: {what} got {shown(stream)}, needs {needs}."
        raise DefinitionError(text)


def write_stream(
    name: str, stream: Any, text: str, escape: Callable[[str], str]
) -> None:
    """Write a text to a file object, and flush it.

    Args:
        name: The exporter's, for error texts.
        stream: The file object.
        text: What to write.
        escape: Makes ASCII of it, for a stream whose encoding does not have all of it.

    Raises:
        ExportFailed: The stream is closed, or raised anything else. Part of the text may
            have been written. It is worth another try only after an ``OSError``.
    """
    try:
        is_closed = getattr(stream, "closed", False) is True
        if not is_closed:
            _write(stream, text, escape)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        reason = f"exporter {name!r}: writing failed: {shown(raised)}."
        is_passing = issubclass(type(raised), OSError)
        raise ExportFailed(
            reason, retryable=is_passing, sent=True, reason="stream"
        ) from None
    if is_closed:
        reason = f"exporter {name!r}: the stream is closed."
        raise ExportFailed(reason, reason="closed")


def _write(stream: Any, text: str, escape: Callable[[str], str]) -> None:
    if is_binary(stream):
        _write_bytes(stream, text.encode())
    else:
        stream.write(_encodable(stream, text, escape))
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def is_binary(stream: Any) -> bool:
    """Whether a file object takes bytes: by its class, else by its mode."""
    if isinstance(stream, io.RawIOBase | io.BufferedIOBase):
        return True
    mode = getattr(stream, "mode", "")
    return (
        isinstance(mode, str) and "b" in mode and not isinstance(stream, io.TextIOBase)
    )


def _write_bytes(stream: Any, body: bytes) -> None:
    rest = memoryview(body)
    while rest:
        written = stream.write(rest)
        if written is None and isinstance(stream, io.RawIOBase):
            raise BlockingIOError  # a pipe that is full
        rest = rest[written:] if isinstance(written, int) else rest[:0]


def _encodable(stream: Any, text: str, escape: Callable[[str], str]) -> str:
    encoding = getattr(stream, "encoding", None)
    if isinstance(encoding, str) and not text.isascii():
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return escape(text)
    return text
