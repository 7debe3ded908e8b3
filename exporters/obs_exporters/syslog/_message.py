"""Log records as syslog messages, one line each, each in a frame of counted octets.

The event is the message, ids and fields are one element of structured data. Control
characters are escaped: receivers that write files, or that do not count octets, would take
them for the end of a line.

Source: RFC 5424, 6; RFC 6587, 3.4.1; RFC 5612 (the number 32473 is for examples).
"""

import os
import re
from collections.abc import Iterator, Mapping
from json import dumps
from typing import Any, NamedTuple

from obs.encoding import log_dict, rfc3339
from obs.model import LogRecord, Resource

FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news"),
    *("uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
_SEVERITIES = {
    "critical": 2,
    "error": 3,
    "warning": 4,
    "info": 6,
    "debug": 7,
}
_OTHER_SEVERITY = {"trace": 7}
_NOTICE = 5
_NIL = "-"
_BOM = b"\xef\xbb\xbf"
_CUT = "…".encode()
_LEAST_PIECE = 16
_MARK = ' obs.cut="{}"'
_MARK_ROOM = len(_MARK) + 4
_NAME_CHARS = 32
_NOT_IN_NAME = re.compile(r'[^!-~]|[="\]]')
_NOT_IN_HEADER = re.compile(r"[^!-~]")
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_RESERVED = ("time", "level", "event", "logger")


class Sender(NamedTuple):
    """What all messages of a process have in common.

    Attributes:
        facility: Its number.
        head: Host, application and process, as they stand in the header.
        sd_id: The name of the element that holds ids and fields.
        most: The longest message, in bytes.
    """

    facility: int
    head: str
    sd_id: str
    most: int


def head_of(
    resource: Resource, hostname: str | None, app_name: str | None, most: int
) -> str:
    """Give host, application and process for the header, of a resource by default.

    They are cut so that a message of ``most`` bytes has room for something else.
    """
    attributes = resource.attributes
    host = hostname or attributes.get("host.name") or os.uname().nodename
    app = app_name or attributes.get("service.name", "")
    pid = attributes.get("process.pid") or os.getpid()
    return f"{_header(host, min(255, most // 3))} {_header(app, 48)} {_header(pid, 32)}"


def framed(record: LogRecord, sender: Sender) -> bytes:
    """Give a record's message, with its length in front.

    Raises:
        Exception: It is no record.
    """
    message = encode_log(record, sender)
    return b"%d %s" % (len(message), message)


def messages(body: bytes) -> Iterator[bytes]:
    """Give the messages of frames."""
    at = 0
    while at < len(body):
        begin = body.index(b" ", at) + 1
        at = begin + int(body[at : begin - 1])
        yield body[begin:at]


def encode_log(record: LogRecord, sender: Sender) -> bytes:
    """Give a record's message; what does not fit is cut, with a mark.

    Raises:
        Exception: It is no record.
    """
    found = log_dict(record)
    _, level, event, logger = (found.pop(name, "") for name in _RESERVED)
    severity = _SEVERITIES.get(level)
    if severity is None:  # what the severity does not say
        severity = _OTHER_SEVERITY.get(level, _NOTICE)
        found = {"level": level, **found}
    time = rfc3339(record.time_ns, 6)
    head = (
        f"<{8 * sender.facility + severity}>1 {time if time.endswith('Z') else _NIL} "
        f"{sender.head} {_header(logger, 32)} "
    ).encode()
    params = _params(found)
    text = _text(event)
    room = sender.most - len(head) - 1
    around = len(sender.sd_id) + 2 if params else 1
    size = sum(map(len, params)) + around
    if size + len(text) > room:
        text = _cut(text, max(room // 2, room - size))
        params = _fitting(params, room - len(text) - around)
    data = b"[%s%s]" % (sender.sd_id.encode(), b"".join(params))
    return b"%s%s%s" % (head, data if params else b"-", b" " + text if text else b"")


def _params(found: Mapping[str, Any]) -> list[bytes]:
    taken: set[str] = set()
    params = []
    for key, value in found.items():
        name = base = _NOT_IN_NAME.sub("_", key)[:_NAME_CHARS] or "_"
        number = 1
        while name in taken:
            number += 1
            name = f"{base[: _NAME_CHARS - 1 - len(str(number))]}_{number}"
        taken.add(name)
        text = value if type(value) is str else dumps(value, ensure_ascii=False)
        text = text.translate(_ESCAPES).replace("\\", "\\\\")
        text = text.replace('"', '\\"').replace("]", "\\]")
        params.append(f' {name}="{text}"'.encode())
    return params


def _fitting(params: list[bytes], room: int) -> list[bytes]:
    """Give those that fit, the first that does not cut, and how many are left out."""
    kept = []
    room -= _MARK_ROOM
    for param in params:
        if len(param) <= room:
            kept.append(param)
            room -= len(param)
            continue
        begin = param.index(b'"') + 1
        if room - begin - 1 >= _LEAST_PIECE:
            kept.append(_cut_value(param, room - 1) + b'"')
        break
    left_out = len(params) - len(kept)
    return [*kept, _MARK.format(left_out).encode()] if left_out else kept


def _cut_value(param: bytes, size: int) -> bytes:
    piece = param[: size - len(_CUT)]
    if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
        piece = piece[:-1]  # half of an escape
    return piece.decode("utf-8", "ignore").encode() + _CUT


def _cut(text: bytes, size: int) -> bytes:
    if len(text) <= size:
        return text
    return text[: size - len(_CUT)].decode("utf-8", "ignore").encode() + _CUT


def _text(event: str) -> bytes:
    text = event.translate(_ESCAPES)
    # ASCII may go without the mark, which receivers show as a part of the message.
    return text.encode() if text.isascii() else _BOM + text.encode()


def _header(value: object, chars: int) -> str:
    return _NOT_IN_HEADER.sub("_", str(value))[:chars] or _NIL
