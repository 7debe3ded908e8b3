"""Where records wait for the next tick."""

import threading

from obs.delivery import Intake
from obs.delivery._intake import STEP


def opened(capacity, wake=lambda: None):
    intake = Intake("traces")
    intake.open(capacity, wake)
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


def test_the_lanes_are_woken_when_many_wait():
    woken = []
    intake = opened(3 * STEP, lambda: woken.append(len(intake)))
    for i in range(4 * STEP):
        intake.put(i)
    assert woken == [STEP + 1, 2 * STEP + 1]
    assert (len(intake), intake.lost.read()) == (3 * STEP, STEP)
    assert intake.take(4 * STEP) == list(range(3 * STEP))
    intake.expect(3 * STEP)
    for i in range(STEP):
        intake.put(i)
    assert len(woken) == 2
    intake.put(STEP)
    assert len(woken) == 3


def test_fewer_are_kept_while_they_are_large():
    intake = opened(5)
    intake.expect(2)
    for i in range(4):
        intake.put(i)
    assert (len(intake), intake.lost.read()) == (2, 2)
    intake.expect(9)
    for i in range(4):
        intake.put(i)
    assert (len(intake), intake.lost.read()) == (5, 3)


def test_expecting_more_opens_nothing_that_is_closed():
    intake = opened(5)
    intake.close()
    intake.expect(9)
    intake.put(1)
    assert (len(intake), intake.late.read()) == (0, 1)


def test_what_comes_after_the_end_is_late():
    intake = opened(3)
    intake.put(1)
    intake.close()
    intake.put(2)
    assert (intake.take(9), intake.late.read(), intake.lost.read()) == ([1], 1, 0)
    intake.open(3, lambda: None)
    intake.put(3)
    assert intake.take(9) == [3]


def test_the_first_record_of_a_forked_child_wakes_the_lanes_once():
    woken = []
    intake = opened(2, lambda: woken.append(len(intake)))
    intake.put("the parent's")
    intake.lost.add(7)
    intake.forked()
    assert (len(intake), woken, intake.lost.read()) == (0, [], 0)
    for i in range(3):
        intake.put(i)
    assert woken == [1]
    assert (intake.take(9), intake.lost.read()) == ([0, 1], 1)


def test_what_is_raised_while_it_wakes_leaves_the_record_and_the_next_one_wakes():
    woken = []

    def wake():
        woken.append(len(intake))
        if len(woken) == 1:
            raise KeyboardInterrupt

    intake = opened(5, wake)
    intake.forked()
    try:
        intake.put(1)
    except KeyboardInterrupt:
        intake.put(2)
    assert woken == [1, 2]
    assert intake.take(9) == [1, 2]


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
