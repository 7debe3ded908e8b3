"""Our families in a registry of prometheus_client."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from obs.errors import DefinitionError, shown
from obs.model import Block, MetricFamily, Snapshot
from obs.naming import prometheus_unit
from obs_exporters.prometheus._block import label_value
from obs_exporters.prometheus._format import repaired
from obs_exporters.prometheus._left_out import name_of
from obs_exporters.prometheus._names import (
    NOT_ON_THE_PAGE,
    family_names,
    page_labels,
    page_name,
    take,
)
from obs_exporters.prometheus._values import value_text

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_KINDS = {"updown": "gauge"}
_SUFFIXES = {"counter": "_total", "info": "_info"}


class HasSnapshot(Protocol):
    """An ``Obs``, a ``Registry``, or another thing that can be read."""

    def snapshot(self) -> Snapshot:
        """Read it."""
        ...


def collector(source: HasSnapshot) -> "SnapshotCollector":
    """Give a collector for a registry of prometheus_client.

    What is read has the names, labels and numbers of our own page; what cannot be shown
    is in ``left_out``. With ``REGISTRY.register(collector(tel))`` it appears wherever
    that registry is served. Two of one name in theirs, such as ``python_info`` of both,
    are refused by ``register``: unregister one of them.

    Args:
        source: What is read at each scrape.

    Raises:
        DefinitionError: It has no ``snapshot()``, or prometheus_client is not installed.
    """
    if not callable(getattr(source, "snapshot", None)):
        text = f"collector() got {shown(source)}, needs an object with snapshot()."
        raise DefinitionError(text)
    try:
        import prometheus_client  # noqa: F401, PLC0415
    except ImportError as error:
        text = (
            "collector(): prometheus_client is not installed. "
            "Run: pip install 'obs-sdk[prometheus]'."
        )
        raise DefinitionError(text) from error
    return SnapshotCollector(source)


class SnapshotCollector:
    """What ``collector`` gives; see there.

    Attributes:
        left_out: What the last read left out: internal name, as ``repr``, to reason.

    Threads: any; reads the source on the caller's thread.
    """

    def __init__(self, source: HasSnapshot) -> None:
        self._source = source
        self.left_out: Mapping[str, str] = {}

    def collect(self) -> "Iterator[Metric]":
        """Yield a family of prometheus_client for each of ours."""
        taken: dict[str, str] = {}
        left_out: dict[str, str] = {}
        for family in self._source.snapshot():
            try:
                name = page_name(family)
                if name == NOT_ON_THE_PAGE:
                    continue
                names = family_names(name, family.kind)
                take(taken, names, f"metric {family.name!r}")
                found = _converted(family, name)
            except Exception as error:  # noqa: BLE001 - a foreign value raised: the others stay
                left_out[name_of(family)] = f"{type(error).__name__}: {error}"
            else:
                yield found
        self.left_out = left_out


def _converted(family: MetricFamily, name: str) -> "Metric":
    # An optional library; whoever is here has it.
    from prometheus_client.metrics_core import Metric  # noqa: PLC0415

    if family.kind == "exponential":
        text = "prometheus_client has no exponential histograms"
        raise DefinitionError(text)
    word = prometheus_unit(family.kind, family.unit)
    unit = word if name.endswith(f"_{word}") and family.kind != "info" else ""
    kind = _KINDS.get(family.kind, family.kind)
    found = Metric(name, repaired(str(family.help or "")), kind, unit)
    for block in family.blocks:
        labels = page_labels(family, block.label_names)
        if family.kind == "histogram":
            _add_histograms(found, labels, block, family.bounds)
        else:
            _add_numbers(found, labels, block, family.kind)
    return found


def _add_numbers(
    found: "Metric", names: tuple[str, ...], block: Block, kind: str
) -> None:
    sample = found.name + _SUFFIXES.get(kind, "")
    least = 0 if kind == "counter" else -inf
    for row, value in zip(block.rows, block.values, strict=True):
        text = "1" if kind == "info" else value_text(value, least)
        if text is not None:
            found.add_sample(sample, _labels(names, row), float(text))


def _add_histograms(
    found: "Metric", names: tuple[str, ...], block: Block, bounds: Sequence[float]
) -> None:
    limits = [*[repr(float(bound)) for bound in bounds], "+Inf"]
    for row, total, buckets in zip(block.rows, block.values, block.counts, strict=True):
        text = value_text(total)
        if text is None:
            continue
        labels = _labels(names, row)
        counts = list(accumulate(buckets))
        for limit, count in zip(limits, counts, strict=True):
            found.add_sample(f"{found.name}_bucket", {**labels, "le": limit}, count)
        # As prometheus_client itself does: where a bound is negative the sum may fall.
        if not bounds or bounds[0] >= 0:
            found.add_sample(f"{found.name}_sum", labels, float(text))
            found.add_sample(f"{found.name}_count", labels, counts[-1])


def _labels(names: tuple[str, ...], row: Sequence[Any]) -> dict[str, str]:
    texts = [repaired(label_value(value)) for value in row]
    return dict(zip(names, texts, strict=True))
