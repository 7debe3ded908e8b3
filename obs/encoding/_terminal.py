"""A log record as a line for people."""

import os
from collections.abc import Mapping
from typing import Any

from obs._foreign import is_the_hosts
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
_DIM, _BOLD, _KEY, _RED, _END = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[31m", "\x1b[0m"
_LEVEL_COLUMNS, _EVENT_COLUMNS = 8, 24
_TRACE_DIGITS = 8
_NEEDS_QUOTES = frozenset(" =\"'\\")
_ERROR = "exception.type", "exception.message"
_STACKS = "stack", "exception.stacktrace"
_BESIDE = frozenset({*_ERROR, *_STACKS})
BAR = "    | "
"""Begins each line of a stack. No record begins so: a time or a dash does."""
_FIRST_LINES, _LAST_LINES = 10, 50


def terminal_line(record: LogRecord, *, color: bool) -> str:
    """Give a log record as a line for a terminal, without a newline at its end.

    Below the line stand the lines of its fields ``stack`` and ``exception.stacktrace``, if
    it has them, behind a bar: the first 10 and the last 50 of each. There are no other
    newlines, and nothing in the record can send the terminal a control character or an
    escape sequence: these are written as Python writes them in a literal.

        >>> from obs.model import LogRecord
        >>> paid = LogRecord(10**18, "info", "paid", "shop", 0xabc << 100, 1, {"cents": 5})
        >>> print(terminal_line(paid, color=False))
        01:46:40.000Z INFO     paid                     [shop] cents=5 trace=0000abc0
        >>> error = {"exception.type": "KeyError", "exception.stacktrace": "Traceback .."}
        >>> lost = LogRecord(10**18, "error", "lost", fields=error)
        >>> print(terminal_line(lost, color=False))
        01:46:40.000Z ERROR    lost                     KeyError
            | Traceback ..

    Args:
        record: The record; its fields may hold any value at all.
        color: Whether to use colours.

    Returns:
        Time of day in UTC, level, event, ``[logger]``, fields, the first eight digits of
        the trace's id, and ``exception.type: exception.message``.
    """
    plain = Plain(LOG_ROOM)
    level = printable(plain.name(record.level))
    event = printable(plain.name(record.event))
    logger = printable(plain.name(record.logger))
    fields = plain.mapping(record.fields)
    paint = _paint if color else _leave
    error, stacks = "", []
    if not _BESIDE.isdisjoint(fields):
        error = _error(fields)
        stacks = [_taken(fields, name) for name in _STACKS]
    tail = [paint(f"[{logger}]", _DIM)] if logger else []
    tail += [f"{paint(_value(k), _KEY)}={_value(v)}" for k, v in fields.items()]
    if trace := hex_id(record.trace, 32):
        tail.append(paint(f"trace={trace[:_TRACE_DIGITS]}", _DIM))
    if error:
        tail.append(paint(error, _RED))
    head = [
        paint(rfc3339(record.time_ns, 3)[11:] or "-", _DIM),
        paint(level.upper().ljust(_LEVEL_COLUMNS), _LEVELS.get(level, "")),
        paint(event.ljust(_EVENT_COLUMNS) if tail else event, _BOLD),
    ]
    lines = [" ".join(head + tail)]
    bar = paint(BAR, _DIM)
    lines += [f"{bar}{line}" for stack in stacks if stack for line in _lines(stack)]
    return "\n".join(lines)


def printable(text: str) -> str:
    """Write what cannot be printed as an escape: a newline as a backslash and an n."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def wants_color(target: Any, environ: Mapping[str, str]) -> bool:
    """Whether to use colours: on a terminal that can, where nobody said not to.

    Args:
        target: Where the text goes: a file object or a descriptor.
        environ: The environment. ``NO_COLOR``, not empty, and a ``TERM`` of ``dumb`` say
            not to.
    """
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    try:
        is_descriptor = isinstance(target, int)
        return os.isatty(target) if is_descriptor else bool(target.isatty())
    except Exception as raised:  # closed, or has none
        if is_the_hosts(raised):
            raise
        return False


def _value(value: object) -> str:
    """Give a plain value: text bare where it reads well, all else as JSON."""
    if type(value) is str:
        if value and not _NEEDS_QUOTES.intersection(value):
            return printable(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{printable(escaped)}"'
    return printable(json_line(value)[:-1].decode())


def _taken(fields: dict[str, Any], name: str) -> str:
    """Give a text, and take it out of the fields; what is none stays there."""
    return fields.pop(name) if type(fields.get(name)) is str else ""


def _error(fields: dict[str, Any]) -> str:
    found = [_taken(fields, name) for name in _ERROR]
    return ": ".join(printable(text) for text in found if text)


def _lines(stack: str) -> list[str]:
    lines = stack.rstrip("\n").split("\n")
    left_out = len(lines) - _FIRST_LINES - _LAST_LINES
    if left_out > 1:
        note = f"... {left_out} lines left out ..."
        lines = [*lines[:_FIRST_LINES], note, *lines[-_LAST_LINES:]]
    return [printable(line) for line in lines]


def _paint(text: str, color: str) -> str:
    return f"{color}{text}{_END}"


def _leave(text: str, color: str) -> str:
    return text
