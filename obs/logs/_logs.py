"""The logs of one instance: from a call to the lines and records that come of it."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any

from obs._clock import SystemClock
from obs._context import ANCHORED_NS, EXPORTING, Node, current
from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._identity import Unique
from obs._outcome import FAILURES, outcome_of
from obs.encoding import Plain, Redaction, json_line, sane
from obs.errors import DefinitionError, InvalidValue, shown, type_name
from obs.limits import Limits
from obs.logs._fields import SCOPE, Scope, fields_of
from obs.logs._hits import Counts
from obs.logs._hold import request_of
from obs.logs._kinds import Kinds
from obs.logs._levels import OFF, Levels, level_number
from obs.logs._logger import Logger
from obs.logs._pieces import Pieces
from obs.logs._record import Processor, made, processed, resolve
from obs.logs._route import Route, checked_format, checked_routes
from obs.logs._routed import routed_exporters
from obs.logs._stamp import Stamps
from obs.logs._vet import Vet
from obs.model import Level, LogRecord
from obs.protocols import Clock
from obs.redact import DEFAULT, check_redact

if TYPE_CHECKING:
    from obs.logs._outlet import Outlet
    from obs.logs._stdlib import Capture

_FAST = Limits()
"""What the fast way keeps below; where less is allowed, all goes the general way."""
_FIXED_BYTES = 128
"""What a record has besides event and fields: ids, time, and what goes around them."""
_DEPTH = 16
"""How deep a call that logs may come out of another one of the same thread."""


class NoIntake:
    """In the place of an intake, where there are no lanes."""

    room = capacity = 0
    queue: Any = ()

    def put(self, record: Any) -> None:
        """Take nothing."""

    past = put


class Logs(Unique):
    """Makes loggers; usable alone.

    Constructing opens nothing; a file is opened by the first line.

    Args:
        service: Who logs: the field ``service``.
        level: The lowest level that is made, where ``set_level`` says nothing else.
        log_format: What ``auto`` means as a route's format: ``json``, ``logfmt``,
            ``terminal``, or ``auto``: the terminal's form on a terminal, else JSON.
        routes: Where logs go; to stderr when there are none.
        redact: Masks secrets; None switches that off.
        limits: How much a record may hold.
        clock: Where time comes from.
        diag: Where losses are counted and said.
        intake: Where records wait for exporters.

    Attributes:
        service: Who logs.
        clock: Where time comes from.
        diag: Where losses are counted and said.
        exporters: The exporters that are sinks of routes, for whoever drives exporters.
        holds: Whether a route holds records; ``end_request`` is to be called then.
        levels: Which records are made.
        captures: What is taken from ``logging``, by the logger's name.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    def __init__(
        self,
        service: str = "",
        *,
        level: str = "info",
        log_format: str = "auto",
        routes: Iterable[Route] = (),
        redact: Redaction | None = DEFAULT,
        limits: Limits | None = None,
        clock: Clock | None = None,
        diag: Diag | None = None,
        intake: Any = None,
    ) -> None:
        check_redact(redact)
        self.clock = clock or SystemClock()
        mask = redact.text if redact else None
        self.diag = diag or Diag(service, clock=self.clock, mask=mask)
        self.intake = NoIntake() if intake is None else intake
        self._limits = limits or Limits()
        self.service = Plain(self._limits.record_bytes, redact).name(service)
        self._redact = redact
        self.levels = Levels(
            level_number("Logs: level", level), self.clock.monotonic_ns
        )
        self._format = checked_format(log_format)
        given = checked_routes(routes) or [Route()]
        self.exporters = routed_exporters(
            given, self.diag, self._limits, is_driven=intake is not None
        )
        self._routes = [route for route in given if route.exporter is None]
        held_from = min([route.hold for route in given])
        self.holds = held_from < OFF
        self.outlets: Sequence[Outlet] = ()
        self.vet = Vet(
            redact.is_secret if redact else _never,
            redact.text if redact else _as_it_is,
        )
        self.stamps = Stamps()
        self.pieces = Pieces(self.vet, redact, self._limits, self.service)
        self.hits = Counts()
        self.kinds = Kinds(self, self.levels, held_from)
        self.captures: dict[str, Any] = {}
        self._receivers: tuple[Callable[[LogRecord], object], ...] = ()
        self._processors: tuple[Any, ...] = ()
        self._depths: dict[int, int] = {}
        on_fork(self)

    # What applications use

    def logger(self, name: str = "", /, **bound: Any) -> Logger:
        """Give a logger.

        Args:
            name: Its name, such as ``orders`` or ``db.pool``.
            bound: Fields of all its records.

        Raises:
            DefinitionError: The name is not text.
        """
        if not isinstance(name, str):
            text = f"logger: the name got {shown(name)}, needs text."
            raise DefinitionError(text)
        logger = object.__new__(self.kinds.of(name))
        logger.bound = bound
        return logger

    def set_level(
        self, pattern: str, level: str, *, for_seconds: float | None = None
    ) -> None:
        """Change which records are made, at once, for loggers there are and will be.

        Args:
            pattern: A logger's name, or a pattern: ``*``, ``db.*`` (``db`` itself, too).
                The newest that fits counts.
            level: The lowest level that is made, or ``off``.
            for_seconds: For how long; what was said before counts again afterwards.

        Raises:
            DefinitionError: An argument breaks a rule.
        """
        with self.kinds.lock:
            self.levels.set(pattern, level, for_seconds)
            self.kinds.install_all()

    def fields(self, /, **fields: Any) -> Scope:
        """Give a block whose records have these fields, whichever logger makes them.

        with tel.logs.fields(request_id=rid) as request:
            ...
            request.bind(user=user.id)
        """
        return Scope(
            self, fields, self.pieces.of, self._end_scope if self.holds else None
        )

    def bind(self, /, **fields: Any) -> None:
        """Add fields to the innermost ``fields`` block, wherever that was begun.

        Outside of such a block nothing happens.
        """
        scope = SCOPE.get()
        while scope is not None and scope.owner is not self:
            scope = scope.up
        if scope is not None:
            scope.bind(**fields)

    def add_processors(self, *processors: Processor) -> None:
        """Have each record go through these first, in order, as structlog has it.

        Args:
            processors: Called with None in place of a logger, the level's name and a
                dict of the event and the fields, which they may change; they give it
                back, or raise ``structlog.DropEvent``. What else one raises is counted
                and said, and the record goes on as it is.

        Raises:
            DefinitionError: One cannot be called.
        """
        for processor in processors:
            if not callable(processor):
                text = f"add_processors: got {shown(processor)}, needs functions."
                raise DefinitionError(text)
        with self.kinds.lock:
            self._processors = (*self._processors, *processors)
            self.kinds.install_all()

    def capture_stdlib(
        self,
        level: str = "info",
        *,
        logger: str = "",
        warnings: bool = False,
        uncaught: bool = False,
        servers: bool = False,
    ) -> "Capture":
        """Take the records of ``logging``, too, until what this gives is closed.

        Args:
            level: The lowest level that is asked for. Of those records ``set_level`` and
                the level of this instance decide, as for loggers of ours.
            logger: The logger whose records are meant, with those below it; all when
                empty.
            warnings: Whether what ``warnings.warn`` says is logged, as ``py.warnings``.
            uncaught: Whether exceptions that nobody handles are logged, as
                ``obs.uncaught`` at level critical.
            servers: Whether the records of uvicorn and gunicorn are taken from their own
                handlers.

        Raises:
            DefinitionError: An argument breaks a rule.
        """
        from obs.logs._stdlib import Capture  # noqa: PLC0415 - logging: 10 ms

        return Capture(
            self, level, logger, warnings=warnings, uncaught=uncaught, servers=servers
        )

    def configure_structlog(self, processors: Iterable[Processor] = ()) -> None:
        """Have what loggers of structlog log come here, those there are already, too.

        Their names (the first argument of ``get_logger``), what is bound to them,
        ``structlog.contextvars`` and ``capture_logs`` mean what they did; levels are
        those of ``set_level``. ``structlog.reset_defaults()`` ends it.

        Args:
            processors: Run first, for records that are made; as structlog has them.

        Raises:
            DefinitionError: One cannot be called.
        """
        from obs.logs._structlog import configure  # noqa: PLC0415 - structlog: 12-54 ms

        configure(self, processors)

    def listen(self, receive: Callable[[LogRecord], object]) -> None:
        """Hand each record to ``receive``, at once, until ``forget``."""
        with self.kinds.lock:
            self._receivers = (*self._receivers, receive)
            self.kinds.install_all()

    def forget(self, receive: Callable[[LogRecord], object]) -> None:
        """Hand no more records to ``receive``."""
        with self.kinds.lock:
            self._receivers = tuple([it for it in self._receivers if it != receive])
            self.kinds.install_all()

    def flush(self) -> None:
        """Have written what is on its way, and what samplers left out reported."""
        for outlet in self.outlets:
            outlet.flush()

    def close(self) -> None:
        """Do so, and close the files; the next record opens them again."""
        for outlet in self.outlets:
            outlet.close()

    def reopen(self) -> None:
        """Have the files of routes opened anew before their next lines.

        Threads: any. It only sets flags, so a handler of SIGHUP may call it.
        """
        for outlet in self.outlets:
            outlet.reopen()

    def end_request(self, request: object, *, is_failed: bool) -> None:
        """Write what routes hold of a request that has failed, else forget it.

        Args:
            request: The ``Trace`` of a local root span that has ended.
            is_failed: Whether it ended in an error.
        """
        try:
            for outlet in self.outlets:
                if outlet.held is not None:
                    outlet.held.end(request, is_failed=is_failed)
        except RecursionError:  # what is left is forgotten; the host's own goes on
            return

    def counts(self) -> dict[tuple[str, ...], int | float]:
        """Give how many records there were, by level and logger."""
        return self.hits.read()

    def read(self, raw: Any) -> tuple[LogRecord, int]:
        """Give what was put into the intake as a record, and about how many bytes it has."""
        if type(raw) is LogRecord:
            record = raw
        else:
            now, level, event, name, trace, span, around, logger, fields = raw
            merged = {**(around or {}), **logger.bound, **fields}
            record = LogRecord(now, level, event, name, trace, span, merged)
            record, _ = sane(record, self._redact, self._limits)
        return record, _FIXED_BYTES + len(json_line(record.fields)) + len(record.event)

    def after_fork_in_child(self) -> None:
        """Count from zero: what the parent counted is in the parent."""
        self.kinds.after_fork_in_child()
        self._depths.clear()
        self.hits.clear()

    # What the methods of loggers call

    def log(
        self,
        name: str,
        level: Level,
        event: Any,
        args: tuple[Any, ...],
        bound: Mapping[str, Any],
        fields: Mapping[str, Any],
    ) -> None:
        """Make a record and hand it on: the general way, that takes anything."""
        self._guarded(self.emit, name, level, event, args, {**bound, **fields}, None)

    def hold(
        self,
        name: str,
        level: Level,
        event: Any,
        args: tuple[Any, ...],
        bound: Mapping[str, Any],
        fields: Mapping[str, Any],
    ) -> None:
        """Make a record for the routes that hold, if it belongs to a request."""
        if request_of(self) is not None:
            self._guarded(
                self._emit_held, name, level, event, args, {**bound, **fields}, None
            )

    def tell(
        self,
        logger: Logger,
        level: Level,
        event: str,
        fields: dict[str, Any],
        node: Node,
    ) -> None:
        """Make a record of something that has happened at this place of a trace."""
        self._guarded(
            self.emit, logger.name, level, event, (), {**logger.bound, **fields}, node
        )

    def logger_at_once(self, name: str) -> Logger | None:
        """Give a logger, or None where that could take a lock for long, or for ever."""
        kind = self.kinds.at_once(name)
        if kind is None:
            return None
        logger = object.__new__(kind)
        logger.bound = {}
        return logger

    def take(
        self,
        name: str,
        level: Level,
        event: Any,
        fields: dict[str, Any],
        at: int,
        *,
        is_written: bool = True,
    ) -> None:
        """Make a record of what another library has recorded, at that time.

        Args:
            name: The logger's.
            level: The level.
            event: What happened.
            fields: The fields.
            at: When, in ns since the epoch.
            is_written: Whether it is for more than the routes that hold.
        """
        if is_written:
            self._guarded(self.emit, name, level, event, (), fields, None, at)
        elif request_of(self) is not None:
            self._guarded(self._emit_held, name, level, event, (), fields, None, at)

    def _guarded(self, *call: Any) -> None:
        me = get_ident()
        depth = self._depths.get(me, 0)
        if depth >= _DEPTH:  # what logs while it is logged, for ever
            self.diag.dropped("logs", "invalid")
            return
        self._depths[me] = depth + 1
        try:
            self._log(*call)
        except InvalidValue:
            raise
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            self.failed(f"a record was not made: a {type_name(raised)} was raised.")
        finally:
            if depth:
                self._depths[me] = depth
            else:
                self._depths.pop(me, None)

    def _log(
        self,
        emit: Callable[[LogRecord], object],
        name: str,
        level: Level,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        node: Node | None,
        at: int | None = None,
    ) -> None:
        if event is None:  # a call without one, or as structlog takes it: event="x"
            event = fields.pop("event", "")
        if args:
            event = self.formatted(event, args)
        around = fields_of(SCOPE.get(), self)
        fields = made({**around, **fields})
        if self._processors:
            done = processed(self._processors, level, event, fields, self.failed)
            if done is None:
                return
            event, fields = done
        now, trace, span = self._place(node or current())
        now = now if at is None else at
        emit(LogRecord(now, level, event, name, trace, span, resolve(fields)))

    def emit(self, record: LogRecord) -> None:
        """Hand a record on: to the routes, the exporters, and who listens."""
        record = self._sane(record)
        self.hits.add(record.level, record.logger)
        request = request_of(self) if self.holds else None
        for outlet in self.outlets:
            outlet.take(record, request)
        # What an exporter's library logs while it sends would be sent, and so on.
        if self.intake.capacity and not EXPORTING.get():
            self.intake.put(record)
        for receive in self._receivers:
            try:
                receive(record)
            except BaseException as error:
                if is_the_hosts(error):
                    raise
                self.failed(f"a listener raised a {type_name(error)}.")

    def writes_to_stderr(self) -> bool:
        """Whether one route leads to stderr."""
        sinks = [route.sink for route in self._routes]
        return any(sink in ("stderr", 2) or sink is sys.stderr for sink in sinks)

    def _emit_held(self, record: LogRecord) -> None:
        """Hand a record to the routes that hold, and nobody else."""
        record, request = self._sane(record), request_of(self)
        uncounted = [None]
        for outlet in self.outlets:
            outlet.hold(record, request, uncounted)

    def _sane(self, record: LogRecord) -> LogRecord:
        record, cut = sane(record, self._redact, self._limits)
        if cut:
            self.diag.truncated("logs", cut)
        return record

    def _end_scope(self, scope: Scope, error: BaseException | None) -> None:
        is_failed = error is not None and outcome_of(error, _nobody) in FAILURES
        self.end_request(scope, is_failed=is_failed)

    def formatted(self, event: Any, args: tuple[Any, ...]) -> Any:
        """Give an event with its values in it, or as it is where they do not fit."""
        try:
            return self.pieces.formatted(event, args)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            # First the secrets, then the cut: of half of one nothing tells what it is.
            plain = Plain(self._limits.record_bytes, self._redact)
            event, *found = plain.value([event, *args])
            text = f"log: {shown(event)} does not take {len(args)} values by %."
            self.diag.invalid("format", text, "logs")
            return f"{event} {shown(tuple(found))}"

    def _place(self, node: Node | None) -> tuple[int, int, int]:
        """Give the time and the ids of a position."""
        if node is None:
            return self.clock.time_ns(), 0, 0
        trace, now = node.trace, self.clock.monotonic_ns()
        if now > trace.stale:
            trace.offset = self.clock.time_ns() - now
            trace.stale = now + ANCHORED_NS
        return now + trace.offset, trace.id, node.span_id if trace.id else 0

    def failed(self, text: str) -> None:
        """Count a record that was not made as it should, and say why."""
        self.diag.dropped("logs", "invalid")
        self.diag.say("log", text)

    def open_outlets(self) -> None:
        """Have the routes at work, before there is the first logger."""
        if not self.outlets:
            # Loaded here: 2 ms that only who logs shall pay.
            from obs.logs._outlet import Outlet  # noqa: PLC0415 - see above

            service, diag, clock = self.service, self.diag, self.clock
            given = service, diag, clock, self.hits.add, self._format, self._limits
            self.outlets = [Outlet(route, *given) for route in self._routes]

    def is_simple(self) -> bool:
        """Whether all that is to be done for a record is one line of JSON."""
        return (
            self._limits.attributes >= _FAST.attributes
            and self._limits.record_bytes >= _FAST.record_bytes
            and not self._processors
            and not self._receivers
            and len(self.outlets) == 1
            and self.outlets[0].is_plain
        )


def _never(name: str) -> bool:
    """Say of no name that it is secret."""
    return False


def _as_it_is(text: str) -> str:
    """Mask nothing."""
    return text


def _nobody(error: Exception) -> None:
    """Have no rule of one's own."""
