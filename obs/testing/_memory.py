"""An exporter that keeps what it is given."""

from obs.errors import ObsError
from obs.model import HistogramPoint, MetricFamily, NumberPoint
from obs.model._metric import Point
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
        """Give the series of a metric with exactly these labels.

        Args:
            name: The metric's internal name.
            labels: Its labels; dots of a label's name are written as ``_``.

        Raises:
            KeyError: There is none; the text lists those that there are.
        """
        points = [
            p for family in self.metrics if family.name == name for p in family.points
        ]
        for point in points:
            if {k.replace(".", "_"): v for k, v in point.labels.items()} == labels:
                return point
        text = f"no series {name!r} {labels}; there are {[p.labels for p in points]}"
        raise KeyError(text)

    def value(self, name: str, /, **labels: str) -> int | float:
        """Give the number of a series; of a histogram, how many values it has.

        Raises:
            KeyError: There is no such series.
        """
        point = self.point(name, **labels)
        if isinstance(point, NumberPoint):
            return point.value
        assert isinstance(point, HistogramPoint)
        return point.count
