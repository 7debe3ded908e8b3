"""Trace contexts in and out of headers, in the formats that were asked for."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, InvalidValue, shown, type_name
from obs.limits import Limits
from obs.model import NO_BAGGAGE, TraceContext
from obs.propagation._baggage import COUNTED_CHARS, W3CBaggage
from obs.propagation._carriers import CarrierHeaders, headers_of
from obs.propagation._common import EMPTY, SPAN_END, TRACE_END, is_token
from obs.propagation._fast import read, written
from obs.propagation._tracecontext import W3CTraceContext, state_chars
from obs.propagation._writing import write
from obs.protocols import Propagator

_FIELDS = {
    "tracecontext": ("traceparent", "tracestate"),
    "baggage": ("baggage",),
    "b3": ("b3",),
    "b3multi": ("x-b3-*",),
    "jaeger": ("uber-trace-id", "uberctx-*"),
}
"""The headers of each format, by its name; with ``*`` all that begin so."""


class Propagation:
    """Carries trace contexts in headers; any thread, no locks.

    Args:
        propagators: Names (``tracecontext baggage b3 b3multi jaeger``) and objects with the
            protocol ``Propagator``. The first that finds a context wins; all are written.
        limits: Bounds of baggage and tracestate.
        diag: Where what was left out is counted.

    Attributes:
        is_default: Whether W3C's two formats are all, as ``written_sampled`` supposes.

    Raises:
        DefinitionError: A propagator is none, or is there twice.
    """

    __slots__ = (
        "_chars",
        "_diag",
        "_fields",
        "_is_w3c",
        "_limits",
        "_propagators",
        "_with_baggage",
        "is_default",
    )

    def __init__(
        self, propagators: Iterable[str | Propagator], limits: Limits, diag: Diag
    ) -> None:
        given = _checked(propagators)
        self._propagators: list[tuple[str, Propagator]] = [
            (f"{each!r}", _built_in(each)(limits, diag))
            if isinstance(each, str)
            else (type_name(each), each)
            for each in given
        ]
        formats = [each for each in given if isinstance(each, str)]
        self._fields = [field for each in formats for field in _FIELDS[each]]
        self._diag = diag
        self._limits = limits
        self._with_baggage = "baggage" in given
        self._is_w3c = given in (["tracecontext"], ["tracecontext", "baggage"])
        self.is_default = self._is_w3c and self._with_baggage
        longest = max(limits.baggage_bytes, state_chars(limits.tracestate_members))
        self._chars = longest + COUNTED_CHARS

    def extract(self, carrier: Any) -> TraceContext:
        """Read a context from headers; an empty one if there is none. Never raises.

        Args:
            carrier: A mapping, a WSGI environ, an object with ``get``, or pairs; None for
                no headers. Names ignore case; values are text or bytes.
        """
        if self._is_w3c and type(carrier) is dict:
            try:
                context = read(carrier, self._limits, with_baggage=self._with_baggage)
            except Exception as raised:  # keys that are no text, or are hostile
                if is_the_hosts(raised):
                    raise
                context = None
            if context is not None:
                return context
        return self._extract(carrier)

    def inject(self, context: TraceContext, carrier: Any = None) -> Any:
        """Write a context into headers. Never raises.

        Args:
            context: What to write; may be empty, or hold baggage alone.
            carrier: A mapping, an object with ``__setitem__``, a list or a tuple of pairs;
                None for a new dictionary. If anything is written, what it had of the
                built-in formats that are written is gone.

        Returns:
            The carrier; for a tuple another one.
        """
        if self._is_w3c and (carrier is None or type(carrier) is dict):
            try:
                headers = written(context, self._with_baggage)
                if headers is not None:
                    return (
                        headers
                        if carrier is None
                        else write(headers, carrier, self._fields)
                    )
            except Exception as raised:  # a context of hostile values, hostile keys
                if is_the_hosts(raised):
                    raise
        return self._inject(context, {} if carrier is None else carrier)

    def _extract(self, carrier: Any) -> TraceContext:
        """Read any carrier in any formats: the general path."""
        if carrier is None:
            return EMPTY
        try:
            headers = headers_of(carrier, self._chars)
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            self._bad_carrier(carrier, "extract", f"raised {type_name(error)}")
            return EMPTY
        if headers is None:
            self._bad_carrier(carrier, "extract", "has no headers")
            return EMPTY
        context = self._first(headers)
        if headers.error is not None:
            problem = f"raised {type_name(headers.error)}"
            self._bad_carrier(carrier, "extract", problem)
        return context

    def _first(self, headers: CarrierHeaders) -> TraceContext:
        """Give the first context with ids, or decision; and the first baggage."""
        best = EMPTY
        baggage: Mapping[str, str] = NO_BAGGAGE
        for name, propagator in self._propagators:
            found = self._ask(name, propagator, headers)
            if not best and (
                found or (best.sampled is None and found.sampled is not None)
            ):
                best = found
            baggage = baggage or found.baggage
        if best.baggage is baggage and (best.remote or best is EMPTY):
            return best
        return best._replace(remote=True, baggage=baggage)

    def _ask(
        self, name: str, propagator: Propagator, headers: CarrierHeaders
    ) -> TraceContext:
        try:
            found = propagator.extract(headers)
            if is_context(found):
                return found
            problem = f"gave {shown(found)}, needs a TraceContext"
        except InvalidValue:
            raise
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            problem = f"raised {type_name(error)}"
        self._bad_propagator(name, "extract", problem)
        return EMPTY

    def _inject(self, context: TraceContext, carrier: Any) -> Any:
        """Write any carrier in any formats: the general path."""
        if not is_context(context):
            text = f"propagation: inject() got {shown(context)}, needs a TraceContext."
            self._diag.invalid("context", f"{text} It was left out.", "traces")
            return carrier
        headers: dict[str, str] = {}
        for name, propagator in self._propagators:
            headers.update(self._written(name, propagator, context))
        try:
            return write(headers, carrier, self._fields)
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            self._bad_carrier(carrier, "inject", f"raised {type_name(error)}")
            return carrier

    def _written(
        self, name: str, propagator: Propagator, context: TraceContext
    ) -> dict[str, str]:
        headers: dict[str, str] = {}
        try:
            propagator.inject(context, headers.__setitem__)
            if all(map(_is_header, headers, headers.values())):
                return headers
            problem = "gave what is no header"
        except InvalidValue:
            raise
        except Exception as error:  # a foreign object
            if is_the_hosts(error):
                raise
            problem = f"raised {type_name(error)}"
        self._bad_propagator(name, "inject", problem)
        return {}

    def _bad_propagator(self, name: str, method: str, problem: str) -> None:
        text = (
            f"propagation: {method}() of propagator {name} {problem}. It was left out."
        )
        self._diag.invalid(f"propagator {name} {method}", text, "traces")

    def _bad_carrier(self, carrier: Any, method: str, problem: str) -> None:
        text = f"propagation: {method}() got a carrier of type {type_name(carrier)}, "
        self._diag.invalid("carrier", f"{text}which {problem}.", "traces")


def is_context(value: object) -> bool:
    """Whether it is a context whose fields are what they should be."""
    return (
        type(value) is TraceContext
        and type(value.trace) is int
        and type(value.span) is int
        and 0 <= value.trace < TRACE_END
        and 0 <= value.span < SPAN_END
        and (value.sampled is None or type(value.sampled) is bool)
        and type(value.tracestate) is str
        and type(value.remote) is type(value.debug) is type(value.random) is bool
        and isinstance(value.baggage, Mapping)
    )


def _is_header(name: object, value: object) -> bool:
    return (
        type(name) is str
        and type(value) is str
        and bool(is_token(name))
        and value.isascii()
        and value.isprintable()
    )


def _checked(propagators: object) -> list[str | Propagator]:
    """Give the list, or raise a DefinitionError."""
    if isinstance(propagators, str):
        text = (
            f"propagators got the text {shown(propagators)}, needs a list. Write "
            f"propagators=({shown(propagators)},)."
        )
        raise DefinitionError(text)
    if not isinstance(propagators, Iterable):
        text = (
            f"propagators got {shown(propagators)}, needs a list of names and objects."
        )
        raise DefinitionError(text)
    checked: list[str | Propagator] = []
    for each in propagators:
        _check(each)
        if any(each is other or _same_name(each, other) for other in checked):
            text = f"propagators: {shown(each)} is there twice. Remove one."
            raise DefinitionError(text)
        checked.append(each)
    return checked


def _built_in(name: str) -> Callable[[Limits, Diag], Propagator]:
    """Give the class; of what few use, the expressions are compiled when it is."""
    if name == "tracecontext":
        return W3CTraceContext
    if name == "baggage":
        return W3CBaggage
    if name == "jaeger":
        from obs.propagation._jaeger import Jaeger  # noqa: PLC0415

        return Jaeger
    from obs.propagation._b3 import B3Multi, B3Single  # noqa: PLC0415

    return B3Single if name == "b3" else B3Multi


def _same_name(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one == other


def _check(each: object) -> None:
    if isinstance(each, str):
        if each not in _FIELDS:
            known = ", ".join(map(repr, _FIELDS))
            text = f"propagators: {shown(each)} is unknown. Known are {known}."
            raise DefinitionError(text)
        return
    methods = (getattr(each, "inject", None), getattr(each, "extract", None))
    if isinstance(each, type) or not all(map(callable, methods)):
        text = (
            f"propagators: got {shown(each)}, needs a name or an object with inject() "
            "and extract()."
        )
        raise DefinitionError(text)
