"""The lanes of an instance, with their threads."""

import asyncio
import json
import math
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from obs import DefinitionError, Obs
from obs.delivery import Intake
from obs.delivery._lanes import CHUNK, Lanes
from obs.errors import ExportFailed
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Ack, Payload, Resource
from obs.testing import MemoryExporter
from tests.delivery.scripted import Scripted, down, refused

GRACE = 0.5


def eventually(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"after {seconds} s still {check()!r}"
        time.sleep(0.005)


def instance(*exporters, **more):
    return Obs("t", exporters=exporters, runtime=False, **more)


def spans(tel, *ids):
    for i in ids:
        tel.span("s", i=i).end()


@contextmanager
def held(exporter):
    """Hold the exporter in its next send; give an event that lets it go on."""
    inside, go_on = threading.Event(), threading.Event()

    def hold(payload):
        inside.set()
        assert go_on.wait(30)
        return Ack(payload.records)

    exporter.answers.append(hold)
    try:
        yield inside, go_on
    finally:
        go_on.set()


def balance(tel, exporter="scripted", signal="traces"):
    """What the instance's own metrics say about one exporter and signal."""
    snapshot = tel.snapshot()

    def total(name, **labels):
        return sum(
            point.value
            for point in snapshot[name].points
            if {"exporter": exporter, "signal": signal, **labels}.items()
            <= point.labels.items()
        )

    return {
        "delivered": total("obs.exported"),
        "rejected": total("obs.rejected"),
        "dropped": total("obs.dropped"),
        "unknown": total("obs.unknown"),
        "queued": total("obs.queue.size"),
    }


def produced(tel):
    return tel.snapshot()["obs.produced"].value(signal="traces")


def test_constructing_starts_no_thread_and_keeps_what_is_recorded_for_the_start():
    exporter = Scripted()
    before = threading.enumerate()
    tel = instance(exporter)
    spans(tel, 1, 2)
    assert threading.enumerate() == before
    with tel.start():
        eventually(lambda: exporter.ids == {1: 1, 2: 1})
    assert threading.enumerate() == before
    assert exporter.closed == 1


def test_each_exporter_has_a_thread_of_its_own():
    first, second = Scripted("a"), Scripted("b")
    tel = instance(first, second)
    with tel.start():
        spans(tel, 1)
        tel.flush(5)
    assert first.threads == {"obs-a"}
    assert second.threads == {"obs-b"}
    assert first.ids == second.ids == {1: 1}


def test_records_arrive_by_themselves():
    exporter = Scripted()
    tel = instance(exporter)
    with tel.start():
        spans(tel, *range(100))
        eventually(lambda: len(exporter.ids) == 100)


def test_points_that_a_push_leaves_out_or_adds_up_are_counted_and_said_once(capfd):
    class Picky(Scripted):
        def encode(self, batch):
            yield Payload("a", 3, {"invalid": 2}, 1)
            yield Payload("b", 0, {"invalid": 1, "limit": 4}, 1)

    tel = instance(Picky(signals=("metrics",)))
    with tel.start():
        tel.flush(5)
        tel.flush(5)
        snapshot = tel.snapshot()
        dropped = snapshot["obs.dropped"]
        assert dropped.value(signal="metrics", exporter="", reason="invalid") == 6
        assert dropped.value(signal="metrics", exporter="", reason="limit") == 8
        assert snapshot["obs.truncated"].value(signal="metrics") == 4
        # No push was lost.
        assert balance(tel, signal="metrics") == {
            "delivered": 2,
            "rejected": 0,
            "dropped": 0,
            "unknown": 0,
            "queued": 0,
        }
    said = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert said == [
        "exporter 'scripted': 2 points of a push left out: invalid.",
        "exporter 'scripted': 1 series have the names of others there and add up.",
        "exporter 'scripted': 4 points of a push left out: limit.",
    ]


def test_metrics_arrive_every_interval():
    exporter = Scripted(signals=("metrics",), interval=0.05)
    tel = instance(exporter)
    counter = tel.counter("c")
    with tel.start():
        counter.inc()
        eventually(lambda: {"c": 1} in exporter.bodies and len(exporter.bodies) > 3)


def test_flush_gives_what_was_acknowledged_since_the_call():
    exporter = Scripted(signals=("metrics", "traces"))
    tel = instance(exporter)
    tel.counter("c").inc()
    with tel.start():
        spans(tel, *range(CHUNK + 10))
        result = tel.flush(5)
        assert (result.delivered, result.pending, result.lost) == (CHUNK + 11, 0, 0)
        assert result.lanes["scripted"] == (CHUNK + 11, 0, 0, 0)
        assert {"c": 1} in exporter.bodies
        again = tel.flush(5)
        assert (again.delivered, again.pending, again.lost) == (1, 0, 0)


def test_flush_keeps_its_time_and_says_what_is_pending():
    exporter = Scripted()
    exporter.always = down()
    tel = instance(exporter, shutdown_timeout=0.1)
    with tel.start():
        spans(tel, 1, 2)
        started = time.monotonic()
        result = tel.flush(0.5)
        assert 0.5 <= time.monotonic() - started < 0.5 + GRACE
        assert (result.delivered, result.pending, result.lost) == (0, 2, 0)
        exporter.always = None
        assert tel.flush(5).delivered == 2


def test_flush_counts_losses_and_what_is_unknown():
    exporter = Scripted()
    exporter.answers += [refused(), Ack(0, {"old": 1}), refused(sent=True)]
    tel = instance(exporter)
    with tel.start():
        results = []
        for i in range(3):
            spans(tel, i)
            results.append(tel.flush(5).lanes["scripted"])
    assert results == [(0, 0, 1, 0), (0, 0, 1, 0), (0, 0, 1, 1)]


def test_flush_before_the_start_sends_nothing():
    exporter = Scripted()
    tel = instance(exporter)
    spans(tel, 1)
    result = tel.flush(5)
    assert (result.delivered, result.pending, result.lost) == (0, 1, 0)
    assert exporter.tries == []


def test_a_lane_that_hangs_delays_no_other():
    stuck, healthy = Scripted("stuck"), Scripted("healthy")
    tel = instance(stuck, healthy, shutdown_timeout=0.2)
    with held(stuck) as (inside, _), tel.start():
        spans(tel, 1)
        assert inside.wait(5)
        spans(tel, 2)
        eventually(lambda: healthy.ids == {1: 1, 2: 1})
        started = time.monotonic()
        result = tel.flush(0.3)
        assert time.monotonic() - started < 0.3 + GRACE
        assert result.lanes["stuck"] == (0, 2, 0, 0)
        assert result.lanes["healthy"].pending == 0


def test_close_keeps_its_time_with_a_lane_that_hangs_and_counts_what_is_left():
    exporter = Scripted()
    tel = instance(exporter)
    with held(exporter) as (inside, go_on):
        tel.start()
        spans(tel, 1, 2)
        assert inside.wait(5)
        spans(tel, 3, 4, 5)
        started = time.monotonic()
        result = tel.close(0.3)
        assert time.monotonic() - started < 0.3 + GRACE
        assert result.lanes["scripted"] == (0, 0, 5, 2)
        expected = {"delivered": 0, "rejected": 0, "dropped": 3, "unknown": 2}
        assert balance(tel) == {**expected, "queued": 0}
        go_on.set()
        eventually(lambda: exporter.closed == 1)
    assert balance(tel) == {**expected, "queued": 0}, "what comes late changes nothing"


def test_close_delivers_what_is_there_and_once_more_does_nothing():
    exporter = Scripted(signals=("metrics", "traces"))
    tel = instance(exporter)
    tel.start()
    spans(tel, 1, 2)
    assert tel.close(5).delivered == 3
    assert tel.close(5) == (0, 0, 0, {"scripted": (0, 0, 0, 0)})
    assert exporter.closed == 1


def test_what_is_recorded_after_the_end_is_counted():
    exporter = Scripted()
    tel = instance(exporter)
    with tel.start():
        pass
    spans(tel, 1, 2)
    assert tel.flush(1).delivered == 0
    assert balance(tel)["dropped"] == 2
    assert produced(tel) == 2


def test_a_second_start_goes_on():
    exporter = Scripted()
    tel = instance(exporter)
    for i in range(3):
        with tel.start():
            spans(tel, i)
    assert exporter.ids == {0: 1, 1: 1, 2: 1}
    assert balance(tel)["delivered"] == 3
    assert exporter.closed == 3


@contextmanager
def stuck(tel, exporter):
    """Start, and have the exporter hang in its first send; give what lets it go on."""
    with held(exporter) as (inside, go_on):
        tel.start()
        spans(tel, 1)
        assert inside.wait(5)
        yield go_on


def test_who_starts_again_leaves_an_exporter_to_whom_is_stuck_in_it():
    exporter = Scripted()
    tel = instance(exporter)
    with stuck(tel, exporter) as go_on:
        for i in (2, 3):
            assert tel.close(0.1).lost == 1
            tel.start()
            spans(tel, i)
            assert tel.flush(0.1).pending == 1
        assert exporter.tries == [[1]]
        go_on.set()
        assert tel.flush(5).delivered == 1
    assert exporter.tries == [[1], [3]]
    assert exporter.closed == 1
    tel.close(5)
    assert exporter.closed == 2
    assert balance(tel) == {
        "delivered": 1,
        "rejected": 0,
        "dropped": 1,
        "unknown": 1,
        "queued": 0,
    }


def test_without_threads_too_an_exporter_is_left_to_whom_is_stuck_in_it(monkeypatch):
    exporter = Scripted()
    tel = instance(exporter)
    with stuck(tel, exporter) as go_on:
        tel.close(0.1)
        monkeypatch.setattr("obs.delivery._worker.Worker.start", lambda self: None)
        tel.start()
        spans(tel, 2)
        assert tel.flush(0.1).pending == 1
        go_on.set()
        assert tel.flush(5).delivered == 1
    tel.close(5)
    assert exporter.tries == [[1], [2]]


def test_who_attaches_again_leaves_an_exporter_to_whom_is_stuck_in_it():
    exporter, other = Scripted(), Scripted()
    tel = instance(exporter, shutdown_timeout=0.1)
    with stuck(tel, exporter) as go_on:
        tel.detach(exporter)
        tel.attach(exporter)
        spans(tel, 2)
        assert tel.flush(0.1).pending == 1
        assert exporter.tries == [[1]]
        go_on.set()
        assert tel.flush(5).delivered == 1
    tel.detach(exporter)
    with held(exporter) as (inside, _):
        tel.attach(exporter)
        spans(tel, 3)
        assert inside.wait(5)
        tel.detach(exporter)
        tel.attach(other)
        spans(tel, 4)
        assert tel.flush(5).delivered == 1
        tel.close(1)
    assert exporter.tries == [[1], [2], [3]]
    assert other.tries == [[4]]


@contextmanager
def interrupted(seconds):
    """Have a signal handler raise KeyboardInterrupt in that many seconds."""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("end", ["close", "detach"])
def test_an_end_that_a_signal_handler_breaks_off_counts_what_is_left(end, capfd):
    exporter = Scripted()
    exporter.always = down()
    tel = instance(exporter)
    tel.start()
    spans(tel, 1, 2, 3)
    with pytest.raises(KeyboardInterrupt), interrupted(0.3):
        tel.close(30) if end == "close" else tel.detach(exporter)
    counts = {"delivered": 0, "rejected": 0, "dropped": 3, "unknown": 0, "queued": 0}
    assert balance(tel) == counts
    assert "0 traces delivered, 3 not: 3 closed." in capfd.readouterr().err
    eventually(lambda: exporter.closed == 1)
    exporter.always = None
    tel.start() if end == "close" else tel.attach(exporter)
    spans(tel, 4)
    assert tel.flush(5).delivered == 1
    tel.close(5)


def test_a_close_that_a_signal_handler_breaks_off_ends_pull_exporters_and_hooks():
    exporter, memory = Scripted(), MemoryExporter()
    exporter.always = down()
    tel = instance(exporter, memory)
    tel.start()
    spans(tel, 1)
    with pytest.raises(KeyboardInterrupt), interrupted(0.3):
        tel.close(30)
    spans(tel, 2)
    assert [span.attributes["i"] for span in memory.spans] == [1]


def test_what_a_broken_off_tick_left_is_counted(monkeypatch):
    exporter = Scripted()
    tel = instance(exporter)
    with tel.start():
        pass
    tel.start()
    ticks = []

    def tick(self, deadline):
        ticks.append(deadline)
        if len(ticks) == 1:
            raise KeyboardInterrupt
        return real(self, deadline)

    real = Lanes.tick
    spans(tel, 1, 2)
    monkeypatch.setattr(Lanes, "tick", tick)
    with pytest.raises(KeyboardInterrupt):
        tel.close(5)
    assert balance(tel)["dropped"] == produced(tel) == 2


def is_taken(lock):
    if is_mine := lock.acquire(blocking=False):
        lock.release()
    return not is_mine


@pytest.mark.parametrize("end", ["close", "detach"])
def test_close_keeps_its_time_beside_somebody_elses(end):
    exporter = Scripted(signals=("metrics", "traces"))
    tel = instance(exporter, shutdown_timeout=5)
    with held(exporter) as (inside, go_on):
        tel.start()
        spans(tel, 1)
        assert inside.wait(5)
        other = tel.close if end == "close" else lambda: tel.detach(exporter)
        with ThreadPoolExecutor(1) as threads:
            ended = threads.submit(other)
            eventually(lambda: is_taken(tel._lifecycle._lock))
            started = time.monotonic()
            assert tel.close(0.2).pending == 2
            assert time.monotonic() - started < 0.2 + GRACE
            go_on.set()
            ended.result()
    tel.close(5)


def test_the_ledger_balances_after_a_flood():
    exporter = Scripted()
    exporter.always = lambda payload: Ack(0, {"odd": 1})
    tel = instance(exporter, limits=Limits(queue_records=100))
    with tel.start():
        spans(tel, *range(2_000))
    books = balance(tel)
    assert books["queued"] == 0
    assert books["dropped"] > 0
    assert books["rejected"] > 0
    assert sum(books.values()) == produced(tel) == 2_000


def test_all_numbers_stand_at_zero_from_the_start():
    tel = instance(Scripted(signals=("metrics", "logs", "traces")))
    snapshot = tel.snapshot()
    for recorded in ("metrics", "logs", "traces"):
        mine = {"signal": recorded, "exporter": "scripted"}
        for name in ("obs.exported", "obs.unknown", "obs.queue.size"):
            assert snapshot[name].value(**mine) == 0
        assert snapshot["obs.rejected"].value(**mine, reason="refused") == 0
        assert snapshot["obs.export.duration"].value(**mine) == 0
        for reason in ("queue_full", "closed", "export_failed", "invalid", "limit"):
            assert snapshot["obs.dropped"].value(**mine, reason=reason) == 0
    assert snapshot["obs.produced"].value(signal="traces") == 0
    capacity = snapshot["obs.queue.capacity"]
    assert capacity.value(signal="traces", exporter="scripted") == 8192


def test_the_time_of_each_send_is_observed():
    exporter = Scripted()
    tel = instance(exporter)
    with tel.start():
        spans(tel, 1)
        tel.flush(5)
    durations = tel.snapshot()["obs.export.duration"]
    assert durations.value(signal="traces", exporter="scripted") == 1


def test_attach_and_detach_while_it_runs():
    first, second = Scripted("a"), Scripted("b")
    tel = instance(first)
    with tel.start():
        spans(tel, 1)
        tel.flush(5)
        tel.attach(second)
        tel.attach(second)
        spans(tel, 2)
        tel.detach(first)
        tel.detach(first)
        assert first.closed == 1
        spans(tel, 3)
        tel.flush(5)
        tel.detach(second)
        spans(tel, 4)
        assert set(tel.flush(5).lanes) == set()
    assert first.ids == {1: 1, 2: 1}
    assert second.ids == {2: 1, 3: 1}


def test_the_first_exporter_may_come_while_it_runs():
    exporter = Scripted()
    tel = instance()
    with tel.start():
        spans(tel, 1)
        tel.attach(exporter)
        spans(tel, 2)
        assert tel.flush(5).delivered == 1
    assert exporter.ids == {2: 1}


def test_two_exporters_of_one_name_are_refused():
    with pytest.raises(DefinitionError) as error:
        instance(Scripted(), Scripted())
    assert str(error.value) == (
        "exporter 'scripted': another exporter has this name. Give one of them name=..."
    )


def events(capfd):
    return [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]


def test_failures_are_said_once_a_minute_and_losses_at_the_end(capfd):
    exporter = Scripted()
    exporter.always = down()
    tel = instance(exporter, shutdown_timeout=0.1)
    with tel.start():
        for i in range(3):
            spans(tel, i)
            tel.flush(0.05)
    assert events(capfd) == [
        "exporter 'scripted': down It is tried again, traces that wait: 1.",
        "exporter 'scripted': 0 traces delivered, 3 not: 3 closed.",
    ]


def test_what_does_not_fit_is_said(capfd):
    exporter = Scripted()
    tel = instance(exporter, limits=Limits(queue_records=2))
    spans(tel, *range(5))
    with tel.start():
        tel.flush(5)
    assert events(capfd) == [
        "exporter 'scripted': no room: 3 traces dropped.",
        "exporter 'scripted': 2 traces delivered, 3 not: 3 queue_full.",
    ]


def is_free(lock):
    """Whether another thread can take a lock."""

    def take():
        took = lock.acquire(timeout=0.5)
        if took:
            lock.release()
        return took

    with ThreadPoolExecutor(1) as other:
        return other.submit(take).result()


def test_nothing_is_said_while_a_lock_is_held(monkeypatch):
    said = {}

    def say(lanes, reason, text):
        locks = [lanes._starting, *[it._changed for it in lanes.workers()]]
        said[reason] = [is_free(lock) for lock in locks]

    def refuse(lanes):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Lanes, "say", say)
    monkeypatch.setattr(Lanes, "_start_missing", refuse)
    exporter = Scripted()
    exporter.always = refused()
    tel = instance(exporter, limits=Limits(queue_records=2))
    spans(tel, *range(5))
    tel.start()
    tel.close(5)
    assert said == {
        "thread": [True, True],
        "scripted full traces": [True, True],
        "scripted export traces": [True, True],
        "scripted lost traces": [True, True],
    }


