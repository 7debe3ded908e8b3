"""Children deliver what they have recorded, once, and nothing of their parent's."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from obs import Obs
from tests.survival.backends import (
    GATE,
    HANGING,
    OK,
    Backend,
    arrived,
    counted,
    make,
    record,
    sent_by,
    until,
)
from tests.survival.processes import in_fresh, to_the_end

ALL = ("metrics", "traces")
QUEUED = 1_000
"""How many spans the parent has not sent when it forks."""
EACH = 20
"""How many each child records."""
ENDINGS = ("return", "sys.exit", "exception", "close", "flush")
METHODS = ("fork", "spawn", "forkserver")
QUICK_METHODS = (
    "fork",
    *[pytest.param(it, marks=pytest.mark.slow) for it in METHODS[1:]],
)


class Failed(Exception):
    pass


def fork(tel: Obs, ending: str) -> int:
    """Fork a child that records and ends; give its process id, in the parent."""
    pid = os.fork()
    if pid == 0:
        record(tel, EACH)
        if ending == "sys.exit":
            sys.exit(3)
        if ending == "exception":
            raise Failed
        if ending == "close":
            tel.close()
            os._exit(0)
        if ending == "flush":
            tel.flush()
            os._exit(0)
    return pid


def by_fork(path: str, ending: str, mode: str) -> Iterator[int]:
    """Yield the ids of the processes: the parent's, then the child's."""
    tel = make(path, mode, signals=ALL)
    tel.start()
    record(tel, QUEUED)
    if mode == GATE:
        assert until(lambda: queued(tel) == QUEUED)
    child = fork(tel, ending)
    if child == 0:
        return
    open(f"{path}.open", "w").close()
    record(tel, EACH, first=QUEUED)
    yield os.getpid()
    yield child
    os.waitpid(child, 0)


def queued(tel: Obs) -> float:
    """Give how many spans wait in the lane."""
    return tel.snapshot()["obs.queue.size"].value(signal="traces", exporter="backend")


@pytest.mark.parametrize(
    ("ending", "mode"),
    [
        *[(ending, OK) for ending in ENDINGS],
        (ENDINGS[0], GATE),
        *[pytest.param(it, GATE, marks=pytest.mark.slow) for it in ENDINGS[1:]],
    ],
)
def test_a_forked_child_delivers_its_own_and_nothing_of_its_parents(
    tmp_path, ending, mode
):
    path = str(tmp_path / "arrived")
    parent, child = in_fresh(f"{__name__}:by_fork", path, ending, mode)

    assert arrived(path) == sent_by([parent], QUEUED + EACH) + sent_by([child], EACH)
    assert counted(path) == {parent: QUEUED + EACH, child: EACH}


def daemons(path: str) -> Iterator[int]:
    """Yield the id of a grandchild, as a service that makes itself a daemon has them.

    To those before it the backend hangs, so that all that they have recorded still waits
    when they fork.
    """
    backend = Backend(path, HANGING, signals=ALL)
    tel = Obs("exits", runtime=False, exporters=[backend])
    tel.start()
    record(tel, QUEUED)
    assert until(lambda: queued(tel) == QUEUED)
    if os.fork() == 0:
        if os.fork() == 0:
            backend.mode = OK
            record(tel, EACH)
            yield os.getpid()
            return
        os.wait()
        os._exit(0)
    os.wait()
    os._exit(0)


def test_of_a_grandchild_whose_forebears_have_sent_nothing_its_own_arrives_alone(
    tmp_path,
):
    path = str(tmp_path / "arrived")
    end = to_the_end(f"{__name__}:daemons", path)
    assert arrived(path) == sent_by(end.lines, EACH)
    assert counted(path) == {end.lines[0]: EACH}
    assert end.stderr == ""


TEL: Obs | None = None
"""The started instance of a process that makes others."""


def work(path: str) -> int:
    """What a process of ``multiprocessing`` does."""
    global TEL
    if TEL is None:  # it was not forked
        TEL = make(path, signals=ALL)
        TEL.start()
    record(TEL, EACH)
    return os.getpid()


def work_of_a_pool(path: str, number: int) -> tuple[int, int]:
    """The same, of one of many calls in a process."""
    global TEL
    if TEL is None:
        TEL = make(path, signals=ALL)
        TEL.start()
    record(TEL, 1, first=number)
    time.sleep(0.01)  # so that the other process gets some, too
    return os.getpid(), number


def by_process(path: str, method: str, is_started: bool) -> Iterator[int]:
    """Yield the ids of the processes: the parent's, then the children's."""
    global TEL
    context: Any = multiprocessing.get_context(method)
    if is_started:
        TEL = make(path, signals=ALL)
        TEL.start()
        record(TEL, QUEUED)
    processes = [context.Process(target=work, args=[path]) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    yield os.getpid()
    yield from [process.pid for process in processes]


@pytest.mark.parametrize("method", METHODS)
def test_processes_of_multiprocessing_deliver_what_they_recorded(tmp_path, method):
    path = str(tmp_path / "arrived")
    parent, *children = in_fresh(f"{__name__}:by_process", path, method, True)

    assert arrived(path) == sent_by([parent], QUEUED) + sent_by(children, EACH)
    assert counted(path) == {parent: QUEUED, **dict.fromkeys(children, EACH)}


def test_a_child_of_multiprocessing_starts_an_instance_of_its_own(tmp_path):
    path = str(tmp_path / "arrived")
    _, *children = in_fresh(f"{__name__}:by_process", path, "fork", False)

    assert arrived(path) == sent_by(children, EACH)
    assert counted(path) == dict.fromkeys(children, EACH)


def by_pool(path: str, kind: str, method: str) -> Iterator[tuple[int, int]]:
    """Yield process and number of each span of the pool, and at last the parent's."""
    global TEL
    context: Any = multiprocessing.get_context(method)
    TEL = make(path, signals=ALL)
    TEL.start()
    record(TEL, QUEUED)
    jobs = [(path, number) for number in range(40)]
    if kind == "Pool":
        pool = context.Pool(2)
        made = pool.starmap(work_of_a_pool, jobs, chunksize=1)
        pool.close()
        pool.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            made = list(executor.map(work_of_a_pool, *zip(*jobs, strict=True)))
    yield from made
    yield os.getpid(), 0


