"""Logs from signal handlers, collector callbacks, threads and forks: no line is lost."""

import gc
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from obs.logs import Logs, Route
from tests.survival.processes import SECONDS, Ended, Fork, in_fresh

EACH = 5
"""How many records one run of a handler makes."""


def interrupted(path: str, kind: str, calls: int) -> Iterator[dict[str, int]]:
    """Log flat out while a handler, at any line of that, logs too."""
    with open(path, "ab", buffering=0) as stream:
        log = Logs(routes=[Route(stream, format="json")]).logger("storm")
        made: Counter[str] = Counter()
        running: list[None] = []

        def handler(*args: Any) -> None:
            if len(running) > 1:  # signals come faster than they are handled
                return
            running.append(None)
            for _ in range(EACH):
                log.info("handler", n=made["handler"])
                log.bind(items=[1]).info("general", exc_info=True)
                made["handler"] += 2
            running.pop()

        def collected(phase: str, info: dict[str, int]) -> None:
            if phase == "start":
                handler()

        if kind == "signal":
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        else:
            gc.set_threshold(50)
            gc.callbacks.append(collected)
        kept = []
        while made["handler"] < calls:
            log.info("main", n=made["main"])
            log.info(f"main {made['main'] % 7}", when=[made["main"]])
            made["main"] += 2
            kept = [[kept[-10:]]]  # something to collect
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.callbacks.clear()
        yield dict(made)


@pytest.mark.parametrize("kind", ["signal", "collector"])
@pytest.mark.parametrize(
    "calls",
    [
        10_000,
        pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_no_line_of_a_handler_is_lost(tmp_path, kind: str, calls: int) -> None:
    path = tmp_path / "log"
    (made,) = in_fresh(f"{__name__}:interrupted", str(path), kind, calls)
    found: Counter[str] = Counter()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)["event"]
            found["main" if event.startswith("main") else "handler"] += 1
    assert made["handler"] >= calls
    assert found == made


def forking(name: str, forks: int, seconds: float) -> Iterator[str]:
    """Give how each child ended that logs once, while four threads log flat out."""
    null = open(os.devnull, "a", encoding="utf-8")  # noqa: SIM115 - to the end
    if name == "structlog":
        log: Any = structlog.wrap_logger(
            structlog.PrintLogger(null), processors=[str_of]
        )
    else:
        log = Logs(routes=[Route(null, format="json")]).logger()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            log.info("x", a=1)

    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(forks):
        child = Fork()
        if child.is_child:
            child.answer(lambda: log.info("child") or "well")
        try:
            yield str(child.result(seconds))
        except Ended:
            yield "hung"
    stop.set()


def str_of(logger: Any, method: str, fields: dict[str, Any]) -> str:
    return str(fields)


def test_a_forked_child_logs_where_a_lock_would_hang() -> None:
    ours = Counter(in_fresh(f"{__name__}:forking", "obs", 60, SECONDS))
    theirs = Counter(in_fresh(f"{__name__}:forking", "structlog", 4, 1.0))
    assert ours == {"well": 60}
    assert theirs["hung"] > 0, "the storm does not find a lock that was held"