def test_who_fails_is_said_once(capfd):
    exporter = Scripted()
    exporter.answers.append(ExportFailed("exporter 'scripted': it is away."))
    tel = instance(exporter)
    with tel.start():
        spans(tel, 1)
    assert events(capfd) == [
        "exporter 'scripted': it is away.",
        "exporter 'scripted': 0 traces delivered, 1 not: 1 refused.",
    ]


def test_what_a_backend_refuses_is_said(capfd):
    exporter = Scripted()
    exporter.always = lambda payload: Ack(1, {"too old": 1, "odd": 0})
    tel = instance(exporter)
    with tel.start():
        spans(tel, 1, 2)
    said = capfd.readouterr().err
    assert "exporter 'scripted': the backend refused traces: {'too old': 1}" in said


def test_an_answer_that_is_none_counts_as_a_failure(capfd):
    exporter = Scripted()
    exporter.answers.append(lambda payload: "fine")
    tel = instance(exporter)
    with tel.start():
        spans(tel, 1)
        assert tel.flush(5).delivered == 1
    assert "send() raised TypeError: send() gave 'fine', not an Ack" in (
        capfd.readouterr().err
    )


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(), MemoryError()])
def test_an_encoder_that_raises_costs_its_records_alone(error, capfd):
    class Picky(Scripted):
        def encode(self, batch):
            if any(record.attributes["i"] == 7 for record in batch.records):
                raise error
            return super().encode(batch)

    exporter = Picky()
    tel = instance(exporter)
    with tel.start():
        spans(tel, *range(20))
        assert tel.flush(5).delivered == 19
    assert balance(tel)["dropped"] == 1
    assert f"encode() raised {type(error).__name__}" in capfd.readouterr().err


