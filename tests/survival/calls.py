"""Every recording call, once, in one table: what the survival tests make and count.

A new recording call is one more row of ``CALLS``. ``prepare`` gets a fresh ``Subject``
and gives what makes the call; ``adds`` says what one call adds to which of the
subject's totals. The tests inject at every line of a call, re-enter it, fork in it, and
compare the totals with how often each call was made.
"""

from __future__ import annotations

import enum
import functools
import itertools
import os
import queue
import sys
import threading
from collections import Counter, UserDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import obs
from obs import DefinitionError, Limits, MetricFamily, Obs, _stacks
from obs._context import CURRENT, current
from obs._diag import Diag
from obs.delivery import Intake
from obs.logs import Logs, Route, lazy
from obs.logs._descriptor import Descriptor
from obs.logs._fields import SCOPE
from obs.metrics import SLOT_CELLS, THREAD_CELLS, Registry, _registry
from obs.model import Ack, Batch, Delivery, Payload, Snapshot, TraceContext, delta
from obs.propagation import Propagation
from obs.redact import Redactor, _pairs, _texts
from obs.redact._late import Late
from obs.runtime._gc import GcPauses
from obs.runtime._interpreter import InterpreterCollector
from obs.runtime._process import ProcessCollector
from obs.testing import MemoryExporter
from obs.trace import Never, RateLimited, SpanReader, Tracer
from tests.survival.processes import SECONDS

CELLS = {"slots": SLOT_CELLS, "threads": THREAD_CELLS}
SERIES = 12
"""Series per block: few, so that a block is soon full; more than a test makes."""
PACKAGE = os.path.dirname(obs.__file__) + os.sep
NOTHING: Mapping[str, float] = MappingProxyType({})
BUCKETS = (0.5, 2.0)


def compile_patterns() -> None:
    """Have compiled what redaction compiles once in a process, at its first use."""
    found = [*vars(_pairs).values(), *vars(_texts).values()]
    found += [pattern for _, pattern in _texts._SHAPES]
    for pattern in found:
        if isinstance(pattern, Late):
            pattern.match("")


compile_patterns()


