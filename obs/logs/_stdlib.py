"""Takes the records of the standard library's ``logging`` into ours."""

import logging
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self

from obs._context import EXPORTING
from obs._foreign import is_the_hosts
from obs._identity import Unique
from obs.errors import DefinitionError, InvalidValue, shown, type_name
from obs.logs._levels import level_number, level_of
from obs.logs._servers import SERVERS, Diversion
from obs.logs._trace_ids import without_ids
from obs.logs._uncaught import watch_uncaught
from obs.logs._warned import watch_warnings

if TYPE_CHECKING:
    from obs.logs._logger import Logger
    from obs.logs._logs import Logs

_NOW_NS = 1_000_000
"""A record as young as this is logged as one of now: a line's time has no more digits."""
_ATTRIBUTES = frozenset(
    # Formatters add the first two, Python 3.12 the third; the last is an event of
    # uvicorn's with escape sequences.
    {
        "message",
        "asctime",
        "taskName",
        "color_message",
        *vars(logging.makeLogRecord({})),
    }
)
_DEPTH = 4
"""How deep a record may come out of another one of the same thread."""
_TEXT = frozenset({str})


class Capture(Unique):
    """Records of ``logging`` come to us while it is open.

    What another call for the same logger and the same ``Logs`` has added is taken away
    first: there is one at most. Of several, for loggers below one another, a record goes
    to the one that is nearest.

    Threads: constructed and closed by one at a time.
    """

    def __init__(
        self,
        logs: "Logs",
        level: str,
        logger: str,
        *,
        warnings: bool,
        uncaught: bool,
        servers: bool,
    ) -> None:
        number = level_number("capture_stdlib: level", level)
        if not isinstance(logger, str):
            text = f"capture_stdlib: logger got {shown(logger)}, needs a logger's name."
            raise DefinitionError(text)
        before = logs.captures.get(logger)
        if before is not None:
            before.close()
        logs.logger()  # opens the outlets: a handler cannot, it may take no lock
        logs.captures[logger] = self
        self._logs = logs
        self._name = logger
        handler = Handler(logs, number, logger)
        # What takes away again what was added, the last one first.
        self._undo = [_attach(handler, logging.getLogger(logger or None), number)]
        if warnings:
            self._undo.append(watch_warnings(logs))
        if uncaught:
            self._undo += watch_uncaught(logs)
        if servers:
            handler = Handler(logs, number)
            self._undo += [_divert(handler, name) for name in SERVERS]

    def close(self) -> None:
        """Take away what was added, and nothing else; idempotent."""
        if self._logs.captures.get(self._name) is self:
            del self._logs.captures[self._name]
        while self._undo:
            self._undo.pop()()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()


class Handler(logging.Handler):
    """Hands each record on. It has no lock: a signal handler may log while it works.

    Args:
        logs: Who takes the records.
        level: The lowest level that is taken.
        logger: The logger that it is attached to; None if its records come otherwise.
    """

    def __init__(self, logs: "Logs", level: int, logger: str | None = None) -> None:
        super().__init__(level)
        self._logs = logs
        self._logger = logger
        self._loggers: dict[str, Logger] = {}
        self._depths: dict[int, int] = {}

    def createLock(self) -> None:  # noqa: N802 - the base class calls it so
        """Make none; forks have nothing to reinitialise then, either."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record; never raises, but what was meant for the host."""
        me = get_ident()
        depth = self._depths.get(me, 0)
        if depth >= _DEPTH:  # a value that logs itself while it is shown, for ever
            self._logs.failed("what logging records logs records itself.")
            return False
        self._depths[me] = depth + 1
        try:
            return self._handle(record)
        except InvalidValue:
            raise  # the instance is strict
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            self._logs.failed(f"a record of logging raised a {type_name(raised)}.")
            return False
        finally:
            if depth:
                self._depths[me] = depth
            else:
                self._depths.pop(me, None)

    def _handle(self, record: logging.LogRecord) -> bool:
        if self.filters:
            passed: Any = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):  # since Python 3.12
                record = passed
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on, if one of its name and level is made."""
        logs, name = self._logs, record.name
        if (
            len(logs.captures) > 1
            and self._logger is not None
            and _nearest(name, logs.captures) != self._logger
        ):
            return
        logger = self._loggers.get(name) or self._find(name)
        if logger is None:
            least = written = logs.levels.least(name)[0]
        else:
            least, name = logger.get_effective_level(), logger.name
            written = type(logger).written
        if record.levelno < least:
            return
        level: Any = level_of(record.levelno)
        event = self._event(record)
        fields = without_ids(_fields(record), logs.service)
        at = round(record.created * 1e6) * 1_000  # a float has no more digits
        if (
            logger is not None
            and abs(logs.clock.time_ns() - at) < _NOW_NS
            and not EXPORTING.get()
            and _TEXT.issuperset(map(type, fields))
        ):
            getattr(logger, level)(event, **fields)
        else:
            is_written = record.levelno >= written
            logs.take(name, level, event, fields, at, is_written=is_written)

    def _find(self, name: str) -> "Logger | None":
        logger = self._logs.logger_at_once(name)
        if logger is not None and logger.name == name:  # else one of more than we keep
            self._loggers[name] = logger
        return logger

    def _event(self, record: logging.LogRecord) -> Any:
        """Give the message; as it is where the values do not fit."""
        is_usual, args = type(record) is logging.LogRecord, record.args
        if is_usual and not args:
            return _line(record.msg)
        try:
            if is_usual and isinstance(args, Mapping):
                return _line(self._logs.pieces.formatted(str(record.msg), (args,)))
            return _line(record.getMessage())
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            # Not the message itself: it has not been redacted.
            text = f"a message of the logger {shown(record.name)} does not take its values."
            self._logs.failed(text)
            return f"{_text(record.msg)} {shown(record.args)}"


def _line(message: Any) -> Any:
    """Leave out the end of a line that some write into their messages."""
    return message.rstrip("\r\n") if type(message) is str else message


def _text(message: object) -> str:
    return message if type(message) is str else shown(message)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Give what ``extra`` holds, the exception and the stack."""
    fields = {k: v for k, v in vars(record).items() if k not in _ATTRIBUTES}
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    elif record.exc_text:  # it comes from another process
        fields["exception.stacktrace"] = record.exc_text
    if record.stack_info:
        fields["stack"] = record.stack_info
    return fields


def _nearest(name: str, captures: Mapping[str, Any]) -> str:
    """Give the logger, with a capture, that is next above a name."""
    while name and name not in captures:
        name = name.rpartition(".")[0]
    return name


def _attach(handler: Handler, logger: logging.Logger, level: int) -> Callable[[], None]:
    before = logger.level
    is_lowered = logger.getEffectiveLevel() > level
    if is_lowered:
        logger.setLevel(level)
    logger.addHandler(handler)

    def undo() -> None:
        logger.removeHandler(handler)
        if is_lowered and logger.level == level:  # else somebody has set it since
            logger.setLevel(before)

    return undo


def _divert(handler: Handler, name: str) -> Callable[[], None]:
    logger = logging.getLogger(name)
    diversion = Diversion(handler, logger)
    logger.addFilter(diversion)
    return lambda: logger.removeFilter(diversion)
