"""The exporter over each way to a server: what arrives, what fails, what is tried again."""

import errno
import os
import socket
import ssl
import time

import pytest

from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, LogRecord, Resource
from obs_exporters import SyslogExporter, Tls, exporter_from_url
from tests.exporters.sending import eventually, failure, send
from tests.exporters.syslog.reader import Server, read
from tests.faults.certificates import authority, server_context

TIME = 1_700_000_000_123_456_789


def batch(n=3, begin=0, **fields):
    records = [
        LogRecord(TIME, "info", "e", fields={"i": i, **fields})
        for i in range(begin, begin + n)
    ]
    return Batch("logs", Resource({"service.name": "s"}), records=records)


def numbers(server):
    return [int(read(message).params["i"]) for message in list(server.messages)]


@pytest.fixture
def ca_file(tmp_path):
    path = tmp_path / "ca.pem"
    authority("known").cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(params=["udp", "tcp", "tls", "unix", "unix-stream"])
def way(request, tmp_path, ca_file):
    """A server of each kind, and what makes an exporter to it."""
    kind = request.param
    is_unix = kind.startswith("unix")
    context = server_context("good") if kind == "tls" else None
    path = tmp_path / "log" if is_unix else ""
    tls = Tls(ca_file) if kind == "tls" else None
    with Server("tcp" if kind == "tls" else kind, path, context) as server:
        server.way = kind

        made = []

        def make(**more):
            protocol = "unix" if is_unix else kind
            made.append(
                SyslogExporter(server.address, protocol=protocol, tls=tls, **more)
            )
            return made[-1]

        yield server, make
        for exporter in made:
            exporter.close(0.0)


# --- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": 5}, "address got 5, needs a host and a port, as host:514."),
        (
            {"address": "a:b"},
            "address got 'a:b', needs a host and a port, as host:514.",
        ),
        (
            {"address": "a:0"},
            "address got 'a:0', needs a host and a port, as host:514.",
        ),
        ({"address": ":1"}, "address got ':1', needs a host and a port, as host:514."),
        (
            {"address": "", "protocol": "unix"},
            "address got '', needs the path of a Unix socket.",
        ),
        (
            {"protocol": "sctp"},
            "protocol got 'sctp', needs one of udp, tcp, tls, unix.",
        ),
        (
            {"facility": 3},
            "facility got 3, needs one of kern, user, mail, daemon, auth, syslog, lpr, "
            "news, uucp, cron, authpriv, ftp, ntp, audit, alert, clock, local0, local1, "
            "local2, local3, local4, local5, local6, local7.",
        ),
        (
            {"app_name": "a b"},
            "app_name got 'a b', needs 1 to 48 characters of visible ASCII.",
        ),
        (
            {"hostname": ""},
            "hostname got '', needs 1 to 255 characters of visible ASCII.",
        ),
        (
            {"sd_id": "fields"},
            "sd_id got 'fields', needs a name, @ and an enterprise number, 32 characters "
            "in all.",
        ),
        (
            {"max_message_bytes": 479},
            "max_message_bytes got 479, needs an integer from 480 to 65000.",
        ),
        (
            {"tls": Tls()},
            "tls got <Tls>, needs the protocol 'tls'.",
        ),
        (
            {"tls": 5, "protocol": "tls"},
            "tls got 5, needs a Tls or an ssl.SSLContext.",
        ),
        ({"timeout": 0}, "timeout got 0, needs seconds from 0.01 to 86400."),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(DefinitionError) as raised:
        SyslogExporter(**arguments)
    assert str(raised.value) == f"exporter 'syslog': {text}"


@pytest.mark.parametrize(
    ("sd_id", "is_good"),
    [
        ("a@1", True),
        ("my.fields@32473.1.2", True),
        ("a" * 26 + "@32473", True),
        ("a" * 27 + "@32473", False),
        ("a@", False),
        ("@1", False),
        ("a@x", False),
        ("a@1.", False),
        ("a b@1", False),
        ("a=b@1", False),
        ("a]@1", False),
        ('a"@1', False),
        ("é@1", False),
        ("a@1\n", False),
    ],
)
def test_names_of_elements(sd_id, is_good):
    try:
        SyslogExporter(sd_id=sd_id)
    except DefinitionError:
        assert not is_good
    else:
        assert is_good


