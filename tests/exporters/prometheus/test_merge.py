"""Families of prometheus_client on our page."""

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, metrics_core
from prometheus_client.samples import Exemplar

from obs_exporters.prometheus import collector
from tests.exporters.prometheus.sources import (
    OPENMETRICS,
    FixedSource,
    number,
    samples,
    started,
)

both = pytest.mark.parametrize("accept", ["", OPENMETRICS])


class Collects:
    """A collector of theirs with whatever it is given."""

    def __init__(self, *families, error=None):
        self.families = families
        self.error = error

    def collect(self):
        yield from self.families
        if self.error is not None:
            raise self.error

    def describe(self):
        return []


def theirs():
    registry = CollectorRegistry()
    prometheus_client.Counter("c", "Theirs.", ["l"], registry=registry).labels(
        "x"
    ).inc()
    prometheus_client.Gauge("g", "Theirs.", registry=registry).set(2)
    prometheus_client.Histogram("h", "Theirs.", registry=registry).observe(0.3)
    prometheus_client.Summary("s", "Theirs.", registry=registry).observe(1)
    prometheus_client.Info("i", "Theirs.", registry=registry).info({"v": "1"})
    prometheus_client.Enum("e", "Theirs.", states=["a", "b"], registry=registry)
    return registry


def page_of(source, merge, accept="", names=()):
    with started(source, merge=merge) as exporter:
        return exporter.page(accept, names).body.decode()


@both
def test_their_families_come_after_ours(accept):
    source = FixedSource(number("ours"), attributes={"a": "b"})
    page = page_of(source, theirs(), accept)
    found = samples(page, accept)
    assert found["ours", frozenset()] == 1
    assert found["c_total", frozenset({("l", "x")})] == 1
    assert found["s_count", frozenset()] == 1
    assert found["e", frozenset({("e", "a")})] == 1
    assert page.index("ours") < page.index("Theirs.")
    assert page.count("# EOF") == (1 if accept else 0)
    assert page.endswith("# EOF\n") is bool(accept)
    assert source.counted == {}


@both
def test_theirs_alone_is_their_own_page(accept):
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = theirs()
    generate = generate_latest if accept else prometheus_client.generate_latest
    assert page_of(FixedSource(), registry, accept) == generate(registry).decode()


def test_their_exemplars_stay():
    family = metrics_core.CounterMetricFamily("c", "C.")
    family.add_metric([], 1, exemplar=Exemplar({"trace_id": "ab"}, 1))
    page = page_of(FixedSource(), Collects(family), OPENMETRICS)
    assert 'c_total 1.0 # {trace_id="ab"} 1.0\n' in page


@both
@pytest.mark.parametrize(
    "ours",
    [
        number("g"),
        number("c", "counter"),
        number("h.sum"),
        number("s", "info"),
        number("i.info"),
    ],
)
def test_a_name_of_ours_stays_ours(ours, accept):
    source = FixedSource(ours)
    registry = theirs()
    found = samples(page_of(source, registry, accept), accept)
    assert found.items() >= samples(page_of(source, None, accept), accept).items()
    assert len(found) < 1 + len(
        samples(page_of(FixedSource(), registry, accept), accept)
    )
    assert source.counted == {}, "ours stands in its place, so nothing is lost"
    (said,) = {text for _, text in source.said}
    assert said.endswith("a metric of ours has its name, and is shown in its place.")


@both
def test_one_name_twice_in_theirs_is_there_once(accept):
    first, second = (metrics_core.GaugeMetricFamily("g", "G.", value=n) for n in (1, 2))
    source = FixedSource()
    page = page_of(source, Collects(first, second), accept)
    assert samples(page, accept) == {("g", frozenset()): 1}
    assert source.counted == {"invalid": 1}
    assert source.said[0][1].startswith(
        "merged metric 'g': its name 'g' on the Prometheus page is taken by merged "
        "metric 'g'."
    )


@both
def test_a_family_that_they_cannot_print_spoils_no_other(accept):
    bad = metrics_core.GaugeMetricFamily("bad", "B.", labels=["l"])
    bad.add_metric(["\ud800"], 1)
    worse = metrics_core.GaugeMetricFamily("worse", "W.", value="x")
    good = metrics_core.GaugeMetricFamily("good", "G.", value=1)
    source = FixedSource(number())
    page = page_of(source, Collects(bad, worse, object(), good), accept)
    assert samples(page, accept) == {("n", frozenset()): 1, ("good", frozenset()): 1}
    assert source.counted == {"invalid": 3}


@both
def test_behind_a_collector_that_raises_theirs_end_and_ours_do_not(accept):
    good = metrics_core.GaugeMetricFamily("good", "G.", value=1)
    source = FixedSource(number())
    merge = Collects(good, error=RuntimeError("no"))
    assert samples(page_of(source, merge, accept), accept) == {
        ("n", frozenset()): 1,
        ("good", frozenset()): 1,
    }
    assert source.counted == {"invalid": 1}
    assert source.said == [
        (
            "prometheus",
            "the rest of the merged registry could not be shown: it raised RuntimeError: "
            "'no'.",
        )
    ]


@both
def test_a_registry_that_cannot_be_read_at_all_leaves_ours(accept):
    class Broken:
        def collect(self):
            raise RuntimeError

    source = FixedSource(number())
    found = samples(page_of(source, Broken(), accept), accept)
    assert found == {("n", frozenset()): 1}
    assert source.counted == {"invalid": 1}


@both
def test_names_choose_among_theirs_too(accept):
    page = page_of(FixedSource(number()), theirs(), accept, ["h_count", "g"])
    assert {name for name, _ in samples(page, accept)} >= {"h_bucket", "h_count", "g"}
    assert {name[0] for name, _ in samples(page, accept)} == {"h", "g"}


def test_both_ways_at_once_end():
    """Ours are in their registry, and their registry is on our page."""
    source = FixedSource(number())
    registry = CollectorRegistry()
    registry.register(collector(source))
    assert samples(page_of(source, registry)) == {("n", frozenset()): 1}
