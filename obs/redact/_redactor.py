"""The redactor: what is masked, and what users add to it."""

import re
from collections.abc import Iterable
from typing import Any

from obs.errors import DefinitionError, shown
from obs.redact._names import has_words, is_secret, words
from obs.redact._pairs import mask_pairs
from obs.redact._texts import (
    MASK,
    mask_cards,
    mask_keys,
    mask_schemes,
    mask_shapes,
    mask_urls,
)

KNOWN = 4_096
"""How many names are remembered before they are forgotten."""
KNOWN_CHARS = 128
"""Longer names are not remembered."""

_SHORTEST = 13
"""Shorter ones have no secrets but behind their names."""
# What a text with a secret has, but for schemes, cards and some shapes of keys: one of
# these characters (characters alone are found fastest), or a colon in no time of day.
_MARK = re.compile(r"[=\"'JKISGxz]").search
_SHORT_MARK = re.compile(r"[=\"']").search
_COLON = re.compile(r":(?:(?<!\d\d:)|(?!\d\d))").search
_PREFIXES = ("gh", "_pat_", "k_live_", "k_test_", "npm_")
_AS_DIGITS = bytes.maketrans(b"123456789 -", b"00000000000")
_CARD = b"0" * 13


class Redactor:
    """Masks secrets in names and texts. Any thread, no lock; nothing raises.

        >>> DEFAULT.is_secret("dbPassword"), DEFAULT.is_secret("tokens_used")
        (True, False)
        >>> DEFAULT.text("GET /hook?token=k3y&page=2")
        'GET /hook?token=[redacted]&page=2'

    Args:
        keys: Further names of secrets: a name that has the words of one is secret, so
            ``iban`` makes ``customer_iban`` and ``customerIban`` secret.
        patterns: Further secrets in texts, as regular expressions. The whole match is
            masked, or the group ``secret`` where there is one. They run for each text.
        allow: Whole names that are no secrets, whatever else is said. Words count, not
            how they are put together: ``session.id`` allows ``sessionId``.

    Attributes:
        mask: What stands in place of a secret.

    Raises:
        DefinitionError: A key, pattern or name breaks a rule.
    """

    __slots__ = ("_known", "_patterns")

    mask = MASK

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        allow: Iterable[str] = (),
    ) -> None:
        wanted = [_name("keys", key) for key in _all("keys", keys)]
        allowed = [_name("allow", name) for name in _all("allow", allow)]
        self._known = _Known(wanted, allowed)
        self._patterns = [_pattern(given) for given in _all("patterns", patterns)]

    def is_secret(self, name: str) -> bool:
        """Tell whether a field, header or attribute of this name holds a secret."""
        # Another class's hash and equality are not asked.
        return self._known[name if type(name) is str else str.__str__(name)]

    def text(self, text: str) -> str:
        """Give a text with its secrets masked; the same object where it has none."""
        if type(text) is not str:
            text = str.__str__(text)
        found = text if _is_harmless(text) else self._masked(text)
        for pattern, group in self._patterns:
            found = pattern.sub(group, found)
        return text if found == text else found

    def _masked(self, text: str) -> str:
        found = mask_urls(mask_keys(text))
        found = mask_pairs(found, self.is_secret)
        return mask_cards(mask_shapes(mask_schemes(found)))


class _Known(dict[str, bool]):
    """Whether names are those of secrets: what has been asked, and what is asked now."""

    __slots__ = ("_allowed", "_wanted")

    def __init__(self, wanted: list[list[str]], allowed: list[list[str]]) -> None:
        self._wanted = wanted
        self._allowed = allowed

    def __missing__(self, name: str) -> bool:
        name_words = words(name)
        found = name_words not in self._allowed and (
            is_secret(name_words)
            or any(has_words(name_words, wanted) for wanted in self._wanted)
        )
        if len(name) <= KNOWN_CHARS:
            if len(self) >= KNOWN:
                self.clear()
            self[name] = found
        return found


def check_redact(given: Any, whose: str = "") -> None:
    """Check what masks secrets.

    Args:
        given: What came as ``redact``.
        whose: What the error's text begins with.

    Raises:
        DefinitionError: It is neither None nor like a ``Redactor``.
    """
    is_like = (
        type(getattr(given, "mask", None)) is str
        and callable(getattr(given, "is_secret", None))
        and callable(getattr(given, "text", None))
    )
    if isinstance(given, type) or (given is not None and not is_like):
        text = f"{whose}redact got {shown(given)}, needs a Redactor(...), or None for none."
        raise DefinitionError(text)


def _is_harmless(text: str) -> bool:
    """Tell fast that a text has no secret; False where it may have."""
    is_short = len(text) < _SHORTEST
    mark = _SHORT_MARK(text) if is_short else _MARK(text)
    if mark is not None or (":" in text and _COLON(text) is not None):
        return False
    if is_short:
        return True
    if "…" in text:  # cut there: what is left of a card may be short
        return False
    lower = text.lower()
    if "bearer" in lower or "basic" in lower or "sk-" in lower or "glpat-" in lower:
        return False
    if "_" in text and any(map(text.__contains__, _PREFIXES)):
        return False
    # A card has one character in each thirteen. The rest is faster than an expression,
    # which begins anew at each digit.
    return text[12::13].isalpha() or _CARD not in text.encode(
        "ascii", "replace"
    ).translate(_AS_DIGITS)


def _all(what: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes | re.Pattern):
        raise _error(what, given, "a list of them")
    try:
        return list(given)
    except TypeError:
        raise _error(what, given, "a list of them") from None


def _name(what: str, given: Any) -> list[str]:
    found = words(given) if type(given) is str else []
    if not found:
        raise _error(what, given, "names with letters, such as 'iban'")
    return found


def _pattern(given: Any) -> tuple[re.Pattern[str], Any]:
    try:
        pattern = re.compile(given)
        matches_nothing = pattern.match("") is not None
    except (TypeError, re.error):
        raise _error(
            "patterns", given, "regular expressions of text, such as r'EMP-[0-9]{6}'"
        ) from None
    if matches_nothing:
        raise _error("patterns", given, "expressions that match no empty text")
    return pattern, _with_group if "secret" in pattern.groupindex else _whole


def _whole(match: re.Match[str]) -> str:
    return MASK if match[0] else ""


def _with_group(match: re.Match[str]) -> str:
    start, stop = match.span("secret")
    if start < 0:
        return match[0]
    start, stop = start - match.start(), stop - match.start()
    return f"{match[0][:start]}{MASK}{match[0][stop:]}"


def _error(what: str, given: object, needs: str) -> DefinitionError:
    text = f"Redactor: {what} got {shown(given)}, needs {needs}."
    return DefinitionError(text)


DEFAULT = Redactor()
"""What ``Obs`` uses where nothing else is said."""
