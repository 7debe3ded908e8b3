"""One decorated call: its metrics, its span, and a log record of a failure."""

import sys
from collections.abc import Callable, Iterable, Sequence
from threading import get_ident
from typing import Any, TypeAlias, get_args

from obs._calls import wrap
from obs._context import (
    COLLECTING,
    CURRENT,
    DEPTH,
    ELSEWHERE,
    current,
    leave,
    make_ready,
    put_back,
)
from obs._exceptions import marks_of
from obs._foreign import is_the_hosts
from obs._outcome import (
    FAILURES,
    Classify,
    Rules,
    check_rule,
    error_type_of,
    outcome_of,
)
from obs.catalog import CATALOG
from obs.errors import DefinitionError, shown, type_name
from obs.logs import Logs
from obs.metrics import Registry, label_text
from obs.model import Outcome, SpanKind
from obs.naming import check_label_names, list_of_names
from obs.protocols import P, R
from obs.trace import Span, Tracer, Unsampled, UnsampledRoot

Place: TypeAlias = tuple[int, str, Any]
"""Of an argument: its position, its name, and what it is when it is not given."""

_DURATION = CATALOG["operation.duration"]
_IN_FLIGHT = CATALOG["operation.in_flight"]
_KINDS = get_args(SpanKind)
_current, _set_current = CURRENT.get, CURRENT.set
_reset: Callable[[Any], None] = CURRENT.reset
_MARK = "__obs_logged__"
"""Notes on an exception in which trace it was logged."""


Parts: TypeAlias = tuple[Registry, Logs, Tracer]
"""Where a decorated call records."""


