"""Writing headers to whatever carries them."""

from collections.abc import (
    Callable,
    Container,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, TypeAlias

from obs.errors import type_name
from obs.propagation._carriers import lower_name, pair_of

IsOld: TypeAlias = Callable[[str], bool]
"""Whether a name in lower case is that of a header to be replaced."""


def write(headers: Mapping[str, str], carrier: Any, fields: Sequence[str] = ()) -> Any:
    """Write headers, replacing what has the same names in whatever case.

    Args:
        headers: Names in lower case, and values.
        carrier: Where to.
        fields: What else goes if anything is written: names, or beginnings with ``*``. A
            tracestate or a flag of another trace is none of this one.

    Returns:
        The carrier; for a tuple another one.

    Raises:
        TypeError: It is no carrier.
        Exception: What the carrier raises.
    """
    if type(carrier) is dict and not carrier:
        carrier.update(headers)
        return carrier
    names = {*headers, *fields} if headers else set()
    beginnings = tuple([name[:-1] for name in names if name.endswith("*")])

    def is_old(name: str) -> bool:
        return name in names or name.startswith(beginnings)

    if type(carrier) is dict:
        _forget(carrier, headers, is_old)
        carrier.update(headers)
    elif isinstance(carrier, list):
        carrier[:] = _merged(headers, carrier, is_old)
    elif isinstance(carrier, tuple):
        return tuple(_merged(headers, carrier, is_old))
    elif hasattr(type(carrier), "__setitem__"):
        _set_items(headers, carrier, is_old)
    else:
        text = f"{type_name(carrier)} has no __setitem__"
        raise TypeError(text)
    return carrier


def _merged(headers: Mapping[str, str], pairs: Any, is_old: IsOld) -> list[Any]:
    kept = [item for item in pairs if not is_old(_name_of(item))]
    first = next((pair for item in pairs if (pair := pair_of(item))), None)
    if first is not None and isinstance(first[0], bytes):
        new: Any = [(n.encode(), v.encode("latin-1")) for n, v in headers.items()]
    else:
        new = headers.items()
    return [*kept, *new]


def _name_of(item: Any) -> str:
    pair = pair_of(item)
    return lower_name(pair[0]) if pair else ""


def _set_items(headers: Mapping[str, str], carrier: Any, is_old: IsOld) -> None:
    if isinstance(carrier, MutableMapping):
        _forget(carrier, headers, is_old)
    elif hasattr(type(carrier), "__delitem__"):
        # Setting an item of email.message.Message adds a line.
        if hasattr(carrier, "keys"):
            _forget(carrier, (), is_old)
        else:
            _forget_names(carrier, headers)
    for name, value in headers.items():
        carrier[name] = value


def _forget(carrier: Any, but: Container[str], is_old: IsOld) -> None:
    _forget_names(
        carrier,
        [
            key
            for key in carrier.keys()  # noqa: SIM118 - old classes of headers iterate otherwise
            if isinstance(key, str) and key not in but and is_old(key.lower())
        ],
    )


def _forget_names(carrier: Any, names: Iterable[str]) -> None:
    for name in names:
        if name in carrier:  # several lines of a header go with the first
            del carrier[name]
