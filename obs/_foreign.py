"""Values and exceptions out of code that is not ours."""

import sys
from typing import Any

from obs.errors import type_name

_TRACEBACK_OF = BaseException.__dict__["__traceback__"].__get__


def is_the_hosts(error: BaseException) -> bool:
    """Whether an exception that came out of foreign code was meant for the host.

    That is Ctrl-C, and what a signal handler raises (``sys.exit`` on SIGTERM, a timeout on
    SIGALRM): handlers run between any two lines of the main thread, ours and foreign ones.
    All else the foreign code has raised by itself, a SystemExit or a CancelledError, too.
    """
    if issubclass(type(error), KeyboardInterrupt):
        return True
    if "signal" not in sys.modules:  # who has handlers has imported it
        return False
    # Not that module's own functions: what they make of each number takes 80 times as long.
    signal: Any = sys.modules["_signal"]
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


def text_of(value: object) -> str:
    """Give the text of a value: a date as ISO 8601 has it, an exception with its type.

    What the value itself raises is raised.
    """
    if hasattr(type(value), "isoformat"):  # a date, a time
        value = value.isoformat()  # type: ignore[attr-defined]  # its class has one
    # str.__str__: what a foreign __str__ gives may be of a class of its own.
    text = str.__str__(str(value))
    if isinstance(value, BaseException):
        return f"{type_name(value)}: {text}" if text else type_name(value)
    return text


def digits_of(number: int) -> str:
    """Give the digits of a number, or words in their place if it has hundreds."""
    # Above 4,300 digits Python refuses, and before that it takes quadratic time.
    is_short = number.bit_length() <= 1_024
    return str(number) if is_short else "<int of more than 1,024 bits>"
