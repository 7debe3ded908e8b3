"""What applications, libraries and exporters type against.

The three instruments are small on purpose; Go kit's ``metrics`` interfaces are the model.
Unless a method says otherwise it may be called from any thread, signal handler or
collector callback, takes no lock and never raises (a strict instance raises
``InvalidValue``): what cannot be recorded is dropped, counted and said once.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import (
    Any,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    overload,
    runtime_checkable,
)

from obs._clock import Clock
from obs.model import (
    Ack,
    Batch,
    Delivery,
    LogRecord,
    MetricFamily,
    Payload,
    Resource,
    Snapshot,
    SpanKind,
    SpanRecord,
    TraceContext,
)

__all__ = [
    "Around",
    "Clock",
    "Collector",
    "Counter",
    "Decorator",
    "Gauge",
    "Headers",
    "Histogram",
    "Info",
    "LabelValue",
    "Logger",
    "Propagator",
    "PullExporter",
    "PushExporter",
    "Sampler",
    "Source",
    "Span",
    "Telemetry",
    "UpDown",
]

LabelValue: TypeAlias = str | int | bool | Enum | None
Carrier = TypeVar("Carrier")
P = ParamSpec("P")
R = TypeVar("R")


class Around(AbstractContextManager[None], Protocol):
    """Something around a block or a call: a context manager that is also a decorator.

    As a decorator it takes functions of all four kinds (``def``, ``async def``, generator,
    async generator) and keeps their signature.
    """

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function."""
        ...


class Counter(Protocol):
    """A sum that only grows."""

    def inc(self, amount: float = 1) -> None:
        """Add to the sum.

        Args:
            amount: What to add, in the metric's unit; finite and at least 0.
        """
        ...

    def labels(self, /, *values: LabelValue, **named: LabelValue) -> "Counter":
        """Give the series with these label values, made at first use.

        Args:
            values: One value for each label name, in order; ``str`` is the fast path,
                ``int``, ``bool``, ``Enum`` and None go by their text.
            named: Or all of them by name.

        Returns:
            The series; for a wrong call, one that does nothing. Keep it where speed
            matters. What a series that was removed gets afterwards is not seen.
        """
        ...

    def remove(self, /, *values: LabelValue, **named: LabelValue) -> None:
        """Forget the series with these label values, if there is one."""
        ...

    def clear(self) -> None:
        """Forget all series; for a metric without labels, start from zero again."""
        ...


class UpDown(Protocol):
    """A sum that may fall: sums of several processes add up."""

    def inc(self, amount: float = 1) -> None:
        """Add to the sum: a finite number, in the metric's unit."""
        ...

    def dec(self, amount: float = 1) -> None:
        """Subtract from the sum: a finite number, in the metric's unit."""
        ...

    def labels(self, /, *values: LabelValue, **named: LabelValue) -> "UpDown":
        """Give the series with these label values; see ``Counter.labels``."""
        ...

    def remove(self, /, *values: LabelValue, **named: LabelValue) -> None:
        """Forget the series with these label values, if there is one."""
        ...

    def clear(self) -> None:
        """Forget all series; for a metric without labels, start from zero again."""
        ...


class Gauge(Protocol):
    """A value that is set, moved or asked for."""

    def set(self, value: float) -> None:
        """Set the value: a finite number, in the metric's unit."""
        ...

    def inc(self, amount: float = 1) -> None:
        """Add to the value: a finite number, in the metric's unit."""
        ...

    def dec(self, amount: float = 1) -> None:
        """Subtract from the value: a finite number, in the metric's unit."""
        ...

    def set_function(
        self, fn: Callable[..., float], owner: object | None = None
    ) -> None:
        """Ask a function for the value whenever the metric is read.

        Args:
            fn: Called on the reading thread; it should return at once. With an owner it
                is called as ``fn(owner)``, else as ``fn()``. While it raises or gives no
                finite number the series is left out.
            owner: Held weakly: when it is gone, so is the series. Without an owner,
                ``fn`` and all it refers to live as long as the series.

        Raises:
            DefinitionError: ``fn`` cannot be called, or ``owner`` cannot be held weakly.
        """
        ...

    def track_in_progress(self) -> Around:
        """Count 1 up while a block or call runs; across a fork only the parent counts."""
        ...

    def labels(self, /, *values: LabelValue, **named: LabelValue) -> "Gauge":
        """Give the series with these label values; see ``Counter.labels``."""
        ...

    def remove(self, /, *values: LabelValue, **named: LabelValue) -> None:
        """Forget the series with these label values, if there is one."""
        ...

    def clear(self) -> None:
        """Forget all series; for a metric without labels, start from zero again."""
        ...