def test_a_registry_that_cannot_be_read_costs_one_push(monkeypatch, capfd):
    exporter = Scripted(signals=("metrics",))
    tel = instance(exporter)
    with tel.start():
        with monkeypatch.context() as patched:
            patched.setattr(Registry, "snapshot", lambda self: 1 / 0)
            assert tel.flush(5).lost == 1
        assert tel.flush(5).delivered == 1
    assert "snapshot() raised ZeroDivisionError" in capfd.readouterr().err


def test_without_threads_flush_and_close_do_the_work(monkeypatch, capfd):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    first, second = Scripted("a"), Scripted("b")
    tel = instance(first, second)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        tel.start()
        spans(tel, 1)
        assert tel.flush(5).delivered == 2
        spans(tel, 2)
        assert tel.close(5).delivered == 2
    assert first.ids == second.ids == {1: 1, 2: 1}
    assert first.threads == {threading.current_thread().name}
    assert first.closed == second.closed == 1
    assert "can't start new thread" in capfd.readouterr().err


def test_without_threads_one_that_hangs_leaves_time_for_the_next(monkeypatch):
    first, second = Scripted("a"), Scripted("b")
    first.always = down()
    tel = instance(first, second)
    monkeypatch.setattr(threading.Thread, "start", lambda self: 1 / 0)
    monkeypatch.setattr("obs.delivery._worker.Worker.start", lambda self: None)
    monkeypatch.setattr("obs.delivery._lanes.Lanes._start_threads", lambda self: None)
    tel.start()
    spans(tel, 1)
    started = time.monotonic()
    result = tel.close(0.6)
    assert time.monotonic() - started < 0.6 + GRACE
    assert result.lanes["a"] == (0, 0, 1, 0)
    assert result.lanes["b"] == (1, 0, 0, 0)
    assert first.closed == second.closed == 1


