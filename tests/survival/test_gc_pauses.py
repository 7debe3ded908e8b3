"""The collector callback: every run is observed, none is set off, no memory is taken."""

import gc
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from obs.runtime import Runtime
from tests.survival.calls import CELLS, PAST_LIMITS, STORM, Subject, World
from tests.survival.processes import SECONDS, Fork, in_fresh

THREADS = 4
SERIES = 300
PAUSES = "cpython.gc.pause.duration"


class Witness:
    """Another callback, which counts the runs by itself; only C code counts."""

    def __init__(self) -> None:
        self._starts, self._stops = itertools.count(), itertools.count()
        self._running = False
        self.nested = 0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self.nested += self._running
            self._running = True
            next(self._starts)
        else:
            self._running = False
            next(self._stops)

    def wait(self) -> None:
        """Wait for the end of a run: it may be on a thread of a lane."""
        end = time.monotonic() + SECONDS
        while self._running and time.monotonic() < end:
            time.sleep(0.001)

    def counts(self) -> list[int]:
        """Give how many starts and stops there were; once only."""
        return [next(self._starts), next(self._stops)]


class Session:
    """Recording threads under a low collector threshold, watched by both callbacks."""

    def __init__(self, cells: str, threshold: int) -> None:
        self._threshold = threshold
        self._registry = Subject(cells).tel.metrics
        self._runtime = Runtime(self._registry)
        self.world = World(Subject(cells, SERIES), STORM)

    def run(self, rounds: int) -> dict[str, Any]:
        """Record, and give what both callbacks counted."""
        witness = Witness()
        made: list[list[str]] = [[] for _ in range(THREADS)]
        threads = [
            threading.Thread(target=self._record, args=[mine, rounds]) for mine in made
        ]
        gc.disable()
        before = self.observed()
        self._runtime.start()
        gc.callbacks.append(witness)
        gc.set_threshold(self._threshold)
        gc.enable()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.disable()
        witness.wait()
        self._runtime.stop()
        gc.callbacks.remove(witness)
        for mine in made:
            self.world.made.update(mine)
        starts, stops = witness.counts()
        return {
            "observed": self.observed() - before,
            "starts": starts,
            "stops": stops,
            "nested": witness.nested,
            "problems": self.world.problems(ignore=PAST_LIMITS),
        }

    def observed(self) -> int:
        return sum(p.count for p in self._registry.snapshot()[PAUSES].points)

    def _record(self, mine: list[str], rounds: int) -> None:
        for _ in range(rounds):
            self.world.make_all_into(mine)
            garbage: list[Any] = []
            garbage.append(garbage)


def session(cells: str, threshold: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield what was counted here, in a forked child, and here again."""
    here = Session(cells, threshold)
    yield here.run(rounds)
    fork = Fork()
    if fork.is_child:
        here.world.forked()
        fork.answer(lambda: here.run(rounds))
    yield fork.result()
    yield here.run(rounds)


def appetite(cells: str) -> Iterator[dict[str, int]]:
    """Yield what the callback takes: blocks of memory, objects that are tracked."""
    runtime = Runtime(Subject(cells).tel.metrics)
    pauses = runtime._pauses
    stop = {"generation": 2, "collected": 0, "uncollectable": 0}
    gc.collect()
    gc.disable()

    def run_often() -> None:
        for _ in range(1_000):
            pauses("start", stop)
            pauses("stop", stop)

    run_often()  # the first on this thread may make its cell
    tracked, blocks = gc.get_count()[0], sys.getallocatedblocks()
    run_often()
    blocks = sys.getallocatedblocks() - blocks
    yield {"tracked": gc.get_count()[0] - tracked, "blocks": blocks}


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("threshold", [5, 50, 700])
def test_every_run_is_observed_and_none_is_set_off(cells: str, threshold: int) -> None:
    rounds = 400 if threshold == 700 else 100
    outcomes = list(in_fresh(f"{__name__}:session", cells, threshold, rounds))
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert outcome["problems"] == []
        assert outcome["nested"] == 0
        assert outcome["starts"] == outcome["stops"] == outcome["observed"] > 0


@pytest.mark.parametrize("cells", CELLS)
def test_it_takes_no_memory(cells: str) -> None:
    (taken,) = in_fresh(f"{__name__}:appetite", cells)
    assert abs(taken["tracked"]) < 10
    assert abs(taken["blocks"]) < 10
