"""Forks while four threads record flat out: no child hangs, and nothing is lost."""

import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.survival.calls import CELLS, PAST_LIMITS, STORM, Subject, World
from tests.survival.processes import Ended, Fork, in_fresh

THREADS = 4
SERIES = 300
AT_ONCE = 4
"""Children that live at the same time."""
EACH = 3
"""How often a child makes each call."""


class Storm:
    """Threads that record until they are told to stop, and children that record too."""

    def __init__(self, cells: str) -> None:
        self._subject = Subject(cells, SERIES)
        self._world = World(self._subject, STORM)
        self._stop = threading.Event()
        self._made: list[list[str]] = [[] for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._record, args=[mine]) for mine in self._made
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._world.made = Counter(name for mine in self._made for name in mine)

    def in_child(self) -> dict[str, Any]:
        """Record in a child, and report."""
        self._world.forked()
        for _ in range(EACH):
            self._world.make_all()
        return self.report()

    def report(self) -> dict[str, Any]:
        """Give what was made in this process, and what of it is there."""
        return {
            "made": self._world.made,
            "totals": self._subject.totals(self._subject.read()),
            "problems": self._world.problems(ignore=PAST_LIMITS),
        }

    def _record(self, mine: list[str]) -> None:
        while not self._stop.is_set():
            self._world.make_all_into(mine)


def storm(cells: str, forks: int) -> Iterator[dict[str, Any]]:
    """Yield the report of each child, and at the end of this process."""
    sys.setswitchinterval(1e-4)  # else the forking thread waits for four others
    it = Storm(cells)
    it.start()
    children: deque[Fork] = deque()
    for number in range(forks + AT_ONCE):
        if number < forks:
            children.append(Fork())
            if children[-1].is_child:
                children[-1].answer(it.in_child)
        if number >= AT_ONCE:
            yield answer(children.popleft())
    it.stop()
    yield it.report()


def answer(child: Fork) -> dict[str, Any]:
    try:
        return child.result()
    except Ended as ended:
        return {"made": {}, "totals": {}, "problems": [str(ended)]}


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize(
    "forks",
    [
        200,
        pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_no_child_hangs_and_all_processes_add_up(cells: str, forks: int) -> None:
    *children, parent = in_fresh(f"{__name__}:storm", cells, forks)

    problems = [p for process in [*children, parent] for p in process["problems"]]
    assert problems == []
    assert len(children) == forks
    assert all(n > forks for n in parent["made"].values()), "they hardly recorded"
    made: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for process in [*children, parent]:
        made.update(process["made"])
        totals.update(process["totals"])
    for call in STORM:
        for total, amount in call.adds.items():
            calls = [other for other in STORM if total in other.adds]
            if calls == [call]:
                assert totals[total] == amount * made[call.name]
