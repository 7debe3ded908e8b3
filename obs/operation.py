"""One decorated call: how long it took, how it ended, how many are running."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from obs._calls import wrap
from obs.catalog import CATALOG
from obs.errors import DefinitionError, shown, type_name
from obs.metrics import Registry, label_text
from obs.naming import list_of_names
from obs.protocols import P, R

Classify: TypeAlias = Callable[[BaseException], str | None]
Place: TypeAlias = tuple[int, str, Any]
"""Of an argument: its position, its name, and what it is when it is not given."""

_NAME_OF = type.__dict__["__name__"].__get__
_CANCELLED = frozenset({"CancelledError", "Cancelled"})
OUTCOMES = ("ok", "error", "cancelled", "aborted")
_DURATION = CATALOG["operation.duration"]
_IN_FLIGHT = CATALOG["operation.in_flight"]
_STATUS_ATTRIBUTES = ("status_code", "status", "code")


class OperationDecorator:
    """What ``tel.operation(...)`` gives: it decorates one function.

    Args:
        registry: Where the metrics go.
        name: The operation's name; the function's ``__qualname__`` without ``<locals>``
            when None.
        labels: Names of parameters whose values become labels.
        classify: Gives an exception's outcome, or None to leave it to the next rule.
        fallback: Asked when ``classify`` gives None.
    """

    def __init__(
        self,
        registry: Registry,
        name: str | None,
        labels: Iterable[str],
        classify: Classify | None,
        fallback: Classify | None,
    ) -> None:
        if name is not None and not isinstance(name, str):
            text = (
                f"operation: the name got {shown(name)}, needs text. Write "
                "the decorator with parentheses: @tel.operation()."
            )
            raise DefinitionError(text)
        check_rule(classify)
        self._registry = registry
        self._name = name
        self._labels = labels
        self._rules = [rule for rule in (classify, fallback) if rule is not None]

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
                f"operation: {shown(function)} has no name. Give one: operation('x')."
            )
            raise DefinitionError(text)
        labels = _check_labels(name, self._labels)
        places = [_place(name, label, target) for label in labels]
        operation = Operation(self._registry, name, labels, places, self._rules)
        wrapped: Callable[P, R] = wrap(function, operation)
        return wrapped


class Operation:
    """What happens around each call of one decorated function.

    Args:
        registry: Where the metrics go.
        name: The operation's name.
        labels: Label names.
        places: For each label, where its value stands in a call's arguments.
        rules: What is asked for an exception's outcome, in order.
    """

    __slots__ = (
        "_block",
        "_children",
        "_in_flight",
        "_name",
        "_now",
        "_ok",
        "_places",
        "_registry",
        "_rules",
    )

    def __init__(
        self,
        registry: Registry,
        name: str,
        labels: tuple[str, ...],
        places: list[Place],
        rules: list[Classify],
    ) -> None:
        self._registry = registry
        self._name = name
        self._ok = (name, "ok", "")
        self._places = places
        self._rules = rules
        self._now = registry.clock.monotonic_ns
        self._block = registry.block(_DURATION, labels=labels, fixed=(name,))
        self._children = self._block.children
        self._in_flight = registry.block(_IN_FLIGHT).find((name,), {})

    def enter(self) -> int:
        """The call begins: give when, by the monotonic clock."""
        self._in_flight.inc()
        return self._now()

    def exit(
        self,
        token: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        """The call ended, by an exception or without one."""
        seconds = (self._now() - token) / 1e9
        registry = self._registry
        # What began before a fork is running in the parent too, and counted there.
        if token >= registry.forked_ns:
            self._in_flight.dec()
        row: tuple[str, ...] = self._ok
        if error is not None:
            outcome = outcome_of(error, self._ask)
            error_type = _NAME_OF(type(error)) if outcome == "error" else ""
            row = (self._name, outcome, error_type)
        for position, label, default in self._places:
            given = len(args) > position
            value = args[position] if given else kwargs.get(label, default)
            row += (value if type(value) is str else self._text(value),)
        try:
            series = self._children[row]
        except KeyError:
            series = self._block.find(row, {})
        series.observe(seconds)

    def _text(self, value: Any) -> str:
        try:
            text = label_text(value)
        except Exception:  # noqa: BLE001 - an Enum's value may be a hostile property
            text = None
        if text is not None:
            return text
        self._registry.diag.invalid(
            f"label of {self._name}",
            f"operation {self._name!r}: a label got a {type_name(value)}, needs "
            "str, int, bool, Enum or None. It counts as 'other'.",
        )
        return "other"

    def _ask(self, error: Exception) -> str | None:
        for rule in self._rules:
            try:
                outcome = rule(error)
            except Exception as failure:  # noqa: BLE001 - a foreign function
                outcome = f"<{type_name(failure)}>"
            if type(outcome) is str and outcome in OUTCOMES:
                return outcome
            if outcome is not None:
                self._registry.diag.invalid(
                    f"classify of {self._name}",
                    f"operation {self._name!r}: classify() gave {shown(outcome)}, "
                    f"needs None or one of {', '.join(OUTCOMES)}. It was ignored.",
                )
        return None


def outcome_of(error: BaseException, ask: Callable[[Exception], str | None]) -> str:
    """Give the outcome of a call that an exception ended.

    ``cancelled`` for CancelledError; ``ok`` for GeneratorExit (the consumer has had
    enough) and for an exception that carries an HTTP status below 500; ``aborted`` for
    whatever else is no ``Exception`` (KeyboardInterrupt, SystemExit); else ``error``.

    Args:
        error: The exception.
        ask: What is asked first about an ``Exception``.
    """
    # By name: importing asyncio costs 36 ms, and trio's and anyio's count as well.
    for base in type(error).__mro__:
        if _NAME_OF(base) in _CANCELLED:
            return "cancelled"
    if isinstance(error, GeneratorExit):
        return "ok"
    if not isinstance(error, Exception):
        return "aborted"
    return ask(error) or ("ok" if _is_client_error(error) else "error")


def _is_client_error(error: Exception) -> bool:
    """Whether an exception is an HTTP answer below 500: Starlette, werkzeug, aiohttp."""
    for attribute in _STATUS_ATTRIBUTES:
        try:
            status = getattr(error, attribute, None)
            if isinstance(status, int) and not isinstance(status, bool):
                return 100 <= int(status) < 500
        except Exception:  # noqa: BLE001 - a foreign property
            continue
    return False


def check_rule(rule: object) -> None:
    """Raise ``DefinitionError`` if this is no rule for ``classify=``."""
    if rule is not None and not callable(rule):
        text = f"classify got {shown(rule)}, needs a function that takes an exception."
        raise DefinitionError(text)


def _check_labels(name: str, labels: Iterable[str]) -> tuple[str, ...]:
    names = tuple(list_of_names(f"operation {name!r}", labels))
    for label in names:
        if label in _DURATION.labels:
            text = (
                f"operation {name!r}: label {label!r} is one of its own "
                f"({', '.join(_DURATION.labels)}). Rename the parameter."
            )
            raise DefinitionError(text)
    return names


def _place(name: str, label: str, function: Callable[..., Any]) -> Place:
    """Give where an argument stands, so that no call has to bind the signature."""
    import inspect  # noqa: PLC0415 - 10 ms, paid by who decorates with labels

    parameters = inspect.signature(function).parameters
    parameter = parameters.get(label)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if parameter is None or parameter.kind in variable:
        known = [p.name for p in parameters.values() if p.kind not in variable]
        text = (
            f"operation {name!r}: label {shown(label)} is no parameter of it; "
            f"it has ({', '.join(known)})."
        )
        raise DefinitionError(text)
    is_given = parameter.default is not inspect.Parameter.empty
    default = parameter.default if is_given else None
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return sys.maxsize, label, default
    return list(parameters).index(label), label, default
