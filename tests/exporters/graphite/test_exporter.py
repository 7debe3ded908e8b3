"""The exporter over each way to a server: what arrives, what fails, what is tried again."""

import os
import socket
import time

import pytest

from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, Block, MetricFamily, Resource
from obs_exporters import GraphiteExporter, exporter_from_url
from tests.exporters.graphite.reader import Lines, Pickles

TIME = 1_700_000_000
RESOURCE = {
    "service.name": "checkout",
    "service.instance.id": "3f2a",
    "deployment.environment.name": "prod",
    "host.name": "web-1.example",
}


def batch(*families, now=TIME, **attributes):
    resource = Resource(RESOURCE | attributes)
    return Batch("metrics", resource, families=families, time_ns=now * 10**9 + 999)


def numbers(name="n", kind="counter", **values):
    rows = {(key,): value for key, value in values.items()}
    return MetricFamily.of(name, kind, rows, label_names=("l",))


def histogram(name="h", buckets=(0, 4, 0), start_ns=1, **label):
    block = Block(tuple(label), [tuple(label.values())], [5.0], [buckets], start_ns)
    return MetricFamily(name, "histogram", blocks=[block], bounds=(1.0, 2.0))


def push(exporter, batch, seconds=5.0):
    accepted = 0
    for payload in exporter.encode(batch):
        accepted += exporter.send(payload, time.monotonic() + seconds).accepted
    return accepted


def encoded(*families, **options):
    """Give the lines of a push, and what the payloads count."""
    payloads = list(GraphiteExporter(**options).encode(batch(*families)))
    text = b"".join(it.body for it in payloads).decode()
    return text.splitlines(), [
        (it.records, dict(it.dropped), it.merged) for it in payloads
    ]


def eventually(holds):
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture(params=["plaintext", "pickle", "udp"])
def way(request):
    """A server of each kind, and what makes an exporter to it."""
    protocol = request.param
    kind = Pickles if protocol == "pickle" else Lines
    with kind("udp" if protocol == "udp" else "tcp") as server:
        made = []

        def make(**more):
            exporter = GraphiteExporter(
                server.address, protocol=protocol, prefix="p", **more
            )
            made.append(exporter)
            return exporter

        yield server, make
        for exporter in made:
            exporter.close(0.0)


# --- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": 5}, "address got 5, needs a host and a port, as host:2003."),
        (
            {"address": "a:b"},
            "address got 'a:b', needs a host and a port, as host:2003.",
        ),
        (
            {"address": "a:0"},
            "address got 'a:0', needs a host and a port, as host:2003.",
        ),
        ({"address": ""}, "address got '', needs a host and a port, as host:2003."),
        (
            {"protocol": "tcp"},
            "protocol got 'tcp', needs one of plaintext, pickle, udp.",
        ),
        ({"protocol": None}, "protocol got None, needs one of plaintext, pickle, udp."),
        ({"tags": 1}, "tags got 1, needs one of False, True."),
        ({"tags": "yes"}, "tags got 'yes', needs one of False, True."),
        (
            {"histograms": "quantiles"},
            "histograms got 'quantiles', needs one of percentiles, buckets.",
        ),
        (
            {"histograms": []},
            "histograms got [], needs one of percentiles, buckets.",
        ),
        (
            {"prefix": "app."},
            "prefix got 'app.', needs letters, digits, '_', '-' and '{names}' of "
            "attributes, with dots between them.",
        ),
        (
            {"prefix": 5},
            "prefix got 5, needs letters, digits, '_', '-' and '{names}' of attributes, "
            "with dots between them.",
        ),
        (
            {"resource_tags": ["host.name"]},
            "resource_tags got ['host.name'], needs tags=True.",
        ),
        (
            {"tags": True, "resource_tags": ["host.name", 5]},
            "resource_tags got ['host.name', 5], needs names of attributes, as "
            "('host.name',).",
        ),
        (
            {"tags": True, "resource_tags": 5},
            "resource_tags got 5, needs names of attributes, as ('host.name',).",
        ),
        ({"interval": 0}, "interval got 0, needs seconds from 0.01 to 86400."),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(DefinitionError) as raised:
        GraphiteExporter(**arguments)
    assert str(raised.value) == f"exporter 'graphite': {text}"


