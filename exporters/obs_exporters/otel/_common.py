"""What spans, logs and metrics have in common as objects of the SDK."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from obs.errors import shown
from obs.model import Resource as OurResource
from obs.model import Scope
from obs_exporters._push import attempt


class Converted(NamedTuple):
    """A batch as objects of the SDK.

    Attributes:
        data: What ``export`` takes.
        records: How many records (for metrics: points) are in it.
        left_out: How many could not be converted.
    """

    data: Any
    records: int
    left_out: int


def converted(records: Sequence[Any], write: Callable[[Any], Any]) -> Converted:
    """Give those records that can be converted."""
    found = [attempt(write, record) for record in records]
    kept = [it for it in found if it is not None]
    return Converted(kept, len(kept), len(found) - len(kept))


def resource_of(resource: OurResource) -> Resource:
    """Give a resource that has our attributes, and none of the SDK's own."""
    return Resource(dict(resource.attributes))


def scope_of(scope: Scope) -> InstrumentationScope:
    """Give a scope."""
    return InstrumentationScope(scope.name, scope.version)


def attributes_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give attributes that the SDK's exporters can encode."""
    return {text_of(name): value_of(value) for name, value in given.items()}


def value_of(value: Any) -> Any:
    """Give a value as the SDK holds it: lists as tuples, what is odd as text."""
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else shown(value)
    if isinstance(value, Mapping):
        return attributes_of(value)
    if isinstance(value, list | tuple):
        return tuple([value_of(item) for item in value])
    return text_of(value)


def text_of(value: Any) -> str:
    """Give text that can be encoded: what is none is shown, a lone surrogate is ``?``."""
    text = str.__str__(value) if isinstance(value, str) else shown(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def check_time(ns: int) -> int:
    """Give a time that fits the 64 bits of OTLP; raises ``ValueError`` for another."""
    if not 0 <= ns < 1 << 64:
        raise ValueError
    return ns
