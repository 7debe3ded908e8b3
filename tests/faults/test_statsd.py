"""StatsD servers that are away, stop reading, reset or start again: the books balance.

Increases count once or not at all: what may have arrived is not sent a second time.
"""

import time
from contextlib import ExitStack

import pytest

from obs.delivery import _backoff, _lanes
from obs.delivery._lanes import Lanes
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Resource
from obs_exporters import StatsdExporter
from tests.exporters.statsd.reader import Server, lines_of
from tests.faults.relay import Relay

GRACE = 0.5
PATIENCE = 15.0


class Counting:
    """Lanes of one exporter, behind a relay to a server over TCP, in a block."""

    def __init__(self, stack):
        self.server = stack.enter_context(Server("tcp"))
        port = int(self.server.address.rpartition(":")[2])
        self.relay = stack.enter_context(Relay(port))
        self.lanes, self.counter, self.ledger = lanes_to(
            f"127.0.0.1:{self.relay.port}", "tcp"
        )
        stack.callback(lambda: self.lanes.close(time.monotonic() + 0.5))
        self.lanes.start()

    def arrived(self):
        """The sum of what the server got, without the half line of a reset."""
        lines = lines_of(list(self.server.messages), "plain")
        return sum(line.value for line in lines if line.name == "counted")

    def arrives(self, total):
        end = time.monotonic() + PATIENCE
        while self.arrived() < total:
            assert time.monotonic() < end, self.arrived()
            time.sleep(0.01)
        assert self.arrived() == total


def lanes_to(address, protocol):
    registry = Registry()
    counter = registry.counter("counted")
    wide = registry.gauge("wide", labels=("label",))
    lanes = Lanes(
        [],
        registry,
        lambda: Resource({"service.name": "s"}),
        registry.diag,
        Limits(),
        1.0,
    )
    # An interval that never comes: each push is wanted by a flush.
    lanes.add(StatsdExporter(address, protocol=protocol, timeout=0.25, interval=3_600))
    lanes.wide = wide
    return lanes, counter, lanes.ledgers["metrics", "statsd"]


def timed(what, seconds):
    begun = time.monotonic()
    result = what(begun + seconds)
    assert time.monotonic() - begun < seconds + GRACE
    return result


def balance(ledger):
    return ledger.produced - ledger.delivered - ledger.lost


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(_lanes, "TICK", 0.02)
    monkeypatch.setattr(_backoff, "FIRST", 0.03)
    monkeypatch.setattr(_backoff, "MOST", 0.1)


@pytest.fixture
def counting():
    with ExitStack() as stack:
        counting = Counting(stack)
        counting.counter.inc(5)
        assert timed(counting.lanes.flush, PATIENCE).delivered == 1
        counting.arrives(5)
        yield counting


def test_a_server_that_is_away_for_a_while_loses_nothing(counting):
    counting.relay.mode = "refuse"
    counting.counter.inc(20)
    result = timed(counting.lanes.flush, 1.0)
    assert (result.delivered, result.pending, result.lost) == (0, 1, 0)
    counting.relay.mode = "ok"
    counting.counter.inc(10)
    result = timed(counting.lanes.flush, PATIENCE)
    assert (result.pending, result.lost) == (0, 0)
    counting.arrives(35)
    assert counting.ledger.unknown == 0


def test_a_server_that_stays_away(counting):
    counting.relay.mode = "refuse"
    counting.counter.inc(20)
    result = timed(counting.lanes.close, 0.5)
    assert (result.delivered, result.pending, result.lost) == (0, 0, 1)
    assert result.lanes["statsd"].unknown == 0
    assert balance(counting.ledger) == 0
    counting.relay.mode = "ok"


def test_a_server_that_was_started_again_between_two_pushes_loses_nothing(counting):
    for n in range(1, 4):
        counting.relay.cut()  # it has closed its end, and listens again
        counting.counter.inc(10)
        result = timed(counting.lanes.flush, PATIENCE)
        assert (result.delivered, result.lost) == (1, 0)
        counting.arrives(5 + 10 * n)


def test_a_server_that_stops_reading_gets_nothing_twice(counting):
    """What the kernel took for it is delivered or unknown, and lost with it."""
    counting.relay.mode = "never_read"
    for n in range(1_900):
        counting.lanes.wide.labels(str(n) + "x" * 900).set(1)
    results = [timed(counting.lanes.flush, 1.0) for _ in range(12)]
    assert counting.ledger.unknown > 0
    assert sum(it.delivered + it.lost for it in results) > 0
    before = counting.arrived()
    counting.relay.mode = "refuse"
    counting.relay.mode = "ok"
    counting.counter.inc(7)
    timed(counting.lanes.flush, PATIENCE)
    counting.arrives(before + 7)
    assert balance(counting.ledger) == 0


def test_a_connection_that_is_reset_loses_no_push_uncounted(counting):
    counting.relay.mode = "reset"
    counting.counter.inc(100)
    result = timed(counting.lanes.flush, 1.0)
    assert result.delivered + result.pending + result.lost == 1
    counting.relay.mode = "ok"
    counting.relay.cut()
    counting.counter.inc(7)
    timed(counting.lanes.flush, PATIENCE)
    end = time.monotonic() + PATIENCE
    while balance(counting.ledger):
        assert time.monotonic() < end
        time.sleep(0.01)
    # What was handed over before the reset is lost, and never comes a second time.
    counting.counter.inc(1)
    timed(counting.lanes.flush, PATIENCE)
    eventually_one_of(counting, {13, 113, 6, 106})


def eventually_one_of(counting, totals):
    end = time.monotonic() + PATIENCE
    while counting.arrived() not in totals:
        assert time.monotonic() < end, counting.arrived()
        time.sleep(0.01)


def test_datagrams_to_a_server_that_is_started_again():
    """Delivered means handed to the kernel: one push is lost with the server."""
    with Server("udp") as server:
        address = server.address
        lanes, counter, ledger = lanes_to(address, "udp")
        lanes.start()
        counter.inc(5)
        assert timed(lanes.flush, PATIENCE).delivered == 1
    counter.inc(10)  # nobody tells
    assert timed(lanes.flush, PATIENCE).delivered == 1
    counter.inc(20)  # what is told here is of the one before
    result = timed(lanes.flush, 1.0)
    assert result.lost == 0
    port = int(address.rpartition(":")[2])
    with Server("udp", address=("127.0.0.1", port)) as again:
        counter.inc(40)
        result = timed(lanes.flush, PATIENCE)
        assert (result.pending, result.lost) == (0, 0)
        lanes.close(time.monotonic() + 1)
        lines = lines_of(again.settled(), "plain")
        total = sum(line.value for line in lines if line.name == "counted")
        # Each retry may be taken by the kernel, and the next one told.
        assert total in (40, 60)
    assert (balance(ledger), ledger.lost) == (0, 0)
