"""What obs counts and says about itself: tallies by reason, and a line on stderr."""

import contextlib
import os
import sys
import time
from collections.abc import Callable

from obs._clock import Clock, SystemClock
from obs._tally import Tally
from obs.errors import InvalidValue

_SAY_EVERY_NS = 60 * 1_000_000_000
_MAX_SAID = 1_000
_FROM_THE_START = (
    ("metrics", "invalid"),
    ("metrics", "cardinality"),
    ("traces", "invalid"),
    ("traces", "limit"),
)
"""What is 0 as long as nothing was dropped, so that a rate can be taken of it."""


class Diag:
    """The self counters of one instance; takes no lock, never raises by itself.

    Threads: any, at any moment; a forked child counts from zero.

    Args:
        service: The service's name, part of each line.
        strict: Whether a bad recording call raises ``InvalidValue`` (for tests).
        clock: Where time comes from.
        mask: Takes secrets out of texts, which may repeat foreign values.
    """

    def __init__(
        self,
        service: str = "",
        *,
        strict: bool = False,
        clock: Clock | None = None,
        mask: Callable[[str], str] | None = None,
    ) -> None:
        self.service = service
        self.strict = strict
        self._mask = mask
        self._clock: Clock = clock or SystemClock()
        self._dropped: dict[tuple[str, str, str], Tally] = {}
        self._truncated: dict[str, Tally] = {}
        self._said_at: dict[str, int] = {}
        self._said_once: dict[str, bool] = {}
        for signal, reason in _FROM_THE_START:
            self.dropped(signal, reason, 0)
        for signal in ("metrics", "traces"):
            self.truncated(signal, 0)

    def dropped(self, signal: str, reason: str, n: int = 1, exporter: str = "") -> None:
        """Count ``n`` that were left out."""
        key = (signal, exporter, reason)
        tally = self._dropped.get(key)
        if tally is None:
            tally = self._dropped.setdefault(key, Tally())
        tally.add(n)

    def truncated(self, signal: str, n: int = 1) -> None:
        """Count ``n`` values that were cut."""
        self._truncated.setdefault(signal, Tally()).add(n)

    def invalid(self, what: str, text: str, signal: str = "metrics") -> None:
        """Count a bad recording call, and say it once for each ``what``.

        Raises:
            InvalidValue: The instance is strict.
        """
        if self.strict:
            raise InvalidValue(self._masked(text))
        self.left_out(what, text, signal)

    def left_out(self, what: str, text: str, signal: str = "metrics") -> None:
        """Count what a reading cannot show, and say it once for each ``what``."""
        self.dropped(signal, "invalid")
        self.say("invalid", text, once=f"invalid {what}")

    def say(
        self, reason: str, text: str | Callable[[], str], *, once: str = ""
    ) -> None:
        """Write a line to stderr, unless one with this reason went within the minute.

        Args:
            reason: What the minute is counted by.
            text: The line, or what makes it.
            once: Where given, a line is written at most once for it.
        """
        if once and once in self._said_once:
            return
        now = self._clock.monotonic_ns()
        last = self._said_at.get(reason)
        if last is not None and now - last < _SAY_EVERY_NS:
            return
        self._said_at[reason] = now
        if once and len(self._said_once) < _MAX_SAID:
            self._said_once[once] = True
        text = self._masked(text if isinstance(text, str) else text())
        _write(self._line(reason, text))

    def dropped_counts(self) -> dict[tuple[str, ...], int | float]:
        """Give what was left out, by signal, exporter and reason."""
        return {key: tally.read() for key, tally in self._dropped.copy().items()}

    def truncated_counts(self) -> dict[tuple[str, ...], int | float]:
        """Give how many values were cut, by signal."""
        return {(key,): tally.read() for key, tally in self._truncated.copy().items()}

    def after_fork_in_child(self) -> None:
        """Count from zero: what the parent counted is in the parent."""
        for tally in (*self._dropped.values(), *self._truncated.values()):
            tally.clear()

    def _masked(self, text: str) -> str:
        return text if self._mask is None else self._mask(text)

    def _line(self, reason: str, text: str) -> str:
        if _stderr_is_a_terminal():
            return f"obs: {_printable(self._masked(self.service))}: {_printable(text)}"
        seconds, ns = divmod(self._clock.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        fields = {
            "time": f"{stamp}.{ns // 1_000_000:03d}Z",
            "level": "warning",
            "event": text,
            "logger": "obs",
            "service": self._masked(self.service),
            "reason": reason,
        }
        # Not the json module: a first import takes a lock, and what interrupts it (a
        # signal handler, a fork) would find a half-made module.
        pairs = [f'"{key}":{_quoted(value)}' for key, value in fields.items()]
        return f"{{{','.join(pairs)}}}"


def _printable(text: str) -> str:
    """Give text that is one line: foreign values may be part of it."""
    text = text.encode("utf-8", "replace").decode()
    return "".join([c if c.isprintable() else " " for c in text])


def _quoted(text: str) -> str:
    escaped = _printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _stderr_is_a_terminal() -> bool:
    try:
        return os.isatty(2)
    except OSError:
        return False


def _write(line: str) -> None:
    # os.write and not sys.stderr: a stream's lock may be held by the thread that this
    # very call interrupts, or by one that a fork left behind.
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())
