"""A span from its start to its end, and what it stands below."""

import asyncio
import contextvars
import gc
import pickle
import random
import threading
import weakref

import pytest

from obs import NULL, DefinitionError, InvalidValue, Limits, Obs
from obs.model import SpanLink, TraceContext
from obs.testing import MemoryExporter
from obs.trace import Never, Tracer
from tests.survival.processes import Fork, in_fresh

OK = {"outcome": "ok", "error_type": ""}
REMOTE = TraceContext(0xA, 0xB, sampled=True, remote=True)


@pytest.fixture
def lenient(clock):
    """An instance that is not strict, its exporter, and what it wrote."""
    memory = MemoryExporter()
    tel = Obs("lenient", exporters=[memory], runtime=False, clock=clock)
    with tel.start():
        yield tel, memory


def dropped(tel, reason="invalid"):
    return tel.snapshot()["obs.dropped"].value(
        signal="traces", exporter="", reason=reason
    )


# --- one span ---------------------------------------------------------------------------


def test_a_span_of_a_block(tel, memory, clock):
    begin = clock.time_ns()
    clock.advance(1)
    with tel.span("charge", {"psp.name": "stripe"}, kind="client", attempt=1) as span:
        assert tel.trace.current_span() is span
        clock.advance(0.25)
        span.set({"psp.id": "x"}, attempt=2)
    (record,) = memory.spans
    assert (record.name, record.kind) == ("charge", "client")
    assert record.attributes == {"psp.name": "stripe", "psp.id": "x", "attempt": 2}
    assert record.start_ns == begin + 1_000_000_000
    assert record.end_ns - record.start_ns == 250_000_000
    assert (record.status, record.outcome, record.error_type) == ("unset", "ok", "")
    assert (record.parent_id, record.remote_parent) == ("", False)
    assert (record.sampled, record.tracestate, record.dropped) == (True, "", {})
    assert len(record.trace_id) == 32
    assert len(record.span_id) == 16
    assert span.context.trace_id == record.trace_id


def test_an_asynchronous_block(tel, memory):
    async def main():
        async with tel.span("outer") as span:
            assert tel.trace.current_span() is span
            await asyncio.sleep(0)
        try:
            async with tel.span("failing"):
                raise KeyError
        except KeyError:
            pass

    asyncio.run(main())
    assert memory.span("outer").outcome == "ok"
    assert memory.span("failing").error_type == "KeyError"


def test_a_span_without_a_block_starts_when_it_is_made(tel, memory, clock):
    span = tel.span("by hand")
    assert tel.trace.current_span().context.trace_id == ""
    clock.advance(2)
    with tel.span("unrelated"):
        pass
    span.end()
    record = memory.span("by hand")
    assert record.end_ns - record.start_ns == 2_000_000_000
    assert memory.span("unrelated").trace_id != record.trace_id


def test_what_comes_after_the_end_is_ignored(tel, memory, clock):
    with tel.span("once") as span:
        span.end()
        clock.advance(1)
        span.set(a=1)
        span.event("late")
        span.link(REMOTE)
        span.fail(KeyError())
        span.end()
        assert tel.trace.current_span() is span, "the block has not ended"
    (record,) = memory.spans
    assert record.end_ns == record.start_ns
    assert (record.attributes, record.events, record.links) == ({}, [], [])
    assert record.outcome == "ok"


def test_a_start_in_the_past(tel, memory, clock):
    start = clock.time_ns() - 5_000_000_000
    with tel.span("queued", start=start):
        clock.advance(1)
    (record,) = memory.spans
    assert record.start_ns == start
    assert record.end_ns - record.start_ns == 6_000_000_000


def test_an_end_before_the_start_counts_as_the_start(tel, memory, clock):
    with tel.span("early", start=clock.time_ns() + 10**12):
        pass
    (record,) = memory.spans
    assert record.end_ns == record.start_ns


def test_events_have_a_time_and_attributes(tel, memory, clock):
    with tel.span("s") as span:
        clock.advance(0.5)
        span.event("retry", attempt=2, hosts=["a"])
    (record,) = memory.spans
    (event,) = record.events
    assert (event.name, event.attributes) == ("retry", {"attempt": 2, "hosts": ["a"]})
    assert event.time_ns - record.start_ns == 500_000_000


