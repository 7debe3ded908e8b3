"""Sampling: of records that repeat the first ones, then one in so many; all are counted."""

import os
import signal
import sys
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.errors import DefinitionError
from obs.logs import Logs, Route, Sample
from obs.logs._sample import MOST_KEYS, Sampler
from obs.model import LogRecord
from obs.testing import FakeClock
from tests.logs.routing import Lines, dropped, logs_to
from tests.survival.processes import Fork

SUPPRESSED = "sampled.suppressed"
FIRST = "needs a whole number of at least 1."
THEN = "needs a whole number of at least 0."
PER = "needs seconds from 0.001 to 86400."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"first": 0}, f"first got 0, {FIRST}"),
        ({"first": True}, f"first got True, {FIRST}"),
        ({"first": 1 << 31}, f"first got 2147483648, {FIRST}"),
        ({"then": -1}, f"then got -1, {THEN}"),
        ({"then": 1.0}, f"then got 1.0, {THEN}"),
        ({"per": 0}, f"per got 0, {PER}"),
        ({"per": float("nan")}, f"per got nan, {PER}"),
        ({"per": float("inf")}, f"per got inf, {PER}"),
        ({"per": 86_401}, f"per got 86401, {PER}"),
        ({"per": "1"}, f"per got '1', {PER}"),
        (
            {"level": "loud"},
            "level got 'loud', needs one of trace, debug, info, warning, error, "
            "critical, off.",
        ),
    ],
)
def test_a_wrong_argument_is_refused(given, text):
    with pytest.raises(DefinitionError) as refused:
        Sample(**given)
    assert str(refused.value) == f"Sample: {text}"


def test_of_a_hundred_all_go_then_one_in_ten():
    sink = Lines()
    log = logs_to(sink, sample=Sample()).logger()
    for i in range(150):
        log.info("again", i=i)
    assert [line["i"] for line in sink.lines] == [*range(100), 109, 119, 129, 139, 149]


def test_the_next_that_goes_says_how_many_were_left_out():
    sink = Lines()
    logs = logs_to(sink, sample=Sample(first=2, then=3))
    log = logs.logger()
    for i in range(8):
        log.info("again", i=i)
    found = [(line["i"], line.get(SUPPRESSED)) for line in sink.lines]
    assert found == [(0, None), (1, None), (4, 2), (7, 2)]
    assert dropped(logs, "sampled") == 4


def test_each_period_begins_anew_and_tells_of_the_one_before():
    sink, clock = Lines(), FakeClock()
    log = logs_to(sink, sample=Sample(1, 0, per=2.0), clock=clock).logger()
    log.info("again")
    log.info("again")
    clock.advance(0.9)
    log.info("again")
    clock.advance(0.2)  # the clock begins at 1 s: a period ends
    log.info("again")
    log.info("again")
    assert [line.get(SUPPRESSED) for line in sink.lines] == [None, 2]


def test_after_the_first_none_goes_where_then_is_zero():
    sink = Lines()
    log = logs_to(sink, sample=Sample(2, 0)).logger()
    for _ in range(1_000):
        log.info("again")
    assert len(sink.lines) == 2


def test_loggers_levels_and_events_are_counted_apart():
    sink = Lines()
    logs = logs_to(sink, sample=Sample(1, 0))
    for _ in range(2):
        logs.logger("a").info("x")
        logs.logger("b").info("x")
        logs.logger("a").warning("x")
        logs.logger("a").info("y")
    assert len(sink.lines) == 4
    assert dropped(logs, "sampled") == 4


def test_values_in_the_event_make_other_events():
    sink = Lines()
    log = logs_to(sink, sample=Sample(1, 0)).logger()
    log.info("user %d", 1)
    log.info("user %d", 2)
    assert len(sink.lines) == 2


def test_errors_all_go():
    sink = Lines()
    log = logs_to(sink, sample=Sample(1, 0)).logger()
    for _ in range(3):
        log.error("failed")
        log.critical("failed")
    assert len(sink.lines) == 6


