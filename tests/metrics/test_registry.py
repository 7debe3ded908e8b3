"""Definitions, collectors, and reading it all."""

import json
import sys

import pytest

from obs import DefinitionError, MetricConflict, MetricFamily, Registry
from obs.catalog import CATALOG
from obs.model import Block


def text_of(call):
    with pytest.raises(DefinitionError) as error:
        call()
    return str(error.value)


def test_defining_again_gives_the_same_instrument():
    registry = Registry()
    for define in (
        registry.counter,
        registry.updown,
        registry.gauge,
        registry.histogram,
    ):
        plain = define(f"{define.__name__}.plain", "Help.", unit="s")
        assert define(f"{define.__name__}.plain", "Other help.", unit="s") is plain
        labelled = define(f"{define.__name__}.labelled", labels=("a", "b"))
        assert define(f"{define.__name__}.labelled", labels=["a", "b"]) is labelled


@pytest.mark.parametrize(
    ("define", "difference"),
    [
        (lambda r: r.gauge("m", labels=("a",)), "kind 'counter' there, 'gauge' here"),
        (lambda r: r.counter("m"), "label names ('a',) there, () here"),
        (lambda r: r.counter("m", unit="s", labels=("a",)), "unit '' there, 's' here"),
    ],
)
def test_a_conflict_names_both_call_sites(define, difference):
    registry = Registry()
    first = f"{__file__}:{sys._getframe().f_lineno + 1}"
    registry.counter("m", labels=("a",))
    with pytest.raises(MetricConflict) as error:
        define(registry)
    assert error.value.existing == first
    assert error.value.wanted.startswith(f"{__file__}:")
    assert str(error.value) == (
        f"metric 'm': defined at {first}, and differently at {error.value.wanted}: "
        f"{difference}. Give one of them another name."
    )


def test_buckets_and_combination_are_part_of_a_definition():
    registry = Registry()
    registry.histogram("h", buckets=(1, 2))
    registry.gauge("g", combine="max")
    assert "bounds (1.0, 2.0) there, (1.0, 3.0) here" in text_of(
        lambda: registry.histogram("h", buckets=(1, 3))
    )
    assert "combine 'max' there, 'min' here" in text_of(
        lambda: registry.gauge("g", combine="min")
    )


@pytest.mark.parametrize(
    ("define", "text"),
    [
        (
            lambda r: r.counter("http-requests"),
            "metric 'http-requests': '-' at position 4 is not allowed (letters, digits, "
            "'_' and '.', not starting with a digit or '.'). Try 'http_requests'.",
        ),
        (
            lambda r: r.counter("9lives"),
            "metric '9lives': '9' at position 0 is not allowed (letters, digits, '_' and "
            "'.', not starting with a digit or '.'). Try '_9lives'.",
        ),
        (lambda r: r.counter(""), "metric '': has 0 characters, needs 1 to 255."),
        (lambda r: r.counter(7), "metric 7: needs a name of type str."),
        (
            lambda r: r.counter("obs.dropped"),
            "metric 'obs.dropped': obs records it itself. Take another name.",
        ),
        (
            lambda r: r.counter("c", labels=5),
            "metric 'c': labels got 5, needs a list of names.",
        ),
        (
            lambda r: r.histogram("h", buckets=5),
            "histogram 'h': buckets got 5, needs numbers.",
        ),
        (
            lambda r: r.counter("c", labels="method"),
            "metric 'c': labels got the text 'method', needs a list of names. Write "
            "labels=('method',).",
        ),
        (
            lambda r: r.counter("c", labels=("a", "a")),
            "metric 'c': label 'a' is there twice. Remove one.",
        ),
        (
            lambda r: r.counter("c", labels=("__a",)),
            "metric 'c': label '__a' is reserved. Take another name.",
        ),
        (
            lambda r: r.histogram("h", labels=("le",)),
            "metric 'h': label 'le' is reserved. Take another name.",
        ),
        (
            lambda r: r.counter("c", labels=("a b",)),
            "metric 'c': label 'a b': ' ' at position 1 is not allowed (letters, digits, "
            "'_' and '.', not starting with a digit or '.'). Try 'a_b'.",
        ),
        (
            lambda r: r.counter("c", unit="per second"),
            "metric 'c': unit got 'per second', needs a UCUM unit of at most 63 ASCII "
            "characters without blanks, such as 's', 'By' or '{order}'.",
        ),
        (
            lambda r: r.gauge("g", combine="median"),
            "metric 'g': combine got 'median', needs one of sum, max, min, mean, latest, "
            "each.",
        ),
        (
            lambda r: r.histogram("h", buckets=()),
            "histogram 'h': buckets has 0 bounds, needs 1 to 500.",
        ),
        (
            lambda r: r.histogram("h", buckets=(1, 1)),
            "histogram 'h': buckets[1]=1 is not above buckets[0]=1.0. Give strictly rising "
            "bounds.",
        ),
        (
            lambda r: r.histogram("h", buckets=(1, float("inf"))),
            "histogram 'h': buckets[1] is inf, needs a finite number. The bucket above all "
            "bounds is added by itself.",
        ),
        (
            lambda r: r.histogram("h", buckets=("1",)),
            "histogram 'h': buckets[0] is '1', needs a finite number. The bucket above all "
            "bounds is added by itself.",
        ),
        (
            lambda r: r.gauge("g").set_function(3),
            "gauge 'g': set_function() got 3, needs a function.",
        ),
        (
            lambda r: r.gauge("g").set_function(len, ()),
            "gauge 'g': set_function() got the owner (), which cannot be referred to "
            "weakly. Give another object, or none.",
        ),
        (
            lambda r: r.register(3),
            "register() got 3, needs an object with collect().",
        ),
    ],
)
def test_a_bad_definition_says_what_came_which_rule_and_what_to_do(define, text):
    assert text_of(lambda: define(Registry())) == text


