"""Checks of what metrics add up to: statistics, increases, totals."""

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import inf, isclose
from time import monotonic

import pytest

from obs.errors import ExportFailed
from obs.metrics import Registry
from obs.model import Batch, delta
from obs.testing._clock import FakeClock
from obs.testing.contract._base import Checks
from obs.testing.contract._driver import START_NS, Driver, text_of
from obs.testing.contract._forms import Histogram, Number
from obs.testing.contract._points import Key, Point, compare, expected, is_close, key_of

DRAWS = 12_345
QUANTILES = (0.5, 0.9, 0.95, 0.99)
BOUNDS = tuple(float(bound) for bound in range(400, 651, 5))  # not symmetric


class StatisticChecks(Checks):
    """What numbers have to add up to."""

    @pytest.fixture
    def counted(self, driver: Driver) -> Registry:
        """An empty registry."""
        self.skip_unless(driver, "metrics")
        return Registry(clock=FakeClock())

    def test_counter_statistics(self, driver: Driver, counted: Registry) -> None:
        """A random order of 0 to 99 adds up to 4,950, whatever is pushed in between."""
        steps = random.Random(4950).sample(range(100), 100)
        counter = counted.counter("contract.statistics")
        _push_deltas(driver, counted, steps, counter.inc, every=25)
        total = _total(driver, "contract.statistics")
        driver.need(
            isclose(total, 4950, rel_tol=max(1e-9, self.quantile_error)),
            f"a counter arrived as {total}, 4950 was counted.",
        )

    def test_gauge_statistics(self, driver: Driver, counted: Registry) -> None:
        """Of a random order of 0 to 99 the last value before each push arrives."""
        steps = random.Random(99).sample(range(100), 100)
        gauge = counted.gauge("contract.statistics")
        _push_deltas(driver, counted, steps, gauge.set, every=10)
        wanted = [float(value) for value in steps[9::10]]
        arrived = driver.fresh(len(wanted))
        found = [point.value for point in arrived if isinstance(point, Number)]
        driver.need(
            found == wanted,
            f"a gauge arrived as {found}, it was {wanted}. Each push sends the value of "
            "its moment.",
        )

    def test_histogram_statistics(self, driver: Driver, counted: Registry) -> None:
        """12,345 draws from a normal distribution keep their quantiles."""
        chance = random.Random(12_345)
        draws = sorted(chance.gauss(500, 25) for _ in range(DRAWS))
        histogram = counted.histogram("contract.statistics", buckets=BOUNDS)
        for draw in draws:
            histogram.observe(draw)
        driver.push(driver.metrics(counted.snapshot()))
        found = [p for p in driver.fresh(1) if isinstance(p, Histogram)]
        driver.need(
            found and found[0].count > 0,
            f"a histogram of {DRAWS} draws did not arrive. It arrives with at least one "
            "sample.",
        )
        share = max(1e-9, self.quantile_error)
        driver.need(
            isclose(found[0].count, DRAWS, rel_tol=share),
            f"a histogram of {DRAWS} draws arrived with a count of {found[0].count}.",
        )
        for q in QUANTILES:
            exact = draws[int(q * DRAWS)]
            index = bisect_left(BOUNDS, exact)
            width = BOUNDS[index] - BOUNDS[index - 1]
            off = abs(_quantile(found[0], q) - exact)
            driver.need(
                off <= width + share * exact,
                f"the {q} quantile of {DRAWS} draws is {exact:.2f} and arrived as "
                f"{_quantile(found[0], q):.2f}. It may be off by the {width:g} of its "
                f"bucket, and by {self.quantile_error:g} of itself.",
            )

    def test_increases_add_up(self, driver: Driver, counted: Registry) -> None:
        """What arrived over several pushes adds up to the last snapshot."""
        if not driver.is_delta:
            pytest.skip(f"exporter {driver.exporter.name!r} takes totals")
        _check_sum(driver, counted, ["sent"] * 6)

    def test_increases_add_up_when_pushes_fail(
        self, driver: Driver, counted: Registry
    ) -> None:
        """What a failed push held is in the next one, and nothing is twice.

        The baseline advances on an acknowledgement only. An exporter that remembers what
        it encoded or sent loses the failed push, or counts it twice.
        """
        if not driver.is_delta:
            pytest.skip(f"exporter {driver.exporter.name!r} takes totals")
        _check_sum(driver, counted, ["sent", "encoded", "late"] * 3 + ["sent"])

    def test_the_last_push_holds_the_totals(
        self, driver: Driver, counted: Registry
    ) -> None:
        """An exporter of totals sends totals in each push."""
        if driver.is_delta:
            pytest.skip(f"exporter {driver.exporter.name!r} takes increases")
        counter = counted.counter("contract.requests", labels=("route",))
        for n in range(4):
            counter.labels("home").inc(n + 1)
            counter.labels(f"other{n % 2}").inc()
            driver.push(driver.metrics(counted.snapshot()))
            wanted = expected(driver, counted.snapshot())
            compare(driver, wanted, driver.fresh(len(wanted)))