def test_the_intake_keeps_so_many_as_have_room_and_all_again_after_a_rest():
    intake = Intake("logs")
    lanes = Lanes(
        [(intake, lambda record: (record, 100))],
        registry := Registry(),
        lambda: Resource({}),
        registry.diag,
        Limits(queue_bytes=40_000, queue_records=1_000),
        1.0,
    )
    lanes.add(Scripted(signals=("logs",)))
    for moved, room in ((1, 200), (0, 1_000)):
        for record in range(moved):
            intake.put(record)
        assert lanes.tick(time.monotonic() + 5) == moved
        for record in range(2_000):
            intake.put(record)
        assert len(intake.take(2_000)) == room


def test_a_record_that_cannot_be_made_ready_is_left_out(capfd):
    def read(record):
        if record is None:
            return None
        return record, 1 // record

    intake = Intake("logs")
    exporter = Scripted(signals=("logs",))
    lanes = Lanes(
        [(intake, read)],
        registry := Registry(),
        lambda: Resource({}),
        registry.diag,
        Limits(),
        1.0,
    )
    lanes.add(exporter)
    lanes.start()
    for record in (1, 0, None, 2):
        intake.put(record)
    assert lanes.close(time.monotonic() + 5).delivered == 2
    assert exporter.ids == {1: 1, 2: 1}
    assert lanes.produced == {"logs": 2}
    assert "a record was left out: ZeroDivisionError" in capfd.readouterr().err


