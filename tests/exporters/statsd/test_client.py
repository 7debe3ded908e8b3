"""The user's own client of the package statsd."""

import time

import pytest
import statsd

from obs.errors import ExportFailed
from obs.model import MetricFamily
from obs_exporters import StatsdExporter
from tests.exporters.statsd.reader import Server, lines_of, points
from tests.exporters.statsd.test_exporter import (
    batch,
    counters,
    durations,
    eventually,
    failure,
    numbers,
    send,
)
from tests.survival.processes import in_fresh


def port_of(server):
    return int(server.address.rpartition(":")[2])


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix-stream"])
def test_lines_arrive_by_the_users_client(kind, tmp_path):
    path = tmp_path / "statsd" if kind == "unix-stream" else ""
    with Server(kind, path) as server:
        client = {
            "udp": lambda: statsd.StatsClient("127.0.0.1", port_of(server), prefix="p"),
            "tcp": lambda: statsd.TCPStatsClient("127.0.0.1", port_of(server)),
            "unix-stream": lambda: statsd.UnixSocketStatsClient(str(path)),
        }[kind]()
        exporter = StatsdExporter(client=client)
        assert repr(exporter) == f"StatsdExporter({type(client).__name__!r})"
        family = MetricFamily.of("m", "gauge", -1)
        for _ in range(2):
            assert send(exporter, batch(family, durations(250))) == 2
        exporter.close(time.monotonic() + 1)
        client.incr("mine")  # it is the user's, and still open
        eventually(lambda: len(lines_of(whole(server), "plain")) >= 204)
        gauge, histogram, *_ = points(whole(server), "plain", lambda _: (100, 200))
        assert (gauge.name, gauge.value) == ("m", -1)
        assert (histogram.name, histogram.count) == ("t", 250)
        if kind == "udp":
            assert max(map(len, server.messages)) <= 1_432
        client.close()


def whole(server):
    """What arrived; the client's own datagrams have no end of line."""
    return [body for body in server.settled() if body.endswith(b"\n")]


def test_sample_rates_are_the_exporters_and_not_chance():
    """The client's own methods would leave out what a rate below 1 does not choose."""
    with Server("udp") as server:
        client = statsd.StatsClient("127.0.0.1", port_of(server))
        exporter = StatsdExporter(client=client)
        send(exporter, batch(durations(10_000)))
        eventually(lambda: len(lines_of(server.settled(), "plain")) == 100)
        assert sum(line.n for line in lines_of(server.messages, "plain")) == 10_000
        client.close()


def test_a_stream_that_failed_is_opened_again():
    with Server("tcp") as server:
        client = statsd.TCPStatsClient("127.0.0.1", port_of(server), timeout=1)
        exporter = StatsdExporter(client=client)
        send(exporter, counters(1))
        eventually(lambda: server.messages)
        address = ("127.0.0.1", port_of(server))
    error, payload = failure(exporter, counters(1, 1))
    assert (error.retryable, error.sent) == (False, True)
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() + 1)
    assert str(raised.value) == (
        "exporter 'statsd': TCPStatsClient: Connection refused."
    )
    assert (raised.value.retryable, raised.value.sent) == (True, False)
    with Server("tcp", address=address) as again:
        assert send(exporter, counters(1, 2)) == 1
        eventually(lambda: again.messages)
        assert numbers(again) == [2]
        client.close()


def test_whatever_a_client_raises_is_a_failure():
    class Client:
        def _send(self, data):
            raise LookupError("no such thing")

    exporter = StatsdExporter(client=Client())
    (payload,) = exporter.encode(counters(1))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() + 1)
    assert str(raised.value) == (
        "exporter 'statsd': Client: LookupError: no such thing."
    )
    assert (raised.value.retryable, raised.value.sent) == (False, True)


def test_what_is_the_hosts_goes_on_to_the_host():
    class Client:
        def _send(self, data):
            raise KeyboardInterrupt

    exporter = StatsdExporter(client=Client())
    (payload,) = exporter.encode(counters(1))
    with pytest.raises(KeyboardInterrupt):
        exporter.send(payload, time.monotonic() + 1)


def test_a_deadline_that_has_passed():
    sent = []

    class Client:
        _send = sent.append

    exporter = StatsdExporter(client=Client())
    (payload,) = exporter.encode(counters(1))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() - 1)
    assert (raised.value.retryable, raised.value.sent, sent) == (True, False, [])


def test_without_a_client_the_package_is_not_imported():
    assert list(in_fresh("tests.exporters.statsd.test_exporter:without_a_client")) == [
        []
    ]
