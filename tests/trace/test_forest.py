"""Any interleaving of tasks, threads and generators gives a well-formed forest."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from obs import Obs
from obs._context import current
from obs.testing import MemoryExporter

STEPS = (
    "span",
    "task",
    "gather",
    "generator",
    "agenerator",
    "thread",
    "pause",
    "decorated",
)
plans = st.recursive(
    st.just([]),
    lambda plan: st.lists(st.tuples(st.sampled_from(STEPS), plan), max_size=3),
    max_leaves=12,
)


class Runner:
    """Does what a plan says, and notes which span should be whose child."""

    def __init__(self):
        self.memory = MemoryExporter()
        self.tel = Obs("x", exporters=[self.memory], runtime=False, strict=True)
        self.tel.start()
        self.expected = {}
        self.tasks = []
        self.pool = ThreadPoolExecutor(2)

    def note(self, parent):
        """The current span is a new one, and this is its parent."""
        me = self.tel.trace.current_span().context.span_id
        assert me not in self.expected
        self.expected[me] = parent
        return me

    async def run(self, plan, parent):
        for kind, inner in plan:
            await getattr(self, kind)(inner, parent)
            assert self.tel.trace.current_span().context.span_id == parent

    async def span(self, plan, parent):
        with self.tel.span("span"):
            await self.run(plan, self.note(parent))

    async def decorated(self, plan, parent):
        @self.tel.operation("decorated")
        async def call():
            await self.run(plan, self.note(parent))

        await call()

    async def task(self, plan, parent):
        self.tasks.append(asyncio.create_task(self.span(plan, parent)))

    async def gather(self, plan, parent):
        await asyncio.gather(self.span(plan, parent), self.span(plan, parent))

    async def pause(self, plan, parent):
        await asyncio.sleep(0)
        await self.run(plan, parent)

    async def generator(self, plan, parent):
        @self.tel.operation("generator")
        def steps():
            me = self.note(parent)
            for _ in range(2):
                yield me
                assert self.tel.trace.current_span().context.span_id == me

        for _ in steps():
            await self.run(plan, parent)

    async def agenerator(self, plan, parent):
        @self.tel.operation("agenerator")
        async def steps():
            me = self.note(parent)
            await self.run(plan, me)
            yield
            await asyncio.sleep(0)
            yield

        async for _ in steps():
            await self.pause([], parent)

    async def thread(self, plan, parent):
        def work():
            with self.tel.span("thread"):
                self.note(parent)

        await asyncio.wrap_future(self.pool.submit(self.tel.trace.wrap(work)))

    async def main(self, plan):
        await self.run(plan, "")
        while self.tasks:
            await self.tasks.pop()


@settings(max_examples=150, deadline=None)
@given(plans)
def test_the_spans_of_any_plan_stand_where_they_were_made(plan):
    runner = Runner()
    asyncio.run(runner.main(plan))
    runner.pool.shutdown()
    runner.tel.close()
    spans = {span.span_id: span for span in runner.memory.spans}
    assert len(spans) == len(runner.memory.spans)
    assert {name: span.parent_id for name, span in spans.items()} == runner.expected
    for span in spans.values():
        if span.parent_id:
            parent = spans[span.parent_id]
            assert parent.trace_id == span.trace_id
            assert parent.start_ns <= span.start_ns <= span.end_ns
    assert current() is None
