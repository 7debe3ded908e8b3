"""Exporters as sinks of routes: their lanes get what passes, and the books are even."""

import sys
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import Obs
from obs._diag import Diag
from obs.errors import DefinitionError, ExportFailed
from obs.logs import Logs, Route
from obs.logs._routed import RoutedExporter
from obs.model import Batch, Delivery, LogRecord, Payload, Resource
from tests.delivery.scripted import Scripted
from tests.logs.test_route import UNMASKABLE, Fails, Mask


def events(exporter):
    return [record.event for batch in exporter.batches for record in batch.records]


class Remembers(Scripted):
    """Encodes the events; sends each batch in bodies of so many."""

    def __init__(self, most=10**6, **given):
        super().__init__(signals=("logs",), **given)
        self.most = most

    def encode(self, batch):
        self.batches.append(batch)
        names = [record.event for record in batch.records]
        for start in range(0, len(names), self.most):
            part = names[start : start + self.most]
            good = [name for name in part if name != "bad"]
            yield Payload(good, len(good), {"invalid": len(part) - len(good)})


@pytest.fixture
def started():
    running = []

    def start(*routes, **given):
        tel = Obs("shop", runtime=False, routes=routes, **given)
        tel.start()
        running.append(tel)
        return tel

    yield start
    for tel in running:
        tel.close()


def books(tel, name="scripted"):
    (ledger,) = [
        it
        for (signal, exporter), it in tel._lifecycle._lanes.ledgers.items()
        if (signal, exporter) == ("logs", name)
    ]
    return ledger


def test_an_exporter_gets_what_passes(started):
    exporter = Remembers()
    route = Route(exporter, level="warning", keep=lambda it: it.logger != "noisy")
    tel = started(route)
    tel.logger("shop").info("low")
    tel.logger("shop").error("failed")
    tel.logger("noisy").error("noise")
    result = tel.flush(5)
    assert [name for body in exporter.bodies for name in body] == ["failed"]
    assert result.delivered == 1
    assert result.lost == result.pending == 0
    ledger = books(tel)
    assert ledger.produced == 3
    assert ledger.dropped["filtered"] == 2


