"""Checks of metrics: every kind, empty, zero, many, blocks, sizes, counts."""

import random
from collections.abc import Iterable
from typing import TypeAlias

import pytest

from obs.limits import Limits
from obs.metrics import Registry
from obs.model import KINDS, Block, MetricFamily
from obs.testing._clock import FakeClock
from obs.testing.contract._base import Checks
from obs.testing.contract._driver import Driver, size_of
from obs.testing.contract._points import check_counted, compare, expected, points_of

Row: TypeAlias = tuple[str, ...]


class MetricChecks(Checks):
    """What metrics have to keep."""

    @pytest.fixture
    def registry(self, driver: Driver) -> Registry:
        """An empty registry with room for three series in each metric."""
        self.skip_unless(driver, "metrics")
        return Registry(Limits(series_per_block=3), clock=FakeClock())

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "exponential"])
    def test_every_kind_arrives(
        self, driver: Driver, registry: Registry, kind: str
    ) -> None:
        """Points with and without labels, whole and fractional, negative where possible."""
        for suffix, labels in (("plain", ()), ("labelled", ("method", "route"))):
            name = f"contract.{kind}.{suffix}"
            rows = [("GET", "home"), ("PUT", "")] if labels else [()]
            _record(registry, kind, name, labels, rows)
        families = list(registry.snapshot())
        driver.push(driver.metrics(families))
        wanted = expected(driver, families)
        compare(driver, wanted, driver.fresh(len(wanted)))

    def test_a_metric_without_series_is_no_point(self, driver: Driver) -> None:
        """A defined instrument shows as a block without rows before its first series."""
        self.skip_unless(driver, "metrics")
        families = [
            MetricFamily(
                f"contract.empty.{kind}",
                kind,
                blocks=[Block(("route",), [], [])],
                bounds=(1.0,) if kind == "histogram" else (),
            )
            for kind in KINDS
        ]
        families.append(MetricFamily("contract.no.blocks", "counter"))
        counted = sum(
            payload.records for payload in driver.push(driver.metrics(families))
        )
        driver.need(
            counted == 0,
            f"Payload.records is {counted} for metrics without series, needs 0.",
        )
        compare(driver, [], driver.fresh(0))

    def test_zero_is_a_value(self, driver: Driver, registry: Registry) -> None:
        """A counter and a gauge at zero, and a histogram that observed zero."""
        registry.counter("contract.zero.counter").inc(0)
        registry.gauge("contract.zero.gauge").set(0)
        registry.updown("contract.zero.updown").inc(0)
        registry.histogram("contract.zero.observed", buckets=(1, 2)).observe(0)
        registry.histogram("contract.zero.histogram", buckets=(1, 2))
        families = list(registry.snapshot())
        driver.push(driver.metrics(families))
        wanted = expected(driver, families)
        compare(driver, wanted, driver.fresh(len(wanted)))

    def test_many_series_arrive(self, driver: Driver) -> None:
        """2,000 series of one metric, in as many payloads as it takes."""
        self.skip_unless(driver, "metrics")
        rows: dict[Row, float] = {
            (f"user{n}", "x" if n % 2 else ""): n + 0.5 for n in range(2_000)
        }
        family = MetricFamily.of(
            "contract.many", "gauge", rows, label_names=("user", "half")
        )
        driver.push(driver.metrics([family]))
        wanted = expected(driver, [family])
        compare(driver, wanted, driver.fresh(len(wanted)))

    def test_blocks_keep_their_own_labels(
        self, driver: Driver, registry: Registry
    ) -> None:
        """A family of blocks with other label names each, and an overflow series."""
        blocks = [
            Block(("operation",), [("charge",)], [3]),
            Block(
                ("operation", "channel"), [("place", "web"), ("place", "app")], [5, 7]
            ),
            Block((), [()], [9]),
        ]
        counter = registry.counter("contract.overflow", labels=("user",))
        for user in ("ann", "bob", "cid", "dan", "eve"):
            counter.labels(user).inc(2)
        families = [MetricFamily("contract.blocks", "counter", blocks=blocks)]
        families += registry.snapshot()
        driver.push(driver.metrics(families))
        wanted = expected(driver, families)
        compare(driver, wanted, driver.fresh(len(wanted)))

    def test_no_payload_is_larger_than_max_bytes(self, driver: Driver) -> None:
        """Metrics are divided by encode, however many and however long their labels."""
        self.skip_unless(driver, "metrics")
        limit = driver.exporter.delivery.max_bytes
        chars = max(8, min(1_000, limit // 8))
        chance = random.Random(1)  # hexadecimal digits, which compress to half
        rows: dict[Row, float] = {
            (f"{n}-{chance.randbytes(chars // 2).hex()}",): n
            for n in range(min(4_000, 2 + 4 * limit // chars))
        }
        long: dict[Row, float] = {("x" * 16_384,): 1.0}
        families = [
            MetricFamily.of("contract.large", "gauge", rows, label_names=("text",)),
            MetricFamily.of("contract.long", "gauge", long, label_names=("text",)),
        ]
        for payload in driver.encode(driver.metrics(families)):
            driver.need(
                size_of(payload) <= limit,
                f"encode gave a body of {size_of(payload)} bytes, delivery.max_bytes is "
                f"{limit}. encode divides metrics itself, and drops a point too large.",
            )

    def test_points_are_counted(self, driver: Driver, registry: Registry) -> None:
        """Each point is in ``records``, ``dropped`` or ``merged``, once."""
        for kind in KINDS:
            if kind != "exponential":
                rows = [("GET", "home"), ("PUT", "")]
                _record(registry, kind, f"contract.{kind}", ("method", "route"), rows)
        families = list(registry.snapshot())
        payloads = driver.push(driver.metrics(families))
        check_counted(driver, payloads, len(points_of(families)), "points")


def _record(
    registry: Registry,
    kind: str,
    name: str,
    labels: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
) -> None:
    for n, row in enumerate(rows, 1):
        if kind == "counter":
            registry.counter(name, labels=labels).labels(*row).inc(n + 0.25)
        elif kind == "updown":
            registry.updown(name, labels=labels).labels(*row).dec(n)
        elif kind == "gauge":
            registry.gauge(name, labels=labels).labels(*row).set(-2.5 * n)
        elif kind == "info":
            registry.info(name, labels=labels).set(*row)
        else:
            child = registry.histogram(name, labels=labels, buckets=(-1, 0.5, 10))
            for value in (-2, 0.5, 0.75, 11, n):
                child.labels(*row).observe(value)
