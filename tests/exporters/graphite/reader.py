"""An independent reader of what carbon takes, as strict as the strictest of its parts."""

import io
import math
import pickle
import re
from typing import NamedTuple

from tests.exporters.syslog.reader import Server

PROHIBITED = set(";!^=")
KNOWN = re.compile(r"(.+)\.(count|sum|p50|p90|p95|p99|bucket(?:\..+)?)")


class Read(NamedTuple):
    """One number: its name without tags, its tags, and when it was."""

    name: str
    tags: dict
    value: float
    time: int


def lines(data):
    """Give the lines of a stream, and what is left."""
    *found, rest = data.split(b"\n")
    return found, rest


def pickles(data):
    """Give the pickles of a stream of counted frames, and what is left."""
    found = []
    while len(data) >= 4:
        end = 4 + int.from_bytes(data[:4], "big")
        assert end <= 4 + 2**20
        if end > len(data):
            break
        found.append(data[4:end])
        data = data[end:]
    return found, data


class Carbon(Server):
    """Has an address."""

    @property
    def url(self):
        return self.address


class Lines(Carbon):
    """Takes lines, over ``tcp`` or ``udp``."""

    def __init__(self, kind, **more):
        super().__init__(kind, frames=lines, **more)

    def values(self):
        """Give what has arrived, in its order."""
        return [
            read_line(line)
            for it in list(self.messages)
            for line in it.split(b"\n")
            if line
        ]


class Pickles(Carbon):
    """Takes pickles over ``tcp``."""

    def __init__(self, kind, **more):
        super().__init__(kind, frames=pickles, **more)

    def values(self):
        """Give what has arrived, in its order."""
        return [value for it in list(self.messages) for value in read_pickle(it)]


def read_line(line):
    """Read a line without its end; raises where carbon would not, or only a part."""
    text = line.decode()
    assert text.splitlines() == [text]
    assert text == text.strip()
    path, value, time = text.split()
    return read(path, float(value), int(time))


class _Plain(pickle.Unpickler):
    def find_class(self, module, name):
        raise AssertionError((module, name))


def read_pickle(data):
    """Read a pickle of tuples."""
    tuples = _Plain(io.BytesIO(data)).load()
    assert data[:2] == b"\x80\x02"
    assert 0 < len(tuples) <= 500
    return [read(path, value, time) for path, (time, value) in tuples]


def read(path, value, time):
    """Read what a server takes apart itself."""
    assert math.isfinite(value)
    name, *pairs = path.split(";")
    assert not path.endswith('"}')
    assert all(char.isprintable() and not char.isspace() for char in path)
    tags = {}
    for pair in pairs:
        key, value_of_tag = pair.split("=", 1)
        assert key, path
        assert not PROHIBITED & set(key), path
        assert value_of_tag, path
        assert not value_of_tag.startswith("~"), path
        assert key != "name", path
        assert key not in tags, path
        assert max(len(key.encode()), len(value_of_tag)) <= 191, path
        tags[key] = value_of_tag
    assert pairs == sorted(pairs)
    # What carbon takes for a folder or a file.
    for level in name.split("."):
        assert level, path
        assert re.fullmatch(r"[\w-]+", level), path
        assert len(f"{level}.wsp".encode()) <= 255, path
    return Read(name, tags, value, time)


def grouped(values):
    """Give the numbers of each point: those of a histogram follow each other."""
    found = []
    for value in values:
        match = KNOWN.fullmatch(value.name)
        if match and match[2] != "count" and found:
            first = found[-1][0]
            tags = {k: v for k, v in value.tags.items() if k != "le"}
            is_more = first.name == f"{match[1]}.count"
            if (
                is_more
                and tags == first.tags
                and (len(found[-1]) > 1 or match[2] == "sum")
            ):
                found[-1].append(value)
                continue
        found.append([value])
    return found