def test_what_the_exporter_imports_is_imported_at_the_start(
    started, tmp_path, monkeypatch
):
    (tmp_path / "imported_by_a_sink.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    exporter = Remembers()
    exporter.imports = ("imported_by_a_sink",)
    started(Route(exporter))
    assert sys.modules.pop("imported_by_a_sink")


def test_routes_of_exporters_alone_write_nothing_to_stderr(started, capfd):
    exporter = Remembers()
    tel = started(Route(exporter, level="error"))
    tel.logger().info("low")
    tel.logger().error("failed")
    tel.close()
    assert [name for body in exporter.bodies for name in body] == ["failed"]
    assert capfd.readouterr().err == ""


def test_what_the_exporter_itself_filters_out_is_counted_too(started):
    class Filters(Remembers):
        def encode(self, batch):
            kept = [it for it in batch.records if it.event != "more"]
            for payload in super().encode(batch._replace(records=kept)):
                left_out = len(batch.records) - len(kept)
                yield payload._replace(dropped={"filtered": left_out})

    exporter = Filters()
    tel = started(Route(exporter, level="error"))
    for event in ("a", "more", "more"):
        tel.logger().error(event)
    tel.logger().info("low")
    result = tel.flush(5)
    assert (result.delivered, result.lost) == (1, 0)
    assert books(tel).dropped["filtered"] == 3


def test_what_is_filtered_out_is_no_loss_to_be_told_of(started, capfd):
    tel = started(Route(Remembers(), level="error"))
    for _ in range(10):
        tel.logger().info("low")
    result = tel.close()
    assert result.lost == 0
    assert books(tel).dropped["filtered"] == 10
    assert capfd.readouterr().err == ""


def test_a_flush_does_not_wait_for_what_is_filtered_out(started):
    tel = started(Route(Remembers(), level="error"))
    tel.logger().info("low")
    began = monotonic()
    result = tel.flush(30)
    assert monotonic() - began < 20
    assert result.pending == 0
    assert books(tel).dropped["filtered"] == 1


def test_all_that_is_refused_is_counted_beside_what_is_filtered(started, capfd):
    exporter = Remembers()
    exporter.always = lambda payload: (
        ExportFailed("no", reason="http_400") if "poison" in payload.body else None
    )
    tel = started(Route(exporter, keep=lambda it: it.event != "left"))
    for event in ("a", "left", "poison", "left", "b", "bad", "left"):
        tel.logger().info(event)
    tel.flush(5)
    ledger = books(tel)
    assert sorted(name for body in exporter.bodies for name in body) == ["a", "b"]
    assert ledger.rejected["http_400"] == 1
    assert ledger.dropped["filtered"] == 3
    assert ledger.dropped["invalid"] == 1
    assert ledger.produced == 7 == 2 + 1 + 3 + 1


def test_only_logs_go_to_an_exporter_of_a_route(started):
    exporter = Scripted(signals=("logs", "traces", "metrics"))
    tel = started(Route(exporter))
    with tel.span("a"):
        pass
    tel.flush(5)
    assert {batch.signal for batch in exporter.batches} <= {"logs"}


def test_a_route_masks_for_its_exporter(started):
    exporter = Remembers()
    tel = started(Route(exporter, redact=Mask("blue")), redact=None)
    tel.logger().info("blue sky")
    tel.flush(5)
    assert exporter.bodies == [["[masked] sky"]]


def test_what_keep_raises_is_counted_and_the_record_is_sent(capfd):
    diag = Diag("shop")
    exporter = Remembers()
    route = Route(exporter, keep=lambda record: record.fields["path"])
    batch = Batch("logs", Resource({}), records=[LogRecord(1, "info", "a")])
    payloads = list(RoutedExporter(exporter, route, diag).encode(batch))
    assert [payload.body for payload in payloads] == [["a"]]
    assert diag.dropped_counts()["logs", "scripted", "invalid"] == 1
    text = "logs 'scripted': keep raised a KeyError. The record is kept."
    assert text in capfd.readouterr().err


@pytest.mark.parametrize(("event", "fields"), UNMASKABLE)
def test_where_masking_fails_the_record_is_not_sent_and_counted(
    event, fields, started, capfd
):
    exporter = Remembers(most=1)
    route = Route(exporter, keep=lambda it: it.event != "left", redact=Fails("blue"))
    tel = started(route, redact=None)
    for name, its in (("a", {}), (event, fields), ("left", {}), ("c", {})):
        tel.logger().info(name, **its)
    tel.flush(5)
    assert [name for body in exporter.bodies for name in body] == ["a", "c"]
    ledger = books(tel)
    assert (ledger.dropped["filtered"], ledger.dropped["invalid"]) == (1, 1)
    assert ledger.produced == 4
    text = "logs 'scripted': redact raised a "
    assert text in capfd.readouterr().err


def test_nothing_but_what_cannot_be_masked():
    exporter = Remembers()
    route = Route(exporter, level="info", redact=Fails("blue"))
    records = [LogRecord(1, "info", "bad text"), LogRecord(2, "debug", "low")]
    batch = Batch("logs", Resource({}), records=records)
    (payload,) = RoutedExporter(exporter, route, Diag()).encode(batch)
    assert payload == Payload(b"", 0, {"filtered": 1, "invalid": 1})


def test_two_exporters_of_one_name_are_refused():
    with pytest.raises(DefinitionError, match="another exporter has this name"):
        Obs("shop", runtime=False, routes=[Route(Remembers()), Route(Remembers())])


def test_logs_alone_cannot_drive_an_exporter():
    with pytest.raises(DefinitionError) as refused:
        Logs(routes=[Route(Remembers())])
    assert str(refused.value) == (
        "Logs: a route's sink is an exporter, which needs somebody who drives it. "
        "Give the routes to Obs."
    )


def test_it_sends_and_closes_as_the_exporter_does():
    exporter = Remembers(**Delivery(interval=7.0)._asdict())
    routed = RoutedExporter(exporter, Route(exporter), Diag())
    assert routed.delivery == exporter.delivery
    assert routed.send(Payload(["a"], 1), 0.0).accepted == 1
    routed.close(0.0)
    assert exporter.bodies == [["a"]]
    assert exporter.closed == 1


def test_an_exporter_that_counts_wrongly_unbalances_nothing():
    class Greedy(Remembers):
        def encode(self, batch):
            yield Payload("all", 99)

    route = Route(Greedy(), level="error")
    records = [LogRecord(1, "error", "a"), LogRecord(2, "info", "b")]
    batch = Batch("logs", Resource({}), records=records)
    (payload,) = RoutedExporter(route.exporter, route, Diag()).encode(batch)
    assert payload.dropped == {"filtered": 1}


@given(st.lists(st.sampled_from(["a", "bad", "left"]), min_size=1), st.integers(1, 5))
def test_payloads_stand_for_consecutive_records_and_all_of_them(names, most):
    exporter = Remembers(most)
    route = Route(exporter, keep=lambda record: record.event != "left")
    records = [LogRecord(i, "info", name) for i, name in enumerate(names)]
    batch = Batch("logs", Resource({}), records=records)
    at = 0
    for payload in RoutedExporter(exporter, route, Diag()).encode(batch):
        end = at + payload.records + sum(payload.dropped.values())
        its = names[at:end]
        assert payload.records == its.count("a")
        assert payload.dropped.get("invalid", 0) == its.count("bad")
        assert payload.dropped["filtered"] == its.count("left")
        assert all(n >= 0 for n in payload.dropped.values())
        at = end
    assert at == len(names)
