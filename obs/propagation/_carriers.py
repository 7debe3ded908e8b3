"""Reading headers from whatever carries them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from obs._foreign import is_the_hosts

_LINES = 64
NAMES = 1_000
"""Of a carrier's names so many are looked at; and of a header so many lines."""

_NAME_CHARS = 200
_WSGI = "HTTP_"

# Before ``get``, which gives the first line only: email.message, werkzeug, Starlette and
# Django, multidict, httpx.
_ALL_LINES = ("get_all", "getlist", "getall", "get_list")


class CarrierHeaders:
    """The headers of a carrier of any kind; follows the protocol ``Headers``.

    A name as it is asked for (in lower case) goes before the same name in other case, and
    before ``HTTP_...`` of WSGI. What the carrier raises is kept, not raised.

    Attributes:
        error: What the carrier raised first, or None.

    Args:
        direct: Gives the lines under a key, or None.
        entries: Gives names and lines; called where ``direct`` has no answer.
        chars: A header is cut here: no parser sees more.
    """

    __slots__ = ("_chars", "_direct", "_entries", "_index", "error")

    def __init__(
        self,
        direct: Callable[[str], Any] | None,
        entries: Callable[[], Iterable[tuple[Any, Any]]],
        chars: int,
    ) -> None:
        self._direct = direct
        self._entries = entries
        self._chars = chars
        self._index: dict[str, list[Any]] | None = None
        self.error: Exception | None = None

    def get(self, name: str) -> str | None:
        """Give a header, several lines of it joined by commas; None if it is not there."""
        try:
            value = None if self._direct is None else self._direct(name)
            text = None if value is None else _joined(value, self._chars)
            return self._searched(name) if text is None else text
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            self.error = self.error or error
            return None

    def with_prefix(self, prefix: str) -> list[tuple[str, str]]:
        """Give name and value of the headers whose names begin with a lower-case prefix."""
        found = []
        for name in [name for name in self._names() if name.startswith(prefix)]:
            text = self.get(name)
            if text is not None:
                found.append((name, text))
        return found

    def _searched(self, name: str) -> str | None:
        values = self._names().get(name)
        return None if values is None else _joined(values, self._chars)

    def _names(self) -> dict[str, list[Any]]:
        """Give values by lower-case name; made at the first header that needs it."""
        if self._index is not None:
            return self._index
        index: dict[str, list[Any]] = {}
        self._index = index
        try:
            for key, value in self._entries():
                name = lower_name(key)
                if name in index:
                    index[name].append(value)
                else:
                    index[name] = [value]
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            self.error = self.error or error
        return index


def headers_of(carrier: Any, chars: int) -> CarrierHeaders | None:
    """Give the headers of a carrier, or None if it is none.

    Args:
        carrier: A mapping, an object with ``get`` or the like, or pairs.
        chars: A header is cut here.
    """
    if type(carrier) is dict:
        return CarrierHeaders(carrier.get, lambda: _items(carrier), chars)
    if isinstance(carrier, str | bytes | bytearray | memoryview):
        return None
    if not isinstance(carrier, list | tuple):
        direct = _getter(carrier)
        if direct is not None:
            return CarrierHeaders(direct, lambda: _looked_up(carrier, direct), chars)
    if isinstance(carrier, Iterable):
        return CarrierHeaders(None, lambda: _pairs(carrier), chars)
    return None


def lower_name(key: Any) -> str:
    """Give a header's name in lower case, that of WSGI as it came; else empty text."""
    if isinstance(key, bytes):
        key = key[: _NAME_CHARS + 1].decode("latin-1")
    if not isinstance(key, str) or len(key) > _NAME_CHARS:
        return ""
    if key.startswith(_WSGI):
        key = key[len(_WSGI) :].replace("_", "-")
    return str.lower(key)


def pair_of(item: Any) -> tuple[Any, Any] | None:
    """Give name and value of a pair: two items, or an object of gRPC's metadata."""
    if isinstance(item, list | tuple):
        return (item[0], item[1]) if len(item) > 1 else None
    try:
        return item.key, item.value
    except AttributeError:
        return None


def _items(carrier: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    # A list at once: another thread may write to the dictionary.
    return list(islice(carrier.items(), NAMES))


def _pairs(carrier: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    for item in islice(carrier, NAMES):
        pair = pair_of(item)
        if pair is not None:
            yield pair


def _getter(carrier: Any) -> Callable[[Any], Any] | None:
    for method in (*_ALL_LINES, "get"):
        found = getattr(carrier, method, None)
        if callable(found):
            return _without_key_error(found) if method != "get" else found
    return None


def _without_key_error(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def get(name: Any) -> Any:
        try:
            return method(name)
        except KeyError:  # multidict's getall
            return None

    return get


def _looked_up(carrier: Any, direct: Callable[[Any], Any]) -> Iterable[tuple[Any, Any]]:
    keys = carrier if isinstance(carrier, Mapping) else carrier.keys()
    # Once each: several lines of a header come under one name.
    for key in dict.fromkeys(islice(keys, NAMES)):
        yield key, direct(key)


def _joined(value: Any, chars: int, depth: int = 2) -> str | None:
    """Give the text of a header's value, or of its lines; None if it has none.

    Lists in lists only where frameworks have them, and the first lines: a list may refer
    to others a thousand times, or to itself.
    """
    if type(value) is str and len(value) <= chars:
        return value
    if not isinstance(value, list | tuple):
        return _text(value, chars)
    texts: list[str] = []
    left = chars
    for line in value[: NAMES if depth == 2 else _LINES] if depth else ():
        text = _joined(line, left, depth - 1)
        if text is not None:
            texts.append(text)
            left -= len(text) + 1
        if left <= 0:
            break
    return ",".join(texts)[:chars] if texts else None


def _text(line: Any, chars: int) -> str | None:
    if isinstance(line, bytes):
        return bytes.__getitem__(line, slice(chars)).decode("latin-1")
    return str.__getitem__(line, slice(chars)) if isinstance(line, str) else None