@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
@pytest.mark.parametrize("method", QUICK_METHODS)
def test_processes_of_a_pool_deliver_what_they_recorded(tmp_path, kind, method):
    path = str(tmp_path / "arrived")
    *made, (parent, _) = in_fresh(f"{__name__}:by_pool", path, kind, method)

    mine = Counter((pid, f"{pid}-{number}") for pid, number in made)
    each = Counter(pid for pid, _ in made)
    assert arrived(path) == mine + sent_by([parent], QUEUED)
    assert counted(path) == {parent: QUEUED, **each}


def record_and_wait(path: str) -> None:
    """Record, wait until it has arrived, record more, and wait for the end."""
    assert TEL is not None
    record(TEL, EACH)
    until(lambda: arrived(path))
    record(TEL, EACH, first=EACH)
    open(f"{path}.{os.getpid()}", "w").close()


def by_violence(path: str, kind: str) -> Iterator[int]:
    global TEL
    TEL = make(path)
    TEL.start()
    if kind == "os._exit":
        child = os.fork()
        if child == 0:
            record_and_wait(path)
            os._exit(0)
        os.waitpid(child, 0)
    else:
        pool = multiprocessing.get_context("fork").Pool(1)
        child = pool.apply(os.getpid)
        pool.apply_async(record_and_wait, [path])
        assert until(lambda: os.path.exists(f"{path}.{child}"))
        pool.terminate()
        pool.join()
    yield child


@pytest.mark.parametrize("kind", ["os._exit", "Pool.terminate"])
def test_what_ends_by_violence_loses_the_last_interval_alone(tmp_path, kind):
    path = str(tmp_path / "arrived")
    (child,) = in_fresh(f"{__name__}:by_violence", path, kind)

    came = arrived(path)
    assert came >= sent_by([child], EACH), "what was recorded long before"
    assert came <= sent_by([child], 2 * EACH)


def names() -> list[str]:
    """Give the names of our threads."""
    return sorted(it.name for it in threading.enumerate() if it.name.startswith("obs-"))


RUNNING = ["obs-backend", "obs-tick"]
RUNNING_AGAIN = ["obs-tick"]
"""In a forked child: the threads of lanes have no names there."""


def threads_of_a_child(path: str, signals: list[str]) -> Iterator[Any]:
    tel = make(path, signals=signals)
    record(tel, 1)
    yield "constructed", names()
    tel.start()
    yield "started", names()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        tel.close()
        return
    if "metrics" in signals:
        until(lambda: names() == RUNNING_AGAIN)
    yield "forked", names()
    record(tel, 1)
    until(lambda: names() == RUNNING_AGAIN)
    yield "recorded", names()
    # It delivers by itself, too.
    mine = sent_by([os.getpid()], 1)
    yield "arrived", until(lambda: mine <= arrived(path))
    os._exit(0)


@pytest.mark.parametrize("signals", [["traces"], ["metrics", "traces"]])
def test_lanes_start_again_when_a_child_records_and_at_once_for_metrics(
    tmp_path, signals
):
    said = dict(
        in_fresh(f"{__name__}:threads_of_a_child", str(tmp_path / "a"), signals)
    )
    assert said == {
        "constructed": [],
        "started": RUNNING,
        "forked": RUNNING_AGAIN if "metrics" in signals else [],
        "recorded": RUNNING_AGAIN,
        "arrived": True,
    }


