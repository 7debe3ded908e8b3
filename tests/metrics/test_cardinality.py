"""How many series there may be, and what happens past that."""

import json

from obs import Limits
from obs.metrics import Registry
from obs.naming import OVERFLOW_LABEL


def overflow(registry, name):
    return [p for p in registry.snapshot()[name].points if OVERFLOW_LABEL in p.labels]


def test_what_is_past_the_limit_of_a_block_is_added_to_its_overflow_series():
    registry = Registry(Limits(series_per_block=10))
    counter = registry.counter("c", labels=("user",))
    for i in range(1_000):
        counter.labels(str(i)).inc(2)
    points = registry.snapshot()["c"].points
    assert len(points) == 11
    assert sum(p.value for p in points) == 2_000
    (point,) = overflow(registry, "c")
    assert point.labels == {"otel.metric.overflow": "true"}
    assert point.value == 1_980
    assert registry.series == 10
    assert registry.diag.dropped_counts()["metrics", "", "cardinality"] == 990


def test_one_line_names_the_metric_the_label_and_three_values(capfd):
    registry = Registry(Limits(series_per_block=3))
    counter = registry.counter("c", labels=("method", "user"))
    for i in range(100):
        counter.labels("GET", f"u{i}").inc()
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == (
        "counter 'c': more than 3 series of one metric. Label 'user' has most values, such "
        "as 'u1', 'u2', 'u3'. What follows is added to the series "
        'otel.metric.overflow="true"; sums stay exact. Take a label with fewer values, or '
        "raise the limit."
    )


def test_series_that_exist_go_on_past_the_limit():
    registry = Registry(Limits(series_per_block=1))
    counter = registry.counter("c", labels=("user",))
    first = counter.labels("a")
    counter.labels("b").inc()
    first.inc()
    assert counter.labels("a") is first
    assert {
        tuple(p.labels.values()): p.value for p in registry.snapshot()["c"].points
    } == {
        ("a",): 1,
        ("true",): 1,
    }


def test_removing_makes_room():
    registry = Registry(Limits(series_per_block=1))
    counter = registry.counter("c", labels=("user",))
    counter.labels("a").inc()
    counter.labels("b").inc()
    counter.remove("a")
    counter.labels("b").inc(5)
    values = {
        tuple(p.labels.values()): p.value for p in registry.snapshot()["c"].points
    }
    assert values == {("b",): 5, ("true",): 1}


def test_a_metric_without_labels_finds_room_past_any_limit():
    registry = Registry(Limits(series=1))
    registry.counter("full", labels=("x",)).labels("a").inc()
    registry.counter("plain").inc(3)
    registry.histogram("timer").observe(1)
    assert registry.snapshot()["plain"].value() == 3
    assert registry.snapshot()["timer"].value() == 1


def test_clearing_clears_what_came_past_the_limit():
    registry = Registry(Limits(series_per_block=1))
    counter = registry.counter("c", labels=("user",))
    for user in "abc":
        counter.labels(user).inc()
    counter.clear()
    assert registry.snapshot()["c"].points == []
    assert registry.series == 0
    counter.labels("b").inc()
    counter.labels("c").inc(5)
    values = {
        tuple(p.labels.values()): p.value for p in registry.snapshot()["c"].points
    }
    assert values == {("b",): 1, ("true",): 5}


def test_the_limit_of_the_instance_holds_over_all_metrics(capfd):
    registry = Registry(Limits(series=5))
    for name in ("a", "b"):
        for i in range(4):
            registry.histogram(name, labels=("x",)).labels(str(i)).observe(1)
    points = [p for family in registry.snapshot() for p in family.points]
    assert sum(p.count for p in points) == 8
    assert registry.series == 5
    assert len(overflow(registry, "b")) == 1
    assert "more than 5 series in all" in capfd.readouterr().err


def test_an_operation_that_overflows_leaves_room_for_the_others(capfd):
    from obs import Obs

    tel = Obs("x", runtime=False, limits=Limits(series_per_block=10))

    @tel.endpoint("hot", labels=("user",))
    def hot(user):
        pass

    @tel.endpoint("calm", labels=("user",))
    def calm(user):
        pass

    for i in range(500):
        hot(str(i))
    calm("a")
    points = tel.snapshot()["operation.duration"].points
    mine = [p for p in points if p.labels["operation"] == "hot"]
    assert sum(p.count for p in mine) == 500
    assert len(mine) == 11
    (past,) = [p for p in mine if OVERFLOW_LABEL in p.labels]
    assert past.labels == {"operation": "hot", "otel.metric.overflow": "true"}
    (other,) = [p for p in points if p.labels["operation"] == "calm"]
    assert other.labels["user"] == "a"
    assert len(capfd.readouterr().err.splitlines()) == 1
