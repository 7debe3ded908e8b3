"""Attribute values: copied when they are given, made sane when a span has finished."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from gc import is_tracked
from itertools import islice
from typing import TYPE_CHECKING, Any

from obs._exceptions import Stack
from obs._foreign import digits_of, is_the_hosts, text_of
from obs.errors import shown, type_name
from obs.model import SpanLink, TraceContext
from obs.propagation import is_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from obs._diag import Diag
    from obs.encoding._redaction import Redaction
    from obs.limits import Limits
    from obs.trace._tracer import Tracer

DEPTH = 8
"""Containers inside containers deeper than this are shown as text."""
ITEMS = 1_024
"""How many items of a container are kept."""
MARGIN = 256
"""How many characters past the longest text are read: a secret may lie across its end."""
COPIED = 8 * ITEMS
"""How many items of all the containers in one value are kept."""

_CONTAINERS = Mapping, list, tuple, Sequence, AbstractSet, ValuesView
_FIXED = frozenset({str, int, float, bool, bytes, type(None)})


def attributes_of(
    tracer: Tracer, mapping: Mapping[str, Any] | None, named: dict[str, Any]
) -> dict[str, Any]:
    """Give attributes as a dict of our own: names are text, containers are copied."""
    given: dict[Any, Any] = named
    if mapping is not None:
        try:
            given = {**_first(mapping), **named}
            if type(mapping) is dict and not is_tracked(given):
                return given  # nothing in it can change; the reader mends its names
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            text = (
                f"span: attributes got a {type_name(mapping)}, needs a mapping. "
                "They were ignored."
            )
            tracer.diag.invalid("attributes", text, "traces")
    copied = {}
    for name, value in given.items():
        if type(name) is not str:
            name = Cleaner(tracer.limits, tracer.diag).name(name)  # noqa: PLW2901
        if type(value) not in _FIXED:
            value = Copier(tracer.limits, tracer.diag).copy(value)  # noqa: PLW2901
        copied[name] = value
    return copied


def _first(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    """Give the first items of a mapping, which may have no end."""
    kind = type(mapping)
    if kind is dict:
        return mapping  # type: ignore[return-value]
    if issubclass(kind, list | tuple):  # of pairs
        return dict(mapping)
    if not issubclass(kind, Mapping):
        raise TypeError
    return dict(islice(mapping.items(), ITEMS))


class Copier:
    """Copies one value that may change, to the depth and the size that will be shown.

    Args:
        limits: The longest text.
        diag: Where cut values are counted.
    """

    __slots__ = ("_chars", "_diag", "_left")

    def __init__(self, limits: Limits, diag: Diag) -> None:
        self._chars = limits.value_chars
        self._diag = diag
        self._left = COPIED

    def copy(self, value: Any) -> Any:
        """Give a copy of a container, and anything else as it is."""
        try:
            return self._copied(value, DEPTH)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            return f"<{type_name(value)}>"

    def _copied(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _FIXED or not hasattr(kind, "__iter__"):
            return value
        if isinstance(value, bytearray):
            return bytes(value[: _most_bytes(self._chars)])
        if not _is_container(value):
            return value
        if not depth:
            return "…"
        if isinstance(value, Mapping):
            items = self._some(value.items())
            return {name: self._copied(item, depth - 1) for name, item in items}
        return [self._copied(item, depth - 1) for item in self._some(value)]

    def _some(self, items: Iterable[Any]) -> list[Any]:
        most = min(ITEMS, self._left)
        # In one C call: another thread may be changing it.
        found = list(islice(items, most + 1))
        if len(found) > most:
            found.pop()
            self._diag.truncated("traces")
        self._left -= len(found)
        return found


def context_in(given: Any) -> TraceContext | None:
    """Give the context of what was given: of one, a span or a link; None of all else."""
    try:
        context = getattr(given, "context", given)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return None
    return context if is_context(context) else None


def link_of(tracer: Tracer, given: Any) -> SpanLink | None:
    """Give a link to what was given: a context, a span, or a link."""
    context = context_in(given)
    if context is None:
        text = (
            f"span: a link got a {type_name(given)}, needs a context. It was ignored."
        )
        tracer.diag.invalid("link", text, "traces")
        return None
    attributes = given.attributes if issubclass(type(given), SpanLink) else None
    if not context:
        return None
    return SpanLink(context, attributes_of(tracer, attributes, {}))


_CARD = 10**12
"""A number from here on may be that of a payment card."""


class Cleaner:
    """Makes of any value of one record one that every backend takes.

    ``str int float bool`` stay, and lists and dicts of them; a text of everything else.

    Args:
        limits: The longest text, and the most bytes that all texts and numbers of the
            record together may have.
        diag: Where cut values are counted.
        render: Gives the text of a stack.
        redact: What masks secrets; None: nothing does.

    Attributes:
        left: How many bytes there are still room for; below 0 where they were too many.
    """

    __slots__ = ("_chars", "_diag", "_redact", "_render", "left")

    def __init__(
        self,
        limits: Limits,
        diag: Diag,
        render: Callable[[Stack], str] = repr,
        redact: Redaction | None = None,
    ) -> None:
        self._chars = limits.value_chars
        self.left = limits.record_bytes
        self._diag = diag
        self._redact = redact
        self._render = render

    @property
    def is_full(self) -> bool:
        """Whether the record has no room left."""
        return self.left <= 0

    def attributes(self, given: Mapping[Any, Any], limit: int) -> dict[str, Any]:
        """Give sane attributes: at most ``limit``, and as many as there is room for.

        The caller counts what is left out.
        """
        sane: dict[str, Any] = {}
        # A copy, in one C call: another thread may still be setting some. Not a list of
        # items: making each is an occasion for the collector, and so for other threads.
        for name, value in islice(dict(given).items(), limit):
            # The name first: a value may take all the room.
            text = "" if self.is_full else self.name(name)
            if self.is_full:
                break
            sane[text] = self._named(text, value, DEPTH)
        return sane

    def name(self, name: Any) -> str:
        """Give a name as text, whatever it is."""
        found = self.value(name, 0)
        return found if type(found) is str else self.text(str(found))

    def text(self, text: str, *, keep_end: bool = False) -> str:
        """Give text of bounded length that can be encoded; cut at its end, or before it."""
        whole, is_cut = text, False
        if self._redact is not None:
            most = len(text) if keep_end else self._chars
            whole, is_cut = _masked(text, self._redact, most)
        fits = _cut(whole, self._chars, keep_end=keep_end)
        size = len(fits)
        if not fits.isascii():
            # A lone surrogate would spoil the whole batch.
            encoded = fits.encode("utf-8", "replace")
            size = len(encoded)
            fits = encoded.decode()
        if size > self.left:
            # Four bytes are what a character may take, three what the ellipsis takes.
            room = self.left if fits.isascii() else self.left // 4
            fits = _cut(fits, room - 2, keep_end=keep_end) if room > 2 else ""
            self.left = size = len(fits.encode())
        if is_cut or len(fits) < len(whole):
            self._diag.truncated("traces")
        self.left -= size
        return fits

    def _named(self, name: str, value: Any, depth: int) -> Any:
        if self._redact is not None and self._redact.is_secret(name):
            return self.text(self._redact.mask)
        return self.value(value, depth)

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """Give a sane value."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        self.left -= 8
        if kind is bool or (kind is float and -_CARD < value < _CARD):
            return value
        try:
            return self._other(value, depth)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            return self.text(f"<{type_name(value)}>")

    def _other(self, value: Any, depth: int) -> Any:
        # By the methods of the built-in classes, past what a subclass makes of them.
        if isinstance(value, int):
            number = int.__int__(value)
            return self._number(number)
        if isinstance(value, float):
            return self._real(float.__float__(value))
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, enum.Enum):
            name = str.__str__(value.name)
            return self.value(value.value, depth - 1) if depth else self.text(name)
        if _is_container(value):
            return self._container(value, depth)
        return self.text(self._text_of(value), keep_end=type(value) is Stack)

    def _number(self, number: int) -> int | str:
        # What does not fit 64 bits is text: no backend has larger numbers.
        if not -(1 << 63) <= number < 1 << 63:
            return self.text(digits_of(number))
        return self._masked() if self._is_card(number) else number

    def _real(self, number: float) -> float | str:
        is_whole = number.is_integer()  # a column of integers that has become floats
        return self._masked() if is_whole and self._is_card(int(number)) else number

    def _is_card(self, number: int) -> bool:
        if self._redact is None or not _CARD <= abs(number) < 1 << 63:
            return False
        digits = str(number)
        return self._redact.text(digits) is not digits

    def _masked(self) -> str:
        return self.text(self._redact.mask) if self._redact is not None else ""

    def _container(self, value: Any, depth: int) -> Any:
        if not depth:
            return self.text(shown(value))
        if isinstance(value, Mapping):
            items = self._some(value.items())
            names = ((self.name(name), item) for name, item in items)
            return {name: self._named(name, item, depth - 1) for name, item in names}
        found = [self.value(item, depth - 1) for item in self._some(value)]
        # A header, in a list of pairs.
        if len(found) == 2 and type(found[0]) is str:
            found[1] = self._named(found[0], found[1], depth - 1)
        return found

    def _some(self, items: Iterable[Any]) -> Iterator[Any]:
        for index, item in enumerate(items):
            if index == ITEMS or self.is_full:
                self._diag.truncated("traces")
                return
            yield item

    def _text_of(self, value: Any) -> str:
        if value is None:
            return ""
        if type(value) is Stack:
            return self._render(value)
        if isinstance(value, bytes | bytearray):
            return bytes(value[: _most_bytes(self._chars)]).decode("utf-8", "replace")
        return text_of(value)


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS) and not isinstance(
        value, str | bytes | bytearray
    )


def _masked(text: str, redact: Redaction, most: int) -> tuple[str, bool]:
    """Give a text without secrets, and whether it was too long to be read to its end.

    Nothing is left of a secret that lies across the end: what is read past ``most`` goes,
    even if masks have made the text shorter.
    """
    if len(text) <= most + MARGIN:
        return redact.text(text), False
    found = redact.text(text[: most + MARGIN] + "…")
    return found[: -MARGIN - 1] + "…", True


def _cut(text: str, chars: int, *, keep_end: bool) -> str:
    if len(text) <= chars:
        return text
    return "…" + text[len(text) + 1 - chars :] if keep_end else text[: chars - 1] + "…"


def _most_bytes(chars: int) -> int:
    """Give how many bytes have more than so many characters, at four bytes for each."""
    return 4 * chars + 4
