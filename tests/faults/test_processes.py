"""Processes whose backend misbehaves: they end in time, and keep their size."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.child import FULL
from tests.faults.sink import Sink

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
FOUR = ("refuse", "never_read", "reset_before_answer", "503")


@contextmanager
def child(*arguments: str):
    """A process that does what ``child`` says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.child", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


def line(process) -> dict:
    return json.loads(process.stdout.readline())


def test_a_process_ends_in_time_with_full_queues_whatever_the_backend_does():
    took = {}
    with ExitStack() as stack:
        sinks = {mode: stack.enter_context(Sink(mode)) for mode in FOUR}
        started = {
            mode: stack.enter_context(child("leave", sink.url))
            for mode, sink in sinks.items()
        }
        said = {mode: line(process) for mode, process in started.items()}
        left = dict(started)
        while left:
            for mode in [mode for mode in left if left[mode].poll() is not None]:
                took[mode] = time.monotonic() - said[mode]["time"]
                del left[mode]
            time.sleep(0.01)
    assert {mode: it["queued"] for mode, it in said.items()} == dict.fromkeys(
        FOUR, FULL
    )
    assert max(took.values()) < 2.1 + 0.5, took


def flooded(mode: str, n: int) -> None:
    with Sink(mode) as sink, child("flood", sink.url, str(n)) as process:
        said = line(process)
    books = said["books"]
    assert books.pop("produced") == n + 100 == sum(books.values())
    assert books["queue.size"] == 0
    assert books["dropped"] > n - 4 * FULL, "the queues were full"
    assert max(said["grown"], said["closed"]) < 48 * MIB, said


@pytest.mark.parametrize("mode", ["never_read", "refuse"])
def test_full_queues_have_a_size_and_nothing_is_lost_in_silence(mode):
    flooded(mode, 50_000)


@pytest.mark.slow
@pytest.mark.parametrize("mode", FOUR)
def test_a_million_spans_through_a_full_queue(mode):
    flooded(mode, 1_000_000)


def test_an_answer_of_any_size_takes_no_room():
    with Sink() as sink, child("swallow", sink.url) as process:
        line(process)
        for mode in ("huge:length", "huge:close", "huge:chunked", "bomb"):
            sink.mode = mode
            process.stdin.write("\n")
            process.stdin.flush()
            said = line(process)
            assert said["grown"] < MIB, (mode, said)
            assert said["delivered"] == 3 * (100 + 1), mode
