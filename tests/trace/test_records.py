"""Finished spans as records: their fields, times and limits."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import Limits, Obs
from obs._diag import Diag
from obs.model import NO_BAGGAGE, SpanEvent, SpanLink, SpanRecord, TraceContext
from obs.testing import FakeClock, MemoryExporter
from obs.trace import SpanReader, Tracer

REMOTE = TraceContext(
    trace=0xABC,
    span=0xDEF,
    sampled=True,
    tracestate="vendor=1",
    remote=True,
    random=True,
    baggage={"user": "x"},
)
HOUR = 3_600
SECOND = 1_000_000_000
KINDS = ["internal", "server", "client", "producer", "consumer"]


class NotFound(Exception):
    status_code = 404


class CancelledError(BaseException):
    pass


def with_limits(clock=None, **limits):
    memory = MemoryExporter()
    tel = Obs(
        "x",
        exporters=[memory],
        runtime=False,
        strict=True,
        limits=Limits(**limits),
        clock=clock,
    )
    tel.start()
    return tel, memory


def truncated(memory):
    """How many values were cut; none where nobody has counted yet."""
    counts = memory.metrics["obs.truncated"].points
    return sum(it.value for it in counts if it.labels["signal"] == "traces")


# --- fields -----------------------------------------------------------------------------


def test_all_that_a_record_holds(tel, memory, clock):
    begin = clock.time_ns()
    link = SpanLink(REMOTE._replace(span=1), {"reason": "retry"})
    clock.advance(1)
    with tel.span("a", {"x.y": 1}, kind="client", links=[link], z=2) as span:
        clock.advance(0.25)
        span.event("half", n=1)
        clock.advance(0.25)
    trace = span.context.trace
    assert memory.spans == [
        SpanRecord(
            name="a",
            context=TraceContext(trace, span.span_id, sampled=True, random=True),
            parent=0,
            kind="client",
            start_ns=begin + SECOND,
            end_ns=begin + SECOND + SECOND // 2,
            status="unset",
            status_message="",
            outcome="ok",
            error_type="",
            attributes={"x.y": 1, "z": 2},
            events=[SpanEvent("half", begin + SECOND + SECOND // 4, {"n": 1})],
            links=[link],
            remote_parent=False,
            dropped={},
        )
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind(kind, tel, memory):
    with tel.span("a", kind=kind):
        pass
    assert memory.spans[0].kind == kind


@pytest.mark.parametrize(
    ("error", "status", "message", "outcome", "error_type"),
    [
        (None, "unset", "", "ok", ""),
        (ValueError("x"), "error", "x", "error", "ValueError"),
        (ValueError(), "error", "", "error", "ValueError"),
        (NotFound("x"), "unset", "", "ok", ""),
        (GeneratorExit(), "unset", "", "ok", ""),
        (CancelledError(), "unset", "", "cancelled", ""),
        (KeyboardInterrupt(), "unset", "", "aborted", ""),
        (SystemExit(1), "unset", "", "aborted", ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_status_and_outcome(error, status, message, outcome, error_type, tel, memory):
    try:
        with tel.span("a"):
            if error is not None:
                raise error
    except BaseException as raised:
        is_same = raised is error
        assert is_same
    (record,) = memory.spans
    assert (record.status, record.status_message) == (status, message)
    assert (record.outcome, record.error_type) == (outcome, error_type)
    assert len(record.events) == (status == "error")


def test_a_deadline_that_has_passed(tel, memory, clock):
    def work():
        clock.advance(2)
        raise TimeoutError("late")

    with pytest.raises(TimeoutError), tel.trace.deadline(1), tel.span("a"):
        work()
    (record,) = memory.spans
    assert (record.status, record.outcome) == ("error", "deadline_exceeded")
    assert (record.error_type, record.status_message) == ("TimeoutError", "late")
    assert record.attributes == {"deadline.remaining": 1.0}


def test_parents_within_a_process(tel, memory):
    with tel.span("root") as root, tel.span("child") as child, tel.span("leaf"):
        pass
    leaf, middle, top = memory.spans
    assert (top.parent, middle.parent, leaf.parent) == (0, root.span_id, child.span_id)
    assert (top.parent_id, middle.parent_id) == ("", f"{root.span_id:016x}")
    assert [record.remote_parent for record in memory.spans] == [False] * 3
    assert len({record.trace_id for record in memory.spans}) == 1
    assert len({record.span_id for record in memory.spans}) == 3


def test_a_parent_in_another_process(tel, memory):
    with tel.use(REMOTE), tel.span("first") as first, tel.span("second"):
        pass
    with tel.use(REMOTE), tel.span("sibling"):
        pass
    second, one, sibling = memory.spans
    assert (one.parent, sibling.parent) == (REMOTE.span, REMOTE.span)
    assert second.parent == first.span_id
    found = [record.remote_parent for record in memory.spans]
    assert found == [False, True, True]
    for record in memory.spans:
        own = TraceContext(
            REMOTE.trace,
            record.context.span,
            sampled=True,
            tracestate="vendor=1",
            random=True,
        )
        assert record.context == own
        assert record.context.baggage is NO_BAGGAGE
        assert record.tracestate == "vendor=1"
        assert (record.trace_id, record.sampled) == (f"{REMOTE.trace:032x}", True)


def test_a_parent_that_is_a_context_of_this_process(tel, memory):
    with tel.span("a") as span:
        pass
    with tel.span("b", parent=span.context):
        pass
    record = memory.span("b")
    assert (record.parent, record.remote_parent) == (span.span_id, False)
    assert record.trace_id == memory.span("a").trace_id


def test_a_record_does_not_follow_its_span(tel, memory):
    with tel.span("a", x=[1]) as span:
        span.event("e", y=[1])
    before = repr(memory.spans[0])
    span.attributes["x"] = 2
    span.details.events.clear()
    span.name = "b"
    assert repr(memory.spans[0]) == before


def test_a_span_can_be_read_more_than_once():
    tracer = Tracer()
    with pytest.raises(ValueError, match="x"), tracer.span("a", n=1) as span:
        raise ValueError("x")
    reader = SpanReader(tracer.limits, tracer.diag)
    assert reader.read(span) == reader.read(span)


def test_spans_without_details_share_nothing(tel, memory):
    for _ in range(2):
        with tel.span("a"):
            pass
    one, other = memory.spans
    for name in ("attributes", "events", "links", "dropped"):
        assert getattr(one, name) is not getattr(other, name)


# --- limits -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["start", "set", "both", "one by one"])
@pytest.mark.parametrize("n", [3, 4, 10])
def test_attributes_are_kept_to_a_limit(how, n):
    tel, memory = with_limits(attributes=3)
    given = {f"a{index}": index for index in range(n)}
    with tel.span("a", given if how in {"start", "both"} else None) as span:
        if how in {"set", "both"}:
            span.set(given)
        if how == "one by one":
            for name, value in given.items():
                span.set({name: value})
    (record,) = memory.spans
    assert record.attributes == {"a0": 0, "a1": 1, "a2": 2}
    assert record.dropped == ({"attributes": n - 3} if n > 3 else {})
    assert truncated(memory) == n - 3


def test_an_attribute_that_is_there_can_be_set_again_at_the_limit():
    tel, memory = with_limits(attributes=2)
    with tel.span("a", x=1, y=1) as span:
        span.set(z=1, x=2)
        span.set(y=2)
    (record,) = memory.spans
    assert record.attributes == {"x": 2, "y": 2}
    assert record.dropped == {"attributes": 1}


def test_names_that_become_the_same_count_as_left_out():
    tel, memory = with_limits(value_chars=3)
    with tel.span("a", long_one=1, long_two=2):
        pass
    (record,) = memory.spans
    assert record.attributes == {"lo…": 2}
    assert record.dropped == {"attributes": 1}


@pytest.mark.parametrize("n", [3, 4, 10])
def test_events_are_kept_to_a_limit(n):
    tel, memory = with_limits(events=3)
    with tel.span("a") as span:
        for index in range(n):
            span.event(f"e{index}")
    (record,) = memory.spans
    assert [event.name for event in record.events] == ["e0", "e1", "e2"]
    assert record.dropped == ({"events": n - 3} if n > 3 else {})
    assert truncated(memory) == n - 3


def test_an_exception_counts_as_an_event():
    tel, memory = with_limits(events=1)
    with tel.span("a") as span:
        span.event("first")
        span.fail(ValueError("x"))
    (record,) = memory.spans
    assert [event.name for event in record.events] == ["exception"]
    assert record.dropped == {"events": 1}
    assert record.error_type == "ValueError"


@pytest.mark.parametrize("how", ["start", "link", "both"])
@pytest.mark.parametrize("n", [3, 4, 10])
def test_links_are_kept_to_a_limit(how, n):
    tel, memory = with_limits(links=3)
    contexts = [REMOTE._replace(span=index + 1) for index in range(n)]
    at_start = {"start": contexts, "link": [], "both": contexts[:2]}[how]
    with tel.span("a", links=at_start) as span:
        for context in contexts[len(at_start) :]:
            span.link(context)
    (record,) = memory.spans
    assert [link.context.span for link in record.links] == [1, 2, 3]
    assert list(record.dropped) == ["links"] * (n > 3)
    assert record.dropped.get("links", 0) == truncated(memory) == n - 3


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("what", ["event", "link"])
def test_attributes_of_events_and_links_are_kept_to_a_limit(what, n):
    tel, memory = with_limits(attributes=3)
    given = {f"a{index}": index for index in range(n)}
    with tel.span("a") as span:
        if what == "event":
            span.event("e", **given)
        else:
            span.link(SpanLink(REMOTE, given))
    (record,) = memory.spans
    (found,) = record.events or record.links
    assert found.attributes == {"a0": 0, "a1": 1, "a2": 2}
    # The record's own counts are of the span's own.
    assert record.dropped == {}
    assert truncated(memory) == n - 3


def test_all_that_is_left_out_of_a_span_is_counted():
    tel, memory = with_limits(attributes=1, events=1, links=1)
    with tel.span("a", x=1, y=2, links=[REMOTE]) as span:
        for _ in range(3):
            span.event("e")
        span.link(REMOTE)
    (record,) = memory.spans
    assert record.dropped == {"attributes": 1, "events": 2, "links": 1}
    assert truncated(memory) == 4


def test_of_events_the_newest_find_room():
    tel, memory = with_limits(record_bytes=400)
    with tel.span("a") as span:
        for index in range(4):
            span.event(f"e{index}", text="x" * 150)
    (record,) = memory.spans
    assert [event.name for event in record.events] == ["e1", "e2", "e3"]
    texts = [
        len(event.attributes["text"]) for event in record.events if event.attributes
    ]
    assert texts[-2:] == [150, 150]
    assert record.dropped == {"events": 1}


@pytest.mark.parametrize("length", [10, 11])
def test_the_message_and_the_type_of_an_error_are_cut(length):
    tel, memory = with_limits(value_chars=10)
    kind = type("N" * length, (Exception,), {})
    with tel.span("a") as span:
        span.fail(kind("m" * length))
    (record,) = memory.spans
    is_cut = length > 10
    assert record.error_type == "N" * (10 - is_cut) + "…" * is_cut
    assert record.status_message == "m" * (10 - is_cut) + "…" * is_cut


@given(
    st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), *[st.integers(1, 4)] * 3
)
def test_what_is_kept_and_what_is_dropped_make_up_what_was_given(
    attributes, events, links, most_attributes, most_events, most_links
):
    tel, memory = with_limits(
        attributes=most_attributes, events=most_events, links=most_links
    )
    with tel.span("a", {f"a{index}": 1 for index in range(attributes)}) as span:
        for index in range(events):
            span.event(f"e{index}")
        for index in range(links):
            span.link(REMOTE._replace(span=index + 1))
    tel.close()
    (record,) = memory.spans
    for what, n, most in (
        ("attributes", attributes, most_attributes),
        ("events", events, most_events),
        ("links", links, most_links),
    ):
        assert len(getattr(record, what)) == min(n, most)
        assert record.dropped.get(what, 0) == max(n - most, 0)
        assert (what in record.dropped) == (n > most)


# --- times ------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_inside_a_span_changes_no_duration(jump, tel, memory, clock):
    begin = clock.time_ns()
    with tel.span("outer") as outer:
        clock.advance(1)
        clock.jump(jump)
        outer.event("after")
        with tel.span("inner"):
            clock.advance(2)
            clock.jump(jump)
        clock.advance(3)
    inner, record = memory.spans
    # A trace has one anchor, so its spans stay in order.
    assert (record.start_ns, record.end_ns) == (begin, begin + 6 * SECOND)
    assert (inner.start_ns, inner.end_ns) == (begin + SECOND, begin + 3 * SECOND)
    assert record.events[0].time_ns == begin + SECOND


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_new_trace_asks_the_wall_clock_again(jump, tel, memory, clock):
    begin = clock.time_ns()
    with tel.span("a"):
        clock.jump(jump)
    with tel.span("b"):
        pass
    assert [it.start_ns for it in memory.spans] == [begin, begin + jump * SECOND]


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_after_a_minute_a_trace_asks_the_wall_clock_again(jump, tel, memory, clock):
    begin = clock.time_ns()
    with tel.span("root"):
        clock.jump(jump)
        clock.advance(60)
        with tel.span("at 60 s"):
            clock.advance(1)
        with tel.span("at 61 s"):
            clock.advance(120)
        with tel.span("at 181 s"):
            pass
    times = {it.name: (it.start_ns - begin) / SECOND for it in memory.spans}
    assert times == {
        "root": 0,
        "at 60 s": 60,
        "at 61 s": 61 + jump,
        "at 181 s": 181 + jump,
    }
    durations = {it.name: (it.end_ns - it.start_ns) / SECOND for it in memory.spans}
    assert durations == {"root": 181, "at 60 s": 1, "at 61 s": 120, "at 181 s": 0}


def test_the_anchor_is_asked_for_once_a_minute(clock):
    class Counting(FakeClock):
        asked = 0

        def time_ns(self):
            self.asked += 1
            return super().time_ns()

    clock = Counting()
    tracer = Tracer(clock=clock)
    with tracer.span("root"):
        for _ in range(121):
            with tracer.span("a"):
                clock.advance(1)
    assert clock.asked == 2


def test_a_start_that_is_given(tel, memory, clock):
    start = clock.time_ns() - 5 * SECOND
    with tel.span("a", start=start):
        clock.advance(1)
    (record,) = memory.spans
    assert (record.start_ns, record.end_ns) == (start, start + 6 * SECOND)


def test_a_start_in_the_future_ends_no_span_before_it_starts(tel, memory, clock):
    start = clock.time_ns() + HOUR * SECOND
    with tel.span("a", start=start):
        clock.advance(1)
    (record,) = memory.spans
    assert (record.start_ns, record.end_ns) == (start, start)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(-HOUR, HOUR)), max_size=8))
def test_no_span_ends_before_it_starts_whatever_the_wall_clock_does(steps):
    clock = FakeClock()
    tel, memory = with_limits(clock=clock)
    lasted = []
    with tel.span("root"):
        for seconds, jump in steps:
            with tel.span("a"):
                before = clock.monotonic_ns()
                clock.advance(seconds)
                clock.jump(jump)
                lasted.append(clock.monotonic_ns() - before)
    tel.close()
    assert [it.end_ns - it.start_ns for it in memory.spans[:-1]] == lasted
    assert memory.spans[-1].end_ns - memory.spans[-1].start_ns == sum(lasted)


# --- who still writes -------------------------------------------------------------------


def test_a_span_that_another_thread_still_writes_to_is_read():
    tracer = Tracer(limits=Limits(attributes=10_000))
    reader = SpanReader(tracer.limits, Diag(strict=True))
    span, stop = tracer.span("a"), threading.Event()

    def write():
        index = 0
        while not stop.is_set():
            index += 1
            span.set({f"a{index % 3_000}": index})
            if index % 3_000 == 0:
                span.attributes.clear()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(50):
            assert isinstance(reader.read(span), SpanRecord)
    finally:
        stop.set()
        thread.join(30)
