"""The metrics as JSON, in the shape of Go's expvar.

Source: Go's package expvar, ``Handler``: one object, a line for each variable, sorted by
name. Its ``cmdline`` is not there, as arguments may hold secrets, nor is its ``memstats``,
which is of Go's own memory.
"""

from math import isfinite, isnan
from typing import Any

from obs._foreign import is_the_hosts
from obs.model import MetricFamily, Snapshot
from obs.protocols import Source
from obs_exporters.prometheus._format import encoded
from obs_exporters.prometheus._left_out import LeftOut, name_of


def vars_page(source: Source, left_out: LeftOut) -> bytes:
    """Give all metrics as one JSON object, each as ``Snapshot.as_dict`` has it.

    What is not finite, which JSON has no number for, is the text ``NaN``, ``Infinity`` or
    ``-Infinity``. A family that cannot be shown is left out, counted and said.
    """
    lines: dict[bytes, bytes] = {}
    for family in source.snapshot().families:
        try:
            name = encoded(_json(str(family.name)))
            line = name + b": " + encoded(_json(_plain(family)))
            if lines.setdefault(name, line) is not line:
                text = "another metric has its name. It is not at /debug/vars."
                left_out.count(1, f"metric {name_of(family)}: {text}")
        except BaseException as error:
            if is_the_hosts(error):
                raise
            left_out.raised(f"metric {name_of(family)}", error)
    left_out.say()
    return b"{\n" + b",\n".join([lines[name] for name in sorted(lines)]) + b"\n}\n"


def _plain(family: MetricFamily) -> Any:
    (found,) = Snapshot([family], 0, 0).as_dict().values()
    return found


def _json(value: Any) -> str:
    # It costs 2 ms to import, and most are never asked for this page.
    from json import dumps  # noqa: PLC0415

    try:
        return dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """Give the same with texts for numbers that JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else f"{'-' * (value < 0)}Infinity"
    return value
