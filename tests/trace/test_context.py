"""What is current, and what keeps a collection out of ContextVar.set."""

import asyncio
import contextvars
import gc

import pytest

from obs import Obs
from obs._context import COLLECTING, CURRENT, GcGuard, _begins, _ends, current
from tests.survival.processes import in_fresh

needs_guard = pytest.mark.skipif(
    not GcGuard.IS_NEEDED,
    reason="since 3.12 no collection begins inside ContextVar.set",
)


def chain():
    """How many nodes hang on what the context variable holds."""
    node, length = CURRENT.get(), 0
    while node is not None:
        node, length = node.up, length + 1
    return length


def test_blocks_that_end_elsewhere_leave_no_growing_chain(tel):
    for _ in range(100):
        span = tel.span("s")
        span.__enter__()
        contextvars.Context().run(span.__exit__, None, None, None)
        with tel.use(baggage={"a": "1"}), tel.span("inside") as inside:
            assert inside.parent_id == 0
    assert chain() == 1
    assert current() is None


def test_async_generators_that_others_close_leave_no_growing_chain(tel):
    async def items():
        with tel.span("s"):
            yield 1

    @tel.operation()
    async def decorated():
        with tel.span("s"):
            yield 1

    async def main():
        for make in (items, decorated):
            for _ in range(50):
                generator = make()
                await anext(generator)
                await asyncio.create_task(generator.aclose())
        assert current() is None
        assert chain() <= 1

    asyncio.run(main())


def test_an_unsampled_block_that_ends_elsewhere_is_gone_too():
    from obs.trace import Never

    tel = Obs("x", runtime=False, sampler=Never())
    for _ in range(10):
        span = tel.span("s")
        span.__enter__()
        contextvars.Context().run(span.__exit__, None, None, None)
    assert current() is None
    assert chain() == 1


def guarded():
    """Say how often the guard is there: before, for one, for two, for one, after."""

    def count():
        return [gc.callbacks.count(_begins), gc.callbacks.count(_ends), len(COLLECTING)]

    first, second = Obs("a", runtime=False), Obs("b", runtime=False)
    yield count()
    with first.start():
        yield count()
        with second.start():
            yield count()
        yield count()
        gc.callbacks.append(print)
        gc.callbacks.remove(_ends)
        gc.callbacks.remove(print)
        gc.collect()  # mends what somebody else has done to the list
        yield count()
    yield count()


@needs_guard
def test_the_guard_is_there_while_an_instance_runs():
    off, on = [0, 0, 0], [1, 1, 0]
    assert list(in_fresh(f"{__name__}:guarded")) == [off, on, on, on, on, off]


def test_since_3_12_there_is_no_guard(monkeypatch):
    monkeypatch.setattr(GcGuard, "IS_NEEDED", False)
    before = list(gc.callbacks)
    with Obs("x", runtime=False).start():
        assert gc.callbacks == before


@needs_guard
def test_a_span_made_in_a_collection_is_recorded_and_not_made_current(tel, memory):
    seen = []

    def collected(phase, info):
        with tel.span(phase), tel.use(baggage={"a": "1"}), tel.trace.deadline(1):
            seen.append((tel.trace.current_span(), dict(tel.trace.baggage())))

    with tel.span("around") as around:
        gc.callbacks.append(collected)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(collected)
        assert tel.trace.current_span() is around
    assert seen == [(around, {})] * 2
    assert memory.tree() == "around\n  start\n  stop"
    assert COLLECTING == {}
    assert current() is None


def finalizers():
    """Spans in finalizers that run inside ContextVar.set, and outside."""
    tel = Obs("x", runtime=False)
    made = []
    tel.trace.sink = lambda span: made.append(span.name)

    class Thing:
        def __init__(self):
            self.me = self

        def __del__(self):
            with tel.span("closed"), tel.span("inside"):
                pass

    gc.set_threshold(3, 2, 2)
    with tel.start():
        for _ in range(20_000):
            with tel.span("outer"), tel.use(baggage={"a": "1"}):
                Thing()
    gc.collect()
    yield {name: made.count(name) for name in ("outer", "closed", "inside")}


def test_finalizers_may_make_spans():
    (made,) = in_fresh(f"{__name__}:finalizers")
    assert made == {"outer": 20_000, "closed": 20_000, "inside": 20_000}


@needs_guard
def test_leaving_a_block_never_deletes_what_is_current(tel):
    """A deletion would let the variable's cache point to a span that is freed."""

    def block():
        with tel.span("s"):
            pass
        with tel.use(baggage={"a": "1"}), tel.span("t"):
            pass
        return CURRENT in contextvars.copy_context()

    assert contextvars.Context().run(block)
