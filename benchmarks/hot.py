"""Recording: a counter, a gauge and a histogram, bound and with labels at each call."""

from collections.abc import Iterator

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    PROMETHEUS,
    REFERENCE,
    Case,
    Report,
    compare,
    gather,
    measure,
)
from benchmarks._peers import (
    ATTRIBUTES,
    BOUNDS,
    INTEGER,
    KEYWORDS,
    LABELS,
    LITERAL,
    LITERAL_INTEGER,
    POSITIONAL,
    ROW,
    durations,
    otel_meter,
    prometheus,
)
from obs import Obs

VALUES = "reference: a value to observe (taken off)"
INC = "inc(), bound"
INC_AMOUNT = "inc(2.5), bound"
INC_POSITIONAL = "labels(a, b, c).inc()"
INC_KEYWORDS = "labels(a=, b=, c=).inc()"
INC_INTEGER = "labels(a, b, 200).inc(), an int"
UPDOWN_AMOUNT = "inc(5) of an up-down counter, bound"
SET = "set(v), bound"
OBSERVE = "observe(v), 15 bounds, bound"
OBSERVE_POSITIONAL = "labels(a, b, c).observe(v)"

GOALS = {
    INC: {PROMETHEUS: 5, OPENTELEMETRY: 100},
    INC_POSITIONAL: {PROMETHEUS: 8, OPENTELEMETRY: 40},
    SET: {PROMETHEUS: 5, OPENTELEMETRY: 100},
    OBSERVE: {PROMETHEUS: 4.5, OPENTELEMETRY: 40},
}


def run(*, quick: bool) -> Report:
    """Measure one call each, all cases interleaved."""
    report = Report()
    cases = gather(_reference, _obs, _prometheus, _opentelemetry, report=report)
    report.figures = measure(cases, rounds=30 if quick else 300)
    report.tables = [compare("One recording call", report.figures, GOALS)]
    return report


def _reference() -> Iterator[Case]:
    class Empty:
        __slots__ = ()

        def inc(self, amount: float = 1) -> None:
            pass

    yield Case(VALUES, REFERENCE, "nx()", {"nx": durations()})
    yield Case("reference: an empty method", REFERENCE, "c.inc()", {"c": Empty()})


def _obs() -> Iterator[Case]:
    tel = Obs("benchmarks", runtime=False)
    counter = tel.counter("requests", labels=LABELS)
    gauge = tel.gauge("depth", labels=LABELS)
    updown = tel.metrics.updown("in_flight", labels=LABELS)
    histogram = tel.histogram("duration", labels=LABELS, buckets=BOUNDS)
    yield from _same_calls(OBS, counter, updown, gauge, histogram)


def _prometheus() -> Iterator[Case]:
    library, registry = prometheus()
    counter = library.Counter("requests", "Requests.", LABELS, registry=registry)
    gauge = library.Gauge("depth", "Depth.", LABELS, registry=registry)
    histogram = library.Histogram(
        "duration", "Duration.", LABELS, registry=registry, buckets=BOUNDS
    )
    updown = library.Gauge("in_flight", "Running.", LABELS, registry=registry)
    yield from _same_calls(PROMETHEUS, counter, updown, gauge, histogram)


def _same_calls(library: str, counter, updown, gauge, histogram) -> Iterator[Case]:
    c, g, h = counter.labels(*ROW), gauge.labels(*ROW), histogram.labels(*ROW)
    u = updown.labels(*ROW)
    nx = durations()
    yield Case(INC, library, "c.inc()", {"c": c})
    yield Case(INC_AMOUNT, library, "c.inc(2.5)", {"c": c})
    yield Case(INC_POSITIONAL, library, f"c.labels({POSITIONAL}).inc()", {"c": counter})
    yield Case(INC_KEYWORDS, library, f"c.labels({KEYWORDS}).inc()", {"c": counter})
    yield Case(INC_INTEGER, library, f"c.labels({INTEGER}).inc()", {"c": counter})
    yield Case(UPDOWN_AMOUNT, library, "u.inc(5)", {"u": u})
    yield Case(SET, library, "g.set(0.5)", {"g": g})
    yield Case(OBSERVE, library, "h.observe(nx())", {"h": h, "nx": nx}, minus=VALUES)
    yield Case(
        OBSERVE_POSITIONAL,
        library,
        f"h.labels({POSITIONAL}).observe(nx())",
        {"h": histogram, "nx": nx},
        minus=VALUES,
    )


def _opentelemetry() -> Iterator[Case]:
    meter = otel_meter()
    counter = meter.create_counter("requests")
    other = meter.create_counter("amounts")
    updown = meter.create_up_down_counter("in_flight")
    gauge = meter.create_gauge("depth")
    histogram = meter.create_histogram("duration")
    kept = {"attributes": ATTRIBUTES}
    nx = durations()

    def case(
        operation: str, statement: str, minus: str = "", **objects: object
    ) -> Case:
        return Case(operation, OPENTELEMETRY, statement, {**kept, **objects}, minus)

    yield case(INC, "c.add(1, attributes)", c=counter)
    yield case(INC_AMOUNT, "c.add(2.5, attributes)", c=other)
    yield case(INC_POSITIONAL, f"c.add(1, {LITERAL})", c=counter)
    yield case(INC_KEYWORDS, f"c.add(1, {LITERAL})", c=counter)
    yield case(INC_INTEGER, f"c.add(1, {LITERAL_INTEGER})", c=counter)
    yield case(UPDOWN_AMOUNT, "u.add(5, attributes)", u=updown)
    yield case(SET, "g.set(0.5, attributes)", g=gauge)
    yield case(OBSERVE, "h.record(nx(), attributes)", VALUES, h=histogram, nx=nx)
    yield case(
        OBSERVE_POSITIONAL, f"h.record(nx(), {LITERAL})", VALUES, h=histogram, nx=nx
    )
