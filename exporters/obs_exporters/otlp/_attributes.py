"""Attributes: pairs of a text and any value, of spans, log records, series, resources."""

from collections.abc import Mapping
from typing import Any

from obs_exporters.otlp._mend import DEPTH, mended
from obs_exporters.otlp._wire import (
    SHORT,
    SIZES,
    double,
    signed,
    sized,
    varint,
)

_TRUE = b"\x12\x02\x10\x01"
_FALSE = b"\x12\x02\x10\x00"
_DOUBLE = b"\x12\x09\x21"
_INTS = [b"\x12" + sized(b"\x18" + SIZES[number]) for number in range(SHORT)]
# Of a text of so many bytes: all that stands between the key and the text.
_TEXTS = [
    b"\x12" + varint(1 + len(size) + number) + b"\x0a" + size
    for number, size in enumerate(SIZES)
]
_MAX_KEYS = 4_096
_keys: dict[str, bytes] = {}


def attributes(tag: bytes, given: Mapping[str, Any]) -> list[bytes]:
    """Give each attribute as one field: at most one of each name, none without a name.

    What protobuf or OTLP cannot hold is mended (see ``mended``), so there may be fewer
    than were given.

    Args:
        tag: The field's tag, which is another in each kind of message.
        given: Names to values.
    """
    try:
        return _fields(tag, given if type(given) is dict else dict(given), DEPTH)
    except Exception:  # noqa: BLE001 - something in it is odd; the hot path asks nothing
        return _fields(tag, mended(given), DEPTH)


def _fields(tag: bytes, given: dict[str, Any], depth: int) -> list[bytes]:
    """Give the fields; raises whatever it does where something is odd."""
    fields = []
    for key, value in given.items():
        name = _keys.get(key) or _key(key)
        kind = type(value)
        if kind is str:
            text = value.encode()
            size = len(text)
            pair = name + (_TEXTS[size] if size < SHORT else _long(size)) + text
        elif kind is int:
            pair = name + (_INTS[value] if 0 <= value < SHORT else _int(value))
        elif kind is float:
            pair = name + double(_DOUBLE, value)
        elif kind is bool:
            pair = name + (_TRUE if value else _FALSE)
        else:
            pair = name + b"\x12" + sized(any_value(value, depth))
        size = len(pair)
        fields.append(tag + (SIZES[size] if size < SHORT else varint(size)) + pair)
    return fields


def any_value(value: Any, depth: int = DEPTH) -> bytes:
    """Give an AnyValue, without a tag; raises whatever it does where something is odd."""
    kind = type(value)
    if kind is str:
        return b"\x0a" + sized(value.encode())
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        return b"\x18" + signed(value)
    if kind is float:
        return double(_DOUBLE, value)[2:]
    if kind is bytes:
        return b"\x3a" + sized(value)
    if value is None:
        return b""
    if not depth:
        raise RecursionError
    if kind is dict:
        return b"\x32" + sized(b"".join(_fields(b"\x0a", value, depth - 1)))
    if kind is list or kind is tuple:
        items = [b"\x0a" + sized(any_value(item, depth - 1)) for item in value]
        return b"\x2a" + sized(b"".join(items))
    raise TypeError


def _key(key: str) -> bytes:
    if type(key) is not str or not key:
        raise TypeError
    name = b"\x0a" + sized(key.encode())
    if len(_keys) >= _MAX_KEYS:
        _keys.clear()  # names are few; where somebody makes them up, none is worth a place
    _keys[key] = name
    return name


def _int(number: int) -> bytes:
    return b"\x12" + sized(b"\x18" + signed(number))


def _long(size: int) -> bytes:
    length = varint(size)
    return b"\x12" + varint(1 + len(length) + size) + b"\x0a" + length
