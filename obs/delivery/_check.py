"""What a push exporter says of itself is checked when it is attached.

A tick serves all lanes, so one exporter whose attributes are wrong would stop the others.
"""

from collections.abc import Iterator
from math import isfinite
from typing import get_args

from obs.errors import DefinitionError, shown, type_name
from obs.model import Delivery, Signal

_SIGNALS = get_args(Signal)


def check_push_exporter(exporter: object) -> None:
    """Check the name, the signals and the delivery of a push exporter.

    Raises:
        DefinitionError: One of them breaks its rule.
    """
    for what, got, needs in _broken_rules(exporter):
        name = getattr(exporter, "name", None)
        who = shown(name if what != "name" else type_name(exporter))
        text = f"exporter {who}: {what} got {shown(got)}, needs {needs}."
        raise DefinitionError(text)


def _broken_rules(exporter: object) -> Iterator[tuple[str, object, str]]:
    """Give what breaks its rule, what it is, and what it needs to be."""
    name = getattr(exporter, "name", None)
    if not isinstance(name, str) or not name:
        yield "name", name, "a text that is not empty"
    signals = getattr(exporter, "signals", None)
    if isinstance(signals, str) and signals in _SIGNALS:
        yield "signals", signals, f"a set or a tuple: write ({signals!r},)"
    if not _are_signals(signals):
        needs = f"a set or a tuple of {', '.join(_SIGNALS)}, each at most once"
        yield "signals", signals, needs
    delivery = getattr(exporter, "delivery", None)
    if not isinstance(delivery, Delivery):
        yield "delivery", delivery, "an obs.model.Delivery: write Delivery()"
    else:
        yield from _broken_rules_of(delivery)


def _broken_rules_of(delivery: Delivery) -> Iterator[tuple[str, object, str]]:
    for what in ("interval", "timeout"):
        seconds = getattr(delivery, what)
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not isfinite(seconds) or seconds <= 0:
            yield f"delivery.{what}", seconds, "seconds above 0"
    limit = delivery.max_bytes
    if type(limit) is not int or limit <= 0:
        yield "delivery.max_bytes", limit, "an integer above 0"
    if delivery.temporality not in ("cumulative", "delta"):
        needs = "'cumulative' or 'delta'"
        yield "delivery.temporality", delivery.temporality, needs


def _are_signals(found: object) -> bool:
    if not isinstance(found, frozenset | set | tuple | list) or not found:
        return False
    are_known = all(isinstance(it, str) and it in _SIGNALS for it in found)
    return are_known and len(set(found)) == len(found)
