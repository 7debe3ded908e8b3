"""Telemetry that does nothing: the default of libraries, and the answer to wrong calls."""

from collections.abc import Callable, Iterable
from typing import Any, final

from obs.protocols import Counter, Decorator, Gauge, Histogram, P, R


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
class NullTelemetry:
    """A ``Telemetry`` that records nothing and checks nothing."""

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

    def endpoint(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Give a decorator that does nothing."""
        return NULL_AROUND

    def operation(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        classify: Callable[[BaseException], str | None] | None = None,
    ) -> Decorator:
        """Give a decorator that does nothing."""
        return NULL_AROUND


NULL_AROUND = NullAround()
NULL_INSTRUMENT = NullInstrument()
NULL = NullTelemetry()
"""The ``Telemetry`` that does nothing."""
