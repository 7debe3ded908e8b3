"""Secrets in free text that follow their name: ``password=...``, ``"token": "..."``."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from obs.redact._late import Late
from obs.redact._texts import MASK

IsSecret: TypeAlias = Callable[[str], bool]


class Pair(NamedTuple):
    """A name of a secret: where its value begins, and how long it is at least."""

    at: int
    least: int
    is_header: bool


# From the right to the left, so that only what ends at a separator is read: that, the
# quotes, the name, and the word before it. A colon in a time of day separates nothing; a
# comma does, behind the first of two items: ("X-Api-Key", "...").
_NAME = Late(
    r"(?:=|:(?:(?<!\d\d:)|(?!\d\d)):?|,(?=[ ]?[\"'][\w.-]{1,128}+[\"'][bu]?[\[(]))"
    r"[ \t]{0,8}+([\"'\\\])]{0,4}+)([\w.-]{1,128}+)(?: ([\w-]{1,32}+))?"
)
_SEPARATORS = ("=", ":", "'", '"')
_SECOND = frozenset({"code", "id", "key", "keys", "number"})
"""What is a name of a secret by the word before it alone: ``api key: ...``."""
_SPOKEN = frozenset({"auth", "pass", "session"})
"""What stands before a colon in sentences too."""
_IN_QUERIES = frozenset({"code", "key", "sig"})
_KEY_CHARS = 16
_BARE = 5
"""The group of a value without quotes."""

_OPEN = Late(r">?[ \t]{0,8}+(?=[\[({])(?!" + re.escape(MASK) + ")")
_BRACKET = Late(r"[\[\](){}]")
_LINE = Late(r"[^\r\n]*")
# What ends a value without quotes does so only if what follows looks like an end.
_REST = (
    r"(?:[^\s&;,|)\]}>\"'\\]|[&;,|](?!\s|\Z|[\w.-]{1,64}+[=:])"
    r"|[)\]}>\"'](?![\s,;)\]}>\"'&]|\Z)|\\(?![nrt\"'\\]))*+"
)
_UNQUOTED = Late(_REST)
_SCHEME = r"(?:(?i:bearer|basic|token|apikey)[ \t]{1,8}+)?"
_VALUE = Late(
    r">?[ \t]{0,8}+(?:[bBrRuU]{1,2}(?=[\"']))?(?:"
    rf"\"{_SCHEME}((?:[^\"\\\r\n]|\\.)*+)"
    rf"|'{_SCHEME}((?:[^'\\\r\n]|\\.)*+)"
    rf"|\\{{1,8}}+[\"']{_SCHEME}([^\"'\\\r\n]*+)"
    r"|(?i:digest|negotiate|ntlm|oauth|aws4-hmac-sha256) ([^\r\n]*+)"
    rf"|{_SCHEME}((?:{re.escape(MASK)})?{_REST}))"
)
_NO_SECRET = Late(
    r"(?i:none|null|nil|undefined|true|false|str|bytes|int|float|bool|object|any"
    r"|%s|%\(\w{1,64}\)s|\$\d{1,3}|[?*.…_=-]+|-----BEGIN)"
)


def mask_pairs(text: str, is_secret: IsSecret) -> str:
    """Mask the values of names that are those of secrets."""
    if not any(map(text.__contains__, _SEPARATORS)):
        return text
    pairs = list(_pairs(text, is_secret))
    if not pairs:
        return text
    found: list[str] = []
    done = 0
    closing = _closing(text)
    for pair in reversed(pairs):
        start, stop = _value(text, pair, closing) if pair.at >= done else (0, 0)
        if stop - start >= pair.least:
            found += text[done:start], MASK
            done = stop
    return "".join([*found, text[done:]])


def _pairs(text: str, is_secret: IsSecret) -> Iterator[Pair]:
    """Give the names of secrets, the last one first."""
    backwards = text[::-1]
    for match in _NAME.finditer(backwards):
        name = match[2][::-1].lower()
        at = len(text) - match.start()
        is_bare = text[at - 1] == ":" and match[1] in {"", ")"}
        if name.isdigit() or (is_bare and name in _SPOKEN):
            continue
        if is_secret(match[2][::-1]) or _is_second(match, name, is_secret):
            is_header = is_bare and name.endswith(("cookie", "cookies"))
            yield Pair(at, 1, is_header)
        elif name in _IN_QUERIES and backwards.startswith(("?", "&"), match.end(2)):
            yield Pair(at, _KEY_CHARS, is_header=False)


def _is_second(match: re.Match[str], name: str, is_secret: IsSecret) -> bool:
    if name not in _SECOND or not match[3]:
        return False
    before = match[3][::-1]
    return is_secret(f"{before} {name}") and not is_secret(before)


def _closing(text: str) -> dict[int, int]:
    """Give where what each bracket opens ends, behind the bracket that closes it."""
    found: dict[int, int] = {}
    opened = []
    for match in _BRACKET.finditer(text):
        if match[0] in "[({":
            opened.append(match.start())
        elif opened:
            found[opened.pop()] = match.end()
    return found


def _value(text: str, pair: Pair, closing: dict[int, int]) -> tuple[int, int]:
    """Give where a value begins and ends; nothing of it if it is no secret."""
    opened = _OPEN.match(text, pair.at)
    if opened is not None:
        start = opened.end()
        stop = closing.get(start) or _end(_LINE, text, start)
        return start, _end(_UNQUOTED, text, stop)
    match = _VALUE.match(text, pair.at)
    if match is None or match.lastindex is None:  # the last of its forms may be empty
        return pair.at, pair.at
    start, stop = match.span(match.lastindex)
    if pair.is_header and match.lastindex == _BARE:
        stop = _end(_LINE, text, start)
    is_none = _NO_SECRET.fullmatch(text, start, stop) is not None
    return (start, start) if is_none else (start, stop)


def _end(pattern: Late, text: str, start: int) -> int:
    """Give where a pattern ends that matches anywhere."""
    match = pattern.match(text, start)
    return start if match is None else match.end()
