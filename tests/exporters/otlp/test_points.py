"""Points of numbers and histograms, and the labels that are kept."""

import gc

import pytest

from obs.metrics import Registry
from obs.model import Block, MetricFamily
from obs_exporters.otlp import _points
from tests.exporters.otlp.oracle import (
    END,
    START,
    encode_metrics,
    histogram,
    metric_in,
    metrics_in,
    number,
    pairs,
    points_of,
)


def values_of(metric):
    return [getattr(point, point.WhichOneof("value")) for point in points_of(metric)]


def test_integers_stay_integers_and_doubles_doubles():
    values = {("a",): 3, ("b",): 2.5, ("c",): 2**63 - 1, ("d",): 0}
    points = points_of(metric_in(number("c", "counter", values, label_names=("l",))))
    kinds = [point.WhichOneof("value") for point in points]
    assert kinds == ["as_int", "as_double", "as_int", "as_int"]
    assert [point.as_int for point in points] == [3, 0, 2**63 - 1, 0]
    assert points[1].as_double == 2.5
    assert [pairs(point.attributes) for point in points] == [
        [("l", label)] for label in "abcd"
    ]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**300])
def test_an_integer_of_more_than_64_bits_is_a_double(value):
    assert values_of(metric_in(number("g", "gauge", value))) == [float(value)]


@pytest.mark.parametrize("kind", ["gauge", "updown"])
def test_a_number_that_counts_nothing_may_be_any(kind):
    values = {("a",): -1, ("b",): float("-inf"), ("c",): float("nan"), ("d",): True}
    found = values_of(metric_in(number("g", kind, values, label_names=("l",))))
    assert found[:2] == [-1, float("-inf")]
    assert found[2] != found[2]
    assert found[3] == 1


@pytest.mark.parametrize(
    "value", [-1, -0.5, float("nan"), "3", None, 10**400, 1j], ids=repr
)
def test_a_counter_that_is_none_is_left_out_and_the_others_leave(value):
    values = {("a",): 1, ("b",): value, ("c",): 2}
    family = number("c", "counter", values, label_names=("l",))
    payloads, _ = encode_metrics([family])
    assert payloads[0].dropped == {"invalid": 1}
    (metric,) = metrics_in(payloads)
    assert values_of(metric) == [1, 2]


def test_each_row_has_its_start():
    rows = [("a",), ("b",), ("c",)]
    block = Block(("l",), rows, [1, 2, 3], (), START, {("b",): START + 5})
    for values in ([1, 2, 3], [1, 2, "x"]):  # the fast way and the slow one
        block.values = values
        points = points_of(metric_in(MetricFamily("c", "counter", blocks=[block])))
        starts = [point.start_time_unix_nano for point in points]
        assert starts == [START, START + 5, START][: len(points)]
        assert {point.time_unix_nano for point in points} == {END}


def test_a_gauge_has_no_start():
    block = Block((), [()], [1], (), START)
    (point,) = points_of(metric_in(MetricFamily("g", "gauge", blocks=[block])))
    assert (point.start_time_unix_nano, point.time_unix_nano) == (0, END)


def test_where_a_block_has_no_start_it_is_that_of_the_batch():
    (point,) = points_of(metric_in(number("c", "counter", 1), start_ns=START))
    assert point.start_time_unix_nano == START


def test_a_histogram_has_its_buckets_bounds_count_and_sum():
    rows = {("a",): (7.5, [1, 2, 3]), ("b",): (0, [0, 0, 0])}
    family = histogram("h", rows, (0.5, 1.0), ("l",), START)
    points = points_of(metric_in(family))
    for point, (label, (total, counts)) in zip(points, rows.items(), strict=True):
        assert pairs(point.attributes) == [("l", *label)]
        assert (point.sum, point.count) == (total, sum(counts))
        assert list(point.bucket_counts) == counts
        assert list(point.explicit_bounds) == [0.5, 1.0]
        assert point.start_time_unix_nano == START
        assert point.time_unix_nano == END


