"""A finished span as a record: limits kept, values made sane. Not on a hot path."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obs._context import context_of
from obs._diag import Diag
from obs._outcome import FAILURES
from obs.limits import Limits
from obs.model import NO_BAGGAGE, SpanEvent, SpanLink, SpanRecord
from obs.trace._span import Details, Span
from obs.trace._values import Cleaner

if TYPE_CHECKING:
    from obs.encoding._redaction import Redaction

_NO_DETAILS = Details()
_FIXED_BYTES = 256
"""What a span has besides texts and numbers: ids, times, and what goes around values."""


class SpanReader:
    """Turns finished spans into records.

    Threads: any.

    Args:
        limits: What one record may hold.
        diag: Where what is cut is counted.
        redact: What masks secrets; None: nothing does.
    """

    def __init__(
        self, limits: Limits, diag: Diag, redact: "Redaction | None" = None
    ) -> None:
        from obs._stacks import render  # noqa: PLC0415 - traceback, tokenize

        self._limits = limits
        self._diag = diag
        self._redact = redact
        self._render = render

    def read(self, span: Span) -> SpanRecord:
        """Give the record of a span that has ended."""
        return self.sized(span)[0]

    def sized(self, span: Span) -> tuple[SpanRecord, int]:
        """Give the record of a span that has ended, and about how many bytes it has."""
        clean = Cleaner(self._limits, self._diag, self._render, self._redact)
        details = span.details or _NO_DETAILS
        cut = dict(details.cut)
        start_ns = details.start_ns or span.started + span.offset
        # In the order in which they get of the record's room.
        record = SpanRecord(
            name=clean.name(span.name),
            status_message=clean.text(details.message),
            error_type=clean.text(details.error_type),
            attributes=self._attributes(clean, span.attributes, cut),
            links=[self._link(clean, link) for link in list(details.links)],
            events=self._events(clean, list(details.events), cut),
            dropped=self._counted(cut),
            context=context_of(span, NO_BAGGAGE),
            parent=span.parent_id,
            kind=span.kind,
            start_ns=start_ns,
            end_ns=max(span.ended + span.offset, start_ns),
            status="error" if details.outcome in FAILURES else "unset",
            outcome=details.outcome,
            remote_parent=span.parent_id != 0 and span.is_local_root,
        )
        return record, _FIXED_BYTES + self._limits.record_bytes - clean.left

    def _counted(self, cut: dict[str, int]) -> dict[str, int]:
        if cut:
            self._diag.truncated("traces", sum(cut.values()))
        return cut

    def _attributes(
        self, clean: Cleaner, given: Mapping[str, Any], cut: dict[str, int]
    ) -> dict[str, Any]:
        attributes = clean.attributes(given, self._limits.attributes)
        _count(cut, "attributes", len(given) - len(attributes))
        return attributes

    def _events(
        self, clean: Cleaner, given: list[SpanEvent], cut: dict[str, int]
    ) -> list[SpanEvent]:
        """Give the events for which there is room: the newest, often an exception."""
        events: list[SpanEvent] = []
        for event in reversed(given):
            if clean.is_full:
                break
            name = clean.name(event.name)
            attributes = self._details(clean, event.attributes)
            events.append(SpanEvent(name, event.time_ns, attributes))
        _count(cut, "events", len(given) - len(events))
        return events[::-1]

    def _link(self, clean: Cleaner, link: SpanLink) -> SpanLink:
        return SpanLink(link.context, self._details(clean, link.attributes))

    def _details(self, clean: Cleaner, given: Mapping[str, Any]) -> dict[str, Any]:
        cut: dict[str, int] = {}
        attributes = self._attributes(clean, given, cut)
        if cut:
            self._diag.truncated("traces", cut["attributes"])
        return attributes


def _count(cut: dict[str, int], what: str, n: int) -> None:
    if n > 0:
        cut[what] = cut.get(what, 0) + n
