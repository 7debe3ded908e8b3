"""A log record as a line of logfmt: pairs of a key and a value.

The grammar is that of go-logfmt, which most readers follow: a key ends at ``=``; a value is
bare, or in double quotes with the escapes of JSON.

Source: github.com/go-logfmt/logfmt, decode.go and jsonstring.go.
"""

import re
from typing import Any

from obs.encoding._json import json_line
from obs.encoding._records import log_dict
from obs.model import LogRecord

# White space ends keys and values; go-logfmt refuses U+FFFD in keys.
_NOT_IN_KEYS = re.compile('[\\s\x00-\x1f"%=\x7f-\x9f\ufffd]')
# A backslash in a bare value is read by some as it is, by others as an escape.
_NOT_BARE = re.compile(r'[\s\x00-\x1f"=\\\x7f-\x9f]')
_TO_ESCAPE = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def logfmt_line(record: LogRecord, service: str = "") -> bytes:
    r"""Give a log record as one line of logfmt in UTF-8, with its newline.

        >>> paid = LogRecord(10**18, "info", "paid", fields={"cents": 5, "by": "Ann Lee"})
        >>> logfmt_line(paid)
        b'time=2001-09-09T01:46:40.000Z level=info event=paid cents=5 by="Ann Lee"\n'

    Args:
        record: The record; its fields may hold any value at all.
        service: Who sends.

    Returns:
        The pairs of ``log_dict``. What a key cannot hold is written as in URLs (``%20``;
        so is ``%`` itself), so that two keys never become one. Values are texts: numbers,
        ``true``, ``false`` and ``null`` as in JSON, lists and dicts as JSON in one text.
    """
    return logfmt_pairs(log_dict(record, service))


def logfmt_pairs(found: dict[str, Any]) -> bytes:
    """Give what ``log_dict`` gives, under whatever names, as a line of logfmt."""
    pairs = [f"{_key(name)}={_value(value)}" for name, value in found.items()]
    return " ".join(pairs).encode() + b"\n"


def _key(name: str) -> str:
    return _NOT_IN_KEYS.sub(_percent, name)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _value(value: Any) -> str:
    kind = type(value)
    if kind is int:
        return str(value)
    text = value if kind is str else json_line(value)[:-1].decode()
    if text and _NOT_BARE.search(text) is None:
        return text
    return f'"{_TO_ESCAPE.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"
