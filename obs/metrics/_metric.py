"""A definition: what a metric is, and the blocks of its series."""

from typing import TYPE_CHECKING, Any

from obs.metrics._block import Row, SeriesBlock
from obs.model import Block, Kind, MetricFamily

if TYPE_CHECKING:
    from obs.metrics._registry import Registry


class Metric:
    """One name in a registry.

    Attributes:
        registry: Where it is defined.
        name: The internal name.
        kind: What it is.
        unit: A UCUM unit, or empty.
        help: What it measures.
        label_names: The labels of its instrument; built-ins have others in each block.
        bounds: A histogram's upper bounds.
        combine: How the values of several processes add up (gauges).
        where: Where it was defined first, as ``file:line``.
        has_callbacks: Whether any series has ever had its value from a function.
    """

    __slots__ = (
        "_blocks",
        "bounds",
        "combine",
        "has_callbacks",
        "help",
        "instrument",
        "kind",
        "label_names",
        "name",
        "registry",
        "unit",
        "where",
    )

    def __init__(
        self,
        registry: "Registry",
        name: str,
        kind: Kind,
        unit: str,
        help: str,
        label_names: Row = (),
        bounds: tuple[float, ...] = (),
        combine: str = "sum",
        where: str = "",
    ) -> None:
        self.registry = registry
        self.name = name
        self.kind: Kind = kind
        self.unit = unit
        self.help = help
        self.label_names = label_names
        self.bounds = bounds
        self.combine = combine
        self.where = where
        self.has_callbacks = False
        self.instrument: Any = None
        self._blocks: dict[tuple[Row, Row], SeriesBlock[Any]] = {}

    def block(self, label_names: Row, fixed: Row = ()) -> SeriesBlock[Any]:
        """Give the block with these label names and fixed values, made at first use."""
        key = (label_names, fixed)
        block = self._blocks.get(key)
        if block is None:
            make = self.registry.cells.of(self.kind)
            block = self._blocks.setdefault(
                key, SeriesBlock(self, label_names, fixed, make)
            )
        return block

    def difference(self, other: "Metric") -> str:
        """Say in what two definitions differ; empty if they do not."""
        for what in ("kind", "unit", "label_names", "bounds", "combine"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                return f"{what.replace('_', ' ')} {mine!r} there, {theirs!r} here"
        return ""

    def definition(self) -> MetricFamily:
        """Give the family with one block that has no rows."""
        return self._family([Block(self.label_names, [], [])])

    def read(self, start_ns: int, *, ask: bool = True) -> MetricFamily:
        """Give the family of this moment.

        Args:
            start_ns: Since when the process counts.
            ask: Whether functions are asked; if not, their series are left out.
        """
        return self._family([block.read(start_ns, ask=ask) for block in self._live()])

    def count(self) -> int:
        """Give how many series there are, the overflow series apart."""
        return sum(len(b.children) for b in self._live() if not b.is_overflow)

    def has_recorded(self) -> bool:
        """Whether any series has another number than at its start."""
        return self.kind != "info" and any(b.has_recorded() for b in self._live())

    def rebase(self) -> None:
        """Start from zero in a forked child; what an info says stays."""
        if self.kind != "info":
            for block in self._live():
                block.rebase()

    def _family(self, blocks: list[Block]) -> MetricFamily:
        return MetricFamily(
            self.name, self.kind, self.unit, self.help, blocks, self.bounds
        )

    def _live(self) -> list[SeriesBlock[Any]]:
        return list(self._blocks.values())
