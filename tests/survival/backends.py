"""A push exporter whose deliveries outlive its process: each record is a line of a file.

One ``os.write`` with O_APPEND for each: what several processes deliver does not mix, and
nothing is lost with a buffer when a process dies.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from obs import Obs
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, Payload

COUNTER = "recorded"
OK = "ok"
REFUSING = "refusing"
HANGING = "hanging"
HANGING_ENCODE = "hanging encode"
HANGING_CLOSE = "hanging close"
GATE = "gate"
"""Refuses, retryably, until a file named ``<path>.open`` is there."""
MODES = (OK, REFUSING, HANGING, HANGING_ENCODE, HANGING_CLOSE)


class Backend:
    """Writes what arrives to a file.

    Args:
        path: The file; its lines are ``<pid> <id>``, or ``<pid> recorded=<number>``.
        mode: What the backend does.
        name: The exporter's name.
        signals: What it takes.
        interval: Seconds between pushes of metrics.
    """

    def __init__(
        self,
        path: str,
        mode: str = OK,
        *,
        name: str = "backend",
        signals: Iterable[str] = ("traces",),
        interval: float = 10.0,
    ) -> None:
        self.name = name
        self.signals = frozenset(signals)
        self.delivery = Delivery(interval=interval)
        self.mode = mode
        self.raises: list[BaseException] = []
        self.raises_in_encode: list[BaseException] = []
        self.sends = 0
        self.closed = 0
        self._path = path

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give one body, of lines."""
        if self.mode == HANGING_ENCODE:
            hang()
        if self.raises_in_encode:
            raise self.raises_in_encode.pop()
        if batch.signal == "metrics":
            total = sum(
                point.value
                for family in batch.families
                if family.name == COUNTER
                for point in family.points
            )
            return [Payload([f"{COUNTER}={total}"], 1)]
        ids = [str(span.attributes.get("id", span.name)) for span in batch.records]
        return [Payload(ids, len(ids))]

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Write the lines, or do what the mode says."""
        self.sends += 1
        if self.mode == HANGING:
            hang()
        if self.raises:
            raise self.raises.pop()
        is_shut = self.mode == GATE and not os.path.exists(f"{self._path}.open")
        if self.mode == REFUSING or is_shut:
            raise ExportFailed("the backend is away", retryable=True)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            for line in payload.body:  # type: ignore[attr-defined]
                os.write(file, f"{os.getpid()} {line}\n".encode())
        finally:
            os.close(file)
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Note it, in the file too."""
        if self.mode == HANGING_CLOSE:
            hang()
        self.closed += 1


def hang() -> None:
    """Do not come back."""
    time.sleep(3600)


def make(path: str, mode: str = OK, *, runtime: bool = False, **options: Any) -> Obs:
    """Give an instance with one such backend."""
    return Obs("exits", runtime=runtime, exporters=[Backend(path, mode, **options)])


def record(tel: Obs, n: int, first: int = 0) -> None:
    """Record spans with the ids ``<pid>-<number>``, and count them."""
    counter = tel.counter(COUNTER)
    for number in range(first, first + n):
        with tel.span("work", id=f"{os.getpid()}-{number}"):
            pass
        counter.inc()


def until(is_so: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait until something is so; give whether it is."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def arrived(path: str | Path) -> Counter[tuple[int, str]]:
    """Give the spans that arrived, as process and id, with how often each did."""
    return Counter(
        (pid, text) for pid, text in _lines(path) if not text.startswith(COUNTER)
    )


def sent_by(pids: Iterable[int], n: int) -> Counter[tuple[int, str]]:
    """Give what arrives where each of these processes has recorded, and sent, ``n``."""
    return Counter((pid, f"{pid}-{number}") for pid in pids for number in range(n))


def counted(path: str | Path) -> dict[int, float]:
    """Give the last number that each process has pushed."""
    return {
        pid: float(text.partition("=")[2])
        for pid, text in _lines(path)
        if text.startswith(COUNTER)
    }


def _lines(path: str | Path) -> Iterable[tuple[int, str]]:
    if os.path.exists(path):
        for line in Path(path).read_text().splitlines():
            pid, _, text = line.partition(" ")
            yield int(pid), text
