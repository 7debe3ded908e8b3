"""Families as metrics: kinds, names, temporality, division into requests, golden bytes."""

import pytest

from obs import Limits
from obs.catalog import CATALOG
from obs.metrics import Registry
from obs.model import Block, MetricFamily, delta
from tests.exporters.otlp.oracle import (
    END,
    START,
    compare_with_golden,
    encode_metrics,
    histogram,
    metric_in,
    metrics_in,
    number,
    pairs,
    points_of,
)
from tests.exporters.otlp.test_exponential import POINT, Exponential

CUMULATIVE, DELTA = 2, 1
FAMILIES = {
    "counter": number(
        "orders.placed",
        "counter",
        {("web",): 3, ("żółć \n 😀",): 2.5, ("",): 10**18},
        label_names=("sales.channel",),
        unit="{order}",
        help="Orders placed.",
    ),
    "updown": number("in.flight", "updown", -2),
    "gauge": number("temperature", "gauge", {("a", "b"): 1.5}, label_names=("x", "y")),
    "info": number("build", "info", {("1.2",): 7}, label_names=("version",)),
    "histogram": histogram(
        "duration", {("a",): (7.5, [1, 2, 3])}, (0.5, 1.0), ("l",), START, unit="s"
    ),
    "exponential": Exponential(POINT),
}


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_each_kind_has_its_golden_bytes(kind, temporality):
    other = {"temporality": temporality, "start_ns": START}
    (payload,), _ = encode_metrics([FAMILIES[kind]], **other)
    compare_with_golden(f"metrics-{kind}-{temporality}.bin", payload.body)


def test_name_unit_and_help_are_the_internal_ones():
    metric = metric_in(FAMILIES["counter"])
    assert (metric.name, metric.unit) == ("orders.placed", "{order}")
    assert metric.description == "Orders placed."


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize(
    ("kind", "data", "monotonic"),
    [
        ("counter", "sum", True),
        ("updown", "sum", False),
        ("info", "sum", False),
        ("gauge", "gauge", None),
        ("histogram", "histogram", None),
        ("exponential", "exponential_histogram", None),
    ],
)
def test_each_kind_is_its_kind_of_metric(kind, data, monotonic, temporality):
    metric = metric_in(FAMILIES[kind], temporality=temporality)
    assert metric.WhichOneof("data") == data
    found = getattr(metric, data)
    if monotonic is not None:
        assert found.is_monotonic is monotonic
    if kind != "gauge":
        is_delta = temporality == "delta" and kind not in ("updown", "info")
        assert found.aggregation_temporality == (DELTA if is_delta else CUMULATIVE)


def test_an_info_is_one_whatever_its_value_is():
    (point,) = points_of(metric_in(FAMILIES["info"]))
    assert point.as_int == 1
    assert pairs(point.attributes) == [("version", "1.2")]


@pytest.mark.parametrize(("kind", "start"), [("updown", 0), ("counter", START)])
def test_what_is_a_total_in_a_delta_does_not_begin_where_the_delta_does(kind, start):
    metric = metric_in(number("m", kind, 1), temporality="delta", start_ns=START)
    (point,) = points_of(metric)
    assert point.start_time_unix_nano == start


@pytest.mark.parametrize("builtin", CATALOG.values(), ids=lambda it: it.name)
def test_a_built_in_metric_has_its_name_of_otlp(builtin):
    values = dict.fromkeys([("x",) * len(builtin.labels)], 1)
    if builtin.kind == "histogram":
        rows = {row: (1.0, [1]) for row in values}
        metric = metric_in(histogram(builtin.name, rows, (), builtin.labels))
    else:
        metric = metric_in(builtin.family(values))
    assert metric.name == (builtin.otlp or builtin.name)
    (point,) = points_of(metric)
    assert [name for name, _ in pairs(point.attributes)] == list(builtin.labels)


def test_what_has_no_series_is_not_sent():
    registry = Registry()
    registry.counter("orders", labels=("l",))
    payloads, _ = encode_metrics(registry.snapshot())
    assert payloads == []


def test_overflow_is_a_series_like_the_others():
    registry = Registry(limits=Limits(series_per_block=2))
    counter = registry.counter("orders", labels=("l",))
    for label in "abcd":
        counter.labels(label).inc()
    payloads, _ = encode_metrics(registry.snapshot())
    (metric,) = (it for it in metrics_in(payloads) if it.name == "orders")
    assert [(pairs(point.attributes), point.as_int) for point in points_of(metric)] == [
        ([("l", "a")], 1),
        ([("l", "b")], 1),
        ([("otel.metric.overflow", "true")], 2),
    ]