class Elsewhere:
    """One other thread that lives as long as the process, for what it has recorded."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()

    @functools.cached_property
    def _thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._loop, daemon=True)
        thread.start()
        return thread

    def run(self, functions: Iterable[Callable[[], object]]) -> None:
        """Do this on the other thread."""
        assert self._thread.is_alive()
        for function in functions:
            self._work.put(function)
        for _ in functions:
            self._done.get()

    def _loop(self) -> None:
        while True:
            self._work.get()()
            self._done.put(None)


ELSEWHERE = Elsewhere()


class Finished:
    """A sink that counts spans: for each thread, since it takes no lock either."""

    def __init__(self) -> None:
        # Not a Counter: a signal may come in its `__missing__`, and its spans be lost.
        self._counts: defaultdict[int, int] = defaultdict(int)

    def __call__(self, span: object) -> None:
        self._counts[threading.get_ident()] += 1

    def __len__(self) -> int:
        return sum(self._counts.values())

    def clear(self) -> None:
        self._counts.clear()


class Pushed:
    """An instance with a push exporter, one in each process: its lanes have threads."""

    name = "pushed"
    signals = frozenset(["logs", "traces"])
    delivery = Delivery()

    def __init__(self) -> None:
        self._arrived: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    @functools.cached_property
    def tel(self) -> Obs:
        """The instance; started."""
        routes = [Route(NULL, format="json")]
        tel = Obs("pushed", runtime=False, exporters=[self], routes=routes)
        tel.start()
        return tel

    def encode(self, batch: Batch) -> Iterable[Payload]:
        return [Payload(batch.signal, len(batch.records))]

    def send(self, payload: Payload, deadline: float) -> Ack:
        self._arrived[str(payload.body)] += payload.records
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        pass

    def begin(self) -> None:
        """Count from here."""
        self._before = self._flushed()

    def forked(self) -> None:
        """Count from zero, as the ledger does."""
        self._arrived.clear()
        self._before.clear()

    def totals(self) -> dict[str, int]:
        """Give what has arrived since the beginning."""
        now = self._flushed()
        return {
            "pushed": now["traces"] - self._before["traces"],
            "pushed.logs": now["logs"] - self._before["logs"],
        }

    def _flushed(self) -> Counter[str]:
        if "tel" in self.__dict__:
            self.tel.flush(SECONDS)
        return self._arrived.copy()


PUSHED = Pushed()


class Subject:
    """An instance, and the totals of what was recorded with it.

    Args:
        cells: ``slots`` or ``threads``.
        series: The limit of series per block.
        sampler: Which traces are recorded; all when None.

    Attributes:
        tel: The instance.
        cells: What holds its numbers.
        finished: The spans that have ended.
        other: For further spans of a call, of which an exception may leave out some.
        intakes: Further intakes, by the name of the call that fills them.
        pipes: What lines are written to, by the name of the call that writes them.
        elsewhere: What is done first of all, on another thread.
        before: A reading from after that.
    """

    def __init__(self, cells: str, series: int = SERIES, sampler: Any = None) -> None:
        _stacks._printed_frames.clear()  # kept for the next stack, in all the process
        self.cells = CELLS[cells]
        limits = Limits(series_per_block=series)
        default_cells = _registry.default_cells
        _registry.default_cells = lambda: self.cells
        try:
            self.tel = Obs(
                "survival",
                runtime=False,
                limits=limits,
                sampler=sampler,
                routes=[Route(NULL, format="json")],
                redact=Redactor(),  # what it has learned would be left for the next
            )
        finally:
            _registry.default_cells = default_cells
        assert self.tel.metrics.cells is self.cells
        # Which of several failures is logged depends on which calls run around it.
        self.tel.logs.set_level("obs.operation", "off")
        self.tel.start()  # the guard against collections inside ContextVar.set
        self.finished = self.tel.trace.sink = Finished()
        self.other = Tracer(sampler=sampler)
        self.elsewhere: list[Callable[[], object]] = []
        self.intakes: dict[str, Intake] = {}
        self.pipes: dict[str, Pipe] = {}

    def begin(self) -> None:
        """Do what comes before all calls."""
        CURRENT.set(None)  # whatever the call before has left in this process
        SCOPE.set(None)
        ELSEWHERE.run(self.elsewhere)
        PUSHED.begin()
        self.before = self.read()

    def forked(self) -> None:
        """The instance starts from zero by itself, in a forked child."""
        self.finished.clear()
        PUSHED.forked()
        for intake in self.intakes.values():
            intake.forked()
        for pipe in self.pipes.values():
            pipe.forked()

    def read(self) -> Snapshot:
        """Give all numbers of this moment."""
        return self.tel.snapshot()

    def totals(self, now: Snapshot) -> dict[str, float]:
        """Give the sum over all series of each metric, by name.

        A histogram has two, ``.count`` and ``.sum``. Digits at the end of a name do not
        count, so that metrics that a call makes by the dozen have one total.
        """
        totals: Counter[str] = Counter({"spans": len(self.finished), **PUSHED.totals()})
        for call, intake in self.intakes.items():
            totals[call] = len(intake) + intake.lost.read() + intake.late.read()
        for call, pipe in self.pipes.items():
            totals[call] = pipe.read()
        for family in now:
            name = family.name.rstrip("0123456789")
            for point in family.points:
                if family.name == "obs.dropped" and point.labels["signal"] == "traces":
                    totals["dropped.traces"] += point.value
                elif family.name == "obs.dropped":
                    totals[f"dropped.{point.labels['reason']}"] += point.value
                elif family.kind == "histogram":
                    totals[f"{name}.count"] += point.count
                    if name not in DURATIONS:
                        totals[f"{name}.sum"] += point.sum
                elif family.kind != "info" and name != "obs.series":
                    totals[name] += point.value
        return {name: total for name, total in totals.items() if total}

    def torn(self, now: Snapshot) -> list[str]:
        """Say what does not fit together, however often which call was made."""
        problems = torn_histograms(now)
        rows = sum(
            len(block.rows)
            for family in now
            for block in family.blocks
            if family.kind != "info"
            and not family.name.startswith(("obs.", "log."))
            and "otel.metric.overflow" not in block.label_names
        )
        if self.tel.metrics.series != rows:
            count = self.tel.metrics.series
            problems.append(f"obs.series is {count}, there are {rows}")
        if current() is not None:
            problems.append("a span stayed current")
        if LOST_HOOKS:
            problems.append(f"an event loop lost its hooks: {LOST_HOOKS.pop()}")
        return problems


def torn_histograms(snapshot: Iterable[MetricFamily]) -> list[str]:
    """Say where count and sum differ: all that these tests observe is 1, or takes time."""
    return [
        f"{family.name}: count {point.count}, sum {point.sum}"
        for family in snapshot
        if family.kind == "histogram"
        for point in family.points
        if (point.sum < 0 if family.name in DURATIONS else point.sum != point.count)
    ]


Prepare = Callable[[Subject], Callable[[], object]]
Check = Callable[[Subject, Snapshot, int, int], str]


class Call(NamedTuple):
    """A recording call.

    Attributes:
        name: Its name; that of its metric too, where it has one of its own.
        prepare: Gives what makes the call.
        adds: What one call adds to which totals.
        sets: Totals that are a number for good once the call was made.
        keeps: Totals that ``prepare`` gives a value which nothing changes, nor a fork.
        check: Says what is wrong otherwise, empty if nothing; gets the subject, what
            was read, and how often the call was made at least and at most.
        storm: Whether it only adds, and is quick: for tests that make many.
        waits: Whether it may wait for the same call on another thread (for a reading it
            is allowed).
    """

    name: str
    prepare: Prepare
    adds: Mapping[str, float] = NOTHING
    sets: Mapping[str, float] = NOTHING
    keeps: Mapping[str, float] = NOTHING
    check: Check | None = None
    storm: bool = False
    waits: bool = False


INVALID = {"dropped.invalid": 1}
DURATION = {"operation.duration.count": 1, "spans": 1}
DURATIONS = ("operation.duration", "cpython.gc.pause.duration", "time", "time.call")
IN_FLIGHT = ("operation.in_flight", "track", "track.call")
"""Totals that are 0 whenever nothing runs."""


def one(name: str) -> dict[str, float]:
    return {f"{name}.count": 1, f"{name}.sum": 1}


class Color(enum.Enum):
    RED = "red"


class Pause:
    """What a coroutine awaits to be suspended once."""

    def __await__(self):
        yield


LOST_HOOKS: list[object] = []


def first_step(generator: object) -> None:
    """What an event loop wants to hear of the asynchronous generators it runs."""


def close(generator: Any) -> None:
    """What an event loop does with one that is abandoned."""
    drive(generator.aclose())


def drive(awaitable: Any) -> None:
    with suppress(StopIteration):
        while True:
            awaitable.send(None)


def run(coroutine: Any) -> None:
    """Run a coroutine to its end, in the place of an event loop."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(first_step, close)
    try:
        drive(coroutine)
    finally:
        if sys.get_asyncgen_hooks() != (first_step, close):
            LOST_HOOKS.append(sys.get_asyncgen_hooks())
        sys.set_asyncgen_hooks(*hooks)


# --- metrics ---------------------------------------------------------------------------


def counter(name: str, *amount: Any) -> Prepare:
    return lambda subject: partial(subject.tel.counter(name).inc, *amount)


def updown(name: str, call: str) -> Prepare:
    return lambda subject: getattr(subject.tel.metrics.updown(name), call)


def gauge(name: str, call: str, *args: Any) -> Prepare:
    return lambda subject: partial(getattr(subject.tel.gauge(name), call), *args)


