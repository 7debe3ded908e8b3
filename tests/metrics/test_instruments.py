"""Counter, up-down counter, gauge, histogram and info, on both kinds of cells."""

import asyncio
import copy
import decimal
import fractions
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import InvalidValue, Limits
from obs.limits import LABEL_VALUE_CHARS
from obs.metrics import SLOT_CELLS, THREAD_CELLS, Registry
from obs.testing import FakeClock

BAD = [math.nan, math.inf, -math.inf, "1", b"1", None, [], {}, object(), 10**400, 1j]
GOOD = [0, 1, 2, 2.5, True, 2**60, decimal.Decimal("1.5"), fractions.Fraction(1, 4)]


class Float(float):
    """A subclass, such as numpy's float64."""


class Liar:
    """Says that it is a float and is none."""

    __class__ = float

    def __sub__(self, other):
        raise RuntimeError


class Explodes:
    def __float__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


@pytest.fixture(params=[SLOT_CELLS, THREAD_CELLS], ids=["slots", "threads"])
def cells(request):
    return request.param


@pytest.fixture
def registry(cells):
    return Registry(cells=cells)


def value(registry, name):
    (point,) = registry.snapshot()[name].points
    return point.value


def invalid(registry):
    return registry.diag.dropped_counts()["metrics", "", "invalid"]


def test_a_counter_adds_up(registry):
    counter = registry.counter("c")
    counter.inc()
    counter.inc(2)
    counter.inc(0)
    counter.inc(amount=0.5)
    assert value(registry, "c") == 3.5


@pytest.mark.parametrize("amount", [*GOOD, Float(1.5)], ids=repr)
def test_every_sort_of_number_is_counted(registry, amount):
    registry.counter("c").inc(amount)
    registry.updown("u").inc(amount)
    registry.updown("u").dec(amount)
    registry.gauge("g").set(amount)
    registry.histogram("h").observe(amount)
    assert value(registry, "c") == float(amount)
    assert value(registry, "u") == 0
    assert value(registry, "g") == float(amount)
    (point,) = registry.snapshot()["h"].points
    assert (point.count, point.sum) == (1, float(amount))
    assert invalid(registry) == 0


@pytest.mark.parametrize(
    "amount", [*BAD, Liar(), Explodes()], ids=lambda x: type(x).__name__
)
def test_what_is_no_finite_number_is_dropped_and_counted(registry, amount, capfd):
    registry.counter("c").inc(amount)
    registry.updown("u").inc(amount)
    registry.updown("u").dec(amount)
    gauge = registry.gauge("g")
    gauge.set(amount)
    gauge.inc(amount)
    gauge.dec(amount)
    registry.histogram("h").observe(amount)
    assert value(registry, "c") == value(registry, "u") == value(registry, "g") == 0
    assert registry.snapshot()["h"].points[0].count == 0
    assert invalid(registry) == 7
    assert capfd.readouterr().err.count("\n") == 1


def test_a_counter_does_not_fall(registry):
    counter = registry.counter("c")
    counter.inc(-1)
    counter.inc(-0.5)
    assert value(registry, "c") == 0
    assert invalid(registry) == 2


def test_large_ints_do_not_make_a_sum_that_no_backend_can_read(registry):
    counter = registry.counter("c")
    counter.inc(2**1000)
    counter.inc(0.5)
    assert value(registry, "c") == float(2**1000)


def test_a_sum_that_overflows_becomes_infinite_and_raises_nothing(registry):
    histogram = registry.histogram("h")
    for _ in range(3):
        histogram.observe(1.7e308)
    histogram.observe(-1.7e308)
    assert registry.snapshot()["h"].points[0].sum == math.inf


def test_bad_calls_of_a_strict_registry_raise(cells):
    registry = Registry(strict=True, cells=cells)
    with pytest.raises(InvalidValue) as error:
        registry.counter("c").inc(-1)
    assert str(error.value) == (
        "counter 'c': inc() got -1, but it only grows. Use an up-down counter or a gauge "
        "for a value that can fall. It was left out."
    )
    with pytest.raises(InvalidValue) as error:
        registry.gauge("g").set("high")
    assert (
        str(error.value)
        == "gauge 'g': set() got 'high', needs a finite number. It was left out."
    )