@pytest.mark.parametrize(
    ("prefix", "is_good"),
    [
        ("", True),
        ("app", True),
        ("a.b-c.{host.name}", True),
        ("a{x}b.{y}{z}", True),
        ("é", True),
        (".a", False),
        ("a..b", False),
        ("a b", False),
        ("a\n", False),
        ("a;b=c", False),
        ("{", False),
        ("{}", False),
        ("{a b}", False),
        ("a/b", False),
    ],
)
def test_prefixes(prefix, is_good):
    try:
        GraphiteExporter(prefix=prefix)
    except DefinitionError:
        assert not is_good
    else:
        assert is_good


def test_how_it_wants_to_be_driven():
    exporter = GraphiteExporter(name="n", timeout=3.0, interval=60)
    assert (exporter.name, exporter.signals) == ("n", {"metrics"})
    delivery = exporter.delivery
    assert (delivery.interval, delivery.timeout) == (60, 3.0)
    assert (delivery.temporality, delivery.max_bytes) == ("cumulative", 65_536)
    assert not delivery.acknowledges
    assert delivery.replayable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("graphite://127.0.0.1:2003", "plaintext://127.0.0.1:2003"),
        ("graphite:", "plaintext://127.0.0.1"),
        ("graphite://[::1]?protocol=pickle", "pickle://[::1]"),
        (
            "graphite://carbon.example:1?protocol=udp&tags=false",
            "udp://carbon.example:1",
        ),
    ],
)
def test_urls(url, shown):
    assert repr(exporter_from_url(url)) == f"GraphiteExporter({shown!r})"


def test_options_of_a_url():
    exporter = exporter_from_url(
        "graphite://h?prefix=app&tags=true&resource_tags=host.name,x&histograms=buckets"
        "&interval=60&timeout=2&name=g"
    )
    assert (exporter.name, exporter.delivery.interval) == ("g", 60.0)
    (payload,) = exporter.encode(batch(histogram(buckets=(0, 4, 0))))
    assert payload.body.decode().splitlines()[:3] == [
        f"app.h.count;host.name=web-1.example 4 {TIME}",
        f"app.h.sum;host.name=web-1.example 5 {TIME}",
        f"app.h.bucket;host.name=web-1.example;le=1 0 {TIME}",
    ]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "graphite://h?tags=yes",
            "exporter URL: graphite: option 'tags' got 'yes', needs true or false.",
        ),
        (
            "graphite://me:secret@h",
            "exporter URL: graphite: got a user, needs host and port alone.",
        ),
        (
            "graphite://h/path",
            "exporter URL: graphite: got the path '/path', needs host and port alone.",
        ),
    ],
)
def test_urls_that_are_none(url, text):
    with pytest.raises(DefinitionError) as raised:
        exporter_from_url(url)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("protocol", "port"), [("plaintext", 2003), ("pickle", 2004), ("udp", 2003)]
)
def test_the_port_of_each_protocol(protocol, port, monkeypatch):
    asked = []

    def ask(host, port, *_, **__):
        asked.append((host, port))
        raise OSError("no such host")

    exporter = GraphiteExporter("carbon.example", protocol=protocol)
    (payload,) = exporter.encode(batch(numbers(a=1)))
    monkeypatch.setattr(socket, "getaddrinfo", ask)
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() + 1)
    assert asked == [("carbon.example", port)]
    text = f"exporter 'graphite': {protocol}://carbon.example: no such host."
    assert (str(raised.value), raised.value.retryable) == (text, True)
    assert not raised.value.sent


# --- what is sent ----------------------------------------------------------------------


def test_each_kind_of_instrument():
    families = [
        numbers("orders.placed", "counter", web=3),
        MetricFamily.of("pool.size", "updown", -2),
        MetricFamily.of("temperature", "gauge", 21.5),
        numbers("build", "info", x=1),
        histogram("latency", route="home"),
    ]
    found, counts = encoded(*families)
    begin = "checkout.3f2a"
    assert found == [
        f"{begin}.orders.placed.web 3 {TIME}",
        f"{begin}.pool.size -2 {TIME}",
        f"{begin}.temperature 21.5 {TIME}",
        f"{begin}.build.x 1 {TIME}",
        f"{begin}.latency.home.count 4 {TIME}",
        f"{begin}.latency.home.sum 5 {TIME}",
        f"{begin}.latency.home.p50 1.5 {TIME}",
        f"{begin}.latency.home.p90 1.9 {TIME}",
        f"{begin}.latency.home.p95 1.95 {TIME}",
        f"{begin}.latency.home.p99 1.99 {TIME}",
    ]
    assert counts == [(5, {}, 0)]


