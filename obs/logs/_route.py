"""Where logs go, as a user says it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeAlias

from obs.encoding import LOG_NAMES, Redaction
from obs.errors import DefinitionError, shown
from obs.logs._levels import OFF, level_number
from obs.logs._sample import Sample
from obs.model import LogRecord
from obs.protocols import PushExporter
from obs.redact import check_redact

FORMATS = ("auto", "json", "logfmt", "terminal")
WITHOUT_NAMES = frozenset({"terminal"})
"""Formats that have no names to change."""

Sink: TypeAlias = str | os.PathLike[str] | int | IO[str] | IO[bytes] | PushExporter
Format: TypeAlias = str | Callable[[LogRecord], str | bytes]
Keep: TypeAlias = Callable[[LogRecord], object]


class Route:
    """One way that logs go.

    A record that goes has passed, in this order: ``level``, ``keep``, ``sample``. With an
    exporter as sink there are ``level``, ``keep`` and ``redact`` alone; they are applied on
    the thread of its lane.

    Args:
        sink: ``stderr``, ``stdout``, the path of a file, a descriptor, a file object, or
            an exporter that pushes logs.
        level: The lowest level that goes this way.
        format: ``json``, ``logfmt``, ``terminal``, or ``auto``: the terminal's form where
            the sink is one, else JSON. Or a function that makes the line of a record, as
            text or bytes; where it raises, JSON goes.
        keep: Asked whether a record goes this way; where it raises, it goes.
        sample: How many go of those that repeat.
        failover: Routes for the lines that the sink could not take; the first that takes
            one gets it. The sink itself is tried again for each record.
        rename: Other names of fields, ours (``time level event logger service trace_id
            span_id``) or the user's, for JSON and logfmt.
        redact: Masks what the instance's ``redact`` has left. It cannot bring back what
            that has masked.
        hold: The lowest level of records that are held, though neither their logger's
            level nor this route's would let them go, until their request ends: they are
            written when it fails, else forgotten.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    def __init__(
        self,
        sink: Sink = "stderr",
        *,
        level: str = "trace",
        format: Format = "auto",
        keep: Keep | None = None,
        sample: Sample | None = None,
        failover: "Route | Sequence[Route] | None" = None,
        rename: Mapping[str, str] | None = None,
        redact: Redaction | None = None,
        hold: str | None = None,
    ) -> None:
        self.exporter = _exporter(sink)
        self.sink = sink
        self.level = level_number("Route: level", level)
        self.format = _format(format)
        self.keep = _keep(keep)
        self.sample = _sample(sample)
        self.failover = _failover(failover)
        self.rename = _rename(rename, format)
        check_redact(redact, "Route: ")
        self.redact = redact
        self.hold = OFF if hold is None else level_number("Route: hold", hold)
        if self.exporter is not None:
            lines: dict[str, object] = {
                "format": format != "auto",
                "sample": sample,
                "failover": failover,
                "rename": rename,
                "hold": hold,
            }
            _refuse("an exporter as sink", [name for name, it in lines.items() if it])


def _exporter(sink: Any) -> PushExporter | None:
    """Give the exporter that a sink is; None where it is another good one."""
    if isinstance(sink, str | os.PathLike):
        path = os.fspath(sink)
        is_good = isinstance(path, str) and bool(path) and "\0" not in path
    elif type(sink) is int:
        is_good = 0 <= sink < 2**31
    elif _pushes_logs(sink):
        found: PushExporter = sink
        return found
    else:
        is_good = not isinstance(sink, type) and callable(getattr(sink, "write", None))
    if not is_good:
        text = (
            f"Route: sink got {shown(sink)}, needs 'stderr', 'stdout', a path, a "
            "descriptor, a file object or an exporter that pushes logs."
        )
        raise DefinitionError(text)
    return None


def _pushes_logs(sink: Any) -> bool:
    is_exporter = callable(getattr(sink, "encode", None)) and callable(
        getattr(sink, "send", None)
    )
    signals = getattr(sink, "signals", ())
    return (
        is_exporter
        and not isinstance(sink, type)
        and isinstance(signals, frozenset)
        and "logs" in signals
    )


def _format(format: Any) -> Format:
    if not callable(format) and not (isinstance(format, str) and format in FORMATS):
        needs = f"needs one of {', '.join(FORMATS)}, or a function"
        text = f"Route: format got {shown(format)}, {needs}."
        raise DefinitionError(text)
    found: Any = format
    return found  # type: ignore[no-any-return]


def _keep(keep: Any) -> Keep | None:
    if keep is not None and not callable(keep):
        text = f"Route: keep got {shown(keep)}, needs a function of a record."
        raise DefinitionError(text)
    found: Keep | None = keep
    return found


def _sample(sample: Any) -> Sample | None:
    if sample is not None and not isinstance(sample, Sample):
        text = f"Route: sample got {shown(sample)}, needs a Sample."
        raise DefinitionError(text)
    return sample


def _failover(failover: Any) -> list[Route]:
    if failover is None:
        return []
    if isinstance(failover, Route):
        found: list[Any] = [failover]
    else:
        found = list(failover) if isinstance(failover, list | tuple) else [failover]
    for route in found:
        if not isinstance(route, Route):
            text = f"Route: failover got {shown(route)}, needs Route objects."
            raise DefinitionError(text)
        if route.exporter is not None or route.hold < OFF:
            what = "an exporter" if route.exporter is not None else "a route that holds"
            text = f"Route: failover got {what}, needs one that writes at once."
            raise DefinitionError(text)
    return found


def _rename(rename: Any, format: Format) -> dict[str, str]:
    if rename is None:
        return {}
    if callable(format) or format in WITHOUT_NAMES:
        _refuse(f"format={'a function' if callable(format) else format}", ["rename"])
    is_mapping = isinstance(rename, Mapping)
    names: dict[Any, Any] = dict(rename) if is_mapping else {"": ""}
    for name in (*names, *names.values()):
        if not isinstance(name, str) or not name or not name.isprintable():
            text = (
                f"Route: rename got {shown(rename)}, needs a mapping of names to names."
            )
            raise DefinitionError(text)
    taken: dict[str, str] = {}
    for name in sorted(LOG_NAMES):
        other = taken.setdefault(names.get(name, name), name)
        if other != name:
            shared = shown(names.get(name, name))
            text = f"Route: rename gives {other!r} and {name!r} one name, {shared}."
            raise DefinitionError(text)
    return names


def _refuse(what: str, names: list[str]) -> None:
    if names:
        text = f"Route: {what} does not go together with {', '.join(names)}."
        raise DefinitionError(text)


def checked_format(log_format: str) -> str:
    """Give the format back that ``auto`` is to mean.

    Raises:
        DefinitionError: It is none.
    """
    if log_format not in FORMATS:
        words = ", ".join(FORMATS)
        text = f"Logs: log_format got {shown(log_format)}, needs one of {words}."
        raise DefinitionError(text)
    return log_format


def checked_routes(routes: Iterable[Route]) -> list[Route]:
    """Give the routes as a list.

    Raises:
        DefinitionError: One is none.
    """
    found: list[Route] = list(routes) if isinstance(routes, Iterable) else [routes]
    for route in found:
        if not isinstance(route, Route):
            text = f"Logs: routes got {shown(route)}, needs Route objects."
            raise DefinitionError(text)
    return found
