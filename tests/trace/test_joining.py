"""Contexts from and to other processes: use, inject, extract, trust, baggage, deadlines."""

import asyncio
import copy
import pickle

import pytest

from obs import NULL, DefinitionError, Obs
from obs._context import current
from obs.model import BaggageValue, TraceContext
from obs.testing import FakeClock, MemoryExporter
from obs.trace import Never, Tracer

TRACE, SPAN = "a" * 32, "b" * 16
HEADERS = {
    "Traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "vendor=1",
    "baggage": "tenant=acme,user=42;ttl=60",
}


@pytest.fixture
def make(clock):
    """Gives an instance of these options, and its exporter."""
    made = []

    def make(**options):
        memory = MemoryExporter()
        tel = Obs("x", exporters=[memory], runtime=False, strict=True, **options)
        tel.start()
        made.append(tel)
        return tel, memory

    yield make
    for tel in made:
        tel.close()


# --- a trace goes on --------------------------------------------------------------------


def test_a_service_in_the_middle_goes_on_with_the_trace(tel, memory):
    with tel.use(tel.extract(HEADERS)), tel.span("server", kind="server") as server:
        sent = tel.inject()
    record = memory.span("server")
    assert (record.trace_id, record.parent_id) == (TRACE, SPAN)
    assert (record.remote_parent, record.tracestate) == (True, "vendor=1")
    assert sent == {
        "traceparent": f"00-{TRACE}-{server.context.span_id}-01",
        "tracestate": "vendor=1",
        "baggage": "tenant=acme,user=42;ttl=60",
    }
    assert tel.inject() == {}


def test_without_a_span_the_context_is_forwarded_as_it_came(tel, memory):
    with tel.use(tel.extract(HEADERS)) as context:
        assert context.trace_id == TRACE
        assert tel.inject({"x": "y"}) == {
            "x": "y",
            "traceparent": f"00-{TRACE}-{SPAN}-01",
            "tracestate": "vendor=1",
            "baggage": "tenant=acme,user=42;ttl=60",
        }
    assert memory.spans == []


@pytest.mark.parametrize("off", [NULL, Tracer(sampler=Never())], ids=["NULL", "Never"])
def test_with_tracing_off_ids_and_baggage_are_forwarded(off):
    with off.use(off.extract(HEADERS)), off.span("server"):
        sent = off.inject()
    assert sent["traceparent"].split("-")[1] == TRACE
    assert sent["tracestate"] == "vendor=1"
    assert "tenant=acme" in sent["baggage"]


def test_null_adds_baggage():
    with NULL.use(baggage={"a": "1"}):
        assert NULL.inject() == {"baggage": "a=1"}
    with NULL.use("nonsense"):
        assert NULL.inject() == {}


def test_two_requests_in_one_context_are_two_local_roots(tel, memory):
    with tel.use(tel.extract(HEADERS)):
        for name in ("first", "second"):
            with tel.span(name):
                pass
    assert [span.parent_id for span in memory.spans] == [SPAN, SPAN]
    assert all(span.remote_parent for span in memory.spans)


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, None, []])
def test_an_empty_context_changes_nothing(tel, memory, headers):
    context = tel.extract(headers)
    assert not context
    assert context.trace_id == ""
    with tel.span("around"), tel.use(context), tel.span("below"):
        pass
    assert memory.tree() == "around\n  below"


def test_a_context_of_this_process_is_gone_on_with_elsewhere(tel, memory):
    with tel.span("a") as a:
        saved = pickle.loads(pickle.dumps(a.context))
    with tel.use(saved), tel.span("b"):
        pass
    with tel.use(a), tel.span("c"):
        pass
    for name in ("b", "c"):
        assert memory.span(name).parent_id == memory.span("a").span_id
        assert not memory.span(name).remote_parent


def test_what_upstream_has_decided_counts(make):
    tel, memory = make()
    unsampled = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    with tel.use(tel.extract(unsampled)), tel.span("s"):
        sent = tel.inject()["traceparent"]
    assert memory.spans == []
    assert sent.startswith(f"00-{TRACE}-")
    assert sent.endswith("-00")


def test_debug_of_b3_records_in_any_case(make):
    tel, memory = make(sampler=Never(), propagators=["b3"])
    with tel.use(tel.extract({"b3": f"{TRACE}-{SPAN}-d"})), tel.span("s") as span:
        sent = tel.inject()
    assert memory.span("s").trace_id == TRACE
    assert sent == {"b3": f"{TRACE}-{span.context.span_id}-d"}


@pytest.mark.parametrize(("header", "recorded"), [("0", 0), ("1", 1), ("d", 1)])
def test_a_decision_of_b3_without_ids_counts_for_the_new_trace(make, header, recorded):
    tel, memory = make(propagators=["b3"])
    with tel.use(tel.extract({"b3": header})), tel.span("s"):
        pass
    assert len(memory.spans) == recorded
    assert all(span.parent_id == "" for span in memory.spans)


