"""The exporter: text for people, on stderr unless told otherwise."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any

from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.encoding import printable, rfc3339, terminal_line, wants_color
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, MetricFamily, Payload, SpanRecord
from obs.waterfall import MAX_WIDTH, MIN_WIDTH, waterfall
from obs_exporters._push import (
    SIGNALS,
    attempt,
    check_one_of,
    check_push,
    make_payload,
)
from obs_exporters._stream import check_stream, write_stream
from obs_exporters.console._table import HISTOGRAMS, NUMBERS, Rows, add_rows, lay_out

MAX_CHARS = 256 * 1024
"""Of one payload: at most four bytes each, so a megabyte."""
TIMEOUT = 10.0
USUAL_WIDTH = 100
"""Of what is no terminal."""
COLORS = ("auto", "always", "never")
_DRAWN_WITH = "├─└│█▏▎▍▌▋▊▉▐•✗…╷µ"


class ConsoleExporter:
    """Shows spans as waterfalls, log records as lines and metrics as tables.

    A log record is one line; its traceback, if it has one, stands below it behind a bar.

    For development: what ends within one push is drawn together, so a trace whose spans
    end in different pushes is drawn in parts.

    Of counters the table shows the total and the rate since the last push; of histograms
    what was observed since then: how many, their mean, estimates of quantiles, and the
    bucket of the largest.

    A completed write counts as delivered.

    Args:
        stream: Where to; None: to what ``sys.stderr`` is at that time. It is flushed,
            never closed. What its encoding does not have is drawn in ASCII, or escaped.
        interval: Seconds between tables of metrics.
        signals: Which of ``metrics``, ``logs``, ``traces``.
        color: Whether log records are coloured: ``always``, ``never``, or ``auto``, on a
            terminal where neither ``NO_COLOR`` is set nor ``TERM`` is ``dumb``.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.
    """

    def __init__(
        self,
        stream: IO[str] | IO[bytes] | None = None,
        *,
        interval: float = 10.0,
        signals: Iterable[str] = SIGNALS,
        color: str = "auto",
        name: str = "console",
    ) -> None:
        self.signals = check_push(
            name, interval=interval, timeout=TIMEOUT, signals=signals
        )
        if stream is not None:
            check_stream(name, "stream", stream)
        check_one_of(name, "color", color, COLORS)
        self.name = name
        self.delivery = Delivery(interval, TIMEOUT, acknowledges=False)
        self._given = stream
        self._color = color
        self._shown: dict[str, MetricFamily] = {}
        self._shown_ns = 0
        self._drawn: tuple[str, Batch] | None = None
        on_fork(self)

    @property
    def _stream(self) -> Any:
        return sys.stderr if self._given is None else self._given

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give the text of a batch."""
        if batch.signal == "metrics":
            yield from self._tables(batch)
            return
        encode = self._logs if batch.signal == "logs" else self._spans
        text, count = encode(batch)
        if batch.records:
            yield make_payload(text, count, len(batch.records) - count)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Write the text."""
        if self._stream is None:
            text = f"exporter {self.name!r}: this process has no stderr."
            raise ExportFailed(text, reason="closed")
        body: Any = payload.body
        write_stream(self.name, self._stream, body, _escaped)
        if self._drawn is not None and body is self._drawn[0]:
            # From what people have seen the next rates are counted.
            self._remember(self._drawn[1])
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Do nothing: the stream stays open."""

    def after_fork_in_child(self) -> None:
        """Count rates from the fork on."""
        self._shown, self._shown_ns, self._drawn = {}, 0, None

    def _spans(self, batch: Batch) -> tuple[str, int]:
        # Not isinstance, which believes what a __class__ says.
        records = batch.records
        spans = [each for each in records if issubclass(type(each), SpanRecord)]
        drawn = waterfall(
            spans,
            width=_width(self._stream),
            ascii=not _has_all(self._stream, _DRAWN_WITH),
            max_rows=max(len(spans), 1),
        )
        return (f"{drawn}\n\n" if spans else ""), len(spans)

    def _logs(self, batch: Batch) -> tuple[str, int]:
        color = self._color == "always" or (
            self._color == "auto" and wants_color(self._stream, os.environ)
        )
        found = [attempt(terminal_line, it, color=color) for it in batch.records]
        lines = [f"{line}\n" for line in found if line is not None]
        return "".join(lines), len(lines)

    def _tables(self, batch: Batch) -> Iterator[Payload]:
        since_ns = self._shown_ns or _first_start(batch)
        seconds = max(batch.time_ns - since_ns, 0) / 10**9
        rows, invalid = Rows([], []), 0
        for family in batch.families:
            try:
                add_rows(rows, family, self._shown.get(family.name), seconds)
            except BaseException as raised:
                if is_the_hosts(raised):
                    raise
                invalid += 1
        count = len(rows.numbers) + len(rows.histograms)
        if not count + invalid:
            return
        lines = [f"{_title(batch, seconds)}\n"]
        lines += [f"{line}\n" for line in lay_out(NUMBERS, rows.numbers)]
        lines += [f"{line}\n" for line in lay_out(HISTOGRAMS, rows.histograms)]
        yield from self._divided(batch, [*lines, "\n"], count, invalid)

    def _divided(
        self, batch: Batch, lines: list[str], count: int, invalid: int
    ) -> Iterator[Payload]:
        """Give payloads of bounded size; the first stands for all records."""
        texts: list[list[str]] = [[]]
        size = 0
        for line in lines:
            if size + len(line) > MAX_CHARS and texts[-1]:
                texts.append([])
                size = 0
            texts[-1].append(line)
            size += len(line)
        for part in texts:
            text = "".join(part)
            if part is texts[-1]:
                self._drawn = text, batch
            yield make_payload(text, count, invalid)
            count = invalid = 0

    def _remember(self, batch: Batch) -> None:
        self._shown = {family.name: family for family in batch.families}
        self._shown_ns = batch.time_ns
        self._drawn = None


def _title(batch: Batch, seconds: float) -> str:
    service = printable(batch.resource.attributes.get("service.name", ""))
    parts = ["metrics", f"of {service}" if service else ""]
    parts += [f"at {rfc3339(batch.time_ns, 3)[11:]}", f"over {seconds:.3g} s"]
    return " ".join(part for part in parts if part)


def _first_start(batch: Batch) -> int:
    starts = [block.start_ns for family in batch.families for block in family.blocks]
    return min((start for start in starts if start), default=batch.time_ns)


def _width(stream: Any) -> int:
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except Exception:  # noqa: BLE001 - no terminal, closed, or has no descriptor
        columns = 0
    return max(MIN_WIDTH, min(columns or USUAL_WIDTH, MAX_WIDTH))


def _has_all(stream: Any, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except Exception:  # noqa: BLE001 - detached, or of an encoding nobody knows
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