def test_each_metric_says_a_bad_value_once(capfd):
    clock = FakeClock()
    registry = Registry(clock=clock)
    for _ in range(3):
        registry.counter("a").inc(-1)
        registry.counter("b").inc(-1)
        clock.advance(61)
    lines = capfd.readouterr().err.splitlines()
    assert ["'a'" in line for line in lines] == [True, False]
    assert invalid(registry) == 6


def test_gauges_are_set_and_moved(registry):
    gauge = registry.gauge("g")
    gauge.set(-1.5)
    gauge.inc()
    gauge.dec(2)
    gauge.inc(0.5)
    gauge.dec()
    assert value(registry, "g") == -3.0


def test_observations_fall_into_the_bucket_whose_bound_is_not_below(registry):
    histogram = registry.histogram("h", buckets=(1, 2, 5))
    for x in (-3, 1, 1.0001, 2, 5, 5.1, 100):
        histogram.observe(x)
    (point,) = registry.snapshot()["h"].points
    assert point.buckets == (2, 2, 1, 2)
    assert point.bounds == (1.0, 2.0, 5.0)
    assert point.count == 7
    assert point.sum == pytest.approx(-3 + 1 + 1.0001 + 2 + 5 + 5.1 + 100)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_count_is_the_sum_of_the_buckets(values):
    for cells in (SLOT_CELLS, THREAD_CELLS):
        registry = Registry(cells=cells)
        histogram = registry.histogram("h", buckets=(-1, 0, 1e3))
        for x in values:
            histogram.observe(x)
        (point,) = registry.snapshot()["h"].points
        assert point.count == len(values) == sum(point.buckets)
        assert point.sum == pytest.approx(sum(values), rel=1e-6, abs=1e-3)
        assert point.buckets[0] == sum(x <= -1 for x in values)
        assert point.buckets[3] == sum(x > 1e3 for x in values)


def test_labels_by_position_and_by_name_give_the_same_series(registry):
    counter = registry.counter("c", labels=("method", "code"))
    assert counter.labels("GET", "200") is counter.labels(code="200", method="GET")
    assert counter.labels("GET", 200) is counter.labels("GET", "200")
    counter.labels("GET", "200").inc()
    (point,) = registry.snapshot()["c"].points
    assert point.labels == {"method": "GET", "code": "200"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        (("a",), {}),
        (("a", "b", "c"), {}),
        ((), {"x": "a"}),
        ((), {"x": "a", "y": "b", "z": "c"}),
        (("a",), {"y": "b"}),
        ((1.5, "b"), {}),
        (([], "b"), {}),
        ((object(), "b"), {}),
        ((b"a", "b"), {}),
    ],
)
def test_a_wrong_call_of_labels_gives_a_series_that_does_nothing(
    registry, values, named
):
    metrics = [
        registry.counter("c", labels=("x", "y")),
        registry.updown("u", labels=("x", "y")),
        registry.gauge("g", labels=("x", "y")),
        registry.histogram("h", labels=("x", "y")),
    ]
    for metric in metrics:
        series = metric.labels(*values, **named)
        series.inc()
        series.dec()
        series.set(1)
        series.observe(1)
        series.set_function(lambda: 1)
        with series.time(), series.track_in_progress():
            pass
        series.labels("x").clear()
        series.remove()
    assert invalid(registry) == 4
    assert all(not family.points for family in registry.snapshot())


def test_texts_of_wrong_labels():
    registry = Registry(strict=True)
    counter = registry.counter("c", labels=("x", "y"))
    plain = registry.counter("p")

    def text(call):
        with pytest.raises(InvalidValue) as error:
            call()
        return str(error.value)

    assert text(lambda: counter.labels("a")) == (
        "counter 'c': labels() got ('a',), needs (x, y) as str, int, bool, Enum or None, "
        "in this order. It was left out."
    )
    assert text(lambda: counter.labels(x="a", z="b")) == (
        "counter 'c': labels() got {'x': 'a', 'z': 'b'}, needs (x, y) as str, int, bool, "
        "Enum or None; missing: y; unknown: z. It was left out."
    )
    assert text(lambda: counter.inc()) == (
        "counter 'c': inc() was called without labels, needs (x, y). Call .labels(...) "
        "first. It was left out."
    )
    assert text(lambda: counter.labels("a", "b").labels("c")) == (
        "counter 'c': labels() got ('c',), which a series that has its labels does not "
        "take. Call it on the metric. It was left out."
    )
    assert text(lambda: plain.labels("c")) == (
        "counter 'p': labels() got ('c',), but the metric has no labels. Leave it out. "
        "It was left out."
    )


