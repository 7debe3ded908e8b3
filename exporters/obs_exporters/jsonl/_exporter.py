"""The exporter: records become lines, lines go into a file or a stream."""

import os
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import IO, Any

from obs._fork import on_fork
from obs.encoding import json_line, log_dict, metric_dicts, span_dict
from obs.errors import DefinitionError, ExportFailed, shown
from obs.model import Ack, Batch, Delivery, MetricFamily, Payload
from obs_exporters._push import (
    SIGNALS,
    attempt,
    check_integer,
    check_push,
    divided,
    wrong_argument,
)
from obs_exporters._stream import check_stream, write_stream
from obs_exporters.jsonl._file import LineFile

MAX_BYTES = 1024 * 1024
LEAST_BYTES = 1_024
MOST_SECONDS = 366 * 24 * 3600
MOST_KEPT = 1_000
_NEEDS = "a path or a file object"


class JsonLinesExporter:
    """Writes each span, log record and series of a metric as one line of JSON.

    A path is opened for appending at the first line, with mode 0600. Lines are written
    whole; after one that was cut short (a full disk) the next begins on a new line, and
    what was written whole is not written again. A file that was moved or deleted is made
    anew. A stream is written to and flushed, never closed.

    A completed write counts as delivered: nothing waits for the disk (no ``fsync``). A
    disk that hangs, or a stream that blocks, holds up this exporter alone.

    Several processes, forked or not, may write to one path. With rotation each of them
    rotates: who comes first moves the file under a lock, the others follow. Lines that
    another process writes meanwhile may lie in ``path.1``, and a file may then be larger
    than ``rotate_bytes``.

    Args:
        path_or_stream: Where: a path, or a file object with ``write``, of text or bytes.
        rotate_bytes: Begin a new file before one would grow larger, 1,024 or more; a
            single line may be larger.
        rotate_seconds: Begin a new file where one covers another window of so many seconds
            since the epoch, 1 to 31,622,400; 86,400 is at midnight UTC. Only a line that
            is written can begin one.
        keep: How many old files stay, 1 to 1,000: ``path.1`` is the newest of them.
        interval: Seconds between lines of metrics.
        timeout: Seconds that one write may wait for the reader of a pipe.
        signals: Which of ``metrics``, ``logs``, ``traces``.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.
    """

    imports = ("orjson", "fcntl")

    def __init__(
        self,
        path_or_stream: str | os.PathLike[str] | IO[str] | IO[bytes],
        *,
        rotate_bytes: int | None = None,
        rotate_seconds: float | None = None,
        keep: int = 5,
        interval: float = 10.0,
        timeout: float = 10.0,
        signals: Iterable[str] = SIGNALS,
        name: str = "jsonl",
    ) -> None:
        self.signals = check_push(
            name, interval=interval, timeout=timeout, signals=signals
        )
        self.name = name
        self.delivery = Delivery(interval, timeout, MAX_BYTES, acknowledges=False)
        _check_rotation(name, rotate_bytes, rotate_seconds, keep)
        self._file: LineFile | None = None
        self._stream: Any = None
        self._shown = f"JsonLinesExporter({shown(path_or_stream)})"
        if isinstance(path_or_stream, str | os.PathLike):
            path = _path(name, path_or_stream)
            self._file = LineFile(path, rotate_bytes, rotate_seconds, keep)
        else:
            check_stream(name, "path_or_stream", path_or_stream, _NEEDS)
            _check_no_rotation(name, rotate_bytes, rotate_seconds)
            self._stream = path_or_stream
        self._is_torn = False
        # A lane that a hung disk has held past its close may still write when the next
        # start begins another. No recording call comes here.
        self._lock = Lock()
        on_fork(self)

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give the lines, a megabyte at a time."""
        return divided(_lines(batch), MAX_BYTES)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Write the lines."""
        left = min(max(deadline - monotonic(), 0), TIMEOUT_MAX)
        if not self._lock.acquire(timeout=left):
            text = f"exporter {self.name!r}: another write has not ended."
            raise ExportFailed(text, retryable=True)
        try:
            body: Any = payload.body
            self._write(body, deadline)
        finally:
            self._lock.release()
        return Ack(payload.records)

    def reopen(self) -> None:
        """Have the file opened anew before the next line; a stream stays as it is.

        Threads: any. It only sets a flag, so a handler of SIGHUP may call it.
        """
        if self._file is not None:
            self._file.reopen()

    def close(self, deadline: float) -> None:
        """Close the file, a later send opens it again; a stream stays open."""
        # Under a write that hangs the descriptor stays: its number could become another's.
        left = min(max(deadline - monotonic(), 0), TIMEOUT_MAX)
        if self._file is not None and self._lock.acquire(timeout=left):
            try:
                self._file.close()
            finally:
                self._lock.release()

    def __repr__(self) -> str:
        return self._shown

    def after_fork_in_child(self) -> None:
        """Open the file anew: locks on it belong to whoever shares the descriptor."""
        self._lock = Lock()
        self._is_torn = False
        if self._file is not None:
            self._file.forget()

    def _write(self, body: bytes, deadline: float) -> None:
        if self._file is None:
            self._write_stream(body)
            return
        try:
            self._file.write(body, deadline)
        except OSError as error:
            text = (
                f"exporter {self.name!r}: writing to {self._file.path!r} failed: "
                f"{error.strerror}."
            )
            has_part = self._file.has_part
            raise ExportFailed(text, retryable=True, sent=has_part) from None

    def _write_stream(self, body: bytes) -> None:
        text = "\n" * self._is_torn + body.decode()
        self._is_torn = True
        write_stream(self.name, self._stream, text, _escaped)
        self._is_torn = False