@pytest.mark.parametrize(
    ("name", "text"), [(5, "5"), (None, ""), (b"x", "x"), (["a"], "['a']")]
)
def test_a_name_that_is_no_text_becomes_one_and_is_no_wrong_argument(
    name, text, tel, memory
):
    with tel.span(name) as span:
        span.event(name)
    (record,) = memory.spans
    assert (record.name, [event.name for event in record.events]) == (text, [text])
    assert dropped(tel) == 0


def test_links_of_all_kinds(tel, memory):
    other = tel.span("other")
    link = SpanLink(TraceContext(1, 2), {"why": "retry"})
    with tel.span("s", links=[REMOTE, other, TraceContext()]) as span:
        span.link(link)
        span.link(other)
    record = memory.span("s")
    assert [it.context.trace for it in record.links] == [
        REMOTE.trace,
        other.context.trace,
        1,
        other.context.trace,
    ]
    assert record.links[2].attributes == {"why": "retry"}


def test_containers_are_copied_when_they_are_given(tel, memory):
    given = {"list": [1, {"deep": [2]}]}
    more = ["x"]
    with tel.span("s", given, kw=more) as span:
        given["list"][1]["deep"].append(3)
        more.append("y")
        span.set({"set": given["list"]}, kw2=more)
        span.event("e", list=more)
        more.append("z")
        given["list"].clear()
    (record,) = memory.spans
    assert record.attributes == {
        "list": [1, {"deep": [2]}],
        "kw": ["x"],
        "set": [1, {"deep": [2, 3]}],
        "kw2": ["x", "y"],
    }
    assert record.events[0].attributes == {"list": ["x", "y"]}


def test_limits_are_kept_and_what_does_not_fit_is_counted(clock):
    memory = MemoryExporter()
    limits = Limits(attributes=3, events=2, links=1, value_chars=10)
    tel = Obs("x", exporters=[memory], runtime=False, limits=limits, strict=True)
    with tel.start():
        with tel.span("s", {"a": 1, "b": 2}, links=[REMOTE, REMOTE]) as span:
            span.set(b=3, c=4)
            span.set(b=5, d=6, e=7)
            span.link(REMOTE)
            for number in range(5):
                span.event(f"e{number}")
        with tel.span("start", {str(n): n for n in range(5)}):
            pass
        truncated = tel.snapshot()["obs.truncated"].value(signal="traces")
    record, start = memory.spans
    assert record.attributes == {"a": 1, "b": 5, "c": 4}
    assert [event.name for event in record.events] == ["e0", "e1"]
    assert len(record.links) == 1
    assert record.dropped == {"attributes": 2, "links": 2, "events": 3}
    assert start.attributes == {"0": 0, "1": 1, "2": 2}
    assert start.dropped == {"attributes": 2}
    assert truncated == 9


def test_a_failure_that_the_block_does_not_raise(tel, memory):
    with tel.span("s") as span:
        try:
            raise KeyError("missing")
        except KeyError as error:
            span.fail(error)
    (record,) = memory.spans
    assert (record.outcome, record.error_type) == ("error", "KeyError")
    assert (record.status, record.status_message) == ("error", "'missing'")
    assert record.events[0].attributes["exception.type"] == "KeyError"


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (ValueError("x"), "error", "error"),
        (asyncio.CancelledError(), "cancelled", "unset"),
        (KeyboardInterrupt(), "aborted", "unset"),
        (SystemExit(1), "aborted", "unset"),
        (GeneratorExit(), "ok", "unset"),
        (type("NotFound", (Exception,), {"status_code": 404})(), "ok", "unset"),
        (type("Broken", (Exception,), {"status_code": 503})(), "error", "error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exception_that_ends_a_block_gives_the_outcome(
    tel, memory, error, outcome, status
):
    with pytest.raises(type(error)) as raised, tel.span("s"):
        raise error
    assert raised.value is error
    (record,) = memory.spans
    assert (record.outcome, record.status) == (outcome, status)
    assert len(record.events) == (status == "error")


