"""How many Python functions a recording call runs: the same on every machine.

Counted for the cells of Pythons with a GIL; those for each thread may take more.
"""

import gc
import os
import sys
import tracemalloc
from contextvars import Context

import pytest

from obs import NULL, Obs, TraceContext
from obs.logs import Route
from obs.metrics import SLOT_CELLS, Registry
from obs.model import Ack, Delivery, Payload
from obs.trace import Never

LABELS = ("method", "path", "status")
ROW = ("GET", "/items", "200")
NAMED = dict(zip(LABELS, ROW, strict=True))


@pytest.fixture
def registry():
    return Registry(cells=SLOT_CELLS)


def python_calls(operation):
    """Give the names of the functions that run, ``operation`` itself left out.

    The third of three runs counts: what is made at first use is there by then.
    """
    calls = []

    def note(frame, event, argument):
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    previous = sys.getprofile()
    gc.disable()  # a callback of the collector would be counted too
    try:
        for _ in range(3):
            calls.clear()
            sys.setprofile(note)
            try:
                operation()
            finally:
                sys.setprofile(previous)
    finally:
        gc.enable()
    return calls[1:]


@pytest.mark.parametrize("amount", [1, 2, 2.5])
def test_to_increment_a_bound_counter_is_one_call(registry, amount):
    counter = registry.counter("c", labels=LABELS).labels(*ROW)
    assert python_calls(lambda: counter.inc(amount)) == ["SlotCounter.inc"]


@pytest.mark.parametrize("amount", [1, 5, -2.5])
def test_to_move_a_bound_updown_counter_is_one_call(registry, amount):
    updown = registry.updown("u", labels=LABELS).labels(*ROW)
    assert python_calls(lambda: updown.inc(amount)) == ["SlotUpDown.inc"]
    assert python_calls(lambda: updown.dec(amount)) == ["SlotUpDown.dec"]


@pytest.mark.parametrize("value", [7, 0.5, -1])
def test_to_set_a_bound_gauge_is_one_call(registry, value):
    gauge = registry.gauge("g", labels=LABELS).labels(*ROW)
    assert python_calls(lambda: gauge.set(value)) == ["SlotGauge.set"]
    assert python_calls(lambda: gauge.inc()) == ["SlotUpDown.inc"]
    assert python_calls(lambda: gauge.dec()) == ["SlotUpDown.dec"]


@pytest.mark.parametrize("value", [7, 0.5, 1e9])
def test_to_observe_with_a_bound_histogram_is_one_call(registry, value):
    histogram = registry.histogram("h", labels=LABELS).labels(*ROW)
    assert python_calls(lambda: histogram.observe(value)) == ["SlotHistogram.observe"]


def test_an_instrument_without_labels_costs_what_a_bound_one_costs(registry):
    counter, gauge = registry.counter("c"), registry.gauge("g")
    histogram = registry.histogram("h")
    assert len(python_calls(lambda: counter.inc())) == 1
    assert len(python_calls(lambda: gauge.set(0.5))) == 1
    assert len(python_calls(lambda: histogram.observe(0.5))) == 1


def test_labels_by_position_add_one_call(registry):
    counter = registry.counter("c", labels=LABELS)
    calls = python_calls(lambda: counter.labels(*ROW).inc())
    assert calls == ["Labelled.labels", "SlotCounter.inc"]


def test_labels_by_name_add_one_call(registry):
    counter = registry.counter("c", labels=LABELS)
    calls = python_calls(lambda: counter.labels(**NAMED).inc())
    assert calls == ["Labelled.labels", "SlotCounter.inc"]


def test_a_timed_block_adds_enter_and_exit(registry):
    histogram = registry.histogram("h", unit="s")
    timer = histogram.time()

    def block():
        with timer:
            pass

    assert len(python_calls(block)) <= 3


@pytest.fixture
def tel():
    # Instances make their registry themselves, with the cells of this Python.
    instance = Obs("budgets", runtime=False)
    if instance.metrics.cells is not SLOT_CELLS:
        pytest.skip("this Python has cells for each thread")
    return instance


def work(channel):
    return channel


def pair(channel, shop):
    return channel


async def awork(channel):
    return channel


def fail(channel):
    raise KeyError(channel)


def added(operation):
    """Give the calls that a decorator adds, or those of an ``await`` of it."""
    own = {"work", "awork", "fail", "pair"}
    return [name for name in python_calls(operation) if name not in own]


@pytest.fixture
def in_a_trace(tel):
    """A root span, and somebody who takes spans."""
    tel.trace.sink = [].append
    with tel.span("root"):
        yield


@pytest.fixture
def unsampled():
    instance = Obs("budgets", runtime=False, sampler=Never())
    with instance.span("root"):
        yield instance


def test_a_decorated_call_adds_nine_calls(tel, in_a_trace):
    decorated = tel.operation("op")(work)
    calls = added(lambda: decorated("web"))
    assert len(calls) <= 9, calls


def test_a_decorated_coroutine_adds_nine_calls(tel, in_a_trace):
    decorated = tel.operation("op")(awork)
    coroutines = [decorated("web") for _ in range(3)]

    def run():
        try:
            coroutines.pop().send(None)
        except StopIteration:
            return

    calls = added(run)
    assert len(calls) <= 9, calls


