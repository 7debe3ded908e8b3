"""One decorated call: what it takes longer than the function alone.

The same three things are recorded everywhere: how long it took, how many are running,
and what failed. Ours and OpenTelemetry's make a child span too, inside a root span that is
running; prometheus_client knows none. Coroutines are driven by hand, without an event loop.
"""

from collections.abc import Callable, Iterator
from contextvars import Context
from functools import wraps
from time import perf_counter

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    PROMETHEUS,
    REFERENCE,
    Case,
    Report,
    compare,
    gather,
    inside,
    measure,
)
from benchmarks._peers import (
    BOUNDS,
    otel_inside,
    otel_meter,
    otel_tracer,
    prometheus,
)
from benchmarks.spans import QUEUE, drive, queued
from obs.trace import Never

SYNC = "def"
SYNC_UNSAMPLED = "def, unsampled"
SYNC_LABEL = "def, one label"
ASYNC = "async def"
ASYNC_LABEL = "async def, one label"
RAISES = "def that raises"
BARE = {
    SYNC: "reference: undecorated def (taken off)",
    ASYNC: "reference: undecorated async def (taken off)",
    RAISES: "reference: undecorated def that raises (taken off)",
}
STATEMENT = {
    SYNC: "f('web')",
    ASYNC: "drive(f('web'))",
    RAISES: "catch(f)",
}
GOALS = {SYNC: {OPENTELEMETRY: 20}}


def run(*, quick: bool) -> Report:
    """Measure one call each, all cases interleaved."""
    report = Report()
    cases = gather(_reference, _obs, _prometheus, _opentelemetry, report=report)
    report.figures = measure(cases, rounds=30 if quick else 300)
    report.tables = [compare("What a decorator adds to a call", report.figures, GOALS)]
    report.notes.append(
        f"{OBS}: spans wait in the instance's intake, which is read by nobody and keeps the "
        f"last {QUEUE}; unsampled: inside a root that `Never()` has left out"
    )
    report.notes.append(
        f"{PROMETHEUS}: `@h.time()`, `@g.track_inprogress()`, `@c.count_exceptions()`; "
        "for `async def` and for labels written by hand, since its decorators time only "
        "the making of the coroutine"
    )
    report.notes.append(
        f"{OPENTELEMETRY}: `start_as_current_span`, a histogram and an up-down counter "
        "around the call, by hand; `BatchSpanProcessor`, whose exporter does nothing"
    )
    return report


def work(channel: str) -> str:
    return channel


async def awork(channel: str) -> str:
    return channel


def fail(channel: str) -> str:
    raise KeyError(channel)


def catch(function: Callable[[str], str]) -> None:
    try:
        function("web")
    except KeyError:
        return


def _case(
    operation: str, library: str, function: object, context: Context | None = None
) -> Case:
    kind, _, _ = operation.partition(",")
    return Case(
        BARE[kind] if library == REFERENCE else operation,
        library,
        STATEMENT[kind],
        {"f": function, "drive": drive, "catch": catch},
        minus="" if library == REFERENCE else BARE[kind],
        context=context or Context(),
    )


def _reference() -> Iterator[Case]:
    yield _case(SYNC, REFERENCE, work)
    yield _case(ASYNC, REFERENCE, awork)
    yield _case(RAISES, REFERENCE, fail)


def _obs() -> Iterator[Case]:
    tel = queued()
    off = queued(Never())
    plain = tel.operation
    labels = ("channel",)
    root = inside(tel.span("root").__enter__)
    unsampled = inside(off.span("root").__enter__)
    yield _case(SYNC, OBS, plain("sync")(work), root)
    yield _case(SYNC_LABEL, OBS, plain("sync.label", labels=labels)(work), root)
    yield _case(SYNC_UNSAMPLED, OBS, off.operation("sync")(work), unsampled)
    yield _case(ASYNC, OBS, plain("async")(awork), root)
    yield _case(ASYNC_LABEL, OBS, plain("async.label", labels=labels)(awork), root)
    yield _case(RAISES, OBS, plain("raises")(fail), root)


