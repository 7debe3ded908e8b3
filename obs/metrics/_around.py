"""Timing and counting what is in progress, around a block or a call."""

from typing import TYPE_CHECKING, Any, final

from obs._calls import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from obs.protocols import P, R

NS_PER_UNIT = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}


@final
class Timer:
    """Observes how long a block or call takes.

    Args:
        series: A histogram's series; in its unit if that is a unit of time, else in s.
    """

    __slots__ = ("_now", "_ns_per_unit", "_series", "_start")

    def __init__(self, series: Any) -> None:
        metric = series._block.metric
        self._series = series
        self._now = metric.registry.clock.monotonic_ns
        self._ns_per_unit = NS_PER_UNIT.get(metric.unit, NS_PER_UNIT["s"])
        self._start = 0

    def __enter__(self) -> None:
        """Begin."""
        self._start = self._now()

    def __exit__(self, *exc_info: object) -> None:
        """Observe."""
        self._series.observe((self._now() - self._start) / self._ns_per_unit)

    def __call__(self, function: "Callable[P, R]", /) -> "Callable[P, R]":
        """Decorate a function of any kind."""
        return wrap(function, self)  # type: ignore[no-any-return]

    def enter(self, args: Any, kwargs: Any) -> int:
        """A decorated call begins."""
        start: int = self._now()
        return start

    def exit(
        self, token: int, args: Any, kwargs: Any, error: BaseException | None
    ) -> None:
        """A decorated call ended."""
        self._series.observe((self._now() - token) / self._ns_per_unit)


@final
class Tracker:
    """Counts 1 up while a block or call runs.

    A fork inside the block leaves it running in two processes, of which only the parent
    has counted it: so only the parent counts it down.
    """

    __slots__ = ("_registry", "_series", "_start")

    def __init__(self, series: Any) -> None:
        self._series = series
        self._registry = series._block.metric.registry
        self._start = 0

    def __enter__(self) -> None:
        """Count up."""
        self._start = self.enter((), {})

    def __exit__(self, *exc_info: object) -> None:
        """Count down."""
        self.exit(self._start, (), {}, None)

    def __call__(self, function: "Callable[P, R]", /) -> "Callable[P, R]":
        """Decorate a function of any kind."""
        return wrap(function, self)  # type: ignore[no-any-return]

    def enter(self, args: Any, kwargs: Any) -> int:
        """A decorated call begins."""
        start: int = self._registry.clock.monotonic_ns()
        self._series.inc()
        return start

    def exit(
        self, token: int, args: Any, kwargs: Any, error: BaseException | None
    ) -> None:
        """A decorated call ended."""
        if token >= self._registry.forked_ns:
            self._series.dec()
