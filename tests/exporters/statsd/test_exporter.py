"""The exporter over each way to a server: what arrives, what fails, what is tried again."""

import errno
import os
import socket
import sys
import time

import pytest

from obs.errors import DefinitionError, ExportFailed
from obs.metrics import Registry
from obs.model import Ack, Batch, MetricFamily, Resource, delta
from obs_exporters import StatsdExporter, _transport, exporter_from_url
from tests.exporters.statsd.reader import (
    Server,
    lines_of,
    points,
    read,
    with_lengths,
)

RESOURCE = Resource(
    {
        "service.name": "shop",
        "service.version": "1.2",
        "deployment.environment.name": "prod",
        "service.instance.id": "uuid",
        "process.pid": "42",
        "container.id": "0123abc",
    }
)
WAYS = ("udp", "tcp", "unix", "unix-stream")


def batch(*families, resource=RESOURCE):
    return Batch("metrics", resource, families=families, temporality="delta")


def counters(n=3, begin=0):
    rows = {(str(i),): i + 1 for i in range(begin, begin + n)}
    return batch(MetricFamily.of("c", "counter", rows, label_names=("i",)))


def durations(n, name="t"):
    registry = Registry()
    histogram = registry.histogram(name, unit="s", buckets=(0.1, 0.2))
    for i in range(n):
        histogram.observe(0.3 * i / n)
    return registry.snapshot()[name]


def send(exporter, batch, seconds=5.0):
    accepted = 0
    for payload in exporter.encode(batch):
        accepted += exporter.send(payload, time.monotonic() + seconds).accepted
    return accepted


def eventually(holds):
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def numbers(server):
    return sorted(int(line.name[2:]) for line in lines_of(server.settled(), "plain"))


@pytest.fixture(params=WAYS)
def way(request, tmp_path):
    """A server of each kind, and what makes an exporter to it."""
    kind = request.param
    is_unix = kind.startswith("unix")
    made = []
    with Server(kind, tmp_path / "statsd" if is_unix else "") as server:

        def make(**more):
            protocol = "unix" if is_unix else kind
            made.append(StatsdExporter(server.address, protocol=protocol, **more))
            return made[-1]

        yield server, make
        for exporter in made:
            exporter.close(0.0)


# --- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": 5}, "address got 5, needs a host and a port, as host:8125."),
        (
            {"address": "a:b", "protocol": "tcp"},
            "address got 'a:b', needs a host and a port, as host:8125.",
        ),
        (
            {"address": "a:0"},
            "address got 'a:0', needs a host and a port, as host:8125.",
        ),
        (
            {"address": "", "protocol": "unix"},
            "address got '', needs the path of a Unix socket.",
        ),
        ({"protocol": "tls"}, "protocol got 'tls', needs one of udp, tcp, unix."),
        (
            {"dialect": "etsy"},
            "dialect got 'etsy', needs one of plain, datadog, telegraf.",
        ),
        (
            {"prefix": "app."},
            "prefix got 'app.', needs letters, digits, '_' and '-', with dots between "
            "them.",
        ),
        (
            {"prefix": "a b"},
            "prefix got 'a b', needs letters, digits, '_' and '-', with dots between "
            "them.",
        ),
        (
            {"prefix": None},
            "prefix got None, needs letters, digits, '_' and '-', with dots between "
            "them.",
        ),
        (
            {"client": 5},
            "client got 5, needs a client of the package statsd.",
        ),
        (
            {"client": 5, "dialect": "datadog"},
            "client got 5, needs the dialect 'plain'.",
        ),
        (
            {"max_datagram_bytes": 511},
            "max_datagram_bytes got 511, needs a whole number from 512 to 65507.",
        ),
        (
            {"max_datagram_bytes": 1e4, "protocol": "unix"},
            "max_datagram_bytes got 10000.0, needs a whole number from 512 to 65507.",
        ),
        (
            {"max_datagram_bytes": 8_932, "protocol": "tcp"},
            "max_datagram_bytes got 8932, needs a protocol of datagrams.",
        ),
        (
            {"resource_tags": "process.pid"},
            "resource_tags got 'process.pid', needs names of attributes, as ('host.name',).",
        ),
        (
            {"resource_tags": 5},
            "resource_tags got 5, needs names of attributes, as ('host.name',).",
        ),
        (
            {"resource_tags": [5]},
            "resource_tags got [5], needs names of attributes, as ('host.name',).",
        ),
        (
            {"container_id": "a|b", "dialect": "datadog"},
            "container_id got 'a|b', needs 1 to 256 letters, digits, '_', '.', '/' "
            "and '-'.",
        ),
        (
            {"container_id": True},
            "container_id got True, needs the dialect 'datadog'.",
        ),
        (
            {"entity_id": True, "dialect": "datadog"},
            "entity_id got True, needs 1 to 256 letters, digits, '_', '.', '/' and '-'.",
        ),
        (
            {"entity_id": "pod", "dialect": "telegraf"},
            "entity_id got 'pod', needs the dialect 'datadog'.",
        ),
        ({"timeout": 0}, "timeout got 0, needs seconds from 0.01 to 86400."),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(DefinitionError) as raised:
        StatsdExporter(**arguments)
    assert str(raised.value) == f"exporter 'statsd': {text}"


