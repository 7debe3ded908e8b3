"""InfluxDB on a lane, to a server that misbehaves: the books are true, no total is lost."""

import time
from contextlib import ExitStack

import pytest

from obs.delivery import _backoff, _lanes
from obs.delivery._lanes import Lanes
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Resource
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.reader import read
from tests.faults.sink import Sink

GRACE = 0.5
PATIENCE = 15.0


class Pushing:
    """A counter on a lane of its own to a sink, in a block."""

    def __init__(self, temporality):
        self.is_delta = temporality == "delta"
        self.stack = ExitStack()
        self.sink = Sink(handler=lambda _: (204, {}, b""))
        registry = Registry()
        self.counter = registry.counter("c", labels=("k",)).labels("a")
        self.lanes = Lanes(
            [],
            registry,
            lambda: Resource({"service.name": "s"}),
            registry.diag,
            Limits(),
            1.0,
        )
        self.lanes.add(
            InfluxDBExporter(
                self.sink.url,
                bucket="b",
                temporality=temporality,
                timeout=0.25,
                interval=0.1,
            )
        )

    def __enter__(self):
        self.stack.enter_context(self.sink)
        self.lanes.start()
        return self

    def __exit__(self, *_):
        self.lanes.close(time.monotonic() + 0.5)
        self.stack.close()

    @property
    def ledger(self):
        return self.lanes.ledgers["metrics", "influxdb"]

    def timed(self, what, seconds):
        begun = time.monotonic()
        result = what(begun + seconds)
        assert time.monotonic() - begun < seconds + GRACE
        return result

    def total(self):
        """Give what the counter is at a server that has what it acknowledged."""
        taken = [
            it for it in list(self.sink.requests) if it.status == 204 and it.answered
        ]
        lines = [line for request in taken for line in read(request.body)]
        found = {it.time: it.fields["value"] for it in lines if it.measurement == "c"}
        values = [value for _, value in sorted(found.items())]
        return sum(values) if self.is_delta else values[-1]

    def closed(self):
        """Close, and check that each push that was made is accounted for."""
        result = self.timed(self.lanes.close, 0.5)
        ledger = self.ledger
        lost = ledger.dropped.total() + ledger.rejected.total() + ledger.unknown
        assert ledger.produced == ledger.delivered + lost
        return result


@pytest.fixture
def pushing(request, monkeypatch):
    monkeypatch.setattr(_lanes, "TICK", 0.02)
    monkeypatch.setattr(_backoff, "FIRST", 0.03)
    monkeypatch.setattr(_backoff, "MOST", 0.1)
    with Pushing(getattr(request, "param", "cumulative")) as pushing:
        pushing.counter.inc(5)
        assert pushing.timed(pushing.lanes.flush, PATIENCE).lost == 0
        assert pushing.total() == 5
        yield pushing


ALL = [
    "refuse",
    "never_read",
    "never_answer",
    "reset_mid_request",
    "reset_before_answer",
    "503",
    "500",
    "429",
    "drip_head",
    "garbage",
]


@pytest.mark.parametrize("mode", ALL)
def test_a_server_that_is_away_for_a_while_has_the_total_afterwards(pushing, mode):
    pushing.sink.mode = mode
    pushing.counter.inc(20)
    assert pushing.timed(pushing.lanes.flush, 0.6).pending == 1
    pushing.sink.mode = "ok"
    pushing.counter.inc(100)
    result = pushing.timed(pushing.lanes.flush, PATIENCE)
    assert (result.pending, result.lost) == (0, 0)
    assert pushing.total() == 125
    assert pushing.closed().lost == 0


@pytest.mark.parametrize("pushing", ["delta"], indirect=True)
@pytest.mark.parametrize("mode", ["refuse", "503", "429"])
def test_increases_that_nobody_took_are_in_the_next_push(pushing, mode):
    pushing.sink.mode = mode
    pushing.counter.inc(20)
    assert pushing.timed(pushing.lanes.flush, 0.6).pending == 1
    pushing.sink.mode = "ok"
    pushing.counter.inc(100)
    result = pushing.timed(pushing.lanes.flush, PATIENCE)
    assert (result.pending, result.lost) == (0, 0)
    assert pushing.total() == 125
    assert pushing.closed().lost == 0


@pytest.mark.parametrize("pushing", ["delta"], indirect=True)
@pytest.mark.parametrize("mode", ["never_answer", "reset_before_answer", "504"])
def test_increases_that_may_have_arrived_are_unknown(pushing, mode):
    pushing.sink.mode = mode
    pushing.counter.inc(20)
    end = time.monotonic() + PATIENCE
    while not pushing.ledger.unknown:
        assert time.monotonic() < end
        time.sleep(0.01)
    pushing.sink.mode = "ok"
    pushing.closed()


@pytest.mark.parametrize("mode", ["400", "401", "404", "413"])
def test_a_push_that_is_refused_is_counted_and_the_next_has_the_total(pushing, mode):
    pushing.sink.mode = mode
    pushing.counter.inc(20)
    result = pushing.timed(pushing.lanes.flush, PATIENCE)
    assert (result.pending, result.lanes["influxdb"].unknown) == (0, 0)
    assert pushing.ledger.rejected[f"http_{mode}"] > 0
    pushing.sink.mode = "ok"
    assert pushing.timed(pushing.lanes.flush, PATIENCE).delivered > 0
    assert pushing.total() == 25
    pushing.closed()


@pytest.mark.parametrize("mode", ["refuse", "never_answer"])
def test_a_server_that_stays_away(pushing, mode):
    pushing.sink.mode = mode
    pushing.counter.inc(20)
    result = pushing.closed()
    assert (result.pending, result.lost) == (0, 1)
    assert pushing.ledger.unknown == (mode == "never_answer")


@pytest.mark.parametrize("pushing", ["cumulative", "delta"], indirect=True)
def test_a_server_that_was_started_again_between_two_pushes_loses_nothing(pushing):
    for n in range(1, 6):
        pushing.sink.cut()
        pushing.counter.inc(10)
        result = pushing.timed(pushing.lanes.flush, PATIENCE)
        assert (result.pending, result.lost) == (0, 0), n
    assert pushing.ledger.unknown == 0
    assert pushing.total() == 55
