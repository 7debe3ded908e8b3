"""Any value as one that JSON has: bounded, of plain types, and text that can be encoded."""

import enum
import math
from collections import UserString
from collections.abc import Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from obs._foreign import digits_of, is_the_hosts, text_of
from obs.errors import shown, type_name
from obs.limits import Limits

DEPTH = Limits().repr_depth
REPR_CHARS = Limits().repr_chars
ITEMS = 1_024
"""How many items of a container are kept."""
CUT = "…"
_INT = 1 << 63
CIRCULAR = "<circular reference>"

_CONTAINERS = Mapping, list, tuple, Sequence, AbstractSet, ValuesView
_TEXTS = str, bytes, bytearray, memoryview, UserString


class Plain:
    """Makes plain values of all the values of one record.

    Plain are ``None``, ``bool``, ``int`` of 64 bits, finite ``float``, ``str`` without
    lone surrogates, and lists and dicts of them. All else becomes text. Nothing raises,
    but what was meant for the host does (see ``is_the_hosts``).

    Args:
        room: How many bytes all texts and numbers of the record together may have. One
            text gets half of what is left, so that it does not starve those behind it.
    """

    __slots__ = ("_left", "_path")

    def __init__(self, room: int) -> None:
        self._left = room
        self._path: set[int] = set()

    def text(self, text: str) -> str:
        """Give a text that UTF-8 can hold, cut with a mark where there is no room."""
        most = self._left // 2 if self._left > 0 else 0
        if text.isascii() and len(text) <= most:  # nearly all
            self._left -= len(text) + 2
            return text
        fits, is_cut, size = text[:most], len(text) > most, min(len(text), most)
        if not fits.isascii():
            encoded = fits.encode("utf-8", "backslashreplace")
            is_cut, size = is_cut or len(encoded) > most, min(len(encoded), most)
            fits = encoded[:size].decode("utf-8", "ignore")
        self._left -= size + 2  # its quotes: endless empty texts take room, too
        return fits + CUT if is_cut else fits

    def name(self, value: Any) -> str:
        """Give the text of a name, whatever it is."""
        if type(value) is str:
            return self.text(value)
        found = self.value(value, 0)
        return found if type(found) is str else str(found)

    def mapping(self, value: Any) -> dict[str, Any]:
        """Give a dict of attributes or fields, or of what came in their place."""
        if value is None:
            return {}
        found = self.value(value, DEPTH + 1)
        return found if type(found) is dict else {"value": found}

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """Give a plain value."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        self._left -= 8
        if kind is bool or value is None or (kind is int and -_INT <= value < _INT):
            return value
        try:
            return self._other(value, depth)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            return self.text(f"<{type_name(value)}>")

    def _other(self, value: Any, depth: int) -> Any:
        if type(value) is dict:
            return self._container(value, depth)
        # By the methods of the built-in classes, past what a subclass makes of them.
        if isinstance(value, int):
            number = int.__int__(value)
            is_small = -_INT <= number < _INT
            return number if is_small else self.text(digits_of(number))
        if isinstance(value, float):
            real = float.__float__(value)
            return real if math.isfinite(real) else _NOT_FINITE[str(real)]
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, enum.Enum):
            inner = value.value if depth > 0 else str(value.name)
            return self.value(inner, depth - 1)
        if isinstance(value, _CONTAINERS) and not isinstance(value, _TEXTS):
            return self._container(value, depth)
        return self.text(self._text_of(value))

    def _container(self, value: Any, depth: int) -> Any:
        if depth <= 0:
            return self.text(shown(value))
        if id(value) in self._path:
            return CIRCULAR
        self._path.add(id(value))
        try:
            if type(value) is dict or isinstance(value, Mapping):
                return self._dict(value, depth - 1)
            items, is_whole = _first(value)
            found = []
            for item in items:
                if self._left <= 0:
                    is_whole = False
                    break
                found.append(self.value(item, depth - 1))
            return found if is_whole else [*found, CUT]
        finally:
            self._path.discard(id(value))

    def _dict(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        items, is_whole = _first(value.items())
        found: dict[str, Any] = {}
        for name, item in items:
            if self._left <= 0:
                is_whole = False
                break
            found[self.name(name)] = self.value(item, depth)
        if not is_whole:
            found[CUT] = CUT
        return found

    def _text_of(self, value: Any) -> str:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value[: max(self._left, 0) + 1]).decode(
                "utf-8", "backslashreplace"
            )
        text = text_of(value)
        return text if len(text) <= REPR_CHARS else text[:REPR_CHARS] + CUT


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _first(items: Iterable[Any]) -> tuple[list[Any], bool]:
    """Give the first items, and whether these are all."""
    # In one C call: another thread may be changing the container.
    found = list(islice(items, ITEMS + 1))
    return found[:ITEMS], len(found) <= ITEMS
