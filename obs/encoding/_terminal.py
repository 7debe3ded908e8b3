"""A log record as a line for people."""

from obs.encoding._json import json_line
from obs.encoding._records import LOG_ROOM, hex_id
from obs.encoding._time import rfc3339
from obs.encoding._values import Plain
from obs.model import LogRecord

_LEVELS = {
    "trace": "\x1b[2m",
    "debug": "\x1b[36m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
_DIM, _BOLD, _KEY, _END = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[0m"
_LEVEL_COLUMNS, _EVENT_COLUMNS = 8, 24
_TRACE_DIGITS = 8
_NEEDS_QUOTES = frozenset(" =\"'\\")


def terminal_line(record: LogRecord, *, color: bool) -> str:
    """Give a log record as a line for a terminal, without a newline.

    Nothing in the record can break the line, or send the terminal a control character or
    an escape sequence: these are written as Python writes them in a literal.

        >>> from obs.model import LogRecord
        >>> paid = LogRecord(10**18, "info", "paid", "shop", 0xabc << 100, 1, {"cents": 5})
        >>> print(terminal_line(paid, color=False))
        01:46:40.000Z INFO     paid                     [shop] cents=5 trace=0000abc0

    Args:
        record: The record; its fields may hold any value at all.
        color: Whether to use colours.

    Returns:
        Time of day in UTC, level, event, ``[logger]``, fields, and the first eight digits
        of the trace's id.
    """
    plain = Plain(LOG_ROOM)
    level = printable(plain.name(record.level))
    event = printable(plain.name(record.event))
    logger = printable(plain.name(record.logger))
    fields = plain.mapping(record.fields)
    paint = _paint if color else _leave
    tail = [paint(f"[{logger}]", _DIM)] if logger else []
    tail += [f"{paint(_value(k), _KEY)}={_value(v)}" for k, v in fields.items()]
    if trace := hex_id(record.trace, 32):
        tail.append(paint(f"trace={trace[:_TRACE_DIGITS]}", _DIM))
    head = [
        paint(rfc3339(record.time_ns, 3)[11:], _DIM),
        paint(level.upper().ljust(_LEVEL_COLUMNS), _LEVELS.get(level, "")),
        paint(event.ljust(_EVENT_COLUMNS) if tail else event, _BOLD),
    ]
    return " ".join(head + tail)


def printable(text: str) -> str:
    """Write what cannot be printed as an escape: a newline as a backslash and an n."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _value(value: object) -> str:
    """Give a plain value: text bare where it reads well, all else as JSON."""
    if type(value) is str:
        if value and not _NEEDS_QUOTES.intersection(value):
            return printable(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{printable(escaped)}"'
    return printable(json_line(value)[:-1].decode())


def _paint(text: str, color: str) -> str:
    return f"{color}{text}{_END}"


def _leave(text: str, color: str) -> str:
    return text