def test_the_async_forms_do_the_same():
    exporter = Scripted()
    tel = instance(exporter)

    async def run():
        async with tel.start():
            spans(tel, 1)
            assert (await tel.aflush(5)).delivered == 1
            spans(tel, 2)
            assert (await tel.aclose(5)).delivered == 1
        assert "obs-flush" not in [thread.name for thread in threading.enumerate()]

    asyncio.run(run())
    assert exporter.ids == {1: 1, 2: 1}


@pytest.mark.parametrize("name", ["aflush", "aclose"])
def test_the_async_forms_need_no_thread_of_the_loops_executor(name):
    exporter = Scripted()
    tel = instance(exporter)
    go_on = threading.Event()

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, go_on.wait, 30)
        try:
            with tel.start():
                spans(tel, 1)
                return await asyncio.wait_for(getattr(tel, name)(5), 10)
        finally:
            go_on.set()
            await busy

    assert asyncio.run(run()).delivered == 1


@pytest.mark.parametrize("name", ["aflush", "aclose"])
def test_the_async_forms_outlive_the_loops_executor(name):
    tel = instance(Scripted())

    async def run():
        await asyncio.get_running_loop().shutdown_default_executor()
        with tel.start():
            spans(tel, 1)
            return await getattr(tel, name)(5)

    assert asyncio.run(run()).delivered == 1


