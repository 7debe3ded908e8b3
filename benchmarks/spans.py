"""Spans: one child, root, unsampled span each; and headers in and out.

Every case runs in a context of its own, in which its root span (or what came in headers)
is current. Finished spans wait in a bounded queue; nobody reads them.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from contextvars import Context

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    REFERENCE,
    Case,
    Report,
    compare,
    gather,
    inside,
    measure,
)
from benchmarks._peers import otel_inside, otel_tracer
from obs import Obs
from obs.delivery import Intake
from obs.protocols import Sampler
from obs.trace import Never

NO_OP = "opentelemetry's no-op"
QUEUE = 2048
"""How many finished spans wait at most: the peer's default."""

CHILD = "child, 3 attributes"
CHILD_DICT = "child, a dict of 3 attributes"
CHILD_BARE = "child, no attributes"
ROOT = "root, 3 attributes"
UNSAMPLED = "unsampled child, 3 attributes"
RAISES = "child that an exception ends"
ASYNC = "async with, child, 3 attributes"
PARENT_ONLY = "extract plus inject, traceparent only"
ALL_HEADERS = "extract plus inject, with tracestate and baggage"

BARE = {
    RAISES: "reference: an exception in a block of no span (taken off)",
    ASYNC: "reference: async with of nothing (taken off)",
}
GOALS = {
    CHILD: {OPENTELEMETRY: 15},
    UNSAMPLED: {OPENTELEMETRY: 20},
    PARENT_ONLY: {OPENTELEMETRY: 8},
    ALL_HEADERS: {OPENTELEMETRY: 8},
}

_ATTRIBUTES = {"a": 1, "b": "x", "c": 2.5}
_KEYWORDS = ", ".join(f"{name}={value!r}" for name, value in _ATTRIBUTES.items())
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = {"traceparent": _TRACEPARENT}
MORE_HEADERS = {
    "traceparent": _TRACEPARENT,
    "tracestate": "vendor=t61rcWkgMzE,other=00f067aa0ba902b7",
    "baggage": "tenant=acme,plan=gold",
}

Block = Callable[[], AbstractContextManager[object]]


def run(*, quick: bool) -> Report:
    """Measure one span each, all cases interleaved, and headers with them."""
    report = Report()
    cases = gather(_reference, _obs, _opentelemetry, _no_op, report=report)
    report.figures = measure(cases, rounds=30 if quick else 300)
    title = "One span, from its start to the queue of finished ones; headers"
    peers = (OPENTELEMETRY, NO_OP)
    report.tables = [compare(title, report.figures, GOALS, peers=peers)]
    report.notes += [
        f"{OBS}: spans wait in the instance's intake, which is read by nobody and keeps the "
        f"last {QUEUE}",
        f"{OPENTELEMETRY}: `BatchSpanProcessor`, whose exporter does nothing and succeeds; "
        "unsampled: `ParentBased(ALWAYS_OFF)`",
        "an exception's stack: ours is captured, and made text by who exports; the peer's "
        "is text at once",
        *_differences(),
    ]
    return report


def queued(sampler: Sampler | None = None) -> Obs:
    """Give an instance whose finished spans wait for an exporter that never comes."""
    tel = Obs("benchmarks", runtime=False, sampler=sampler)
    intake = Intake("traces")
    intake.open(10**9, lambda: None)
    intake.queue = deque(maxlen=QUEUE)  # for a full intake would drop what is measured
    tel.trace.sink = intake.put
    return tel


