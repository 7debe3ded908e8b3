"""Exceptions out of code that is not ours: which of them are its own."""

import sys
from typing import Any

_TRACEBACK_OF = BaseException.__dict__["__traceback__"].__get__


def is_the_hosts(error: BaseException) -> bool:
    """Whether an exception that came out of foreign code was meant for the host.

    That is Ctrl-C, and what a signal handler raises (``sys.exit`` on SIGTERM, a timeout on
    SIGALRM): handlers run between any two lines of the main thread, ours and foreign ones.
    All else the foreign code has raised by itself, a SystemExit or a CancelledError, too.
    """
    if issubclass(type(error), KeyboardInterrupt):
        return True
    signal: Any = sys.modules.get("signal")  # who has handlers has imported it
    if signal is None:
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {id(code) for it in handlers if (code := _code_of(it)) is not None}
    traceback = _TRACEBACK_OF(error)
    while traceback is not None:
        if id(traceback.tb_frame.f_code) in codes:
            return True
        traceback = traceback.tb_next
    return False


def _code_of(handler: object) -> object:
    """Give the code of a handler: a function, a method, or an object that is called."""
    if not callable(handler):
        return None
    function = getattr(handler, "__func__", handler)
    called = getattr(function, "__call__", None)  # noqa: B004 - of an object: a method
    return getattr(function, "__code__", None) or getattr(called, "__code__", None)
