"""What a call that logs means: its event, its fields, the exception, the place."""

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from types import FrameType
from typing import Any, TypeAlias

from obs._exceptions import Stack, described, message_of
from obs._foreign import is_the_hosts
from obs.errors import type_name

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_PASSED_OVER = (os.sep + "structlog" + os.sep, os.sep + "logging" + os.sep)
_SPECIAL = frozenset({"caller", "exc_info", "stack_info"})
Processor: TypeAlias = Callable[[Any, str, dict[str, Any]], Any]
"""As structlog has it: called with a logger, the level's name, event and fields."""


class Lazy:
    """A value that is made only if its record is; see ``lazy``."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def lazy(make: Callable[[], Any]) -> Lazy:
    """Give a field's value that is made only if the record is.

        log.debug("cart", items=lazy(lambda: dump(cart)))

    Args:
        make: Called without arguments, on the thread that logs; what it raises becomes
            the value.
    """
    return Lazy(make)


def made(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the fields with the lazy ones made."""
    return {k: _made(v) if type(v) is Lazy else v for k, v in fields.items()}


def _made(value: Lazy) -> Any:
    try:
        return value.make()
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return f"<lazy: {type_name(raised)}: {message_of(raised)}>"


def processed(
    processors: Iterable[Processor],
    level: str,
    event: Any,
    fields: dict[str, Any],
    failed: Callable[[str], None],
) -> tuple[Any, dict[str, Any]] | None:
    """Give event and fields after foreign processors; None where one drops them."""
    found: dict[str, Any] = {**fields, "event": event}
    for processor in processors:
        try:
            given = processor(None, level, found)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            if any(kind.__name__ == "DropEvent" for kind in type(raised).__mro__):
                return None
            failed(f"a processor raised a {type_name(raised)}.")
            continue
        if isinstance(given, dict):
            found = given
        elif isinstance(given, str):  # it has rendered the record
            return given, {}
        elif isinstance(given, bytes | bytearray):
            return given.decode("utf-8", "backslashreplace"), {}
        else:
            failed(
                f"a processor gave a {type_name(given)}, needs the dict that it got. "
                "The record goes on as it is."
            )
    return found.pop("event", event), found


def resolve(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the fields with what has a meaning done: exceptions, places."""
    if _SPECIAL.isdisjoint(fields):
        return fields
    found = dict(fields)
    if found.get("caller") is True:
        del found["caller"]
        found.update(_place(_caller()))
    if found.pop("stack_info", None):
        _, render_calls = renderers()
        found["stack"] = render_calls(_caller())
    error = _error(found.pop("exc_info", None))
    if error is not None:
        found.update(exception_fields(error))
    return found


@cache
def renderers() -> tuple[Callable[[Stack], str], Callable[[FrameType | None], str]]:
    """Give what makes a text of a ``Stack``, and of a frame and those that called it.

    That is imported at the first call (2 ms; traceback, tokenize), which is where somebody
    is made that will need it: an import takes a lock, which no recording call may.
    """
    from obs._stacks import render, render_calls  # noqa: PLC0415 - see above

    return render, render_calls


def exception_fields(error: BaseException) -> dict[str, Any]:
    """Give the three fields that tell of an exception."""
    render, _ = renderers()
    fields = described(error, message_of(error))
    stack = fields["exception.stacktrace"]
    fields["exception.stacktrace"] = render(stack) if stack else ""
    return fields


def _error(given: Any) -> BaseException | None:
    """Give the exception that ``exc_info`` means, as ``logging`` and structlog have it."""
    if issubclass(type(given), BaseException):
        return given  # type: ignore[no-any-return]
    if type(given) is tuple and len(given) == 3:
        given = given[1]
        return given if issubclass(type(given), BaseException) else None
    return sys.exception() if _is_true(given) else None


def _is_true(value: Any) -> bool:
    try:
        return bool(value)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return False


def _caller() -> FrameType | None:
    """Give the innermost frame that is neither ours nor a logging library's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_OURS) and not any(it in path for it in _PASSED_OVER):
            return frame
        frame = frame.f_back
    return None


def _place(frame: FrameType | None) -> dict[str, Any]:
    if frame is None:
        return {}
    # Source: OpenTelemetry semantic conventions 1.44, "Source code attributes".
    return {
        "code.file.path": frame.f_code.co_filename,
        "code.line.number": frame.f_lineno,
        "code.function.name": frame.f_code.co_qualname,
    }
