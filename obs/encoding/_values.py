"""Any value as one that JSON has: bounded, of plain types, and text that can be encoded."""

import enum
import math
from collections import UserString
from collections.abc import Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from obs._foreign import digits_of, is_the_hosts, text_of
from obs.encoding._redaction import Redaction
from obs.errors import shown, type_name
from obs.limits import Limits

DEPTH = Limits().repr_depth
REPR_CHARS = Limits().repr_chars
ITEMS = 1_024
"""How many items of a container are kept; a mark is one of them."""
MARGIN = 8_192
"""So many characters behind what can be kept are searched for secrets.

A secret that begins in what is kept and ends behind it is found by its end. Of a longer
one the pattern must know the beginning.
"""
CUT = "…"
CIRCULAR = "<circular reference>"
NAMELESS = "<empty>"
"""In place of an empty name, which OTLP and logfmt do not have."""
_INT = 1 << 63
_CARD = 10**12
"""A number from here on may be that of a payment card."""
_CUT_BYTES = len(CUT.encode())
_NAME = -1
"""The depth of a name: containers are shown as one short text."""

_CONTAINERS = Mapping, list, tuple, Sequence, AbstractSet, ValuesView
_USUAL = frozenset({dict, list, tuple})
_TEXTS = str, bytes, bytearray, memoryview, UserString


