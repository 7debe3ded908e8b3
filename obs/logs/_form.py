"""How a route makes a line of a record."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.encoding import (
    LOG_NAMES,
    json_line,
    log_dict,
    logfmt_pairs,
    terminal_line,
    wants_color,
)
from obs.errors import type_name
from obs.model import LogRecord

Form: TypeAlias = Callable[[LogRecord], bytes]


def format_of(format: Any, sink: Any) -> Any:
    """Give what ``auto`` means for a sink, and all else as it is."""
    if format != "auto":
        return format
    return "terminal" if _is_terminal(sink) else "json"


def form_of(
    format: Any,
    sink: Any,
    rename: Mapping[str, str],
    service: str,
    diag: Diag,
    name: str,
) -> Form:
    """Give what makes a line.

    Args:
        format: As a route has it, but not ``auto``.
        sink: The route's.
        rename: The route's.
        service: Who logs.
        diag: Counts what a function of the user's raises.
        name: The route's.
    """
    json_line({})  # it imports at first use: not where a record is made
    if format == "terminal":
        color = wants_color(_stream_of(sink), os.environ)
        return lambda record: f"{terminal_line(record, color=color)}\n".encode()
    line = logfmt_pairs if format == "logfmt" else json_line
    form: Form = lambda record: line(log_dict(record, service, is_sane=True))  # noqa: E731
    if rename:
        names = Names(rename)
        form = lambda record: line(names.of(log_dict(record, service, is_sane=True)))  # noqa: E731
    return partial(_by_user, format, form, diag, name) if callable(format) else form


class Names:
    """Other names of the fields of a line.

    Args:
        rename: The new name, by the old one.
    """

    def __init__(self, rename: Mapping[str, str]) -> None:
        self._rename = rename
        self._ours = {name: rename.get(name, name) for name in LOG_NAMES}
        self._reserved = frozenset(self._ours.values()) | LOG_NAMES

    def of(self, found: dict[str, Any]) -> dict[str, Any]:
        """Give the fields of ``log_dict`` by their new names.

        A user's field that has the name of one of ours, or of another before it, gets
        ``field.`` before it.
        """
        renamed: dict[str, Any] = {}
        for name, value in found.items():
            new = self._ours.get(name)
            if new is None:
                new = self._rename.get(name, name)
                while new in self._reserved or new in renamed:
                    new = f"field.{new}"
            renamed[new] = value
        return renamed


def _by_user(
    format: Callable[[LogRecord], Any],
    instead: Form,
    diag: Diag,
    name: str,
    record: LogRecord,
) -> bytes:
    """Give the line that a user's function makes; another where it cannot."""
    try:
        line = format(record)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return _failed(f"raised a {type_name(raised)}", instead, diag, name, record)
    if isinstance(line, str):
        line = str.encode(line, "utf-8", "backslashreplace")
    if not isinstance(line, bytes):
        return _failed(f"gave a {type_name(line)}", instead, diag, name, record)
    return line if line.endswith(b"\n") else line + b"\n"


def _failed(
    what: str, instead: Form, diag: Diag, name: str, record: LogRecord
) -> bytes:
    diag.dropped("logs", "invalid", exporter=name)
    text = f"logs {name!r}: format {what}. The record goes as JSON."
    diag.say("invalid", text, once=f"format {name}")
    return instead(record)


def _stream_of(sink: Any) -> Any:
    return getattr(sys, sink, None) if sink in ("stderr", "stdout") else sink


def _is_terminal(sink: Any) -> bool:
    stream = _stream_of(sink)
    try:
        return os.isatty(stream if type(stream) is int else stream.fileno())
    except Exception as raised:  # foreign; a path; no descriptor
        if is_the_hosts(raised):
            raise
        return False
