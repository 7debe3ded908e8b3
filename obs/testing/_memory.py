"""An exporter that keeps what it is given."""

from collections.abc import Iterable

from obs.errors import ObsError
from obs.model import LogRecord, Point, Snapshot, SpanRecord
from obs.protocols import Source


class MemoryExporter:
    """Gives a test what an exporter would have got.

    Attributes:
        name: ``memory``.
        spans: The finished spans, each at once, in the order of their ends.
        logs: The log records, each at once.
    """

    name = "memory"

    def __init__(self) -> None:
        self._source: Source | None = None
        self.spans: list[SpanRecord] = []
        self.logs: list[LogRecord] = []

    def start(self, source: Source) -> None:
        """Begin to read from an instance."""
        self._source = source
        source.listen(self.spans.append, self.logs.append)

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

    def span(self, name: str) -> SpanRecord:
        """Give the one finished span of this name.

        Raises:
            KeyError: There is none, or more than one.
        """
        found = [span for span in self.spans if span.name == name]
        if len(found) != 1:
            names = ", ".join(span.name for span in self.spans)
            text = f"{len(found)} spans are named {name!r}; finished: {names or 'none'}"
            raise KeyError(text)
        return found[0]

    def tree(self) -> str:
        """Give the names of the finished spans, each indented below its parent.

        Roots and siblings stand in the order of their starts. A span whose parent is
        neither here nor in another process has `` (parent missing)`` behind its name.
        """
        return "\n".join(_outline(self.spans))


def _outline(spans: Iterable[SpanRecord]) -> Iterable[str]:
    ordered = sorted(spans, key=lambda span: span.start_ns)
    known = {(span.context.trace, span.context.span) for span in ordered}
    below: dict[tuple[int, int], list[SpanRecord]] = {}
    roots = []
    for span in ordered:
        parent = (span.context.trace, span.parent)
        if parent in known:
            below.setdefault(parent, []).append(span)
        else:
            roots.append(span)
    waiting = [(0, span) for span in reversed(roots)]
    done: set[int] = set()
    while waiting:
        depth, span = waiting.pop()
        if id(span) in done:  # below both halves of a span that client and server share
            continue
        done.add(id(span))
        is_lost = depth == 0 and span.parent != 0 and not span.remote_parent
        yield "  " * depth + span.name + (" (parent missing)" if is_lost else "")
        children = below.get((span.context.trace, span.context.span), [])
        waiting += [(depth + 1, child) for child in reversed(children)]