def test_blocks_of_one_family_are_one_metric():
    blocks = [Block(("a",), [("1",)], [1]), Block(("b",), [("2",)], [2])]
    metric = metric_in(MetricFamily("c", "counter", blocks=blocks))
    assert [pairs(point.attributes) for point in points_of(metric)] == [
        [("a", "1")],
        [("b", "2")],
    ]


def test_deltas_add_up_to_the_total():
    registry = Registry()
    counter = registry.counter("orders", labels=("l",))
    found = {"a": 0, "b": 0}
    before = registry.snapshot()
    for step in range(1, 6):
        counter.labels("a").inc(step)
        if step > 2:
            counter.labels("b").inc()
        now = registry.snapshot()
        step_ = delta(before, now)
        payloads, _ = encode_metrics(
            step_, temporality="delta", start_ns=step_.start_ns
        )
        (metric,) = (it for it in metrics_in(payloads) if it.name == "orders")
        for point in points_of(metric):
            found[point.attributes[0].value.string_value] += point.as_int
            assert point.start_time_unix_nano >= before.start_ns
        before = now
    assert found == {"a": 15, "b": 3}


def labelled(payloads):
    return [
        (metric.name, *[value for _, value in pairs(point.attributes)])
        for metric in metrics_in(payloads)
        for point in points_of(metric)
    ]


@pytest.mark.parametrize("max_bytes", [400, 1_000, 5_000, 100_000])
def test_requests_are_divided_and_each_point_is_in_one(max_bytes):
    families = [
        number(name, kind, {(f"{i:03}",): i for i in range(n)}, label_names=("l",))
        for name, kind, n in (
            ("a", "counter", 300),
            ("b", "gauge", 1),
            ("c", "updown", 77),
        )
    ]
    payloads, _ = encode_metrics(families, max_bytes=max_bytes)
    assert all(len(payload.body) <= max_bytes for payload in payloads)
    assert (len(payloads) > 1) == (max_bytes < 100_000)
    assert labelled(payloads) == [
        (name, f"{i:03}")
        for name, n in (("a", 300), ("b", 1), ("c", 77))
        for i in range(n)
    ]
    # No request is half empty while its neighbour could have taken more.
    if max_bytes == 1_000:
        assert len(payloads) < 1.3 * sum(len(p.body) for p in payloads) / max_bytes + 1


def test_a_point_that_is_larger_than_a_request_is_counted_and_the_others_leave():
    values = {("a",): 1, ("x" * 2_000,): 2, ("b",): 3}
    family = number("c", "counter", values, label_names=("l",))
    payloads, _ = encode_metrics([family], max_bytes=1_000)
    assert labelled(payloads) == [("c", "a"), ("c", "b")]
    assert [payload.dropped for payload in payloads] == [{}, {"limit": 1}]


def test_where_the_resource_leaves_no_room_everything_is_counted():
    payloads, _ = encode_metrics([FAMILIES["counter"]], max_bytes=50)
    assert [(p.records, p.dropped, p.body) for p in payloads] == [
        (0, {"limit": 3}, b"")
    ]


class Raises:
    name = "raises"
    kind = "counter"
    unit = help = ""
    bounds = ()

    @property
    def blocks(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("family", "lost"),
    [
        (Raises(), 1),
        (None, 1),
        (number("m", "unknown", {(): 1}), 1),
        (MetricFamily(5, "counter", blocks=[Block((), [(), ()], [1, 2])]), 2),
        (number("m", "counter", 1, help=5), 1),
        (histogram("m", {(): (1, [1, 1])}, ("x",)), 1),
    ],
    ids=["raises", "none", "kind", "name", "help", "bounds"],
)
def test_a_family_that_is_none_is_counted_and_the_others_leave(family, lost):
    payloads, _ = encode_metrics([FAMILIES["gauge"], family, FAMILIES["updown"]])
    (payload,) = payloads
    assert payload.dropped == {"invalid": lost}
    assert [metric.name for metric in metrics_in(payloads)] == [
        "temperature",
        "in.flight",
    ]


def test_all_times_are_the_batch_s():
    payloads, _ = encode_metrics(FAMILIES.values())
    for metric in metrics_in(payloads):
        assert {point.time_unix_nano for point in points_of(metric)} == {END}
