"""Deadlines, and functions that take their context with them."""

from __future__ import annotations

import functools
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self

from obs._context import DEADLINE, may_set
from obs.errors import DefinitionError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from obs.protocols import Clock, P, R


_MOST_SECONDS = 1e9


class Deadline:
    """A block that shall be done in time; nothing is interrupted.

    Spans that start inside get the attribute ``deadline.remaining``; one that a
    cancellation or a timeout ends after the deadline has the outcome
    ``deadline_exceeded``. Of nested deadlines the earlier one counts.

    Args:
        seconds: From the beginning of the block; finite.
        clock: Where time comes from.

    Raises:
        DefinitionError: ``seconds`` is no finite number.
    """

    __slots__ = ("_at", "_before", "_depth", "_now", "_seconds")

    def __init__(self, seconds: float, clock: Clock) -> None:
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not abs(seconds) <= _MOST_SECONDS:
            text = f"deadline: got {shown(seconds)}, needs a finite number of seconds."
            raise DefinitionError(text)
        self._seconds = seconds
        self._now = clock.monotonic_ns
        self._at: int | None = None
        self._depth = 0
        self._before: int | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._depth += 1
        if self._depth > 1:
            return self
        self._before = before = DEADLINE.get()
        at = self._now() + round(self._seconds * 1e9)
        self._at = at if before is None else min(at, before)
        if may_set():
            DEADLINE.set(self._at)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Make the deadline current again that was."""
        self._depth -= 1
        if self._depth > 0:
            return
        if DEADLINE.get() is self._at and may_set():
            DEADLINE.set(self._before)


def wrap(function: Callable[P, R], /) -> Callable[P, R]:
    """Give a function that runs in the context of this moment, wherever it is called.

    For threads and executors, which start from an empty context. It may be called many
    times, and by several threads at once: each call has a copy.

    Raises:
        DefinitionError: It cannot be called, or is a coroutine or generator function.
    """
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction  # noqa: PLC0415

    kinds = (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)
    if not callable(function) or any(is_kind(function) for is_kind in kinds):
        text = (
            f"wrap: got {shown(function)}, needs a function that does its work when it "
            "is called. Tasks take their context along by themselves."
        )
        raise DefinitionError(text)
    context = copy_context()

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        return context.copy().run(function, *args, **kwargs)

    return call