def test_a_defined_metric_shows_before_its_first_series():
    registry = Registry()
    registry.counter("c", "Help.", unit="By", labels=("a",))
    family = registry.snapshot()["c"]
    assert (family.kind, family.unit, family.help, family.points) == (
        "counter",
        "By",
        "Help.",
        [],
    )
    assert [block.label_names for block in family.blocks] == [("a",)]


def test_two_snapshots_hold_the_same_row_objects():
    registry = Registry()
    counter = registry.counter("c", labels=("a",))
    counter.labels("x").inc()
    (first,), (second,) = (registry.snapshot()["c"].blocks for _ in range(2))
    assert first.rows[0] is second.rows[0]


def test_a_collector_is_asked_at_each_reading():
    class Jobs:
        done = 0

        def collect(self):
            self.done += 1
            yield MetricFamily.of("jobs.done", "counter", self.done, help="Jobs.")

    registry = Registry()
    jobs = Jobs()
    registry.register(jobs)
    assert registry.snapshot()["jobs.done"].points[0].value == 1
    assert registry.snapshot()["jobs.done"].points[0].value == 2
    registry.unregister(jobs)
    registry.unregister(jobs)
    assert len(registry.snapshot()) == 0


def test_a_collector_that_fails_hurts_only_itself(capfd):
    class Fails:
        def collect(self):
            yield MetricFamily.of("a", "gauge", 1)
            raise RuntimeError

    class Strange:
        def collect(self):
            yield "not a family"
            yield MetricFamily(["unhashable"], "gauge")
            yield MetricFamily(
                "odd", "gauge", blocks=[Block(("a",), [("x", "y")], [1])]
            )
            yield MetricFamily("odd", "gauge", blocks=[Block(("a",), [("x",)], [])])
            yield MetricFamily.of("b", "gauge", 2)
            yield MetricFamily.of("mine", "gauge", 3)

    registry = Registry()
    registry.counter("mine").inc()
    registry.register(Fails())
    registry.register(Strange())
    snapshot = registry.snapshot()
    assert [family.name for family in snapshot] == ["mine", "a", "b"]
    assert snapshot["mine"].points[0].value == 1
    assert registry.diag.dropped_counts()["metrics", "", "invalid"] == 6
    assert "the collector Fails raised RuntimeError" in capfd.readouterr().err


def test_checks_see_every_definition_and_may_refuse_it():
    registry = Registry()
    registry.counter("a", labels=("x",))
    seen = []

    def check(family):
        if family.name == "bad":
            raise DefinitionError("no")
        seen.append((family.name, family.kind, family.blocks[0].label_names))

    registry.check(check)
    registry.gauge("b")
    assert seen == [("a", "counter", ("x",)), ("b", "gauge", ())]
    assert text_of(lambda: registry.gauge("bad")) == "no"
    assert "bad" not in [family.name for family in registry.snapshot()]
    registry.uncheck(check)
    registry.gauge("bad")


def test_a_snapshot_as_dict_is_plain_json():
    registry = Registry()
    registry.counter("c", "C.", unit="By", labels=("a",)).labels("x").inc(3)
    registry.histogram("h", buckets=(1,)).observe(2)
    plain = registry.snapshot().as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain == {
        "c": {
            "kind": "counter",
            "unit": "By",
            "help": "C.",
            "series": [{"labels": {"a": "x"}, "value": 3}],
        },
        "h": {
            "kind": "histogram",
            "unit": "",
            "help": "",
            "series": [
                {"labels": {}, "count": 1, "sum": 2, "buckets": [[1.0, 0], [None, 1]]}
            ],
        },
    }


def test_an_unknown_family_is_a_key_error():
    with pytest.raises(KeyError):
        Registry().snapshot()["nothing"]


def test_what_comes_by_itself_does_not_count_as_recorded():
    registry = Registry()
    pauses = registry.block(CATALOG["cpython.gc.pause.duration"])
    operations = registry.block(CATALOG["operation.duration"], fixed=("op",))
    pauses.series(("2",)).observe(0.5)
    assert not registry.has_recorded()
    operations.series(("op", "ok", "")).observe(0.5)
    assert registry.has_recorded()