class Plain:
    """Makes plain values of all the values of one record.

    Plain are ``None``, ``bool``, ``int`` of 64 bits, finite ``float``, ``str`` without
    lone surrogates, and lists and dicts of them, in which no name is empty. All else
    becomes text. Nothing raises, but what was meant for the host does (see
    ``is_the_hosts``). Plain values within the room come out as they went in.

    Args:
        room: How many bytes all texts and numbers of the record together may have. One
            text gets half of what is left, so that it does not starve those behind it.
        redact: Takes the secrets out: of texts before they are cut, and of dicts, and of
            tuples of a name and a value, by name. A value with such a name is not looked
            at.

    Attributes:
        cut: How many values have been cut.
    """

    __slots__ = ("_left", "_path", "_redact", "cut")

    def __init__(self, room: int, redact: Redaction | None = None) -> None:
        self._left = room
        self._path: set[int] = set()
        self._redact = redact
        self.cut = 0

    def text(self, text: str) -> str:
        """Give a text that UTF-8 can hold, cut with a mark where there is no room."""
        most = self._left // 2 if self._left > 0 else 0
        is_whole = True
        if len(text) > most:
            text, is_whole = self._beginning(text, most)
        elif self._redact is not None:
            text = self._redact.text(text)
        size = len(text)
        if text.isascii() and size <= most and is_whole:  # nearly all
            self._left -= size + 2  # its quotes: endless empty texts take room, too
            return text
        encoded = text.encode("utf-8", "backslashreplace")
        if not is_whole or len(encoded) > most:
            self.cut += 1
            kept = encoded[: max(most - _CUT_BYTES, 0)].decode("utf-8", "ignore")
            encoded = (kept + CUT).encode()
        self._left -= len(encoded) + 2
        return encoded.decode()

    def name(self, value: Any) -> str:
        """Give the text of a name, whatever it is."""
        if type(value) is str:
            return self.text(value)
        found = self.value(value, _NAME)
        return found if type(found) is str else self.text(str(found))

    def mapping(self, value: Any, most: int = ITEMS) -> dict[str, Any]:
        """Give a dict of attributes or fields, or of what came in their place.

        Args:
            value: A mapping; None gives an empty one, and all else one with a ``value``.
            most: How many items are kept; a mark is one of them.
        """
        if value is None:
            return {}
        self._path.add(id(value))
        try:
            if type(value) is dict or issubclass(type(value), Mapping):
                return self._dict(value, DEPTH, most)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            return {self.text("value"): self.text(f"<{type_name(value)}>")}
        finally:
            self._path.discard(id(value))
        return {self.text("value"): self.value(value)}

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """Give a plain value."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        self._left -= 8
        if kind is bool or value is None or (kind is int and -_CARD < value < _CARD):
            return value
        try:
            return self._other(value, depth)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            return self.text(f"<{type_name(value)}>")

    def _other(self, value: Any, depth: int) -> Any:
        if type(value) in _USUAL:
            return self._container(value, depth)
        # By the methods of the built-in classes, past what a subclass makes of them.
        if isinstance(value, int):
            return self._number(int.__int__(value))
        if isinstance(value, float):
            real = float.__float__(value)
            if not math.isfinite(real):
                return self.text(_NOT_FINITE[str(real)])
            return self._masked() if self._is_card(real) else real
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, enum.Enum):
            inner = value.value if depth > 0 else str(value.name)
            return self.value(inner, depth - 1)
        if isinstance(value, _CONTAINERS) and not isinstance(value, _TEXTS):
            return self._container(value, depth)
        return self.text(self._text_of(value))

    def _number(self, number: int) -> int | str:
        if not -_INT <= number < _INT:
            return self.text(digits_of(number))
        return self._masked() if self._is_card(number) else number

    def _is_card(self, number: float) -> bool:
        if self._redact is None or -_CARD < number < _CARD or number != int(number):
            return False
        # Floats too: a column of integers may have become some.
        digits = digits_of(int(number))
        return self._redact.text(digits) is not digits

    def _container(self, value: Any, depth: int) -> Any:
        if depth <= 0:
            return self._shown(value, depth)
        if id(value) in self._path:
            return self.text(CIRCULAR)
        self._path.add(id(value))
        try:
            if type(value) is dict or isinstance(value, Mapping):
                return self._dict(value, depth - 1, ITEMS)
            return self._list(value, depth - 1)
        finally:
            self._path.discard(id(value))

    def _shown(self, value: Any, depth: int) -> str:
        if depth == 0:
            self.cut += 1
            if self._redact is not None:  # what is in it has not been looked at
                return self.text(f"<{type_name(value)}>")
        return self.text(shown(value))

    def _list(self, value: Iterable[Any], depth: int) -> list[Any]:
        items, is_whole = _first(value, ITEMS)
        if len(items) == 2 and self._is_name(items[0]):
            return [self.value(items[0], depth), self._masked()]
        found = []
        for item in items:
            if self._left <= 0:
                is_whole = False
                break
            found.append(self.value(item, depth))
        if not is_whole:
            self._mark(1)
            found.append(CUT)
        return found

    def _dict(self, value: Mapping[Any, Any], depth: int, most: int) -> dict[str, Any]:
        items, is_whole = _first(value.items(), most)
        redact = self._redact
        found: dict[str, Any] = {}
        for given, item in items:
            if self._left <= 0:
                is_whole = False
                break
            name = given if type(given) is str else Plain(MARGIN).name(given)
            key = self.text(name or NAMELESS)
            if key in found:
                self.cut += 1
            if redact is not None and redact.is_secret(name[:MARGIN]):
                found[key] = self._masked()
            else:
                found[key] = self.value(item, depth)
        if not is_whole:
            self._mark(2)
            found[CUT] = CUT
        return found

    def _mark(self, texts: int) -> None:
        self.cut += 1
        self._left -= texts * (_CUT_BYTES + 2)

    def _is_name(self, value: Any) -> bool:
        """Whether what follows is a secret by this name: raw headers come in pairs."""
        if self._redact is None or type(value) not in (str, bytes):
            return False
        name = value[:MARGIN]
        text = name if type(name) is str else name.decode("latin-1")
        # What has these is no name, but a text that may have a secret in it.
        return _IN_TEXTS.isdisjoint(text) and self._redact.is_secret(text)

    def _masked(self) -> str:
        mask = self._redact.mask if self._redact is not None else ""
        self._left -= len(mask) + 2
        return mask

    def _beginning(self, text: str, most: int) -> tuple[str, bool]:
        """Give at most so many characters without a secret, and whether they are all."""
        if self._redact is None:
            return text[:most], len(text) <= most
        if len(text) <= most + MARGIN:
            found = self._redact.text(text)
            return found[:most], len(found) <= most
        # The last of them may be half of a secret, and where masks have made the text
        # shorter they would be kept.
        found = self._redact.text(text[: most + MARGIN])
        return found[: max(min(most, len(found) - MARGIN), 0)], False

    def _text_of(self, value: Any) -> str:
        if isinstance(value, bytes | bytearray | memoryview):
            # At least as many characters as a text is searched for, of four bytes each.
            most = 2 * max(self._left, 0) + 4 * MARGIN + 4
            return bytes(value[:most]).decode("utf-8", "backslashreplace")
        text = text_of(value)
        if len(text) <= REPR_CHARS:
            return text
        self.cut += 1
        return self._beginning(text, REPR_CHARS)[0] + CUT


_IN_TEXTS = frozenset(" =\n")
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _first(items: Iterable[Any], most: int) -> tuple[list[Any], bool]:
    """Give all items, or the first of them with room for a mark; and whether all."""
    # In one C call: another thread may be changing the container.
    found = list(islice(items, most + 1))
    return (found, True) if len(found) <= most else (found[: most - 1], False)
