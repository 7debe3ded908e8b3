"""Plain values as one line of JSON, by orjson where it is installed."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

# DEL, the control characters of ISO 8859-1 and the two line ends of Unicode, in UTF-8:
# JSON lets them stand, but terminals and `str.splitlines` do not.
_CONTROLS = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


def json_line(data: Any) -> bytes:
    r"""Give a plain value as one line of JSON in UTF-8, with its newline.

        >>> json_line({"event": "paid\n", "cents": 1200})
        b'{"event":"paid\\n","cents":1200}\n'

    Args:
        data: A dictionary of this package's functions, or another plain value.
    """
    dumps, newline = dumper()
    return _CONTROLS.sub(_escape, dumps(data, None, newline))


@cache
def dumper() -> tuple[Callable[[Any, None, int], bytes], int]:
    """Give the quickest that does what ``json_line`` does, of values that need no escapes.

    That is: of plain values whose texts can be printed. In C where orjson is installed.

    Returns:
        The function, and its third argument; the second is None. (By position, and no
        ``partial``: that would double what it costs.)
    """
    try:
        # What orjson's C code imports, first: the process dies of what a signal handler
        # raises in there (orjson 3.13).
        import dataclasses  # noqa: F401, PLC0415 - see above
        import datetime  # noqa: F401, PLC0415
        import enum  # noqa: F401, PLC0415
        import json  # noqa: F401, PLC0415
        import uuid  # noqa: F401, PLC0415

        from orjson import OPT_APPEND_NEWLINE, dumps  # noqa: PLC0415
    except ImportError:
        return _standard_line, 0
    return dumps, OPT_APPEND_NEWLINE


def _standard_line(value: Any, default: None, option: int) -> bytes:
    return _standard(value) + b"\n"


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def _standard(value: Any) -> bytes:
    """Give what orjson gives, byte for byte."""
    return _text(value).encode()


@cache
def _quoted() -> Callable[[str], str]:
    from json.encoder import encode_basestring  # noqa: PLC0415 - 2 ms, with its package

    return encode_basestring


def _text(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _quoted()(value)
    if kind is float:
        return _float(value)
    if kind is dict:
        quoted = _quoted()
        items = [f"{quoted(k)}:{_text(v)}" for k, v in value.items()]
        return f"{{{','.join(items)}}}"
    if kind is list:
        return f"[{','.join(map(_text, value))}]"
    if kind is int:
        return str(value)
    if value is None or kind is bool:
        return _WORDS[value]
    text = f"{kind} is not plain"  # as orjson: not what its str() gives
    raise TypeError(text)


_WORDS = {None: "null", True: "true", False: "false"}


def _float(value: float) -> str:
    """Write small numbers as orjson does: 1e-05 as 0.00001, 1e-06 as 1e-6."""
    mantissa, _, exponent = repr(value).partition("e")
    if exponent == "-05":
        digits = mantissa.lstrip("-").replace(".", "")
        return f"{'-' * (value < 0)}0.0000{digits}"
    return repr(value).replace("e-0", "e-")