def test_how_it_wants_to_be_driven():
    exporter = StatsdExporter(name="n", timeout=3.0, interval=0.5)
    assert (exporter.name, exporter.signals) == ("n", {"metrics"})
    delivery = exporter.delivery
    assert (delivery.interval, delivery.timeout) == (0.5, 3.0)
    assert delivery.temporality == "delta"
    assert not delivery.acknowledges
    assert not delivery.replayable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("statsd://127.0.0.1:8125?prefix=app&dialect=datadog", "udp://127.0.0.1:8125"),
        ("statsd:", "udp://127.0.0.1:8125"),
        ("statsd://metrics.example", "udp://metrics.example"),
        ("statsd://[::1]:1?protocol=tcp&dialect=telegraf", "tcp://[::1]:1"),
        ("statsd:///run/statsd.sock", "unix:///run/statsd.sock"),
    ],
)
def test_urls(url, shown):
    assert repr(exporter_from_url(url)) == f"StatsdExporter({shown!r})"


def test_every_option_of_a_url():
    exporter = exporter_from_url(
        "statsd:///run/s?dialect=datadog&prefix=app&max_datagram_bytes=512"
        "&resource_tags=process.pid,service.name&container_id=true&entity_id=pod"
        "&interval=5&timeout=2&name=n&protocol=unix"
    )
    assert exporter.delivery[:2] == (5.0, 2.0)
    (payload,) = exporter.encode(batch(MetricFamily.of("m", "gauge", 1)))
    assert payload.body == (
        b"app.m:1|g|#dd.internal.entity_id:pod,process.pid:42,service:shop|c:0123abc\n"
    )
    exporter = exporter_from_url(
        "statsd:?dialect=datadog&container_id=other&resource_tags="
    )
    (payload,) = exporter.encode(batch(MetricFamily.of("m", "gauge", 1)))
    assert payload.body == b"m:1|g|c:other\n"


def test_a_url_with_a_user():
    with pytest.raises(DefinitionError) as raised:
        exporter_from_url("statsd://me:secret@h")
    assert str(raised.value) == (
        "exporter URL: statsd: got a user, needs host and port alone."
    )


# --- payloads --------------------------------------------------------------------------


def test_the_resource_is_tags_but_not_of_the_plain_dialect():
    family = MetricFamily.of("m", "gauge", 1)
    for dialect, text in (
        ("plain", "app.m:1|g\n"),
        ("datadog", "app.m:1|g|#env:prod,service:shop,version:1.2\n"),
        (
            "telegraf",
            "app.m,deployment.environment.name=prod,service.name=shop,"
            "service.version=1.2:1|g\n",
        ),
    ):
        exporter = StatsdExporter(dialect=dialect, prefix="app")
        (payload,) = exporter.encode(batch(family))
        assert payload.body.decode() == text
        (payload,) = StatsdExporter(dialect=dialect, resource_tags=()).encode(
            batch(family)
        )
        assert payload.body == b"m:1|g\n"


def test_ids_that_are_not_there_or_odd_are_left_out():
    family = MetricFamily.of("m", "gauge", 1)
    exporter = StatsdExporter(dialect="datadog", container_id=True)
    for attributes in ({}, {"container.id": "a|c\nb"}):
        (payload,) = exporter.encode(batch(family, resource=Resource(attributes)))
        assert payload.body == b"m:1|g\n"


