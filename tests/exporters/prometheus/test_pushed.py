"""The page of a push: golden bytes, what becomes one, what is left out, all counted."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.catalog import CATALOG
from obs.metrics import Registry
from obs.model import KINDS, Block, MetricFamily
from obs_exporters.prometheus import _pushed
from obs_exporters.prometheus._pushed import MAX_BYTES, PushedPage
from tests.exporters.prometheus.pushes import batch_of
from tests.exporters.prometheus.sources import (
    compare_with_golden,
    histogram,
    number,
    page_of,
    samples,
)


def push(*families, labels=None, page=None, most=MAX_BYTES, **resource):
    page = page or PushedPage()
    return page.payload(batch_of(*families, **resource), labels or {}, most)


def text_of(*families, **keywords):
    return push(*families, **keywords).body.decode()


def test_what_can_be_scraped_looks_the_same_when_it_is_pushed():
    registry = Registry()
    registry.counter("orders.placed", "Orders.", labels=("channel",)).labels(
        "a\n"
    ).inc()
    registry.histogram("wait", unit="s", labels=("q",)).labels('"').observe(0.3)
    registry.gauge("temperature", unit="Cel").set(-3.5)
    registry.updown("carts.open").inc(2)
    registry.info("build", labels=("version",)).set("1.4")
    registry.counter("never", labels=("a",))
    families = registry.snapshot().families
    assert text_of(*families) == page_of(*families)


def test_the_whole_page_with_labels_of_its_own():
    families = (
        number("orders", "counter", {("web",): 3}, label_names=("channel",), help="O."),
        histogram(
            "wait", (0.5,), {("a",): (1.5, [1, 2])}, label_names=("q",), unit="s"
        ),
        number("up", values=-0.0),
        number("build", "info", {("1.2",): 1}, label_names=("version",)),
    )
    labels = {"service_name": 'sh"op', "zone": "eu"}
    payload = push(*families, labels=labels, service_name='sh"op', host_name="h1")
    assert payload[1:] == (4, {}, 0)
    compare_with_golden("pushed.text", payload.body)
    page = samples(payload.body.decode())
    assert {("service_name", 'sh"op'), ("zone", "eu")} < next(iter(page))[1]
    assert all(("service_name", 'sh"op') in labels for _, labels in page)


def test_every_built_in_metric_has_a_name():
    """Those that a scraped page leaves out, too."""
    families = [
        builtin.family({("x",) * len(builtin.labels): 1})
        for builtin in CATALOG.values()
        if builtin.kind not in ("histogram", "exponential")
    ]
    payload = push(*families)
    assert payload[1:] == (len(families), {}, 0)
    assert "\nprocess_uptime_seconds 1\n" in payload.body.decode()


def test_a_name_that_is_a_sample_of_another_is_left_out():
    payload = push(histogram("a"), number("a_count", values=9), number("z"))
    assert payload.body == push(histogram("a"), number("z")).body
    assert payload[1:] == (2, {"invalid": 1}, 0)


def test_our_own_target_info_stays():
    payload = push(number("target", "info"), service_name="s")
    assert payload.body.decode().count("target_info{") == 1
    assert payload[1:] == (0, {"invalid": 1}, 0)


def test_labels_that_become_one_leave_their_family_out():
    family = number(values={("x", "y"): 1}, label_names=("a.b", "a_b"))
    payload = push(family, number("m"))
    assert payload.body == push(number("m")).body
    assert payload[1:] == (1, {"invalid": 1}, 0)


def test_labels_that_the_reader_overwrites_are_exported():
    page = PushedPage(["job", "instance"])
    family = number(
        values={("a", "b", "c"): 1},
        label_names=("job", "exported_instance", "instance"),
    )
    assert text_of(family, page=page) == (
        "# TYPE n gauge\n"
        'n{exported_job="a",exported_instance="b",exported_exported_instance="c"} 1\n'
    )


def test_labels_of_its_own_go_before_those_of_metrics_and_of_the_resource():
    family = number(values={("a",): 1}, label_names=("zone",))
    found = text_of(family, labels={"zone": "eu"}, zone="resource", host_name="h")
    assert found == (
        "# HELP target_info Target metadata.\n# TYPE target_info gauge\n"
        'target_info{host_name="h",zone="eu"} 1\n'
        '# TYPE n gauge\nn{exported_zone="a",zone="eu"} 1\n'
    )


def test_a_resource_of_labels_that_the_reader_overwrites():
    page = PushedPage(["job"])
    assert 'target_info{exported_job="j"} 1\n' in text_of(number(), page=page, job="j")


def test_names_that_the_reader_has_are_left_out():
    page = PushedPage((), ["push_time_seconds"])
    payload = push(number("push.time", unit="s"), number("m"), page=page)
    assert payload.body.decode() == "# TYPE m gauge\nm 1\n"
    assert payload[1:] == (1, {"invalid": 1}, 0)


def test_exponential_histograms_are_left_out():
    blocks = [Block(("a",), [("x",), ("y",)], [1, 2])]
    payload = push(MetricFamily("e", "exponential", blocks=blocks))
    assert payload == (b"", 0, {"invalid": 2}, 0)


def test_values_that_are_none_are_left_out():
    family = number(
        "n", "counter", {("a",): -1, ("b",): nan, ("c",): 1}, label_names=("l",)
    )
    payload = push(family, number("m", values="text"), number("k", values=2))
    assert payload.body.decode() == (
        '# TYPE n_total counter\nn_total{l="c"} 1\n# TYPE m gauge\n# TYPE k gauge\nk 2\n'
    )
    assert payload[1:] == (2, {"invalid": 3}, 0)


@pytest.mark.parametrize(
    ("family", "points"),
    [
        (MetricFamily("bad", "gauge", blocks=[Block(("a",), [(), ()], [1, 2])]), 2),
        (MetricFamily("bad", "gauge", blocks=[Block((), [()], [])]), 1),
        (MetricFamily("bad", "odd", blocks=[Block((), [()], [1])]), 1),
        (MetricFamily("bad", "gauge", blocks=None), 0),
        (MetricFamily(None, "gauge", blocks=[Block((), [()], [1])]), 1),
        (histogram("bad", (2.0, 1.0), {(): (1, [1, 1, 1])}), 1),
        (histogram("bad", (1.0,), {(): (1, [-1, 1])}), 1),
    ],
)
def test_a_family_that_is_none_spoils_no_other(family, points):
    payload = push(number("a"), family, number("z"))
    assert payload.body == push(number("a"), number("z")).body
    assert payload[1:] == (2, {"invalid": points} if points else {}, 0)


def test_what_is_meant_for_the_host_goes_on():
    class Raising(MetricFamily):
        @property
        def kind(self):
            raise KeyboardInterrupt

        @kind.setter
        def kind(self, value):
            pass

    with pytest.raises(KeyboardInterrupt):
        push(Raising("n", "gauge"))


def test_families_that_do_not_fit_are_left_out():
    large = number(
        "large", values={(f"{n}" * 50,): n for n in range(10)}, label_names=("l",)
    )
    small = number("small")
    whole = push(large, small, service_name="s")
    payload = push(large, small, service_name="s", most=len(whole.body))
    assert payload == whole
    payload = push(large, small, service_name="s", most=len(whole.body) - 1)
    assert payload[1:] == (10, {"limit": 1}, 0)
    payload = push(large, small, service_name="s", most=300)
    assert payload.body == push(small, service_name="s").body
    assert payload[1:] == (1, {"limit": 10}, 0)


def test_a_page_without_series_counts_none():
    payload = push(number(values={}, label_names=("a",)), MetricFamily("m", "counter"))
    assert payload.records == 0


@pytest.mark.parametrize("labels", [{}, {"zone": "eu"}])
def test_pages_one_after_the_other_are_as_good_as_the_first(labels):
    """What is kept between two of them is of the same definition, or is not used."""
    page = PushedPage()
    states = [
        [number(values={("a",): 1}, label_names=("l",)), number("m")],
        [number(values={("a",): 2, ("b",): 3}, label_names=("l",))],
        [number(values={("b",): 4}, label_names=("l",)), number("m", help="New.")],
        [number("n", "counter", {("b",): 4}, label_names=("l",))],
        [number(values={("b",): 4}, label_names=("k",))],
        [histogram("n"), number("m")],
        [number(values={("a",): 1}, label_names=("l",)), number("m")],
    ]
    for families in states:
        assert push(*families, page=page, labels=labels) == push(
            *families, labels=labels
        )


def test_templates_are_kept(monkeypatch):
    page = PushedPage()
    made = []
    layout = _pushed.Layout
    monkeypatch.setattr(
        _pushed, "Layout", lambda *a: (made.append(a[1]), layout(*a))[1]
    )
    for n in range(3):
        push(number(values=n), histogram("h"), page=page)
    assert made == ["n", "h"]


TEXTS = st.sampled_from(["", "a", "a.b", "a_b", "\ud800", "\ufffd", "le", "job", "\n"])
ROWS = st.dictionaries(st.tuples(TEXTS, TEXTS), st.integers(0, 9), max_size=4)
FAMILIES = st.builds(
    lambda name, kind, rows, names: (
        histogram(name, (1.0,), {row: (n, [n, 0]) for row, n in rows.items()}, names)
        if kind == "histogram"
        else number(name, kind, rows, names)
    ),
    st.sampled_from(["a", "a.b", "a_b", "a_count", "a_b.total", "target", ""]),
    st.sampled_from(KINDS),
    ROWS,
    st.tuples(TEXTS, TEXTS),
)


@given(st.lists(FAMILIES, max_size=6), st.sampled_from([{}, {"job": "j"}, {"a": "1"}]))
def test_no_series_is_there_twice_and_every_point_is_counted(families, labels):
    page = PushedPage(["job"] if not labels else [])
    payload = push(*families, labels=labels, page=page)
    points = sum(len(family.points) for family in families)
    assert payload.records + sum(payload.dropped.values()) + payload.merged == points
    seen = {}
    for name, found in samples(payload.body.decode()):
        key = name, frozenset((k, v) for k, v in found if v)
        assert key not in seen
        seen[key] = True
        assert labels.items() <= dict(found).items()
        assert labels or "job" not in dict(found)
    counted = sum(not n.endswith(("_bucket", "_sum")) for n, _ in seen)
    is_there = b"target_info{" in payload.body
    assert counted - is_there == payload.records
