"""Attributes that cannot go out as they are, made such that can.

Records come cleaned from delivery; this is for those that came another way. One that a
decoder refuses would take its whole request with it.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from obs.errors import shown
from obs_exporters.otlp._wire import utf8

DEPTH = 16
"""Containers inside containers deeper than this become text: decoders stop at 100 messages
inside each other, and a level takes up to three."""
_ITEMS = 8_192


def mended(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Give attributes that can be encoded.

    Names are texts, not empty, and different from each other: the first one stays. Values
    are ``str int float bool bytes None``, and lists and dicts of them. Integers that do
    not fit 64 bits, and whatever else there is, are shown as text of 80 characters. At
    most 8,192 items are taken.
    """
    return _Mender().mapping(dict(given), DEPTH)


class _Mender:
    """Mends one mapping; the count of items ends what contains itself."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _ITEMS

    def mapping(self, given: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        sane: dict[str, Any] = {}
        for key, value in self._some(given.items()):
            name = _text(key) if isinstance(key, str) else shown(key)
            if name and name not in sane:
                sane[name] = self._value(value, depth)
        return sane

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | bytes):
            return bytes(value) if isinstance(value, bytes) else value
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            number = int.__int__(value)
            return number if -(1 << 63) <= number < 1 << 63 else shown(number)
        if isinstance(value, float):
            return float.__float__(value)
        if not depth:
            return shown(value)
        if isinstance(value, Mapping):
            return self.mapping(value, depth - 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth - 1) for item in self._some(value)]
        return _text(shown(value))

    def _some(self, items: Iterable[Any]) -> list[Any]:
        found = list(islice(items, self._left))
        self._left -= len(found)
        return found


def _text(text: str) -> str:
    return utf8(str.__str__(text)).decode()