def record_while_all_locks_are_held(path: str) -> Iterator[Any]:
    tel = make(path)
    tel.start()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    lanes = tel._lifecycle._lanes
    locks = [
        lanes._starting,
        lanes._ticking,
        *[worker._changed for worker in lanes.workers()],
        tel._lifecycle._lock,
        threading._active_limbo_lock,
    ]
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        held.set()
        release.wait()
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    record(tel, EACH)
    yield "recorded"
    release.set()
    holder.join()
    until(lambda: names() == RUNNING_AGAIN)
    yield names()


def test_the_call_that_starts_the_lanes_of_a_child_waits_for_no_lock(tmp_path):
    path = str(tmp_path / "arrived")
    said = list(in_fresh(f"{__name__}:record_while_all_locks_are_held", path))
    assert said == ["recorded", RUNNING_AGAIN]
    assert len(arrived(path)) == EACH


def idle_child(path: str, runtime: bool, is_multiprocessing: bool) -> Iterator[float]:
    """Yield how long a child lives that does nothing."""
    tel = make(path, HANGING, signals=ALL, runtime=runtime)
    tel.start()
    record(tel, 1)
    began = time.monotonic()
    if is_multiprocessing:
        process = multiprocessing.get_context("fork").Process(target=int)
        process.start()
        process.join()
    else:
        child = os.fork()
        if child == 0:
            gc.collect()  # which the runtime's metrics count
            return
        os.waitpid(child, 0)
    yield time.monotonic() - began
    os._exit(0)


@pytest.mark.parametrize("runtime", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("is_multiprocessing", [False, True])
def test_a_child_that_records_nothing_ends_at_once(
    tmp_path, runtime, is_multiprocessing
):
    path = str(tmp_path / "arrived")
    (seconds,) = in_fresh(f"{__name__}:idle_child", path, runtime, is_multiprocessing)
    assert seconds < 1.0


def children_that_flush(path: str, children: int) -> Iterator[int]:
    """Yield the ids of children that flush at once, record more, and see it arrive."""
    tel = make(path)
    tel.start()
    for _ in range(children):
        child = os.fork()
        if child == 0:
            record(tel, 1)
            tel.flush()
            record(tel, 1, first=1)
            assert until(lambda: (os.getpid(), f"{os.getpid()}-1") in arrived(path))
            os._exit(0)
        yield child
        _, status = os.waitpid(child, 0)
        assert status == 0


def test_a_lane_lives_where_a_flush_meets_the_start_of_its_thread(tmp_path):
    path = str(tmp_path / "arrived")
    children = list(in_fresh(f"{__name__}:children_that_flush", path, 2))
    assert arrived(path) == sent_by(children, 2)


def child_of_a_stuck_parent(path: str, kind: str) -> Iterator[float]:
    """Yield how long a child lives that records and ends, its backend hanging."""
    tel = make(path, HANGING, runtime=True)  # no metrics: lanes start when it records
    tel.start()
    record(tel, EACH)
    began = time.monotonic()
    if kind == "multiprocessing":
        process = multiprocessing.get_context("fork").Process(
            target=record, args=[tel, 1]
        )
        process.start()
        process.join()
    else:
        child = os.fork()
        if child == 0:
            record(tel, 1)
            return
        os.waitpid(child, 0)
    yield time.monotonic() - began
    os._exit(0)


@pytest.mark.parametrize(
    "kind", ["multiprocessing", pytest.param("fork", marks=pytest.mark.slow)]
)
def test_a_child_ends_in_time_though_its_backend_hangs(tmp_path, kind):
    path = str(tmp_path / "arrived")
    (seconds,) = in_fresh(f"{__name__}:child_of_a_stuck_parent", path, kind)
    assert seconds < 2.1 + 0.5


def children_that_end_at_once(path: str, n: int) -> Iterator[int]:
    """Yield how many children that record and end are still there 10 seconds later."""
    tel = make(path, HANGING)
    tel.start()
    children = []
    for _ in range(n):
        child = os.fork()
        if child == 0:
            record(tel, 1)
            sys.exit()
        children.append(child)
    until(lambda: all(has_ended(child) for child in children), 10.0)
    left = [child for child in children if not has_ended(child)]
    for child in left:
        os.kill(child, signal.SIGKILL)
    yield len(left)
    os._exit(0)


def has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:  # it was asked before
        return True


def test_no_child_gets_stuck_in_a_send_when_it_ends_as_its_lanes_start(tmp_path):
    path = str(tmp_path / "arrived")
    assert list(in_fresh(f"{__name__}:children_that_end_at_once", path, 8)) == [0]
