"""Decorated calls: near the recursion limit, thrown into, and closed."""

import contextlib
import functools
import gc
import inspect
import os
import re
import sys
import traceback
from contextvars import Context

import pytest

from obs import Obs
from obs.metrics import SLOT_CELLS, THREAD_CELLS, Registry
from obs.testing import MemoryExporter
from obs.trace import Never

KINDS = ("function", "coroutine", "generator", "async generator")
ROOM = 150
"""How much deeper than a test a call may go: enough for a record of it, and quick."""


def drive(coroutine):
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


@contextlib.contextmanager
def little_room():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + ROOM)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def deeper(levels, call):
    """Make a call so many levels further down."""
    return call() if levels == 0 else deeper(levels - 1, call)


def made(kind, decorate):
    """Give what makes a call of a kind and drives it; the function gets ``inside``."""
    if kind == "function":
        return decorate(lambda inside: inside())
    if kind == "coroutine":

        @decorate
        async def coroutine(inside):
            return inside()

        return lambda inside: drain(coroutine(inside).send)
    if kind == "generator":

        @decorate
        def generator(inside):
            yield inside()

        return lambda inside: drain(generator(inside).send)

    @decorate
    async def async_generator(inside):
        yield inside()

    def run(inside):
        it = async_generator(inside)
        while True:
            try:
                it.asend(None).send(None)
            except StopIteration:
                continue
            except StopAsyncIteration:
                return

    return run


def drain(send):
    try:
        while True:
            send(None)
    except StopIteration:
        return


DECORATORS = {
    "operation": lambda tel: tel.operation("op"),
    "endpoint": lambda tel: tel.endpoint("op"),
    "in progress": lambda tel: tel.gauge("progress").track_in_progress(),
}
ENDINGS = {
    "returns": lambda: None,
    "raises": lambda: {}["x"],
}


@pytest.fixture(params=["slots", "threads"])
def cells(request, monkeypatch):
    wanted = {"slots": SLOT_CELLS, "threads": THREAD_CELLS}[request.param]
    monkeypatch.setattr("obs.metrics._registry.default_cells", lambda: wanted)
    assert Registry().cells is wanted


def in_progress(tel):
    """Give how many calls of the one decorated function are running."""
    names = ("operation.in_flight", "progress")
    (found,) = [family for family in tel.snapshot() if family.name in names]
    (point,) = found.points
    return point.value


def instance(sampler=None):
    return Obs(
        "x", runtime=False, level="off", sampler=sampler, exporters=[MemoryExporter()]
    )


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("around", ["nothing", "server", "unsampled", "unsampled root"])
@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_has_no_room_at_any_depth_stays_not_in_flight(
    kind, decorator, around
):
    tel = instance(Never() if "unsampled" in around else None)
    call = made(kind, DECORATORS[decorator](tel))
    is_inside = around in ("server", "unsampled")
    failed = set()

    def attempt(levels, ending):
        with (
            tel.span("around", kind="server") if is_inside else contextlib.nullcontext()
        ):
            before = tel.trace.current_span()
            try:
                deeper(levels, lambda: call(ENDINGS[ending]))
            except RecursionError:
                failed.add(ending)
            except KeyError:
                pass
            assert tel.trace.current_span() is before

    with tel.start(), little_room():
        for levels in range(ROOM):
            for ending in ENDINGS:
                Context().run(attempt, levels, ending)
    assert failed == set(ENDINGS)
    assert in_progress(tel) == 0


def lets_all_through():
    yield 1


async def lets_all_pass():
    yield 1


def frames(error):
    """Give file and line of each frame of a traceback."""
    found = traceback.extract_tb(error.__traceback__)
    return [(os.path.basename(frame.filename), frame.line) for frame in found]


def test_what_is_thrown_into_a_generator_has_one_frame_of_ours():
    generator = instance().operation("op")(lets_all_through)()
    next(generator)
    with pytest.raises(KeyError) as caught:
        generator.throw(KeyError())
    assert frames(caught.value) == [
        ("test_calls.py", "generator.throw(KeyError())"),
        ("_calls.py", "item = step(sent)"),
        ("test_calls.py", "yield 1"),
    ]


def test_what_is_thrown_into_an_async_generator_has_one_frame_of_ours():
    generator = instance().operation("op")(lets_all_pass)()
    drive(anext(generator))
    with pytest.raises(KeyError) as caught:
        generator.athrow(KeyError()).send(None)
    assert frames(caught.value) == [
        ("test_calls.py", "generator.athrow(KeyError()).send(None)"),
        ("_calls.py", "item = await step"),
        ("test_calls.py", "yield 1"),
    ]


def test_what_a_generator_catches_has_the_frames_that_it_has_alone():
    def catches():
        try:
            yield 1
        except KeyError as error:
            yield frames(error)

    seen = []
    for function in (catches, instance().operation("op")(catches)):
        generator = function()
        next(generator)
        seen.append(generator.throw(KeyError()))
    alone, decorated = seen
    assert decorated == alone == [("test_calls.py", "yield 1")]


