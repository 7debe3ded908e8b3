"""What an exporter is to do next."""

from math import inf
from random import Random

from obs._diag import Diag
from obs.delivery._lane import EncodePush, EncodeRecords, End, Lane, Send, Wait
from obs.delivery._ledger import Ledger
from obs.delivery._pushes import PushQueue
from obs.delivery._records import PATIENCE, RecordQueue
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Ack, Delivery, Payload
from tests.delivery.scripted import down


class Half(Random):
    def uniform(self, low, high):
        return (low + high) / 2


DELIVERY = Delivery(interval=10.0, timeout=3.0)


def lane_of(*signals):
    queues = []
    for signal in signals:
        ledger = Ledger(signal, "x", Diag())
        if signal == "metrics":
            queues.append(PushQueue(ledger, DELIVERY, Half(), 100.0))
        else:
            queues.append(RecordQueue(ledger, DELIVERY, Limits(), Half()))
    return Lane(queues, DELIVERY)


def put(lane, *records, now=100.0):
    (queue,) = [it for it in lane.queues if isinstance(it, RecordQueue)]
    queue.put([(record, 1) for record in records], now)


def encode(action):
    if isinstance(action, EncodePush):
        action.queue.encoded(Registry().snapshot(), [Payload("metrics", 1)])
    else:
        records = action.shipment.records
        action.queue.encoded([Payload(records, len(records))])


def test_without_work_it_waits_until_somebody_wakes_it():
    assert lane_of("traces").next_action(100.0) == Wait(inf)
    assert lane_of("metrics", "traces").next_action(100.0) == Wait(105.0)


def test_records_are_encoded_then_sent_within_the_timeout():
    lane = lane_of("traces")
    put(lane, 1, 2)
    assert lane.next_action(100.5) == Wait(101.0)
    action = lane.next_action(101.0)
    assert isinstance(action, EncodeRecords)
    encode(action)
    send = lane.next_action(101.5)
    assert isinstance(send, Send)
    assert (send.payload.body, send.deadline) == ([1, 2], 104.5)
    send.queue.sent(Ack(2))
    assert lane.next_action(101.6) == Wait(inf)


def test_a_flood_of_records_does_not_keep_metrics_waiting():
    lane = lane_of("traces", "metrics")
    signals = []
    for at in range(6):
        put(lane, *range(600))
        action = lane.next_action(110.0 + at / 100)
        signals.append(action.queue.signal)
        encode(action) if not isinstance(action, Send) else action.queue.sent(Ack(1))
    assert "metrics" in signals[:2]


def test_a_signal_that_fails_does_not_keep_the_other_waiting():
    lane = lane_of("traces", "metrics")
    put(lane, 1)
    encode(lane.next_action(101.0))
    lane.next_action(101.0).queue.failed(down(retry_after=1000.0), 101.0)
    action = lane.next_action(105.0)
    assert action.queue.signal == "metrics"


def test_haste_counts_what_is_owed():
    lane = lane_of("traces", "metrics")
    put(lane, 1, 2)
    assert lane.owed == 0
    lane.hurry()
    assert lane.owed == 3


def test_closing_ends_at_once_where_all_is_left_out():
    lane = lane_of("logs")
    put(lane, 1, 2)
    lane.close(102.0)
    action = lane.next_action(100.0)
    action.queue.encoded([Payload(b"", 0, {"filtered": 2})])
    assert isinstance(lane.next_action(100.0), End)
    assert action.queue.ledger.dropped["filtered"] == 2


def test_closing_sends_what_there_is_then_ends():
    lane = lane_of("traces", "metrics")
    put(lane, 1)
    lane.close(102.0)
    deadlines = []
    while not isinstance(action := lane.next_action(100.0), End):
        if isinstance(action, Send):
            deadlines.append(action.deadline)
            action.queue.sent(Ack(1))
        else:
            encode(action)
    assert deadlines == [102.0, 102.0]
    assert action == End(102.0)


def test_closing_tries_again_until_the_deadline_and_no_longer():
    lane = lane_of("traces")
    put(lane, 1)
    lane.close(102.0)
    encode(lane.next_action(100.0))
    lane.next_action(100.0).queue.failed(down(), 100.0)
    assert lane.next_action(100.1) == Wait(100.5)
    lane.next_action(100.5).queue.failed(down(), 100.5)
    lane.next_action(101.5).queue.failed(down(), 101.5)
    assert lane.next_action(101.6) == Wait(102.0)
    assert lane.next_action(102.0) == End(102.0)


def test_an_exporter_that_raises_is_not_asked_without_a_pause():
    lane = lane_of("traces")
    put(lane, 1)
    encode(lane.next_action(101.0))
    for _ in range(PATIENCE):
        now = max(101.0, getattr(lane.next_action(101.0), "until", 101.0))
        lane.next_action(now).queue.failed(RuntimeError(), now)
        assert lane.next_action(now).until > now
