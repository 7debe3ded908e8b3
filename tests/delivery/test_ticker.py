"""The thread that feeds the lanes."""

import threading
import time
from queue import SimpleQueue

from obs.delivery._ticker import TICK, Ticker


def test_it_ticks_by_itself_and_as_soon_as_it_is_nudged():
    ticks = SimpleQueue()
    ticker = Ticker(lambda: ticks.put(time.monotonic()))
    began = time.monotonic()
    ticker.nudge()  # before it runs, too
    ticker.start()
    ticker.start()
    assert ticks.get(timeout=10) - began < TICK
    alone = ticks.get(timeout=10)
    assert alone - began >= TICK
    for _ in range(3):
        ticker.nudge()  # several are one
    assert ticks.get(timeout=10) - alone < TICK
    ticker.stop(time.monotonic() + 10)
    assert "obs-tick" not in [thread.name for thread in threading.enumerate()]


def test_what_never_ran_is_stopped_at_once():
    Ticker(lambda: None).stop(time.monotonic() + 10)


def test_a_stop_keeps_its_deadline():
    inside, go_on = threading.Event(), threading.Event()

    def tick():
        inside.set()
        go_on.wait(30)

    ticker = Ticker(tick)
    ticker.start()
    assert inside.wait(10)
    began = time.monotonic()
    ticker.stop(began + 0.1)
    assert time.monotonic() - began < 0.1 + 0.5
    go_on.set()
