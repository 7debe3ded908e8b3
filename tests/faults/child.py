"""What a process of its own does to a backend: ``python -m tests.faults.child WHAT URL``.

Each function tells what it has seen as lines of JSON, and goes on at a line of its input.
"""

import json
import sys
import time
from pathlib import Path

from obs import Obs
from obs_exporters import OTLPExporter

FULL = 8_192
"""How many spans an intake holds, and a lane."""


def instance(url: str) -> Obs:
    return Obs("t", exporters=[OTLPExporter(url)], runtime=False)


def record(tel: Obs, n: int) -> None:
    for i in range(n):
        tel.span("charge", i=i, route="/charge/{id}", user="somebody").end()


def say(**what) -> None:
    print(json.dumps(what), flush=True)


def forget_peak() -> int:
    """Give the resident bytes; ``peak`` counts from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    return _status("VmHWM")


def _status(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


def books(tel: Obs) -> dict[str, float]:
    """What became of the spans."""
    snapshot = tel.snapshot()
    names = ("exported", "rejected", "dropped", "unknown", "queue.size")
    ends = {
        name: sum(
            point.value
            for point in snapshot[f"obs.{name}"].points
            if point.labels["signal"] == "traces"
        )
        for name in names
    }
    return ends | {"produced": snapshot["obs.produced"].value(signal="traces")}


def leave(url: str) -> None:
    """End with full queues."""
    global tel  # it lives until the end
    tel = instance(url)
    tel.start()
    end = time.monotonic() + 10
    while (left := FULL - books(tel)["queue.size"]) and time.monotonic() < end:
        record(tel, int(left))
        tel.flush(0.2)
    record(tel, FULL)
    say(queued=FULL - left, time=time.monotonic())


def flood(url: str, n: str) -> None:
    """Record far more than there is room for, then close."""
    tel = instance(url)
    tel.start()
    record(tel, 100)
    tel.flush(0.3)
    before = forget_peak()
    record(tel, int(n))
    grown = peak() - before
    tel.close(0.5)
    say(grown=grown, closed=peak() - before, books=books(tel))


def swallow(url: str) -> None:
    """Send a little, whatever the answers are."""
    tel = instance(url)
    tel.start()
    for _ in range(20):
        record(tel, 100)
        tel.flush(5)
    say()
    while sys.stdin.readline():
        before = forget_peak()
        delivered = 0
        for _ in range(3):
            record(tel, 100)
            delivered += tel.flush(20).lanes["otlp"].delivered
        say(grown=peak() - before, delivered=delivered)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
