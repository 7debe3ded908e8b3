"""Writing headers to whatever carries them."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from obs.errors import type_name
from obs.propagation._carriers import lower_name, pair_of


def write(headers: Mapping[str, str], carrier: Any) -> Any:
    """Write headers, replacing what has the same names in whatever case.

    Returns:
        The carrier; for a tuple another one.

    Raises:
        TypeError: It is no carrier.
        Exception: What the carrier raises.
    """
    if type(carrier) is dict:
        _forget_other_case(headers, carrier)
        carrier.update(headers)
    elif isinstance(carrier, list):
        carrier[:] = _merged(headers, carrier)
    elif isinstance(carrier, tuple):
        return tuple(_merged(headers, carrier))
    elif hasattr(type(carrier), "__setitem__"):
        _set_items(headers, carrier)
    else:
        text = f"{type_name(carrier)} has no __setitem__"
        raise TypeError(text)
    return carrier


def _merged(headers: Mapping[str, str], pairs: Any) -> list[Any]:
    kept = [item for item in pairs if _name_of(item) not in headers]
    first = next((pair for item in pairs if (pair := pair_of(item))), None)
    if first is not None and isinstance(first[0], bytes):
        new: Any = [(n.encode(), v.encode("latin-1")) for n, v in headers.items()]
    else:
        new = headers.items()
    return [*kept, *new]


def _name_of(item: Any) -> str:
    pair = pair_of(item)
    return lower_name(pair[0]) if pair else ""


def _set_items(headers: Mapping[str, str], carrier: Any) -> None:
    if isinstance(carrier, MutableMapping):
        _forget_other_case(headers, carrier)
    elif hasattr(type(carrier), "__delitem__"):
        # Setting an item of email.message.Message adds a line.
        for name in headers:
            if name in carrier:
                del carrier[name]
    for name, value in headers.items():
        carrier[name] = value


def _forget_other_case(headers: Mapping[str, str], carrier: Any) -> None:
    for key in list(carrier):
        if isinstance(key, str) and key not in headers and key.lower() in headers:
            del carrier[key]
