"""An exporter that keeps what it is given."""

from obs.errors import ObsError
from obs.model import MetricFamily, Point
from obs.protocols import Source


class MemoryExporter:
    """Gives a test what an exporter would have got.

    Attributes:
        name: ``memory``.
    """

    name = "memory"

    def __init__(self) -> None:
        self._source: Source | None = None

    def start(self, source: Source) -> None:
        """Begin to read from an instance."""
        self._source = source

    def close(self, deadline: float) -> None:
        """Do nothing: what was recorded can still be read."""

    @property
    def metrics(self) -> list[MetricFamily]:
        """The families of this moment.

        Raises:
            ObsError: The instance has not been started.
        """
        if self._source is None:
            text = "MemoryExporter: nothing is here before tel.start()."
            raise ObsError(text)
        return list(self._source.snapshot())

    def point(self, name: str, /, **labels: str) -> Point:
        """Give a series of a metric; see ``MetricFamily.point``.

        Raises:
            KeyError: There is no such metric or series.
        """
        return self._family(name).point(**labels)

    def value(self, name: str, /, **labels: str) -> int | float:
        """Give the number of a series; of a histogram, how many values it has.

        Raises:
            KeyError: There is no such metric or series.
        """
        return self._family(name).value(**labels)

    def _family(self, name: str) -> MetricFamily:
        for family in self.metrics:
            if family.name == name:
                return family
        text = (
            f"no metric {name!r}; there are {[family.name for family in self.metrics]}"
        )
        raise KeyError(text)
