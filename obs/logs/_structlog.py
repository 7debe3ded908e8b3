"""Takes what is logged by structlog's loggers into ours; the one module that imports it."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from structlog.contextvars import merge_contextvars

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, InvalidValue, shown, type_name
from obs.logs._levels import BY_NAME, NUMBERS, level_of
from obs.logs._logger import ALIASES, Logger
from obs.logs._record import Processor

if TYPE_CHECKING:
    from obs.logs._logs import Logs


def configure(logs: "Logs", processors: Iterable[Processor]) -> None:
    """Have structlog's loggers log here; see ``Logs.configure_structlog``."""
    chain: list[Any] = list(processors)
    for processor in chain:
        if not callable(processor):
            text = f"configure_structlog: got {shown(processor)}, needs functions."
            raise DefinitionError(text)

    def make(*args: Any) -> Any:
        is_named = bool(args) and isinstance(args[0], str)
        return logs.logger(args[0] if is_named else "")

    structlog.configure(
        processors=[merge_contextvars, *chain, _hand_on],
        wrapper_class=type("Bound", (Bound,), {"logs": logs}),
        context_class=dict,
        logger_factory=make,
    )


def _hand_on(logger: Any, method: str, event: Any) -> Any:
    """Give what the method of a logger of ours is called with."""
    if not isinstance(event, dict):  # one has rendered it
        return event if isinstance(event, tuple) else (event,), {}
    fields = {k if type(k) is str else str(k): v for k, v in event.items()}
    return (fields.pop("event", ""),), fields


class Bound(structlog.BoundLoggerBase):
    """A bound logger of structlog's around one of ours, whose levels count.

    Around another (``wrap_logger(logging.getLogger("shop"))``), one of ours of its name
    stands in its place.
    """

    logs: ClassVar["Logs"]
    _logger: Any

    def __init__(self, logger: Any, processors: Any, context: Any) -> None:
        if not isinstance(logger, Logger):
            name = getattr(logger, "name", "")
            logger = self.logs.logger(name if isinstance(name, str) else "")
        super().__init__(logger, processors, context)

    def exception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log at level error, with the exception that is being handled."""
        fields.setdefault("exc_info", True)
        self._log("error", event, args, fields)

    def log(self, level: Any, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log at a level given by name, or by the number of the standard library."""
        name = level_of(level) if isinstance(level, int) else str(level).lower()
        name = ALIASES.get(name, name)
        self._log(name if name in NUMBERS else "info", event, args, fields)

    async def aexception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Do what ``exception`` does."""
        self.exception(event, *args, **fields)

    async def alog(
        self, level: Any, event: Any = None, /, *args: Any, **fields: Any
    ) -> None:
        """Do what ``log`` does."""
        self.log(level, event, *args, **fields)

    def is_enabled_for(self, level: int) -> bool:
        """Whether a record of this level, by its number, would be made."""
        return level >= self.get_effective_level()

    def get_effective_level(self) -> int:
        """Give the number of the lowest level that is made."""
        found: int = self._logger.get_effective_level()
        return found

    def _log(
        self, level: str, event: Any, args: tuple[Any, ...], fields: dict[str, Any]
    ) -> None:
        logger = self._logger
        if BY_NAME[level] < logger.get_effective_level():
            return
        if args:
            event = logger.logs.formatted(event, args)
        try:
            given, named = self._process_event(level, event, fields)
        except structlog.DropEvent:
            return
        except InvalidValue:
            raise
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            logger.logs.failed(f"a processor raised a {type_name(raised)}.")
            given, named = (event,), {**self._context, **fields}
        getattr(logger, level)(*given, **named)


def _method(level: str) -> Callable[..., None]:
    def method(self: Bound, event: Any = None, /, *args: Any, **fields: Any) -> None:
        self._log(level, event, args, fields)

    method.__name__ = level
    return method


def _amethod(level: str) -> Callable[..., Any]:
    async def method(
        self: Bound, event: Any = None, /, *args: Any, **fields: Any
    ) -> None:
        self._log(level, event, args, fields)

    method.__name__ = f"a{level}"
    return method


for _name in (*NUMBERS, *ALIASES):
    setattr(Bound, _name, _method(ALIASES.get(_name, _name)))
    setattr(Bound, f"a{_name}", _amethod(ALIASES.get(_name, _name)))
