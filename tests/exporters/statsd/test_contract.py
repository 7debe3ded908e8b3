"""The contract of push exporters, in each dialect and over each way to a server."""

import contextlib
import os
import re
import tempfile

import pytest
import statsd

from obs.testing.contract import ExporterContract, Histogram, Number, Rig
from obs_exporters import StatsdExporter
from tests.exporters.statsd.reader import Server, points, whole_lines, with_lengths

MODES = {"silent": "never_read", "close": "hang_up"}
BOUNDS = {
    "contract.histogram.plain": (-1, 0.5, 10),
    "contract.histogram.labelled": (-1, 0.5, 10),
    "contract.zero.observed": (1, 2),
    "contract.latency": (1, 5),
    "contract.statistics": tuple(range(400, 651, 5)),
}


def bounds_of(name):
    return BOUNDS.get(name, (1.0,))


def is_below_zero(point):
    return isinstance(point, Histogram) and point.bounds[0] < 0 and point.buckets[0]


def plain(point):
    """A point as the plain dialect has it: its values are a part of its name."""
    if is_below_zero(point):
        return None
    values = point.labels.values()
    if "otel.metric.overflow" in point.labels:
        values = ["overflow"]
    steps = [re.sub(r"[^A-Za-z0-9_-]", "_", value) or "none" for value in values]
    return with_labels(point, ".".join([point.name, *steps]), {})


def tagged(point):
    labels = {key: value for key, value in point.labels.items() if value}
    return with_labels(point, point.name, labels)


def with_labels(point, name, labels):
    if isinstance(point, Number):
        return Number(name, labels, point.value)
    return Histogram(name, labels, point.count, point.sum, point.bounds, point.buckets)


def without_own(point):
    labels = {k: v for k, v in point.labels.items() if not k.startswith("service")}
    return with_labels(point, point.name, labels)


class OverSockets(ExporterContract):
    kind = protocol = "udp"
    dialect = "plain"
    patience = 1.0  # zeros do not come: that is waited for

    def make(self):
        stack = contextlib.ExitStack()
        server = self.serve(stack)

        def break_backend(mode):
            if mode == "refuse":
                stack.pop_all().close()
            elif mode in MODES and server.is_stream:
                server.mode = MODES[mode]
            else:
                raise NotImplementedError

        return Rig(
            build=lambda: self.exporter(server),
            received=lambda: self.arrived(server),
            close=stack.close,
            break_backend=break_backend,
            expect=self.expect,
        )

    def serve(self, stack):
        path = ""
        if self.kind.startswith("unix"):
            path = os.path.join(
                stack.enter_context(tempfile.TemporaryDirectory()), "statsd"
            )
        is_framed = self.kind == "unix-stream" and self.dialect == "datadog"
        frames = with_lengths if is_framed else whole_lines
        return stack.enter_context(Server(self.kind, path, frames=frames))

    def exporter(self, server):
        return StatsdExporter(
            server.address, protocol=self.protocol, dialect=self.dialect
        )

    def arrived(self, server):
        assert not server.broken, server.broken
        found = points(server.settled(), self.dialect, bounds_of)
        return [without_own(point) for point in found]

    def expect(self, point):
        if self.dialect == "plain":
            return plain(point)
        if self.dialect == "telegraf" and is_below_zero(point):
            return None
        return tagged(point)


class TestPlainUdp(OverSockets):
    pass


class TestPlainTcp(OverSockets):
    kind = protocol = "tcp"


class TestPlainUnixStream(OverSockets):
    kind, protocol = "unix-stream", "unix"


class TestDatadogUdp(OverSockets):
    dialect = "datadog"


class TestDatadogUnix(OverSockets):
    kind = protocol = "unix"
    dialect = "datadog"


class TestDatadogUnixStream(OverSockets):
    kind, protocol, dialect = "unix-stream", "unix", "datadog"


class TestTelegrafUdp(OverSockets):
    dialect = "telegraf"


class OverClient(OverSockets):
    """By a client of the package statsd, which is the user's to open and to close."""

    @pytest.fixture
    def rig(self):
        rig = self.make()
        yield rig
        self.made.close()
        rig.close()

    def serve(self, stack):
        server = super().serve(stack)
        port = int(server.address.rpartition(":")[2])
        server.client = self.made = self.client(port)
        return server

    def exporter(self, server):
        return StatsdExporter(client=server.client)


class TestClientTcp(OverClient):
    kind = "tcp"

    def client(self, port):
        return statsd.TCPStatsClient("127.0.0.1", port, timeout=0.2)


class TestClientUdp(OverClient):
    def client(self, port):
        return statsd.StatsClient("127.0.0.1", port)
