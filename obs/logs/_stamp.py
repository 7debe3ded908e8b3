"""The time of a line, made once for all lines of a millisecond."""

from obs.encoding import rfc3339

_MS = 1_000_000
_SECOND = 1_000 * _MS
_ENDS = [b'.%03dZ"' % ms for ms in range(1_000)]
_END = 1 << 64
_LONG_AGO = -(1 << 80)


class Stamps:
    """Makes the beginnings of lines in JSON: ``{"time":"2026-11-26T09:30:00.123Z"``.

    Attributes:
        cell: Holds when the newest one's millisecond begins, in ns since the epoch, and
            its bytes. Replaced whole: who reads it without a lock gets a pair.
    """

    def __init__(self) -> None:
        self.cell: list[tuple[int, bytes]] = [(_LONG_AGO, b"")]
        self._second = (_LONG_AGO, b"")

    def at(self, now: int) -> bytes:
        """Give the stamp of a moment, in ns since the epoch, and keep it."""
        if not 0 <= now < _END:
            now = 0  # as `sane` has it
        second, text = self._second
        past = now - second
        if not 0 <= past < _SECOND:
            past = now % _SECOND
            second = now - past
            text = b'{"time":"' + rfc3339(second, 1)[:-3].encode()
            self._second = (second, text)
        ms = past // _MS
        stamp = text + _ENDS[ms]
        self.cell[0] = (second + ms * _MS, stamp)
        return stamp
