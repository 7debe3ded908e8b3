"""An exporter as the sink of a route: its lane gets all records, it gets what passes."""

from collections.abc import Iterator, Sequence

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.encoding import sane
from obs.errors import DefinitionError, type_name
from obs.logs._levels import NUMBERS
from obs.logs._route import Route
from obs.model import Ack, Batch, LogRecord, Payload
from obs.protocols import PushExporter

FILTERED = "filtered"
"""Why a record is dropped that does not go this way."""


class RoutedExporter:
    """Sends the logs that pass a route's ``level`` and ``keep``.

    What does not is dropped when a batch is encoded, on the lane's thread: whoever logs
    does no more than for other exporters.

    Args:
        exporter: What sends.
        route: The route.
        diag: Counts what ``keep`` raises.
    """

    signals = frozenset({"logs"})

    def __init__(self, exporter: PushExporter, route: Route, diag: Diag) -> None:
        self.name = exporter.name
        self.delivery = exporter.delivery
        self._exporter = exporter
        self._route = route
        self._diag = diag

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Yield the bodies of what passes."""
        records: Sequence[LogRecord] = batch.records
        places = [at for at, record in enumerate(records) if self._passes(record)]
        if not places:
            yield Payload(b"", 0, {FILTERED: len(records)})
            return
        passing = [self._redacted(records[at]) for at in places]
        at = first = 0
        for payload in self._exporter.encode(batch._replace(records=passing)):
            # It stands for the records up to the next one that passes, all told.
            after = first + payload.records + sum(payload.dropped.values())
            end = places[after] if after < len(places) else len(records)
            filtered = end - at - (min(after, len(places)) - first)
            at, first = end, after
            yield payload._replace(dropped={**payload.dropped, FILTERED: filtered})

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Send one body."""
        return self._exporter.send(payload, deadline)

    def close(self, deadline: float) -> None:
        """Let go of connections."""
        self._exporter.close(deadline)

    def _passes(self, record: LogRecord) -> bool:
        route = self._route
        if NUMBERS[record.level] < route.level:
            return False
        try:
            return route.keep is None or bool(route.keep(record))
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            self._diag.dropped("logs", "invalid", exporter=self.name)
            text = f"logs {self.name!r}: keep raised a {type_name(raised)}. "
            text += "The record is kept."
            self._diag.say("invalid", text, once=f"keep {self.name}")
            return True

    def _redacted(self, record: LogRecord) -> LogRecord:
        redact = self._route.redact
        return record if redact is None else sane(record, redact)[0]


def routed_exporters(
    routes: list[Route], diag: Diag, *, is_driven: bool
) -> list[RoutedExporter]:
    """Give the exporters that are sinks of routes.

    Raises:
        DefinitionError: There is one, and nobody who drives it.
    """
    found = [
        RoutedExporter(route.exporter, route, diag)
        for route in routes
        if route.exporter is not None
    ]
    if found and not is_driven:
        text = (
            "Logs: a route's sink is an exporter, which needs somebody who drives it. "
            "Give the routes to Obs."
        )
        raise DefinitionError(text)
    return found