@pytest.mark.parametrize("dialect", ["plain", "datadog", "telegraf"])
@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 1_432),
        ({"max_datagram_bytes": 8_932}, 8_932),
        ({"protocol": "unix"}, 8_192),
        ({"protocol": "tcp"}, 65_536),
    ],
)
def test_payloads_are_full_and_hold_whole_points(dialect, options, limit):
    rows = {(f"v{n:04}",): -n for n in range(3_000)}
    family = MetricFamily.of("m", "gauge", rows, label_names=("l",))
    exporter = StatsdExporter(dialect=dialect, **options)
    payloads = list(exporter.encode(batch(family)))
    assert sum(payload.records for payload in payloads) == 3_000
    sizes = [len(payload.body) for payload in payloads]
    assert max(sizes) <= limit
    assert min(sizes[:-1]) > limit - 200
    # A gauge below zero is two lines, in one datagram.
    found = [points([payload.body], dialect) for payload in payloads]
    assert [len(each) for each in found] == [payload.records for payload in payloads]
    values = [point.value for each in found for point in each]
    assert values == [-n for n in range(3_000)]


def test_all_lines_of_a_histogram_are_one_payload():
    exporter = StatsdExporter()
    small = MetricFamily.of("m", "gauge", 1)
    payloads = list(exporter.encode(batch(small, durations(12_345), small_too())))
    assert [payload.records for payload in payloads] == [1, 1, 1]
    large = payloads[1].body
    assert len(large) > 1_432
    assert sum(line.n for line in read(large, "plain")) == 12_345


def small_too():
    return MetricFamily.of("n", "gauge", 1)


def test_what_cannot_be_said_is_left_out_and_counted():
    families = [
        MetricFamily.of("m", "gauge", 1),
        MetricFamily.of("nan", "gauge", float("nan")),
        MetricFamily.of("set", "set", 1),
        MetricFamily.of("falls", "counter", -1),
        MetricFamily.of("l" * 1_428, "gauge", 1),  # a byte too long
        MetricFamily.of("t" * 1_450, "counter", 1),
        MetricFamily.of("n" * 711, "gauge", -1),  # both lines are
        MetricFamily.of("u" * 1_427, "gauge", 1),
        MetricFamily.of("labels", "gauge", {(5,): 1}, label_names=("l",)),
    ]
    (first, second) = StatsdExporter().encode(batch(*families))
    assert (first.records, second.records) == (1, 1)
    assert len(second.body) == 1_432
    dropped = first.dropped.get("invalid", 0) + second.dropped.get("invalid", 0)
    assert dropped == len(families) - 2


def test_a_line_in_a_stream_has_4096_bytes_at_most():
    families = [
        MetricFamily.of(letter * n, "gauge", 1)
        for letter, n in (("a", 4_090), ("b", 4_092))
    ]
    (payload,) = StatsdExporter(protocol="tcp").encode(batch(*families))
    assert (payload.records, payload.dropped) == (1, {"invalid": 1})


def test_a_histogram_of_more_than_a_body_is_left_out():
    exporter = StatsdExporter(protocol="unix")
    (payload,) = exporter.encode(batch(durations(100, name="t" * 250)))
    assert payload.records == 1
    payloads = list(exporter.encode(batch(renamed(durations(100), "t" * 700))))
    assert [(it.records, it.dropped) for it in payloads] == [(0, {"invalid": 1})]


def renamed(family, name):
    return MetricFamily(
        name, family.kind, family.unit, "", family.blocks, family.bounds
    )


def test_series_that_become_one_are_added_up():
    rows = {("a b",): 1, ("a_b",): 2, ("a.b",): 4, ("c",): 8}
    family = MetricFamily.of("m", "counter", rows, label_names=("l",))
    other = MetricFamily.of("m.c", "gauge", 5)
    (payload,) = StatsdExporter().encode(batch(family, other))
    assert payload.body == b"m.a_b:7|c\nm.c:8|c\n"
    assert (payload.records, payload.merged, payload.dropped) == (2, 2, {"invalid": 1})


