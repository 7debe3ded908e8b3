"""Takes the records of web servers from their own handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Handler, Logger, LogRecord

SERVERS = (
    "uvicorn",
    "uvicorn.access",
    "uvicorn.asgi",
    "uvicorn.error",
    "gunicorn.access",
    "gunicorn.error",
)
"""The loggers: they have handlers of their own, and do not propagate."""


class Diversion:
    """A filter of a logger that hands its records to one handler, and to no other.

    Not by changing handlers: servers replace them when they start, be that before or
    after, and uvicorn writes an access log only while its logger has some. The other
    filters of the logger decide as before, whatever the order.

    Args:
        handler: Who takes the records.
        logger: The logger.
    """

    def __init__(self, handler: Handler, logger: Logger) -> None:
        self._handler = handler
        self._logger = logger

    def filter(self, record: LogRecord) -> bool:
        """Take a record; let no handler of the logger have it."""
        filters: list[Any] = self._logger.filters
        rest = filters[filters.index(self) + 1 :]
        others = [it for it in rest if type(it) is not Diversion]
        for other in others:
            check = getattr(other, "filter", other)
            if not (found := check(record)):
                return False
            if found is not True and isinstance(found, type(record)):
                record = found  # since Python 3.12
        for diversion in (self, *[it for it in rest if type(it) is Diversion]):
            diversion.take(record)
        return False

    def take(self, record: LogRecord) -> None:
        """Hand a record to the handler."""
        if record.levelno >= self._handler.level:
            self._handler.handle(record)