def test_classify_of_the_instance_decides_about_spans_too(clock):
    memory = MemoryExporter()
    tel = Obs(
        "x",
        exporters=[memory],
        runtime=False,
        classify=lambda error: "ok" if isinstance(error, KeyError) else None,
    )
    with tel.start():
        for error in (KeyError(), ValueError()):
            with pytest.raises(type(error)), tel.span("s"):
                raise error
    assert [span.outcome for span in memory.spans] == ["ok", "error"]


def test_neither_the_exception_nor_its_frames_are_kept(tel, memory):
    class Thing:
        pass

    class Mine(Exception):
        pass

    def fail():
        thing = Thing()
        things.append(weakref.ref(thing))
        raise noted(Mine())

    def noted(error):
        things.append(weakref.ref(error))
        return error

    things = []
    gc.disable()
    try:
        try:
            with tel.span("s"):
                fail()
        except Mine:
            pass
        assert [thing() for thing in things] == [None, None]
    finally:
        gc.enable()


# --- what it stands below ---------------------------------------------------------------


def test_children_and_their_children(tel, memory):
    with tel.span("a"):
        with tel.span("b"), tel.span("c"):
            pass
        with tel.span("d"):
            pass
    with tel.span("e"):
        pass
    assert memory.tree() == "a\n  b\n    c\n  d\ne"


def test_spans_of_several_instances_are_parents_of_each_other(tel, memory):
    other_memory = MemoryExporter()
    other = Obs("other", exporters=[other_memory], runtime=False)
    with other.start(), tel.span("a"), other.span("b"), tel.span("c"):
        pass
    assert [span.name for span in other_memory.spans] == ["b"]
    assert other_memory.spans[0].parent_id == memory.span("a").span_id
    assert memory.span("c").parent_id == other_memory.spans[0].span_id


def test_a_parent_that_is_given(tel, memory):
    span = tel.span("parent")
    with tel.span("around"):
        with tel.span("by span", parent=span) as by_span:
            assert tel.trace.current_span() is by_span
        with tel.span("by context", parent=span.context), tel.span("below"):
            pass
        with tel.span("no parent", parent=TraceContext()):
            pass
    span.end()
    for name in ("by span", "by context"):
        assert memory.span(name).parent_id == memory.span("parent").span_id
        assert memory.span(name).trace_id == memory.span("parent").trace_id
        assert not memory.span(name).remote_parent
    assert memory.span("below").parent_id == memory.span("by context").span_id
    assert memory.span("no parent").parent_id == ""
    assert memory.span("no parent").trace_id != memory.span("around").trace_id


def test_a_local_root_is_the_first_of_this_process(tel):
    with tel.span("root") as root, tel.span("child") as child:
        assert (root.is_local_root, child.is_local_root) == (True, False)
    with tel.use(REMOTE), tel.span("first") as first, tel.span("second") as second:
        assert (first.is_local_root, second.is_local_root) == (True, False)


def test_ends_in_another_order_than_the_starts(tel, memory):
    a, b = tel.span("a"), tel.span("b")
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert tel.trace.current_span() is b
    b.__exit__(None, None, None)
    assert tel.trace.current_span().context.trace_id == ""
    with tel.span("c"):
        pass
    assert memory.span("c").parent_id == ""


def test_a_block_that_ends_in_another_context_leaves_none_behind(tel, memory):
    span = tel.span("s")
    with tel.span("around") as around:
        span.__enter__()
        contextvars.Context().run(span.__exit__, None, None, None)
        assert tel.trace.current_span() is around
        with tel.span("next"):
            pass
    assert memory.span("next").parent_id == memory.span("around").span_id


