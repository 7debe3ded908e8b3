"""Names: which are allowed, and what they become in each backend. Pure functions."""

import re
from collections.abc import Iterable

from obs.errors import DefinitionError, shown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_UNIT = re.compile(r"[!-~]{0,63}")
_RULE = "letters, digits, '_' and '.', not starting with a digit or '.'"

OVERFLOW_LABEL = "otel.metric.overflow"
"""OpenTelemetry metrics SDK, "Overflow attribute"."""

MAX_NAME_CHARS = 255
"""OpenTelemetry metrics API, "Instrument name syntax"."""


def check_metric_name(name: object) -> str:
    """Give the name back if it is one.

    Raises:
        DefinitionError: It is not text of 1 to 255 of the allowed characters.
    """
    return _check("metric", name)


def check_label_names(what: str, labels: Iterable[str], kind: str) -> tuple[str, ...]:
    """Give the label names of a metric as a tuple.

    Args:
        what: Whose they are, for the text of an error, such as ``metric 'x'``.
        labels: The names.
        kind: The metric's kind.

    Raises:
        DefinitionError: One is not a name, is there twice, or is reserved: names that
            begin with ``__`` belong to Prometheus, ``le`` to the buckets of histograms,
            ``otel.metric.overflow`` to what comes past a limit.
    """
    names: list[str] = []
    for name in list_of_names(what, "labels", labels):
        _check(f"{what}: label", name)
        if name in names:
            text = f"{what}: label {name!r} is there twice. Remove one."
            raise DefinitionError(text)
        is_le = kind == "histogram" and name == "le"
        if name.startswith("__") or is_le or name == OVERFLOW_LABEL:
            text = f"{what}: label {name!r} is reserved. Take another name."
            raise DefinitionError(text)
        names.append(name)
    return tuple(names)


def list_of_names(what: str, argument: str, names: Iterable[str]) -> list[str]:
    """Give the names that an argument got as a list.

    Raises:
        DefinitionError: It is one text, or nothing that can be iterated.
    """
    if isinstance(names, str):
        text = (
            f"{what}: {argument} got the text {shown(names)}, needs a list of names. "
            f"Write {argument}=({shown(names)},)."
        )
        raise DefinitionError(text)
    try:
        return list(names)
    except TypeError:
        text = f"{what}: {argument} got {shown(names)}, needs a list of names."
        raise DefinitionError(text) from None


def check_unit(metric: str, unit: object) -> str:
    """Give the unit back if it is one.

    Raises:
        DefinitionError: It is not at most 63 printable ASCII characters without blanks.
    """
    if isinstance(unit, str) and _UNIT.fullmatch(unit):
        return unit
    text = (
        f"metric {metric!r}: unit got {shown(unit)}, needs a UCUM unit of at most 63 "
        f"ASCII characters without blanks, such as 's', 'By' or '{{order}}'."
    )
    raise DefinitionError(text)


def _check(what: str, name: object) -> str:
    if not isinstance(name, str):
        text = f"{what} {shown(name)}: needs a name of type str."
        raise DefinitionError(text)
    if not name or len(name) > MAX_NAME_CHARS:
        text = (
            f"{what} {shown(name)}: has {len(name)} characters, "
            f"needs 1 to {MAX_NAME_CHARS}."
        )
        raise DefinitionError(text)
    match = _NAME.match(name)
    end = match.end() if match else 0
    if end < len(name):
        hint = re.sub(r"[^A-Za-z0-9_.]", "_", name)
        hint = hint if _NAME.fullmatch(hint) else f"_{hint}"
        text = (
            f"{what} {shown(name)}: {name[end]!r} at position {end} is not allowed "
            f"({_RULE}). Try {shown(hint)}."
        )
        raise DefinitionError(text)
    return name


_PROMETHEUS_UNITS = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
}


def prometheus_unit(kind: str, unit: str) -> str:
    """Give the word that Prometheus puts behind a name for a UCUM unit, or nothing.

    Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility", "Metric metadata";
    annotations in braces are left out, ``1`` is ``ratio`` for gauges only.
    """
    if unit == "1":
        return "ratio" if kind == "gauge" else ""
    unit = re.sub(r"\{[^}]*\}", "", unit)
    amount, slash, per = unit.partition("/")
    word = _PROMETHEUS_UNITS.get(amount, prometheus_label(amount))
    if slash and per:
        each = _PROMETHEUS_UNITS.get(per, prometheus_label(per)).removesuffix("s")
        word = f"{word}_per_{each}".lstrip("_")
    return word.strip("_")


def prometheus_name(name: str, kind: str, unit: str) -> str:
    """Give the name of a family in Prometheus, without ``_total`` or ``_info``.

    Example:
        >>> from obs.naming import prometheus_name
        >>> prometheus_name("operation.duration", "histogram", "s")
        'operation_duration_seconds'
        >>> prometheus_name("orders.placed_total", "counter", "{order}")
        'orders_placed'
    """
    base = prometheus_label(name)
    if kind == "counter":
        base = base.removesuffix("_total") or base
    elif kind == "info":
        base = base.removesuffix("_info") or base
    word = prometheus_unit(kind, unit)
    if word and not f"_{base}".endswith(f"_{word}"):
        base = f"{base}_{word}"
    return base


def prometheus_label(name: str) -> str:
    """Give a name with ``_`` for each run of characters that Prometheus does not take.

    Example:
        >>> from obs.naming import prometheus_label
        >>> prometheus_label("http.request.method")
        'http_request_method'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)
