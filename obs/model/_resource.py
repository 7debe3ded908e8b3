"""Who sends: the attributes that every signal of one process has in common."""

from collections.abc import Mapping
from types import MappingProxyType


class Resource:
    """The attributes of one process, by their OpenTelemetry names; immutable.

    Attributes:
        attributes: ``service.name`` and the rest, text to text.

    Source: OpenTelemetry semantic conventions 1.44, "Resource".
    """

    __slots__ = ("attributes",)

    attributes: Mapping[str, str]

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.attributes = MappingProxyType(dict(attributes))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return dict(self.attributes) == dict(other.attributes)

    def __hash__(self) -> int:
        return hash(frozenset(self.attributes.items()))

    def __repr__(self) -> str:
        return f"Resource({dict(self.attributes)!r})"