def test_all_formats_are_written(make):
    tel, _ = make(propagators=["tracecontext", "baggage", "b3", "b3multi", "jaeger"])
    with tel.span("s"):
        assert set(tel.inject()) == {
            "traceparent",
            "b3",
            "x-b3-traceid",
            "x-b3-spanid",
            "x-b3-sampled",
            "uber-trace-id",
        }


def test_all_of_a_span_travels_in_lists_and_tuples_too(tel):
    with tel.span("s") as span:
        text = f"00-{span.context.trace_id}-{span.context.span_id}-03"
        assert tel.inject([]) == [("traceparent", text)]
        assert tel.inject(()) == (("traceparent", text),)
        asgi = [(b"host", b"x"), (b"Traceparent", b"old")]
        assert tel.inject(asgi) is asgi
        assert (b"traceparent", text.encode()) in asgi
        assert (b"Traceparent", b"old") not in asgi


# --- trust ------------------------------------------------------------------------------


def test_trust_link_starts_a_trace_that_points_to_the_other(make):
    tel, memory = make(trust="link")
    with tel.use(tel.extract(HEADERS)):
        assert tel.inject() == {}
        with tel.span("first"), tel.span("child"):
            assert tel.trace.baggage() == {}
        with tel.span("second"):
            pass
    for name in ("first", "second"):
        record = memory.span(name)
        assert record.trace_id != TRACE
        assert (record.parent_id, record.remote_parent) == ("", False)
        assert [link.context.trace_id for link in record.links] == [TRACE]
    assert memory.span("child").links == []


def test_trust_ignore_knows_nothing_of_the_other(make):
    tel, memory = make(trust="ignore", sampler=Never())
    with tel.use(tel.extract(HEADERS)), tel.span("s"):
        assert tel.trace.baggage() == {}
        assert TRACE not in tel.inject()["traceparent"]
    tel, memory = make(trust="ignore")
    with tel.use(tel.extract(HEADERS)), tel.span("s"):
        pass
    assert memory.span("s").links == []
    assert memory.span("s").trace_id != TRACE


@pytest.mark.parametrize(
    ("trust", "parent", "linked"),
    [("continue", SPAN, []), ("link", "", [TRACE]), ("ignore", "", [])],
)
def test_trust_is_about_parents_too(make, trust, parent, linked):
    tel, memory = make(trust=trust)
    with tel.span("around"), tel.span("s", parent=tel.extract(HEADERS)):
        pass
    record = memory.span("s")
    assert record.parent_id == parent
    assert (record.trace_id == TRACE) is bool(parent)
    assert record.trace_id != memory.span("around").trace_id
    assert [link.context.trace_id for link in record.links] == linked


@pytest.mark.parametrize("headers", [HEADERS, {"baggage": "a=1"}, {"b3": "0"}, {}])
def test_what_is_ignored_changes_nothing(make, headers):
    tel, memory = make(trust="ignore", propagators=["tracecontext", "baggage", "b3"])
    with tel.span("around"), tel.use(tel.extract(headers)), tel.span("below"):
        assert tel.trace.baggage() == {}
    assert memory.tree() == "around\n  below"


def test_baggage_without_a_context_is_nothing_to_link_to(make):
    tel, memory = make(trust="link")
    with (
        tel.span("around"),
        tel.use(tel.extract({"baggage": "a=1"})),
        tel.span("below"),
    ):
        assert tel.trace.baggage() == {}
    assert memory.tree() == "around\n  below"


def test_trust_is_about_other_processes_only(make):
    tel, memory = make(trust="ignore")
    with tel.span("a") as a:
        pass
    with tel.use(a.context), tel.span("b"):
        pass
    assert memory.span("b").parent_id == memory.span("a").span_id


