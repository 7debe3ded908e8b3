"""Series that a backend cannot tell apart."""

from obs.model import Block, HistogramPoint, MetricFamily, NumberPoint
from obs_exporters._series import series_by


def by_lower_name(family, labels):
    return (family.name.lower(), *labels.values())


def numbers(name, kind, **values):
    return MetricFamily.of(
        name, kind, {(k,): v for k, v in values.items()}, label_names=("a",)
    )


def histogram(name, bounds, buckets, total):
    block = Block((), [()], [total], [buckets])
    return MetricFamily(name, "histogram", blocks=[block], bounds=bounds)


def test_series_come_by_their_keys_in_order():
    families = [numbers("B", "counter", x=1, y=2), numbers("a", "gauge", x=3)]
    found = series_by(families, by_lower_name)
    assert list(found.by_key) == [("b", "x"), ("b", "y"), ("a", "x")]
    assert found.by_key["b", "y"] == (families[0], NumberPoint({"a": "y"}, 2))
    assert (found.merged, found.invalid) == (0, 0)


def test_numbers_of_one_key_add_up():
    for kind in ("counter", "updown", "gauge"):
        families = [numbers("N", kind, x=1), numbers("n", kind, x=2.5, y=7)]
        found = series_by(families, by_lower_name)
        points = [point.value for _, point in found.by_key.values()]
        assert (points, found.merged, found.invalid) == ([3.5, 7], 1, 0)
        assert found.by_key["n", "x"][0] is families[0]


def test_an_info_stays_one():
    found = series_by(
        [numbers("I", "info", x=1), numbers("i", "info", x=1)], by_lower_name
    )
    assert [point.value for _, point in found.by_key.values()] == [1]
    assert found.merged == 1


def test_buckets_of_one_key_add_up():
    families = [
        histogram("H", (1.0, 2.0), [1, 2, 3], 9),
        histogram("h", (1.0, 2.0), [4, 0, 1], 8),
    ]
    found = series_by(families, by_lower_name)
    (point,) = [point for _, point in found.by_key.values()]
    assert point == HistogramPoint({}, 11, 17, (1.0, 2.0), (5, 2, 4))
    assert (found.merged, found.invalid) == (1, 0)


def test_what_cannot_be_added_leaves_the_first_and_is_counted():
    families = [
        histogram("h", (1.0,), [1, 0], 1),
        histogram("H", (2.0,), [1, 0], 1),
        MetricFamily.of("H", "counter", 5),
        numbers("n", "gauge", x=1),
        numbers("N", "counter", x=1),
    ]
    found = series_by(families, by_lower_name)
    assert list(found.by_key) == [("h",), ("n", "x")]
    assert found.by_key["h",][1].bounds == (1.0,)
    assert (found.merged, found.invalid) == (0, 3)


def test_buckets_that_are_no_integers_add_up_too():
    families = [
        histogram(name, (1.0,), [n, 0], 1) for name, n in (("h", 1), ("H", 1.5))
    ]
    found = series_by(families, by_lower_name)
    assert found.by_key["h",][1].buckets == (2.5, 0)


def test_numbers_that_have_no_sum_leave_the_first_and_are_counted():
    families = [
        numbers("n", "counter", x=1.5),
        numbers("N", "counter", x=10**400),
        histogram("h", (1.0,), [1, 0], 1.5),
        histogram("H", (1.0,), [1, 0], 10**400),
    ]
    found = series_by(families, by_lower_name)
    assert found.by_key["n", "x"][1].value == 1.5
    assert found.by_key["h",][1].sum == 1.5
    assert (found.merged, found.invalid) == (0, 2)


def test_what_has_no_key_is_counted():
    found = series_by([numbers("n", "counter", x=1, y=2)], lambda *_: None)
    assert found == ({}, 0, 2)