def test_labels_of_a_decorated_call_add_a_few_calls(tel, in_a_trace):
    one_label = tel.operation("one", labels=("channel",))(work)
    two_labels = tel.operation("two", labels=("channel", "shop"))(pair)
    calls = added(lambda: one_label("web"))
    assert len(calls) <= 13, calls
    assert len(added(lambda: two_labels("web", "de"))) == len(calls)


def test_an_unsampled_decorated_call_adds_twelve_calls(unsampled):
    decorated = unsampled.operation("op")(work)
    calls = added(lambda: decorated("web"))
    assert len(calls) <= 12, calls


def test_a_span_is_at_most_eight_calls(tel, in_a_trace):
    def block():
        with tel.span("child", a=1, b="x", c=2.5):
            pass

    calls = python_calls(block)
    assert len(calls) <= 3, calls

    def given():
        with tel.span("child", {"a": 1}, b=2):
            pass

    assert len(python_calls(given)) <= 5

    def root():
        with tel.span("child", parent=TraceContext(), a=1):
            pass

    assert len(python_calls(root)) <= 17


def test_an_unsampled_span_is_at_most_three_calls(unsampled):
    def block():
        with unsampled.span("child", a=1, b="x", c=2.5):
            pass

    calls = python_calls(block)
    assert len(calls) <= 3, calls


def test_headers_are_written_in_two_calls_and_read_in_two(tel, in_a_trace):
    header = {"traceparent": f"00-{1:032x}-{2:016x}-01"}
    assert len(python_calls(lambda: tel.inject())) <= 2
    assert len(python_calls(lambda: tel.extract(header))) <= 2


def test_a_finished_span_that_waits_takes_at_most_700_bytes(tel):
    kept = []
    tel.trace.sink = kept.append
    with tel.span("root"):
        for number in range(500):  # what is made once is made now
            with tel.span("child", a=number + 1_000, b=f"x{number}", c=2.5 + number):
                pass
        kept.clear()
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(2_000):
                with tel.span(
                    "child", a=number + 1_000, b=f"x{number}", c=2.5 + number
                ):
                    pass
            used = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
    assert used / 2_000 <= 700


def test_exporters_add_no_call():
    class Attached:
        name = "attached"

        def start(self, source):
            source.check(lambda family: None)

        def close(self, deadline):
            pass

    tel = Obs("budgets", runtime=False, exporters=[Attached() for _ in range(6)])
    counter = tel.counter("c", labels=LABELS)
    alone = python_calls(lambda: counter.labels(*ROW).inc())
    with tel.start():
        assert python_calls(lambda: counter.labels(*ROW).inc()) == alone


class Pushing:
    """A push exporter that takes everything."""

    signals = frozenset(["logs", "metrics", "traces"])
    delivery = Delivery(interval=3_600.0)

    def __init__(self, number):
        self.name = f"pushing {number}"

    def encode(self, batch):
        return [Payload(b"", len(batch.records) or 1)]

    def send(self, payload, deadline):
        return Ack(payload.records)

    def close(self, deadline):
        pass


def test_push_exporters_add_no_call():
    def calls_with(exporters):
        tel = Obs("budgets", runtime=False, exporters=exporters)
        counter = tel.counter("c", labels=LABELS)

        @tel.operation("op")
        def operation():
            with tel.span("child", a=1):
                counter.labels(*ROW).inc()

        with tel.start():
            return python_calls(operation)

    alone = calls_with([])
    assert alone == calls_with([Pushing(0)])
    assert alone == calls_with([Pushing(number) for number in range(6)])
    assert "Intake.put" in alone


FIELDS = {"user": 7, "path": "/items", "status": 200, "seconds": 0.5, "cached": True}


@pytest.fixture(scope="module")
def null():
    fd = os.open(os.devnull, os.O_WRONLY)
    yield fd
    os.close(fd)


def logging_instance(null, exporters=()):
    routes = [Route(null, format="json")]
    return Obs("budgets", runtime=False, exporters=exporters, routes=routes)


def test_a_log_record_is_one_call(null):
    tel = logging_instance(null)
    log = tel.logger("shop", region="eu")
    # The clock has its own millisecond: a new one costs a call more.
    tel.logs.stamps.cell[0] = (0, b"")
    with tel.span("a"):
        calls = [python_calls(lambda: log.info("x", **FIELDS)) for _ in range(20)]
    assert ["fused.<locals>.method"] in calls
    assert all(len(it) <= 2 for it in calls)


@pytest.mark.parametrize("exporters", [0, 1, 6])
def test_a_log_record_that_waits_for_exporters_is_one_call(null, exporters):
    tel = logging_instance(null, [Pushing(number) for number in range(exporters)])
    log = tel.logger("shop")
    with tel.start():
        found = [
            # In a context of its own, where nobody has left anything.
            Context().run(python_calls, lambda: log.info("x", **FIELDS))
            for _ in range(20)
        ]
    assert min(found, key=len) == ["fused.<locals>.method"]


def test_a_filtered_log_call_is_one_call(null):
    log = logging_instance(null).logger("shop")
    assert python_calls(lambda: log.debug("x", **FIELDS)) == ["off"]
    assert python_calls(lambda: NULL.logger().info("x", **FIELDS)) == [
        "NullTelemetry.logger", "NullLogger.trace",
    ]  # fmt: skip


def test_to_bind_fields_is_one_call(null):
    log = logging_instance(null).logger("shop")
    assert len(python_calls(lambda: log.bind(a=1))) == 1