def test_an_upstream_that_forces_sampling_is_not_followed_without_trust(make):
    tel, memory = make(trust="link", sampler=Never())
    for flags in ("00", "01"):
        context = tel.extract({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"})
        with tel.use(context), tel.span("s"):
            pass
    assert memory.spans == []


# --- baggage ----------------------------------------------------------------------------


def test_baggage_is_added_changed_and_taken_away(tel):
    with tel.use(tel.extract(HEADERS), baggage={"tenant": "other", "new": 7}):
        assert dict(tel.trace.baggage()) == {"tenant": "other", "user": "42", "new": 7}
        with tel.use(baggage={"user": None, "ü": "dropped"}):
            assert "user" not in tel.trace.baggage()
        with tel.use(baggage={"user": None}):
            assert tel.inject()["baggage"] == "tenant=other,new=7"
        assert tel.trace.baggage()["user"].properties == "ttl=60"
    assert tel.trace.baggage() == {}


def test_baggage_alone_is_carried_too(tel):
    context = tel.extract({"baggage": "a=1"})
    assert not context
    with tel.use(context):
        assert tel.inject() == {"baggage": "a=1"}
        with tel.span("s"):
            assert tel.inject()["baggage"] == "a=1"


def test_baggage_of_tasks_is_their_own(tel):
    async def work(name):
        with tel.use(baggage={"name": name}):
            await asyncio.sleep(0)
            return dict(tel.trace.baggage())

    async def main():
        return await asyncio.gather(*(work(f"t{n}") for n in range(5)))

    assert asyncio.run(main()) == [{"name": f"t{n}"} for n in range(5)]


def test_baggage_values_can_be_copied():
    value = BaggageValue("a", "p=1")
    for twin in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert (twin, twin.properties) == ("a", "p=1")
    context = TraceContext(1, 2, baggage={"a": value})
    assert pickle.loads(pickle.dumps(context)) == context


def test_baggage_that_came_can_be_pickled(tel):
    for headers in (HEADERS, {"baggage": "a=1,b=2"}):
        context = tel.extract(headers)
        again = pickle.loads(pickle.dumps(context))
        assert dict(again.baggage) == dict(context.baggage)


# --- deadlines --------------------------------------------------------------------------


def test_spans_say_how_much_time_was_left(tel, memory, clock):
    with tel.trace.deadline(2.0):
        with tel.span("early"):
            clock.advance(1.5)
        with tel.span("late"), tel.trace.deadline(10.0), tel.span("nested"):
            pass
        with tel.trace.deadline(0.1), tel.span("shorter"):
            pass
        clock.advance(1)
        with tel.span("over"):
            pass
    with tel.span("free"):
        pass
    left = {s.name: s.attributes.get("deadline.remaining") for s in memory.spans}
    assert left == {
        "early": 2.0,
        "late": 0.5,
        "nested": 0.5,
        "shorter": 0.1,
        "over": -0.5,
        "free": None,
    }


class ReadTimeout(Exception):
    """As HTTP clients have it: no TimeoutError."""


@pytest.mark.parametrize(
    ("error", "in_time", "late"),
    [
        (asyncio.CancelledError, "cancelled", "deadline_exceeded"),
        (TimeoutError, "error", "deadline_exceeded"),
        (ReadTimeout, "error", "deadline_exceeded"),
        (ValueError, "error", "error"),
        (KeyboardInterrupt, "aborted", "aborted"),
    ],
)
@pytest.mark.parametrize("is_decorated", [True, False])
def test_a_deadline_that_has_passed_is_an_outcome_of_its_own(
    tel, memory, clock, error, in_time, late, is_decorated
):
    def fail():
        raise error

    @tel.operation("s")
    def decorated():
        fail()

    def by_hand():
        with tel.span("s"):
            fail()

    work = decorated if is_decorated else by_hand
    with tel.trace.deadline(1), pytest.raises(error):
        work()
    assert memory.spans[0].outcome == in_time
    with tel.trace.deadline(1):
        clock.advance(1)
        with pytest.raises(error):
            work()
    record = memory.spans[1]
    assert record.outcome == late
    if late == "deadline_exceeded":
        assert record.status == "error"
        assert record.error_type == error.__name__
        assert record.events[0].name == "exception"
    if is_decorated:
        outcomes = {
            p.labels["outcome"] for p in memory.metrics["operation.duration"].points
        }
        assert outcomes == {in_time, late}


def test_asyncio_timeout_and_a_deadline_go_together(tel, memory, clock):
    async def main():
        with tel.trace.deadline(0.001):
            clock.advance(1)
            async with asyncio.timeout(0.001):
                with tel.span("slow"):
                    await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert memory.span("slow").outcome == "deadline_exceeded"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), "1", None, True])
def test_a_deadline_is_checked(tel, seconds):
    with pytest.raises(DefinitionError) as raised:
        tel.trace.deadline(seconds)
    text = f"deadline: got {seconds!r}, needs a finite number of seconds."
    assert str(raised.value) == text


def test_nothing_is_left_behind(tel):
    joined = tel.use(tel.extract(HEADERS), baggage={"a": "1"})
    with joined, tel.trace.deadline(1), tel.span("s"):
        pass
    assert current() is None
    assert tel.trace.baggage() == {}
    with tel.span("s") as span:
        assert "deadline.remaining" not in span.attributes


def test_a_deadline_by_another_clock(tel):
    other = Tracer(clock=FakeClock())
    with other.deadline(1), other.span("s") as span:
        assert span.attributes == {"deadline.remaining": 1.0}
