"""A lane goes on whatever its exporter does, and is no concern of the others'."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from obs import Obs
from tests.survival.backends import (
    HANGING,
    OK,
    Backend,
    arrived,
    record,
    until,
)
from tests.survival.processes import in_fresh, to_the_end


class Wordless(BaseException):
    """One that has no text, and says so by raising."""

    def __str__(self) -> str:
        raise Wordless

    __repr__ = __str__


EXCEPTIONS: list[type[BaseException]] = [
    Exception,
    SystemExit,
    KeyboardInterrupt,
    MemoryError,
    RecursionError,
    GeneratorExit,
    asyncio.CancelledError,
    StopIteration,
    Wordless,
]
TIMES = 3
"""How often each is raised."""


def survive(path: str, where: str) -> Iterator[Any]:
    """Yield, for each exception, its name, and what the ledger says at the end."""
    backend = Backend(path)
    tel = Obs("workers", runtime=False, exporters=[backend])
    tel.start()
    ledger = tel._lifecycle._lanes.ledgers["traces", "backend"]
    raises = backend.raises if where == "send" else backend.raises_in_encode
    for number, kind in enumerate(EXCEPTIONS):
        raises += [kind() for _ in range(TIMES)]
        for i in range(TIMES if where == "encode" else 1):
            record(tel, 1, first=10 * number + i)
            until(lambda: tel.flush(0.05).pending == 0)
        assert not raises, kind
        record(tel, 1, first=10 * number + 9)
        yield kind.__name__, tel.flush(5.0)[:3]
    names = [it.name for it in threading.enumerate() if it.name.startswith("obs-")]
    yield sorted(names)
    yield ledger.produced, ledger.delivered, ledger.lost, ledger.dropped["invalid"]


@pytest.mark.parametrize("where", ["send", "encode"])
def test_a_lane_survives_whatever_its_exporter_raises(tmp_path, where):
    path = str(tmp_path / "a")
    *each, names, counts = in_fresh(f"{__name__}:survive", path, where)

    assert each == [[kind.__name__, [1, 0, 0]] for kind in EXCEPTIONS]
    assert names == ["obs-backend", "obs-tick"]
    n = len(EXCEPTIONS)
    if where == "send":
        assert counts == [2 * n, 2 * n, 0, 0]
    else:  # a span alone that cannot be encoded is left out
        assert counts == [(TIMES + 1) * n, n, TIMES * n, TIMES * n]
    assert len(arrived(path)) == counts[1]


def raised_on_close(path: str) -> Iterator[Any]:
    for kind in EXCEPTIONS:
        backend = RaisesOnClose(path, kind)
        tel = Obs("workers", runtime=False, exporters=[backend])
        tel.start()
        record(tel, 1)
        yield tel.close(5.0)[:3]


class RaisesOnClose(Backend):
    def __init__(self, path: str, kind: type[BaseException]) -> None:
        super().__init__(path)
        self._kind = kind

    def close(self, deadline: float) -> None:
        raise self._kind


def test_close_survives_whatever_an_exporter_raises(tmp_path):
    results = in_fresh(f"{__name__}:raised_on_close", str(tmp_path / "a"))
    assert list(results) == [[1, 0, 0]] * len(EXCEPTIONS)


def thread_for_some(path: str, n: int) -> Iterator[Any]:
    """Yield what starts and flushes where only ``n`` threads can be started."""
    start, left = threading.Thread.start, [n]

    def start_some(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    threading.Thread.start = start_some  # type: ignore[method-assign]
    backends = [Backend(f"{path}{i}", name=f"b{i}") for i in range(3)]
    tel = Obs("workers", runtime=False, exporters=backends)
    tel.start()
    for number in range(3):
        record(tel, 10, first=10 * number)
        yield tel.flush(5.0)[:3]
    yield tel.close()[:3]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_start_without_threads_does_not_raise_and_says_one_line(tmp_path, n):
    end = to_the_end(f"{__name__}:thread_for_some", str(tmp_path / "a"), n)
    assert end.lines == [[30, 0, 0], [30, 0, 0], [30, 0, 0], [0, 0, 0]]
    assert end.stderr.count("\n") == 1
    for i in range(3):
        assert len(arrived(tmp_path / f"a{i}")) == 30


def beside_a_stuck_one(path: str, modes: list[str]) -> Iterator[Any]:
    backends = [Backend(f"{path}-{mode}", mode, name=mode) for mode in modes]
    tel = Obs("workers", runtime=False, exporters=backends)
    tel.start()
    healthy = f"{path}-{OK}"
    began = time.monotonic()
    record(tel, 1)
    assert until(lambda: arrived(healthy))
    yield "by itself", time.monotonic() - began
    for number in range(1, 3):
        record(tel, 1, first=number)
        began = time.monotonic()
        came: list[float] = []

        def watch(n: int = number, came: list[float] = came) -> None:
            until(lambda: len(arrived(healthy)) > n)
            came.append(time.monotonic())

        watcher = threading.Thread(target=watch)
        watcher.start()
        result = tel.flush(0.5)
        took = time.monotonic() - began
        watcher.join()
        yield "flush", took, came[0] - began, result.lanes[OK], result


@pytest.mark.parametrize(
    "modes",
    [
        [HANGING, OK],
        *[pytest.param(it, marks=pytest.mark.slow) for it in ([OK, HANGING], [OK])],
    ],
)
def test_a_stuck_exporter_changes_no_others_delivery_time(tmp_path, modes):
    lines = in_fresh(f"{__name__}:beside_a_stuck_one", str(tmp_path / "a"), modes)
    for what, seconds, *rest in lines:
        if what == "by itself":
            # A tick, half a second at most; then a second of age.
            assert seconds < 1.5 + 0.5
            continue
        came, healthy, (delivered, pending, lost, lanes) = rest
        assert came < 0.5, "the flush of the healthy lane waits for nobody"
        assert healthy == [1, 0, 0, 0]
        assert (delivered, lost) == (1, 0)
        if HANGING in modes:
            assert 0.5 <= seconds < 1.0
            assert pending == lanes[HANGING][1] > 0
        else:
            assert seconds < 0.5
            assert pending == 0


def wake_ups(path: str, exporters: int, seconds: float) -> Iterator[Any]:
    """Yield how often the threads of idle lanes have woken."""
    backends = [
        Backend(path, name=f"b{i}", signals=("metrics", "traces"), interval=3600.0)
        for i in range(exporters)
    ]
    tel = Obs("workers", runtime=False, exporters=backends)
    tel.start()
    record(tel, 1)
    tel.flush()
    time.sleep(0.6)
    before = switches()
    time.sleep(seconds)
    yield switches() - before
    tel.close()


def switches() -> int:
    """Give how often all threads but this one have given up the processor."""
    total = 0
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            with open(f"/proc/self/task/{thread.native_id}/status") as status:
                total += sum(
                    int(line.split()[1])
                    for line in status
                    if line.startswith("voluntary_ctxt_switches")
                )
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("exporters", "seconds"), [(3, 2), pytest.param(6, 10, marks=pytest.mark.slow)]
)
def test_idle_lanes_wake_twice_a_second_in_all(tmp_path, exporters, seconds):
    path = str(tmp_path / "a")
    (woken,) = in_fresh(f"{__name__}:wake_ups", path, exporters, seconds)
    # One more, as the seconds need not begin with a wait; never an inner spin.
    assert 0 < woken <= 2 * seconds + 1
