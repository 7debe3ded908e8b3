"""What all series have in common, whatever cell holds their numbers."""

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from obs._foreign import is_the_hosts
from obs._identity import Unique
from obs.errors import shown
from obs.metrics._numbers import exact_number

if TYPE_CHECKING:
    from obs.metrics._block import SeriesBlock


class Series(Unique):
    """One series: the object that a bound instrument is, and the cell of its numbers.

    A subclass holds the numbers and records with one flat method for each operation; its
    ``read`` gives the columns of many series at once. The factory of a registry chooses
    the subclasses (see ``obs.metrics._cells``).
    """

    __slots__ = ("_block",)

    def __init__(self, block: "SeriesBlock[Any]") -> None:
        self._block = block

    def zero(self) -> None:
        """Start from zero again."""
        raise NotImplementedError

    def labels(self, /, *values: Any, **named: Any) -> Any:
        """Give this series, if its metric has no labels and none are given."""
        if not (values or named or self._block.label_names):
            return self
        rule = "but the metric has no labels. Leave it out"
        if self._block.label_names:
            rule = "which a series that has its labels does not take. Call it on the metric"
        got = shown(dict(named)) if named else shown(values)
        return self._block.report(f"labels() got {got}, {rule}")

    def remove(self, /, *values: Any, **named: Any) -> None:
        """Start from zero again; the series of a metric without labels stays."""
        if self.labels(*values, **named) is self:
            self.clear()

    def clear(self) -> None:
        """Start from zero again."""
        self._block.restart(self)

    def _number(self, call: str, value: object, low: float) -> int | float | None:
        """Give an exact finite number of at least ``low``; None, reported, otherwise."""
        number = exact_number(value)
        if number is None:
            rule = "needs a finite number"
        elif number < low:
            rule = (
                "but it only grows. Use an up-down counter or a gauge for a value "
                "that can fall"
            )
        else:
            return number
        self._block.report(f"{call}() got {shown(value)}, {rule}")
        return None


S = TypeVar("S", bound=Series)


class Labelled(Unique, Generic[S]):
    """A metric with labels, before they are given."""

    __slots__ = ("_block", "_children", "_pick", "_width")

    def __init__(self, block: "SeriesBlock[S]") -> None:
        self._block = block
        self._children = block.children
        self._pick = _picker(block.label_names)
        self._width = len(block.label_names)

    def labels(self, /, *values: Any, **named: Any) -> S:
        """Give the series with these label values; see ``protocols.Counter.labels``."""
        try:
            if not named:
                return self._children[values]
            if not values and len(named) == self._width:
                return self._children[self._pick(named)]
        except KeyError:  # unknown yet
            pass
        except Exception as raised:  # wrong, or a hostile __hash__
            if is_the_hosts(raised):
                raise
        return self._block.find(values, named)

    def remove(self, /, *values: Any, **named: Any) -> None:
        """Forget the series with these label values, if there is one."""
        self._block.remove(values, named)

    def clear(self) -> None:
        """Forget all series."""
        self._block.clear()

    def _unlabelled(self, call: str) -> None:
        needs = ", ".join(self._block.label_names)
        self._block.report(
            f"{call}() was called without labels, needs ({needs}). "
            "Call .labels(...) first"
        )


def _picker(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Give what finds the values of these names; in C where there are several.

    Not a comprehension in ``labels`` itself: up to 3.11 that makes ``named`` a cell, which
    costs 12 ns even where no name is given.
    """
    if len(names) > 1:
        return itemgetter(*names)
    return lambda named: tuple([named[name] for name in names])