def test_the_tasks_of_a_group_are_below_its_span_and_fail_each_by_itself(tel, memory):
    @tel.operation("work")
    async def work(fails):
        await asyncio.sleep(0)
        if fails:
            raise KeyError
        await asyncio.sleep(60)

    async def main():
        with tel.span("group"):
            async with asyncio.TaskGroup() as group:
                for fails in (False, True, False):
                    group.create_task(work(fails))

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    group = memory.span("group")
    assert (group.outcome, group.error_type) == ("error", "ExceptionGroup")
    works = [span for span in memory.spans if span.name == "work"]
    assert {span.parent_id for span in works} == {group.span_id}
    assert sorted(span.outcome for span in works) == ["cancelled", "cancelled", "error"]


def test_a_task_that_outlives_its_parent_stays_below_it(tel, memory):
    async def later(parent_ended):
        await parent_ended.wait()
        with tel.span("child"):
            pass

    async def main():
        ended = asyncio.Event()
        with tel.span("parent"):
            task = asyncio.create_task(later(ended))
            await asyncio.sleep(0)
        ended.set()
        await task

    asyncio.run(main())
    assert memory.span("child").parent_id == memory.span("parent").span_id


def test_an_empty_thread_has_no_parent_and_a_wrapped_function_has(tel, memory):
    def work(name):
        with tel.span(name):
            pass

    with tel.span("root"):
        wrapped = tel.trace.wrap(work)
    threads = [threading.Thread(target=wrapped, args=[f"w{n}"]) for n in range(4)]
    threads.append(threading.Thread(target=work, args=["alone"]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrapped.__name__ == "work"
    assert memory.span("alone").parent_id == ""
    for number in range(4):
        assert memory.span(f"w{number}").parent_id == memory.span("root").span_id


def test_an_endpoint_takes_the_server_span_around_it(tel, memory):
    @tel.endpoint("place", labels=("channel",), record=("order",))
    def place(channel, order):
        return inner()

    @tel.endpoint("inner")
    def inner():
        return tel.trace.current_span()

    with tel.span("POST /orders", kind="server"):
        place("web", 7)
    assert memory.tree() == "POST /orders\n  inner"
    server = memory.span("POST /orders")
    assert server.attributes == {"channel": "web", "order": 7}
    place("web", 8)
    assert memory.span("place").kind == "server"
    assert memory.span("place").parent_id == ""
    assert (
        memory.value("operation.duration", operation="place", channel="web", **OK) == 2
    )


def test_an_endpoint_says_how_the_server_span_ended(tel, memory):
    @tel.endpoint("place", classify=lambda error: "ok")
    def place():
        raise KeyError

    @tel.endpoint("fails")
    def fails():
        raise KeyError

    with pytest.raises(KeyError), tel.span("a", kind="server"):
        place()
    with tel.span("b", kind="server"), pytest.raises(KeyError):
        fails()
    assert memory.span("a").outcome == "ok"
    assert memory.span("b").outcome == "error"
    assert len(memory.span("b").events) == 1


def test_an_endpoint_leaves_other_spans_alone(tel, memory):
    other = Obs("other", runtime=False)

    @tel.endpoint("place")
    def place():
        pass

    with tel.span("client", kind="client"):
        place()
    with other.span("server of another instance", kind="server"):
        place()
    assert [span.name for span in memory.spans] == ["place", "client", "place"]


def test_an_operation_has_kind_labels_and_record(tel, memory):
    class Order:
        def __repr__(self):
            return "Order"

    @tel.operation("send", kind="producer", labels=("queue",), record=("order", "size"))
    def send(order, queue="q", *, size=3):
        pass

    send(Order())
    (record,) = memory.spans
    assert record.kind == "producer"
    assert record.attributes == {"queue": "q", "order": "Order", "size": 3}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"record": ("nothing",)},
            "operation 'op': record 'nothing' is no parameter of it; it has (a).",
        ),
        (
            {"kind": "worker"},
            "operation: kind got 'worker', needs one of internal, server, client, "
            "producer, consumer.",
        ),
    ],
)
def test_options_of_an_operation_are_checked_at_once(tel, options, text):
    with pytest.raises(DefinitionError) as raised:
        tel.operation("op", **options)(lambda a: a)
    assert str(raised.value) == text


# --- what is not recorded ---------------------------------------------------------------


