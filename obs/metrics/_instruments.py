"""Metrics with labels, and infos: what a definition gives where it is no series itself."""

from collections.abc import Callable
from typing import Any, final

from obs._identity import Unique
from obs._null import NULL_AROUND, NullAround
from obs.metrics._block import SeriesBlock
from obs.metrics._series import Labelled, Series


@final
class LabelledCounter(Labelled[Any]):
    """A counter with labels."""

    __slots__ = ()

    def inc(self, amount: float = 1) -> None:
        """Report that the labels are missing."""
        self._unlabelled("inc")


class LabelledUpDown(Labelled[Any]):
    """An up-down counter with labels."""

    __slots__ = ()

    def inc(self, amount: float = 1) -> None:
        """Report that the labels are missing."""
        self._unlabelled("inc")

    def dec(self, amount: float = 1) -> None:
        """Report that the labels are missing."""
        self._unlabelled("dec")


@final
class LabelledGauge(LabelledUpDown):
    """A gauge with labels."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Report that the labels are missing."""
        self._unlabelled("set")

    def set_function(
        self, fn: Callable[..., float], owner: object | None = None
    ) -> None:
        """Report that the labels are missing."""
        self._unlabelled("set_function")

    def track_in_progress(self) -> NullAround:
        """Report that the labels are missing."""
        self._unlabelled("track_in_progress")
        return NULL_AROUND


@final
class LabelledHistogram(Labelled[Any]):
    """A histogram with labels."""

    __slots__ = ()

    def observe(self, value: float) -> None:
        """Report that the labels are missing."""
        self._unlabelled("observe")

    def time(self) -> NullAround:
        """Report that the labels are missing."""
        self._unlabelled("time")
        return NULL_AROUND


@final
class InfoMetric(Unique):
    """Facts about the process as labels of a series that is always 1."""

    __slots__ = ("_block",)

    def __init__(self, block: SeriesBlock[Any]) -> None:
        self._block = block

    def set(self, /, *values: Any, **named: Any) -> None:
        """Put these label values in the place of what was set before."""
        self._block.set_only(values, named)


_LABELLED = {
    "counter": LabelledCounter,
    "updown": LabelledUpDown,
    "gauge": LabelledGauge,
    "histogram": LabelledHistogram,
}


def make_instrument(block: Any) -> Any:
    """Give what a definition gives: the only series, or the way to the series."""
    if block.metric.kind == "info":
        return InfoMetric(block)
    if block.label_names:
        return _LABELLED[block.metric.kind](block)
    series: Series = block.series(())
    return series