def histogram(name: str, value: Any) -> Prepare:
    return lambda subject: partial(
        subject.tel.histogram(name, buckets=BUCKETS).observe, value
    )


def labelled(name: str, *values: Any, **named: Any) -> Prepare:
    """The counter of two labels, with these values."""

    def prepare(subject: Subject) -> Callable[[], object]:
        metric = subject.tel.counter(name, labels=("a", "b"))
        return lambda: metric.labels(*values, **named).inc()

    return prepare


def new_series(name: str, kind: str, call: str, *args: Any, room: int = SERIES):
    """A new label value at each call; with no room, all go to the overflow series."""

    def prepare(subject: Subject) -> Callable[[], object]:
        metric = getattr(subject.tel, kind)(name, labels=("a",), **extra)
        for i in range(room, SERIES):
            metric.labels(f"full {i}")
        numbers = itertools.count()
        return lambda: getattr(metric.labels(f"new {next(numbers)}"), call)(*args)

    extra = {"buckets": BUCKETS} if kind == "histogram" else {}
    return prepare


def without_labels(subject: Subject) -> Callable[[], object]:
    return subject.tel.counter("labels.forgotten", labels=("a",)).inc


def bound_labels(subject: Subject) -> Callable[[], object]:
    series = subject.tel.counter("labels.twice", labels=("a",)).labels("x")
    return lambda: series.labels("y").inc()


def seven() -> int:
    return 7


class Owner:
    seven = 7


def function_of_owner(subject: Subject) -> Callable[[], object]:
    owner = Owner()
    series = subject.tel.gauge("gauge.owner")
    return lambda: series.set_function(lambda it: it.seven, owner)


def check_seven(name: str) -> Check:
    """A function stays, in a forked child too."""

    def check(subject: Subject, now: Snapshot, least: int, most: int) -> str:
        values = numbers(now[name])
        if values == [7] or (values == [0] and not least):
            return ""
        return f"{name}: {values}"

    return check


def inc_of_function(subject: Subject) -> Callable[[], object]:
    series = subject.tel.gauge("gauge.function.inc")
    series.set_function(seven)
    return series.inc


class Failing:
    """A registry of its own, each reading of which leaves out two things."""

    def __init__(self, subject: Subject) -> None:
        self.registry = Registry(cells=subject.cells)
        self.registry.gauge("failing").set_function(lambda: 1 / 0)
        self.registry.register(self)

    def collect(self) -> Iterable[MetricFamily]:
        raise ZeroDivisionError

    def left_out(self) -> float:
        return self.registry.diag.dropped_counts()["metrics", "", "invalid"]


def failing_read(subject: Subject) -> Callable[[], object]:
    subject.failing = Failing(subject)  # type: ignore[attr-defined]
    return subject.failing.registry.snapshot  # type: ignore[attr-defined]


def check_failing_read(subject: Subject, now: Snapshot, least: int, most: int) -> str:
    left_out = subject.failing.left_out()  # type: ignore[attr-defined]
    # A reading inside another one asks nobody, and so leaves nothing out.
    if 2 * min(least, 1) <= left_out <= 2 * most:
        return ""
    return f"{left_out} left out, in {least} to {most} readings"


def in_block(name: str, kind: str, call: str) -> Prepare:
    """Timing or tracking a block."""

    def prepare(subject: Subject) -> Callable[[], object]:
        around = getattr(getattr(subject.tel, kind)(name), call)

        def block() -> None:
            with around():
                pass

        return block

    return prepare


def in_call(name: str, kind: str, call: str) -> Prepare:
    """Timing or tracking a decorated function."""
    return lambda subject: getattr(getattr(subject.tel, kind)(name), call)()(seven)


def info(subject: Subject) -> Callable[[], object]:
    metric = subject.tel.metrics.info("info", labels=("a",))
    numbers = itertools.count()
    return lambda: metric.set(next(numbers))


def check_info(subject: Subject, now: Snapshot, least: int, most: int) -> str:
    rows = {point.labels["a"]: point.value for point in now["info"].points}
    if len(rows) > 1 or (least and not rows) or set(rows.values()) - {1}:
        return f"info: {rows} after {least} to {most} times set()"
    return ""


def removed(
    name: str, labels: tuple[str, ...], call: str, *values: str, kind: str = "counter"
) -> Prepare:
    """Remove a series, or all, and make one anew."""

    def prepare(subject: Subject) -> Callable[[], object]:
        metric = getattr(subject.tel.metrics, kind)(name, labels=labels)
        record = "observe" if kind == "histogram" else "inc"

        def series_made_anew() -> None:
            series = metric.labels(*(["x"] if labels else []))
            getattr(series, record)(1)

        def remove() -> None:
            getattr(metric, call)(*values)
            series_made_anew()

        for _ in range(5):
            # By another thread too: some cells keep a number for each.
            subject.elsewhere.append(series_made_anew)
        return remove

    return prepare


def numbers(family: MetricFamily) -> list[float]:
    """Give the values, or the counts of a histogram."""
    if family.kind == "histogram":
        return [point.count for point in family.points]
    return [point.value for point in family.points]


def check_removed(name: str) -> Check:
    def check(subject: Subject, now: Snapshot, least: int, most: int) -> str:
        values = numbers(now[name])
        before, after = (
            Snapshot([read[name]], read.start_ns, read.time_ns)
            for read in (subject.before, now)
        )
        increase = numbers(delta(before, after)[name])
        # A call that another one meets may count for a series that is gone by then.
        if least and not (len(values) == 1 and 1 <= values[0] <= most):
            return f"{name}: {values} after {least} to {most} removals"
        if least and increase != values:
            return f"{name}: {values} since the removal, an increase of {increase}"
        return ""

    return check