def test_recording_without_the_labels_does_nothing(registry):
    registry.counter("c", labels=("x",)).inc()
    registry.updown("u", labels=("x",)).dec()
    gauge = registry.gauge("g", labels=("x",))
    gauge.set(1)
    gauge.set_function(lambda: 1)
    with gauge.track_in_progress():
        pass
    histogram = registry.histogram("h", labels=("x",))
    histogram.observe(1)
    with histogram.time():
        pass
    assert invalid(registry) == 7


def test_a_metric_without_labels_has_its_series_from_the_start(registry):
    counter = registry.counter("c")
    assert value(registry, "c") == 0
    assert counter.labels() is counter


def test_long_label_values_are_cut_and_counted(registry):
    counter = registry.counter("c", labels=("x",))
    counter.labels("a" * (LABEL_VALUE_CHARS + 1)).inc()
    counter.labels("a" * (LABEL_VALUE_CHARS + 9)).inc()
    (point,) = registry.snapshot()["c"].points
    assert (len(point.labels["x"]), point.value) == (LABEL_VALUE_CHARS, 2)
    assert registry.diag.truncated_counts()["metrics",] == 2


def test_removed_series_start_anew(cells):
    clock = FakeClock()
    registry = Registry(clock=clock, cells=cells)
    counter = registry.counter("c", labels=("x",))
    counter.labels("a").inc(5)
    counter.labels("b").inc(7)
    clock.advance(1)
    counter.remove("a")
    counter.remove(x="never there")
    assert [p.labels["x"] for p in registry.snapshot()["c"].points] == ["b"]
    counter.labels("a").inc()
    points = {p.labels["x"]: p for p in registry.snapshot()["c"].points}
    assert points["a"].value == 1
    assert points["a"].start_ns == points["b"].start_ns + 1_000_000_000
    counter.clear()
    assert registry.snapshot()["c"].points == []
    assert registry.series == 0


def test_clearing_a_metric_without_labels_starts_it_from_zero(cells):
    clock = FakeClock()
    registry = Registry(clock=clock, cells=cells)
    counter, histogram = registry.counter("c"), registry.histogram("h")
    counter.inc(5)
    histogram.observe(5)
    clock.advance(1)
    counter.clear()
    histogram.remove()
    counter.inc()
    (point,) = registry.snapshot()["c"].points
    assert (point.value, point.start_ns) == (1, clock.time_ns())
    (point,) = registry.snapshot()["h"].points
    assert (point.count, point.sum, point.start_ns) == (0, 0, clock.time_ns())


def test_a_gauge_is_asked_when_it_is_read(registry):
    calls = []
    gauge = registry.gauge("g")
    gauge.set_function(lambda: calls.append(1) or len(calls))
    assert (value(registry, "g"), value(registry, "g")) == (1, 2)
    gauge.set(7)
    assert value(registry, "g") == 7


def test_a_gauge_of_an_owner_goes_when_the_owner_goes(registry):
    class Pool:
        size = 3

    pool = Pool()
    registry.gauge("g", labels=("pool",)).labels("a").set_function(
        lambda p: p.size, pool
    )
    assert value(registry, "g") == 3
    del pool
    assert registry.snapshot()["g"].points == []


@pytest.mark.parametrize("fn", [lambda: 1 / 0, lambda: math.nan, lambda: "x"])
def test_a_gauge_whose_function_fails_is_left_out(registry, fn, capfd):
    registry.gauge("g", labels=("x",)).labels("bad").set_function(fn)
    registry.gauge("g", labels=("x",)).labels("good").set(1)
    assert [p.labels["x"] for p in registry.snapshot()["g"].points] == ["good"]
    registry.snapshot()
    assert invalid(registry) == 2
    assert capfd.readouterr().err.count("gauge 'g': its function") == 1


