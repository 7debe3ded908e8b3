"""What stands around records: the request, its resource and its scopes.

The three requests have the same shape: field 1 of the request is who sends, field 2 of
that is a scope, field 2 of the scope a span, a log record or a metric.
"""

from collections.abc import Iterable
from typing import Self

from obs.model import Resource, Scope, Signal
from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._wire import sized, texted


class Body(bytes):
    """An encoded request, which knows where it is to go.

    Attributes:
        signal: ``metrics``, ``logs`` or ``traces``.
    """

    signal: Signal

    def __new__(cls, data: bytes, signal: Signal) -> Self:
        """Make one of a request's bytes."""
        body = super().__new__(cls, data)
        body.signal = signal
        return body


def resource_field(resource: Resource) -> bytes:
    """Give the field of a request's part that says who sends."""
    return b"\x0a" + sized(b"".join(attributes(b"\x0a", resource.attributes)))


def scope_field(scope: Scope) -> bytes:
    """Give the field of a scope's part that names it."""
    name, version = scope
    return b"\x0a" + sized(texted(b"\x0a", name) + texted(b"\x12", version))


def request(resource: bytes, scopes: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give a request.

    Args:
        resource: Its field.
        scopes: For each scope its field and the fields of its records.
    """
    parts = [b"\x12" + sized(scope + records) for scope, records in scopes]
    return b"\x0a" + sized(resource + b"".join(parts))
