"""The time of a line, made once for all lines of a millisecond."""

from obs.encoding import rfc3339

MS = 1_000_000
Cell = list[tuple[int, bytes]]
"""The newest stamp: when its millisecond begins, in ns since the epoch, and its bytes."""


class Stamps:
    """Makes the beginnings of lines in JSON: ``{"time":"2026-11-26T09:30:00.123Z"``.

    Attributes:
        cell: Holds the newest one, replaced whole: who reads it without a lock gets the
            time and the text that belong together.
    """

    def __init__(self) -> None:
        self.cell: Cell = [(-(1 << 80), b"")]
        self._second = (-(1 << 80), b"")

    def at(self, now: int) -> bytes:
        """Give the stamp of a moment, in ns since the epoch."""
        start, stamp = self.cell[0]
        if 0 <= now - start < MS:
            return stamp
        second, text = self._second
        past = now - second
        if not 0 <= past < 1000 * MS:
            second = now - now % (1000 * MS)
            past = now - second
            text = rfc3339(second, 1)[:-3].encode()
            self._second = (second, text)
        stamp = b'{"time":"%b.%03dZ"' % (text, past // MS)
        self.cell[0] = (now - past % MS, stamp)
        return stamp