def churn(subject: Subject) -> Callable[[], object]:
    metric = subject.tel.gauge("churn", labels=("a",))
    numbers = itertools.count()

    def come_and_go() -> None:
        name = f"new {next(numbers)}"
        metric.labels(name).set(0)
        metric.remove(name)

    return come_and_go


def define(kind: str, call: str, **options: Any) -> Prepare:
    """Get or create, and record."""

    def prepare(subject: Subject) -> Callable[[], object]:
        make = getattr(subject.tel.metrics, kind)
        return lambda: getattr(make(f"define.{kind}", **options), call)(1)

    return prepare


def define_new(subject: Subject) -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: subject.tel.counter(f"define.new.{next(numbers)}").inc()


def define_info(subject: Subject) -> Callable[[], object]:
    return lambda: subject.tel.metrics.info("define.info", labels=("a",)).set("x")


def define_wrongly(subject: Subject) -> Callable[[], object]:
    subject.tel.counter("define.conflict")

    def conflict() -> None:
        with suppress(DefinitionError):
            subject.tel.gauge("define.conflict")

    return conflict


def read(subject: Subject) -> Callable[[], object]:
    def snapshot() -> None:
        problems = torn_histograms(subject.tel.snapshot())
        assert not problems, problems

    return snapshot


METRICS = [
    Call("counter", counter("counter"), {"counter": 1}, storm=True),
    Call("counter.add", counter("counter.add", 2.5), {"counter.add": 2.5}, storm=True),
    Call("counter.bool", counter("counter.bool", True), {"counter.bool": 1}),
    Call("counter.nan", counter("counter.nan", float("nan")), INVALID),
    Call("counter.text", counter("counter.text", "1"), INVALID),
    Call("counter.negative", counter("counter.negative", -1), INVALID, storm=True),
    Call("updown.inc", updown("updown.inc", "inc"), {"updown.inc": 1}, storm=True),
    Call("updown.dec", updown("updown.dec", "dec"), {"updown.dec": -1}, storm=True),
    Call("gauge.set", gauge("gauge.set", "set", 7), sets={"gauge.set": 7}),
    Call("gauge.float", gauge("gauge.float", "set", 0.5), sets={"gauge.float": 0.5}),
    Call("gauge.bool", gauge("gauge.bool", "set", True), sets={"gauge.bool": 1}),
    Call("gauge.nan", gauge("gauge.nan", "set", float("nan")), INVALID),
    Call("gauge.inc", gauge("gauge.inc", "inc"), {"gauge.inc": 1}, storm=True),
    Call("gauge.dec", gauge("gauge.dec", "dec", 2), {"gauge.dec": -2}, storm=True),
    Call(
        "gauge.function",
        gauge("gauge.function", "set_function", seven),
        check=check_seven("gauge.function"),
    ),
    Call("gauge.owner", function_of_owner, check=check_seven("gauge.owner")),
    Call(
        "gauge.function.inc",
        inc_of_function,
        INVALID,
        keeps={"gauge.function.inc": 7},
    ),
    Call("histogram", histogram("histogram", 1.0), one("histogram"), storm=True),
    Call("histogram.int", histogram("histogram.int", 1), one("histogram.int")),
    Call("histogram.bool", histogram("histogram.bool", True), one("histogram.bool")),
    Call("histogram.nan", histogram("histogram.nan", float("nan")), INVALID),
    Call("labels", labelled("labels", "x", "y"), {"labels": 1}, storm=True),
    Call("labels.named", labelled("labels.named", a="x", b="y"), {"labels.named": 1}),
    Call("labels.text", labelled("labels.text", 1, Color.RED), {"labels.text": 1}),
    Call(
        "labels.long",
        labelled("labels.long", None, "x" * 20_000),
        {"labels.long": 1, "obs.truncated": 1},
    ),
    Call("labels.few", labelled("labels.few", "x"), INVALID, storm=True),
    Call("labels.unknown", labelled("labels.unknown", a="x", c="y"), INVALID),
    Call("labels.hostile", labelled("labels.hostile", [], {}), INVALID),
    Call("labels.forgotten", without_labels, INVALID),
    Call("labels.twice", bound_labels, INVALID),
    Call(
        "labels.new",
        new_series("labels.new", "counter", "inc"),
        {"labels.new": 1},
        storm=True,
    ),
    Call(
        "labels.new.gauge",
        new_series("labels.new.gauge", "gauge", "inc"),
        {"labels.new.gauge": 1},
    ),
    Call(
        "labels.new.histogram",
        new_series("labels.new.histogram", "histogram", "observe", 1.0),
        one("labels.new.histogram"),
        storm=True,
    ),
    Call(
        "labels.overflow",
        new_series("labels.overflow", "counter", "inc", room=0),
        {"labels.overflow": 1, "dropped.cardinality": 1},
    ),
    Call(
        "labels.overflow.histogram",
        new_series("labels.overflow.histogram", "histogram", "observe", 1.0, room=0),
        {**one("labels.overflow.histogram"), "dropped.cardinality": 1},
    ),
    Call("time", in_block("time", "histogram", "time"), {"time.count": 1}, storm=True),
    Call(
        "time.call", in_call("time.call", "histogram", "time"), {"time.call.count": 1}
    ),
    Call("track", in_block("track", "gauge", "track_in_progress"), storm=True),
    Call("track.call", in_call("track.call", "gauge", "track_in_progress")),
    Call("info", info, check=check_info),
    Call("clear", removed("clear", (), "clear"), check=check_removed("clear")),
    Call(
        "clear.updown",
        removed("clear.updown", (), "clear", kind="updown"),
        check=check_removed("clear.updown"),
    ),
    Call(
        "clear.histogram",
        removed("clear.histogram", (), "clear", kind="histogram"),
        check=check_removed("clear.histogram"),
    ),
    Call(
        "clear.all",
        removed("clear.all", ("a",), "clear"),
        check=check_removed("clear.all"),
    ),
    Call(
        "remove.one",
        removed("remove.one", ("a",), "remove", "x"),
        check=check_removed("remove.one"),
    ),
    Call(
        "remove.unknown",
        lambda subject: partial(
            subject.tel.counter("remove.unknown", labels=("a",)).remove, "x"
        ),
    ),
    Call("churn", churn, storm=True),
    Call("define.counter", define("counter", "inc"), {"define.counter": 1}),
    Call("define.updown", define("updown", "dec"), {"define.updown": -1}),
    Call("define.gauge", define("gauge", "inc"), {"define.gauge": 1}),
    Call("define.histogram", define("histogram", "observe"), one("define.histogram")),
    Call("define.info", define_info),
    Call("define.new", define_new, {"define.new.": 1}),
    Call("define.conflict", define_wrongly),
    Call("read", read),
    Call("read.failing", failing_read, check=check_failing_read),
]


