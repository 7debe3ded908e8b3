"""Makes records of exceptions that nobody handles."""

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obs._foreign import is_the_hosts
from obs.errors import type_name

if TYPE_CHECKING:
    from obs.logs._logs import Logs

LOGGER = "obs.uncaught"
_PLACES = (
    (sys, "excepthook", sys.__excepthook__),
    (threading, "excepthook", threading.__excepthook__),
    (sys, "unraisablehook", sys.__unraisablehook__),
)
"""Each hook, and the interpreter's own, which prints to stderr."""


def watch_uncaught(logs: "Logs") -> list[Callable[[], None]]:
    """Log each such exception once; give what ends that."""
    logs.logger(LOGGER)  # made here: a finalizer's exception may come anywhere
    return [_watch(logs, *place) for place in _PLACES]


def _watch(logs: "Logs", module: Any, name: str, prints: Any) -> Callable[[], None]:
    before = getattr(module, name)
    is_open = True  # one that came later may keep the hook after its end

    def hook(*given: Any) -> None:
        is_shown = before is prints and logs.writes_to_stderr()
        if not (is_open and _tell(logs, given) and is_shown):
            before(*given)

    setattr(module, name, hook)

    def undo() -> None:
        nonlocal is_open
        is_open = False
        if getattr(module, name) is hook:
            setattr(module, name, before)

    return undo


def _tell(logs: "Logs", given: tuple[Any, ...]) -> bool:
    """Log an exception; give whether a record of it was made."""
    try:
        kind, error, fields = _described(given)
        if issubclass(kind, KeyboardInterrupt | SystemExit):
            return False
        if not logs.logger(LOGGER).is_enabled("critical"):
            return False
        fields["exc_info"] = error
        logs.log(LOGGER, "critical", "exception.uncaught", (), {}, fields)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return False
    return True


def _described(given: tuple[Any, ...]) -> tuple[type, BaseException, dict[str, Any]]:
    if len(given) == 3:  # sys.excepthook
        return given[0], given[1], {}
    (found,) = given
    fields: dict[str, Any] = {}
    thread = getattr(found, "thread", None)
    if thread is not None:
        fields["thread.name"] = str(thread.name)
    if hasattr(found, "err_msg"):
        # Not its repr: it may be half torn down, and a reference would keep it.
        fields["raised.in"] = found.err_msg or "Exception ignored in"
        fields["raised.by"] = type_name(found.object)
    return found.exc_type, found.exc_value or found.exc_type(), fields
