"""What a panel asks, in words that belong to no backend.

A backend writes a query in its own language, or says that it cannot ask that. ``by`` names
the labels that make a line each; ``where`` says which series count: a label with the value
that it has, or several of which it has one, or ``CHOSEN``.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from obs.dashboards._metric import Metric

CHOSEN = "$"
"""The value of a label is one that was chosen at the head of the dashboard."""


class But(NamedTuple):
    """The value of a label is any other."""

    value: str


Where: TypeAlias = Mapping[str, str | tuple[str, ...] | But]
ALL: Where = {}


class Rate(NamedTuple):
    """How much a counter grows in a second, or how many values a histogram gets."""

    metric: Metric
    by: tuple[str, ...] = ()
    where: Where = ALL


class Share(NamedTuple):
    """The part of a rate for which ``of`` holds as well, from 0 to 1."""

    metric: Metric
    of: Where
    by: tuple[str, ...] = ()
    where: Where = ALL


class Total(NamedTuple):
    """How much came within the time that is shown; the ``most`` largest, or all."""

    metric: Metric
    by: tuple[str, ...] = ()
    where: Where = ALL
    most: int = 0


class Quantile(NamedTuple):
    """Below which value this part of a histogram's values is, at each moment.

    Attributes:
        most: If not 0, over all the time that is shown, and only the largest.
    """

    metric: Metric
    part: float
    by: tuple[str, ...] = ()
    where: Where = ALL
    most: int = 0


class Mean(NamedTuple):
    """The mean of the values that a histogram gets."""

    metric: Metric
    by: tuple[str, ...] = ()
    where: Where = ALL


class Heat(NamedTuple):
    """How many values each bucket of a histogram gets."""

    metric: Metric
    where: Where = ALL


class Sum(NamedTuple):
    """How much a second adds to the sum of a histogram: of seconds, the share of time."""

    metric: Metric
    by: tuple[str, ...] = ()
    where: Where = ALL


class Last(NamedTuple):
    """What a gauge or an up-down counter says, several series made one by ``fold``."""

    metric: Metric
    by: tuple[str, ...] = ()
    fold: Literal["sum", "avg", "max"] = "sum"
    where: Where = ALL


class Extreme(NamedTuple):
    """The lowest or the highest value of a gauge within the time that is shown."""

    metric: Metric
    side: Literal["min", "max"]


class Age(NamedTuple):
    """How many seconds ago the moment was that a gauge says."""

    metric: Metric
    by: tuple[str, ...] = ()


class Changes(NamedTuple):
    """How often a gauge changed within the time that is shown."""

    metric: Metric
    by: tuple[str, ...] = ()


class Ratio(NamedTuple):
    """One query divided by another."""

    above: "Query"
    below: "Query"


class Outlier(NamedTuple):
    """How far an instance is from the middle of its service.

    In median absolute deviations, each made larger by 1 % of the median, so that
    instances that are all but equal do not stand out.

    Attributes:
        query: What is compared, ``by`` service and instance.
    """

    query: "Query"


class Count(NamedTuple):
    """How many series an info has for each value of some labels."""

    metric: Metric
    by: tuple[str, ...] = ()


class Instances(NamedTuple):
    """How many instances there are, by attributes of their resource.

    Without any: all attributes of each, as a table.
    """

    by: tuple[str, ...] = ()


class Reached(NamedTuple):
    """The share of instances that the backend could read just now."""

    by: tuple[str, ...] = ()


Query: TypeAlias = (
    Rate
    | Share
    | Total
    | Quantile
    | Mean
    | Heat
    | Sum
    | Last
    | Extreme
    | Age
    | Changes
    | Ratio
    | Outlier
    | Count
    | Instances
    | Reached
)


def metrics_of(query: Query) -> list[Metric]:
    """Give the metrics that a query reads."""
    match query:
        case Ratio(above, below):
            return [*metrics_of(above), *metrics_of(below)]
        case Outlier(inner):
            return metrics_of(inner)
        case Instances() | Reached():
            return []
        case _:
            return [query.metric]


def lines_of(query: Query) -> tuple[str, ...]:
    """Give the labels by which the lines of a query differ."""
    match query:
        case Ratio(above, _):
            return lines_of(above)
        case Outlier(inner):
            return lines_of(inner)
        case Heat() | Extreme():
            return ()
        case _:
            return query.by


def check(query: Query) -> None:
    """Raise ``ValueError`` where a query names a label that its metric does not have."""
    match query:
        case Ratio(above, below):
            check(above)
            check(below)
        case Outlier(inner):
            check(inner)
        case Instances() | Reached():
            return
        case _:
            names: Iterable[str] = (
                *lines_of(query),
                *getattr(query, "where", ()),
                *getattr(query, "of", ()),
            )
            if not query.metric.has(names):
                text = f"{query.metric.name}: no such labels: {', '.join(names)}"
                raise ValueError(text)
