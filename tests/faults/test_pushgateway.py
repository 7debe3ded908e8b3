"""A Pushgateway that misbehaves: a later push covers the gap, and the books balance."""

import time

import pytest

from obs import Obs
from obs.delivery import _backoff, _lanes
from obs_exporters import PushgatewayExporter, TextfileExporter
from tests.faults.sink import Sink

GRACE = 0.5
PATIENCE = 15.0


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(_lanes, "TICK", 0.02)
    monkeypatch.setattr(_backoff, "FIRST", 0.03)
    monkeypatch.setattr(_backoff, "MOST", 0.1)


def timed(what, seconds):
    begun = time.monotonic()
    result = what(seconds)
    assert time.monotonic() - begun < seconds + GRACE
    return result


def eventually(check):
    end = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def books(tel, name):
    ledger = tel._lifecycle._lanes.ledgers["metrics", name]
    ends = ledger.rejected.total() + ledger.dropped.total() + ledger.unknown
    return ledger, ledger.produced - ledger.delivered - ends


def total_in(page):
    lines = page.decode().splitlines()
    found = [line for line in lines if line.startswith("orders_total")]
    return int(found[0].rpartition(" ")[2]) if found else None


@pytest.mark.parametrize(
    "mode",
    [
        "refuse",
        "never_read",
        "never_answer",
        "reset_mid_request",
        "reset_before_answer",
        "close_after:1",
        "garbage",
        "502",
        "503",
        "429:junk",
        "drip_head",
    ],
)
def test_after_an_outage_the_gateway_has_the_totals(mode):
    with Sink("200") as sink:
        exporter = PushgatewayExporter(sink.url, job="a", timeout=0.25, interval=0.05)
        tel = Obs("t", exporters=[exporter], runtime=False)
        orders = tel.counter("orders")
        with tel.start():
            orders.inc(1)
            assert timed(tel.flush, PATIENCE).lost == 0
            sink.mode = mode
            for _ in range(5):
                orders.inc(10)
                timed(tel.flush, 0.1)
            sink.mode = "200"
            orders.inc(100)
            assert timed(tel.flush, PATIENCE).pending == 0
            eventually(lambda: total_in(sink.requests[-1].body) == 151)
        _, left = books(tel, "pushgateway")
        assert left == 0
        assert total_in(sink.requests[-1].body) == 151


def test_a_gateway_that_is_started_again_between_two_pushes_loses_none():
    with Sink("200") as sink:
        exporter = PushgatewayExporter(sink.url, job="a", interval=60)
        tel = Obs("t", exporters=[exporter], runtime=False)
        orders = tel.counter("orders")
        with tel.start():
            for n in range(5):
                orders.inc()
                result = timed(tel.flush, PATIENCE)
                assert (result.delivered, result.lost) == (1, 0)
                assert total_in(sink.requests[-1].body) == n + 1
                sink.cut()
        ledger, left = books(tel, "pushgateway")
        assert (ledger.produced, ledger.delivered, left) == (6, 6, 0)


@pytest.mark.parametrize("status", ["400", "404", "500"])
def test_what_is_refused_is_counted_and_the_next_push_goes(status):
    with Sink(status) as sink:
        exporter = PushgatewayExporter(sink.url, job="a", interval=60)
        tel = Obs("t", exporters=[exporter], runtime=False)
        with tel.start():
            tel.counter("orders").inc()
            result = timed(tel.flush, PATIENCE)
            assert (result.delivered, result.lost) == (0, 1)
            sink.mode = "200"
            result = timed(tel.flush, PATIENCE)
            assert (result.delivered, result.lost) == (1, 0)
        ledger, left = books(tel, "pushgateway")
        assert (ledger.rejected[f"http_{status}"], left) == (1, 0)


@pytest.mark.parametrize("mode", ["refuse", "never_answer"])
def test_a_gateway_that_stays_away_holds_up_no_close(mode):
    with Sink("200") as sink:
        exporter = PushgatewayExporter(
            sink.url, job="a", timeout=0.25, interval=0.05, delete_on_close=True
        )
        tel = Obs("t", exporters=[exporter], runtime=False)
        tel.start()
        timed(tel.flush, PATIENCE)
        sink.mode = mode
        result = timed(tel.close, 0.5)
        assert result.lost >= 1
        assert books(tel, "pushgateway")[1] == 0


def test_a_folder_that_comes_later_gets_the_totals(tmp_path):
    path = tmp_path / "later" / "app.prom"
    tel = Obs("t", exporters=[TextfileExporter(path, interval=0.05)], runtime=False)
    orders = tel.counter("orders")
    with tel.start():
        orders.inc(5)
        assert timed(tel.flush, 0.3).pending == 1
        path.parent.mkdir()
        assert timed(tel.flush, PATIENCE).pending == 0
        assert total_in(path.read_bytes()) == 5
        orders.inc(2)
    assert total_in(path.read_bytes()) == 7
    ledger, left = books(tel, "textfile")
    assert (ledger.rejected.total(), ledger.dropped.total(), left) == (0, 0, 0)