def test_tags_have_the_resource_of_the_process():
    tags = "deployment.environment.name=prod;service.instance.id=3f2a;service.name=checkout"
    assert encoded(numbers(a=3), tags=True)[0] == [
        f"n;{tags.replace(';s', ';l=a;s', 1)} 3 {TIME}"
    ]
    assert encoded(numbers(a=3), tags=True, resource_tags=())[0] == [f"n;l=a 3 {TIME}"]
    assert encoded(numbers(a=3), tags=True, resource_tags=["host.name"])[0] == [
        f"n;host.name=web-1.example;l=a 3 {TIME}"
    ]


def test_two_processes_of_a_service_do_not_share_a_path():
    for options in ({}, {"tags": True}):
        exporter = GraphiteExporter(**options)
        found = set()
        for instance in ("one", "two"):
            attributes = {"service.instance.id": instance}
            (payload,) = exporter.encode(batch(numbers(a=1), **attributes))
            found.add(payload.body)
        assert len(found) == 2


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "n.a"),
        ("app", "app.n.a"),
        ("{service.name}.{host.name}", "checkout.web-1_example.n.a"),
        ("{no.such}", "_empty_.n.a"),
    ],
)
def test_what_a_prefix_becomes(prefix, path):
    assert encoded(numbers(a=1), prefix=prefix)[0] == [f"{path} 1 {TIME}"]


def test_series_that_become_one_are_added_up_and_counted():
    family = MetricFamily.of(
        "n", "counter", {("a.b",): 1, ("a/b",): 2, ("c",): 3}, label_names=("l",)
    )
    found, counts = encoded(family, prefix="")
    assert found == [f"n.a_b 3 {TIME}", f"n.c 3 {TIME}"]
    assert counts == [(2, {}, 1)]


def test_a_metric_that_takes_a_histograms_path_is_left_out_and_counted():
    families = [histogram(), MetricFamily.of("h.count", "counter", 9)]
    found, counts = encoded(*families, prefix="")
    assert f"h.count 4 {TIME}" in found
    assert not any(" 9 " in line for line in found)
    assert counts == [(1, {"invalid": 1}, 0)]
    found, counts = encoded(*reversed(families), prefix="")
    assert found == [f"h.count 9 {TIME}"]
    assert counts == [(1, {"invalid": 1}, 0)]


def test_bounds_that_become_one_path_are_left_out():
    block = Block((), [()], [1.0], [(1, 1, 1)])
    family = MetricFamily("h", "histogram", blocks=[block], bounds=(1e22, 1e22))
    found, counts = encoded(family, prefix="", histograms="buckets")
    assert (found, counts) == ([], [(0, {"invalid": 1}, 0)])


def test_what_cannot_be_sent_is_counted():
    values = {"a": float("nan"), "b": float("inf"), "c": 10**400, "x" * 300: 1, "d": 2}
    found, counts = encoded(
        numbers(**values), MetricFamily.of("..", "gauge", 1), prefix=""
    )
    assert (found, counts) == ([f"n.d 2 {TIME}"], [(1, {"invalid": 5}, 0)])
    found, counts = encoded(numbers(a=float("nan")), numbers(**{"x" * 300: 1}))
    assert (found, counts) == ([], [(0, {"invalid": 2}, 0)])
    assert encoded() == ([], [])


def test_times_are_whole_seconds_of_the_batch():
    exporter = GraphiteExporter(prefix="")
    (payload,) = exporter.encode(batch(numbers(a=1), now=1_234))
    assert payload.body == b"n.a 1 1234\n"


# --- percentiles -----------------------------------------------------------------------


def percentile(exporter, *buckets, start_ns=1):
    (payload,) = exporter.encode(batch(histogram(buckets=buckets, start_ns=start_ns)))
    lines = payload.body.decode().splitlines()
    found = [line.split()[1] for line in lines if line.startswith("p.h.p50 ")]
    return payload, (float(found[0]) if found else None)


def test_percentiles_count_from_the_last_push_that_was_sent():
    with Lines("tcp") as server:
        exporter = GraphiteExporter(server.address, prefix="p")
        payload, found = percentile(exporter, 100, 0, 0)
        assert found == 0.5
        _, found = percentile(exporter, 100, 100, 0)
        assert found == 1.0  # nothing was sent yet
        exporter.send(payload, time.monotonic() + 5)
        payload, found = percentile(exporter, 100, 100, 0)
        assert found == 1.5
        server.stop()
        with pytest.raises(ExportFailed):
            exporter.send(payload, time.monotonic() + 1)
    _, found = percentile(exporter, 100, 300, 0)
    assert found == 1.5
    _, found = percentile(exporter, 100, 0, 0)
    assert found is None
    _, found = percentile(exporter, 100, 100, 0, start_ns=2)
    assert found == 1.0
    exporter.close(0.0)