@pytest.mark.parametrize("name", ["aflush", "aclose"])
def test_without_a_thread_the_async_forms_are_done_where_they_are(name, monkeypatch):
    tel = instance(Scripted())
    real = threading.Thread.start

    def start(thread):
        if thread.name == "obs-flush":
            raise RuntimeError("can't start new thread")
        real(thread)

    async def run():
        with tel.start():
            spans(tel, 1)
            return await getattr(tel, name)(5)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert asyncio.run(run()).delivered == 1


def test_what_a_thread_needs_to_start_is_taken_from_the_timeout(monkeypatch):
    tel = instance(Scripted())
    seen = []
    real = threading.Thread.start

    def start(thread):
        if thread.name == "obs-flush":
            time.sleep(0.2)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(tel, "flush", seen.append)
    for timeout in (5, 5.0, 0.1, 0, None, True, "5", math.inf, 10**400):
        asyncio.run(tel.aflush(timeout))
    assert all(0 < left <= 4.8 for left in seen[:2])
    assert seen[2:] == [0, 0, None, True, "5", math.inf, 10**400]


def test_a_flush_goes_on_when_the_task_that_awaits_it_is_cancelled():
    exporter = Scripted()
    tel = instance(exporter)
    problems = []

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        with held(exporter) as (inside, go_on):
            spans(tel, 1)
            task = asyncio.create_task(tel.aflush(30))
            while not inside.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            await asyncio.sleep(0)
            return await tel.aflush(30)

    with tel.start():
        asyncio.run(run())
    assert (exporter.ids, problems) == ({1: 1}, [])
    eventually(lambda: "obs-flush" not in [it.name for it in threading.enumerate()])