def test_errors_are_sampled_where_that_is_said():
    sink = Lines()
    log = logs_to(sink, sample=Sample(1, 0, level="error")).logger()
    for _ in range(3):
        log.error("failed")
        log.critical("failed")
    assert [line["level"] for line in sink.lines] == ["error", *["critical"] * 3]


def test_what_does_not_go_this_way_does_not_count():
    sink = Lines()
    sample = Sample(1, 0)
    keep = lambda record: record.fields["keep"]  # noqa: E731
    log = logs_to(sink, sample=sample, keep=keep).logger()
    log.info("a", keep=False)
    log.info("a", keep=True)
    assert len(sink.lines) == 1


def test_routes_count_apart():
    some, all_ = Lines(), Lines()
    log = Logs(routes=[Route(some, sample=Sample(1, 0)), Route(all_)]).logger()
    log.info("a")
    log.info("a")
    assert len(some.lines) == 1
    assert len(all_.lines) == 2
    assert not any(SUPPRESSED in line for line in all_.lines)


def test_a_flush_tells_of_what_fell_silent_once():
    sink = Lines()
    logs = logs_to(sink, sample=Sample(1, 0))
    log = logs.logger("shop")
    for _ in range(3):
        log.warning("again")
    logs.flush()
    logs.flush()
    assert sink.lines[1:] == [
        {
            "time": "2023-11-14T22:13:20.000Z",
            "level": "warning",
            "event": "log.sampled",
            "logger": "shop",
            "sampled.event": "again",
            SUPPRESSED: 2,
        }
    ]


def test_close_tells_of_it_too():
    sink = Lines()
    logs = logs_to(sink, sample=Sample(1, 0))
    logs.logger().info("again")
    logs.logger().info("again")
    logs.close()
    assert sink.events == ["again", "log.sampled"]


def test_a_users_field_of_this_name_gives_way():
    sink = Lines()
    log = logs_to(sink, sample=Sample(1, 2)).logger()
    for _ in range(3):
        log.info("a", **{SUPPRESSED: "mine"})
    assert sink.lines[-1][SUPPRESSED] == 1
    assert sink.lines[-1][f"field.{SUPPRESSED}"] == "mine"


def test_failover_gets_the_record_with_the_count():
    sink, other = Lines(), Lines()
    log = logs_to(sink, sample=Sample(1, 2), failover=Route(other)).logger()
    log.info("a")
    sink.is_broken = True
    log.info("a")
    log.info("a")
    assert other.lines[0][SUPPRESSED] == 1


def test_what_is_left_out_is_counted_from_the_start():
    logs = logs_to(Lines(), sample=Sample())
    logs.logger()
    assert logs.diag.dropped_counts()["logs", "stream", "sampled"] == 0


# --- bounds -----------------------------------------------------------------------------


def sampler_of(sample, clock=None):
    told = []
    found = Sampler(sample, clock or FakeClock(), Diag(), "route", told.append)
    return found, told


def record_of(event, level="info"):
    return LogRecord(1, level, event, "shop")


def test_the_oldest_key_makes_room_and_what_it_left_out_is_told():
    sampler, told = sampler_of(Sample(1, 0))
    for _ in range(3):
        sampler.ask(record_of("first"))
    for number in range(MOST_KEYS - 1):
        assert sampler.ask(record_of(f"event {number}")) == 0
    assert told == []
    sampler.ask(record_of("one more"))
    (summary,) = told
    assert summary.event == "log.sampled"
    assert summary.fields == {"sampled.event": "first", SUPPRESSED: 2}
    assert len(sampler._slots) == MOST_KEYS
    assert sampler.ask(record_of("first")) == 0  # counted anew