# --- decorated calls -------------------------------------------------------------------


class Failed(Exception):
    pass


class CancelledError(BaseException):
    """Known by its name, like that of asyncio."""


class NotFound(Exception):
    status_code = 404


def classify(error: BaseException) -> str:
    return "ok" if isinstance(error, Failed) else "nonsense"


def operation(kind: str, error: type[BaseException] | None = None, **options: Any):
    """A decorated function of one of the four kinds, called to its end."""

    def prepare(subject: Subject) -> Callable[[], object]:
        decorate = subject.tel.operation(kind, **options)
        call = KINDS[kind](decorate, error)
        if error is None:
            return call

        def call_and_catch() -> None:
            with suppress(error):
                call()

        return call_and_catch

    return prepare


def plain(decorate, error):
    @decorate
    def function(a=None):
        if error is not None:
            raise error

    return function


def coroutine(decorate, error):
    @decorate
    async def function():
        await Pause()
        if error is not None:
            raise error

    return lambda: run(function())


def generator(decorate, error):
    @decorate
    def function():
        yield 1
        if error is not None:
            raise error

    return lambda: list(function())


def async_generator(decorate, error):
    @decorate
    async def function():
        await Pause()
        yield 1
        if error is not None:
            raise error

    async def consume():
        async for _ in function():
            pass

    return lambda: run(consume())


def closed_generator(decorate, error):
    @decorate
    def function():
        yield 1
        yield 2

    def consume():
        iterator = function()
        next(iterator)
        iterator.close()

    return consume


def closed_async_generator(decorate, error):
    @decorate
    async def function():
        yield 1
        yield 2

    async def consume():
        iterator = function()
        await anext(iterator)
        await iterator.aclose()

    return lambda: run(consume())


def thrown_async_generator(decorate, error):
    @decorate
    async def function():
        with suppress(Failed):
            yield 1
        yield 2

    async def consume():
        iterator = function()
        await anext(iterator)
        await iterator.athrow(Failed)
        with suppress(StopAsyncIteration):
            await anext(iterator)

    return lambda: run(consume())


KINDS = {
    "plain": plain,
    "coroutine": coroutine,
    "generator": generator,
    "async_generator": async_generator,
    "closed_generator": closed_generator,
    "closed_async_generator": closed_async_generator,
    "thrown_async_generator": thrown_async_generator,
}


def labelled_operation(value: Any) -> Prepare:
    def prepare(subject: Subject) -> Callable[[], object]:
        function = plain(subject.tel.operation("labelled", labels=("a",)), None)
        return partial(function, value)

    return prepare


OPERATIONS = [
    Call("operation", operation("plain"), DURATION, storm=True),
    Call("operation.raise", operation("plain", Failed), DURATION, storm=True),
    Call("operation.cancelled", operation("plain", CancelledError), DURATION),
    Call("operation.aborted", operation("plain", SystemExit), DURATION),
    Call("operation.not_found", operation("plain", NotFound), DURATION),
    Call("operation.ruled", operation("plain", Failed, classify=classify), DURATION),
    Call(
        "operation.misruled",
        operation("plain", NotFound, classify=classify),
        {**DURATION, **INVALID},
    ),
    Call("operation.label", labelled_operation("x"), DURATION),
    Call("operation.text", labelled_operation(Color.RED), DURATION),
    Call("operation.other", labelled_operation(1.5), {**DURATION, **INVALID}),
    Call("coroutine", operation("coroutine"), DURATION, storm=True),
    Call("coroutine.raise", operation("coroutine", Failed), DURATION),
    Call("generator", operation("generator"), DURATION, storm=True),
    Call("generator.raise", operation("generator", Failed), DURATION),
    Call("generator.close", operation("closed_generator"), DURATION),
    Call("async_generator", operation("async_generator"), DURATION),
    Call("async_generator.raise", operation("async_generator", Failed), DURATION),
    Call("async_generator.close", operation("closed_async_generator"), DURATION),
    Call(
        "async_generator.throw",
        operation("thrown_async_generator"),
        DURATION,
    ),
]


# --- traces ------------------------------------------------------------------------------


def span(
    *args: Any, body: Callable[[Subject, Any], object] | None = None, **options: Any
) -> Prepare:
    """A span of a block, and what is done in it."""

    def prepare(subject: Subject) -> Callable[[], object]:
        def block() -> None:
            with subject.tel.span(*args, **options) as it:
                if body is not None:
                    body(subject, it)

        return block

    return prepare


def annotate(subject: Subject, it: Any) -> None:
    it.set({"a": 1}, b=[1, 2])
    it.event("e", c=3)
    it.link(REMOTE)


def nest(subject: Subject, it: Any) -> None:
    with subject.other.span("child", a=1), subject.other.span("grandchild"):
        pass


def failing_span(subject: Subject) -> Callable[[], object]:
    def block() -> None:
        with suppress(Failed), subject.other.span("outer"), subject.tel.span("inner"):
            raise Failed

    return block


