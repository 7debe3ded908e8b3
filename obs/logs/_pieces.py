"""The pieces that a line of the fast way is put together from."""

from collections.abc import Mapping
from enum import Enum
from gc import is_tracked
from typing import Any, TypeAlias

from obs._context import Node
from obs._foreign import is_the_hosts
from obs.encoding import Plain, Redaction, json_line
from obs.limits import Limits
from obs.logs._record import Lazy
from obs.logs._vet import RESERVED, Known, Vet

MOST_OWN = 64
"""How many fields of its own a call may have for the fast way."""
_MOST_FIXED = 32
"""How many a piece has that is kept: with those of the call they stay below the limit."""
_EVENTS = 16_384
"""How many events of one level are kept encoded, of all loggers together."""
_LEAST_EVENTS = 32
"""Of each logger."""
_EVENT_CHARS = 256
_SETS = 1_024

_FIXED = frozenset({str, int, float, bool, type(None), bytes})
"""Types whose values do not change, so that what was encoded of them stays true."""
_FIXED_TOO = frozenset(
    {
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
    }
)
"""The same, by module and name: to import these modules would cost 2 ms."""
Around: TypeAlias = tuple[bytes, bytes]


class Pieces:
    """Makes pieces of lines. Threads: any, without a lock.

    Args:
        vet: Knows what is harmless.
        redact: Masks secrets in what is not.
        limits: How much a record may hold.
        service: Who logs.
    """

    def __init__(
        self, vet: Vet, redact: Redaction | None, limits: Limits, service: str
    ) -> None:
        self._vet = vet
        self._redact = redact
        self._limits = limits
        self._service = service
        self._known: dict[tuple[str, ...], Known] = {}

    def prepare(self, bound: dict[str, Any]) -> tuple[Known, bytes | None]:
        """Encode what is bound to a logger, and say which names are known beside it.

        The bytes are None where a record with it takes the general way.
        """
        names = (*bound,)
        known = self._known.get(names)
        if known is None:
            known = Known(names)
            if len(self._known) < _SETS:
                known = self._known.setdefault(names, known)
        return known, self.of(bound)

    def of(self, fields: dict[str, Any]) -> bytes | None:
        """Encode fields that are kept; None where a line needs the general way."""
        if not fields:
            return b""
        if len(fields) > _MOST_FIXED or not all(map(_is_fixed, fields.values())):
            return None
        line = self._line_of(fields)
        try:
            if line is None and (plain := self._plain(fields)) is not None:
                line = json_line(plain)
        except BaseException as raised:  # by a redactor
            if is_the_hosts(raised):
                raise
        return None if line is None else b"," + line[1:-2]

    def formatted(self, event: Any, args: tuple[Any, ...]) -> str:
        """Give an event with its values in it, by ``%``, as ``logging`` has it.

        Those of a mapping are masked where their names say that they are secret.
        """
        if len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
            return str(event % self._masked(args[0]))
        return str(event % args)

    def _masked(self, given: Mapping[Any, Any]) -> Mapping[Any, Any]:
        redact = self._redact
        if redact is None:
            return given
        secret = [it for it in given if type(it) is str and redact.is_secret(it)]
        return {**given, **dict.fromkeys(secret, redact.mask)} if secret else given

    def around(self, name: str, level: str) -> Around | None:
        """Encode what stands around the event; None where a name needs the general way."""
        try:
            if not self._vet.all((name, self._service)):
                return None
        except BaseException as raised:  # by a redactor
            if is_the_hosts(raised):
                raise
            return None
        fixed = [("logger", name), ("service", self._service)]
        behind = {key: value for key, value in fixed if value}
        tail = b"," + json_line(behind)[1:-2] if behind else b""
        return b',"level":"%b","event":' % level.encode(), tail

    def head(
        self, event: Any, around: Around, events: dict[str, bytes], loggers: int
    ) -> bytes | None:
        """Encode level, event, logger and service, and keep that.

        None where the event needs the general way.

        Args:
            event: The event.
            around: What ``around`` gave.
            events: Where it is kept.
            loggers: How many loggers keep such.
        """
        if event.__class__ is not str or not self._vet.all((event,)):
            return None
        head = around[0] + json_line(event)[:-1] + around[1]
        if len(event) <= _EVENT_CHARS:
            if len(events) >= max(_EVENTS // (loggers or 1), _LEAST_EVENTS):
                events.clear()
            events[event] = head
        return head

    def tidy(
        self, fields: dict[str, Any], known: Known
    ) -> tuple[dict[str, Any], bytes] | None:
        """Give a call's own fields made plain, and encoded; None for the general way."""
        if len(fields) > MOST_OWN or not known.taken.isdisjoint(fields):
            return None
        plain = self._plain(fields)
        return None if plain is None else (plain, json_line(plain))

    def _plain(self, fields: dict[str, Any]) -> dict[str, Any] | None:
        """Give fields made plain, where that changes no name and cuts nothing."""
        if not RESERVED.isdisjoint(fields):
            return None
        if any(type(value) is Lazy for value in fields.values()):
            return None
        plain = Plain(self._limits.record_bytes, self._redact)
        found = plain.mapping(fields, self._limits.attributes)
        return None if plain.cut or found.keys() != fields.keys() else found

    def _line_of(self, fields: dict[str, Any]) -> bytes | None:
        """Encode fields if they are harmless as they are."""
        if is_tracked(fields):
            return None
        try:
            if self._vet.names(fields, Known(())) and self._vet.all(fields.values()):
                return json_line(fields)
        except BaseException as raised:
            # A value without a hash; one that is equal to a known one, and not plain.
            if is_the_hosts(raised):
                raise
        return None


def ids_of(node: Node) -> bytes:
    """Encode the ids of a position in a trace, and keep them there."""
    ids = ""
    if node.trace.id:
        # Four times as fast as a format.
        trace = node.trace.id.to_bytes(16, "big").hex()
        span = node.span_id.to_bytes(8, "big").hex()
        ids = f',"trace_id":"{trace}","span_id":"{span}"'
    node.log_ids = ids.encode()
    return node.log_ids


def _is_fixed(value: Any) -> bool:
    kind = type(value)
    if kind in _FIXED or issubclass(kind, Enum):
        return True
    name = type.__getattribute__(kind, "__module__"), kind.__name__
    return all(type(part) is str for part in name) and name in _FIXED_TOO