# --- what arrives ----------------------------------------------------------------------


def many(begin, n=3_000):
    """Give more than one body holds."""
    values = {f"series-{i}": i + 0.5 for i in range(begin, begin + n)}
    return batch(numbers("orders.placed", "gauge", **values))


def ids(server):
    return [int(it.name.rpartition("-")[2]) for it in server.values()]


def test_values_arrive_in_their_order(way):
    server, make = way
    exporter = make()
    assert push(exporter, many(0)) == 3_000
    eventually(lambda: len(ids(server)) == 3_000)
    assert push(exporter, many(3_000)) == 3_000
    exporter.close(time.monotonic() + 1)
    eventually(lambda: len(ids(server)) == 6_000)
    values = server.values()
    assert [it.value for it in values] == [i + 0.5 for i in range(6_000)]
    assert values[7].name == "p.orders.placed.series-7"
    assert {it.time for it in values} == {TIME}
    assert server.connections == server.is_stream
    assert server.broken == []
    if server.kind == "udp":
        assert max(map(len, server.messages)) <= 1_432
        assert len(server.messages) < 6_000 // 20


def test_a_forked_child_opens_its_own_connection(way):
    server, make = way
    exporter = make()
    push(exporter, batch(numbers(**{"x-1": 1})))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = push(exporter, batch(numbers(**{"x-2": 1}))) != 1
            exporter.close(time.monotonic() + 1)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    eventually(lambda: any("x-2" in it.name for it in server.values()))
    assert server.connections == 2 * server.is_stream
    push(exporter, batch(numbers(**{"x-3": 1})))
    eventually(lambda: sum("x-" in it.name for it in server.values()) == 3)
    assert server.connections == 2 * server.is_stream


# --- what fails ------------------------------------------------------------------------


def failure(exporter, batch, seconds):
    """Send until it fails; give the exception."""
    payload, *_ = exporter.encode(batch)
    for _ in range(2_000):
        try:
            exporter.send(payload, time.monotonic() + seconds)
        except ExportFailed as error:
            return error
    pytest.fail("nothing failed")


def test_a_server_that_was_started_again_loses_nothing(way):
    server, make = way
    if server.kind == "udp":
        pytest.skip("nobody tells a sender of datagrams")
    exporter = make()
    push(exporter, many(0, 10))
    eventually(lambda: len(ids(server)) == 10)
    server.stop()
    host, _, port = server.address.partition(":")
    again = type(server)("tcp", address=(host, int(port)))
    with again:
        assert push(exporter, many(10, 10)) == 10
        exporter.close(time.monotonic() + 1)
        eventually(lambda: len(ids(again)) == 10)
        assert ids(again) == list(range(10, 20))


def test_a_server_that_is_away(way):
    server, make = way
    exporter = make()
    server.stop()
    error = failure(exporter, many(0, 10), 1.0)  # of datagrams the second at most
    text = f"exporter 'graphite': {exporter!r}: Connection refused."
    assert str(error) == text.replace("GraphiteExporter('", "").replace("')", "")
    assert error.retryable
    if server.is_stream:
        assert not error.sent


def test_a_server_that_does_not_read():
    with Lines("tcp") as server:
        server.mode = "never_read"
        exporter = GraphiteExporter(server.address, prefix="p")
        error = failure(exporter, many(0), 0.2)
        text = f"exporter 'graphite': plaintext://{server.address}: "
        assert str(error).startswith(text)
        assert (error.retryable, error.sent) == (True, True)
        exporter.close(0.0)


class Small(socket.socket):
    """Takes no datagram of more than 500 bytes."""

    def send(self, data, *flags):
        if len(data) > 500:
            raise OSError(90, "Message too long")
        return super().send(data, *flags)


def test_datagrams_that_are_larger_than_the_socket_takes_are_counted(monkeypatch):
    with Lines("udp") as server:
        exporter = GraphiteExporter(server.address, protocol="udp", prefix="p")
        monkeypatch.setattr(socket, "socket", Small)
        (payload,) = exporter.encode(many(0, 50))
        ack = exporter.send(payload, time.monotonic() + 5)
        assert ack == Ack(50 - ack.rejected["too_large"], {"too_large": 2})
        exporter.close(0.0)


def test_a_send_after_close_opens_another_connection(way):
    server, make = way
    exporter = make()
    for n in range(2):
        push(exporter, many(n, 1))
        exporter.close(time.monotonic() + 1)
        exporter.close(time.monotonic() + 1)
    eventually(lambda: sorted(ids(server)) == [0, 1])
