"""Metrics on one lane, without a thread."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.delivery._ledger import Ledger
from obs.delivery._pushes import PushQueue
from obs.metrics import Registry
from obs.model import Ack, Delivery, Payload
from tests.delivery.scripted import down, refused


class Half(Random):
    def uniform(self, low, high):
        return (low + high) / 2


def queue_of(temporality="cumulative", *, interval=10.0, now=100.0):
    delivery = Delivery(interval=interval, temporality=temporality)
    return PushQueue(Ledger("metrics", "x", Diag()), delivery, Half(), now)


class Backend:
    """A registry with one counter, and what arrives of it in bodies."""

    def __init__(self, queue, bodies=1):
        self.queue = queue
        self.registry = Registry()
        self.counter = self.registry.counter("c")
        self.bodies = bodies
        self.arrived = []

    def step(self, now, answer=None):
        """Do what is due; give whether there was something."""
        if self.queue.due() > now:
            return False
        push = self.queue.next(now)
        if push.snapshot is None:
            snapshot = self.registry.snapshot()
            value = self.queue.changes(snapshot)["c"].value()
            self.queue.encoded(
                snapshot, [Payload((value, at), 1) for at in range(self.bodies)]
            )
        elif isinstance(answer, BaseException):
            self.queue.failed(answer, now)
        else:
            self.arrived.append(push.payloads[0].body)
            self.queue.sent(answer or Ack(1))
        return True


def summary(queue):
    ledger = queue.ledger
    lost = {**ledger.dropped, **ledger.rejected, "unknown": ledger.unknown}
    return ledger.delivered, {reason: n for reason, n in lost.items() if n}


def test_the_first_push_comes_at_a_random_moment_of_the_interval():
    queue = queue_of()
    assert queue.due() == 105.0
    backend = Backend(queue)
    assert not backend.step(104.9)
    assert backend.step(105.0)
    assert backend.step(105.0)
    assert queue.due() == 115.0
    assert summary(queue) == (1, {})


def test_what_is_late_is_not_made_good():
    queue = queue_of()
    backend = Backend(queue)
    assert backend.step(157.0)
    assert backend.step(157.0)
    assert queue.due() == 167.0


def test_a_push_that_cannot_be_sent_is_tried_again_then_renewed():
    queue = queue_of()
    backend = Backend(queue)
    backend.counter.inc(1)
    assert backend.step(105.0)
    assert backend.step(105.0, down())
    assert queue.due() == 105.5
    backend.counter.inc(1)
    assert backend.step(105.5, down())
    assert backend.step(106.5, down())
    assert backend.arrived == []
    assert backend.step(115.0), "a new snapshot in the place of the old one"
    assert backend.step(115.0)
    assert backend.arrived == [(2, 0)]
    assert summary(queue) == (1, {})
    assert queue.ledger.produced == 1


def test_a_backend_that_asks_is_left_alone():
    queue = queue_of()
    backend = Backend(queue)
    backend.step(105.0)
    backend.step(105.0, down(retry_after=100.0))
    assert queue.due() == 205.5
    queue.hurry()
    assert queue.due() == 205.0


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (refused(), (0, {"http_400": 1})),
        (refused(sent=True), (0, {"unknown": 1})),
        (Ack(3, {"old": 2}), (0, {"old": 1})),
        (Ack(3, {"old": 0}), (1, {})),
    ],
)
def test_a_push_is_counted_once_whatever_comes_of_it(answer, found):
    queue = queue_of()
    backend = Backend(queue)
    backend.step(105.0)
    backend.step(105.0, answer)
    assert summary(queue) == found
    assert len(queue) == 0
    assert queue.ledger.produced == 1


def test_a_push_that_may_be_there_is_unknown_though_another_try_was_refused():
    queue = queue_of()
    backend = Backend(queue)
    backend.step(105.0)
    backend.step(105.0, down(sent=True))
    backend.step(106.0, refused())
    assert summary(queue) == (0, {"unknown": 1})


def test_a_part_that_is_refused_does_not_stop_the_others():
    queue = queue_of()
    backend = Backend(queue, bodies=3)
    backend.step(105.0)
    for answer in (None, refused(), None):
        backend.step(105.0, answer)
    assert backend.arrived == [(0, 0), (0, 2)]
    assert summary(queue) == (0, {"http_400": 1})


def test_nothing_to_say_is_said():
    queue = queue_of()
    Backend(queue, bodies=0).step(105.0)
    assert summary(queue) == (1, {})
    assert queue.due() == 115.0


def test_what_cannot_be_read_or_encoded_is_dropped():
    queue = queue_of()
    queue.next(105.0)
    queue.unencodable()
    assert summary(queue) == (0, {"invalid": 1})
    assert queue.due() == 115.0


def test_haste_takes_a_new_snapshot():
    queue = queue_of()
    backend = Backend(queue)
    queue.hurry()
    assert queue.owed == 1
    backend.step(100.0)
    assert queue.owed == 1
    backend.step(100.0)
    assert queue.owed == 0
    assert queue.due() == 110.0


def test_haste_is_not_content_with_what_was_under_way():
    queue = queue_of()
    backend = Backend(queue)
    backend.step(105.0)
    queue.next(105.0)  # being sent
    backend.counter.inc(5)
    queue.hurry()
    queue.sent(Ack(1))
    assert queue.owed == 1
    backend.step(105.0)
    backend.step(105.0)
    assert queue.owed == 0
    assert backend.arrived == [(5, 0)]
    assert summary(queue) == (2, {})


def test_at_the_end_a_push_under_way_is_counted():
    queue = queue_of()
    Backend(queue).step(105.0)
    queue.end(is_under_way=False)
    assert summary(queue) == (0, {"closed": 1})
    queue.hurry()
    Backend(queue).step(105.0)
    queue.end(is_under_way=True)
    assert summary(queue) == (0, {"closed": 1, "unknown": 1})
    assert queue.owed == 0


def test_a_delta_counts_from_what_arrived():
    queue = queue_of("delta")
    backend = Backend(queue)
    backend.counter.inc(1)
    backend.step(105.0)
    backend.step(105.0, down())
    backend.counter.inc(10)
    backend.step(115.0)
    backend.step(115.0)
    backend.counter.inc(100)
    backend.step(125.0)
    backend.step(125.0, refused())
    backend.step(135.0)
    backend.step(135.0)
    assert [value for value, _ in backend.arrived] == [11, 100]


def test_a_delta_of_which_a_part_arrived_is_sent_to_its_end():
    queue = queue_of("delta")
    backend = Backend(queue, bodies=2)
    backend.counter.inc(1)
    backend.step(105.0)
    backend.step(105.0)
    backend.step(105.0, down())
    backend.counter.inc(10)
    backend.step(125.0)
    assert backend.arrived == [(1, 0), (1, 1)]
    backend.step(125.0)
    backend.step(125.0)
    backend.step(125.0)
    assert backend.arrived[2:] == [(10, 0), (10, 1)]


def test_a_delta_that_may_be_there_is_not_sent_again():
    queue = queue_of("delta")
    backend = Backend(queue)
    backend.counter.inc(1)
    backend.step(105.0)
    backend.step(105.0, refused(sent=True))
    backend.counter.inc(10)
    backend.step(115.0)
    backend.step(115.0)
    assert backend.arrived == [(10, 0)]
    assert summary(queue) == (1, {"unknown": 1})


def test_a_delta_of_which_a_part_may_be_there_is_not_renewed():
    queue = queue_of("delta")
    backend = Backend(queue, bodies=2)
    backend.counter.inc(1)
    backend.step(105.0)
    backend.step(105.0, refused(sent=True))
    backend.step(105.0, down())
    backend.counter.inc(10)
    for _ in range(4):
        backend.step(125.0)
    assert backend.arrived == [(1, 1), (10, 0), (10, 1)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.floats(0.0, 12.0),
            st.sampled_from(["ok", "down", "refused", "hurry"]),
        ),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_the_deltas_that_arrive_add_up_to_the_whole(steps, bodies):
    queue = queue_of("delta")
    backend = Backend(queue, bodies)
    now = 100.0
    for amount, seconds, what in steps:
        backend.counter.inc(amount)
        now += seconds
        if what == "hurry":
            queue.hurry()
        # A body that is refused for good among others that arrive is lost by its backend.
        backend.step(now, {"down": down(), "refused": down(sent=True)}.get(what))
        ledger = queue.ledger
        assert ledger.produced == ledger.delivered + ledger.lost + len(queue)
    while backend.step(now):
        pass
    queue.hurry()
    while queue.owed:
        backend.step(now)
    for body in range(bodies):
        arrived = sum(value for value, at in backend.arrived if at == body)
        assert arrived == backend.registry.snapshot()["c"].value()