def test_nothing_to_say_is_no_payload():
    families = [MetricFamily.of("m", "counter", 0), durations(0)]
    assert list(StatsdExporter().encode(batch(*families))) == []
    assert list(StatsdExporter().encode(batch())) == []


def test_increases_are_those_since_the_last_snapshot():
    registry = Registry()
    counter = registry.counter("c")
    gauge = registry.gauge("g")
    counter.inc(3)
    first = registry.snapshot()
    counter.inc(4)
    gauge.set(1)
    change = delta(first, registry.snapshot())
    (payload,) = StatsdExporter().encode(batch(*change))
    assert payload.body == b"c:4|c\ng:1|g\n"


# --- what arrives ----------------------------------------------------------------------


def test_lines_arrive(way):
    server, make = way
    exporter = make(prefix="app")
    snapshot = batch(MetricFamily.of("m", "gauge", -1), durations(250))
    assert send(exporter, snapshot) == 2
    exporter.close(time.monotonic() + 1)
    eventually(lambda: len(lines_of(server.settled(), "plain")) == 102)
    gauge, histogram = points(server.settled(), "plain", lambda _: (100, 200))
    assert (gauge.name, gauge.value) == ("app.m", -1)
    assert (histogram.name, histogram.count) == ("app.t", 250)
    if server.kind == "udp":
        assert max(map(len, server.messages)) <= 1_432
    assert server.connections == server.is_stream


def test_datadog_reads_lengths_from_a_unix_stream(tmp_path):
    path = tmp_path / "dsd"
    with Server("unix-stream", path, frames=with_lengths) as server:
        exporter = StatsdExporter(str(path), protocol="unix", dialect="datadog")
        rows = {("v" * 150 + str(n),): n for n in range(100)}
        family = MetricFamily.of("m", "gauge", rows, label_names=("l",))
        assert send(exporter, batch(family)) == 100
        exporter.close(time.monotonic() + 1)
        eventually(lambda: len(lines_of(server.messages, "datadog")) == 100)
        assert max(map(len, server.messages)) <= 8_192
        assert server.broken == []


def test_a_forked_child_opens_its_own_connection(way):
    server, make = way
    exporter = make()
    send(exporter, counters(1))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = send(exporter, counters(1, 1)) != 1
            exporter.close(time.monotonic() + 1)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    send(exporter, counters(1, 2))
    eventually(lambda: len(server.messages) == 3)
    assert numbers(server) == [0, 1, 2]
    assert server.connections == 2 * server.is_stream


# --- what fails ------------------------------------------------------------------------


def failure(exporter, batch, seconds=0.5):
    """Send until it fails; give the exception and the payload."""
    (payload,) = exporter.encode(batch)
    for _ in range(2000):
        try:
            exporter.send(payload, _transport.monotonic() + seconds)
        except ExportFailed as error:
            return error, payload
    pytest.fail("nothing failed")


def test_a_server_that_was_started_again_loses_nothing(way):
    server, make = way
    if server.kind == "udp":
        pytest.skip("nobody tells a sender of datagrams")
    exporter = make()
    send(exporter, counters(10))
    eventually(lambda: len(lines_of(server.settled(), "plain")) == 10)
    server.stop()
    if server.path:
        os.unlink(server.path)
    (payload,) = exporter.encode(counters(10, 10))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() + 1)
    assert (raised.value.retryable, raised.value.sent) == (True, False)
    host, _, port = server.address.partition(":")
    with Server(server.kind, server.path, address=(host, int(port or 0))) as again:
        assert exporter.send(payload, time.monotonic() + 5).accepted == 10
        exporter.close(time.monotonic() + 1)
        eventually(lambda: len(lines_of(again.settled(), "plain")) == 10)
        assert numbers(again) == list(range(10, 20))


def test_datagrams_that_nobody_takes():
    with Server("udp") as server:
        address = server.address
    exporter = StatsdExporter(address)
    error, payload = failure(exporter, counters(5))
    assert str(error) == f"exporter 'statsd': udp://{address}: Connection refused."
    # What was refused is the one before: nothing of this one has gone out.
    assert (error.retryable, error.sent) == (True, False)
    port = int(address.rpartition(":")[2])
    with Server("udp", address=("127.0.0.1", port)) as server:
        assert exporter.send(payload, time.monotonic() + 5).accepted == 5
        exporter.close(0.0)
        eventually(lambda: server.messages)
        assert numbers(server) == list(range(5))