@pytest.mark.parametrize("bounds", [(), tuple(range(15)), tuple(range(2_000))], ids=len)
def test_a_histogram_may_have_any_number_of_bounds(bounds):
    counts = [1] * (len(bounds) + 1)
    (point,) = points_of(metric_in(histogram("h", {(): (1.0, counts)}, bounds)))
    assert list(point.explicit_bounds) == list(bounds)
    assert list(point.bucket_counts) == counts
    assert point.HasField("sum")


@pytest.mark.parametrize(
    "row",
    [
        (1.0, [1, 2]),
        (1.0, [1, 2, 3, 4]),
        (1.0, [1, -2, 3]),
        (1.0, [1, 2**64, 3]),
        (1.0, [1, 0.5, 3]),
        ("x", [1, 2, 3]),
        (1.0, None),
    ],
    ids=str,
)
def test_a_histogram_that_is_none_is_left_out_and_the_others_leave(row):
    rows = {("a",): (1.0, [1, 2, 3]), ("b",): row, ("c",): (2.0, [0, 0, 1])}
    payloads, _ = encode_metrics([histogram("h", rows, (0.5, 1.0), ("l",))])
    assert payloads[0].dropped == {"invalid": 1}
    (metric,) = metrics_in(payloads)
    assert [point.sum for point in points_of(metric)] == [1.0, 2.0]


@pytest.mark.parametrize(
    "block",
    [
        Block(("l",), [("a",), ("b", "c")], [1, 2]),
        Block(("l",), [("a",), ("b",)], [1]),
        Block(("l",), [("a",), None], [1, 2]),
    ],
    ids=["labels", "values", "no row"],
)
def test_a_row_that_does_not_fit_its_block_is_left_out(block):
    payloads, _ = encode_metrics([MetricFamily("c", "counter", blocks=[block])])
    assert payloads[0].dropped == {"invalid": 1}
    (metric,) = metrics_in(payloads)
    assert values_of(metric) == [1]


def test_labels_are_made_once_for_each_series(monkeypatch):
    made = []
    make = _points.prefix_of

    def prefix_of(names, row, *rest):
        made.append(row)
        return make(names, row, *rest)

    monkeypatch.setattr(_points, "prefix_of", prefix_of)
    registry = Registry()
    counter = registry.counter("orders", labels=("l",))
    counter.labels("a").inc()
    kept = None
    for label, expected in (("a", ["a"]), ("b", ["b"]), ("b", []), ("c", ["c"])):
        made.clear()
        counter.labels(label).inc()
        _, kept = encode_metrics(registry.snapshot(), before=kept)
        assert [row[0] for row in made] == expected


def test_another_row_in_the_same_place_has_its_own_labels():
    kept = None
    for row in ("a", "b", "c"):
        family = number("c", "counter", {(row,): 1}, label_names=("l",))
        payloads, kept = encode_metrics([family], before=kept)
        ((point,),) = (points_of(metric) for metric in metrics_in(payloads))
        assert pairs(point.attributes) == [("l", row)]


def test_a_family_that_becomes_another_kind_has_other_points():
    kept = None
    for family in (
        number("m", "counter", {("a",): 1}, label_names=("l",)),
        number("m", "gauge", {("a",): 1}, label_names=("l",)),
        histogram("m", {("a",): (1, [1])}, (), ("l",)),
        histogram("m", {("a",): (1, [1, 0])}, (1.0,), ("l",)),
    ):
        payloads, kept = encode_metrics([family], before=kept)
        (metric,) = metrics_in(payloads)
        assert len(points_of(metric)) == 1


def test_nothing_stays_of_a_series_that_is_gone():
    label = "x" * 3_000_017

    def holders():
        gc.collect()
        return [
            each
            for each in gc.get_objects()
            if type(each) is list
            and any(type(item) is bytes and len(item) > 3_000_000 for item in each)
        ]

    family = number("c", "counter", {(label,): 1, ("a",): 2}, label_names=("l",))
    _, kept = encode_metrics([family])
    assert holders()
    family = number("c", "counter", {("a",): 2}, label_names=("l",))
    _, kept = encode_metrics([family], before=kept)
    assert not holders()
    assert kept