def test_functions_that_read_the_metrics_do_not_ask_each_other(registry):
    registry.counter("hits").inc(3)
    for name in ("a", "b", "c", "d"):
        gauge = registry.gauge(name)
        gauge.set_function(lambda: registry.snapshot()["hits"].value() / 2)
    snapshot = registry.snapshot()
    assert [snapshot[name].value() for name in ("a", "b", "c", "d")] == [1.5] * 4
    assert invalid(registry) == 0


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, GeneratorExit])
def test_a_function_that_wants_to_end_the_program_is_left_out(registry, error):
    def end():
        raise error

    registry.gauge("g").set_function(end)
    registry.counter("c").inc()
    assert registry.snapshot()["g"].points == []
    assert invalid(registry) == 1


def test_a_copy_of_an_instrument_is_the_instrument(registry):
    counter = registry.counter("c", labels=("x",))
    plain, info = registry.gauge("g"), registry.info("i", labels=("x",))
    for thing in (counter, plain, info, counter.labels("a"), registry):
        assert copy.copy(thing) is thing
        assert copy.deepcopy({"thing": thing})["thing"] is thing
        with pytest.raises(
            TypeError, match="cannot be pickled: what it records belongs"
        ):
            pickle.dumps(thing)


def test_any_name_may_be_that_of_a_label(registry):
    names = ("self", "values", "named", "block", "amount")
    counter = registry.counter("c", labels=names)
    named = dict.fromkeys(names, "x")
    counter.labels(**named).inc()
    assert registry.snapshot()["c"].points[0].labels == named
    counter.remove(**named)
    assert registry.snapshot()["c"].points == []
    registry.info("i", labels=("self",)).set(self="x")


def test_moving_a_gauge_that_is_asked_does_nothing(registry, capfd):
    gauge = registry.gauge("g")
    gauge.set_function(lambda: 5)
    gauge.inc()
    gauge.dec(2)
    assert value(registry, "g") == 5
    assert invalid(registry) == 2
    assert "so inc() and dec() do nothing" in capfd.readouterr().err


def test_what_is_in_progress_is_counted(registry):
    gauge = registry.gauge("g")
    with gauge.track_in_progress():
        try:
            with gauge.track_in_progress():
                assert value(registry, "g") == 2
                raise KeyError
        except KeyError:
            assert value(registry, "g") == 1
    assert value(registry, "g") == 0

    @gauge.track_in_progress()
    async def work():
        return value(registry, "g")

    assert asyncio.run(work()) == 1
    assert value(registry, "g") == 0


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("min", 0.025),
        ("h", 1.5 / 3600),
        ("s", 1.5),
        ("", 1.5),
        ("ms", 1500),
        ("us", 1.5e6),
    ],
)
def test_time_observes_in_the_unit_of_the_histogram(cells, unit, expected):
    clock = FakeClock()
    registry = Registry(clock=clock, cells=cells)
    histogram = registry.histogram("h", unit=unit)
    with histogram.time():
        clock.advance(1.5)

    @histogram.time()
    def work():
        clock.advance(1.5)
        return "done"

    @histogram.time()
    async def wait():
        clock.advance(1.5)
        await asyncio.sleep(0)

    assert work() == "done"
    asyncio.run(wait())
    (point,) = registry.snapshot()["h"].points
    assert (point.count, point.sum) == (3, pytest.approx(3 * expected))


def test_an_info_says_what_was_set_last(registry):
    info = registry.info("build", labels=("version", "commit"))
    assert registry.snapshot()["build"].points == []
    info.set("1.0", "abc")
    info.set("1.0", "abc")
    info.set(version="1.1", commit="def")
    (point,) = registry.snapshot()["build"].points
    assert (point.labels, point.value) == ({"version": "1.1", "commit": "def"}, 1)
    info.set("1.0")
    assert invalid(registry) == 1
    assert registry.series == 0


def test_an_info_changes_when_there_is_room_for_no_more_series(cells):
    registry = Registry(Limits(series_per_block=1, series=1), cells=cells)
    info = registry.info("build", labels=("version",))
    info.set("1.0")
    info.set("1.1")
    (point,) = registry.snapshot()["build"].points
    assert point.labels == {"version": "1.1"}
