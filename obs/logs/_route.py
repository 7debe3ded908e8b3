"""Where logs go: what a user says, and what runs."""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from obs._diag import Diag
from obs.encoding import json_line, log_dict, logfmt_line, terminal_line, wants_color
from obs.errors import DefinitionError, shown
from obs.logs._descriptor import Descriptor
from obs.logs._levels import NUMBERS, level_number
from obs.model import LogRecord

FORMATS = ("auto", "json", "logfmt", "terminal")
Line: TypeAlias = Callable[[LogRecord], bytes]


class Route:
    """One way that logs go.

    Args:
        sink: ``stderr``, ``stdout``, the path of a file, or a stream.
        level: The lowest level that goes.
        format: ``json``, ``logfmt``, ``terminal``, or ``auto``: the terminal's form where
            the sink is one, else JSON.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    def __init__(
        self, sink: Any = "stderr", *, level: str = "trace", format: str = "auto"
    ) -> None:
        if format not in FORMATS:
            text = (
                f"Route: format got {shown(format)}, needs one of {', '.join(FORMATS)}."
            )
            raise DefinitionError(text)
        self.sink = sink
        self.level = level_number("Route: level", level)
        self.format = format


class Outlet:
    """A route at work.

    Args:
        route: The route.
        service: Who logs.
        diag: Where failures are counted and said.

    Attributes:
        sink: Where its lines go.
        level: The number of the lowest level that goes.
        is_plain: Whether it does nothing but to write JSON.
    """

    def __init__(self, route: Route, service: str, diag: Diag) -> None:
        self.sink = Descriptor(route.sink, diag, name=_name_of(route.sink))
        self.level = route.level
        is_terminal = _is_terminal(route.sink)
        format = route.format
        if format == "auto":
            format = "terminal" if is_terminal else "json"
        self._line = _line_of(format, service, route.sink)
        self.is_plain = format == "json"

    def take(self, record: LogRecord) -> None:
        """Write a record, if it goes this way."""
        if NUMBERS[record.level] >= self.level:
            self.sink.write(self._line(record))


def _stream_of(sink: Any) -> Any:
    return getattr(sys, sink, None) if sink in ("stderr", "stdout") else sink


def _is_terminal(sink: Any) -> bool:
    stream = _stream_of(sink)
    try:
        return os.isatty(stream if type(stream) is int else stream.fileno())
    except Exception:  # noqa: BLE001 - foreign; a path; no descriptor
        return False


def _name_of(sink: Any) -> str:
    if isinstance(sink, str | os.PathLike):
        return os.fspath(sink)
    return f"descriptor {sink}" if type(sink) is int else "stream"


def _line_of(format: str, service: str, sink: Any) -> Line:
    if format == "logfmt":
        return lambda record: logfmt_line(record, service)
    if format == "terminal":
        color = wants_color(_stream_of(sink), os.environ)
        return lambda record: f"{terminal_line(record, color=color)}\n".encode()
    return lambda record: json_line(log_dict(record, service, is_sane=True))
