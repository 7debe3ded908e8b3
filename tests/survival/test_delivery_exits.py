"""A process ends in time and delivers what it can, whatever its backend does."""

import atexit
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from obs import Obs, _obs
from tests.survival.backends import (
    HANGING,
    HANGING_CLOSE,
    MODES,
    OK,
    REFUSING,
    Backend,
    arrived,
    counted,
    make,
    record,
    sent_by,
    until,
)
from tests.survival.processes import to_the_end

ALL = ("metrics", "traces")
IN_TIME = 2.1 + 0.5
"""Seconds that an exit may take, and half a second of grace."""
CAPACITY = 8_192


def queued(tel: Obs) -> float:
    return tel.snapshot()["obs.queue.size"].value(signal="traces", exporter="backend")


def leave(path: str, mode: str, way: str, is_full: bool) -> Iterator[Any]:
    tel = make(path, mode, signals=ALL, runtime=True)
    tel.start()
    if is_full:
        record(tel, CAPACITY)
        until(lambda: queued(tel) == CAPACITY, 2.0)
        record(tel, CAPACITY, first=CAPACITY)
    else:
        record(tel, 100)
    yield os.getpid()
    if way == "close":
        began = time.monotonic()
        result = tel.close()
        yield time.monotonic() - began
        yield result
    elif way == "interrupted":
        # It is ignored where the tests run in a shell's background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        tel.close()


def all_left(folder: Path, modes: Sequence[str], way: str, is_full: bool):
    """Give how each process ended, by mode; they run side by side."""
    with ThreadPoolExecutor() as threads:
        ends = [
            threads.submit(
                to_the_end, f"{__name__}:leave", str(folder / mode), mode, way, is_full
            )
            for mode in modes
        ]
        return {mode: end.result() for mode, end in zip(modes, ends, strict=True)}


@pytest.mark.parametrize(
    ("way", "is_full"),
    [
        ("atexit", True),
        pytest.param("atexit", False, marks=pytest.mark.slow),
        ("close", False),
        pytest.param("close", True, marks=pytest.mark.slow),
    ],
)
def test_a_process_ends_in_time_whatever_its_backend_does(tmp_path, way, is_full):
    n = 2 * CAPACITY if is_full else 100
    for mode, end in all_left(tmp_path, MODES, way, is_full).items():
        assert end.code == 0, (mode, end)
        assert "Traceback" not in end.stderr, (mode, end)
        pid, came = end.lines[0], arrived(tmp_path / mode)
        if way == "atexit":
            assert end.seconds < IN_TIME, (mode, end)
        else:
            seconds, (delivered, pending, lost, lanes) = end.lines[1:]
            assert seconds < IN_TIME, (mode, end)
            assert end.seconds < 0.5, (mode, end)
            assert pending == 0
            assert list(lanes["backend"][:3]) == [delivered, 0, lost]
        if mode in (OK, HANGING_CLOSE):
            assert set(came.values()) == {1}
            assert set(came) <= set(sent_by([pid], n))
            assert len(came) >= min(n, CAPACITY)
            assert counted(tmp_path / mode) == {pid: n}
        else:
            assert not came


def test_an_interrupt_during_close_ends_the_process(tmp_path):
    modes = [HANGING, HANGING_CLOSE]
    for end in all_left(tmp_path, modes, "interrupted", False).values():
        assert end.seconds < IN_TIME
        assert end.code not in (0, -9)
        assert "KeyboardInterrupt" in end.stderr


class SlowToClose(Backend):
    """One that has much to write when it closes."""

    def close(self, deadline: float) -> None:
        time.sleep(0.3)
        super().close(deadline)


def closed_when_close_returns(path: str) -> Iterator[Any]:
    backends = [SlowToClose(path, name="slow"), Backend(path, name="quick")]
    tel = Obs("exits", runtime=False, exporters=backends)
    tel.start()
    tel.close()
    yield [it.closed for it in backends]


def test_exporters_are_closed_when_close_returns(tmp_path):
    end = to_the_end(f"{__name__}:closed_when_close_returns", str(tmp_path / "a"))
    assert end.lines == [[1, 1]]


def several(path: str, modes: list[str]) -> Iterator[int]:
    """Instances that nobody holds when the process ends."""
    for number, mode in enumerate(modes):
        tel = make(f"{path}{number}", mode, signals=ALL)
        tel.start()
        record(tel, 100)
    yield os.getpid()


def test_all_instances_end_by_one_deadline_and_none_costs_another_its_records(tmp_path):
    path = str(tmp_path / "a")
    end = to_the_end(f"{__name__}:several", path, [HANGING, OK, REFUSING, OK])
    assert end.seconds < IN_TIME
    for number in (1, 3):
        assert arrived(f"{path}{number}") == sent_by(end.lines, 100)
        assert counted(f"{path}{number}") == {end.lines[0]: 100}


def no_thread(*args: object) -> None:
    raise RuntimeError("can't start new thread")


def without_threads(path: str, way: str) -> Iterator[Any]:
    threading.Thread.start = no_thread  # type: ignore[method-assign]
    backends = [Backend(path, signals=ALL), Backend(f"{path}b", name="other")]
    tel = Obs("exits", runtime=False, exporters=backends)
    tel.start()
    record(tel, 1_000)
    yield os.getpid()
    if way == "flush":
        yield tel.flush()
        os._exit(0)
    elif way == "close":
        yield tel.close()
        yield [it.closed for it in backends]


