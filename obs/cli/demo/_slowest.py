"""Which request took longest: an exporter that keeps the spans of one trace."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import NamedTuple, Self

from obs._obs import Obs
from obs.model import SpanRecord
from obs.protocols import Source

MAX_OPEN = 256
"""Traces whose root has not ended; there are about as many as open requests."""


class Step(NamedTuple):
    """A finished span, and the service it is from."""

    service: str
    span: SpanRecord


class SlowestTrace:
    """Keeps whole the trace with the longest root span, over several services.

    Threads: ``_take`` runs on every thread that ends a span. The lock is held for a few
    steps on dictionaries, hundreds of times a second: nobody waits. It would not do for
    spans that end in a signal handler or in a finalizer, which may interrupt the holder;
    the demo has none.

    Attributes:
        name: As an exporter's.
        traces: How many roots have ended.
        steps: The spans of the slowest trace, in the order of their ends.
    """

    name = "slowest trace"

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[int, list[Step]] = {}
        self._trace = 0
        self._duration = -1
        self.traces = 0
        self.steps: list[Step] = []

    @contextmanager
    def listening(self, services: Iterable[Obs]) -> Iterator[Self]:
        """Hear of the spans of these services inside a block."""
        with ExitStack() as stack:
            for tel in services:
                tel.attach(self)
                stack.callback(tel.detach, self)
            yield self

    def start(self, source: Source) -> None:
        """Begin to listen to one of the services."""
        service = source.resource.attributes["service.name"]
        source.listen(lambda span: self._take(Step(service, span)))

    def close(self, deadline: float) -> None:
        """Do nothing: the source has ended already, and what was kept can be read."""

    def _take(self, step: Step) -> None:
        trace = step.span.context.trace
        with self._lock:
            if trace == self._trace:  # after its root: work that a queue hands on
                self.steps.append(step)
            elif step.span.parent:
                self._open.setdefault(trace, []).append(step)
                # The oldest goes. Often that is what came after the root of another
                # trace than the slowest: nobody asks for it again.
                if len(self._open) > MAX_OPEN:
                    del self._open[next(iter(self._open))]
            else:
                self._end(trace, [*self._open.pop(trace, ()), step])

    def _end(self, trace: int, steps: list[Step]) -> None:
        root = steps[-1].span
        self.traces += 1
        if root.end_ns - root.start_ns > self._duration:
            self._duration = root.end_ns - root.start_ns
            self._trace = trace
            self.steps = steps
