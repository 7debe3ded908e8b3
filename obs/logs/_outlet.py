"""A route at work."""

import os
from collections.abc import Callable
from typing import Any

from obs._clock import Clock, SystemClock
from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs.errors import type_name
from obs.limits import Limits
from obs.logs._descriptor import Descriptor
from obs.logs._form import form_of, format_of
from obs.logs._hold import REPLAYED, Held, Waiting, size_of
from obs.logs._levels import NUMBERS, OFF
from obs.logs._marks import marked
from obs.logs._record import renderers
from obs.logs._redacted import redacted
from obs.logs._route import Route
from obs.logs._sample import SUPPRESSED, Sampler
from obs.model import LogRecord

Count = Callable[[str, str], object]
"""Counts a record by its level and logger."""


def uncounted(level: str, logger: str) -> None:
    """Count nothing."""


class Outlet:
    """A route at work; its sink is no exporter.

    Threads: any, at any moment.

    Args:
        route: The route.
        service: Who logs.
        diag: Where failures are counted and said.
        clock: Where time comes from.
        count: Counts a held record that is written after all.
        auto: The format of a route that leaves it to the instance.
        limits: How much a record may hold.

    Attributes:
        sink: Where its lines go.
        level: The number of the lowest level that goes.
        held: What it holds; None where it does not.
        is_plain: Whether it does nothing but to write JSON.
    """

    def __init__(
        self,
        route: Route,
        service: str,
        diag: Diag,
        clock: Clock | None = None,
        count: Count = uncounted,
        auto: str = "auto",
        limits: Limits | None = None,
    ) -> None:
        name = self._name = _name_of(route.sink)
        sink: Any = route.sink
        self.sink = Descriptor(sink, diag, name=name)
        self.level = route.level
        self._diag = diag
        self._limits = limits or Limits()
        self._keep, self._redact, self._count = route.keep, route.redact, count
        format = format_of(auto if route.format == "auto" else route.format, sink)
        renderers()  # imported here: not where a record is made
        self._form = form_of(format, sink, route.rename, service, diag, name)
        clock = clock or SystemClock()
        self._sampler = None
        if route.sample is not None:
            self._sampler = Sampler(route.sample, clock, diag, name, self._write)
        self._failover = [
            Outlet(it, service, diag, clock, auto=auto, limits=limits)
            for it in route.failover
        ]
        self._holds_from = route.hold
        self.held = None if route.hold >= OFF else Held(diag, name, self._replay)
        self.is_plain = (
            format == "json"
            and route.level <= min(NUMBERS.values())
            and not (route.keep or route.sample or route.failover or route.rename)
            and route.redact is None
            and self.held is None
        )

    def take(self, record: LogRecord, request: object | None = None) -> bool:
        """Write a record if it goes this way, or hold it.

        Args:
            record: The record; a sane one.
            request: What it belongs to; None where it is not to be held.

        Returns:
            Whether it has been dealt with: False if it goes another way, or is lost.
        """
        if NUMBERS[record.level] < self.level:
            self.hold(record, request, [])
            return False
        if not self._is_kept(record):
            return False
        if self._sampler is not None:
            left_out = self._sampler.ask(record)
            if left_out < 0:
                return True
            if left_out:
                record = marked(record, SUPPRESSED, left_out)
        return self._write(record)

    def hold(
        self, record: LogRecord, request: object | None, uncounted: list[None]
    ) -> None:
        """Hold a record until its request ends, if this outlet does.

        Args:
            record: The record; a sane one.
            request: What it belongs to; None where it is not to be held.
            uncounted: An item, where the record is made for those that hold alone.
        """
        if self.held is None or request is None:
            return
        if NUMBERS[record.level] >= self._holds_from and self._is_kept(record):
            size = size_of(record.event) + size_of(record.fields)
            self.held.put(request, Waiting(record, size, uncounted))

    def flush(self) -> None:
        """Report what was left out, and write what waits; what fails is said."""
        if self._sampler is not None:
            self._attempt("flush", self._sampler.flush)
        self._attempt("flush", self.sink.flush)
        for outlet in self._failover:
            outlet.flush()

    def close(self) -> None:
        """Do so, and close what was opened here; the next line opens it again."""
        self.flush()
        self._attempt("close", self.sink.close)
        for outlet in self._failover:
            outlet.close()

    def reopen(self) -> None:
        """Have files opened anew before the next line."""
        self.sink.reopen()
        for outlet in self._failover:
            outlet.reopen()

    def _attempt(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            self._failed(what, raised, "Lines may be lost.")

    def _is_kept(self, record: LogRecord) -> bool:
        if self._keep is None:
            return True
        try:
            return bool(self._keep(record))
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            self._failed("keep", raised, "The record is kept.")
            return True

    def _line(self, record: LogRecord) -> bytes | None:
        """Make the line of a record; None where secrets may be left in it."""
        if self._redact is not None:
            try:
                record = redacted(record, self._redact, self._limits)
            except BaseException as raised:
                if is_the_hosts(raised):
                    raise
                self._failed("redact", raised, "The record is left out.")
                return None
        return self._form(record)

    def _write(self, record: LogRecord) -> bool:
        line = self._line(record)
        if line is None:
            return False
        if self.sink.write(line):
            return True
        return any(outlet.take(record) for outlet in self._failover)

    def _replay(self, held: Waiting) -> None:
        record = held.record
        if held.uncounted:
            held.uncounted.pop()
            self._count(record.level, record.logger)
        self._write(marked(record, REPLAYED, value=True))

    def _failed(self, what: str, raised: BaseException, then: str) -> None:
        self._diag.dropped("logs", "invalid", exporter=self._name)
        text = f"logs {self._name!r}: {what} raised a {type_name(raised)}. {then}"
        self._diag.say("invalid", text, once=f"{what} {self._name}")


def _name_of(sink: Any) -> str:
    if isinstance(sink, str | os.PathLike):
        return os.fspath(sink)
    return f"descriptor {sink}" if type(sink) is int else "stream"
