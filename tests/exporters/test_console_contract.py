"""The contract that every push exporter keeps, read back from what people see.

The console shows less than it gets: numbers of six digits, of a histogram count, mean
and estimates of quantiles, of a span its name. What is looked for is what it shows.
"""

import io
import random
import re
import shlex
from bisect import bisect_left
from functools import partial

import pytest

from obs.metrics import Registry
from obs.testing import FakeClock
from obs.testing.contract import ExporterContract, Histogram, Log, Number, Rig, Span
from obs.testing.contract._hostile import TEXTS, VALUES, Ids
from obs_exporters import ConsoleExporter

BOUNDS = tuple(float(bound) for bound in range(400, 651, 5))


class TestMetricsAndLogs(ExporterContract):
    patience = 0.2

    def make(self):
        stream = io.StringIO()
        return Rig(
            build=lambda: ConsoleExporter(stream, signals=("metrics", "logs")),
            received=lambda: list(arrived(stream.getvalue())),
            break_backend=partial(closed, stream),
            expect=as_shown,
        )

    def test_histogram_statistics(self, driver):
        chance = random.Random(12_345)
        draws = sorted(chance.gauss(500, 25) for _ in range(12_345))
        registry = Registry(clock=FakeClock())
        histogram = registry.histogram("contract.statistics", buckets=BOUNDS)
        for draw in draws:
            histogram.observe(draw)
        (payload,) = driver.push(driver.metrics(registry.snapshot()))
        _, head, row = str(payload.body).splitlines()[:3]
        assert head.split() == [
            "metric",
            "labels",
            "count",
            "mean",
            "p50",
            "p95",
            "max",
        ]
        name, count, mean, p50, p95, *most = row.split()
        assert (name, count) == ("contract.statistics", "12,345")
        assert float(mean) == pytest.approx(sum(draws) / len(draws), rel=1e-5)
        for q, shown in ((0.5, p50), (0.95, p95)):
            assert float(shown) == pytest.approx(draws[int(q * len(draws))], abs=5)
        assert most == ["<=", f"{BOUNDS[bisect_left(BOUNDS, draws[-1])]:g}"]


class TestSpans(ExporterContract):
    """A waterfall has no ids of spans: what the kit finds by these is counted here."""

    patience = 0.2

    def make(self):
        stream = io.StringIO()
        return Rig(
            build=lambda: ConsoleExporter(stream, signals="traces"),
            received=lambda: list(spans(stream.getvalue())),
            break_backend=partial(closed, stream),
        )

    def test_spans_arrive(self, driver):
        ids = Ids()
        sent = [ids.span(f"work.{n}", parent=0) for n in range(20)]
        assert drawn(driver, sent) == [span.name for span in sent]

    def test_payloads_come_in_the_order_of_the_records(self, driver):
        sent = [Ids().span(attributes={"text": "x" * 1_000})] * 4_000
        (payload,) = driver.encode(driver.records("traces", sent))
        assert payload.records == 4_000

    def test_a_batch_fits_max_bytes_when_it_is_halved(self, driver):
        pytest.skip("max_bytes is for bodies of bytes; this one is text")

    def test_hostile_texts_in_records(self, driver):
        for text in TEXTS:
            check_drawn(driver, lambda ids, text=text: ids.spans_with(text))

    def test_hostile_values_in_records(self, driver):
        for value in VALUES:
            check_drawn(driver, lambda ids, value=value: ids.spans_of(value))
        check_drawn(driver, Ids.odd_spans)

    def test_generated_values_in_records(self, driver):
        def check(value):
            is_text = isinstance(value, str)
            check_drawn(
                driver,
                lambda ids: ids.spans_with(value) if is_text else ids.spans_of(value),
            )

        found = self.generated()
        found.for_any(self.examples, check, found.VALUES)


def closed(stream, mode):
    if mode != "close":
        raise NotImplementedError
    stream.close()


def drawn(driver, records):
    """Send spans, and give the names of those that are drawn."""
    driver.forget()
    (payload,) = driver.push(driver.records("traces", records))
    assert (payload.records, payload.dropped) == (len(records), {})
    return [span.name for span in driver.fresh(len(records))]


def check_drawn(driver, odd):
    """Send odd spans between two good ones: each is a row, and the good ones are whole."""
    ids = Ids()
    first, last = ids.span("first", parent=0), ids.span("last", parent=0)
    records = [first, *odd(ids), last]
    names = drawn(driver, records)
    assert len(names) == len(records), names
    assert (names.count("first"), names.count("last")) == (1, 1)


def arrived(text):
    """Give what tables and lines of logs show; of what cannot be read, the line."""
    head = ""
    for line in filter(None, text.split("\n")):
        if line.startswith("metrics of contract at ") and line.endswith(" s"):
            continue
        if line.split() in (NUMBERS, HISTOGRAMS):
            head = line
        else:
            yield point_of(head, line) if head else log_of(line)


NUMBERS = ["metric", "labels", "value", "rate"]
HISTOGRAMS = ["metric", "labels", "count", "mean", "p50", "p95", "max"]


def log_of(line):
    try:
        _, _, event, *fields = shlex.split(line)
    except ValueError:
        return line
    return Log(event, dict(it.split("=", 1) for it in fields if "=" in it))


def point_of(head, line):
    def cell(column):
        """The text that ends below the end of a word of the head."""
        return line[: head.index(column) + len(column)].rpartition("  ")[2].strip()

    name = line[: head.index("labels")].rstrip()
    pairs = line[head.index("labels") :].partition("  ")[0].split()
    labels = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    try:
        if head.split() == NUMBERS:
            return Number(name, labels, number(cell("value")))
        count = number(cell("count"))
        return Histogram(name, labels, count, count * number(cell("mean")), (), ())
    except ValueError:
        return line


def number(text):
    return float(text.replace(",", "") or 0)


def as_shown(point):
    labels = {name: value for name, value in point.labels.items() if value}
    if isinstance(point, Number):
        return Number(point.name, labels, float(f"{point.value:.6g}"))
    mean = float(f"{point.sum / (point.count or 1):.6g}")
    return Histogram(point.name, labels, point.count, point.count * mean, (), ())


def spans(text):
    """Give the names of the rows below the head and the axis of each waterfall."""
    for diagram in filter(None, text.split("\n\n")):
        for row in diagram.strip("\n").split("\n")[1:]:
            if not (row.startswith(" ") and "╷" in row):
                yield Span("", "", "", re.sub(r" +[\d.e+]+ \w+ .*", "", row))