def _lines(batch: Batch) -> Iterator[bytes | None]:
    """Give a line for each record; None for what is none."""
    service = batch.resource.attributes.get("service.name", "")
    if batch.signal == "metrics":
        for family in batch.families:
            lines = attempt(_series, family, batch, service)
            yield from (None,) if lines is None else lines
        return
    to_dict: Any = log_dict if batch.signal == "logs" else span_dict

    def line(record: Any) -> bytes:
        return json_line(to_dict(record, service))

    for record in batch.records:
        yield attempt(line, record)


def _series(family: MetricFamily, batch: Batch, service: str) -> list[bytes]:
    found = metric_dicts(
        [family], batch.time_ns, service=service, temporality=batch.temporality
    )
    return [json_line(data) for data in found]


def _escaped(text: str) -> str:
    """Give JSON in ASCII: what is not stands in its texts alone."""
    return "".join(
        char if char.isascii() else encode_basestring_ascii(char)[1:-1] for char in text
    )


def _path(name: str, given: "str | os.PathLike[str]") -> str:
    path = ""
    try:
        path = os.fspath(given)
        is_good = (
            bool(path) and isinstance(path, str) and b"\0" not in os.fsencode(path)
        )
    except (TypeError, ValueError):
        is_good = False
    if not is_good:
        raise wrong_argument(name, "path_or_stream", given, _NEEDS)
    return path


def _check_rotation(name: str, size: object, seconds: object, keep: object) -> None:
    if size is not None and (type(size) is not int or size < LEAST_BYTES):
        needs = f"an integer of at least {LEAST_BYTES}"
        raise wrong_argument(name, "rotate_bytes", size, needs)
    is_number = type(seconds) in (int, float)
    is_length = is_number and 1 <= seconds <= MOST_SECONDS  # type: ignore[operator]
    if seconds is not None and not is_length:
        needs = f"seconds from 1 to {MOST_SECONDS}"
        raise wrong_argument(name, "rotate_seconds", seconds, needs)
    check_integer(name, "keep", keep, 1, MOST_KEPT)


def _check_no_rotation(name: str, size: object, seconds: object) -> None:
    for what, value in (("rotate_bytes", size), ("rotate_seconds", seconds)):
        if value is not None:
            text = (
                f"exporter {name!r}: {what} is for a file, but a stream was given. "
                "Leave it out, or give a path."
            )
            raise DefinitionError(text)
