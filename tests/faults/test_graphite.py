"""Graphite through a relay that misbehaves: totals come right, and the books say how."""

import time
from contextlib import ExitStack

import pytest

from obs.delivery import _backoff, _lanes
from obs.delivery._lanes import Lanes
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Resource
from obs_exporters import GraphiteExporter
from tests.exporters.graphite.reader import Lines, Pickles
from tests.faults.relay import Relay

GRACE = 0.5
PATIENCE = 15.0


class Counting:
    """Lanes of one exporter, behind a relay to a server, in a block."""

    def __init__(self, protocol):
        self.stack = ExitStack()
        self.server = (Pickles if protocol == "pickle" else Lines)("tcp")
        self.relay = Relay(int(self.server.address.rpartition(":")[2]))
        self.registry = Registry()
        self.done = self.registry.counter("done", labels=("part",))
        self.text = "x"
        self.lanes = Lanes(
            [],
            self.registry,
            lambda: Resource({"service.name": "s"}),
            self.registry.diag,
            Limits(),
            1.0,
        )
        self.lanes.add(
            GraphiteExporter(
                f"127.0.0.1:{self.relay.port}",
                protocol=protocol,
                prefix="p",
                timeout=0.25,
                interval=3_600,  # flushes alone push
            )
        )

    def __enter__(self):
        self.stack.enter_context(self.server)
        self.stack.enter_context(self.relay)
        self.lanes.start()
        return self

    def __exit__(self, *_):
        self.lanes.close(time.monotonic() + 0.5)
        self.stack.close()

    def work(self, n=1, parts=1):
        for part in range(parts):
            self.done.labels(f"{part:0200}" if parts > 1 else "one").inc(n)

    def timed(self, what, seconds):
        begun = time.monotonic()
        result = what(begun + seconds)
        assert time.monotonic() - begun < seconds + GRACE
        return result

    def totals(self):
        """Give the last value of each series of the counter."""
        return {it.name: it.value for it in self.server.values() if ".done." in it.name}

    def arrives(self, total, series=1):
        """Wait until the counter has this total, and so many series."""
        end = time.monotonic() + PATIENCE
        while True:
            totals = self.totals()
            if totals.get("p.done.one") == total and len(totals) == series:
                return
            assert time.monotonic() < end, (totals.get("p.done.one"), len(totals))
            time.sleep(0.01)

    def books(self):
        ledger = self.lanes.ledgers["metrics", "graphite"]
        lost = {**ledger.dropped, **ledger.rejected}
        return ledger.produced, ledger.delivered, sum(lost.values()), ledger.unknown

    def flush(self):
        result = self.timed(self.lanes.flush, PATIENCE)
        assert (result.pending, result.lost) == (0, 0)
        return result.delivered


@pytest.fixture(params=["plaintext", "pickle"])
def counting(request, monkeypatch):
    monkeypatch.setattr(_lanes, "TICK", 0.02)
    monkeypatch.setattr(_backoff, "FIRST", 0.03)
    monkeypatch.setattr(_backoff, "MOST", 0.1)
    with Counting(request.param) as counting:
        counting.work()
        assert counting.flush() == 1
        counting.arrives(1)
        yield counting


def test_a_server_that_is_restarted_between_pushes_loses_none(counting):
    """Each push arrives, not only the last."""
    for total in range(2, 12):
        counting.relay.mode = "refuse"
        counting.relay.mode = "ok"
        counting.work()
        assert counting.flush() == 1
        counting.arrives(total)
    produced, delivered, lost, unknown = counting.books()
    assert (produced, lost, unknown) == (delivered, 0, 0)


def test_a_server_that_is_away_for_a_while(counting):
    counting.relay.mode = "refuse"
    counting.work(5)
    result = counting.timed(counting.lanes.flush, 0.7)
    assert (result.delivered, result.pending, result.lost) == (0, 1, 0)
    counting.relay.mode = "ok"
    counting.work(3)
    assert counting.flush() >= 1
    counting.arrives(9)
    produced, delivered, lost, unknown = counting.books()
    assert (produced, lost, unknown) == (delivered, 0, 0)


def test_a_server_that_stays_away(counting):
    counting.relay.mode = "refuse"
    counting.work()
    result = counting.timed(counting.lanes.close, 0.5)
    assert (result.delivered, result.pending, result.lost) == (0, 0, 1)
    assert result.lanes["graphite"].unknown == 0
    counting.relay.mode = "ok"


def test_a_server_that_stops_reading_holds_up_nothing(counting):
    """What the kernel took for it counts as delivered; the next push says it again."""
    counting.relay.mode = "never_read"
    counting.work(parts=2_000)
    for _ in range(12):  # more than the kernel takes for one connection
        result = counting.timed(counting.lanes.flush, 0.5)
        assert (result.delivered + result.pending, result.lost) == (1, 0)
    counting.relay.mode = "refuse"
    counting.relay.mode = "ok"
    counting.work()
    counting.flush()
    counting.arrives(2, 2_001)
    produced, delivered, lost, unknown = counting.books()
    assert (produced, lost, unknown) == (delivered, 0, 0)


def test_a_connection_that_is_reset_comes_right_with_the_next_push(counting):
    counting.relay.mode = "reset"
    for _ in range(5):
        counting.work()
        result = counting.timed(counting.lanes.flush, 1.0)
        assert (result.delivered + result.pending, result.lost) == (1, 0)
    counting.relay.mode = "ok"
    counting.relay.cut()  # those that nothing was sent through would stay
    end = time.monotonic() + PATIENCE
    while counting.relay._open:
        assert time.monotonic() < end
        time.sleep(0.01)
    counting.work()
    counting.flush()
    counting.arrives(7)
    produced, delivered, lost, unknown = counting.books()
    assert (produced, lost, unknown) == (delivered, 0, 0)