class OperationDecorator:
    """What ``tel.operation(...)`` gives: it decorates one function.

    Args:
        parts: The instance's registry, logs and tracer.
        name: The operation's name; the function's ``__qualname__`` without ``<locals>``
            when None.
        kind: The span's kind.
        labels: Names of parameters whose values become labels, and span attributes.
        record: Names of parameters whose values become span attributes.
        classify: What is asked for an exception's outcome, in order.
        is_endpoint: Whether a server span around it is made its own.
    """

    def __init__(
        self,
        parts: Parts,
        name: str | None,
        kind: SpanKind,
        labels: Iterable[str],
        record: Iterable[str],
        classify: Sequence[Classify | None],
        *,
        is_endpoint: bool,
    ) -> None:
        self._what = what = "endpoint" if is_endpoint else "operation"
        if name is not None and not isinstance(name, str):
            text = (
                f"{what}: the name got {shown(name)}, needs text. Write the decorator "
                f"with parentheses: @tel.{what}()."
            )
            raise DefinitionError(text)
        if kind not in _KINDS:
            text = (
                f"operation: kind got {shown(kind)}, needs one of {', '.join(_KINDS)}."
            )
            raise DefinitionError(text)
        for rule in classify:
            check_rule(rule)
        self._parts = parts
        self._name = name
        self._kind: SpanKind = kind
        self._labels = labels
        self._record = record
        self._classify = classify
        self._is_endpoint = is_endpoint

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function or method of any of the four kinds.

        Raises:
            DefinitionError: It is none, or a label is no parameter of it.
        """
        target: Any = function
        if isinstance(target, classmethod | staticmethod):
            target = target.__func__
        name = self._name or str(getattr(target, "__qualname__", ""))
        name = name.replace("<locals>.", "")
        if not name:
            text = (
                f"{self._what}: {shown(function)} has no name. "
                f"Give one: {self._what}('x')."
            )
            raise DefinitionError(text)
        what = f"{self._what} {name!r}"
        labels = _check_labels(what, self._labels)
        record = list_of_names(what, "record", self._record)
        label_places = [_place(what, "label", label, target) for label in labels]
        others = [
            _place(what, "record", parameter, target)
            for parameter in record
            if parameter not in labels
        ]
        diag = self._parts[0].diag
        operation = Operation(
            self._parts,
            name,
            self._kind,
            labels,
            label_places,
            label_places + others,
            Rules(f"operation {name!r}", self._classify, diag, "metrics"),
            is_endpoint=self._is_endpoint,
        )
        wrapped: Callable[P, R] = wrap(function, operation)
        return wrapped


class Borrowed:
    """In the place of a span of its own: for a call that is not recorded, or has a
    server span around it that it makes its own.
    """  # noqa: D205 - one sentence

    __slots__ = ("_marked", "_now", "_span", "started")

    def __init__(self, span: Any, now: Callable[[], int], marked: Any = None) -> None:
        self._span = span
        self._now = now
        self._marked = marked
        self.started = now()

    @property
    def node(self) -> Any:
        """Where the call stands in its trace."""
        return self._span

    def leave(self) -> None:
        """Make current again what was, if anything else was made current."""
        if self._span.__class__ is UnsampledRoot:
            leave(self._span)
        if self._marked is not None:
            self._marked.is_operation = False

    def finish(self, error: BaseException | None, outcome: Outcome) -> int:
        """Say how the call ended; give when, by the monotonic clock, in ns."""
        if self._span.__class__ is UnsampledRoot:
            self._span.finish(outcome)
        elif error is not None and self._span.__class__ is Span:
            self._span.fail_as(outcome, error)
            self._span.more().is_decided = True
        return self._now()


class Operation:
    """What happens around each call of one decorated function.

    Args:
        parts: The instance's registry, logs and tracer.
        name: The operation's name.
        kind: The span's kind.
        labels: Label names.
        label_places: For each label, where its value stands in a call's arguments.
        places: The same for all arguments that become span attributes.
        rules: What is asked for an exception's outcome.
        is_endpoint: Whether it makes a server span its own that is around it.
    """

    __slots__ = (
        "_block",
        "_children",
        "_in_flight",
        "_is_endpoint",
        "_kind",
        "_label_places",
        "_logger",
        "_logs",
        "_name",
        "_now",
        "_ok",
        "_places",
        "_registry",
        "_rules",
        "_span",
        "_tracer",
    )

    def __init__(
        self,
        parts: Parts,
        name: str,
        kind: SpanKind,
        labels: tuple[str, ...],
        label_places: list[Place],
        places: list[Place],
        rules: Rules,
        *,
        is_endpoint: bool,
    ) -> None:
        registry, logs, tracer = parts
        self._registry = registry
        self._logs = logs
        self._logger = logs.logger("obs.operation")
        self._tracer = tracer
        self._span = tracer.span
        self._name = name
        self._kind: SpanKind = kind
        self._is_endpoint = is_endpoint
        self._ok = (name, "ok", "")
        self._label_places = label_places
        self._places = places
        self._rules = rules
        self._now = registry.clock.monotonic_ns
        self._block = registry.block(_DURATION, labels=labels, fixed=(name,))
        self._children = self._block.children
        self._in_flight = registry.block(_IN_FLIGHT).find((name,), {})

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call begins: give its span, or what stands in for one."""
        # It is counted last: whatever fails before, near the recursion limit or in strict
        # mode, leaves no count. What comes after goes no deeper than the counting did.
        attributes = self._values(args, kwargs) if self._places else None
        up: Any = _current()
        if self._is_endpoint and up.__class__ is Span:
            claimed = self._claim(up, attributes)
            if claimed is not None:
                borrowed = Borrowed(claimed, self._now)
                self._in_flight.inc()
                claimed.is_operation = True
                return borrowed
        span: Any = self._span(self._name, attributes, kind=self._kind)
        if span.__class__ is Unsampled:
            # All below the root share one span, so it is the root that is marked.
            is_marked = getattr(up, "is_operation", False)
            borrowed = Borrowed(span, self._now, None if is_marked else up)
            self._in_flight.inc()
            up.is_operation = True
            return borrowed
        span.is_operation = True
        if span.__class__ is Span:
            if up is not None and up.gone:
                up = current()
            span.up = up
            if not COLLECTING or get_ident() not in COLLECTING:
                if up is None:
                    make_ready()
                self._in_flight.inc()
                span.token = _set_current(span)
            else:
                self._in_flight.inc()
            return span
        borrowed = Borrowed(span, self._now)
        self._in_flight.inc()
        try:
            span.__enter__()
        except BaseException:  # this one goes deeper
            self._in_flight.dec()
            raise
        return borrowed

    def exit(
        self,
        token: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        """The call ended, by an exception or without one."""
        # The context and the count first: what follows goes deeper than ``enter`` did, and
        # may fail near the recursion limit.
        if token.__class__ is Span:
            started, before = token.started, _current()
            if before is token and (not COLLECTING or get_ident() not in COLLECTING):
                try:
                    _reset(token.token)
                    token.up = token.token = None
                except ELSEWHERE:
                    put_back(token)
            else:
                token.gone = True
        else:
            started = token.started
            token.leave()
        # What began before a fork is running in the parent too, and counted there.
        if started >= self._registry.forked_ns:
            self._in_flight.dec()
        row: tuple[str, ...] = self._ok
        outcome: Outcome = "ok"
        if error is not None:
            outcome = outcome_of(error, self._rules.ask, is_late=self._tracer.is_late())
            row = (self._name, outcome, error_type_of(error, outcome))
        ended = token.finish(error, outcome)
        if self._label_places:
            row += self._label_values(args, kwargs)
        try:
            series = self._children[row]
        except KeyError:
            series = self._block.find(row, {})
        seconds = (ended - started) / 1e9
        series.observe(seconds)
        # Last: what the host's signal handlers raise in it leaves the numbers right.
        if outcome in FAILURES:
            self._tell(token, args, kwargs, error, outcome, seconds)

    def _tell(
        self,
        token: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        error: Any,
        outcome: Outcome,
        seconds: float,
    ) -> None:
        """Log a failure, unless a decorated call around this one will, or has."""
        node = token if token.__class__ is Span else token.node
        if not self._logger.is_enabled("error") or _is_inside(node):
            return
        trace = node.trace.id
        marks = marks_of(error)
        if marks is not None:
            if marks.get(_MARK) == trace:
                return
            marks[_MARK] = trace
        self._logs.tell(
            self._logger,
            "error",
            "operation.failed",
            {
                "operation": self._name,
                "outcome": outcome,
                "duration": seconds,
                **self._values(args, kwargs),
                "exc_info": error,
            },
            node,
        )

    def _label_values(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, ...]:
        values: tuple[str, ...] = ()
        for position, label, default in self._label_places:
            given = len(args) > position
            value = args[position] if given else kwargs.get(label, default)
            values += (value if type(value) is str else self._text(value),)
        return values

    def _claim(self, around: Span, attributes: dict[str, Any] | None) -> Span | None:
        """Make a server span this endpoint's own, unless it is another's."""
        if around.kind != "server" or around.tracer is not self._tracer:
            return None
        details = around.more()
        if details.is_claimed or around.ended or around.gone:
            return None
        details.is_claimed = True
        if attributes:
            around.set(attributes)
        return around

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {
            name: args[position] if len(args) > position else kwargs.get(name, default)
            for position, name, default in self._places
        }

    def _text(self, value: Any) -> str:
        try:
            text = label_text(value)
        except Exception as raised:  # an Enum's value may be a hostile property
            if is_the_hosts(raised):
                raise
            text = None
        if text is not None:
            return text
        self._registry.diag.invalid(
            f"label of {self._name}",
            f"operation {self._name!r}: a label got a {type_name(value)}, needs "
            "str, int, bool, Enum or None. It counts as 'other'.",
        )
        return "other"


def _is_inside(node: Any) -> bool:
    """Whether a decorated call runs around the one that this is, or was, the node of."""
    around: Any = current()
    if around is node:  # a server span that was made the call's own
        around = around.up
    for _ in range(DEPTH):
        if around is None:
            return False
        is_over = around.gone or getattr(around, "ended", 0)
        if not is_over and getattr(around, "is_operation", False):
            return True
        around = around.up
    return False


def _check_labels(what: str, labels: Iterable[str]) -> tuple[str, ...]:
    names = check_label_names(what, labels, _DURATION.kind)
    for label in names:
        if label in _DURATION.labels:
            text = (
                f"{what}: label {label!r} is one of its own "
                f"({', '.join(_DURATION.labels)}). Rename the parameter."
            )
            raise DefinitionError(text)
    return names


def _place(what: str, argument: str, label: str, function: Callable[..., Any]) -> Place:
    """Give where an argument stands, so that no call has to bind the signature."""
    import inspect  # noqa: PLC0415 - 10 ms, paid by who decorates with labels

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        text = f"{what}: {shown(function)} does not say its parameters."
        raise DefinitionError(text) from None
    parameter = parameters.get(label) if isinstance(label, str) else None
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if parameter is None or parameter.kind in variable:
        known = [p.name for p in parameters.values() if p.kind not in variable]
        text = (
            f"{what}: {argument} {shown(label)} is no parameter of it; "
            f"it has ({', '.join(known)})."
        )
        raise DefinitionError(text)
    is_given = parameter.default is not inspect.Parameter.empty
    default = parameter.default if is_given else None
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return sys.maxsize, label, default
    return list(parameters).index(label), label, default
