"""What push exporters have in common: arguments, dividing, outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.errors import DefinitionError
from obs.model import Payload, SpanRecord, TraceContext
from obs_exporters._push import (
    check_flag,
    check_integer,
    check_one_of,
    check_push,
    divided,
    make_payload,
    outcome_attributes,
)

GOOD = {"interval": 10.0, "timeout": 5, "signals": ("metrics",)}


def test_the_signals_come_back_as_a_set():
    assert check_push("x", **GOOD) == {"metrics"}
    assert check_push("x", **GOOD | {"signals": "traces"}) == {"traces"}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"temporality": "deltas"},
            "exporter 'x': temporality got 'deltas', needs 'cumulative' or 'delta'.",
        ),
        (
            {"interval": 0},
            "exporter 'x': interval got 0, needs seconds from 0.01 to 86400.",
        ),
        (
            {"interval": True},
            "exporter 'x': interval got True, needs seconds from 0.01 to 86400.",
        ),
        (
            {"timeout": float("nan")},
            "exporter 'x': timeout got nan, needs seconds from 0.01 to 86400.",
        ),
        (
            {"signals": ()},
            "exporter 'x': signals got (), needs some of metrics, logs, traces.",
        ),
        (
            {"signals": 5},
            "exporter 'x': signals got 5, needs some of metrics, logs, traces.",
        ),
        (
            {"signals": ("spans",)},
            "exporter 'x': signals got ('spans',), needs some of metrics, logs, traces.",
        ),
    ],
)
def test_what_breaks_a_rule_raises(changed, text):
    with pytest.raises(DefinitionError) as error:
        check_push("x", **GOOD | changed)
    assert str(error.value) == text


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_name_is_a_text(name):
    with pytest.raises(DefinitionError) as error:
        check_push(name, **GOOD)
    assert str(error.value) == f"exporter {name!r}: name got {name!r}, needs a text."


@given(
    st.lists(st.none() | st.binary(max_size=9), max_size=20),
    st.integers(1, 30),
    st.sampled_from([(b"", b"", b""), (b"[", b",", b"]"), (b"<", b"::", b"")]),
)
def test_what_is_divided_fits_and_nothing_is_lost(items, most, around):
    begin, between, end = around
    payloads = list(divided(items, most, around))
    rest = list(items)
    for index, payload in enumerate(payloads):
        n = payload.records + payload.dropped.get("invalid", 0)
        part, rest = rest[:n], rest[n:]
        kept = [item for item in part if item is not None]
        assert payload == make_payload(
            begin + between.join(kept) + end, len(kept), n - len(kept)
        )
        assert len(payload.body) <= most or len(kept) <= 1
        if index + 1 < len(payloads):  # the next one had no room in it
            after = next(item for item in rest if item is not None)
            assert len(payload.body) + len(between) + len(after) > most
    assert not rest


def test_a_payload_says_what_was_left_out():
    assert make_payload(b"a", 2, 0) == Payload(b"a", 2, {})
    assert make_payload(b"a", 2, 3) == Payload(b"a", 2, {"invalid": 3})


@pytest.mark.parametrize(
    ("outcome", "error_type", "found"),
    [
        ("ok", "", {}),
        ("error", "", {}),
        ("error", "KeyError", {"error.type": "KeyError"}),
        ("aborted", "", {"obs.outcome": "aborted"}),
        (
            "cancelled",
            "CancelledError",
            {"error.type": "CancelledError", "obs.outcome": "cancelled"},
        ),
    ],
)
def test_the_outcome_is_an_attribute_where_the_status_does_not_say_it(
    outcome, error_type, found
):
    record = SpanRecord("a", TraceContext(), outcome=outcome, error_type=error_type)
    assert outcome_attributes(record) == found


@pytest.mark.parametrize("got", ["c", "", None, 1, [], b"a"])
def test_what_is_none_of_the_known_texts_raises(got):
    check_one_of("x", "mode", "a", ("a", "b"))
    with pytest.raises(DefinitionError) as error:
        check_one_of("x", "mode", got, ("a", "b"))
    assert str(error.value) == f"exporter 'x': mode got {got!r}, needs one of a, b."


@pytest.mark.parametrize("got", [0, 1, None, "true"])
def test_a_flag_is_a_bool(got):
    for flag in (True, False):
        check_flag("x", "fsync", flag)
    with pytest.raises(DefinitionError) as error:
        check_flag("x", "fsync", got)
    assert str(error.value) == f"exporter 'x': fsync got {got!r}, needs True or False."


@pytest.mark.parametrize("got", [1, 5, True, 3.0, "3", None])
def test_an_integer_is_within_its_limits(got):
    for good in (2, 4):
        check_integer("x", "keep", good, 2, 4)
    with pytest.raises(DefinitionError) as error:
        check_integer("x", "keep", got, 2, 4)
    text = f"exporter 'x': keep got {got!r}, needs an integer from 2 to 4."
    assert str(error.value) == text
