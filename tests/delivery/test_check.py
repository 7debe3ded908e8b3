"""What a push exporter says of itself, checked when it is attached."""

import math

import pytest

from obs import DefinitionError, Obs
from obs.model import Delivery
from tests.delivery.scripted import Scripted

SIGNALS = "needs a set or a tuple of metrics, logs, traces, each at most once"
DELIVERY = "needs an obs.model.Delivery: write Delivery()"
WRONG = [
    ("name", "", "'Scripted': name got '', needs a text that is not empty"),
    ("name", None, "'Scripted': name got None, needs a text that is not empty"),
    ("name", 5, "'Scripted': name got 5, needs a text that is not empty"),
    (
        "signals",
        "traces",
        "'scripted': signals got 'traces', needs a set or a tuple: write ('traces',)",
    ),
    ("signals", "foo", f"'scripted': signals got 'foo', {SIGNALS}"),
    ("signals", {"foo"}, f"'scripted': signals got {{'foo'}}, {SIGNALS}"),
    ("signals", ("traces", "trace"), None),
    ("signals", ("traces", "traces"), None),
    ("signals", [["traces"]], None),
    ("signals", frozenset(), None),
    ("signals", None, f"'scripted': signals got None, {SIGNALS}"),
    ("signals", iter(("traces",)), None),
    ("delivery", None, f"'scripted': delivery got None, {DELIVERY}"),
    ("delivery", (10.0, 10.0), f"'scripted': delivery got (10.0, 10.0), {DELIVERY}"),
    (
        "delivery",
        Delivery(interval="10"),
        "'scripted': delivery.interval got '10', needs seconds above 0",
    ),
    ("delivery", Delivery(interval=0), None),
    ("delivery", Delivery(interval=True), None),
    (
        "delivery",
        Delivery(timeout=math.nan),
        "'scripted': delivery.timeout got nan, needs seconds above 0",
    ),
    ("delivery", Delivery(timeout=math.inf), None),
    (
        "delivery",
        Delivery(max_bytes=1e6),
        "'scripted': delivery.max_bytes got 1000000.0, needs an integer above 0",
    ),
    ("delivery", Delivery(max_bytes=0), None),
    (
        "delivery",
        Delivery(temporality="both"),
        "'scripted': delivery.temporality got 'both', needs 'cumulative' or 'delta'",
    ),
]


def wrong(what, got):
    exporter = Scripted()
    setattr(exporter, what, got)
    return exporter


@pytest.mark.parametrize(("what", "got", "text"), WRONG)
def test_a_wrong_attribute_is_refused(what, got, text):
    with pytest.raises(DefinitionError) as error:
        Obs("t", exporters=[wrong(what, got)], runtime=False)
    if text:
        assert str(error.value) == f"exporter {text}."


@pytest.mark.parametrize("what", ["name", "signals", "delivery"])
def test_a_missing_attribute_is_refused(what):
    exporter = Scripted()
    delattr(exporter, what)
    with pytest.raises(DefinitionError, match=rf"exporter '\w+': {what} got None, "):
        Obs("t", exporters=[exporter], runtime=False)


def test_one_that_is_refused_stops_no_other():
    healthy = Scripted("healthy")
    tel = Obs("t", exporters=[healthy], runtime=False)
    with tel.start():
        with pytest.raises(DefinitionError):
            tel.attach(wrong("signals", "traces"))
        tel.span("s", i=1).end()
        assert tel.flush(5).delivered == 1
    assert healthy.ids == {1: 1}


@pytest.mark.parametrize("make", [frozenset, set, tuple, list])
def test_signals_may_be_any_set_or_sequence(make):
    exporter = wrong("signals", make(["traces", "logs"]))
    tel = Obs("t", exporters=[exporter], runtime=False, level="off")
    with tel.start():
        tel.span("s", i=1).end()
        assert tel.flush(5).delivered == 1
    assert exporter.ids == {1: 1}
