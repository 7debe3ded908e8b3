"""Which values are label values, and their text."""

import enum
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.metrics import Registry, label_text


class Channel(enum.Enum):
    WEB = "web"
    ODD = object()


class Colour(enum.StrEnum):
    RED = "red"


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (None, ""),
        (7, "7"),
        (-7, "-7"),
        (True, "True"),
        (Channel.WEB, "web"),
        (Colour.RED, "red"),
        (HTTPStatus.OK, "200"),
        (Text("a"), "a"),
        ("\ud800", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        (1.5, None),
        (b"a", None),
        (Channel.ODD, None),
        (10**5000, None),
        ([], None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_text_of_a_label_value(value, text):
    assert label_text(value) == text
    assert text is None or type(label_text(value)) is str


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_text_becomes_text_that_can_be_encoded(value):
    registry = Registry(strict=True)
    counter = registry.counter("c", labels=("x",))
    counter.labels(value).inc()
    counter.labels(value).inc()
    (point,) = registry.snapshot()["c"].points
    point.labels["x"].encode()
    assert point.value == 2


def test_a_hostile_hash_is_a_wrong_call():
    class Hostile(str):
        __slots__ = ()

        def __hash__(self):
            raise RuntimeError

    registry = Registry()
    counter = registry.counter("c", labels=("x",))
    counter.labels(Hostile("a")).inc()
    assert registry.snapshot()["c"].points[0].labels == {"x": "a"}


def test_one_and_true_are_two_label_values():
    registry = Registry()
    counter = registry.counter("c", labels=("x",))
    assert counter.labels(1) is not counter.labels(True)
    assert counter.labels(1) is counter.labels("1")
