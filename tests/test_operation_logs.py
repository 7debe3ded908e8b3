"""A decorated call that fails is logged once, by the outermost of those around it."""

import asyncio
import threading

import pytest

from obs import DefinitionError, Obs
from obs.testing import MemoryExporter
from obs.trace import Never


@pytest.fixture
def memory():
    return MemoryExporter()


@pytest.fixture(params=["recorded", "not recorded"])
def tel(request, memory):
    sampler = None if request.param == "recorded" else Never()
    tel = Obs("t", runtime=False, exporters=[memory], sampler=sampler, routes=[])
    with tel.start():
        yield tel


class Failed(Exception):
    pass


class NotFound(Exception):
    status_code = 404


def fail(tel, error=Failed, **options):
    @tel.operation("inner", **options)
    def inner(order=1, size="s", secret="x"):
        raise error("bad")

    return inner


def told(memory):
    return [(it.event, it.fields["operation"]) for it in memory.logs]


def run(function, *args):
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
        function(*args)


def test_a_failure_is_one_record(tel, memory):
    run(fail(tel, labels=("size",), record=("order",)), 7)
    (record,) = memory.logs
    fields = dict(record.fields)
    assert (record.level, record.event, record.logger) == (
        "error", "operation.failed", "obs.operation",
    )  # fmt: skip
    assert fields.pop("duration") >= 0
    assert fields.pop("exception.stacktrace").endswith(".Failed: bad\n")
    assert fields == {
        "operation": "inner", "outcome": "error", "order": 7, "size": "s",
        "exception.type": f"{__name__}.Failed", "exception.message": "bad",
    }  # fmt: skip


def test_it_has_the_ids_of_the_calls_span(tel, memory):
    seen = []

    @tel.operation()
    def call():
        span = tel.trace.current_span()
        seen.append((span.context.trace_id, span.context.span_id))
        raise Failed

    run(call)
    assert [(it.trace_id, it.span_id) for it in memory.logs] == seen


def test_what_ends_well_is_not_logged(tel, memory):
    class CancelledError(BaseException):
        pass

    tel.operation("ok")(lambda: 1)()
    run(fail(tel, NotFound))
    for error in (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError):
        with pytest.raises(error):
            fail(tel, error)()
    run(fail(tel, classify=lambda error: "ok"))
    assert memory.logs == []


def test_the_outermost_of_several_tells(tel, memory):
    inner = fail(tel)

    @tel.operation("outer")
    def outer():
        with tel.span("between"):
            inner()

    run(outer)
    assert told(memory) == [("operation.failed", "outer")]


def test_what_an_outer_call_catches_is_not_logged(tel, memory):
    inner = fail(tel)

    @tel.operation("outer")
    def outer():
        run(inner)

    outer()
    assert memory.logs == []


def test_an_exception_that_an_outer_call_replaces_is_told_by_that_call(tel, memory):
    inner = fail(tel)

    @tel.operation("outer")
    def outer():
        try:
            inner()
        except Failed as error:
            raise ValueError("worse") from error

    run(outer)
    (record,) = memory.logs
    assert record.fields["exception.type"] == "ValueError"
    assert "Failed: bad" in record.fields["exception.stacktrace"]


def test_spans_by_hand_around_a_call_change_nothing(tel, memory):
    inner = fail(tel)

    def twice():
        with tel.span("by hand"):
            tel.operation("outer")(inner)()

    run(twice)
    assert len(memory.logs) == 1


def test_coroutines_and_generators_tell_too(tel, memory):
    @tel.operation("coroutine")
    async def coroutine():
        await asyncio.sleep(0)
        raise Failed

    @tel.operation("generator")
    def generator():
        yield 1
        raise Failed

    @tel.operation("async generator")
    async def async_generator():
        yield 1
        raise Failed

    async def consume():
        async for _ in async_generator():
            pass

    run(asyncio.run, coroutine())
    run(list, generator())
    run(asyncio.run, consume())
    assert [operation for _, operation in told(memory)] == [
        "coroutine", "generator", "async generator",
    ]  # fmt: skip


def test_a_task_that_fails_inside_a_running_call_is_told_by_that_call(tel, memory):
    @tel.operation("task")
    async def task():
        await asyncio.sleep(0)
        raise Failed

    @tel.operation("outer")
    async def outer():
        await asyncio.gather(task(), asyncio.sleep(0))

    run(asyncio.run, outer())
    assert told(memory) == [("operation.failed", "outer")]


def test_a_call_on_another_thread_tells_for_itself(tel, memory):
    inner = fail(tel)

    @tel.operation("outer")
    def outer():
        thread = threading.Thread(target=run, args=[inner])
        thread.start()
        thread.join()

    outer()
    assert told(memory) == [("operation.failed", "inner")]


def test_one_exception_object_of_two_requests_is_told_twice(tel, memory):
    error = Failed("the same one")

    @tel.operation("call")
    def call():
        raise error

    run(call)
    run(call)
    assert len(memory.logs) == 2


def test_the_endpoint_inside_a_server_span_tells_once(tel, memory):
    @tel.endpoint("handler")
    def handler():
        fail(tel)()

    def request():
        with tel.span("GET /", kind="server"):
            handler()

    run(request)
    assert told(memory) == [("operation.failed", "handler")]


def test_it_can_be_switched_off(tel, memory):
    tel.logs.set_level("obs.operation", "off")
    run(fail(tel))
    assert memory.logs == []


def test_secrets_among_the_arguments_are_masked(tel, memory):
    run(fail(tel, record=("secret",)))
    assert memory.logs[0].fields["secret"] == "[redacted]"


def test_hostile_exceptions_and_arguments_hurt_nobody(tel, memory):
    class Bad(Exception):
        def __str__(self):
            raise SystemExit

        __repr__ = __hash__ = __str__

    run(fail(tel, Bad, record=("order",)), Bad())
    (record,) = memory.logs
    assert record.fields["order"] == "<Bad>"


def test_near_the_recursion_limit_the_error_goes_on(tel):
    @tel.operation()
    def deeper():
        deeper()

    with pytest.raises(RecursionError):
        deeper()


def test_a_wrong_route_is_refused_before_anything_is_decorated():
    with pytest.raises(DefinitionError):
        Obs("t", routes=[None])


def test_ctrl_c_while_it_is_told_leaves_the_numbers_right(tel):
    def interrupt(logger, level, fields):
        raise KeyboardInterrupt

    tel.logs.add_processors(interrupt)
    with pytest.raises(KeyboardInterrupt):
        fail(tel)()
    snapshot = tel.snapshot()
    assert [point.value for point in snapshot["operation.in_flight"].points] == [0]
    assert [point.count for point in snapshot["operation.duration"].points] == [1]
