"""Kind of callable, how it ends, where: one span, at the right place, as it ended.

Each cell decorates a callable, makes one call of it below a span ``root``, and reads what
the call has left: its own span and the one of a block inside it.
"""

import asyncio
import contextvars
import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from obs import Obs
from obs._context import current
from obs.model import TraceContext
from obs.testing import FakeClock, MemoryExporter
from obs.trace import Never, Tracer
from tests.survival.processes import in_fresh

SECONDS = 1.5


class World:
    """One cell's instance and clock; asyncio must have nothing to say."""

    def __init__(self, caplog):
        self.clock = FakeClock()
        self.memory = MemoryExporter()
        self.tel = Obs(
            "table",
            exporters=[self.memory],
            runtime=False,
            strict=True,
            clock=self.clock,
        )
        self.tel.start()
        self.caplog = caplog
        self.seen = []

    def inside(self):
        """What the body of each callable does: time passes, and a span inside it."""
        self.seen.append(self.tel.trace.current_span())
        self.clock.advance(SECONDS)
        with self.tel.span("inside"):
            pass


@pytest.fixture
def world(caplog):
    caplog.set_level(logging.INFO)
    world = World(caplog)
    yield world
    world.tel.close()


# --- the four kinds, and what ends them -------------------------------------------------


class Broken(Exception):
    pass


def ending(how):
    if how == "raise":
        raise Broken
    if how == "cancel":
        raise asyncio.CancelledError
    if how == "exit":
        raise SystemExit
    return "result"


def plain(world, how):
    @world.tel.operation("call")
    def call():
        world.inside()
        return ending(how)

    return call


def coroutine(world, how):
    @world.tel.operation("call")
    async def call():
        await asyncio.sleep(0)
        world.inside()
        await asyncio.sleep(0)
        return ending(how)

    return call


def generator(world, how):
    @world.tel.operation("call")
    def call():
        yield 1
        world.inside()
        yield 2
        return ending(how)

    return call


def async_generator(world, how):
    @world.tel.operation("call")
    async def call():
        yield 1
        await asyncio.sleep(0)
        world.inside()
        yield 2
        ending(how)

    return call


KINDS = {
    "def": plain,
    "async def": coroutine,
    "generator": generator,
    "async generator": async_generator,
}
OUTCOMES = {
    "return": ("ok", "", "unset"),
    "raise": ("error", "Broken", "error"),
    "cancel": ("cancelled", "", "unset"),
    "exit": ("aborted", "", "unset"),
}
ENDED_BY = (Broken, asyncio.CancelledError, SystemExit)


def make_call(world, kind, function):
    """Make the call from code that is not asynchronous, to its end."""
    if kind.startswith("async"):
        drive(in_task(world, kind, function))
    elif kind == "generator":
        consume(world, function())
    else:
        function()


async def in_task(world, kind, function):
    if kind == "async generator":
        around = world.tel.trace.current_span()
        async for _ in function():
            assert world.tel.trace.current_span() is around, "it leaks"
    elif kind == "generator":
        consume(world, function())
    else:
        result = function()
        if kind == "async def":
            await result


def consume(world, generator):
    around = world.tel.trace.current_span()
    for _ in generator:
        assert world.tel.trace.current_span() is around, "it leaks"


