"""Threads, signals, collector runs and readings, all at once: not one count is off."""

import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from obs.model import Snapshot
from tests.survival.calls import (
    CELLS,
    PAST_LIMITS,
    STORM,
    Subject,
    World,
    torn_histograms,
)
from tests.survival.processes import in_fresh

THREADS = 8
SERIES = 300
SIGNAL_SECONDS = 0.0005
GC_THRESHOLD = 50
READINGS = 20
"""How many there are at least."""

needs_signals = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this platform has no interval timer"
)


class Extra:
    """Calls made by a signal handler or collector callback, inside any other call."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: list[None] = []
        self.made: list[str] = []
        self.errors: list[str] = []

    def __call__(self) -> None:
        if self._running:  # signals come faster than they are handled
            return
        self._running.append(None)
        try:
            self._world.make_all_into(self.made)
        except BaseException as error:
            self.errors.append(repr(error))
        finally:
            self._running.pop()

    def wait(self) -> None:
        """Wait for the end of what runs: it may be on a thread of a lane."""
        while self._running:
            time.sleep(0.001)


class Reader:
    """Reads all the time, and compares each reading with the one before."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._before: dict[Any, float] = {}
        self.readings = 0
        self.problems: list[str] = []

    def read(self) -> None:
        now = self._subject.read()
        self.problems += torn_histograms(now)
        counts = dict(growing(now))
        for series, count in self._before.items():
            if counts.get(series, -1) < count:
                self.problems.append(f"{series} fell from {count}")
        self._before = counts
        self.readings += 1


def growing(now: Snapshot) -> Iterator[tuple[Any, float]]:
    for family in now:
        for point in family.points:
            series = (family.name, *point.labels.items())
            if family.kind == "histogram":
                yield series, point.count
                for index, count in enumerate(point.buckets):
                    yield (*series, index), count
            elif family.kind == "counter":
                yield series, point.value


class Adversity:
    """Eight recording threads and one that reads, with all that may come in between."""

    def __init__(self, cells: str, rounds: int) -> None:
        subject = Subject(cells, SERIES)
        self.world = World(subject, STORM)
        self.on_signal = Extra(self.world)
        self.on_collection = Extra(self.world)
        self.reader = Reader(subject)
        self.errors: list[str] = []
        self.made: list[list[str]] = [[] for _ in range(THREADS)]
        self._rounds = rounds
        self._stop = threading.Event()

    def run(self) -> None:
        """Record on all threads, and on this one, where signals are handled."""
        threads = [threading.Thread(target=self._record, args=[m]) for m in self.made]
        reading = threading.Thread(target=self._read)
        mine: list[str] = []
        self.made.append(mine)
        for thread in (*threads, reading):
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.world.make_all_into(mine)
        self._stop.set()
        reading.join()

    def outcome(self) -> dict[str, Any]:
        """Give what came of it."""
        self.reader.read()
        extras = (self.on_signal, self.on_collection)
        for made in (*self.made, *(extra.made for extra in extras)):
            self.world.made.update(made)
        errors = [error for extra in extras for error in extra.errors]
        return {
            "signals": len(self.on_signal.made) // len(STORM),
            "collections": len(self.on_collection.made) // len(STORM),
            "readings": self.reader.readings,
            "made": sum(self.world.made.values()),
            "errors": self.errors + errors,
            "problems": self.reader.problems + self.world.problems(ignore=PAST_LIMITS),
        }

    def _record(self, made: list[str]) -> None:
        least = self._rounds * len(STORM)
        try:
            while len(made) < least or self.reader.readings < READINGS:
                self.world.make_all_into(made)
                garbage: list[Any] = []
                garbage.append(garbage)
        except BaseException as error:
            self.errors.append(repr(error))

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                self.reader.read()
        except BaseException as error:
            self.errors.append(repr(error))


def adversity(cells: str, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield what came of recording under signals, collections and thread switches."""
    it = Adversity(cells, rounds)

    def handle(number: int, frame: FrameType | None) -> None:
        it.on_signal()

    def collected(phase: str, info: dict[str, Any]) -> None:
        it.on_collection()

    gc.collect()
    gc.set_threshold(GC_THRESHOLD)
    gc.callbacks.append(collected)
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, SIGNAL_SECONDS, SIGNAL_SECONDS)
    sys.setswitchinterval(1e-6)
    it.run()
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.callbacks.remove(collected)
    sys.setswitchinterval(0.005)
    it.on_collection.wait()
    yield it.outcome()


@needs_signals
@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize(
    "rounds",
    [
        400,
        pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_totals_are_exact_and_readings_whole(cells: str, rounds: int) -> None:
    (outcome,) = in_fresh(f"{__name__}:adversity", cells, rounds, idle=400)
    assert outcome["errors"] == []
    assert outcome["problems"] == []
    assert outcome["made"] >= THREADS * rounds * len(STORM)
    assert outcome["readings"] >= READINGS
    assert outcome["signals"] > 10
    assert outcome["collections"] > 10