class Histogram(Protocol):
    """How values are distributed over buckets."""

    def observe(self, value: float) -> None:
        """Count one value into the bucket that holds it.

        Args:
            value: A finite number, in the metric's unit.
        """
        ...

    def time(self) -> Around:
        """Observe how long a block or call takes, however it ends.

        In the unit of the histogram if that is a unit of time, else in seconds.
        """
        ...

    def labels(self, /, *values: LabelValue, **named: LabelValue) -> "Histogram":
        """Give the series with these label values; see ``Counter.labels``."""
        ...

    def remove(self, /, *values: LabelValue, **named: LabelValue) -> None:
        """Forget the series with these label values, if there is one."""
        ...

    def clear(self) -> None:
        """Forget all series; for a metric without labels, start from zero again."""
        ...


class Info(Protocol):
    """Facts about the process as labels of a series that is always 1."""

    def set(self, /, *values: LabelValue, **named: LabelValue) -> None:
        """Put these label values in the place of what was set before."""
        ...


class Span(Protocol):
    """One timed operation of a trace."""

    @property
    def context(self) -> TraceContext:
        """Its ids and whether it is sampled."""
        ...

    def set(self, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Set attributes."""
        ...

    def event(self, name: str, /, **attributes: Any) -> None:
        """Note that something happened now."""
        ...

    def link(self, context: TraceContext) -> None:
        """Point to another span."""
        ...

    def fail(self, error: BaseException) -> None:
        """Record an exception and set the status to error."""
        ...

    def end(self) -> None:
        """End it; what comes later is ignored."""
        ...

    def __enter__(self) -> Self:
        """Make it the current span."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """End it, with the exception that ended the block."""
        ...

    async def __aenter__(self) -> Self:
        """Make it the current span."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """End it, with the exception that ended the block."""
        ...


class Logger(Protocol):
    """A structured logger; structurally a structlog bound logger."""

    def trace(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level trace."""
        ...

    def debug(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level debug."""
        ...

    def info(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level info."""
        ...

    def warning(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level warning."""
        ...

    def error(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level error."""
        ...

    def critical(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level critical."""
        ...

    def exception(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at level error with the exception being handled."""
        ...

    def bind(self, /, **fields: Any) -> "Logger":
        """Give a logger that adds these fields to each record."""
        ...

    def unbind(self, *names: str) -> "Logger":
        """Give a logger without these fields; raises KeyError where one is not bound."""
        ...

    def try_unbind(self, *names: str) -> "Logger":
        """Give a logger without these fields, bound or not."""
        ...

    def new(self, /, **fields: Any) -> "Logger":
        """Give a logger with these fields and no others."""
        ...

    def is_enabled(self, level: str) -> bool:
        """Whether a record of this level would be kept."""
        ...


class Decorator(Protocol):
    """What ``tel.operation()`` gives: it takes any function and keeps its signature."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function."""
        ...


class Telemetry(Protocol):
    """What a library takes, with ``obs.NULL`` as the default.

    Definitions (these methods) are get-or-create. They raise ``DefinitionError`` at once
    when a name, label, unit or bucket breaks a rule, and ``MetricConflict`` when the name
    already stands for something else.
    """

    def counter(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
    ) -> Counter:
        """Define a counter."""
        ...

    def gauge(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        combine: str = "sum",
    ) -> Gauge:
        """Define a gauge."""
        ...

    def histogram(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        buckets: Iterable[float] = ...,
    ) -> Histogram:
        """Define a histogram."""
        ...

    def logger(self, name: str = "", /, **bound: Any) -> Logger:
        """Give a logger."""
        ...

    def endpoint(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Decorate a request handler."""
        ...

    def operation(
        self,
        name: str | None = None,
        *,
        kind: SpanKind = "internal",
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Decorate any function or method."""
        ...

    @property
    def span(self) -> "StartSpan":
        """Start a span."""
        ...

    @property
    def use(self) -> "UseContext":
        """Continue a context in a block."""
        ...

    @property
    def inject(self) -> "InjectHeaders":
        """Write the current context and baggage into headers."""
        ...

    @property
    def extract(self) -> Callable[[Any], TraceContext]:
        """Read a context and baggage from headers; an empty, falsy one if there is none."""
        ...


class StartSpan(Protocol):
    """What ``Telemetry.span`` is."""

    def __call__(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        /,
        *,
        kind: SpanKind = "internal",
        parent: Span | TraceContext | None = None,
        links: Iterable[TraceContext] = (),
        start: int | None = None,
        **attrs: Any,
    ) -> Span:
        """Start a span; ``with`` makes it current and ends it."""
        ...


class InjectHeaders(Protocol):
    """What ``Telemetry.inject`` is."""

    @overload
    def __call__(self, carrier: None = None) -> dict[str, str]: ...
    @overload
    def __call__(self, carrier: Carrier) -> Carrier: ...


class UseContext(Protocol):
    """What ``Telemetry.use`` is."""

    def __call__(
        self,
        context: TraceContext | Span | None = None,
        /,
        *,
        baggage: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[TraceContext]:
        """Give a block in which the context and the baggage are current."""
        ...


@runtime_checkable
class Collector(Protocol):
    """Yields families whenever the registry is read."""

    def collect(self) -> Iterable[MetricFamily]:
        """Yield families.

        Called on each reading thread, so calls may overlap; it should return at once.
        If it raises, what it had yielded before counts.
        """
        ...


class Source(Protocol):
    """What an exporter sees of an instance."""

    @property
    def resource(self) -> Resource:
        """Who sends; another after a fork."""
        ...

    def snapshot(self) -> Snapshot:
        """Read the registry."""
        ...

    def check(self, callback: Callable[[MetricFamily], None]) -> None:
        """Have every definition shown to ``callback``: those there are, and each new one.

        ``callback`` gets the family with one block that has label names and no rows. It
        may raise ``DefinitionError``, which then reaches whoever defines the metric.
        """
        ...

    def listen(
        self,
        receive: Callable[[SpanRecord], object],
        logs: Callable[[LogRecord], object] | None = None,
    ) -> None:
        """Hand on each finished span, and each log record, until the exporter is closed.

        At once, on the thread that made it: they must return at once, too. A span that
        ends while ``receive`` is at work on its thread may be its own, and is counted as
        ``obs.dropped{signal="traces",reason="invalid"}``.

        Args:
            receive: Gets the spans.
            logs: Gets the log records.
        """
        ...

    def dropped(self, reason: str, n: int = 1) -> None:
        """Count what the exporter left out."""
        ...

    def say(self, reason: str, text: str) -> None:
        """Write one line to stderr, at most one a minute for each reason."""
        ...


class PullExporter(Protocol):
    """An exporter that is asked: a page, a file that is read."""

    def start(self, source: Source) -> None:
        """Bind and serve; raises ``StartFailed``. Called once in a process."""
        ...

    def close(self, deadline: float) -> None:
        """Stop serving.

        Args:
            deadline: When to be done, by ``time.monotonic()``, in seconds.
        """
        ...


class PushExporter(Protocol):
    """An exporter that is driven by a lane: it only encodes and sends.

    Attributes:
        name: Unique among the exporters of an instance.
        signals: Of ``metrics``, ``logs``, ``traces``, at least one.
        delivery: How it wants to be driven.
        imports: May be missing. Names of modules that ``encode`` and ``send`` import: they
            are imported when the lane starts. A fork while another thread imports a module
            leaves the child half of it, and who imports it there waits for ever.
    """

    name: str
    signals: frozenset[str]
    delivery: Delivery

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Turn a batch into bodies; pure, called on the lane's thread."""
        ...

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Send one body before ``deadline`` (``time.monotonic()`` seconds).

        Called for payloads that hold at least one record.

        Raises:
            ExportFailed: And nothing else.
        """
        ...

    def close(self, deadline: float) -> None:
        """Let go of connections; another ``start`` may send again, over new ones.

        Called by who sends, or where nobody does: never while ``send`` runs.
        """
        ...


class Sampler(Protocol):
    """Decides whether a trace is recorded, where its first span in this process starts."""

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide; called on the recording thread, so it must neither block nor lock.

        Args:
            trace: The trace's id, 128 bits.
            name: The span's name.
            attributes: What it starts with.
            kind: The span's kind.
            parent: What came from another process; empty at a root.
        """
        ...


class Headers(Protocol):
    """The headers of a carrier, whatever it is; names ignore case."""

    def get(self, name: str) -> str | None:
        """Give a header, several lines of it joined by commas; None if it is not there.

        Args:
            name: In lower case.
        """
        ...

    def with_prefix(self, prefix: str) -> Iterable[tuple[str, str]]:
        """Give name and value of the headers whose names begin with a lower-case prefix.

        Names come in lower case; of a huge carrier only the first ones are looked at.
        """
        ...


class Propagator(Protocol):
    """Carries a trace context, or baggage, in headers of one format."""

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write the headers of a context; it may be empty, or hold baggage alone.

        Args:
            context: What to write.
            set_header: Takes a name in lower case and a value.
        """
        ...

    def extract(self, headers: Headers) -> TraceContext:
        """Read a context; what is malformed gives an empty one.

        A propagator of baggage gives one that has nothing but baggage.
        """
        ...
