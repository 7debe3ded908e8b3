"""Syslog through a relay that misbehaves: nobody answers, so the books say what was sent."""

import time
from collections import Counter
from contextlib import ExitStack

import pytest

from obs.delivery import Intake
from obs.metrics import Registry
from obs.model import LogRecord
from obs_exporters import SyslogExporter, Tls
from tests.exporters.syslog.reader import Server, read
from tests.faults.certificates import authority, server_context
from tests.faults.lanes import PATIENCE, impatient, make_lanes, timed
from tests.faults.relay import Relay


class Logging:
    """Lanes of one exporter, behind a relay to a server, in a block."""

    def __init__(self, protocol, tmp_path):
        self.stack = ExitStack()
        context = server_context("good") if protocol == "tls" else None
        self.server = Server("tcp", context=context)
        port = int(self.server.address.rpartition(":")[2])
        self.relay = Relay(port)
        tls = None
        if protocol == "tls":
            ca_file = tmp_path / "ca.pem"
            authority("known").cert_pem.write_to_path(ca_file)
            tls = Tls(str(ca_file))
        self.intake = Intake("logs")
        registry = Registry()
        self.lanes = make_lanes(registry, (self.intake, lambda record: (record, 100)))
        self.lanes.add(
            SyslogExporter(
                f"127.0.0.1:{self.relay.port}",
                protocol=protocol,
                tls=tls,
                timeout=0.25,
                interval=0.05,
                max_message_bytes=40_000,
            )
        )
        self.recorded = self._read = 0
        self.arrived = Counter()

    def __enter__(self):
        self.stack.enter_context(self.server)
        self.stack.enter_context(self.relay)
        self.lanes.start()
        return self

    def __exit__(self, *_):
        self.lanes.close(time.monotonic() + 0.5)
        self.stack.close()

    def record(self, n, size=0):
        for i in range(self.recorded, self.recorded + n):
            fields = {"i": i, "text": "x" * size}
            self.intake.put(LogRecord(1, "info", "e", fields=fields))
        self.recorded += n

    def arrives(self, ids):
        end = time.monotonic() + PATIENCE
        while not set(ids) <= self.arrived.keys():
            assert time.monotonic() < end
            time.sleep(0.01)
            fresh = self.server.messages[self._read :]
            self._read += len(fresh)
            self.arrived.update(int(read(message).params["i"]) for message in fresh)


@pytest.fixture(params=["tcp", "tls"])
def logging(request, tmp_path, monkeypatch):
    impatient(monkeypatch)
    with Logging(request.param, tmp_path) as logging:
        logging.record(10)
        assert timed(logging.lanes.flush, PATIENCE).delivered == 10
        logging.arrives(range(10))
        yield logging


def test_a_server_that_is_away_for_a_while_loses_nothing(logging):
    logging.relay.mode = "refuse"
    logging.record(20)
    result = timed(logging.lanes.flush, 1.0)
    assert (result.delivered, result.pending, result.lost) == (0, 20, 0)
    logging.relay.mode = "ok"
    logging.record(10)
    result = timed(logging.lanes.flush, PATIENCE)
    assert (result.pending, result.lost) == (0, 0)
    # In all: what waited may have gone before the flush began.
    assert logging.lanes.ledgers["logs", "syslog"].delivered == 40
    logging.arrives(range(40))
    assert set(logging.arrived.values()) == {1}


def test_a_server_that_stays_away(logging):
    logging.relay.mode = "refuse"
    logging.record(20)
    result = timed(logging.lanes.close, 0.5)
    assert (result.delivered, result.pending, result.lost) == (0, 0, 20)
    assert result.lanes["syslog"].unknown == 0
    logging.relay.mode = "ok"


def test_a_server_that_stops_reading_holds_up_nothing(logging):
    """What the kernel took for it counts as delivered, and is lost with it."""
    logging.relay.mode = "never_read"
    logging.record(500, 25_000)  # more than the kernel takes
    result = timed(logging.lanes.flush, 1.0)
    assert result.delivered + result.pending == 500
    assert result.pending > 0
    logging.relay.mode = "refuse"
    logging.relay.mode = "ok"
    logging.record(10)
    rest = timed(logging.lanes.flush, PATIENCE)
    assert (rest.pending, rest.lost) == (0, 0)
    assert rest.delivered >= 10
    logging.arrives(range(510, 520))


def test_a_connection_that_is_reset(logging):
    """What the kernel took before the reset counts as delivered; all else is sent again."""
    logging.relay.mode = "reset"
    logging.record(20)
    result = timed(logging.lanes.flush, 1.0)
    assert (result.delivered + result.pending, result.lost) == (20, 0)
    doomed = set(logging.relay._open)
    logging.relay.mode = "ok"
    logging.relay.cut()  # those that nothing was sent through would stay
    end = time.monotonic() + PATIENCE
    while doomed & set(logging.relay._open):  # a send into one of these is lost
        assert time.monotonic() < end
        time.sleep(0.01)
    logging.record(10)
    result = timed(logging.lanes.flush, PATIENCE)
    assert (result.pending, result.lost) == (0, 0)
    assert result.delivered >= 10
    logging.arrives(range(30, 40))