def drive(coroutine: Coroutine[object, None, object]) -> None:
    """Run a coroutine that awaits nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return


def _reference() -> Iterator[Case]:
    class Empty:
        __slots__ = ()

        def __enter__(self):
            return self

        def __exit__(self, *exc_info: object) -> None:
            pass

        async def __aenter__(self):
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            pass

    empty = Empty()

    async def coroutine() -> None:
        async with empty:
            pass

    yield Case("reference: with of nothing", REFERENCE, "with s: pass", {"s": empty})
    yield Case(BARE[RAISES], REFERENCE, "f()", {"f": _raising(lambda: empty)})
    yield Case(BARE[ASYNC], REFERENCE, "drive(f())", {"drive": drive, "f": coroutine})


def _obs() -> Iterator[Case]:
    tel = queued()
    off = queued(Never())
    span = tel.span
    in_root = inside(tel.span("root").__enter__)
    in_unsampled = inside(off.span("root").__enter__)

    async def coroutine() -> None:
        async with span("child", a=1, b="x", c=2.5):
            pass

    yield from _spans(
        OBS,
        f"with span('child', {_KEYWORDS}): pass",
        f"with span('child', {_ATTRIBUTES!r}): pass",
        {"span": span},
        in_root,
    )
    yield Case(
        UNSAMPLED,
        OBS,
        f"with span('child', {_KEYWORDS}): pass",
        {"span": off.span},
        context=in_unsampled,
    )
    yield _raises(OBS, lambda: span("child", a=1, b="x", c=2.5), in_root)
    yield _async(OBS, coroutine, in_root)
    given = tel.extract(MORE_HEADERS)
    headers = {"extract": tel.extract, "inject": tel.inject}
    statement = "extract(given); inject()"
    yield from _headers(
        OBS, statement, headers, in_root, inside(tel.use(given).__enter__)
    )


def _opentelemetry() -> Iterator[Case]:
    from opentelemetry.context import attach
    from opentelemetry.propagate import extract, inject
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    tracer = otel_tracer()
    off = otel_tracer(ParentBased(ALWAYS_OFF))
    start = tracer.start_as_current_span
    in_root = otel_inside(tracer)

    async def coroutine() -> None:
        with start("child", attributes={"a": 1, "b": "x", "c": 2.5}):
            pass

    statement = f"with span('child', attributes={_ATTRIBUTES!r}): pass"
    yield from _spans(OPENTELEMETRY, statement, statement, {"span": start}, in_root)
    yield Case(
        UNSAMPLED,
        OPENTELEMETRY,
        statement,
        {"span": off.start_as_current_span},
        context=otel_inside(off),
    )
    yield _raises(
        OPENTELEMETRY,
        lambda: start("child", attributes={"a": 1, "b": "x", "c": 2.5}),
        in_root,
    )
    yield _async(OPENTELEMETRY, coroutine, in_root)
    headers = {"extract": extract, "inject": inject}
    statement = "extract(given); inject({})"
    in_given = inside(lambda: attach(extract(MORE_HEADERS)))
    yield from _headers(OPENTELEMETRY, statement, headers, in_root, in_given)


def _no_op() -> Iterator[Case]:
    from opentelemetry.trace import NoOpTracer

    start = NoOpTracer().start_as_current_span

    async def coroutine() -> None:
        with start("child", attributes={"a": 1, "b": "x", "c": 2.5}):
            pass

    statement = f"with span('child', attributes={_ATTRIBUTES!r}): pass"
    yield from _spans(NO_OP, statement, statement, {"span": start}, Context())
    yield _raises(
        NO_OP,
        lambda: start("child", attributes={"a": 1, "b": "x", "c": 2.5}),
        Context(),
    )
    yield _async(NO_OP, coroutine, Context())


def _spans(
    library: str,
    statement: str,
    statement_dict: str,
    objects: dict[str, object],
    in_root: Context,
) -> Iterator[Case]:
    bare = "with span('child'): pass"
    yield Case(CHILD, library, statement, objects, context=in_root)
    yield Case(CHILD_DICT, library, statement_dict, objects, context=in_root)
    yield Case(CHILD_BARE, library, bare, objects, context=in_root)
    yield Case(ROOT, library, statement, objects)


def _raises(library: str, make: Block, in_root: Context) -> Case:
    objects = {"f": _raising(make)}
    return Case(RAISES, library, "f()", objects, BARE[RAISES], in_root)


def _raising(make: Block) -> Callable[[], None]:
    def function() -> None:
        try:
            with make():
                raise KeyError("web")
        except KeyError:
            return

    return function


def _async(
    library: str,
    coroutine: Callable[[], Coroutine[object, None, None]],
    in_root: Context,
) -> Case:
    objects = {"drive": drive, "f": coroutine}
    return Case(ASYNC, library, "drive(f())", objects, BARE[ASYNC], in_root)


def _headers(
    library: str,
    statement: str,
    functions: dict[str, object],
    in_root: Context,
    in_given: Context,
) -> Iterator[Case]:
    for operation, given, context in (
        (PARENT_ONLY, HEADERS, in_root),
        (ALL_HEADERS, MORE_HEADERS, in_given),
    ):
        objects = {**functions, "given": given}
        yield Case(operation, library, statement, objects, context=context)


def _differences() -> Iterator[str]:
    """Give a note for each difference of what both libraries write into headers."""
    try:
        from opentelemetry.context import attach
        from opentelemetry.propagate import extract, inject
    except ImportError:
        return

    def theirs() -> dict[str, str]:
        attach(extract(MORE_HEADERS))
        written: dict[str, str] = {}
        inject(written)
        return written

    tel = Obs("benchmarks", runtime=False)
    with tel.use(tel.extract(MORE_HEADERS)):
        mine = tel.inject()
    their = Context().run(theirs)
    if mine == their == MORE_HEADERS:
        yield "checked: both write the headers that they have read"
    else:
        yield f"headers **differ**: {mine} and {their}, read from {MORE_HEADERS}"
