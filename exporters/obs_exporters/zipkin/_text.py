"""Attribute values as text: a tag of Zipkin is nothing else."""

from collections.abc import Callable, Mapping
from functools import cache
from json import dumps
from math import isfinite
from typing import Any

from obs.errors import shown


def json_bytes(value: Any) -> bytes:
    """Give plain data as JSON in UTF-8; a lone surrogate becomes ``?``."""
    found = _dumped(value)
    # Zipkin 3.5.1 shows a text with one of these two and another character beyond ASCII
    # as JSON that no browser reads: two NULs follow the whole trace. They end lines.
    return found.replace(b"\xe2\x80\xa8", b"\\n").replace(b"\xe2\x80\xa9", b"\\n")


def _dumped(value: Any) -> bytes:
    dumps_fast = fast_dumps()
    if dumps_fast is not None:
        try:
            return dumps_fast(value)
        except TypeError:  # a lone surrogate, an integer of more than 64 bits
            pass
    text = dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


@cache
def fast_dumps() -> Callable[[Any], bytes] | None:
    """Give ``orjson.dumps``, or None where the extra ``fast`` is not installed."""
    try:
        from orjson import dumps  # noqa: PLC0415 - on first use: 7 ms
    except ImportError:
        return None
    return dumps


def text_of(value: Any) -> str:
    """Give any value as text: ``true`` and ``false``, lists and mappings as JSON."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    try:
        if isinstance(value, int):
            return int.__repr__(value)
        if isinstance(value, float):
            return float.__repr__(value)
        if isinstance(value, Mapping | list | tuple):
            return json_bytes(_plain(value)).decode()
    except (ValueError, RecursionError):  # too many digits; a list that holds itself
        pass
    return shown(value)


def _plain(value: Any) -> Any:
    """Give a value as what JSON has: no NaN, and names that are text."""
    if isinstance(value, Mapping):
        return {text_of(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return text_of(value)
