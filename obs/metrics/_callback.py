"""A gauge's value that is asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import ref

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, shown, type_name
from obs.metrics._numbers import exact_number

if TYPE_CHECKING:
    from obs.metrics._series import Series


class Callback:
    """Stands in a gauge's cell where its number would: ``set`` simply replaces it.

    Args:
        series: Whose value it is.
        fn: Gives the value; called as ``fn(owner)`` where there is an owner.
        owner: Held weakly.

    Raises:
        DefinitionError: ``fn`` cannot be called, or the owner cannot be held weakly.
    """

    __slots__ = ("_fn", "_owner", "_series")

    def __init__(
        self, series: "Series", fn: Callable[..., float], owner: object | None
    ) -> None:
        name = series._block.metric.name
        if not callable(fn):
            text = f"gauge {name!r}: set_function() got {shown(fn)}, needs a function."
            raise DefinitionError(text)
        try:
            self._owner = None if owner is None else ref(owner)
        except TypeError:
            text = (
                f"gauge {name!r}: set_function() got the owner {shown(owner)}, which "
                "cannot be referred to weakly. Give another object, or none."
            )
            raise DefinitionError(text) from None
        self._fn = fn
        self._series = series
        series._block.metric.has_callbacks = True

    def read(self) -> int | float | None:
        """Give the value now, or None when there is none to give."""
        try:
            if self._owner is None:
                value = self._fn()
            elif (owner := self._owner()) is None:
                return None
            else:
                value = self._fn(owner)
        except BaseException as error:
            if is_the_hosts(error):
                raise
            self._report(f"its function raised {type_name(error)}")
            return None
        number = exact_number(value)
        if number is None:
            self._report(f"its function gave {shown(value)}, needs a finite number")
        return number

    def __add__(self, amount: object) -> "Callback":
        """Stay what it is when somebody calls ``inc`` or ``dec``."""
        metric = self._series._block.metric
        metric.registry.diag.invalid(
            metric.name,
            f"gauge {metric.name!r}: its value comes from a function, so inc() and dec() "
            "do nothing. It was left out.",
        )
        return self

    __sub__ = __add__

    def _report(self, what: str) -> None:
        metric = self._series._block.metric
        metric.registry.diag.left_out(
            f"function of {metric.name}",
            f"gauge {metric.name!r}: {what}. It was left out.",
        )
