"""What several formats share: tokens, percent-encoding, the text of a baggage value."""

import re
from codecs import unicode_escape_decode

from obs._diag import Diag
from obs.errors import shown, type_name
from obs.model import TraceContext

EMPTY = TraceContext()
"""No context."""

TRACE_END = 1 << 128
SPAN_END = 1 << 64

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
is_token = re.compile(TOKEN).fullmatch
"""Whether a text is a token (RFC 7230, 3.2.6)."""

# All of a baggage-octet that may stand for itself: without the percent sign.
_OCTETS = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
_is_plain = re.compile(r"[\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*").fullmatch


def checked_baggage(name: object, value: object, diag: Diag) -> str | None:
    """Give the text of a user's baggage value, or None: said and counted."""
    text = baggage_text(value)
    if text is None:
        say_invalid_baggage(diag, name, f"has a value of type {type_name(value)}")
    elif not (isinstance(name, str) and is_token(name)):
        say_invalid_baggage(diag, name, "is no token")
    else:
        return text
    return None


def say_invalid_baggage(diag: Diag, name: object, problem: str) -> None:
    """Count a member that cannot be written."""
    text = f"propagation: baggage {shown(name)} {problem}. It was left out."
    diag.invalid("baggage", text, "traces")


def baggage_text(value: object) -> str | None:
    """Give the text of a baggage value: of ``str``, ``int``, ``float``, ``bool``."""
    if isinstance(value, str):
        return str.__str__(value)
    if not isinstance(value, int | float):
        return None
    try:
        return str(value)
    except ValueError:  # more digits than Python is willing to write
        return None


def encoded(text: str) -> str:
    """Percent-encode what is no baggage-octet (W3C Baggage, 3.3.1.3)."""
    return text if _is_plain(text) else _quoted(text, _AS_BAGGAGE)


def encoded_strictly(text: str) -> str:
    """Percent-encode all but letters, digits and ``_.-~``: some read ``+`` as a blank."""
    return _quoted(text, _STRICTLY)


def _octets(safe: str) -> list[str]:
    """Give the text of each octet: itself or percent-encoded (RFC 3986, 2.1)."""
    return [chr(n) if chr(n) in safe else f"%{n:02X}" for n in range(256)]


# Not urllib.parse: its import costs 7 ms.
_AS_BAGGAGE = _octets(_UNRESERVED + _OCTETS)
_STRICTLY = _octets(_UNRESERVED)


def _quoted(text: str, octets: list[str]) -> str:
    return "".join([octets[n] for n in text.encode("utf-8", "replace")])


def decoded(text: str) -> str:
    """Percent-decode an ASCII text; what is no UTF-8 becomes U+FFFD.

    A text with a percent sign that begins no octet is taken as it is: ``50%``.
    """
    if "%" not in text:
        return text
    # Escapes of Python instead of urllib: 38 us for 8 KiB of octets, not 410.
    escaped = text.replace("\\", "\\\\").replace("%", "\\x")
    try:
        octets = unicode_escape_decode(escaped)[0].encode("latin-1")
    except UnicodeDecodeError:
        return text
    return octets.decode("utf-8", "replace")
