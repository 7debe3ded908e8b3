"""What a dashboard has to know of a metric."""

from collections.abc import Iterable
from typing import NamedTuple

from obs.catalog import CATALOG
from obs.model import Kind, MetricFamily
from obs.naming import OVERFLOW_LABEL


class Metric(NamedTuple):
    """A metric, as it is defined.

    Attributes:
        name: The internal name.
        kind: What it is.
        unit: A UCUM unit.
        help: What it measures.
        labels: Its label names.
        bounds: Of a histogram, the upper bounds.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()

    def has(self, labels: Iterable[str]) -> bool:
        """Whether all these are labels of it, or say whose series it is."""
        return {*labels} <= {*self.labels, SERVICE, INSTANCE}


SERVICE = "@service"
"""Which service a series comes from; what a backend calls it is the backend's.

No label of a user can be called so.
"""
INSTANCE = "@instance"
"""Which process of the service."""


def variable_of(label: str) -> str:
    """Give the name under which values of a label are chosen."""
    return label.removeprefix("@")


def builtin(name: str) -> Metric:
    """Give a metric of the catalogue."""
    found = CATALOG[name]
    bounds = found.bounds if found.kind == "histogram" else ()
    return Metric(*found[:5], bounds)


def metric_of(family: MetricFamily) -> Metric:
    """Give the metric whose series a family holds."""
    names = [name for block in family.blocks for name in block.label_names]
    labels = tuple(dict.fromkeys(name for name in names if name != OVERFLOW_LABEL))
    return Metric(
        family.name, family.kind, family.unit, family.help, labels, family.bounds
    )