def test_below_an_unsampled_root_all_share_its_ids(clock):
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, sampler=Never(), clock=clock)

    @tel.operation("op")
    def operation():
        return tel.trace.current_span().context

    with tel.start():
        with tel.span("root") as root, tel.span("child", a=1) as child:
            assert not root.context.sampled
            assert root.context.trace_id
            assert child.context == root.context == tel.trace.current_span().context
            assert operation() == root.context
            child.set(a=1)
            child.event("e")
            child.link(REMOTE)
            child.fail(KeyError())
            child.end()
            carried = tel.inject()
        assert tel.trace.current_span().context.trace_id == ""
        assert operation() != root.context
        # The metric is there all the same.
        assert tel.snapshot()["operation.duration"].value(**OK, operation="op") == 2
    assert memory.spans == []
    assert carried["traceparent"].endswith(f"-{root.context.span_id}-02")


def test_an_unsampled_span_as_parent_elsewhere(clock):
    tel = Obs("x", runtime=False, sampler=Never())
    contexts = []

    def work():
        with tel.span("there", parent=root), tel.span("below") as below:
            contexts.append(below.context)

    with tel.span("root") as root:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert contexts == [root.context]


def test_without_anybody_who_listens_spans_have_ids_all_the_same():
    tel = Obs("x", runtime=False)
    with tel.span("s") as span:
        assert span.context.sampled
        assert span.context.trace_id


def test_null_spans_do_nothing():
    with NULL.span("s", {"a": 1}, kind="client", b=2) as span:
        span.set(a=1)
        span.event("e")
        span.link(REMOTE)
        span.fail(KeyError())
        span.end()
        assert span.context == TraceContext()

    async def main():
        async with NULL.span("s"):
            pass

    asyncio.run(main())


# --- wrong calls ------------------------------------------------------------------------

