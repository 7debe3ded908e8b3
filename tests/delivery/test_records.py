"""Spans and logs on one lane, without a thread."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.delivery._ledger import Ledger
from obs.delivery._records import (
    AGE,
    ENDLESS,
    ENOUGH,
    HOPELESS,
    MOST,
    PATIENCE,
    RecordQueue,
)
from obs.errors import ExportFailed
from obs.limits import Limits
from obs.model import Ack, Delivery, Payload
from tests.delivery.scripted import down, refused


class Lowest(Random):
    def uniform(self, low, high):
        return low


def queue_of(**more):
    delivery = Delivery(**{"max_bytes": 1_000_000} | more.pop("delivery", {}))
    ledger = Ledger("traces", "x", Diag())
    return RecordQueue(ledger, delivery, Limits(**more), Lowest())


def put(queue, *records, now=0.0, size=1):
    queue.put([(record, size) for record in records], now)


def one_payload(records):
    return [Payload(list(records), len(records))]


def drive(queue, answer, *, encode=one_payload, now=0.0):
    """Send all that is due; give the bodies in the order in which they went."""
    bodies = []
    while queue.due() <= now and (shipment := queue.next(now)) is not None:
        if shipment.payload is None:
            payloads = encode(shipment.records)
            if payloads is None:
                queue.unencodable()
            else:
                queue.encoded(payloads)
            continue
        bodies.append(shipment.payload.body)
        result = answer(shipment.payload)
        if isinstance(result, BaseException):
            queue.failed(result, now)
        else:
            queue.sent(result)
    return bodies


def accept(payload):
    return Ack(payload.records)


def summary(queue):
    ledger = queue.ledger
    lost = {**ledger.dropped, **ledger.rejected, "unknown": ledger.unknown}
    return ledger.delivered, {reason: n for reason, n in lost.items() if n}


def balances(queue):
    ledger = queue.ledger
    return ledger.produced == ledger.delivered + ledger.lost + len(queue)


def test_a_few_wait_for_a_second():
    queue = queue_of()
    assert queue.due() == inf
    put(queue, 1, now=5.0)
    put(queue, 2, now=5.5)
    assert queue.due() == 5.0 + AGE
    assert drive(queue, accept, now=5.9) == []
    assert drive(queue, accept, now=6.0) == [[1, 2]]
    assert queue.due() == inf
    assert summary(queue) == (2, {})


def test_a_shorter_interval_is_a_shorter_wait():
    queue = queue_of(delivery={"interval": 0.2})
    put(queue, 1, now=5.0)
    assert queue.due() == pytest.approx(5.2)


def test_enough_go_at_once_and_no_more_than_fit_together():
    queue = queue_of()
    put(queue, *range(ENOUGH - 1))
    assert queue.due() == AGE
    put(queue, ENOUGH)
    assert queue.due() == 0.0
    put(queue, *range(MOST))
    queue.hurry()
    assert [len(body) for body in drive(queue, accept)] == [MOST, ENOUGH]


def test_bytes_count_as_well():
    queue = queue_of(delivery={"max_bytes": 100})
    put(queue, 1, size=49)
    assert queue.due() == AGE
    put(queue, 2, size=40)
    assert queue.due() == 0.0
    put(queue, 3, size=40)
    put(queue, 4, size=900)
    queue.hurry()
    assert drive(queue, accept) == [[1, 2], [3], [4]]


def test_what_does_not_fit_is_dropped_the_newest_first():
    queue = queue_of(queue_records=3)
    put(queue, 1, 2, 3, 4, 5)
    assert len(queue) == 3
    assert summary(queue) == (0, {"queue_full": 2})
    queue.hurry()
    assert drive(queue, accept) == [[1, 2, 3]]
    put(queue, 6)
    assert len(queue) == 1
    assert balances(queue)


def test_what_is_under_way_takes_room():
    queue = queue_of(queue_records=2)
    put(queue, 1, 2)
    queue.hurry()
    assert queue.next(0.0) is not None
    put(queue, 3)
    assert summary(queue) == (0, {"queue_full": 1})


def test_bytes_are_bounded_by_the_estimate():
    queue = queue_of(queue_bytes=100)
    put(queue, 1, 2, 3, size=60)
    assert len(queue) == 2
    assert summary(queue) == (0, {"queue_full": 1})


def test_what_is_retryable_is_sent_again_as_it_was():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    answers = iter([down(), down(retry_after=7.0)])
    assert drive(queue, lambda payload: next(answers, None) or Ack(2)) == [[1, 2]] * 2
    assert queue.due() == 7.0
    assert queue.owed == 2
    queue.hurry()
    assert queue.due() == 7.0, "the backend has asked to be left alone"
    put(queue, 3, now=7.0)
    assert drive(queue, accept, now=7.0) == [[1, 2]]
    assert summary(queue) == (2, {})
    assert drive(queue, accept, now=8.0) == [[3]]


def test_a_bad_record_is_found_and_the_others_arrive():
    queue = queue_of()
    put(queue, *range(1000))
    queue.hurry()

    def answer(payload):
        return refused() if 700 in payload.body else Ack(len(payload.body))

    bodies = drive(queue, answer)
    assert summary(queue) == (999, {"http_400": 1})
    assert len(bodies) <= 2 * 10 + 1
    assert balances(queue)


@given(bad=st.sets(st.integers(0, 299), max_size=4))
def test_bad_records_never_take_good_ones_with_them(bad):
    queue = queue_of()
    put(queue, *range(300))
    queue.hurry()
    arrived = []

    def answer(payload):
        if bad & set(payload.body):
            return refused()
        arrived.extend(payload.body)
        return Ack(len(payload.body))

    drive(queue, answer)
    assert sorted(arrived) == sorted(set(range(300)) - bad)
    assert summary(queue) == (300 - len(bad), {"http_400": len(bad)} if bad else {})


def test_a_backend_that_refuses_everything_is_not_asked_for_each_record():
    queue = queue_of()
    put(queue, *range(1000))
    queue.hurry()
    assert len(drive(queue, lambda payload: refused())) <= 2 * HOPELESS
    assert summary(queue) == (0, {"http_400": 1000})
    put(queue, *range(1000))
    queue.hurry()
    assert len(drive(queue, lambda payload: refused())) == 1, "it was so before"
    put(queue, *range(4))
    queue.hurry()
    drive(queue, accept)
    put(queue, *range(100))
    queue.hurry()
    drive(queue, lambda payload: refused() if 7 in payload.body else accept(payload))
    assert summary(queue) == (4 + 99, {"http_400": 2001})


def test_many_bad_records_end_the_search():
    queue = queue_of(queue_records=10_000)
    put(queue, *range(4000))
    queue.hurry()
    bodies = drive(
        queue, lambda payload: refused() if len(payload.body) > 1 else accept(payload)
    )
    assert len(bodies) <= ENDLESS + 4000
    assert balances(queue)
    assert len(queue) == 0


def test_a_body_that_is_too_large_goes_in_two():
    queue = queue_of(delivery={"max_bytes": 1_000})
    put(queue, *range(64))
    queue.hurry()
    bodies = drive(
        queue, accept, encode=lambda them: [Payload(b"x" * 20 * len(them), len(them))]
    )
    assert [len(body) for body in bodies] == [640, 640]


@pytest.mark.parametrize("reason", ["http_413", "grpc_resource_exhausted"])
def test_what_is_too_large_for_the_backend_is_divided_until_it_is_not(reason):
    queue = queue_of()
    put(queue, *range(2_048))
    queue.hurry()

    def answer(payload):
        return refused(reason=reason) if payload.records > 64 else accept(payload)

    bodies = drive(queue, answer)
    assert summary(queue) == (2_048, {})
    assert len(bodies) == 2 * 32 - 1, "no request more than the tree has nodes"
    assert balances(queue)


def test_what_may_have_arrived_and_is_not_sent_again_is_unknown():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    assert drive(queue, lambda payload: refused(sent=True)) == [[1, 2]]
    assert summary(queue) == (0, {"unknown": 2})


def test_rejections_in_an_answer_are_counted_by_reason_and_no_more_than_there_are():
    queue = queue_of()
    put(queue, *range(10))
    queue.hurry()
    drive(queue, lambda payload: Ack(4, {"old": 2, "odd": 4, "none": -3, "more": 99}))
    assert summary(queue) == (0, {"old": 2, "odd": 4, "more": 4})


def test_what_an_exporter_leaves_out_is_counted_once_it_is_settled():
    queue = queue_of()
    put(queue, *range(10))
    queue.hurry()
    answers = iter([down()])
    drive(
        queue,
        lambda payload: next(answers, None) or Ack(payload.records),
        encode=lambda records: [Payload(records[1:], 9, {"invalid": 1})],
    )
    assert summary(queue) == (9, {"invalid": 1})


def test_nothing_to_send_is_not_sent():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    assert (
        drive(queue, accept, encode=lambda r: [Payload(b"", 0, {"invalid": 2})]) == []
    )
    assert summary(queue) == (0, {"invalid": 2})
    put(queue, 3)
    queue.hurry()
    assert drive(queue, accept, encode=lambda records: []) == []
    assert summary(queue) == (0, {"invalid": 3})


def test_several_payloads_are_sent_again_one_by_one():
    queue = queue_of()
    put(queue, *range(6))
    queue.hurry()

    def pairs(records):
        return [Payload(records[at : at + 2], 2) for at in range(0, len(records), 2)]

    answers = iter([Ack(2), down(), Ack(2), refused()])
    bodies = drive(
        queue, lambda payload: next(answers, None) or Ack(payload.records), encode=pairs
    )
    assert bodies[:4] == [[0, 1], [2, 3], [2, 3], [4, 5]]
    assert summary(queue) == (6, {})


def test_a_body_that_is_too_large_is_divided():
    queue = queue_of(delivery={"max_bytes": 30})
    put(queue, *range(10))
    queue.hurry()

    def encode(records):
        return [Payload(b"0123456789" * len(records), len(records))]

    bodies = drive(queue, accept, encode=encode)
    assert max(map(len, bodies)) <= 30
    assert summary(queue) == (10, {})


def test_a_single_record_that_is_too_large_is_dropped():
    queue = queue_of(delivery={"max_bytes": 30})
    put(queue, 1, 2)
    queue.hurry()
    encode = lambda records: [Payload(b"x" * 20 * sum(records), len(records))]  # noqa: E731
    assert drive(queue, accept, encode=encode) == [b"x" * 20]
    assert summary(queue) == (1, {"limit": 1})


def test_what_cannot_be_encoded_is_dropped_alone():
    queue = queue_of()
    put(queue, *range(100))
    queue.hurry()
    drive(
        queue,
        accept,
        encode=lambda records: None if 42 in records else one_payload(records),
    )
    assert summary(queue) == (99, {"invalid": 1})


def test_an_exception_that_must_not_be_is_borne_for_a_while():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    bodies = drive(queue, lambda payload: SystemExit())
    assert bodies == [[1, 2]] * (PATIENCE + 1) + [[1], [2]]
    assert summary(queue) == (0, {"export_failed": 2})


def test_at_the_end_what_waits_is_closed_and_what_may_be_there_is_unknown():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    drive(queue, lambda payload: down(sent=True, retry_after=9.0))
    put(queue, 3, 4, 5)
    queue.end(is_under_way=False)
    assert summary(queue) == (0, {"unknown": 2, "closed": 3})
    assert (len(queue), queue.owed, queue.due()) == (0, 0, inf)


def large(records):
    return [Payload(b"x" * 1_000_001, len(records))]


@pytest.mark.parametrize(
    ("answers", "encode"),
    [
        ([refused()], one_payload),
        ([ValueError()] * (PATIENCE + 1), one_payload),
        ([Ack(0, {"old": 1})], one_payload),
        ([down(retry_after=9.0)], one_payload),
        ([], large),
        ([], lambda records: None),
    ],
    ids=["refused", "raised", "rejected", "closed", "too large", "invalid"],
)
def test_what_may_be_there_is_unknown_whatever_becomes_of_another_try(answers, encode):
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    # Both may have arrived; then the one body is refused, and the two go one by one.
    story = iter([down(sent=True), refused(), *answers * 2])
    drive(
        queue,
        lambda payload: next(story),
        encode=lambda records: (one_payload if records[1:] else encode)(records),
    )
    queue.end(is_under_way=False)
    assert summary(queue) == (0, {"unknown": 2})
    assert balances(queue)


def test_at_the_end_what_is_being_sent_is_unknown():
    queue = queue_of()
    put(queue, 1, 2)
    queue.hurry()
    queue.encoded(one_payload(queue.next(0.0).records))
    queue.end(is_under_way=True)
    assert summary(queue) == (0, {"unknown": 2})


def test_only_what_was_there_is_owed():
    queue = queue_of()
    assert queue.owed == 0
    put(queue, 1, 2)
    assert queue.owed == 0
    queue.hurry()
    put(queue, 3)
    assert queue.owed == 2
    drive(queue, accept)
    assert (queue.owed, len(queue)) == (0, 0)


def test_records_that_never_came_here_are_counted_too():
    queue = queue_of()
    queue.drop("closed", 5)
    assert summary(queue) == (0, {"closed": 5})
    assert balances(queue)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 40)),
        st.tuples(st.just("time"), st.floats(0.0, 5.0)),
        st.tuples(st.just("hurry"), st.just(0)),
        st.tuples(
            st.just("send"),
            st.sampled_from(
                ["ok", "down", "sent", "refused", "lost", "raise", "partly", "broken"]
            ),
        ),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 50))
def test_the_ledger_balances_after_any_story(steps, room):
    queue = queue_of(queue_records=room, delivery={"max_bytes": 20})
    now, made = 0.0, 0
    for what, value in steps:
        if what == "put":
            put(queue, *range(made, made + value), now=now, size=value)
            made += value
        elif what == "time":
            now += value
        elif what == "hurry":
            queue.hurry()
        elif queue.due() <= now and (shipment := queue.next(now)) is not None:
            _one_step(queue, shipment, value, now)
        assert balances(queue)
        assert queue.ledger.produced == made
        assert 0 <= len(queue) <= room
        assert 0 <= queue.owed <= len(queue)
    queue.end(is_under_way=False)
    assert len(queue) == 0
    assert balances(queue)


def _one_step(queue, shipment, value, now):
    if shipment.payload is None:
        if value == "broken":
            queue.unencodable()
        else:
            size = {"partly": 9}.get(value, 1)
            queue.encoded(
                [Payload(b"x" * size * len(shipment.records), len(shipment.records))]
            )
        return
    failures = {
        "down": down(),
        "sent": down(sent=True),
        "refused": refused(),
        "lost": refused(sent=True),
        "raise": RuntimeError(),
        "broken": ExportFailed("", retryable=True, retry_after=1.0),
    }
    if value in failures:
        queue.failed(failures[value], now)
    else:
        queue.sent(Ack(0, {"odd": 1} if value == "partly" else {}))