def test_a_histogram_of_which_nobody_takes_the_first_datagram_goes_out_again():
    with Server("udp") as server:
        address = server.address
    exporter = StatsdExporter(address)
    error, payload = failure(exporter, batch(durations(1_000, "t" * 80)))
    assert (error.retryable, error.sent) == (True, False)
    assert len(payload.body) > 5_000
    port = int(address.rpartition(":")[2])
    with Server("udp", address=("127.0.0.1", port)) as server:
        assert exporter.send(payload, time.monotonic() + 5).accepted == 1
        exporter.close(0.0)
        eventually(lambda: len(lines_of(server.settled(), "plain")) == 100)


class Failing(socket.socket):
    """Its third datagram finds the kernel without room."""

    count = 0

    def send(self, data, *flags):
        Failing.count += 1
        if Failing.count == 3:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return super().send(data, *flags)


def test_a_histogram_of_which_a_part_has_gone_out_is_not_sent_again(monkeypatch):
    monkeypatch.setattr(Failing, "count", 0)
    monkeypatch.setattr(socket, "socket", Failing)
    with Server("udp") as server:
        exporter = StatsdExporter(server.address)
        (payload,) = exporter.encode(batch(durations(1_000, "t" * 80)))
        with pytest.raises(ExportFailed) as raised:
            exporter.send(payload, time.monotonic() + 5)
        assert str(raised.value).endswith(": No buffer space available.")
        assert (raised.value.retryable, raised.value.sent) == (False, True)
        exporter.close(0.0)


def test_a_single_datagram_without_room_is_sent_again(monkeypatch):
    monkeypatch.setattr(Failing, "count", 2)
    monkeypatch.setattr(socket, "socket", Failing)
    with Server("udp") as server:
        exporter = StatsdExporter(server.address)
        error, payload = failure(exporter, counters(3))
        assert (error.retryable, error.sent) == (True, False)
        assert exporter.send(payload, time.monotonic() + 5).accepted == 3
        exporter.close(0.0)
        eventually(lambda: server.messages)
        assert numbers(server) == [0, 1, 2]


def test_a_socket_that_is_not_there(tmp_path):
    path = tmp_path / "statsd"
    exporter = StatsdExporter(str(path), protocol="unix")
    error, _ = failure(exporter, counters(1))
    text = f"exporter 'statsd': unix://{path}: No such file or directory."
    assert (str(error), error.retryable, error.sent) == (text, True, False)


def test_a_socket_whose_queue_is_full(tmp_path):
    """It holds few datagrams: the rest waits, and goes out once."""
    path = str(tmp_path / "statsd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        exporter = StatsdExporter(path, protocol="unix")
        payloads = [next(exporter.encode(counters(1, n))) for n in range(2_000)]
        for number, payload in enumerate(payloads):  # noqa: B007 - looked at below
            try:
                exporter.send(payload, time.monotonic() + 0.1)
            except ExportFailed as raised:
                error = raised
                break
        assert str(error) == f"exporter 'statsd': unix://{path}: out of time."
        assert (error.retryable, error.sent) == (True, False)
        server.setblocking(False)
        found = [server.recv(4096) for _ in range(number)]
        with pytest.raises(BlockingIOError):
            server.recv(4096)
        assert exporter.send(payload, time.monotonic() + 5).accepted == 1
        assert server.recv(4096) == payload.body
        assert found == [each.body for each in payloads[:number]]
        exporter.close(0.0)


class Small(socket.socket):
    """Takes datagrams up to 600 bytes; kernels differ in how long one may be."""

    def send(self, data, *flags):
        if len(data) > 600:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return super().send(data, *flags)


def test_a_datagram_larger_than_the_socket_takes_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "socket", Small)
    with Server("udp") as server:
        exporter = StatsdExporter(server.address)
        large, small = [next(exporter.encode(counters(n))) for n in (100, 10)]
        refused = Ack(0, {"too_large": 100})
        assert exporter.send(large, time.monotonic() + 5) == refused
        assert exporter.send(small, time.monotonic() + 5) == Ack(10)
        exporter.close(0.0)
        eventually(lambda: server.messages)
        assert numbers(server) == list(range(10))