def test_how_it_wants_to_be_driven():
    exporter = SyslogExporter(name="n", timeout=3.0, interval=0.5)
    assert (exporter.name, exporter.signals) == ("n", {"logs"})
    delivery = exporter.delivery
    assert (delivery.interval, delivery.timeout) == (0.5, 3.0)
    assert not delivery.acknowledges


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("syslog://127.0.0.1:514", "udp://127.0.0.1:514"),
        ("syslog:", "udp://127.0.0.1:514"),
        ("syslog://logs.example", "udp://logs.example"),
        ("syslog://[::1]:6514?protocol=tls", "tls://[::1]:6514"),
        ("syslog://h:1?protocol=tcp&facility=local0&app_name=a", "tcp://h:1"),
        ("syslog:///dev/log", "unix:///dev/log"),
    ],
)
def test_urls(url, shown):
    assert repr(exporter_from_url(url)) == f"SyslogExporter({shown!r})"


def test_a_url_with_a_user():
    with pytest.raises(DefinitionError) as raised:
        exporter_from_url("syslog://me:secret@h")
    assert str(raised.value) == (
        "exporter URL: syslog: got a user, needs host and port alone."
    )


# --- what arrives ----------------------------------------------------------------------


def test_records_arrive_in_their_order(way):
    server, make = way
    exporter = make(hostname="h", app_name="a", facility="local7", sd_id="mine@1")
    assert send(exporter, batch(500, text="né\n")) == 500
    assert send(exporter, batch(500, 500)) == 500
    exporter.close(time.monotonic() + 1)
    eventually(lambda: len(server.messages) == 1000)
    assert numbers(server) == list(range(1000))
    first = read(server.messages[0])
    assert first[:2] == (23, 6)
    assert (first.host, first.app, first.sd_id) == ("h", "a", "mine@1")
    assert server.connections == server.is_stream
    assert server.broken == []


def test_how_long_a_message_may_be(way):
    server, make = way
    send(make(), batch(1, text="x" * 30_000))
    send(make(max_message_bytes=60_000), batch(1, text="x" * 30_000))
    eventually(lambda: len(server.messages) == 2)
    least, most = sorted(map(len, server.messages))
    is_datagram = server.way in ("udp", "unix", "unix-stream")
    limit = 2048 if is_datagram else 8192
    assert limit - 32 < least <= limit
    assert 30_000 < most < 31_000


def test_a_forked_child_opens_its_own_connection(way):
    server, make = way
    exporter = make()
    send(exporter, batch(1))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = send(exporter, batch(1, 1)) != 1
            exporter.close(time.monotonic() + 1)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    send(exporter, batch(1, 2))
    eventually(lambda: len(server.messages) == 3)
    assert sorted(numbers(server)) == [0, 1, 2]
    assert server.connections == 2 * server.is_stream


def test_what_was_sent_arrives_when_it_is_closed_at_once(way):
    """A TLS server's tickets lie unread: closing over them would reset the connection."""
    server, make = way
    for n in range(20):
        exporter = make()
        send(exporter, batch(100, 100 * n))
        exporter.close(time.monotonic() + 1)
    eventually(lambda: len(server.messages) == 2000)
    eventually(lambda: server.ended == server.connections)
    assert server.broken == []


def test_what_a_slow_server_has_not_read_yet_arrives_after_close(ca_file):
    """The kernel throws away what it has not sent where something lies unread."""
    with Server("tcp", context=server_context("good"), pause=0.2) as server:
        exporter = SyslogExporter(server.address, protocol="tls", tls=Tls(ca_file))
        (payload,) = exporter.encode(batch(7, text="x" * 8_000))
        exporter.send(payload, time.monotonic() + 5)
        exporter.close(time.monotonic() + 5)
        eventually(lambda: server.ended)
        assert (len(server.messages), server.broken) == (7, [])


# --- what fails ------------------------------------------------------------------------


def test_a_server_that_was_started_again_loses_nothing(way):
    server, make = way
    if server.kind == "udp":
        pytest.skip("nobody tells a sender of datagrams")
    exporter = make()
    send(exporter, batch(10))
    eventually(lambda: len(server.messages) == 10)
    server.stop()
    error, payload = None, None
    if server.path:
        os.unlink(server.path)
    (payload,) = exporter.encode(batch(10, 10))
    with pytest.raises(ExportFailed) as raised:
        exporter.send(payload, time.monotonic() + 1)
    error = raised.value
    assert (error.retryable, error.sent) == (True, False)
    host, _, port = server.address.partition(":")
    address = (host, int(port or 0))
    with Server(server.kind, server.path, server.context, address) as again:
        assert exporter.send(payload, time.monotonic() + 5).accepted == 10
        exporter.close(time.monotonic() + 1)
        eventually(lambda: len(again.messages) == 10)
        assert numbers(again) == list(range(10, 20))


