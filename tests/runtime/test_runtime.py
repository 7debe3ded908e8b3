"""The runtime collector: process, interpreter, garbage collector."""

import gc
import math
import os
import platform
import sys
import threading
import time

import psutil
import pytest

from obs import Obs
from obs.metrics import Registry
from obs.runtime import Runtime
from obs.runtime._gc import GcPauses
from obs.runtime._process import ProcessCollector


@pytest.fixture
def registry():
    return Registry(strict=True)


def value(registry, name, **labels):
    points = registry.snapshot()[name].points
    (point,) = [
        p
        for p in points
        if all(p.labels[k.replace("__", ".")] == v for k, v in labels.items())
    ]
    return point


def test_the_process_is_read_as_the_system_sees_it(registry):
    Runtime(registry)
    process = psutil.Process()
    rss = value(registry, "process.memory.usage").value
    assert rss == pytest.approx(process.memory_info().rss, rel=0.2)
    assert value(registry, "process.memory.virtual").value > rss
    assert value(registry, "process.thread.count").value == process.num_threads()
    started = value(registry, "process.start_time").value
    assert started == process.create_time()
    assert value(registry, "process.uptime").value == pytest.approx(
        time.time() - started, abs=1
    )


def test_cpu_time_grows_with_work(registry):
    Runtime(registry)
    before = value(registry, "process.cpu.time").value
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    assert value(registry, "process.cpu.time").value >= before + 0.03


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_descriptors_are_counted_against_their_limit(registry):
    import resource

    Runtime(registry)
    before = value(registry, "process.unix.file_descriptor.count").value
    files = [open(os.devnull) for _ in range(7)]  # noqa: SIM115
    assert value(registry, "process.unix.file_descriptor.count").value == before + 7
    for file in files:
        file.close()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert value(registry, "process.unix.file_descriptor.limit").value == limit


def test_what_the_system_does_not_tell_is_left_out(registry, monkeypatch):
    def denied(self):
        raise psutil.AccessDenied

    def missing(self):
        raise AttributeError

    monkeypatch.setattr(psutil.Process, "num_fds", denied)
    monkeypatch.setattr(psutil.Process, "num_threads", missing)
    names = [family.name for family in ProcessCollector().collect()]
    assert "process.unix.file_descriptor.count" not in names
    assert "process.thread.count" not in names
    assert "process.memory.usage" in names


def test_no_limit_of_descriptors_is_infinite(monkeypatch):
    import resource

    from obs.runtime import _process

    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: unlimited)
    assert _process._descriptor_limit() == math.inf


def test_the_interpreter_names_itself(registry):
    Runtime(registry)
    (point,) = registry.snapshot()["python.info"].points
    major, minor, patch = map(str, sys.version_info[:3])
    assert point.labels == {
        "implementation": platform.python_implementation(),
        "major": major,
        "minor": minor,
        "patchlevel": patch,
        "version": platform.python_version(),
    }


def test_runs_of_the_garbage_collector_are_counted_by_generation(registry):
    Runtime(registry)
    before = value(
        registry, "cpython.gc.collections", cpython__gc__generation="2"
    ).value
    gc.collect()
    after = value(registry, "cpython.gc.collections", cpython__gc__generation="2").value
    assert after == before + 1
    for name in ("collected_objects", "uncollectable_objects"):
        assert len(registry.snapshot()[f"cpython.gc.{name}"].points) == 3


def test_pauses_are_timed_between_start_and_stop(registry):
    runtime = Runtime(registry)

    def pauses():
        return value(registry, "cpython.gc.pause.duration", cpython__gc__generation="2")

    gc.collect()
    assert pauses().count == 0
    gc.disable()
    try:
        runtime.start()
        runtime.start()
        gc.collect()
        gc.collect()
        assert pauses().count == 2
        assert 0 < pauses().sum < 10
        runtime.stop()
        runtime.stop()
        gc.collect()
        assert pauses().count == 2
    finally:
        gc.enable()
        runtime.stop()
    assert not any(isinstance(callback, GcPauses) for callback in gc.callbacks)


def test_a_stop_without_a_start_is_no_pause(registry):
    pauses = GcPauses(registry)
    pauses("stop", {"generation": 0})
    assert (
        sum(p.count for p in registry.snapshot()["cpython.gc.pause.duration"].points)
        == 0
    )


def test_pauses_are_observed_from_any_thread(registry):
    runtime = Runtime(registry)
    runtime.start()
    try:
        threads = [threading.Thread(target=gc.collect) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        runtime.stop()
    # Where one run is under way, another thread's gc.collect() does nothing.
    count = value(
        registry, "cpython.gc.pause.duration", cpython__gc__generation="2"
    ).count
    assert 1 <= count <= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_reads_its_own_process():
    tel = Obs("x")
    tel.snapshot()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        started = tel.snapshot()["process.start_time"].points[0].value
        os.write(write, str(started).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    child = float(os.read(read, 100))
    os.close(read)
    assert child > tel.snapshot()["process.start_time"].points[0].value
