"""What a label costs whose values somebody else chooses."""

import gc
import tracemalloc

import pytest

from obs import Obs
from obs.metrics._block import OVERFLOW_LABEL

MANY = 50_000
HUGE = 1_000_000
BYTES = 8 * 1024 * 1024
BYTES_PAST_THE_LIMIT = 256 * 1024
"""For what is made once: the overflow series, the warning, and what it is made with."""


@pytest.fixture
def traced():
    """Memory in use, from here on."""
    gc.collect()
    tracemalloc.start()
    yield lambda: (gc.collect(), tracemalloc.get_traced_memory()[0])[1]
    tracemalloc.stop()


@pytest.mark.parametrize(
    "count",
    [MANY, pytest.param(HUGE, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
def test_any_number_of_label_sets_stays_in_its_budget(count, traced, capfd):
    tel = Obs("budgets", runtime=False)
    limit = tel.metrics.limits.series_per_block

    @tel.endpoint("endpoint", labels=("user",))
    def endpoint(user):
        return user

    before = traced()
    for i in range(limit):
        endpoint(f"user-{i}")
    full = traced()
    for i in range(limit, count):
        endpoint(f"user-{i}")
    after = traced()
    assert after - before <= BYTES
    assert after - full <= BYTES_PAST_THE_LIMIT

    points = tel.snapshot()["operation.duration"].points
    assert len(points) == limit + 1
    assert sum(point.count for point in points) == count
    (overflow,) = [point for point in points if OVERFLOW_LABEL in point.labels]
    assert overflow.count == count - limit
    assert overflow.labels == {"operation": "endpoint", OVERFLOW_LABEL: "true"}
    (line,) = capfd.readouterr().err.splitlines()
    assert "more than 2000 series of one metric" in line


def test_one_operation_past_its_limit_takes_nothing_from_the_others(capfd):
    tel = Obs("budgets", runtime=False)
    limit = tel.metrics.limits.series_per_block

    @tel.endpoint("endpoint", labels=("user",))
    def endpoint(user):
        return user

    @tel.operation("other", labels=("user",))
    def other(user):
        return user

    for i in range(limit + 10):
        endpoint(f"user-{i}")
    for user in ("ann", "bob", "bob"):
        other(user)

    points = [
        point
        for point in tel.snapshot()["operation.duration"].points
        if point.labels["operation"] == "other"
    ]
    assert {point.labels["user"]: point.count for point in points} == {
        "ann": 1,
        "bob": 2,
    }
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_removed_series_are_given_back(traced):
    tel = Obs("budgets", runtime=False)
    counter = tel.counter("c", labels=("user",))

    def fill():
        for i in range(1_000):
            counter.labels(f"user-{i}").inc()
        counter.clear()

    fill()
    before = traced()
    for _ in range(5):
        fill()
    assert traced() - before <= BYTES_PAST_THE_LIMIT
    assert tel.metrics.series == 0