def test_datagrams_that_nobody_takes():
    with Server("udp") as server:
        address = server.address
    exporter = SyslogExporter(address)
    error, payload = failure(exporter, batch(5))
    assert str(error) == (f"exporter 'syslog': udp://{address}: Connection refused.")
    assert error.retryable
    port = int(address.rpartition(":")[2])
    with Server("udp", address=("127.0.0.1", port)) as server:
        assert exporter.send(payload, time.monotonic() + 5).accepted == 5
        exporter.close(0.0)
        eventually(lambda: len(server.messages) == 5)
        assert numbers(server) == list(range(5))


def test_a_socket_that_is_not_there(tmp_path):
    path = tmp_path / "log"
    exporter = SyslogExporter(str(path), protocol="unix")
    error, _ = failure(exporter, batch(1))
    text = f"exporter 'syslog': unix://{path}: No such file or directory."
    assert (str(error), error.retryable, error.sent) == (text, True, False)


def test_datagrams_go_on_where_they_stopped(tmp_path):
    """The queue of a Unix socket holds few: the rest waits, and goes out once."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        exporter = SyslogExporter(path, protocol="unix")
        (payload,) = exporter.encode(batch(200))
        with pytest.raises(ExportFailed) as raised:
            exporter.send(payload, time.monotonic() + 0.2)
        assert (raised.value.retryable, raised.value.sent) == (True, True)
        server.setblocking(False)
        found = []
        while len(found) < 200:
            try:
                while True:
                    found.append(int(read(server.recv(4096)).params["i"]))
            except BlockingIOError:
                pass
            try:
                exporter.send(payload, time.monotonic() + 0.1)
            except ExportFailed:
                continue
        assert found == list(range(200))
        exporter.close(0.0)


class Small(socket.socket):
    """Takes datagrams up to 4,096 bytes; kernels differ in how long one may be."""

    def send(self, data, *flags):
        if len(data) > 4_096:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return super().send(data, *flags)


def test_a_datagram_larger_than_the_socket_takes_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "socket", Small)
    with Server("udp") as server:
        exporter = SyslogExporter(server.address, max_message_bytes=60_000)
        large = batch(1, 7, text="x" * 30_000).records
        records = [*batch(1).records, *large, *batch(1, 1).records, *large]
        (payload,) = exporter.encode(batch(1)._replace(records=records))
        assert exporter.send(payload, time.monotonic() + 5) == Ack(2, {"too_large": 2})
        (payload,) = exporter.encode(batch(1, 2))
        assert exporter.send(payload, time.monotonic() + 5) == Ack(1)
        exporter.close(0.0)
        eventually(lambda: len(server.messages) == 3)
        assert numbers(server) == [0, 1, 2]


def test_a_server_that_does_not_read(way):
    server, make = way
    if not server.is_stream:
        pytest.skip("datagrams have no window")
    server.mode = "never_read"
    begun = time.monotonic()
    error, _ = failure(make(max_message_bytes=60_000), batch(1, text="x" * 60_000))
    assert time.monotonic() - begun < 10
    assert (error.retryable, error.sent) == (True, True)
    assert str(error).endswith(": out of time.")


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "unknown_issuer"])
def test_certificates_that_are_not_trusted(kind, ca_file):
    with Server("tcp", context=server_context(kind)) as server:
        exporter = SyslogExporter(server.address, protocol="tls", tls=Tls(ca_file))
        error, _ = failure(exporter, batch(1))
        assert "the certificate is not trusted" in str(error)
        assert (error.retryable, error.sent) == (True, False)
        server.context = server_context("good")
        assert send(exporter, batch(1)) == 1
        exporter.close(time.monotonic() + 1)
        eventually(lambda: server.messages)


def test_files_are_read_again_after_tls_has_failed(tmp_path):
    path = tmp_path / "ca.pem"
    authority("unknown").cert_pem.write_to_path(path)
    with Server("tcp", context=server_context("good")) as server:
        tls = Tls(str(path))
        exporter = SyslogExporter(server.address, protocol="tls", tls=tls)
        error, payload = failure(exporter, batch(1))
        assert "the certificate is not trusted" in str(error)
        authority("known").cert_pem.write_to_path(path)
        assert exporter.send(payload, time.monotonic() + 5).accepted == 1
        exporter.close(time.monotonic() + 1)
        eventually(lambda: server.messages)


def test_a_server_that_wants_a_certificate(ca_file, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("known").issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority("known").configure_trust(context)
    mine = authority("known").issue_cert("client")
    cert, key = str(tmp_path / "c"), str(tmp_path / "k")
    mine.cert_chain_pems[0].write_to_path(cert)
    mine.private_key_pem.write_to_path(key)
    with Server("tcp", context=context) as server:
        tls = Tls(ca_file, cert, key)
        exporter = SyslogExporter(server.address, protocol="tls", tls=tls)
        assert send(exporter, batch(1)) == 1
        exporter.close(time.monotonic() + 1)
        eventually(lambda: server.messages)
