"""Series that a reader takes for one, on a page that is pushed: added up, and counted."""

import pytest

from obs.model import Block, MetricFamily
from tests.exporters.prometheus.sources import histogram, number, samples
from tests.exporters.prometheus.test_pushed import push, text_of


def test_two_metrics_of_one_name_become_one():
    payload = push(
        number(
            "a.b", "counter", {("x",): 1, ("y",): 2}, label_names=("l",), help="1st"
        ),
        number(
            "a_b", "counter", {("y",): 40, ("z",): 4}, label_names=("l",), help="2nd"
        ),
    )
    assert payload.body.decode() == (
        "# HELP a_b_total 1st\n# TYPE a_b_total counter\n"
        'a_b_total{l="x"} 1\na_b_total{l="y"} 42\na_b_total{l="z"} 4\n'
    )
    assert payload[1:] == (3, {}, 1)


def test_histograms_of_one_name_add_up():
    first = histogram("a.b", (1.0,), {(): (1.5, [1, 2])})
    payload = push(first, histogram("a_b", (1.0,), {(): (2.0, [10, 20])}))
    found = samples(payload.body.decode())
    none = frozenset()
    assert found[("a_b_bucket", frozenset({("le", "1.0")}))] == 11
    assert (found[("a_b_count", none)], found[("a_b_sum", none)]) == (33, 3.5)
    assert payload[1:] == (1, {}, 1)


@pytest.mark.parametrize(
    "other",
    [
        number("a_b", "gauge", {("q",): 1, ("r",): 2}, label_names=("l",)),
        histogram("a_b", (2.0,), {("q",): (1, [1, 2]), ("r",): (1, [1, 2])}, ("l",)),
    ],
)
def test_of_another_kind_or_other_bounds_only_the_first_is_there(other):
    first = histogram("a.b", (1.0,), {("q",): (1.5, [1, 2])}, label_names=("l",))
    payload = push(first, other)
    assert payload.body == push(first).body
    assert payload[1:] == (1, {"invalid": 2}, 0)


def test_an_empty_label_is_none():
    blocks = [
        Block(("a",), [("1",)], [1]),
        Block(("a", "b"), [("1", ""), ("1", "2")], [10, 5]),
        Block((), [()], [7]),
    ]
    payload = push(MetricFamily("n", "counter", blocks=blocks))
    assert payload.body.decode() == (
        '# TYPE n_total counter\nn_total{a="1"} 11\nn_total{a="1",b="2"} 5\nn_total 7\n'
    )
    assert payload[1:] == (3, {}, 1)


def test_an_empty_label_that_tells_nothing_apart_stays():
    family = number(values={("",): 1, ("x",): 2}, label_names=("l",))
    assert 'n{l=""} 1\n' in text_of(family)


@pytest.mark.parametrize(
    "rows",
    [
        [("\ud800",), ("\ufffd",)],
        [("1",), (1,)],
        [("x",), ("x",)],
        [("",), (None,)],
    ],
)
def test_rows_that_read_alike_are_one(rows):
    payload = push(MetricFamily("n", "gauge", blocks=[Block(("l",), rows, [1, 2])]))
    assert payload.body.count(b"\n") == 2
    assert payload.body.endswith(b" 3\n")
    assert payload[1:] == (1, {}, 1)
