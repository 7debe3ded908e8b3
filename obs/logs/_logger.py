"""The logger: structlog's manners, and one flat method for each level.

A record of nothing but harmless names and values (see ``Vet``) is written by that one
method: the line is put together from pieces that were encoded before (the time's
millisecond, the event, the ids of the span, what is bound) and one ``dumps`` of the
call's own fields. All else goes to ``Logs.log``, which gives the same bytes; a test
proves that.
"""

from __future__ import annotations

import os
from gc import is_tracked
from typing import TYPE_CHECKING, Any, ClassVar, Self

from obs._context import CURRENT, EXPORTING
from obs._context import current as innermost
from obs._foreign import is_the_hosts
from obs.encoding import dumper
from obs.logs._fields import SCOPE
from obs.logs._levels import BY_NAME, NUMBERS, OFF, level_of
from obs.logs._pieces import MOST_OWN, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from obs.logs._logs import Logs
    from obs.logs._pieces import Around
    from obs.logs._vet import Known
    from obs.model import Level

_new = object.__new__
MOST_LINE = 15_000
"""How long a line of the fast way may be.

Nothing in it is cut then: a record has 64 KiB, of which no byte of a line stands for more
than four (a number takes eight, and two in a line), and no text is half of what is left.
"""


class Logger:
    """A structured logger; ``Logs.logger`` makes it.

    Each name has a class of its own, whose methods are those of its level. All methods
    that log take the event (constant text), values for ``%`` in it, and fields of any
    name; four of them mean something:

    ``exc_info``    True, an exception or a tuple of three: ``exception.type``,
                    ``.message`` and ``.stacktrace`` are added
    ``stack_info``  True: where the call stands, as ``stack``
    ``caller``      True: ``code.file.path``, ``code.line.number``, ``code.function.name``

    Threads: any, at any moment: signal handlers and collector callbacks, too.
    """

    __slots__ = ("_bytes", "_safe", "bound")

    logs: ClassVar[Logs]
    name: ClassVar[str]
    least: ClassVar[int]
    """The number of the lowest level that is made, if only to be held."""
    written: ClassVar[int]
    """The number of the lowest level that is not only held."""
    until: ClassVar[int | None]
    """When that is to be found out again, by the monotonic clock, in ns."""
    bound: dict[str, Any]
    _bytes: bytes | None
    _safe: Known

    if TYPE_CHECKING:
        # Put in place for each class by `methods`.
        def trace(self, event: str, /, *args: Any, **fields: Any) -> None: ...
        def debug(self, event: str, /, *args: Any, **fields: Any) -> None: ...
        def info(self, event: str, /, *args: Any, **fields: Any) -> None: ...
        def warning(self, event: str, /, *args: Any, **fields: Any) -> None: ...
        def error(self, event: str, /, *args: Any, **fields: Any) -> None: ...
        def critical(self, event: str, /, *args: Any, **fields: Any) -> None: ...

        warn, fatal, msg = warning, critical, info

    def exception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log at level error, with the exception that is being handled."""
        fields.setdefault("exc_info", True)
        self.error(event, *args, **fields)

    def log(self, level: int | str, event: str, /, *args: Any, **fields: Any) -> None:
        """Log at a level given by name, or by the number of the standard library."""
        if isinstance(level, int):
            name: str = level_of(level)
        else:
            name = level.lower() if type(level) is str else "info"
        method = self.info
        if name in NUMBERS or name in ALIASES:
            method = getattr(self, name)
        method(event, *args, **fields)

    def bind(self, /, **fields: Any) -> Self:
        """Give a logger that adds these fields to each record."""
        logger = _new(type(self))
        logger.bound = {**self.bound, **fields}
        return logger

    def unbind(self, *names: str) -> Self:
        """Give a logger without these fields.

        Raises:
            KeyError: One is not bound.
        """
        for name in names:
            if name not in self.bound:
                raise KeyError(name)
        return self.try_unbind(*names)

    def try_unbind(self, *names: str) -> Self:
        """Give a logger without these fields, bound or not."""
        logger = _new(type(self))
        logger.bound = {k: v for k, v in self.bound.items() if k not in names}
        return logger

    def new(self, /, **fields: Any) -> Self:
        """Give a logger with these fields and no others."""
        logger = _new(type(self))
        logger.bound = fields
        return logger

    def is_enabled(self, level: str) -> bool:
        """Whether a record of this level would be made."""
        word = level.lower()
        return BY_NAME.get(ALIASES.get(word, word), OFF) >= self.get_effective_level()

    def is_enabled_for(self, level: int) -> bool:
        """Whether a record of this level, by its number, would be made."""
        return level >= self.get_effective_level()

    def get_effective_level(self) -> int:
        """Give the number of the lowest level that is made."""
        return self.logs.kinds.least_of(type(self))

    # As structlog has them. Nothing here waits for longer than a write does.

    async def atrace(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``trace`` does."""
        self.trace(event, *args, **fields)

    async def adebug(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``debug`` does."""
        self.debug(event, *args, **fields)

    async def ainfo(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``info`` does."""
        self.info(event, *args, **fields)

    async def awarning(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``warning`` does."""
        self.warning(event, *args, **fields)

    async def aerror(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``error`` does."""
        self.error(event, *args, **fields)

    async def acritical(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``critical`` does."""
        self.critical(event, *args, **fields)

    async def aexception(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Do what ``exception`` does."""
        self.exception(event, *args, **fields)

    async def alog(
        self, level: int | str, event: str, /, *args: Any, **fields: Any
    ) -> None:
        """Do what ``log`` does."""
        self.log(level, event, *args, **fields)

    awarn, afatal, amsg = awarning, acritical, ainfo

    @property
    def _context(self) -> dict[str, Any]:
        """What is bound, for ``structlog.get_context``; a copy."""
        return dict(self.bound)

    def _prepare(self) -> bytes | None:
        """Encode what is bound; None where a record with it takes the general way."""
        self._safe, self._bytes = self.logs.pieces.prepare(self.bound)
        return self._bytes

    def __repr__(self) -> str:
        return f"<Logger {self.name!r} bound={', '.join(map(str, self.bound))}>"


ALIASES = {"warn": "warning", "fatal": "critical", "msg": "info"}


def off(self: Logger, event: Any = None, /, *args: Any, **fields: Any) -> None:
    """Stand in for a level that is not made."""


def general(level: Level) -> Callable[..., None]:
    """Give the method of a level that takes the general way."""

    def method(self: Logger, event: Any = None, /, *args: Any, **fields: Any) -> None:
        self.logs.log(self.name, level, event, args, self.bound, fields)

    return method


def holding(level: Level) -> Callable[..., None]:
    """Give the method of a level that is made for routes that hold, and nobody else."""

    def method(self: Logger, event: Any = None, /, *args: Any, **fields: Any) -> None:
        self.logs.hold(self.name, level, event, args, self.bound, fields)

    return method


def expiring(level: Level) -> Callable[..., None]:
    """Give the method of a level while something said for a time is in force."""

    def method(self: Logger, event: Any = None, /, *args: Any, **fields: Any) -> None:
        kind, number = type(self), NUMBERS[level]
        if self.logs.kinds.least_of(kind) <= number:
            make = self.logs.log if kind.written <= number else self.logs.hold
            make(self.name, level, event, args, self.bound, fields)

    return method


class NotHarmless(Exception):
    """Leads from the fast way to the general one."""


def fused(  # noqa: C901, PLR0915 - flat on purpose: a call more is a tenth of it
    logs: Logs, name: str, level: Level, hits: list[int], around: Around
) -> Callable[..., None]:
    """Give the method of a level that writes harmless records by itself.

    Args:
        logs: Whose records; it has one outlet, for JSON.
        name: The logger's.
        level: The level.
        hits: Holds how many records there were.
        around: What ``Pieces.around`` gave for name and level.
    """
    vet, pieces, kinds = logs.vet, logs.pieces, logs.kinds
    intake, sink = logs.intake, logs.outlets[0].sink
    events: dict[str, bytes] = {}
    # Locals of the method: to look them up on objects would cost a tenth of it.
    queue, seen, cell = intake.queue, vet.values, logs.stamps.cell
    stamp_at, vet_names, vet_values = logs.stamps.at, vet.names, vet.all
    head_of, tidy, general_way = pieces.head, pieces.tidy, logs.log
    formatted = pieces.formatted
    current, scope_now, exporting = CURRENT.get, SCOPE.get, EXPORTING.get
    dumps, newline = dumper()
    wall, monotonic = logs.clock.time_ns, logs.clock.monotonic_ns
    write, tracked, join = os.write, is_tracked, b"".join

    def method(  # noqa: C901, PLR0912, PLR0915 - see above
        self: Logger, event: Any = None, /, *args: Any, **fields: Any
    ) -> None:
        line = None
        try:
            if args:
                text = formatted(event, args)
                head: Any = head_of(text, around, {}, 0)  # it comes but once
            else:
                text = event
                try:
                    head = events[text]
                except KeyError:
                    head = head_of(text, around, events, len(kinds))
            try:
                bound: Any = self._bytes
            except AttributeError:
                bound = self._prepare()
            if head is None or bound is None:
                raise NotHarmless  # noqa: TRY301 - it leads to the end of the `try`
            own, tail = fields, None
            if (
                # A dict of nothing that the collector knows holds no container, and
                # nothing with methods of its own.
                tracked(fields)
                or len(fields) > MOST_OWN
                or not (self._safe.issuperset(fields) or vet_names(fields, self._safe))
                or not (seen.issuperset(fields.values()) or vet_values(fields.values()))
            ):
                tidied = tidy(fields, self._safe)
                if tidied is None:
                    raise NotHarmless  # noqa: TRY301 - see above
                own, tail = tidied
            scope: Any = scope_now()
            more, extra = None, b""
            if scope is not None:
                more, extra, fits = scope.state
                if (
                    extra is None
                    or scope.owner is not logs
                    or (scope.around is not None and not scope.is_fresh())
                    or not (fits(fields) and fits(self.bound))
                ):
                    raise NotHarmless  # noqa: TRY301 - see above
            node: Any = current()
            if node is not None and node.gone:
                node = innermost()
            if node is None:
                now, ids, trace_id, span_id = wall(), b"", 0, 0
            else:
                trace = node.trace
                now = monotonic()
                if now > trace.stale:
                    raise NotHarmless  # noqa: TRY301 - see above
                now += trace.offset
                try:
                    ids = node.log_ids
                except AttributeError:
                    ids = ids_of(node)
                trace_id, span_id = trace.id, node.span_id
            start, stamp = cell[0]
            if not 0 <= now - start < 1_000_000:
                stamp = stamp_at(now)
            if own:
                if tail is None:
                    tail = dumps(own, None, newline)
                line = join((stamp, head, ids, extra, bound, b",", tail[1:]))
            else:
                line = join((stamp, head, ids, extra, bound, b"}\n"))
        except NotHarmless:
            pass
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
        if line is None or (size := len(line)) > MOST_LINE:
            # Not in the handler: exc_info=True shall not find an exception of ours.
            general_way(name, level, event, args, self.bound, fields)
            return
        hits[0] += 1
        # What an exporter's library logs while it sends would be sent, and so on.
        if intake.capacity and not exporting():
            # There, since the line is.
            it = (now, level, text, name, trace_id, span_id, more, self, own)  # pyright: ignore[reportPossiblyUnboundVariable]
            if len(queue) < intake.room:
                queue.append(it)
            else:
                intake.past(it)
        try:
            if size > sink.most:
                sink.write(line)
            elif (count := write(sink.fd, line)) != size:
                sink.rest(line, count)
        except OSError as raised:
            if is_the_hosts(raised):
                raise
            sink.write(line)

    method.__name__ = level
    return method
