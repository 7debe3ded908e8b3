"""What arrives at a backend, in forms that no wire format has a say in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from obs.protocols import PushExporter

BreakMode: TypeAlias = Literal["refuse", "silent", "close", "garbage"]
BREAK_MODES: tuple[BreakMode, ...] = ("refuse", "silent", "close", "garbage")


@dataclass(frozen=True, slots=True)
class Number:
    """One point of a counter, up-down counter, gauge or info.

    Attributes:
        name: The metric's name.
        labels: Label names to values, without what the exporter adds by itself.
        value: The number.
    """

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """One point of a histogram, put together again where a protocol divides it.

    Attributes:
        name: The metric's name.
        labels: Label names to values, without what the exporter adds by itself.
        count: How many values were observed.
        sum: Their sum.
        bounds: B rising upper bounds, inclusive.
        buckets: B + 1 counts, not cumulative; the last is above all bounds.
    """

    name: str
    labels: Mapping[str, str]
    count: float
    sum: float
    bounds: Sequence[float]
    buckets: Sequence[float]


@dataclass(frozen=True, slots=True)
class Span:
    """One span.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits.
        span_id: 16 lower-case hexadecimal digits.
        parent_id: 16 lower-case hexadecimal digits, or empty for a root.
        name: What was done.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Log:
    """One log record.

    Attributes:
        event: What happened.
        fields: The user's fields; whatever else is among them is not looked at.
    """

    event: str
    fields: Mapping[str, Any]


Arrived: TypeAlias = Number | Histogram | Span | Log
"""What ``Rig.received`` gives."""


def _nothing() -> None:
    """Do nothing."""


def _as_it_is(point: Number | Histogram) -> Number | Histogram:
    return point


@dataclass(frozen=True)
class Rig:
    """A backend that runs, and how to make an exporter that sends to it.

    Attributes:
        build: Makes a new exporter; called while the kit watches that nothing is opened.
        received: Gives all that has arrived so far, decoded, in order of arrival. What it
            cannot decode it gives too, as anything: a record that an exporter forged shall
            count. It may lag behind: the kit asks again for ``ExporterContract.patience``.
        close: Stops the backend; called after the check.
        break_backend: Makes the backend misbehave from now on: ``refuse`` (nobody
            listens), ``silent`` (reads, never answers), ``close`` (hangs up instead of
            answering), ``garbage`` (answers nonsense). It raises ``NotImplementedError``
            for what it cannot do, which skips that check; None skips all of them.
        expect: Gives a point as it arrives, where the protocol changes plain names or
            labels; None for one that the protocol cannot carry.
    """

    build: Callable[[], PushExporter]
    received: Callable[[], Sequence[Arrived]]
    close: Callable[[], object] = _nothing
    break_backend: Callable[[BreakMode], object] | None = None
    expect: Callable[[Number | Histogram], Number | Histogram | None] = _as_it_is