def test_a_server_that_does_not_read(way):
    server, make = way
    if not server.is_stream:
        pytest.skip("datagrams have no window")
    server.mode = "never_read"
    begun = time.monotonic()
    exporter = make()
    rows = {("x" * 1_000 + str(n),): 1 for n in range(60)}
    many = MetricFamily.of("m", "gauge", rows, label_names=("l",))
    error = None
    while error is None:
        for payload in exporter.encode(batch(many)):
            try:
                exporter.send(payload, time.monotonic() + 0.5)
            except ExportFailed as raised:
                error = raised
                break
    assert time.monotonic() - begun < 10
    # A part of it is in the kernel's hands: sent again, it might count twice.
    assert (error.retryable, error.sent) == (False, True)
    assert str(error).endswith(": out of time.")


def test_a_deadline_that_has_passed(way):
    _, make = way
    exporter = make()
    (payload,) = exporter.encode(counters(1))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() - 1)
    assert (raised.value.retryable, raised.value.sent) == (True, False)
    assert send(exporter, counters(1)) == 1


# --- names of hosts --------------------------------------------------------------------


class Resolver:
    """Gives addresses in place of the system; None: the name is not known."""

    def __init__(self, monkeypatch):
        self.port, self.asked, self.now = 0, 0, 1000.0
        monkeypatch.setattr(socket, "getaddrinfo", self)
        monkeypatch.setattr(_transport, "monotonic", lambda: self.now)

    def __call__(self, host, port, type):
        assert (host, port) == ("metrics.example", 8125)
        self.asked += 1
        if self.port is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family, address = socket.AF_INET, ("127.0.0.1", self.port)
        return [(family, type, 0, "", address)]


@pytest.fixture
def resolver(monkeypatch):
    return Resolver(monkeypatch)


def port_of(server):
    return int(server.address.rpartition(":")[2])


def test_a_name_is_resolved_by_the_first_send_and_again_each_minute(resolver):
    with Server("udp") as old, Server("udp") as new:
        exporter = StatsdExporter("metrics.example")
        (payload,) = exporter.encode(counters(1))
        assert resolver.asked == 0
        resolver.port = port_of(old)
        for _ in range(3):
            exporter.send(payload, resolver.now + 5)
        assert resolver.asked == 1
        link = exporter._transport._socket
        resolver.now += 61  # it is still there: so is the socket
        exporter.send(payload, resolver.now + 5)
        assert (resolver.asked, exporter._transport._socket) == (2, link)
        resolver.port = port_of(new)
        exporter.send(payload, resolver.now + 5)
        resolver.now += 61
        exporter.send(payload, resolver.now + 5)
        assert resolver.asked == 4
        resolver.now += 61
        resolver.port = None  # the address that is known may be right
        for _ in range(2):
            exporter.send(payload, resolver.now + 5)
        assert resolver.asked == 5
        exporter.close(0.0)
        eventually(lambda: len(old.messages) == 5)
        eventually(lambda: len(new.messages) == 3)


def test_a_name_is_resolved_again_after_a_failure(resolver):
    with Server("udp") as server:
        resolver.port = port_of(server)
    exporter = StatsdExporter("metrics.example")
    (payload,) = exporter.encode(counters(1))
    assert "Connection refused" in str(failure(exporter, counters(1))[0])
    with Server("udp") as other:
        asked = resolver.asked
        resolver.port = port_of(other)
        exporter.send(payload, resolver.now + 5)
        assert resolver.asked == asked + 1
        exporter.close(0.0)
        eventually(lambda: len(other.messages) == 1)


def test_a_name_that_is_not_known(resolver):
    resolver.port = None
    exporter = StatsdExporter("metrics.example")
    (payload,) = exporter.encode(counters(1))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, resolver.now + 5)
    assert str(raised.value) == (
        "exporter 'statsd': udp://metrics.example: Name or service not known."
    )
    assert (raised.value.retryable, raised.value.sent) == (True, False)


def without_a_client():
    """Yield which modules of the package are there after a send without it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        exporter = StatsdExporter(f"127.0.0.1:{server.getsockname()[1]}")
        send(exporter, counters(1))
    yield [name for name in sys.modules if name.split(".")[0] == "statsd"]
    os._exit(0)