def asynchronous_span(subject: Subject) -> Callable[[], object]:
    async def block() -> None:
        async with subject.tel.span("s"):
            await Pause()

    return lambda: run(block())


def spans_that_take_turns(subject: Subject) -> Callable[[], object]:
    def turns() -> None:
        first, second = subject.other.span("first"), subject.tel.span("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)

    return turns


def joined(subject: Subject) -> Callable[[], object]:
    """What a service in the middle does."""
    tel = subject.tel

    def request() -> None:
        joined = tel.use(tel.extract(HEADERS), baggage={"mine": 1})
        with joined, tel.trace.deadline(9), tel.span("server"):
            tel.inject()
            tel.inject([])

    return request


def carried(subject: Subject) -> Callable[[], object]:
    """All formats, in other carriers than a plain dictionary."""
    propagation = Propagation(FORMATS, Limits(), Diag())
    pairs = [(name.encode(), value.encode()) for name, value in ALL_HEADERS.items()]
    return lambda: propagation.inject(propagation.extract(pairs), UserDict())


def limited(subject: Subject) -> Callable[[], object]:
    tracer = Tracer(sampler=RateLimited(1))
    return lambda: tracer.span("s").end()


def read_span(subject: Subject) -> Callable[[], object]:
    """A failed span that is made a record of at once, as for a MemoryExporter."""
    tracer = Tracer()
    tracer.sink = SpanReader(tracer.limits, tracer.diag, Redactor()).read

    def block() -> None:
        with suppress(Failed), tracer.span("s", a=[1], b=Color.RED, c=object()) as it:
            it.set(token="k3y", text="failed, pwd=k3y")
            it.link(REMOTE)
            raise Failed

    return block


def wrapped(subject: Subject) -> Callable[[], object]:
    return subject.tel.trace.wrap(seven)


REMOTE = TraceContext(1, 2, sampled=True, remote=True)
HEADERS = {
    "traceparent": f"00-{1:032x}-{2:016x}-01",
    "tracestate": "a=1",
    "baggage": "tenant=acme;p=1,user=%41",
}
FORMATS = ("tracecontext", "baggage", "b3", "b3multi", "jaeger")
ALL_HEADERS = {
    **HEADERS,
    "b3": f"{1:032x}-{2:016x}-d",
    "x-b3-traceid": f"{1:032x}",
    "x-b3-spanid": f"{2:016x}",
    "x-b3-flags": "1",
    "uber-trace-id": f"{1:x}:{2:x}:0:1",
    "uberctx-a": "%41",
}
BAD = {"dropped.traces": 1}

TRACES = [
    Call("span", span("s"), {"spans": 1}, storm=True),
    Call("span.attributes", span("s", {"a": 1}, b=2), {"spans": 1}, storm=True),
    Call("span.containers", span("s", {"a": [1]}, b={2}), {"spans": 1}),
    Call("span.kind", span("s", kind="client", links=[REMOTE]), {"spans": 1}),
    Call("span.start", span("s", start=1), {"spans": 1}),
    Call("span.parent", span("s", parent=REMOTE), {"spans": 1}),
    Call("span.more", span("s", body=annotate), {"spans": 1}, storm=True),
    Call("span.nested", span("s", body=nest), {"spans": 1}, storm=True),
    Call("span.failing", failing_span, {"spans": 1}, storm=True),
    Call("span.async", asynchronous_span, {"spans": 1}),
    Call("span.turns", spans_that_take_turns, {"spans": 1}),
    Call("span.bad.kind", span("s", kind="x"), {"spans": 1, **BAD}),
    Call("span.bad.parent", span("s", parent="x"), {"spans": 1, **BAD}),
    Call("span.bad.links", span("s", links=3), {"spans": 1, **BAD}),
    Call("span.limited", limited),
    Call("span.read", read_span),
    Call("trace.joined", joined, {"spans": 1}, storm=True),
    Call("trace.carried", carried),
    Call("trace.wrapped", wrapped),
]


# --- delivery --------------------------------------------------------------------------


def pushed_span(subject: Subject) -> Callable[[], object]:
    def block() -> None:
        with PUSHED.tel.span("s"):
            pass

    return block


def into_intake(name: str, *, closed: bool = False, woken: bool = False) -> Prepare:
    """Put a record where there is no room, or where the first wakes the lanes."""

    def prepare(subject: Subject) -> Callable[[], object]:
        intake = subject.intakes[name] = Intake("traces")
        lanes: Any = PUSHED.tel._lifecycle._lanes
        intake.open(1_000_000 if woken else 1, lanes._woken)
        if closed:
            intake.close()

        def put() -> None:
            if woken:  # as in a forked child
                lanes._is_asleep, intake.room = True, 0
            intake.put(None)

        return put

    return prepare


DELIVERY = [
    Call("push.span", pushed_span, {"pushed": 1}, storm=True),
    Call("intake.full", into_intake("intake.full"), {"intake.full": 1}, storm=True),
    Call("intake.late", into_intake("intake.late", closed=True), {"intake.late": 1}),
    Call("intake.woken", into_intake("intake.woken", woken=True), {"intake.woken": 1}),
]


# --- logs ------------------------------------------------------------------------------


class Pipe:
    """A pipe, and a descriptor that writes one line to it again and again.

    Args:
        size: How long the line is.
    """

    def __init__(self, size: int) -> None:
        self.line = b"x" * (size - 1) + b"\n"
        self._read, self._write = self._ends()
        self._got = b""
        self.sink = Descriptor(self._write, Diag(), name="pipe")

    def read(self) -> int:
        """Give how many lines have arrived, all of them whole."""
        with suppress(BlockingIOError):
            while True:
                self._got += os.read(self._read, 65536)
        # An exception between two lines may leave an empty one.
        assert not self._got.replace(self.line, b"").strip(b"\n"), "a broken line"
        return self._got.count(self.line)

    def forked(self) -> None:
        """Have a pipe of its own behind the same descriptor, in a forked child."""
        self._got = b""
        read, write = self._ends()
        for fresh, old in ((read, self._read), (write, self._write)):
            os.dup2(fresh, old)
            os.close(fresh)

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def _ends(self) -> tuple[int, int]:
        read, write = os.pipe()
        os.set_blocking(read, False)
        return read, write


def write_line(name: str, size: int) -> Prepare:
    def prepare(subject: Subject) -> Callable[[], object]:
        pipe = subject.pipes[name] = Pipe(size)
        return partial(pipe.sink.write, pipe.line)

    return prepare


NULL = os.open(os.devnull, os.O_WRONLY)


def new_stamp(subject: Subject, call: Callable[[], object]) -> Callable[[], object]:
    """Have each call make the time's text anew: what it does depends on no clock."""
    cell = subject.tel.logs.stamps.cell

    def stamped() -> None:
        cell[0] = (0, b"")
        call()

    return stamped


def logged(
    *args: Any, bound: Any = None, level: str = "info", **fields: Any
) -> Prepare:
    """A record that goes the fast way, or what of it can."""

    def prepare(subject: Subject) -> Callable[[], object]:
        log = subject.tel.logger("survival", **(bound or {}))
        return new_stamp(subject, partial(getattr(log, level), *args, **fields))

    return prepare


def logged_anew(subject: Subject) -> Callable[[], object]:
    """Each time another event and value, a new logger, and a new millisecond."""
    log = subject.tel.logger("survival")
    numbers = itertools.count()

    def call() -> None:
        number = next(numbers)
        subject.tel.logs.stamps.cell[0] = (0, b"")
        log.bind(**{f"b{number % 100}": number}).info(f"x {number}", a=number / 7)

    return call


def logged_in_a_span(value: object) -> Prepare:
    """One record a call: of two, what comes between them would leave one."""

    def prepare(subject: Subject) -> Callable[[], object]:
        log = subject.tel.logger("survival")

        def call() -> None:
            with subject.other.span("s"):
                log.info("x", a=value)

        return new_stamp(subject, call)

    return prepare


def logged_in_a_scope(subject: Subject) -> Callable[[], object]:
    log = subject.tel.logger("survival")

    def call() -> None:
        with subject.tel.logs.fields(a=1) as scope:
            scope.bind(b=2)
            log.info("x")

    return new_stamp(subject, call)


def logged_exception(subject: Subject) -> Callable[[], object]:
    log = subject.tel.logger("survival")

    def call() -> None:
        try:
            raise Failed
        except Failed:
            log.exception("x")

    return new_stamp(subject, call)


def logged_widely(subject: Subject) -> Callable[[], object]:
    """Two routes, a processor, somebody who listens: the general way."""
    logs = Logs(
        "survival",
        routes=[Route(NULL, format=it) for it in ("logfmt", "terminal")],
        redact=Redactor(),
        diag=subject.tel.metrics.diag,
    )
    logs.add_processors(lambda logger, level, fields: fields)
    logs.listen(lambda record: None)
    log = logs.logger("wide")
    return lambda: log.info("x", a=1)


def logged_for_a_time(subject: Subject) -> Callable[[], object]:
    """A level that was said for a time that is over, and is found out again."""
    diag = subject.tel.metrics.diag
    logs = Logs("survival", routes=[Route(NULL)], redact=Redactor(), diag=diag)
    log = logs.logger("timed")

    def call() -> None:
        type(log).until = 0
        log.info("x")

    logs.set_level("timed", "debug", for_seconds=60)
    return call


def logged_stack(subject: Subject) -> Callable[[], object]:
    """Without redaction: what that does depends on the thread, whose stack is shown."""
    routes = [Route(NULL, format="json")]
    diag = subject.tel.metrics.diag
    log = Logs("survival", routes=routes, redact=None, diag=diag).logger("stack")
    return lambda: log.info("x", stack_info=True)


def logged_failure(subject: Subject) -> Callable[[], object]:
    """A decorated call that fails, alone in its context, and so is logged."""
    routes = [Route(NULL, format="json")]
    tel = Obs("survival", runtime=False, routes=routes, redact=Redactor())
    fail = plain(tel.operation("fail"), Failed)

    def call() -> None:
        with suppress(Failed):
            Context().run(fail)

    return call


def logged_for_exporters(subject: Subject) -> Callable[[], object]:
    """A record that waits for exporters besides, and wakes them."""
    intake = subject.intakes["log.waits"] = Intake("logs")
    intake.open(1_000_000, lambda: None)
    diag = subject.tel.metrics.diag
    routes = [Route(NULL, format="json")]
    logs = Logs("survival", routes=routes, redact=Redactor(), diag=diag, intake=intake)
    log = logs.logger("waits")

    def call() -> None:
        logs.stamps.cell[0] = (0, b"")
        intake.room = 0
        log.info("x", a=1)

    return call


LOGGED = {"log.records": 1}
LOGS = [
    Call("log", logged("x", a=1, b="text", c=0.5), LOGGED, storm=True),
    Call("log.off", logged("x", a=1, level="debug"), storm=True),
    Call("log.bound", logged("x", bound={"a": 1, "b": [2]}), LOGGED, storm=True),
    Call("log.anew", logged_anew, LOGGED, storm=True),
    Call("log.formatted", logged("%s of %s", 1, 2), LOGGED, storm=True),
    Call("log.unformatted", logged("%d", "x"), {**LOGGED, **INVALID}),
    Call("log.list", logged("x", items=[1, {"a": 2}]), LOGGED, storm=True),
    Call("log.secret", logged("x", password="x", note="Bearer abcdefgh12345"), LOGGED),
    Call("log.control", logged("a\nb", c="\x1b[0m"), LOGGED),
    Call("log.clash", logged("x", bound={"a": 1}, a=2, level="error"), LOGGED),
    Call("log.lazy", logged("x", a=lazy(lambda: 1)), LOGGED, storm=True),
    Call("log.caller", logged("x", caller=True), LOGGED),
    Call("log.stack", logged_stack),
    Call("log.exception", logged_exception, LOGGED, storm=True),
    Call("log.span", logged_in_a_span(1), LOGGED, storm=True),
    Call("log.span.list", logged_in_a_span([1]), LOGGED),
    Call("log.scope", logged_in_a_scope, LOGGED, storm=True),
    Call("log.wide", logged_widely, storm=True),
    Call("log.timed", logged_for_a_time),
    Call("log.failure", logged_failure, storm=True),
    Call("log.waits", logged_for_exporters, {"log.waits": 1}, storm=True),
    Call("line.short", write_line("line.short", 100), {"line.short": 1}),
    Call("line.long", write_line("line.long", 5_000), {"line.long": 1}),
]


# --- what it says about itself, and the runtime ----------------------------------------


def say(*args: Any, **options: Any) -> Prepare:
    return lambda subject: partial(subject.tel.metrics.diag.say, *args, **options)


def tell_source(subject: Subject) -> Callable[[], object]:
    exporter = MemoryExporter()
    subject.tel.attach(exporter)
    subject.tel.start()
    subject.tel.trace.sink = subject.finished
    source = exporter._source

    def tell() -> None:
        source.say("told", "text")
        source.dropped("told", 2)

    return tell


def pause_of_gc(subject: Subject) -> Callable[[], object]:
    pauses = GcPauses(subject.tel.metrics)

    def collect() -> None:
        pauses("start", {"generation": 1})
        pauses("stop", {"generation": 1, "collected": 0, "uncollectable": 0})

    return collect


def read_process(subject: Subject) -> Callable[[], object]:
    collectors = (ProcessCollector(), InterpreterCollector())
    return lambda: [list(collector.collect()) for collector in collectors]


ITSELF = [
    Call("say", say("reason", "text")),
    Call("say.once", say("reason", lambda: "text", once="thing")),
    Call("source", tell_source, {"dropped.told": 2}),
    Call("gc", pause_of_gc, {"cpython.gc.pause.duration.count": 1}),
    Call("read.process", read_process, waits=True),
]

CALLS = {
    call.name: call
    for call in [*METRICS, *OPERATIONS, *TRACES, *DELIVERY, *LOGS, *ITSELF]
}
STORM = [call for call in CALLS.values() if call.storm]
PAST_LIMITS = ("dropped.cardinality",)
"""Totals that grow when a storm makes more series than there may be."""


class World:
    """A fresh subject with all calls prepared, and how often each was made.

    Args:
        subject: What they record with.
        calls: Which calls.

    Attributes:
        made: How often each call came to its end, by its name.
    """

    def __init__(self, subject: Any, calls: Iterable[Call]) -> None:
        self._subject = subject
        self._calls = {call.name: call for call in calls}
        self._ready = {
            name: call.prepare(subject) for name, call in self._calls.items()
        }
        self.made: Counter[str] = Counter()
        subject.begin()

    def make(self, name: str) -> None:
        """Make a call, and count it."""
        self._ready[name]()
        self.made[name] += 1

    def make_all(self, *, beside: str = "") -> None:
        """Make all calls, but for one that waits for itself if it runs already."""
        for name, call in self._calls.items():
            if not (name == beside and call.waits):
                self.make(name)

    def make_all_into(self, made: list[str]) -> None:
        """Make all calls, and count them in a list: one for each thread."""
        for name, call in self._ready.items():
            call()
            made.append(name)

    def forked(self) -> None:
        """Count from zero, in a forked child."""
        self.made.clear()
        self._subject.forked()

    def problems(self, maybe: str = "", ignore: Iterable[str] = ()) -> list[str]:
        """Say what does not agree with the calls made.

        Args:
            maybe: A call that may count once more than it was made.
            ignore: Totals that are not looked at.
        """
        now = self._subject.read()
        problems = self._subject.torn(now)
        totals = self._subject.totals(now)
        least, most = self._expected(""), self._expected(maybe)
        seen = totals.keys() | least.keys() | most.keys()
        checked = {
            total
            for total in seen
            for name, call in self._calls.items()
            if call.check is not None and total in (name, *one(name))
        }
        for total in sorted(seen - checked - set(ignore)):
            allowed = least.get(total, 0), most.get(total, 0)
            if totals.get(total, 0) not in allowed:
                problems.append(
                    f"{total} is {totals.get(total, 0)}, not "
                    + " or ".join(str(number) for number in dict.fromkeys(allowed))
                )
        for name, call in self._calls.items():
            made = self.made[name]
            if call.check is not None:
                problem = call.check(self._subject, now, made, made + (name == maybe))
                problems += [problem] if problem else []
        return problems

    def _expected(self, maybe: str) -> dict[str, float]:
        expected: dict[str, float] = {}
        for name, call in self._calls.items():
            made = self.made[name] + (name == maybe)
            for total, amount in call.adds.items():
                expected[total] = expected.get(total, 0) + made * amount
            if made:
                expected |= call.sets
            expected |= call.keeps
        return expected


def world(cells: str) -> tuple[str, list[str], Callable[[], World]]:
    """Give the folder of the package, all calls, and what makes a world of them."""
    return PACKAGE, list(CALLS), lambda: World(Subject(cells), CALLS.values())


def unsampled_world(cells: str) -> tuple[str, list[str], Callable[[], World]]:
    """Give the same for spans that are not recorded."""
    calls = [
        call._replace(adds={k: v for k, v in call.adds.items() if k != "spans"})
        for call in (*OPERATIONS, *TRACES)
        # Nobody looks at wrong arguments there; and one records all the same.
        if "dropped.traces" not in call.adds and call.name != "span.read"
    ]
    names = [call.name for call in calls]
    return PACKAGE, names, lambda: World(Subject(cells, sampler=Never()), calls)
