"""W3C Baggage: ``baggage``."""

import re
from collections.abc import Callable

from obs._diag import Diag
from obs.limits import Limits
from obs.model import BaggageValue, TraceContext
from obs.propagation._common import (
    EMPTY,
    TOKEN,
    checked_baggage,
    decoded,
    encoded,
    say_invalid_baggage,
)
from obs.protocols import Headers

_VALUE = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_PROPERTY = f"{TOKEN}(?:={_VALUE})?"
_PROPERTIES = f"{_PROPERTY}(?:;{_PROPERTY})*"

# What may follow a part never is in it (``=`` after a name, ``;`` after a value), so these
# do not backtrack.
_parse = re.compile(f"({TOKEN})=({_VALUE})(?:;({_PROPERTIES}))?").fullmatch
_are_properties = re.compile(_PROPERTIES).fullmatch

COUNTED_CHARS = 65_536
"""A header that goes so far past the limit is dropped as a whole, and counted so far."""


class W3CBaggage:
    """Reads and writes names, values and properties.

    Source: W3C Baggage, 3.3 (header content).
    """

    def __init__(self, limits: Limits, diag: Diag) -> None:
        self._members = limits.baggage_members
        self._bytes = limits.baggage_bytes
        self._diag = diag

    def extract(self, headers: Headers) -> TraceContext:
        """Read the members; a malformed one is skipped, of two with a name the last wins."""
        text = headers.get("baggage")
        if not text:
            return EMPTY
        found: dict[str, str] = {}
        for member in self._within_limits(text):
            parsed = parse_member(member)
            if parsed is not None:
                found[parsed[0]] = parsed[1]
        return TraceContext(remote=True, baggage=found) if found else EMPTY

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write what fits; nothing without baggage."""
        members: list[str] = []
        left = self._bytes
        over = 0
        for name, value in context.baggage.items():
            member = self._member(name, value)
            if member is None:
                continue
            if len(member) > left or len(members) == self._members:
                over += 1
                continue
            members.append(member)
            left -= len(member) + 1
        if members:
            set_header("baggage", ",".join(members))
        if over:
            self._diag.dropped("traces", "limit", over)

    def _within_limits(self, text: str) -> list[str]:
        """Give the first members; the rest is counted, whatever it is.

        Of what is longer by far than anybody means nothing is read: 64 members that are
        encoded to the last octet take 0.15 ms.

        Source: 3.3.2 (limits).
        """
        over = 0
        most = self._bytes + COUNTED_CHARS
        if len(text) >= most:
            self._diag.dropped("traces", "limit", text.count(",", 0, most) + 1)
            return []
        if len(text) > self._bytes:
            cut = text.rfind(",", 0, self._bytes + 1)
            over = text.count(",", max(cut, 0))
            over += cut < 0
            text = text[: max(cut, 0)]
        members = text.split(",", self._members)
        if len(members) > self._members:
            over += members.pop().count(",") + 1
        if over:
            self._diag.dropped("traces", "limit", over)
        return members

    def _member(self, name: object, value: object) -> str | None:
        text = checked_baggage(name, value, self._diag)
        if text is None:
            return None
        # Not encoded where it cannot fit: encoding only makes it longer.
        text = encoded(text) if len(text) <= self._bytes else text
        properties = value.properties if isinstance(value, BaggageValue) else ""
        if not properties:
            return f"{name}={text}"
        if _are_properties(properties):
            return f"{name}={text};{properties}"
        say_invalid_baggage(self._diag, name, "has malformed properties")
        return None


def parse_member(text: str) -> tuple[str, str] | None:
    """Give name and value of a member, or None if it is malformed.

    Blanks around names and values are no part of them, in properties too.

    Source: W3C Baggage, 3.3.1 (key, value, property).
    """
    if " " in text or "\t" in text:
        text = ";".join(map(_without_blanks, text.split(";")))
    match = _parse(text)
    if match is None:
        return None
    name, value, properties = match.groups()
    if properties is None:
        return name, decoded(value)
    return name, BaggageValue(decoded(value), properties)


def _without_blanks(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return name.strip(" \t") + equals + value.strip(" \t")