def _quantile(histogram: Histogram, q: float) -> float:
    """Give a quantile of a histogram, linear inside a bucket."""
    rank, below = q * sum(histogram.buckets), 0.0
    edges = [histogram.bounds[0], *histogram.bounds, histogram.bounds[-1]]
    for index, n in enumerate(histogram.buckets):
        if n and below + n >= rank:
            share = (rank - below) / n
            return edges[index] + share * (edges[index + 1] - edges[index])
        below += n
    return inf


def _push_deltas(
    driver: Driver,
    registry: Registry,
    steps: Sequence[int],
    record: Callable[[float], object],
    every: int,
) -> None:
    baseline = registry.snapshot()
    for n, step in enumerate(steps, 1):
        record(step)
        if n % every == 0:
            now = registry.snapshot()
            change = delta(baseline, now) if driver.is_delta else now
            driver.push(driver.metrics(change, START_NS + n))
            baseline = now


def _total(driver: Driver, name: str) -> float:
    """Give what a counter is at a backend that adds up, or keeps the last."""
    arrived = driver.fresh(4)
    found = [p.value for p in arrived if isinstance(p, Number)]
    driver.need(
        found, f"counter {name!r} did not arrive. It arrives with at least one sample."
    )
    return sum(found) if driver.is_delta else found[-1]


def _check_sum(driver: Driver, registry: Registry, pushes: Sequence[str]) -> None:
    counter = registry.counter("contract.requests", labels=("route",))
    histogram = registry.histogram("contract.latency", buckets=(1, 5))
    baseline, start_ns, sent = registry.snapshot(), START_NS, 0
    for n, push in enumerate(pushes, 1):
        counter.labels("home").inc(n)
        counter.labels(f"other{n % 2}").inc(100)
        histogram.observe(n)
        now = registry.snapshot()
        batch = driver.metrics(delta(baseline, now), start_ns)
        acknowledged = _push(driver, batch, push)
        if acknowledged:
            baseline, start_ns = now, batch.time_ns
            sent += acknowledged
    sums: dict[Key, Point] = {}
    for point in driver.fresh(sent):
        if isinstance(point, Number | Histogram):
            before = sums.get(key_of(point))
            sums[key_of(point)] = point if before is None else _added(before, point)
    for wanted in expected(driver, baseline):
        came = sums.get(key_of(wanted))
        driver.need(
            came is not None and is_close(came, wanted),
            f"the increases of {len(pushes)} pushes ({', '.join(dict.fromkeys(pushes))}) "
            f"add up to {text_of(came)}, the snapshot says {text_of(wanted)}. A push "
            "holds what its batch holds, whatever came before it.",
        )


def _push(driver: Driver, batch: Batch, how: str) -> int:
    """Give how many points were acknowledged of a batch that is sent, too late, or not."""
    if how == "sent":
        return sum(payload.records for payload in driver.push(batch))
    acknowledged = 0
    for payload in driver.encode(batch):
        if how == "late":
            try:
                driver.exporter.send(payload, monotonic() - 1.0)
            except ExportFailed:
                return 0
            acknowledged += payload.records
    return acknowledged


def _added(left: Point, right: Point) -> Point:
    if isinstance(left, Number) and isinstance(right, Number):
        return Number(left.name, left.labels, left.value + right.value)
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        pairs = zip(left.buckets, right.buckets, strict=True)
        return Histogram(
            left.name,
            left.labels,
            left.count + right.count,
            left.sum + right.sum,
            left.bounds,
            [a + b for a, b in pairs],
        )
    return right
