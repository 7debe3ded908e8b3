"""Where records wait for the next tick."""

import threading

from obs.delivery import Intake


def opened(capacity):
    intake = Intake("traces")
    intake.open(capacity)
    return intake


def test_an_intake_that_nobody_reads_keeps_nothing():
    intake = Intake("traces")
    intake.put(1)
    assert (len(intake), intake.lost.read(), intake.late.read()) == (0, 0, 0)


def test_records_come_out_in_their_order():
    intake = opened(9)
    for i in range(5):
        intake.put(i)
    assert intake.take(3) == [0, 1, 2]
    assert intake.take(99) == [3, 4]
    assert intake.take(99) == []


def test_past_the_capacity_the_newest_is_dropped_and_counted():
    intake = opened(3)
    for i in range(5):
        intake.put(i)
    assert intake.lost.read() == 2
    assert intake.take(9) == [0, 1, 2]
    intake.put(5)
    assert intake.take(9) == [5]


def test_what_comes_after_the_end_is_late():
    intake = opened(3)
    intake.put(1)
    intake.close()
    intake.put(2)
    assert (intake.take(9), intake.late.read(), intake.lost.read()) == ([1], 1, 0)
    intake.open(3)
    intake.put(3)
    assert intake.take(9) == [3]


def test_the_first_record_of_a_forked_child_wakes_the_lanes_once():
    intake, woken = opened(2), []
    intake.put("the parent's")
    intake.lost.add(7)
    intake.forked(lambda: woken.append(len(intake)))
    assert (len(intake), woken, intake.lost.read()) == (0, [], 0)
    for i in range(3):
        intake.put(i)
    assert woken == [1]
    assert (intake.take(9), intake.lost.read()) == ([0, 1], 1)


def test_a_forked_child_of_what_never_ran_wakes_nobody():
    intake = opened(2)
    intake.put("the parent's")
    intake.forked(None)
    intake.put(1)
    assert intake.take(9) == [1]


def test_threads_overshoot_by_one_each_at_the_most():
    intake = opened(100)
    threads = [
        threading.Thread(target=lambda: [intake.put(i) for i in range(5_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 100 <= len(intake) <= 104
    assert len(intake) + intake.lost.read() == 20_000
