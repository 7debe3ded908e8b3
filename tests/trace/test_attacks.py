"""What has broken it once: cycles, leaks, endless input, hostile objects."""

import contextvars
import copy
import gc
import itertools
import math
import pickle
import threading
from collections import Counter
from collections.abc import Mapping

import pytest

from obs import DefinitionError, Obs
from obs._context import current
from obs.model import NO_BAGGAGE, TraceContext
from obs.testing import MemoryExporter
from obs.trace import Always, Tracer


class Endless(Mapping):
    def __getitem__(self, name):
        return name

    def __iter__(self):
        return map(str, itertools.count())

    def __len__(self):
        return 1


class Unsure:
    """As arrays of numpy are."""

    def __bool__(self):
        raise ValueError


@pytest.fixture
def lenient():
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False)
    with tel.start():
        yield tel, memory


def test_spans_entered_twice_make_no_cycle(tel):
    s, t = tel.span("s"), tel.span("t")
    for span in (s, t, s):
        span.__enter__()
    other = contextvars.Context()
    for span in (t, s):
        other.run(span.__exit__, None, None, None)
    assert tel.trace.current_span().context.trace_id == ""


def test_contexts_used_twice_make_no_cycle(tel):
    u, t = tel.use(TraceContext(1, 2, True)), tel.use(TraceContext(3, 4, True))
    for use in (u, t, u):
        use.__enter__()
    for use in (t, u, u):
        use.__exit__(None, None, None)
    assert current() is None


def test_blocks_entered_twice_end_once(tel):
    use, deadline = tel.use(baggage={"a": "1"}), tel.trace.deadline(1)
    with use, use, deadline, deadline:
        pass
    with use, tel.span("s") as span:
        assert dict(tel.trace.baggage()) == {"a": "1"}
        assert "deadline.remaining" not in span.attributes
    assert tel.trace.baggage() == {}


