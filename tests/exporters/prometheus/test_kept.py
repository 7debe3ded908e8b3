"""What the page keeps between scrapes, and many scrapes at once."""

import sys
import threading

import pytest

from obs import Limits
from obs.metrics import Registry
from obs.model import Block, MetricFamily
from obs_exporters.prometheus import _left_out as left_out_module
from obs_exporters.prometheus._left_out import LeftOut
from obs_exporters.prometheus._openmetrics import OPENMETRICS
from obs_exporters.prometheus._page import Page
from obs_exporters.prometheus._text import TEXT
from tests.exporters.prometheus.sources import (
    FixedSource,
    RegistrySource,
    number,
    read_openmetrics,
    read_text,
    samples,
)


def make_page(source):
    return Page(source, LeftOut("prometheus", source))


def templates(page):
    return {
        name: [chunk.template for block in kept.blocks for chunk in block.chunks]
        for name, kept in page._kept.items()
    }


def test_templates_are_used_again_while_the_series_are_the_same():
    source = RegistrySource()
    counter = source.registry.counter("c", labels=("n",))
    counter.labels("1").inc()
    page = make_page(source)
    page.render(TEXT)
    (first,) = templates(page)["c"]
    assert first == 'c_total{n="1"} %s\n'
    counter.labels("1").inc()
    assert b'c_total{n="1"} 2\n' in page.render(OPENMETRICS)
    (second,) = templates(page)["c"]
    assert second is first


def test_a_template_is_made_anew_when_a_series_comes_or_goes():
    source = RegistrySource()
    counter = source.registry.counter("c", labels=("n",))
    page = make_page(source)
    head = b"# TYPE c_total counter\n"
    for add, remove, lines in (
        ("1", None, b'c_total{n="1"} 1\n'),
        ("2", None, b'c_total{n="1"} 1\nc_total{n="2"} 1\n'),
        ("3", "1", b'c_total{n="2"} 1\nc_total{n="3"} 1\n'),
        ("1", "3", b'c_total{n="2"} 1\nc_total{n="1"} 1\n'),
    ):
        counter.labels(add).inc()
        if remove:
            counter.remove(remove)
        assert page.render(TEXT) == head + lines


def test_only_the_chunk_that_changed_is_made_anew():
    source = RegistrySource(Registry(Limits(series_per_block=10_000)))
    counter = source.registry.counter("c", labels=("n",))
    for n in range(1_000):
        counter.labels(n).inc(n)
    page = make_page(source)
    page.render(TEXT)
    before = templates(page)["c"]
    counter.labels(1_000).inc(1_000)
    found = samples(page.render(TEXT).decode())
    after = templates(page)["c"]
    assert [new is old for new, old in zip(after, before, strict=True)] == [
        *[True] * (len(before) - 1),
        False,
    ]
    assert found == {("c_total", frozenset({("n", str(n))})): n for n in range(1_001)}


def test_what_is_kept_of_a_family_goes_with_it():
    source = FixedSource(number("a"), number("b"))
    page = make_page(source)
    page.render(TEXT)
    assert set(page._kept) == {"a", "b"}
    source.families.pop()
    page.render(TEXT)
    assert set(page._kept) == {"a"}


def test_a_page_of_some_families_keeps_what_is_known_of_the_others():
    source = FixedSource(number("a"), number("b"))
    page = make_page(source)
    page.render(TEXT)
    (before,) = templates(page)["b"]
    page.render(TEXT, ["a"])
    (after,) = templates(page)["b"]
    assert after is before


def test_a_family_that_changes_its_definition_is_laid_out_anew():
    source = FixedSource(number("a", "gauge", 1, help="One."))
    page = make_page(source)
    page.render(TEXT)
    source.families[:] = [number("a", "counter", 1, help="Two.")]
    assert page.render(TEXT) == (
        b"# HELP a_total Two.\n# TYPE a_total counter\na_total 1\n"
    )


def test_a_block_whose_label_names_change_is_laid_out_anew():
    source = FixedSource(number("a", values={("1",): 1}, label_names=("x",)))
    page = make_page(source)
    page.render(TEXT)
    source.families[:] = [number("a", values={("1",): 1}, label_names=("y",))]
    assert page.render(TEXT) == b'# TYPE a gauge\na{y="1"} 1\n'


@pytest.mark.parametrize("values", [[1, True, 1.0], [None, "", "x"], ["1", 1, "1"]])
def test_foreign_label_values_that_are_equal_but_read_differently_are_not_mixed_up(
    values,
):
    source = FixedSource()
    page = make_page(source)
    for value in values:
        source.families[:] = [number("a", values={(value,): 1}, label_names=("x",))]
        text = "" if value is None else str(value)
        assert page.render(TEXT) == f'# TYPE a gauge\na{{x="{text}"}} 1\n'.encode()


def test_rows_that_are_changed_in_place_are_seen():
    row = ["1"]
    source = FixedSource(MetricFamily("a", "gauge", blocks=[Block(("x",), [row], [1])]))
    page = make_page(source)
    assert page.render(TEXT) == b'# TYPE a gauge\na{x="1"} 1\n'
    row[0] = "2"
    assert page.render(TEXT) == b'# TYPE a gauge\na{x="2"} 1\n'


class Churn:
    """Series that come and go, each with its label as value, and what reads them."""

    def __init__(self):
        self.source = RegistrySource(Registry(Limits(series_per_block=10_000)))
        self.gauge = self.source.registry.gauge("g", labels=("n",))
        self.latency = self.source.registry.histogram(
            "h", labels=("n",), buckets=(1e9,)
        )
        self.page = make_page(self.source)
        self.stop = threading.Event()
        self.wrong = []
        self.pages = 0

    def write(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            self.gauge.labels(n).set(n)
            self.latency.labels(n).observe(n)
            if n > 600:
                self.gauge.remove(n - 600 + n % 7)
                self.latency.remove(n - 600 + n % 7)

    def read(self, form, reader):
        try:
            for _ in range(12):
                for family in reader(self.page.render(form).decode()):
                    self.check(family)
                self.pages += 1
        except Exception as error:
            self.wrong.append(error)

    def check(self, family):
        for name, labels, value, *_ in family.samples:
            # A series that was made a moment ago may not have its value yet.
            if name in ("g", "h_sum") and value not in (0, int(labels["n"])):
                self.wrong.append((name, labels, value))


def test_many_pages_at_once_never_mix_up_names_and_numbers():
    churn = Churn()
    readers = [
        threading.Thread(target=churn.read, args=pair)
        for pair in ((TEXT, read_text), (OPENMETRICS, read_openmetrics)) * 2
    ]
    writer = threading.Thread(target=churn.write)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in (writer, *readers):
            thread.start()
        for thread in readers:
            thread.join()
    finally:
        churn.stop.set()
        writer.join()
        sys.setswitchinterval(before)
    assert churn.wrong == []
    assert churn.pages >= 12


def test_what_is_said_waits_for_its_minute(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(left_out_module, "monotonic", lambda: now)
    source = FixedSource(*[MetricFamily(f"e{n}", "exponential") for n in range(5)])
    page = make_page(source)
    for _ in range(2):
        page.render(TEXT)
        ((_, text),) = source.said
        assert [f"'e{n}'" in text for n in range(5)] == [True] * 3 + [False] * 2
    now += 61
    page.render(TEXT)
    page.render(TEXT)
    assert len(source.said) == 2
    assert "'e4'" in source.said[1][1]
    now += 61
    page.render(TEXT)
    assert len(source.said) == 2
    assert source.counted == {"invalid": 25}
