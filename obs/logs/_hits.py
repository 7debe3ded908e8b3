"""How many records there were, by level and logger."""

from obs._tally import Tally


class Hits:
    """How many records there were of one logger and level.

    Attributes:
        cell: A list of one, to which the fused method adds.
        tally: What everybody else adds to.
    """

    __slots__ = ("cell", "tally")

    def __init__(self) -> None:
        self.cell = [0]
        self.tally = Tally()


class Counts:
    """The numbers of one instance. Threads: any, without a lock."""

    def __init__(self) -> None:
        self._hits: dict[tuple[str, str], Hits] = {}

    def of(self, level: str, name: str) -> Hits:
        """Give the numbers of a logger and level."""
        hits = self._hits.get((level, name))
        if hits is None:
            hits = self._hits.setdefault((level, name), Hits())
        return hits

    def add(self, level: str, name: str) -> None:
        """Count a record."""
        self.of(level, name).tally.add(1)

    def read(self) -> dict[tuple[str, ...], int | float]:
        """Give how many records there were, by level and logger."""
        return {
            key: hits.cell[0] + hits.tally.read()
            for key, hits in self._hits.copy().items()
        }

    def clear(self) -> None:
        """Start from zero again."""
        for hits in list(self._hits.values()):
            hits.cell[0] = 0
            hits.tally.clear()