def drive(coroutine):
    """Run a coroutine without an event loop."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


def quietly(function, *args):
    with suppress(*ENDED_BY):
        function(*args)


async def aquietly(awaitable):
    with suppress(*ENDED_BY):
        await awaitable


# --- where ------------------------------------------------------------------------------


def here(world, kind, function):
    quietly(make_call, world, kind, function)


def task(world, kind, function):
    """In the task that has the span around it."""

    async def main():
        with world.tel.span("within"):
            await aquietly(in_task(world, kind, function))

    asyncio.run(main())


def other_task(world, kind, function):
    """In a task of its own, the span around it in the one that waits."""

    async def main():
        async def run():
            await aquietly(in_task(world, kind, function))

        with world.tel.span("within"):
            await asyncio.create_task(run())

    asyncio.run(main())


def thread_pool(world, kind, function):
    with ThreadPoolExecutor(1) as pool, world.tel.span("within"):
        wrapped = world.tel.trace.wrap(quietly)
        pool.submit(wrapped, make_call, world, kind, function).result()
        # The thread goes back to the pool as it came.
        left = pool.submit(world.tel.trace.current_span).result()
        assert left.context.trace_id == ""


def to_thread(world, kind, function):
    async def main():
        with world.tel.span("within"):
            await asyncio.to_thread(quietly, make_call, world, kind, function)

    asyncio.run(main())


def other_context(world, kind, function):
    """By hand, in a copy of the context."""
    with world.tel.span("within"):
        contextvars.copy_context().run(quietly, make_call, world, kind, function)


PLACES = [here, task, other_task, thread_pool, to_thread, other_context]
CELLS = [
    pytest.param(kind, how, place, id=f"{kind}, {how}, {place.__name__}")
    for kind in KINDS
    for how in OUTCOMES
    for place in PLACES
    # SystemExit ends an event loop.
    if how != "exit" or place not in (task, other_task, to_thread)
]


@pytest.mark.parametrize(("kind", "how", "place"), CELLS)
def test_a_call_is_one_span(world, kind, how, place):
    tel, memory = world.tel, world.memory
    function = KINDS[kind](world, how)

    with tel.span("root") as root:
        place(world, kind, function)
        assert tel.trace.current_span() is root
    assert tel.trace.current_span().context.trace_id == ""
    gc.collect()

    call = memory.span("call")
    outcome, error_type, status = OUTCOMES[how]
    assert (call.outcome, call.error_type, call.status) == (outcome, error_type, status)
    assert call.end_ns - call.start_ns == SECONDS * 1e9
    assert [event.name for event in call.events] == ["exception"] * (how == "raise")
    around = "root" if place is here else "within"
    assert call.parent_id == memory.span(around).span_id
    assert memory.span("inside").parent_id == call.span_id
    assert {span.trace_id for span in memory.spans} == {call.trace_id}
    assert [span.context.span_id for span in world.seen] == [call.span_id]
    assert len(memory.spans) == 3 + (place is not here)
    (point,) = [p for p in memory.metrics["operation.duration"].points if p.count]
    assert (point.count, point.sum, point.labels["outcome"]) == (1, SECONDS, outcome)
    assert memory.value("operation.in_flight", operation="call") == 0
    assert [r for r in world.caplog.records if r.name == "asyncio"] == []


def in_subprocess(headers):
    """Make the calls of all kinds and endings below a context that came as headers."""
    for kind, make in KINDS.items():
        for how in OUTCOMES:
            world = World(None)
            tel = world.tel
            function = make(world, how)
            with tel.use(tel.extract(headers)):
                quietly(make_call, world, kind, function)
            call = world.memory.span("call")
            inside = world.memory.span("inside")
            yield {
                "cell": (kind, how),
                "trace": call.trace_id,
                "parent": call.parent_id,
                "is_remote": call.remote_parent,
                "outcome": call.outcome,
                "ns": call.end_ns - call.start_ns,
                "inside": inside.parent_id == call.span_id,
                "left": tel.trace.current_span().context.trace_id,
            }


def test_a_call_in_a_subprocess_goes_on_with_the_trace(world):
    with world.tel.span("root") as root:
        found = in_fresh(f"{__name__}:in_subprocess", world.tel.inject())
        rows = {tuple(row.pop("cell")): row for row in found}
    assert rows == {
        (kind, how): {
            "trace": root.context.trace_id,
            "parent": root.context.span_id,
            "is_remote": True,
            "outcome": OUTCOMES[how][0],
            "ns": SECONDS * 1e9,
            "inside": True,
            "left": "",
        }
        for kind in KINDS
        for how in OUTCOMES
    }


# --- generators that are not run to their end -------------------------------------------


def step(world, iterator):
    next(iterator)


def close_here(generator):
    generator.close()


def close_by_collector(generator):
    del generator
    gc.collect()


def close_in_thread(generator):
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()


def close_in_context(generator):
    contextvars.Context().run(generator.close)


def throw(generator):
    with pytest.raises(Broken):
        generator.throw(Broken)


@pytest.mark.parametrize(
    ("close", "outcome"),
    [
        (close_here, "ok"),
        (close_in_thread, "ok"),
        (close_in_context, "ok"),
        (throw, "error"),
    ],
)
@pytest.mark.parametrize("steps", [1, 2])
def test_a_generator_that_is_closed_early(world, close, outcome, steps):
    tel, memory = world.tel, world.memory
    with tel.span("root") as root:
        iterator = generator(world, "return")()
        for _ in range(steps):
            next(iterator)
            assert tel.trace.current_span() is root
        close(iterator)
        assert tel.trace.current_span() is root
    call = memory.span("call")
    assert (call.outcome, call.parent_id) == (outcome, memory.span("root").span_id)
    assert len(memory.spans) == steps + 1
    assert memory.value("operation.in_flight", operation="call") == 0


def test_a_generator_that_the_collector_closes(world):
    tel, memory = world.tel, world.memory
    with tel.span("root") as root:
        iterator = generator(world, "return")()
        next(iterator)
        del iterator
        gc.collect()
        assert tel.trace.current_span() is root
    assert memory.span("call").outcome == "ok"


def test_a_generator_that_never_ran_is_no_call(world):
    iterator = generator(world, "return")()
    iterator.close()
    assert world.memory.spans == []


def test_each_step_may_come_from_another_thread(world):
    tel, memory = world.tel, world.memory
    with tel.span("root"):
        iterator = generator(world, "return")()
        next(iterator)
    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(next, iterator).result() == 2
        assert pool.submit(next, iterator, "end").result() == "end"
        left = [pool.submit(tel.trace.current_span).result() for _ in range(4)]
    assert {span.context.trace_id for span in left} == {""}
    assert memory.span("call").parent_id == memory.span("root").span_id
    assert memory.span("inside").parent_id == memory.span("call").span_id


def test_two_generators_that_take_turns_do_not_see_each_other(world):
    tel, memory = world.tel, world.memory

    @tel.operation()
    def turns(name):
        for _ in range(3):
            with tel.span(name):
                yield tel.trace.current_span().name

    with tel.span("root") as root:
        for pair in zip(turns("a"), turns("b"), strict=True):
            assert pair == ("a", "b")
            assert tel.trace.current_span() is root
    parents = {span.span_id: span for span in memory.spans}
    for span in memory.spans:
        if span.name in ("a", "b"):
            assert parents[span.parent_id].name.endswith("turns")
    assert memory.value("operation.in_flight", operation=TURNS) == 0


TURNS = "test_two_generators_that_take_turns_do_not_see_each_other.turns"


KEPT = []


async def begun(make):
    generator = make()
    await anext(generator)
    KEPT.append(generator)


async def closed_by_the_same_task(make):
    await begun(make)
    await KEPT.pop().aclose()


async def closed_by_another_task(make):
    await asyncio.create_task(begun(make))
    await asyncio.create_task(KEPT.pop().aclose())


async def closed_by_the_collector(make):
    await asyncio.create_task(begun(make))
    KEPT.clear()
    gc.collect(0)  # all of it is young, and what the other tests have left is much


async def closed_with_the_loop(make):
    await asyncio.create_task(begun(make))


async def left_by_break(make):
    async for _ in make():
        break


async def cancelled(make):
    async def forever():
        async for _ in make():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(forever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


ASYNC_ENDS = [
    closed_by_the_same_task,
    closed_by_another_task,
    closed_by_the_collector,
    closed_with_the_loop,
    left_by_break,
    cancelled,
]


@pytest.mark.parametrize("is_decorated", [True, False], ids=["decorated", "by hand"])
@pytest.mark.parametrize("end", ASYNC_ENDS, ids=lambda end: end.__name__)
def test_async_generators_closed_anywhere_are_silent(world, end, is_decorated, capsys):
    tel, memory = world.tel, world.memory

    async def by_hand():
        with tel.span("call"):
            try:
                yield 1
                await asyncio.sleep(0)
                yield 2
            finally:
                await asyncio.sleep(0)

    make = async_generator(world, "return") if is_decorated else by_hand

    async def main():
        for _ in range(100):
            await end(make)
            if is_decorated:
                assert tel.trace.current_span().context.trace_id == ""

    asyncio.run(main())
    KEPT.clear()
    gc.collect()
    calls = [span for span in memory.spans if span.name == "call"]
    assert len(calls) == len({span.span_id for span in calls}) == 100
    assert {span.outcome for span in calls} <= {"ok", "cancelled"}
    assert tel.trace.current_span().context.trace_id == ""
    assert [r for r in world.caplog.records if r.name == "asyncio"] == []
    assert capsys.readouterr().err == ""


BLOCKS = {
    "use": lambda world: world.tel.use(TraceContext(1, 2), baggage={"a": "1"}),
    "unsampled": lambda world: Tracer(sampler=Never()).span("s"),
    "deadline": lambda world: world.tel.trace.deadline(9),
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("end", ASYNC_ENDS, ids=lambda end: end.__name__)
def test_other_blocks_in_async_generators_are_silent_too(world, end, block, capsys):
    ended = []

    async def by_hand():
        with BLOCKS[block](world):
            try:
                yield 1
            finally:
                ended.append(1)

    async def main():
        for _ in range(100):
            await end(by_hand)
        for _ in range(10):  # the loop closes what was left in a task of its own
            await asyncio.sleep(0)
        assert current() is None

    asyncio.run(main())
    KEPT.clear()
    gc.collect()
    assert len(ended) == 100
    assert [r for r in world.caplog.records if r.name == "asyncio"] == []
    assert capsys.readouterr().err == ""


def test_ten_thousand_async_generators_leave_nothing(world):
    tel, memory = world.tel, world.memory
    make = async_generator(world, "return")
    world.inside = lambda: None

    async def one(number):
        generator = make()
        await anext(generator)
        if number % 3 == 0:
            await asyncio.create_task(generator.aclose())
        elif number % 3 == 1:
            await generator.aclose()

    async def main():
        for number in range(10_000):
            await asyncio.create_task(one(number))

    asyncio.run(main())
    gc.collect()
    assert len(memory.spans) == len({span.span_id for span in memory.spans}) == 10_000
    assert {span.outcome for span in memory.spans} == {"ok"}
    assert tel.trace.current_span().context.trace_id == ""
    assert [r for r in world.caplog.records if r.name == "asyncio"] == []
