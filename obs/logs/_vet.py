"""What is known to be harmless, so that a record of nothing else can be written at once."""

from collections.abc import Callable, Iterable
from typing import Any

from obs.encoding import LOG_NAMES

Redact = Callable[[str], str]

RESERVED = frozenset({"caller", "exc_info", "stack_info", *LOG_NAMES})
"""Names that mean something, or that a line has already."""

_NAMES = 4_096
_VALUES = 2_048
_VALUE_CHARS = 64
_TEXT_CHARS = 1_024
_NAME_CHARS = 128
_CARD = 10**12
"""Below, a number cannot be a payment card's."""


class Known(set[str]):
    """Names known to be harmless beside those of a logger's bound fields.

    Attributes:
        taken: The names of the bound fields.
    """

    __slots__ = ("taken",)

    def __init__(self, taken: Iterable[str]) -> None:
        super().__init__()
        self.taken = frozenset(taken)


class Vet:
    """What has been looked at and found harmless: of values the text, of names all.

    Harmless is a value that stands in JSON as it is, with nothing to mask and nothing
    that could move a cursor: then one call of a set answers for a whole record.

    Threads: any, without a lock; what two learn at once is learned twice.

    Args:
        is_secret: Whether the values of a name are masked.
        text: Masks what is secret in a text; the same object where nothing is.

    Attributes:
        values: Values that were seen. Equal ones are equally harmless: 1, 1.0 and True.
    """

    def __init__(self, is_secret: Callable[[str], bool], text: Redact) -> None:
        self._is_secret = is_secret
        self._text = text
        self._names: set[str] = set()
        self.values: set[Any] = set()

    def names(self, names: Iterable[Any], known: Known) -> bool:
        """Whether all names are harmless; those that are get into ``known``, too."""
        for name in names:
            if name in known:
                continue
            if name in known.taken:
                return False
            if name not in self._names and not self._learn(name):
                return False
            if len(known) >= _NAMES:
                known.clear()
            known.add(name)
        return True

    def all(self, values: Iterable[Any]) -> bool:
        """Whether all values are harmless."""
        seen = self.values
        for value in values:
            if value in seen:
                continue
            if not self.value(value):
                return False
            if len(seen) >= _VALUES:
                seen.clear()
            if value.__class__ is not str or len(value) <= _VALUE_CHARS:
                seen.add(value)
        return True

    def value(self, value: Any) -> bool:
        """Whether a value is harmless."""
        kind = value.__class__
        if kind is str:
            # What cannot be printed is escaped elsewhere: control characters, U+2028,
            # halves of surrogate pairs.
            is_plain = len(value) <= _TEXT_CHARS and value.isprintable()
            return is_plain and self._text(value) is value
        if kind is int:
            return bool(-_CARD < value < _CARD)
        if kind is float:
            # Neither infinite nor NaN; and an equal integer is no card either.
            return bool(-_CARD < value < _CARD)
        return value is None or kind is bool

    def _learn(self, name: Any) -> bool:
        is_good = (
            name.__class__ is str
            and 0 < len(name) <= _NAME_CHARS
            and name not in RESERVED
            and name.isprintable()
            and not self._is_secret(name)
            and self._text(name) is name
        )
        if is_good:
            if len(self._names) >= _NAMES:
                self._names.clear()
            self._names.add(name)
        return is_good
