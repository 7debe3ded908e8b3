"""An independent reader of StatsD's lines, in each dialect; it takes nothing odd."""

import re
import select
import threading
import time
from bisect import bisect_left
from typing import NamedTuple

from obs.testing.contract import Histogram, Number
from tests.exporters.syslog import reader

NUMBER = r"(?P<value>-?[0-9]+(?:\.[0-9]+)?)"
RATE = r"(?:\|@(?P<rate>0\.[0-9]+))?"
NAME = r"(?P<name>[A-Za-z0-9_.-]+)"
KEY = r"(?:[_.-](?![_.-])|[A-Za-z0-9])[A-Za-z0-9_.-]*"
TAG = r"[\w./{}<>()+*%~!?&$-]+"
LINES = {
    "plain": rf"{NAME}:{NUMBER}\|(?P<kind>c|g|ms){RATE}",
    "datadog": rf"{NAME}:{NUMBER}\|(?P<kind>c|g|ms|d){RATE}"
    rf"(?:\|#(?P<tags>{KEY}:{TAG}(?:,{KEY}:{TAG})*))?(?:\|c:(?P<container>[\w./-]+))?",
    "telegraf": rf"{NAME}(?P<tags>(?:,{KEY}={TAG})*):(?P<zero>0\|g:(?=-))?"
    rf"{NUMBER}\|(?P<kind>c|g|ms|h){RATE}",
}


class Line(NamedTuple):
    """A line in its parts; ``n`` is how many a server counts it as."""

    name: str
    tags: tuple
    text: str
    kind: str
    n: int
    container: str = ""

    @property
    def series(self):
        return self.name, self.tags

    @property
    def value(self):
        return float(self.text)


def read(body, dialect):
    """Give the lines of a body, each of which ends in a newline; raises for odd ones."""
    text = body.decode()
    assert text.endswith("\n"), text[-50:]
    return [read_line(line, dialect) for line in text[:-1].split("\n")]


def read_line(line, dialect):
    found = re.fullmatch(LINES[dialect], line)
    assert found, line[:300]
    parts = found.groupdict()
    separator, pair = (",", ":") if dialect == "datadog" else (",", "=")
    tags = [each.split(pair) for each in (parts.get("tags") or "").split(separator)]
    tags = tuple((key, value) for key, value in filter(any, tags))
    assert len(dict(tags)) == len(tags), line
    rate = parts["rate"]
    n = int(1 / float(rate)) if rate else 1
    if dialect == "telegraf" and parts["value"].startswith("-"):
        assert parts["zero"], line
    return Line(
        parts["name"],
        tags,
        parts["value"],
        parts["kind"],
        n,
        parts.get("container") or "",
    )


def points(bodies, dialect, bounds=None):
    """Give what arrived as points; what cannot be read stands for itself.

    Args:
        bodies: Datagrams, or pieces of a stream that end in a newline.
        dialect: The dialect.
        bounds: Gives the bounds of a histogram, by which its values are counted.
    """
    found = []
    for line in lines_of(bodies, dialect):
        before = found[-1] if found else None
        is_same = isinstance(before, list) and before[0].series == line.series
        if line.kind in ("ms", "h", "d"):
            if is_same and before[0].kind == line.kind:
                before.append(line)
            else:
                found.append([line])
            continue
        if line.text.startswith("-") and line.kind == "g" and dialect != "telegraf":
            assert before == [line._replace(text="0")], (before, line)
            found.pop()
        found.append([line])
    return [point_of(lines, bounds) for lines in found]


def lines_of(bodies, dialect):
    return [line for body in bodies for line in read(body, dialect)]


def point_of(lines, bounds):
    first = lines[0]
    tags = dict(first.tags)
    if first.kind in ("c", "g"):
        assert first.n == 1
        return Number(first.name, tags, first.value)
    bounds = bounds(first.name) if bounds else ()
    buckets = [0] * (len(bounds) + 1)
    for line in lines:
        buckets[bisect_left(bounds, line.value)] += line.n
    total = sum(line.value * line.n for line in lines)
    return Histogram(first.name, tags, sum(buckets), total, bounds, buckets)


def whole_lines(data):
    """Give the part of a stream that ends in a newline, and the rest."""
    end = data.rfind(b"\n") + 1
    return [data[:end]] if end else [], data[end:]


def with_lengths(data):
    """Give the bodies of a stream with lengths in front, and the rest."""
    found = []
    while len(data) >= 4:
        end = 4 + int.from_bytes(data[:4], "little")
        if len(data) < end:
            break
        found.append(data[4:end])
        data = data[end:]
    return found, data


class Server(reader.Server):
    """A StatsD server in a block: ``udp``, ``tcp``, ``unix`` or ``unix-stream``."""

    def __init__(self, kind, path="", *, frames=whole_lines, **more):
        self._lock = threading.Lock()
        super().__init__(kind, path, frames=frames, **more)

    def _receive(self):
        while self._is_readable(self.socket):
            with self._lock:
                self.messages.append(self.socket.recv(1 << 17))

    def settled(self):
        """Give what has arrived when there is no datagram left to be read."""
        while not self.is_stream:
            with self._lock:
                if not select.select([self.socket], [], [], 0)[0]:
                    break
            time.sleep(0.001)
        return list(self.messages)
