"""The logs of one instance: from a call to the lines and records that come of it."""

import sys
from collections.abc import Callable, Iterable, Mapping
from gc import is_tracked
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, TypeAlias

from obs._clock import SystemClock
from obs._context import ANCHORED_NS, EXPORTING, Node, current
from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._identity import Unique
from obs._outcome import FAILURES, outcome_of
from obs._tally import Tally, plus_is_exact
from obs.encoding import Plain, Redaction, json_line, sane
from obs.errors import DefinitionError, InvalidValue, shown, type_name
from obs.limits import Limits
from obs.logs._fields import SCOPE, Scope, fields_of
from obs.logs._hold import request_of
from obs.logs._levels import NUMBERS, OFF, Levels, level_number
from obs.logs._logger import (
    ALIASES,
    MOST_OWN,
    Logger,
    expiring,
    fused,
    general,
    holding,
    off,
)
from obs.logs._outlet import Outlet
from obs.logs._record import Lazy, Processor, formatted, made, processed, resolve
from obs.logs._route import FORMATS, Route
from obs.logs._routed import RoutedExporter
from obs.logs._stamp import Stamps
from obs.logs._vet import RESERVED, Known, Vet
from obs.model import Level, LogRecord
from obs.protocols import Clock
from obs.redact import DEFAULT, check_redact

_NAMES = 1_000
"""How many loggers of different names there may be; the others are one, ``other``."""
_EVENTS = 16_384
"""How many events of one level are kept encoded, of all loggers together."""
_LEAST_EVENTS = 32
"""Of each logger."""
_EVENT_CHARS = 256
_SETS = 1_024
_MOST_BOUND = 32
"""How many fields a piece has: with those of the call they stay below the limit."""
if TYPE_CHECKING:
    from obs.logs._stdlib import Capture

Pieces: TypeAlias = tuple[bytes, bytes]
_FAST = Limits()
"""What the fast way keeps below; where less is allowed, all goes the general way."""
_FIXED_BYTES = 128
"""What a record has besides event and fields: ids, time, and what goes around them."""
_DEPTH = 16
"""How deep a call that logs may come out of another one of the same thread."""


