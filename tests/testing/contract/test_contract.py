"""Good exporters pass every check, and what is skipped says why."""

import sys
from dataclasses import replace

import pytest

from obs.errors import ExportFailed
from obs.model import Delivery, MetricFamily, Payload
from obs.testing.contract import ExporterContract, Histogram, Number
from obs.testing.contract._driver import Driver
from obs.testing.contract._hostile import Ids
from obs.testing.contract._points import compare
from tests.testing.contract.lines import Lines, rig_of


class TestTotals(ExporterContract):
    def make(self):
        return rig_of(Lines)


class Increases(Lines):
    """Leaves out what did not change, in small payloads of all signals."""

    delivery = Lines.delivery._replace(temporality="delta", max_bytes=700)

    def divides(self, batch):
        return True

    def points(self, batch):
        for family, point in super().points(batch):
            value = point.count if family.kind == "histogram" else point.value
            if value or family.kind not in ("counter", "histogram"):
                yield family, point


class TestIncreases(ExporterContract):
    def make(self):
        return rig_of(Increases)


class Renames(Lines):
    """A protocol without labels and histograms, of metrics alone."""

    signals = frozenset({"metrics"})

    def points(self, batch):
        for family, point in super().points(batch):
            if family.kind != "histogram":
                new = MetricFamily(renamed(family.name, point.labels), family.kind)
                yield new, point._replace(labels={})

    def encode(self, batch):
        payloads = super().encode(batch)
        n = sum(len(f.points) for f in batch.families if f.kind == "histogram")
        return [*payloads, Payload(b"", 0, {"unsupported": n})] if n else payloads


def renamed(name, labels):
    """Give one name: no two series have the same one."""
    return "/".join([name, *(f"{key}={value}" for key, value in labels.items())])


def expect(point):
    if isinstance(point, Histogram):
        return None
    return Number(renamed(point.name, point.labels), {}, point.value)


class TestRenames(ExporterContract):
    def make(self):
        return replace(rig_of(Renames), break_backend=None, expect=expect)

    @pytest.mark.skip(reason="there are no histograms here")
    def test_histogram_statistics(self):
        """A subclass may take a check out."""


class Odd(Lines):
    """Does what the test says."""

    result = None

    def encode(self, batch):
        return [b"body"]

    def send(self, payload, deadline):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def driver():
    rig = rig_of(Odd)
    return Driver(rig, rig.build(), 0.0)


def test_encode_gives_payloads(driver):
    batch = driver.records("logs", [Ids().log()])
    with pytest.raises(AssertionError) as error:
        driver.encode(batch)
    assert str(error.value) == (
        "exporter 'lines': encode gave b'body', needs obs.model.Payload."
    )


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "send gave None, needs obs.model.Ack."),
        (
            ValueError("odd"),
            "send raised ValueError('odd'), may raise ExportFailed only.",
        ),
        (
            ExportFailed("400"),
            "send raised ExportFailed('400') for Payload(body=b'b', records=1, dropped={}, "
            "merged=0) while the backend was well. What a backend would refuse is left out "
            "by encode.",
        ),
    ],
)
def test_a_send_to_a_backend_that_is_well_gives_an_answer(driver, result, text):
    driver.exporter.result = result
    with pytest.raises(AssertionError) as error:
        driver.send(Payload(b"b", 1))
    assert str(error.value) == f"exporter 'lines': {text}"


def test_plain_records_give_a_payload(driver):
    driver.exporter.encode = lambda batch: []
    with pytest.raises(AssertionError) as error:
        TestTotals().test_close_twice(driver)
    assert str(error.value) == (
        "exporter 'lines': encode gave nothing for plain metrics, needs a payload."
    )


def test_the_failure_of_a_send_can_be_told_apart(driver):
    driver.exporter.encode = lambda batch: [Payload(b"", 1)]
    driver.exporter.result = ExportFailed("x", retry_after=-1, reason="")
    with pytest.raises(AssertionError) as error:
        TestTotals().test_a_send_past_its_deadline_fails_at_once(driver)
    assert str(error.value) == (
        "exporter 'lines': send whose deadline has passed raised ExportFailed('x') with "
        "retryable=False, sent=False, retry_after=-1, reason=''. It needs two of True or "
        "False, seconds or None, and a short text."
    )


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("name", "", "exporter '': name is '', needs a text."),
        (
            "signals",
            {"metrics"},
            "exporter 'lines': signals is {'metrics'}, needs a frozenset of some of "
            "metrics, logs, traces.",
        ),
        (
            "signals",
            frozenset({"spans"}),
            "exporter 'lines': signals is frozenset({'spans'}), needs a frozenset of some "
            "of metrics, logs, traces.",
        ),
        (
            "delivery",
            None,
            "exporter 'lines': delivery is None, needs obs.model.Delivery.",
        ),
        (
            "delivery",
            Delivery(timeout=float("inf")),
            "exporter 'lines': delivery.timeout is inf, needs seconds above 0.",
        ),
        (
            "delivery",
            Delivery(max_bytes=1e6),
            "exporter 'lines': delivery.max_bytes is 1000000.0, needs an integer above 0.",
        ),
        (
            "delivery",
            Delivery(temporality="sum"),
            "exporter 'lines': delivery.temporality is 'sum', needs cumulative or delta.",
        ),
        (
            "delivery",
            Delivery(acknowledges=None),
            "exporter 'lines': delivery.acknowledges is None, needs True or False.",
        ),
        (
            "delivery",
            Delivery(spool=5),
            "exporter 'lines': delivery.spool is 5, needs a directory or None.",
        ),
    ],
)
def test_attributes_are_looked_at(driver, attribute, value, text):
    TestTotals().test_attributes_have_their_types(driver)
    setattr(driver.exporter, attribute, value)
    with pytest.raises(AssertionError) as error:
        TestTotals().test_attributes_have_their_types(driver)
    assert str(error.value) == text


def test_a_subclass_without_make_is_told():
    class TestMine(ExporterContract):
        pass

    with pytest.raises(NotImplementedError) as error:
        TestMine().make()
    assert str(error.value) == "TestMine: make() is missing, needs to return a Rig."


def test_without_hypothesis_the_generated_checks_are_skipped(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(pytest.skip.Exception, match="hypothesis is not installed"):
        TestTotals().generated()


A, B = Number("a", {}, 1), Number("b", {"l": "x"}, 2)


@pytest.mark.parametrize(
    ("arrived", "text"),
    [
        (
            [A, B],
            "of 1 points 0 did not arrive [], and 1 arrived that were not sent, or twice "
            "[Number(name='b', labels={'l': 'x'}, value=2)]. Each point of a batch "
            "arrives once, empty labels and zeros too.",
        ),
        (
            ["forged"],
            "of 1 points 1 did not arrive [Number(name='a', labels={}, value=1)], and 1 "
            "arrived that were not sent, or twice ['forged']. Each point of a batch "
            "arrives once, empty labels and zeros too.",
        ),
        (
            [A, A],
            "of 1 points 0 did not arrive [], and 1 arrived that were not sent, or twice "
            "[Number(name='a', labels={}, value=1)]. Each point of a batch arrives once, "
            "empty labels and zeros too.",
        ),
        (
            [replace(A, value=2)],
            "Number(name='a', labels={}, value=2) arrived, Number(name='a', labels={}, "
            "value=1) was sent. Values arrive as they are.",
        ),
    ],
)
def test_what_arrives_is_what_was_sent(driver, arrived, text):
    compare(driver, [A], [A])
    with pytest.raises(AssertionError) as error:
        compare(driver, [A], arrived)
    assert str(error.value) == f"exporter 'lines': {text}"
