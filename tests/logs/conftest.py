"""What the tests of logs share: logs into a file, read back as lines of JSON."""

import json

import pytest

from obs._diag import Diag
from obs.logs import Logs, Route
from obs.testing import FakeClock


class Written:
    """A file behind a descriptor, and what was written to it since it was read last."""

    def __init__(self, path):
        self.path = path
        self.stream = path.open("ab", buffering=0)
        self._read = 0

    def bytes(self):
        with open(self.path, "rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return data

    def lines(self):
        """Give the lines as dicts; a name that comes twice is an error."""
        return [
            json.loads(line, object_pairs_hook=once)
            for line in self.bytes().split(b"\n")[:-1]
        ]

    def line(self):
        (found,) = self.lines()
        return found

    def fields(self):
        """Give the one record's event and the user's fields."""
        found = self.line()
        return {k: v for k, v in found.items() if k not in {"time", "level", "logger"}}


def once(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


@pytest.fixture
def written(tmp_path):
    found = Written(tmp_path / "log")
    yield found
    found.stream.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make(written, clock):
    """Make logs that write to ``written``."""

    def build(service="", **given):
        given.setdefault("routes", [Route(written.stream, format="json")])
        diag = Diag(service, clock=clock, strict=given.pop("strict", False))
        return Logs(service, clock=clock, diag=diag, **given)

    return build


@pytest.fixture
def logs(make):
    return make()


@pytest.fixture
def log(logs):
    return logs.logger("shop")


@pytest.fixture
def general(logs, monkeypatch):
    """Note each call that takes the general way."""
    calls = []
    guarded = logs._guarded
    monkeypatch.setattr(
        logs, "_guarded", lambda *call: [calls.append(call[3]), guarded(*call)][1]
    )
    return calls