def test_a_failure_in_a_context_managers_body_is_told_with_one_frame_of_ours():
    memory = MemoryExporter()
    tel = Obs("x", runtime=False, exporters=[memory], routes=[])

    @contextlib.contextmanager
    @tel.operation("transaction")
    def transaction():
        yield

    def work():
        raise ValueError("boom")

    with tel.start(), pytest.raises(ValueError, match="boom") as caught, transaction():
        work()
    assert [file for file, _ in frames(caught.value)] == ["test_calls.py"] * 2
    (record,) = memory.logs
    files = re.findall(r'File ".*?(\w+\.py)"', record.fields["exception.stacktrace"])
    assert files == ["_calls.py", *["test_calls.py"] * 3]


def test_a_class_that_hides_its_traceback_is_thrown_like_any_other():
    class Hiding(Exception):
        @property
        def __traceback__(self):
            raise RuntimeError

        __class__ = __traceback__

    generator = instance().operation("op")(lets_all_through)()
    next(generator)
    error = Hiding()
    try:
        generator.throw(error)
    except Hiding as caught:
        same = caught is error
    assert same


def returns_when_closed():
    try:
        yield 1
    except GeneratorExit:
        return 42


def answers_when_closed():
    try:
        yield 1
    except GeneratorExit:
        yield 2
    yield 3
    return 42


def fails_when_closed():
    try:
        yield 1
    finally:
        raise KeyError("own")


def yields_from_another():
    try:
        return (yield from returns_when_closed())
    finally:
        yield 4


GENERATORS = [
    returns_when_closed,
    answers_when_closed,
    fails_when_closed,
    yields_from_another,
    lets_all_through,
]


async def ends_when_closed():
    with contextlib.suppress(GeneratorExit):
        yield 1


async def answers_when_aclosed():
    try:
        yield 1
    except GeneratorExit:
        yield 2
    yield 3


async def fails_when_aclosed():
    try:
        yield 1
    finally:
        raise KeyError("own")


async def waits_when_aclosed():
    try:
        yield 1
    finally:
        async for item in lets_all_pass():
            assert item == 1


ASYNC_GENERATORS = [
    ends_when_closed,
    answers_when_aclosed,
    fails_when_aclosed,
    waits_when_aclosed,
    lets_all_pass,
]


def answered(step, *args):
    """Give what a step gives, or how it fails."""
    try:
        result = step(*args)
        return drive(result) if inspect.isawaitable(result) else result
    except BaseException as error:
        return type(error), error.args


def history(generator, ending):
    """Give what a generator answers when it is ended, goes on, and is ended again."""
    letter = "a" if inspect.isasyncgen(generator) else ""
    further = getattr(generator, f"__{letter}next__")
    if ending is None:
        end = getattr(generator, f"{letter}close")
    else:
        end = functools.partial(getattr(generator, f"{letter}throw"), ending)
    return [answered(step) for step in (further, end, further, end, further)]


@pytest.mark.parametrize(
    "ending", [None, GeneratorExit, KeyError, StopIteration, StopAsyncIteration]
)
@pytest.mark.parametrize("function", GENERATORS + ASYNC_GENERATORS)
def test_a_generator_is_ended_as_it_would_be_alone(function, ending):
    tel = instance()
    alone = history(function(), ending)
    assert history(tel.operation("op")(function)(), ending) == alone
    assert in_progress(tel) == 0


def test_close_gives_what_it_gives_alone():
    decorated = instance().operation("op")(returns_when_closed)()
    assert next(decorated) == 1
    assert decorated.close() == (42 if sys.version_info >= (3, 13) else None)


@pytest.mark.parametrize("function", [answers_when_closed, answers_when_aclosed])
def test_what_answers_its_close_with_an_item_has_ended_by_then(function):
    memory = MemoryExporter()
    tel = Obs("x", runtime=False, exporters=[memory], routes=[])
    with tel.start():
        generator = tel.operation("op")(function)()
        first, end, *_ = history(generator, GeneratorExit)
        assert (first, end) == (1, 2)
    (point,) = tel.snapshot()["operation.duration"].points
    assert (point.labels["outcome"], point.count) == ("ok", 1)
    assert in_progress(tel) == 0
    assert [span.outcome for span in memory.spans] == ["ok"]
    assert memory.logs == []


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_what_goes_on_after_its_close_has_no_span_around_it(kind):
    tel, seen = instance(), []

    def look():
        seen.append(tel.trace.current_span().context.span_id)

    def looks():
        try:
            yield look()
        except GeneratorExit:
            yield look()
        yield look()

    async def alooks():
        try:
            yield look()
        except GeneratorExit:
            yield look()
        yield look()

    function = looks if kind == "generator" else alooks
    history(tel.operation("op")(function)(), GeneratorExit)
    assert [bool(span) for span in seen] == [True, True, False]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dropped_generator_that_will_not_be_closed_is_not_in_flight():
    tel = instance()

    @tel.operation("op")
    def stubborn():
        while True:
            with contextlib.suppress(GeneratorExit):
                yield 1

    generator = stubborn()
    next(generator)
    del generator
    gc.collect()
    assert in_progress(tel) == 0


@pytest.mark.parametrize("function", [answers_when_closed, answers_when_aclosed])
def test_ctrl_c_at_the_end_of_what_answers_its_close_counts_it_down_once(function):
    tel = Obs("x", runtime=False, level="off")

    def interrupt(span):
        raise KeyboardInterrupt

    tel.trace.sink = interrupt
    generator = tel.operation("op")(function)()
    first, end, *_ = history(generator, GeneratorExit)
    assert (first, end) == (1, (KeyboardInterrupt, ()))
    assert in_progress(tel) == 0
