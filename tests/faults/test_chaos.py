"""A backend that misbehaves differently each moment, under threads that record and flush."""

import threading
import time
from collections import Counter
from random import Random

import pytest

from obs import Obs
from obs.limits import Limits
from obs_exporters import OTLPExporter
from tests.delivery.test_lanes import balance, produced
from tests.faults.backends import otlp_ids, partial_success
from tests.faults.lanes import impatient
from tests.faults.sink import Sink
from tests.faults.watched import Watched

MODES = (
    "ok", "ok", "ok", "refuse", "never_read", "never_answer", "reset_mid_request",
    "reset_before_answer", "close_after:1", "stall:60", "garbage", "302", "400", "413",
    "early:413", "429", "503", "503:junk", "interim:3", "partial",
)  # fmt: skip


def instance(sink: Sink) -> tuple[Obs, Watched]:
    exporter = OTLPExporter(
        sink.url, timeout=0.1, interval=0.1, signals=["metrics", "traces"]
    )
    watched = Watched(exporter, sink.arrived)
    limits = Limits(queue_records=100)
    return Obs("t", exporters=[watched], runtime=False, limits=limits), watched


def misbehave(sink: Sink, random: Random, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mode = random.choice(MODES)
        sink.mode = partial_success() if mode == "partial" else mode
        time.sleep(random.uniform(0.0, 0.1))
    sink.mode = "ok"


def keep_busy(tel: Obs, stop: threading.Event) -> list[threading.Thread]:
    def record(first: int) -> None:
        i = first
        while not stop.is_set():
            for _ in range(7):
                tel.span("s", i=i).end()
                i += 3
            time.sleep(0.01)

    def flush() -> None:
        while not stop.is_set():
            started = time.monotonic()
            tel.flush(0.05)
            assert time.monotonic() - started < 0.05 + 0.5

    targets = [(record, (first,)) for first in range(3)] + [(flush, ())] * 2
    threads = [threading.Thread(target=target, args=args) for target, args in targets]
    for thread in threads:
        thread.start()
    return threads


def survive(seed: int, seconds: float) -> None:
    with Sink(ids=otlp_ids) as sink:
        tel, watched = instance(sink)
        stop = threading.Event()
        with tel.start():
            threads = keep_busy(tel, stop)
            misbehave(sink, Random(seed), seconds)
            stop.set()
            for thread in threads:
                thread.join()
            assert tel.flush(10).pending == 0
        check(tel, watched, sink)


def check(tel: Obs, watched: Watched, sink: Sink) -> None:
    spans, pushes = (balance(tel, "otlp", signal) for signal in ("traces", "metrics"))
    assert not watched.wrong, watched.wrong[:4]
    assert spans["queued"] == pushes["queued"] == 0
    assert sum(spans.values()) == produced(tel)
    partly = Counter(
        {
            point.labels["signal"]: point.value
            for point in tel.snapshot()["obs.rejected"].points
            if point.labels["reason"] == "partial_success"
        }
    )
    taken = spans["delivered"] + partly["traces"]
    assert taken <= len(sink.arrived()) <= taken + spans["unknown"]
    answered = sum(
        request.path == "/v1/metrics" and request.answered and request.status == 200
        for request in sink.requests
    )
    taken = pushes["delivered"] + partly["metrics"]
    assert taken <= answered <= taken + pushes["unknown"]


@pytest.fixture
def quick(monkeypatch):
    impatient(monkeypatch)


@pytest.mark.parametrize("seed", range(3))
def test_the_books_survive_chaos(seed, quick):
    survive(seed, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_the_books_survive_chaos_for_long(seed, quick):
    survive(seed, 10.0)
