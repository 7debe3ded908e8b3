"""What the two text formats have in common: their shape, and how they escape."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from obs.model import Kind

_SURROGATE = re.compile("[\ud800-\udfff]")


class Title(NamedTuple):
    """What stands above the samples of a family.

    Attributes:
        name: The family's name on the page, without the suffix of its samples.
        kind: Our kind; each format has its own word for it.
        unit: The unit as Prometheus writes it, such as ``seconds``, or empty.
        help: What it measures, for people; unescaped, may be empty.
    """

    name: str
    kind: Kind
    unit: str
    help: str


class Format(NamedTuple):
    """One of the text formats.

    Sample lines are the same text in both; what differs is here.

    Attributes:
        content_type: Of the answer, to the letter.
        media_type: Its first half, as a client asks for it.
        version: Its version, as a client asks for it.
        head: Makes the comment lines above a family's samples.
        merged: Makes the lines of one family out of what has ``collect()`` in the way of
            prometheus_client.
        end: The last line of the page, or nothing.
        sums_only_grow: Whether a histogram whose sum may fall must not show it.
    """

    content_type: str
    media_type: str
    version: str
    head: Callable[[Title], str]
    merged: Callable[[Any], bytes]
    end: bytes
    sums_only_grow: bool


def escaped(text: str) -> str:
    """Escape a label value (in OpenMetrics a help text too)."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def encoded(text: str) -> bytes:
    """Give UTF-8; a lone surrogate, which has none, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return repaired(text).encode()


def repaired(text: str) -> str:
    """Put U+FFFD in the place of each lone surrogate."""
    return _SURROGATE.sub("\ufffd", text)
