"""Which log records the services show: chosen by the command line, when they exist."""

from obs.logs import Route
from obs.logs._levels import NUMBERS, OFF, level_number
from obs.model import LogRecord


class Shown:
    """Keeps what is to be seen on stderr; exporters get the others as well."""

    def __init__(self) -> None:
        self._least = OFF

    def __call__(self, record: LogRecord) -> bool:
        """Whether a record is shown."""
        return NUMBERS[record.level] >= self._least

    def choose(self, level: str) -> None:
        """Show records from this level on."""
        self._least = level_number("obs demo: --log-level", level)


SHOWN = Shown()
STDERR = Route("stderr", keep=SHOWN)