def test_numbers_of_old_periods_are_not_kept():
    clock = FakeClock()
    sampler, _ = sampler_of(Sample(), clock)
    for _ in range(50):
        sampler.ask(record_of("a"))
        clock.advance(1)
    (slot,) = sampler._slots.values()
    assert len(slot._counts) == 1


# --- nothing is lost --------------------------------------------------------------------


class Books:
    """What came, what went, and what was told of what did not."""

    def __init__(self, sample, clock=None):
        self.sampler, self.told = sampler_of(sample, clock)
        self.answers = []

    def log(self, event, level="info"):
        answer = self.sampler.ask(record_of(event, level))
        if answer >= 0:
            self.answers.append((event, answer))  # one call: handlers come in between

    @property
    def went(self):
        return Counter(event for event, _ in self.answers)

    def close(self):
        self.sampler.flush()
        found = self.went
        for event, left_out in self.answers:
            found[event] += left_out
        for summary in self.told:
            found[summary.fields["sampled.event"]] += summary.fields[SUPPRESSED]
        return found


@given(
    st.integers(1, 4),
    st.integers(0, 4),
    st.lists(st.sampled_from(["a", "b", "wait", "flush"]), max_size=60),
)
def test_what_went_and_what_was_told_are_what_came(first, then, steps):
    clock = FakeClock()
    books = Books(Sample(first, then), clock)
    came = Counter()
    for step in steps:
        if step == "wait":
            clock.advance(1)
        elif step == "flush":
            books.sampler.flush()
        else:
            books.log(step)
            came[step] += 1
    assert books.close() == came


@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 60))
def test_how_many_go_in_a_period_is_as_said(first, then, came):
    books = Books(Sample(first, then))
    for _ in range(came):
        books.log("a")
    more = max(came - first, 0) // then if then else 0
    assert books.went["a"] == min(came, first) + more


def in_threads(work, n=4):
    """Run it in threads that switch as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors = []

    def run():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(n)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)


def told_of(sink):
    """Give what came of the lines: those there are, and those they tell of."""
    lines = sink.lines
    went = [line for line in lines if line["event"] != "log.sampled"]
    return len(went), sum(line.get(SUPPRESSED, 0) for line in lines)


def test_threads_lose_nothing_and_exceed_nothing():
    sink, clock = Lines(), FakeClock()
    logs = logs_to(sink, sample=Sample(first=10, then=7), clock=clock)
    log = logs.logger()

    def work():
        for _ in range(500):
            log.info("again")

    in_threads(work)
    logs.flush()
    went, told = told_of(sink)
    assert went == 10 + (2_000 - 10) // 7
    assert went + told == 2_000
    assert dropped(logs, "sampled") == told


def test_threads_that_push_each_others_keys_out_lose_nothing(monkeypatch):
    monkeypatch.setattr("obs.logs._sample.MOST_KEYS", 3)
    said, went = [], []
    sampler, told = sampler_of(Sample(1, 5))

    def work():
        for number in range(1_500):
            answer = sampler.ask(record_of(f"event {number % 5}"))
            if answer >= 0:
                went.append(1)
                said.append(answer)

    in_threads(work)
    sampler.flush()
    assert not sampler._evicted
    left = sum(summary.fields[SUPPRESSED] for summary in told)
    assert len(went) + sum(said) + left == 6_000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
def test_signal_handlers_that_log_the_same_lose_nothing():
    books = Books(Sample(2, 3))
    came = 0

    def handle(number, frame):
        nonlocal came
        came += 1
        books.log("a")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    n = 0
    try:
        while came < 200:
            books.sampler.ask(record_of("other"))
            books.log("a")
            n += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert books.close()["a"] == n + came


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_begins_with_nothing_counted():
    books = Books(Sample(1, 0))
    books.log("a")
    books.log("a")
    child = Fork()
    if child.is_child:

        def work():
            books.sampler.flush()
            return len(books.told), books.sampler.ask(record_of("a"))

        child.answer(work)
    assert child.result() == (0, 0)
    assert books.close()["a"] == 2
