"""Decorated calls: near the recursion limit."""

import contextlib
import inspect
import sys
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
