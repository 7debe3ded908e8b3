"""What the constructors were given: each argument has its type, or the text says so.

The rules behind the types (empty secrets, ports, names of hosts) are the server's.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from obs.errors import DefinitionError, shown
from obs_exporters._push import wrong_argument

if TYPE_CHECKING:
    import ssl

Paths: TypeAlias = tuple[str | os.PathLike[str], str | os.PathLike[str]]
_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
Tls: TypeAlias = "ssl.SSLContext | Paths | None"


def check_arguments(
    name: object,
    port: object,
    host: object,
    token: object,
    basic_auth: object,
    tls: object,
    allowed_hosts: object,
    merge: object,
) -> None:
    """Check the types of all arguments of ``PrometheusExporter``.

    Raises:
        DefinitionError: One has another type; secrets are not in the text.
    """
    hosts_rule = "a sequence of host names"
    port_rule = "an integer from 0 to 65535, or None to be mounted only"
    auth_rule = "a pair of texts: (user, password)"
    tls_rule = "an ssl.SSLContext, or a pair of paths: (certfile, keyfile)"
    merge_rule = "a CollectorRegistry of prometheus_client, or another with collect()"
    has_collect = callable(getattr(merge, "collect", None))
    rules = (
        ("name", bool(name) and isinstance(name, str), shown(name), "a text"),
        ("port", port is None or type(port) is int, shown(port), port_rule),
        ("host", isinstance(host, str), shown(host), "an address like '127.0.0.1'"),
        ("token", token is None or isinstance(token, str), _type(token), "a text"),
        ("basic_auth", _is_pair(basic_auth, str), _type(basic_auth), auth_rule),
        ("tls", _is_tls(tls), shown(tls), tls_rule),
        ("allowed_hosts", _are_texts(allowed_hosts), shown(allowed_hosts), hosts_rule),
        ("merge", merge is None or has_collect, shown(merge), merge_rule),
    )
    for what, is_right, got, rule in rules:
        if not is_right:
            text = f"exporter {name!r}: {what} got {got}, needs {rule}."
            raise DefinitionError(text)
    for what, value in (("tls", tls), ("allowed_hosts", allowed_hosts)):
        if port is None and value:
            text = (
                f"exporter {name!r}: {what} is for a server of its own, but port=None "
                "opens none. Leave it out, or give a port."
            )
            raise DefinitionError(text)


def check_labels(
    exporter: str, what: str, given: object, taken: Iterable[str] = ()
) -> dict[str, str]:
    """Give labels that a user has named, as Prometheus has them.

    Raises:
        DefinitionError: They are none, or one is of ``taken``.
    """
    needs = "a mapping of label names, without dots, to texts"
    if not isinstance(given, Mapping):
        raise wrong_argument(exporter, what, given, needs)
    for label, value in given.items():
        is_label = isinstance(label, str) and _LABEL.fullmatch(label)
        if not is_label or not is_text(value):
            raise wrong_argument(exporter, what, given, needs)
        if label in taken:
            text = f"exporter {exporter!r}: {what} has {label!r}. Give it as {label}=."
            raise DefinitionError(text)
    return dict(given)


def is_text(value: object) -> bool:
    """Say whether this is a text that UTF-8 can hold."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _is_tls(value: object) -> bool:
    # To ask for its type would import ssl, which costs 10 ms, for nearly nobody.
    is_context = callable(getattr(value, "wrap_socket", None))
    return is_context or _is_pair(value, str, os.PathLike)


def _is_pair(value: object, *kinds: type) -> bool:
    """Say whether this is a pair of such things, or None."""
    return value is None or (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(part, kinds) for part in value)
    )


def _are_texts(value: object) -> bool:
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes)
        and all(isinstance(part, str) for part in value)
    )


def _type(value: object) -> str:
    """Give the type alone: the value may be a secret."""
    return f"a value of type {type(value).__name__}"