class Hits:
    """How many records there were of one logger and level.

    Attributes:
        cell: A list of one, to which the fused method adds.
        tally: What everybody else adds to.
    """

    __slots__ = ("cell", "tally")

    def __init__(self) -> None:
        self.cell = [0]
        self.tally = Tally()

    def read(self) -> int | float:
        """Give the number."""
        return self.cell[0] + self.tally.read()

    def clear(self) -> None:
        """Start from zero again."""
        self.cell[0] = 0
        self.tally.clear()


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
        self.service = service
        self._limits = limits or Limits()
        self._redact = redact
        self.levels = Levels(
            level_number("Logs: level", level), self.clock.monotonic_ns
        )
        self._format = _checked_format(log_format)
        given = _checked(routes) or [Route()]
        self.exporters = _exporters(
            given, self.diag, self._limits, is_driven=intake is not None
        )
        self._routes = [route for route in given if route.exporter is None]
        self._held_from = min([route.hold for route in given])
        self.holds = self._held_from < OFF
        self.outlets: list[Outlet] = []
        self.vet = Vet(
            redact.is_secret if redact else _never,
            redact.text if redact else _as_it_is,
        )
        self.stamps = Stamps()
        self._kinds: dict[str, type[Logger]] = {}
        self._known: dict[tuple[str, ...], Known] = {}
        self._hits: dict[tuple[str, str], Hits] = {}
        self.captures: dict[str, Any] = {}
        self._receivers: tuple[Callable[[LogRecord], object], ...] = ()
        self._processors: tuple[Any, ...] = ()
        self._depths: dict[int, int] = {}
        # Of a signal handler or a finalizer, too, that comes while this thread holds it.
        self._lock = RLock()
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
        logger = object.__new__(self._kind(name))
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
        with self._lock:
            self.levels.set(pattern, level, for_seconds)
            self._install_all()

    def fields(self, /, **fields: Any) -> Scope:
        """Give a block whose records have these fields, whichever logger makes them.

        with tel.logs.fields(request_id=rid) as request:
            ...
            request.bind(user=user.id)
        """
        return Scope(self, fields, self._piece, self._end_scope if self.holds else None)

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
            processors: Called with the logger, the level's name and a dict of the event
                and the fields, which they may change; they give it back, or raise
                ``structlog.DropEvent``. What else one raises is counted and said, and
                the record goes on as it was.

        Raises:
            DefinitionError: One cannot be called.
        """
        for processor in processors:
            if not callable(processor):
                text = f"add_processors: got {shown(processor)}, needs functions."
                raise DefinitionError(text)
        with self._lock:
            self._processors = (*self._processors, *processors)
            self._install_all()

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
        with self._lock:
            self._receivers = (*self._receivers, receive)
            self._install_all()

    def forget(self, receive: Callable[[LogRecord], object]) -> None:
        """Hand no more records to ``receive``."""
        with self._lock:
            self._receivers = tuple([it for it in self._receivers if it != receive])
            self._install_all()

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
        return {key: hits.read() for key, hits in self._hits.copy().items()}

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
        self._lock = RLock()  # a thread that is not here may hold the other
        self._depths.clear()
        for hits in list(self._hits.values()):
            hits.clear()

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
        kind = self._kinds.get(name)
        if kind is None:
            if not self._lock.acquire(blocking=False):
                return None
            try:
                kind = self._find_kind(name)
            finally:
                self._lock.release()
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
        self._count(record.level, record.logger)
        request = request_of(self) if self.holds else None
        for outlet in self.outlets:
            outlet.take(record, request)
        # What an exporter's library logs while it sends would be sent, and so on.
        if self.intake.capacity and not EXPORTING.get():
            self.intake.put(record)
        for receive in self._receivers:
            try:
                receive(record)
            except Exception as error:  # noqa: BLE001 - a foreign function
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

    def _count(self, level: str, name: str) -> None:
        self._hits_of(level, name).tally.add(1)

    def _end_scope(self, scope: Scope, error: BaseException | None) -> None:
        is_failed = error is not None and outcome_of(error, _nobody) in FAILURES
        self.end_request(scope, is_failed=is_failed)

    def least_of(self, kind: type[Logger]) -> int:
        """Give the number of the lowest level that loggers of a name make."""
        if kind.until is not None and self.clock.monotonic_ns() >= kind.until:
            self._install(kind)
        return kind.least

    def prepare(self, bound: dict[str, Any]) -> tuple[Known, bytes | None]:
        """Encode what is bound to a logger, and say which names are known beside it.

        The bytes are None where the names are such that a record takes the general way.
        """
        names = (*bound,)
        known = self._known.get(names)
        if known is None:
            known = Known(names)
            if len(self._known) < _SETS:
                known = self._known.setdefault(names, known)
        return known, self._piece(bound)

    def around(self, name: str, level: str) -> Pieces | None:
        """Encode what stands around the event; None where a name needs the general way."""
        if not self.vet.all((name, self.service)):
            return None
        fixed = [("logger", name), ("service", self.service)]
        behind = {key: value for key, value in fixed if value}
        tail = b"," + json_line(behind)[1:-2] if behind else b""
        return b',"level":"%b","event":' % level.encode(), tail

    def head_of(
        self, event: Any, around: Pieces | None, events: dict[str, bytes]
    ) -> bytes | None:
        """Encode level, event, logger and service, and keep that; None as ``around``."""
        if around is None or event.__class__ is not str or not self.vet.all((event,)):
            return None
        head = around[0] + json_line(event)[:-1] + around[1]
        if len(event) <= _EVENT_CHARS:
            if len(events) >= max(_EVENTS // (len(self._kinds) or 1), _LEAST_EVENTS):
                events.clear()
            events[event] = head
        return head

    def ids_of(self, node: Node) -> bytes:
        """Encode the ids of a position in a trace, and keep them there."""
        ids = ""
        if node.trace.id:
            # Four times as fast as a format.
            trace = node.trace.id.to_bytes(16, "big").hex()
            span = node.span_id.to_bytes(8, "big").hex()
            ids = f',"trace_id":"{trace}","span_id":"{span}"'
        node.log_ids = ids.encode()
        return node.log_ids

    def tidy(
        self, fields: dict[str, Any], known: Known
    ) -> tuple[dict[str, Any], bytes] | None:
        """Give a call's own fields made plain, and encoded; None for the general way."""
        if len(fields) > MOST_OWN or not known.taken.isdisjoint(fields):
            return None
        plain = self._plain(fields)
        return None if plain is None else (plain, json_line(plain))

    def _plain(self, fields: dict[str, Any]) -> dict[str, Any] | None:
        """Give fields made plain, where that changes no name and cuts nothing."""
        if not RESERVED.isdisjoint(fields):
            return None
        if any(type(value) is Lazy for value in fields.values()):
            return None
        plain = Plain(self._limits.record_bytes, self._redact)
        found = plain.mapping(fields, self._limits.attributes)
        return None if plain.cut or found.keys() != fields.keys() else found

    def _piece(self, fields: dict[str, Any]) -> bytes | None:
        """Encode fields as a piece of a line; None where a line needs the general way."""
        if not fields:
            return b""
        if len(fields) > _MOST_BOUND:
            return None
        line = self._line_of(fields)
        if line is None and (plain := self._plain(fields)) is not None:
            line = json_line(plain)
        return None if line is None else b"," + line[1:-2]

    def _line_of(self, fields: dict[str, Any]) -> bytes | None:
        """Encode fields if they are harmless as they are."""
        if is_tracked(fields):
            return None
        try:
            if self.vet.names(fields, Known(())) and self.vet.all(fields.values()):
                return json_line(fields)
        except BaseException as raised:
            # A value without a hash; one that is equal to a known one, and not plain.
            if is_the_hosts(raised):
                raise
        return None

    def formatted(self, event: Any, args: tuple[Any, ...]) -> Any:
        """Give an event with its values in it, or as it is where they do not fit."""
        try:
            return formatted(event, args)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            # Without secrets before it is cut: nothing tells that half of one is one.
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

    # What changes when something is defined

    def _kind(self, name: str) -> type[Logger]:
        """Give the class of the loggers of a name."""
        kind = self._kinds.get(name)
        if kind is None:
            with self._lock:
                kind = self._find_kind(name)
        return kind

    def _find_kind(self, name: str) -> type[Logger]:
        if len(self._kinds) >= _NAMES:
            text = f"there are {_NAMES} loggers; what {shown(name)} logs is 'other'."
            self.diag.say("loggers", text)
            name = "other"
        return self._kinds.get(name) or self._new_kind(name)

    def _new_kind(self, name: str) -> type[Logger]:
        if not self.outlets:
            self.outlets = [
                Outlet(
                    route,
                    self.service,
                    self.diag,
                    self.clock,
                    self._count,
                    self._format,
                    self._limits,
                )
                for route in self._routes
            ]
        members = {"__slots__": (), "logs": self, "name": name}
        kind = type("Logger", (Logger,), members)
        self._install(kind)
        # A finalizer may have made one of the same name meanwhile.
        return self._kinds.setdefault(name, kind)

    def _install_all(self) -> None:
        for kind in list(self._kinds.values()):
            self._install(kind)

    def _install(self, kind: type[Logger]) -> None:
        """Give a class the methods that fit what is said about its name."""
        kind.written, kind.until = self.levels.least(kind.name)
        # What is off is not held either.
        is_held = kind.written < OFF and self._held_from < kind.written
        kind.least = self._held_from if is_held else kind.written
        for level, number in NUMBERS.items():
            setattr(kind, level, self._method(kind, level, number))
        for alias, name in ALIASES.items():
            setattr(kind, alias, getattr(kind, name))

    def _method(
        self, kind: type[Logger], level: Level, number: int
    ) -> Callable[..., None]:
        if kind.until is not None:
            return expiring(level)
        if number < kind.least:
            return off
        if number < kind.written:
            return holding(level)
        if self._is_simple():
            return fused(self, kind.name, level, self._hits_of(level, kind.name).cell)
        return general(level)

    def _is_simple(self) -> bool:
        """Whether all that is to be done for a record is one line of JSON."""
        return (
            plus_is_exact()
            and self._limits.attributes >= _FAST.attributes
            and self._limits.record_bytes >= _FAST.record_bytes
            and not self._processors
            and not self._receivers
            and len(self.outlets) == 1
            and self.outlets[0].is_plain
        )

    def _hits_of(self, level: str, name: str) -> Hits:
        hits = self._hits.get((level, name))
        if hits is None:
            hits = self._hits.setdefault((level, name), Hits())
        return hits


def _never(name: str) -> bool:
    """Say of no name that it is secret."""
    return False


def _as_it_is(text: str) -> str:
    """Mask nothing."""
    return text


def _nobody(error: Exception) -> None:
    """Have no rule of one's own."""


def _checked_format(log_format: str) -> str:
    if log_format not in FORMATS:
        words = ", ".join(FORMATS)
        text = f"Logs: log_format got {shown(log_format)}, needs one of {words}."
        raise DefinitionError(text)
    return log_format


def _exporters(
    routes: list[Route], diag: Diag, limits: Limits, *, is_driven: bool
) -> list[RoutedExporter]:
    """Give the exporters that are sinks of routes."""
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


def _checked(routes: Iterable[Route]) -> list[Route]:
    found = list(routes) if isinstance(routes, Iterable) else [routes]
    for route in found:
        if not isinstance(route, Route):
            text = f"Logs: routes got {shown(route)}, needs Route objects."
            raise DefinitionError(text)
    return found
