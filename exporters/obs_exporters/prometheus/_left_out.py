"""What is not on the page: counted each time, said once."""

from collections import deque
from contextlib import suppress
from time import monotonic

from obs.errors import shown
from obs.protocols import Source

SAY_EVERY_SECONDS = 60.0
"""Sources let one line a minute through for each reason, and ours is the exporter."""
TEXTS_IN_A_LINE = 3
_MAX_SAID = 1_000


def name_of(family: object) -> str:
    """Give what to call a family that may be anything."""
    try:
        return shown(getattr(family, "name", family))
    except Exception:  # noqa: BLE001 - a foreign __getattr__ may raise anything
        return f"of type {type(family).__name__}"


class LeftOut:
    """Where the page reports what it leaves out.

    Each text is said once. What comes in the same minute as another waits for a later
    page, so that nothing is swallowed.

    Threads: any.

    Args:
        exporter: The exporter's name, by which it is said.
        source: Where it is counted and said.
    """

    __slots__ = ("_reason", "_said", "_say_again_at", "_source", "_unsaid")

    def __init__(self, exporter: str, source: Source) -> None:
        self._reason = exporter
        self._source = source
        self._said: set[str] = set()
        self._unsaid: deque[str] = deque()
        self._say_again_at = 0.0

    def count(self, n: int, text: str) -> None:
        """Count ``n`` families or series, and note why they are not there."""
        self._source.dropped("invalid", n)
        self.note(text)

    def raised(self, what: str, error: BaseException) -> None:
        """Count something that could not be made."""
        why = f"{type(error).__name__}: {shown(str(error))}"
        self.count(1, f"{what} could not be shown: it raised {why}.")

    def note(self, text: str) -> None:
        """Note something that is to be said, once."""
        if text not in self._said and len(self._said) < _MAX_SAID:
            self._said.add(text)
            self._unsaid.append(text)

    def say(self) -> None:
        """Say the next of what was noted, unless something was within the minute."""
        now = monotonic()
        if not self._unsaid or now < self._say_again_at:
            return
        self._say_again_at = now + SAY_EVERY_SECONDS
        texts: list[str] = []
        while self._unsaid and len(texts) < TEXTS_IN_A_LINE:
            with suppress(IndexError):  # another thread took it
                texts.append(self._unsaid.popleft())
        if texts:
            self._source.say(self._reason, " ".join(texts))
