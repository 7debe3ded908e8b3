"""What a route's own redactor makes of a record."""

from obs.encoding import Redaction, sane
from obs.limits import Limits
from obs.model import LogRecord


def redacted(record: LogRecord, redact: Redaction, limits: Limits) -> LogRecord:
    """Give a record without what a redactor masks.

    Raises:
        BaseException: What the redactor has raised, wherever in the record that was.
    """
    watched = Watched(redact)
    record, _ = sane(record, watched, limits)
    if watched.raised is not None:
        raise watched.raised
    return record


class Watched:
    """A redactor whose failure shows: ``sane`` puts a mark in the place of such a value.

    Attributes:
        mask: The redactor's.
        raised: What it has raised, if it has.
    """

    __slots__ = ("_redact", "mask", "raised")

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact
        self.mask = redact.mask
        self.raised: BaseException | None = None

    def is_secret(self, name: str) -> bool:
        """Whether what has this name is a secret."""
        try:
            return self._redact.is_secret(name)
        except BaseException as raised:
            self.raised = raised
            raise

    def text(self, text: str) -> str:
        """Give a text with the mask in the place of each secret."""
        try:
            return self._redact.text(text)
        except BaseException as raised:
            self.raised = raised
            raise