@pytest.mark.parametrize("way", ["flush", "close", "atexit"])
def test_where_no_thread_can_be_started_flush_close_and_exit_do_the_work(tmp_path, way):
    path = str(tmp_path / "a")
    end = to_the_end(f"{__name__}:without_threads", path, way)

    pid = end.lines[0]
    assert arrived(path) == arrived(f"{path}b") == sent_by([pid], 1_000)
    assert counted(path) == {pid: 1_000}
    assert end.seconds < IN_TIME
    (line,) = end.stderr.splitlines()
    text = "no thread could be started (can't start new thread): only flush() sends."
    assert f'"event":"{text}"' in line
    if way != "atexit":
        assert end.lines[1][:3] == [2_001, 0, 0]
    if way == "close":
        assert end.lines[2] == [1, 1]


def without_threads_and_backend(path: str, modes: list[str]) -> Iterator[Any]:
    threading.Thread.start = no_thread  # type: ignore[method-assign]
    backends = [Backend(path, mode, name=mode) for mode in modes]
    tel = Obs("exits", runtime=False, exporters=backends)
    tel.start()
    record(tel, 10)
    began = time.monotonic()
    tel.close(0.4)
    yield time.monotonic() - began
    yield [it.closed for it in backends]


def test_without_a_thread_too_close_keeps_its_deadline_and_closes_the_exporters(
    tmp_path,
):
    path = str(tmp_path / "a")
    modes = [REFUSING, OK, f"{REFUSING} too"]
    end = to_the_end(f"{__name__}:without_threads_and_backend", path, modes)
    seconds, closed = end.lines
    assert seconds < 0.4 + 0.1 + 0.5
    assert closed == [1, 1, 1]
    assert len(arrived(path)) == 10


def started_at_exit(path: str) -> Iterator[int]:
    """From Python 3.12 on no thread can be started there."""
    tel = make(path, signals=ALL)

    def begin() -> None:
        tel.start()
        record(tel, 100)

    atexit.register(begin)
    yield os.getpid()


def test_an_instance_that_is_started_at_exit_delivers(tmp_path):
    path = str(tmp_path / "a")
    end = to_the_end(f"{__name__}:started_at_exit", path)
    assert arrived(path) == sent_by(end.lines, 100)
    assert counted(path) == {end.lines[0]: 100}
    assert (end.code, end.stderr) == (0, "")


LAST: list[Any] = []
"""What lives until modules are taken apart."""


class RecordsWhenItGoes:
    def __init__(self, tel: Obs) -> None:
        self.tel = tel
        self.me = self

    def __del__(self) -> None:
        record(self.tel, 1, first=300)


def recorded_at_the_end(path: str, mode: str) -> Iterator[int]:
    tel = make(path, mode, signals=ALL, runtime=True)
    tel.start()

    def after() -> None:
        record(tel, 5, first=200)
        tel.flush(1.0)
        dropped = tel.snapshot()["obs.dropped"].value(
            signal="traces", exporter="backend", reason="closed"
        )
        with open(f"{path}.late", "w") as file:
            file.write(str(dropped))

    def before() -> None:
        record(tel, 5, first=100)

    atexit.unregister(_obs._exit_all)
    for function in (after, _obs._exit_all, before):  # the last one is called first
        atexit.register(function)
    LAST.append(RecordsWhenItGoes(tel))
    record(tel, 5)
    yield os.getpid()


def test_what_is_recorded_at_the_very_end_is_delivered_or_counted(tmp_path):
    path = str(tmp_path / "a")
    end = to_the_end(f"{__name__}:recorded_at_the_end", path, OK)

    (pid,) = end.lines
    numbers = sorted(int(text.partition("-")[2]) for _, text in arrived(path))
    assert numbers == [*range(5), *range(100, 105)]
    assert counted(path) == {pid: 10}
    assert (tmp_path / "a.late").read_text() == "5"
    assert (end.code, end.stderr) == (0, "")


def recorded_by_daemons(path: str, mode: str, is_closed: bool) -> Iterator[Any]:
    tel = make(path, mode)
    tel.start()
    made = [0] * 3
    stop = threading.Event()

    def work(me: int) -> None:
        while not stop.is_set():
            with tel.span("work", id=f"{me}-{made[me]}"):
                pass
            made[me] += 1
            if mode == OK:  # no more than it takes: so nothing is lost before the end
                time.sleep(0.001)

    threads = [threading.Thread(target=work, args=[i], daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    if is_closed:
        tel.close()
        stop.set()
        for thread in threads:
            thread.join()
        tel.flush()
        ledger = tel._lifecycle._lanes.ledgers["traces", "backend"]
        counts = ledger.delivered, ledger.lost, ledger.unknown
        yield sum(made), ledger.produced, *counts
    yield "end"


@pytest.mark.parametrize(
    ("mode", "is_closed"),
    [
        (OK, False),
        (HANGING, True),
        pytest.param(OK, True, marks=pytest.mark.slow),
        pytest.param(HANGING, False, marks=pytest.mark.slow),
    ],
)
def test_threads_that_record_on_during_the_end_disturb_nothing(
    tmp_path, mode, is_closed
):
    path = str(tmp_path / "a")
    end = to_the_end(f"{__name__}:recorded_by_daemons", path, mode, is_closed)

    assert end.seconds < IN_TIME
    assert end.code == 0
    said = {
        it["reason"]: it["event"] for it in map(json.loads, end.stderr.splitlines())
    }
    lost_line = said.pop("backend lost traces", "")
    assert list(said) == (["backend full traces"] if mode == HANGING else [])
    if mode == OK:  # but what came when it was closed already
        assert re.fullmatch(
            r"(.* traces delivered, (\d+) not: \2 closed\.)?", lost_line
        )
    assert all(n == 1 for n in arrived(path).values())
    if is_closed:
        made, produced, delivered, lost, unknown = end.lines[0]
        assert made == produced == delivered + lost
        assert delivered == len(arrived(path))
        assert bool(delivered) == (mode == OK)
        assert bool(unknown) == (mode == HANGING)
