"""The difference of two snapshots."""

from hypothesis import given
from hypothesis import strategies as st

from obs.metrics import Registry
from obs.model import MetricFamily, delta
from obs.testing import FakeClock


def points(snapshot, name):
    return {tuple(p.labels.values()): p for p in snapshot[name].points}


def test_counters_and_histograms_become_increases_and_gauges_stay():
    clock = FakeClock()
    registry = Registry(clock=clock)
    counter = registry.counter("c", labels=("x",))
    histogram = registry.histogram("h", buckets=(1,))
    gauge, updown = registry.gauge("g"), registry.updown("u")
    counter.labels("a").inc(3)
    histogram.observe(0.5)
    gauge.set(4)
    updown.inc(2)
    first = registry.snapshot()
    clock.advance(10)
    counter.labels("a").inc(2)
    counter.labels("b").inc(9)
    histogram.observe(7)
    updown.inc()
    second = registry.snapshot()
    change = delta(first, second)
    assert (change.start_ns, change.time_ns) == (first.time_ns, second.time_ns)
    assert {row: p.value for row, p in points(change, "c").items()} == {
        ("a",): 2,
        ("b",): 9,
    }
    (point,) = change["h"].points
    assert (point.count, point.sum, point.buckets) == (1, 7, (0, 1))
    assert change["g"].points[0].value == 4
    assert change["u"].points[0].value == 3
    assert first["c"].points[0].value == 3, "delta changes nothing"


def test_a_series_made_anew_counts_from_zero():
    clock = FakeClock()
    registry = Registry(clock=clock)
    counter = registry.counter("c", labels=("x",))
    counter.labels("a").inc(10)
    first = registry.snapshot()
    clock.advance(1)
    counter.remove("a")
    counter.labels("a").inc(3)
    (point,) = delta(first, registry.snapshot())["c"].points
    assert (point.value, point.start_ns) == (3, clock.time_ns())


def test_a_foreign_counter_that_fell_has_started_again():
    class Job:
        done = 5

        def collect(self):
            yield MetricFamily.of("jobs", "counter", self.done)

    registry, job = Registry(clock=FakeClock()), Job()
    registry.register(job)
    first = registry.snapshot()
    job.done = 2
    assert delta(first, registry.snapshot())["jobs"].value() == 2


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=5),
        min_size=1,
        max_size=5,
    )
)
def test_deltas_add_up_to_the_last_snapshot(rounds):
    registry = Registry(clock=FakeClock())
    counter = registry.counter("c", labels=("x",))
    histogram = registry.histogram("h", labels=("x",), buckets=(10, 50))
    previous = registry.snapshot()
    counts, buckets, sums = {}, {}, {}
    for amounts in rounds:
        for label, amount in amounts:
            counter.labels(label).inc(amount)
            histogram.labels(label).observe(amount)
        current = registry.snapshot()
        change = delta(previous, current)
        for row, p in points(change, "c").items():
            counts[row] = counts.get(row, 0) + p.value
        for row, p in points(change, "h").items():
            old = buckets.get(row, (0, 0, 0))
            buckets[row] = tuple(a + b for a, b in zip(old, p.buckets, strict=True))
            sums[row] = sums.get(row, 0) + p.sum
        previous = current
    assert counts == {row: p.value for row, p in points(previous, "c").items()}
    assert buckets == {row: p.buckets for row, p in points(previous, "h").items()}
    assert sums == {row: p.sum for row, p in points(previous, "h").items()}
