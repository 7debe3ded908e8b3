"""An exporter that keeps what it is given."""

from obs.errors import ObsError
from obs.model import Point, Snapshot
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
    def metrics(self) -> Snapshot:
        """The families of this moment.

        Raises:
            ObsError: The instance has not been started.
        """
        if self._source is None:
            text = "MemoryExporter: nothing is here before tel.start()."
            raise ObsError(text)
        return self._source.snapshot()

    def point(self, name: str, /, **labels: str) -> Point:
        """Give a series of a metric; see ``MetricFamily.point``.

        Raises:
            KeyError: There is no such metric or series.
        """
        return self.metrics[name].point(**labels)

    def value(self, name: str, /, **labels: str) -> int | float:
        """Give the number of a series; of a histogram, how many values it has.

        Raises:
            KeyError: There is no such metric or series.
        """
        return self.metrics[name].value(**labels)
