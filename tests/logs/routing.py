"""What the tests of routes share: a sink that remembers, and logs that write to it."""

import errno
import io
import json

from obs._diag import Diag
from obs.logs import Logs, Route
from obs.testing import FakeClock


class Lines(io.RawIOBase):
    """A file object without a descriptor: it keeps lines, or fails where it shall."""

    def __init__(self):
        super().__init__()
        self._parts = []
        self.is_broken = False

    def writable(self):
        return True

    def write(self, data):
        if self.is_broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._parts.append(
            bytes(data)
        )  # one call: handlers and threads come in between
        return len(data)

    @property
    def data(self):
        return b"".join(self._parts)

    @property
    def lines(self):
        """The lines, as dicts; a name that comes twice is an error."""
        parts = self.data.split(b"\n")
        assert parts[-1] == b""
        return [json.loads(part, object_pairs_hook=_once) for part in parts[:-1]]

    @property
    def events(self):
        return [line["event"] for line in self.lines]


def _once(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def logs_to(*sinks, clock=None, level="trace", redact=None, **given):
    """Give logs with a route of these arguments to each of the sinks."""
    clock = clock or FakeClock()
    return Logs(
        routes=[Route(sink, **given) for sink in sinks],
        level=level,
        redact=redact,
        clock=clock,
        diag=Diag("shop", clock=clock),
    )


def dropped(logs, reason, exporter="stream"):
    return logs.diag.dropped_counts().get(("logs", exporter, reason), 0)
