"""An exporter as the sink of a route: its lane gets all records, it gets what passes."""

from collections.abc import Iterator, Mapping, Sequence

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, type_name
from obs.limits import Limits
from obs.logs._levels import NUMBERS
from obs.logs._redacted import redacted
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
        diag: Counts and says what ``keep`` raises; what ``redact`` raises is said.
        limits: How much a record may hold.
    """

    signals = frozenset({"logs"})

    def __init__(
        self,
        exporter: PushExporter,
        route: Route,
        diag: Diag,
        limits: Limits | None = None,
    ) -> None:
        self.name = exporter.name
        self.delivery = exporter.delivery
        self.imports = tuple(getattr(exporter, "imports", ()))
        self._exporter = exporter
        self._route = route
        self._diag = diag
        self._limits = limits or Limits()

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Yield the bodies of what passes."""
        records: Sequence[LogRecord] = batch.records
        places, passing, bad = self._chosen(records)
        if not places:
            yield Payload(b"", 0, _left_out(len(records), len(bad)))
            return
        at = first = 0
        for payload in self._exporter.encode(batch._replace(records=passing)):
            # It stands for the records up to the next one that passes, all told.
            after = first + payload.records + sum(payload.dropped.values())
            end = places[after] if after < len(places) else len(records)
            left_out = end - at - (min(after, len(places)) - first)
            n_bad = sum([at <= place < end for place in bad])
            at, first = end, after
            dropped = _left_out(left_out, n_bad, payload.dropped)
            yield payload._replace(dropped=dropped)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Send one body."""
        return self._exporter.send(payload, deadline)

    def close(self, deadline: float) -> None:
        """Let go of connections."""
        self._exporter.close(deadline)

    def _chosen(
        self, records: Sequence[LogRecord]
    ) -> tuple[list[int], list[LogRecord], list[int]]:
        """Give the places of what goes, that itself, and the places of what cannot go."""
        places, passing, bad = [], [], []
        for at, record in enumerate(records):
            if not self._passes(record):
                continue
            found = self._redacted(record)
            if found is None:
                bad.append(at)
            else:
                places.append(at)
                passing.append(found)
        return places, passing, bad

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

    def _redacted(self, record: LogRecord) -> LogRecord | None:
        """Give a record as the route masks it; None where secrets may be left in it."""
        redact = self._route.redact
        try:
            return record if redact is None else redacted(record, redact, self._limits)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            text = f"logs {self.name!r}: redact raised a {type_name(raised)}. "
            text += "The record is left out."
            self._diag.say("invalid", text, once=f"redact {self.name}")
            return None


def _left_out(
    n: int, n_invalid: int, dropped: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Give what is dropped with ``n`` more, of which some could not be redacted."""
    found = dict(dropped or {})
    # The exporter may have left some out for either reason by itself.
    found[FILTERED] = found.get(FILTERED, 0) + n - n_invalid
    if n_invalid:
        found["invalid"] = found.get("invalid", 0) + n_invalid
    return found


def routed_exporters(
    routes: list[Route], diag: Diag, limits: Limits, *, is_driven: bool
) -> list[RoutedExporter]:
    """Give the exporters that are sinks of routes.

    Raises:
        DefinitionError: There is one, and nobody who drives it.
    """
    found = [
        RoutedExporter(route.exporter, route, diag, limits)
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