def test_a_span_of_two_threads_mixes_no_traces(tel):
    shared = tel.span("shared")
    both, seen = threading.Barrier(2, timeout=20), {}

    def work(name):
        with tel.span(name) as mine:
            both.wait()
            with shared:
                both.wait()
            both.wait()
            seen[name] = tel.trace.current_span() is mine

    threads = [threading.Thread(target=work, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == {"a": True, "b": True}


def test_a_span_entered_after_its_end_stays_where_it_is(tel):
    span = tel.span("s")
    span.end()
    with span:
        assert tel.trace.current_span().context.trace_id == ""


def test_baggage_and_deadlines_stay_inside_a_generator(tel):
    @tel.operation()
    def generator(tenant):
        with tel.use(baggage={"tenant": tenant}), tel.trace.deadline(1):
            yield
            assert tel.trace.baggage() == {"tenant": tenant}
            yield

    a, b = generator("A"), generator("B")
    for _ in range(2):
        next(a), next(b)
        assert tel.trace.baggage() == {}
        with tel.span("s") as span:
            assert span.attributes == {}
    a.close(), b.close()
    assert tel.trace.baggage() == {}


def test_a_generator_keeps_nothing_that_it_has_given_away(tel):
    class Chunk:
        alive = 0

        def __init__(self):
            Chunk.alive += 1

        def __del__(self):
            Chunk.alive -= 1

    @tel.operation()
    def chunks():
        for _ in range(3):
            yield Chunk()
            seen.append(Chunk.alive)

    seen = []
    for chunk in chunks():
        del chunk
    assert seen == [0, 0, 0]


def test_a_listener_that_makes_spans_is_not_asked_about_them(tel, memory):
    def receive(span):
        heard.append(span.name)
        for name in ("a", "b"):
            with tel.span(name):
                pass

    heard = []
    memory._source.listen(receive)
    with tel.span("root"):
        pass
    assert heard == ["root"]
    dropped = memory.metrics["obs.dropped"]
    assert dropped.value(signal="traces", exporter="", reason="invalid") == 2


def test_spans_of_finalizers_are_handed_on_whenever_they_come(tel, memory):
    class Late:
        def __del__(self):
            with tel.span("late"):
                made.append(1)

    made = []
    for _ in range(500):
        late = Late()
        late.itself = late
        del late
        with tel.span("s"):
            [object() for _ in range(10)]
    gc.collect()
    assert len(made) == 500
    assert Counter(span.name for span in memory.spans) == {"s": 500, "late": 500}


def test_a_value_that_makes_spans_while_it_is_read_does_so_no_more_than_so_often(
    lenient, monkeypatch
):
    class Endless:
        def __str__(self):
            with tel.span("made", value=Endless()):
                return "text"

    monkeypatch.setattr("obs._source._WAITING", 5)
    tel, memory = lenient
    with tel.span("root", value=Endless()):
        pass
    assert [span.name for span in memory.spans] == ["root", *["made"] * 5]
    assert [span.attributes["value"] for span in memory.spans] == ["text"] * 6
    dropped = memory.metrics["obs.dropped"]
    assert dropped.value(signal="traces", exporter="", reason="limit") == 1


def test_a_sampler_that_makes_spans_is_not_asked_about_them():
    class Curious(Always):
        def sample(self, *args):
            asked.append(1)
            with tracer.span("a"), tracer.span("b"):
                pass
            return True

    asked = []
    tracer = Tracer(sampler=Curious())
    assert tracer.span("root").context.sampled
    assert asked == [1]


def test_mappings_without_an_end_are_cut(lenient):
    tel, memory = lenient
    with tel.span("s", Endless()) as span, tel.use(baggage=Endless()):
        span.set(Endless())
        tel.inject()
        span.set(zip(itertools.repeat("a"), itertools.repeat(1), strict=False))
    assert len(memory.span("s").attributes) <= 128


def test_lists_in_lists_of_lists_are_no_header(tel):
    value = []
    for _ in range(4):
        value = [value] * 1_000
    endless = []
    endless.append(endless)
    for hostile in (value, endless):
        assert not tel.extract({"traceparent": hostile, "baggage": hostile})


def test_nobody_can_change_the_baggage_of_all(tel):
    with pytest.raises(TypeError):
        tel.trace.baggage()["tenant"] = "A"
    with pytest.raises(TypeError):
        tel.extract({}).baggage["tenant"] = "A"
    assert NO_BAGGAGE == {}
    again = pickle.loads(pickle.dumps(TraceContext(1, 2)))
    assert again == TraceContext(1, 2)
    assert copy.deepcopy(again) == again


def test_a_copy_of_a_span_is_the_span(tel, memory):
    with tel.span("s") as span:
        assert copy.copy(span) is copy.deepcopy(span) is span
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(span)
    assert len(memory.spans) == 1


CONTEXTS = [
    TraceContext("abc", 1, True),
    TraceContext(-5, 1, True),
    TraceContext(1 << 200, 1, True),
    TraceContext(1, 2, True, tracestate=5),
    TraceContext(1, 2, True, baggage=5),
    TraceContext(1, 2, Unsure()),
    TraceContext(Unsure(), 2, True),
    TraceContext(1, 2, True, tracestate=type("S", (str,), {})("a=1\r\nX: y")),
]


@pytest.mark.parametrize("context", CONTEXTS, ids=range(len(CONTEXTS)))
def test_contexts_of_wrong_parts_are_none(lenient, context):
    tel, memory = lenient
    with tel.span("s", parent=context, links=[context]), tel.use(context):
        sent = tel.inject()
    assert memory.span("s").parent_id == ""
    assert memory.span("s").links == []
    assert set(sent) == {"traceparent"}
    assert len(sent["traceparent"]) == 55


@pytest.mark.parametrize(
    "kind", [[], {}, Unsure(), None, 1, type("K", (str,), {})("client")]
)
def test_kinds_of_any_type_count_as_internal(lenient, kind):
    tel, memory = lenient
    with tel.span("s", kind=kind, links=Unsure()), tel.use(baggage=Unsure()):
        pass
    assert memory.span("s").kind == "internal"


def test_an_exception_is_shown_where_events_are_full(clock):
    from obs import Limits

    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, limits=Limits(events=3))

    def work():
        with tel.span("outer"), tel.span("s") as span:
            for number in range(5):
                span.event(str(number))
            raise KeyError

    with tel.start(), pytest.raises(KeyError):
        work()
    record = memory.span("s")
    assert [event.name for event in record.events] == ["0", "1", "exception"]
    assert record.dropped == {"events": 3}


@pytest.mark.parametrize("mark", [Unsure(), "x", 1.0, None])
def test_an_attribute_of_the_mark_s_name_is_no_mark(tel, memory, mark):
    class Odd:
        def __eq__(self, other):
            raise ValueError

        __hash__ = None

    for found in (mark, Odd()):
        error = KeyError()
        error.__obs_trace__ = found
        with pytest.raises(KeyError), tel.span("s"):
            raise error
    assert all(len(span.events) == 1 for span in memory.spans)


def test_a_span_that_is_none_is_no_parent(tel, memory):
    with tel.use(TraceContext(1, 2, True, remote=True)):
        tel.span("s", parent=tel.trace.current_span()).end()
    assert memory.span("s").parent_id == f"{2:016x}"


def test_names_of_shared_ids_stand_once_in_a_tree(memory):
    from obs.model import SpanRecord

    for number in range(30):
        for kind in ("client", "server"):
            context = TraceContext(1, number + 1, True)
            memory.spans.append(
                SpanRecord(f"{kind} {number}", context, number, kind=kind)
            )
    assert len(memory.tree().splitlines()) == 60


async def coroutine():
    pass


@pytest.mark.parametrize(
    "define",
    [
        lambda tel: tel.trace.deadline(10**400),
        lambda tel: tel.trace.deadline(1e300),
        lambda tel: tel.trace.deadline(-math.inf),
        lambda tel: tel.trace.wrap(None),
        lambda tel: tel.trace.wrap(coroutine),
        lambda tel: tel.operation("x", labels=("a",))(dict.fromkeys),
        lambda tel: tel.operation("x", labels=("a",))(5),
    ],
)
def test_definitions_that_are_none_say_so(tel, define):
    with pytest.raises(DefinitionError):
        define(tel)