WRONG = {
    "attributes": (
        lambda tel: tel.span("s", 7).end(),
        "span: attributes got a int, needs a mapping. They were ignored.",
    ),
    "kind": (
        lambda tel: tel.span("s", kind="worker").end(),
        "span 's': kind got 'worker', needs one of client, consumer, internal, producer, "
        "server. It counts as internal.",
    ),
    "parent": (
        lambda tel: tel.span("s", parent="x").end(),
        "span: parent got a str, needs a span or a context. The current span was taken.",
    ),
    "links": (
        lambda tel: tel.span("s", links=7).end(),
        "span: a link got a int, needs a context. It was ignored.",
    ),
    "link": (
        lambda tel: tel.span("s").link("x"),
        "span: a link got a str, needs a context. It was ignored.",
    ),
    "start": (
        lambda tel: tel.span("s", start=1.5).end(),
        "span 's': start got 1.5, needs ns since the epoch, an int. It starts now.",
    ),
    "fail": (
        lambda tel: tel.span("s").fail("x"),
        "span 's': fail() got a str, needs an exception. It was ignored.",
    ),
    "use": (
        lambda tel: tel.use("x").__enter__(),
        "use: got a str, needs a context, such as extract() gives. It was ignored.",
    ),
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_counted_and_said(lenient, capfd, call):
    tel, _ = lenient
    make, text = WRONG[call]
    make(tel)
    make(tel)
    assert dropped(tel) == 2
    err = capfd.readouterr().err
    assert err.count('"reason":"invalid"') == 1
    assert text.replace('"', "'") in err.replace('\\"', "'")


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_raises_where_it_is_strict(tel, call):
    make, text = WRONG[call]
    with pytest.raises(InvalidValue) as raised:
        make(tel)
    assert str(raised.value) == text


@pytest.mark.parametrize("name", [7, None, b"x", "\ud800", "x" * 10**6, ["x"]])
def test_a_name_of_any_type_becomes_text(lenient, name):
    tel, memory = lenient
    with tel.span(name):
        pass
    (record,) = memory.spans
    assert type(record.name) is str
    record.name.encode()
    assert len(record.name) <= 4_096


def test_arguments_of_a_tracer_are_checked_at_once():
    for options, text in [
        ({"trust": "yes"}, "trust got 'yes', needs one of continue, link, ignore."),
        ({"sampler": 0.5}, "sampler: got 0.5, needs a sampler such as Ratio(0.1)."),
        ({"classify": 1}, "classify got 1, needs a function that takes an exception."),
    ]:
        for make in (Tracer, lambda **o: Obs("x", runtime=False, **o)):
            with pytest.raises(DefinitionError) as raised:
                make(**options)
            assert str(raised.value) == text


def test_a_tracer_is_usable_alone():
    finished = []
    tracer = Tracer(sink=finished.append)
    with tracer.span("a"), tracer.span("b"):
        pass
    assert [span.name for span in finished] == ["b", "a"]
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(tracer)


# --- clocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [1, -1, 24, -24])
def test_a_clock_that_is_set_changes_no_duration(tel, memory, clock, hours):
    with tel.span("root"), tel.span("child"):
        clock.advance(0.5)
        clock.jump(hours * 3600)
        clock.advance(0.5)
        with tel.span("after"):
            clock.advance(0.25)
    for name, seconds in (("root", 1.25), ("child", 1.25), ("after", 0.25)):
        record = memory.span(name)
        assert record.end_ns - record.start_ns == seconds * 1e9
    after, root = memory.span("after"), memory.span("root")
    assert after.start_ns - root.start_ns == 1_000_000_000, "one trace, one clock"


def test_after_a_minute_the_wall_clock_is_asked_again(tel, memory, clock):
    with tel.span("root"):
        clock.jump(3600)
        clock.advance(59)
        with tel.span("soon"):
            pass
        clock.advance(2)
        with tel.span("late"):
            pass
        wall = clock.time_ns()
    root = memory.span("root")
    assert memory.span("soon").start_ns - root.start_ns == 59_000_000_000
    assert memory.span("late").start_ns == wall
    assert root.end_ns - root.start_ns == 61_000_000_000


# --- forks and ids ----------------------------------------------------------------------


def test_a_span_that_a_fork_finds_running_ends_in_the_parent_alone():
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False)

    @tel.operation("op")
    def operation():
        child = Fork()
        if child.is_child:
            with tel.span("in child"):
                pass
        return child

    with tel.start():
        with tel.span("root"):
            child = operation()
        if child.is_child:
            child.answer(
                lambda: [(s.name, s.trace_id, s.parent_id) for s in memory.spans]
            )
        (found,) = child.result()
    assert [span.name for span in memory.spans] == ["op", "root"]
    assert found == ["in child", memory.spans[0].trace_id, memory.spans[0].span_id] or (
        found == ("in child", memory.spans[0].trace_id, memory.spans[0].span_id)
    )


def ids_of_children(forks):
    """Seed like a user who wants the same numbers every time, fork, and give ids."""
    tel = Obs("x", runtime=False)

    def ids():
        random.seed(1)
        spans = [tel.span("s").context for _ in range(20)]
        return [(context.trace_id, context.span_id) for context in spans]

    yield ids()
    for _ in range(forks):
        child = Fork()
        if child.is_child:
            child.answer(ids)
        yield child.result()
        yield ids()


@pytest.mark.parametrize(
    "forks",
    [50, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])],
)
def test_ids_of_parents_and_children_never_collide(forks):
    found = [
        tuple(pair)
        for ids in in_fresh(f"{__name__}:ids_of_children", forks)
        for pair in ids
    ]
    assert len(found) == 20 * (2 * forks + 1)
    assert (
        len({trace for trace, _ in found})
        == len({span for _, span in found})
        == len(found)
    )


def test_a_span_that_never_ends_costs_nothing():
    tel = Obs("x", runtime=False)
    refs = []

    class Value:
        pass

    for _ in range(100):
        value = Value()
        refs.append(weakref.ref(value))
        tel.span("never", value=value)
    del value
    assert [ref() for ref in refs] == [None] * 100


def test_a_recursion_error_leaves_no_span_current(tel, memory):
    def deeper():
        with tel.span("s"):
            deeper()

    with pytest.raises(RecursionError):
        deeper()
    assert tel.trace.current_span().context.trace_id == ""