def _prometheus() -> Iterator[Case]:
    library, registry = prometheus()

    def instruments(name: str, labels: tuple[str, ...] = ()):
        given = {"labelnames": labels, "registry": registry}
        return (
            library.Histogram(f"{name}_seconds", "Time.", buckets=BOUNDS, **given),
            library.Gauge(f"{name}_running", "Calls.", registry=registry),
            library.Counter(f"{name}_failed", "Calls.", **given),
        )

    def decorated(name: str, function: Callable[[str], str]) -> Callable[[str], str]:
        h, g, c = instruments(name)
        return c.count_exceptions()(g.track_inprogress()(h.time()(function)))

    yield _case(SYNC, PROMETHEUS, decorated("sync", work))
    yield _case(RAISES, PROMETHEUS, decorated("raises", fail))

    h, g, c = instruments("labelled", ("channel",))

    @wraps(work)
    def labelled(channel: str) -> str:
        failed = c.labels(channel).count_exceptions()
        with failed, g.track_inprogress(), h.labels(channel).time():
            return work(channel)

    yield _case(SYNC_LABEL, PROMETHEUS, labelled)

    ah, ag, ac = instruments("async")

    @wraps(awork)
    async def coroutine(channel: str) -> str:
        with ac.count_exceptions(), ag.track_inprogress(), ah.time():
            return await awork(channel)

    yield _case(ASYNC, PROMETHEUS, coroutine)

    lh, lg, lc = instruments("async_labelled", ("channel",))

    @wraps(awork)
    async def labelled_coroutine(channel: str) -> str:
        failed = lc.labels(channel).count_exceptions()
        with failed, lg.track_inprogress(), lh.labels(channel).time():
            return await awork(channel)

    yield _case(ASYNC_LABEL, PROMETHEUS, labelled_coroutine)


def _opentelemetry() -> Iterator[Case]:
    meter = otel_meter()
    tracer = otel_tracer()
    duration = meter.create_histogram("operation.duration", "s")
    running = meter.create_up_down_counter("operation.in_flight")
    span = tracer.start_as_current_span
    root = otel_inside(tracer)

    def leave(name: str, start: float, error: BaseException | None, **labels) -> None:
        attributes = {
            "operation": name,
            "outcome": "error" if error else "ok",
            "error_type": type(error).__name__ if error else "",
            **labels,
        }
        duration.record(perf_counter() - start, attributes)
        running.add(-1, {"operation": name})

    def sync(name: str, function: Callable[[str], str], *, label: bool = False):
        @wraps(function)
        def call(channel: str) -> str:
            labels = {"channel": channel} if label else {}
            running.add(1, {"operation": name})
            start = perf_counter()
            try:
                with span(name, attributes=labels):
                    result = function(channel)
            except BaseException as error:
                leave(name, start, error, **labels)
                raise
            leave(name, start, None, **labels)
            return result

        return call

    def coroutine(name: str, *, label: bool = False):
        @wraps(awork)
        async def call(channel: str) -> str:
            labels = {"channel": channel} if label else {}
            running.add(1, {"operation": name})
            start = perf_counter()
            try:
                with span(name, attributes=labels):
                    result = await awork(channel)
            except BaseException as error:
                leave(name, start, error, **labels)
                raise
            leave(name, start, None, **labels)
            return result

        return call

    def case(operation: str, function: object) -> Case:
        return _case(operation, OPENTELEMETRY, function, root)

    yield case(SYNC, sync("sync", work))
    yield case(SYNC_LABEL, sync("sync.label", work, label=True))
    yield case(ASYNC, coroutine("async"))
    yield case(ASYNC_LABEL, coroutine("async.label", label=True))
    yield case(RAISES, sync("raises", fail))