def test_a_flush_outlives_the_loop_of_the_task_that_awaits_it(monkeypatch):
    exporter = Scripted()
    tel = instance(exporter)
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    with tel.start(), held(exporter) as (inside, go_on):
        spans(tel, 1)
        loop = asyncio.new_event_loop()
        task = loop.create_task(tel.aflush(30))
        while not inside.is_set():
            loop.run_until_complete(asyncio.sleep(0.001))
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        (thread,) = [it for it in threading.enumerate() if it.name == "obs-flush"]
        loop.close()
        go_on.set()
        thread.join(30)
        assert not thread.is_alive()
    assert (exporter.ids, raised) == ({1: 1}, [])


def test_what_a_flush_raises_and_sees_is_that_of_who_awaits_it(monkeypatch):
    tel = instance(Scripted())
    variable = ContextVar("variable")

    def fail(timeout):
        raise KeyError(variable.get())

    async def run():
        variable.set("here")
        await tel.aflush()

    monkeypatch.setattr(tel, "flush", fail)
    with pytest.raises(KeyError, match="here"):
        asyncio.run(run())


def test_a_batch_says_who_sends_and_when():
    exporter = Scripted(signals=("metrics", "traces"), temporality="delta")
    tel = instance(exporter)
    before = time.time_ns()
    with tel.start():
        spans(tel, 1)
        tel.flush(5)
        tel.flush(5)
    traces, *_ = [it for it in exporter.batches if it.signal == "traces"]
    first, second, *_ = [it for it in exporter.batches if it.signal == "metrics"]
    assert traces.resource.attributes["service.name"] == "t"
    assert before <= traces.time_ns <= time.time_ns()
    assert first.temporality == "delta"
    assert first.start_ns <= first.time_ns == second.start_ns <= second.time_ns


def test_an_instance_that_starts_again_sends_no_increase_twice():
    exporter = Scripted(signals=("metrics",), temporality="delta")
    tel = instance(exporter)
    counter = tel.counter("c")
    with tel.start():
        counter.inc(1)
        tel.flush(5)
        counter.inc(2)
    counter.inc(10)
    with tel.start():
        counter.inc(20)
    assert [body["c"] for body in exporter.bodies] == [1, 2, 30]


def test_an_exporter_that_is_attached_again_gets_no_increase_twice():
    exporter = Scripted(signals=("metrics",), temporality="delta")
    tel = instance(exporter)
    counter = tel.counter("c")
    with tel.start():
        counter.inc(1)
        tel.detach(exporter)
        counter.inc(10)
        tel.attach(exporter)
    assert [body["c"] for body in exporter.bodies] == [1, 10]


def test_listeners_and_lanes_get_the_same_spans():
    exporter, memory = Scripted(), MemoryExporter()
    tel = instance(exporter, memory)
    with tel.start():
        spans(tel, 1, 2)
    assert exporter.ids == {1: 1, 2: 1}
    assert [span.attributes["i"] for span in memory.spans] == [1, 2]
