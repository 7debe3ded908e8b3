"""Good exporters pass every check, and what is skipped says why."""

from dataclasses import replace

import pytest

from obs.errors import ExportFailed
from obs.model import MetricFamily, Payload
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


A, B = Number("a", {}, 1), Number("b", {"l": "x"}, 2)


@pytest.mark.parametrize(
    ("arrived", "text"),
    [
        (
            [A, B],
            "2 points arrived of 1 sent, among them [Number(name='b', labels={'l': 'x'}, "
            "value=2)]. Each point of a batch arrives once, and nothing else.",
        ),
        (
            [A, "forged"],
            "2 points arrived of 1 sent, among them ['forged']. Each point of a batch "
            "arrives once, and nothing else.",
        ),
        (
            [A, A],
            "2 points arrived of 1 sent, among them []. Each point of a batch arrives "
            "once, and nothing else.",
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
