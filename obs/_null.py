"""Telemetry that does nothing: the default of libraries, and the answer to wrong calls."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, final

from obs._context import Use, outgoing
from obs._diag import Diag
from obs.limits import Limits
from obs.model import NO_BAGGAGE, SpanKind, TraceContext
from obs.propagation import Propagation, is_context
from obs.protocols import Counter, Decorator, Gauge, Histogram, Logger, P, R, Span


@final
class NullAround:
    """A context manager and decorator that does nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Give the function back."""
        return function


@final
class NullInstrument:
    """An instrument of every kind that does nothing."""

    __slots__ = ()

    def inc(self, amount: float = 1) -> None:
        """Do nothing."""

    def dec(self, amount: float = 1) -> None:
        """Do nothing."""

    def set(self, /, *values: Any, **named: Any) -> None:
        """Do nothing."""

    def set_function(
        self, fn: Callable[..., float], owner: object | None = None
    ) -> None:
        """Do nothing."""

    def observe(self, value: float) -> None:
        """Do nothing."""

    def track_in_progress(self) -> NullAround:
        """Give something that does nothing."""
        return NULL_AROUND

    def time(self) -> NullAround:
        """Give something that does nothing."""
        return NULL_AROUND

    def labels(self, /, *values: Any, **named: Any) -> "NullInstrument":
        """Give the same instrument."""
        return self

    def remove(self, /, *values: Any, **named: Any) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""


@final
class NullLogger:
    """A logger that does nothing."""

    __slots__ = ()

    def trace(self, event: str = "", /, *args: Any, **fields: Any) -> None:
        """Do nothing."""

    debug = info = warning = error = critical = exception = trace

    def bind(self, /, **fields: Any) -> "NullLogger":
        """Give the same logger."""
        return self

    new = bind

    def unbind(self, *names: str) -> "NullLogger":
        """Give the same logger."""
        return self

    try_unbind = unbind

    def is_enabled(self, level: str) -> bool:
        """Say no."""
        return False


@final
class NullSpan:
    """A span that does nothing."""

    __slots__ = ()

    context = TraceContext()

    def set(self, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Do nothing."""

    def event(self, name: str, /, **attributes: Any) -> None:
        """Do nothing."""

    def link(self, context: TraceContext) -> None:
        """Do nothing."""

    def fail(self, error: BaseException) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        """Do nothing."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Do nothing."""


@final
class NullTelemetry:
    """A ``Telemetry`` that records nothing and checks nothing.

    What came with a request goes out with what it calls all the same: ``use`` makes a
    context current, and ``inject`` writes it.
    """

    __slots__ = ()

    def counter(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
    ) -> Counter:
        """Give a counter that does nothing."""
        return NULL_INSTRUMENT

    def gauge(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        combine: str = "sum",
    ) -> Gauge:
        """Give a gauge that does nothing."""
        return NULL_INSTRUMENT

    def histogram(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        buckets: Iterable[float] = (),
    ) -> Histogram:
        """Give a histogram that does nothing."""
        return NULL_INSTRUMENT

    def logger(self, name: str = "", /, **bound: Any) -> Logger:
        """Give a logger that does nothing."""
        return NULL_LOGGER

    def endpoint(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Give a decorator that does nothing."""
        return NULL_AROUND

    def operation(
        self,
        name: str | None = None,
        *,
        kind: SpanKind = "internal",
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Give a decorator that does nothing."""
        return NULL_AROUND

    def span(
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
        """Give a span that does nothing."""
        return NULL_SPAN

    def use(
        self,
        context: TraceContext | Span | None = None,
        /,
        *,
        baggage: Mapping[str, Any] | None = None,
    ) -> Use:
        """Give a block in which a context is continued."""
        given = getattr(context, "context", context)
        known = given if isinstance(given, TraceContext) else TraceContext()
        given = known if is_context(known) else TraceContext()
        return Use(given, baggage or NO_BAGGAGE)

    def inject(self, carrier: Any = None) -> Any:
        """Write the current context and baggage into headers, as W3C has them."""
        return _W3C.inject(outgoing(), carrier)

    def extract(self, carrier: Any) -> TraceContext:
        """Read context and baggage from headers, as W3C has them."""
        return _W3C.extract(carrier)


_W3C = Propagation(("tracecontext", "baggage"), Limits(), Diag())
NULL_AROUND = NullAround()
NULL_INSTRUMENT = NullInstrument()
NULL_LOGGER = NullLogger()
NULL_SPAN = NullSpan()
NULL = NullTelemetry()
"""The ``Telemetry`` that does nothing."""
