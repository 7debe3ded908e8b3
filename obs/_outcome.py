"""How something ended, told from the exception that ended it."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, shown, type_name
from obs.model import Outcome

Classify: TypeAlias = Callable[[BaseException], str | None]

OUTCOMES: tuple[Outcome, ...] = (
    "ok",
    "error",
    "cancelled",
    "deadline_exceeded",
    "aborted",
)
FAILURES = frozenset({"error", "deadline_exceeded"})
"""Outcomes that have an error type, and an exception to show."""

_NAME_OF = type.__dict__["__name__"].__get__
_CANCELLED = frozenset({"CancelledError", "Cancelled"})
_STATUS_ATTRIBUTES = ("status_code", "status", "code")


def outcome_of(
    error: BaseException,
    ask: Callable[[Exception], Outcome | None],
    *,
    is_late: bool = False,
) -> Outcome:
    """Give the outcome of a call or block that an exception ended.

    ``cancelled`` for CancelledError, and ``deadline_exceeded`` for it or a timeout when a
    deadline has passed; ``ok`` for GeneratorExit (the consumer has had enough) and for an
    exception that carries an HTTP status below 500; ``aborted`` for whatever else is no
    ``Exception`` (KeyboardInterrupt, SystemExit); else ``error``.

    Args:
        error: The exception.
        ask: What is asked first about an ``Exception``.
        is_late: Whether a deadline has passed.
    """
    # By name: importing asyncio costs 36 ms, and trio's and anyio's count as well.
    kind = type(error)  # never isinstance: an exception may lie about its class
    names = [_NAME_OF(base) for base in type.__dict__["__mro__"].__get__(kind)]
    if not _CANCELLED.isdisjoint(names):
        return "deadline_exceeded" if is_late else "cancelled"
    if issubclass(kind, GeneratorExit):
        return "ok"
    if not issubclass(kind, Exception):
        return "aborted"
    asked = ask(error)  # type: ignore[arg-type]
    if asked is not None:
        return asked
    if is_late and any("Timeout" in name for name in names):
        return "deadline_exceeded"
    return "ok" if _is_client_error(error) else "error"


def error_type_of(error: BaseException, outcome: Outcome) -> str:
    """Give the name of an exception's class if the outcome is a failure, else nothing."""
    return str(_NAME_OF(type(error))) if outcome in FAILURES else ""


def _is_client_error(error: BaseException) -> bool:
    """Whether an exception is an HTTP answer below 500: Starlette, werkzeug, aiohttp."""
    for attribute in _STATUS_ATTRIBUTES:
        try:
            status = getattr(error, attribute, None)
            if isinstance(status, int) and not isinstance(status, bool):
                return 100 <= int(status) < 500
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            continue
    return False


class Rules:
    """The functions that users gave to ``classify=``, asked in order.

    Args:
        what: Whose they are, for the text of what is said about them.
        rules: The functions; None stands for none.
        diag: Where an answer that is none is counted.
        signal: And as what.
    """

    __slots__ = ("_diag", "_rules", "_signal", "_what")

    def __init__(
        self, what: str, rules: Iterable[Classify | None], diag: Diag, signal: str
    ) -> None:
        self._what = what
        self._rules = [rule for rule in rules if rule is not None]
        self._diag = diag
        self._signal = signal

    def ask(self, error: Exception) -> Outcome | None:
        """Give the first answer, or None."""
        for rule in self._rules:
            try:
                answer = rule(error)
            except Exception as failure:  # a foreign function
                if is_the_hosts(failure):
                    raise
                answer = f"<{type_name(failure)}>"
            if answer is None:
                continue
            if type(answer) is str:
                for outcome in OUTCOMES:
                    if answer == outcome:
                        return outcome
            self._diag.invalid(
                f"classify of {self._what}",
                f"{self._what}: classify() gave {shown(answer)}, "
                f"needs None or one of {', '.join(OUTCOMES)}. It was ignored.",
                self._signal,
            )
        return None


def check_rule(rule: object) -> None:
    """Raise ``DefinitionError`` if this is no rule for ``classify=``."""
    if rule is not None and not callable(rule):
        text = f"classify got {shown(rule)}, needs a function that takes an exception."
        raise DefinitionError(text)
