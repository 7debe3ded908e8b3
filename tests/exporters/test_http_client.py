"""The HTTP client of the push exporters, against every mode of the fault sink."""

import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.errors import ExportFailed
from obs_exporters import _http_connection
from obs_exporters._http_client import Answer, HttpClient, Tls, failed, gzipped
from tests.faults.certificates import authority, mutual_context
from tests.faults.modes import answer, raw
from tests.faults.sink import Sink
from tests.open_files import open_files

ROOT = Path(__file__).parents[2]
SECONDS = 10.0
GRACE = 0.5
FORM = {"Content-Type": "a/b"}

forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def post(client: HttpClient, body: bytes = b"x", seconds: float = SECONDS) -> Answer:
    return client.post("/v1", body, FORM, time.monotonic() + seconds)


def failure(client: HttpClient, body: bytes = b"x", seconds: float = SECONDS):
    """Give what a post raises; it keeps its deadline."""
    before = time.monotonic()
    with pytest.raises(ExportFailed) as caught:
        post(client, body, seconds)
    assert time.monotonic() - before <= max(0, seconds) + GRACE
    error = caught.value
    assert error.retryable
    assert error.retry_after is None
    return error


def text_of(sink: Sink, what: str) -> str:
    return f"exporter 'x': {sink.url}: {what}."


def until(condition) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def clients():
    """Makes clients that are closed at the end."""
    made: list[HttpClient] = []

    def make(where: Sink | str, **arguments) -> HttpClient:
        url = where if isinstance(where, str) else where.url
        made.append(HttpClient("x", url, **arguments))
        return made[-1]

    yield make
    for client in made:
        client.close()


class TestRequest:
    def test_it_arrives_whole(self, clients):
        with Sink() as sink:
            client = clients(sink.url + "/base/", headers={"X-Key": "k"})
            assert post(client, b"body") == Answer(200, {"content-length": "0"}, b"")
            (request,) = sink.requests
        assert (request.method, request.path) == ("POST", "/base/v1")
        assert request.body == b"body"
        assert request.headers == {
            "host": sink.url.removeprefix("http://"),
            "user-agent": "obs-sdk",
            "accept-encoding": "identity",
            "x-key": "k",
            "content-type": "a/b",
            "content-length": "4",
        }

    @pytest.mark.parametrize(
        ("base", "path", "target"),
        [
            ("", "", "/"),
            ("/", "", "/"),
            ("", "/v1", "/v1"),
            ("/", "/v1", "/v1"),
            ("/a", "/v1", "/a/v1"),
            ("/a/", "/v1", "/a/v1"),
            ("/a/", "", "/a/"),
            ("/a", "?b=1", "/a?b=1"),
            ("", "?b=1", "/?b=1"),
        ],
    )
    def test_the_path_is_added_to_the_urls(self, clients, base, path, target):
        with Sink() as sink:
            clients(sink.url + base).post(path, b"", {}, time.monotonic() + SECONDS)
            assert sink.requests[0].path == target

    def test_a_body_of_a_mib_arrives_whole(self, clients):
        body = os.urandom(1024 * 1024)
        with Sink() as sink:
            post(clients(sink), body)
            assert sink.requests[0].body == body

    def test_the_answer_comes_back_whatever_its_status(self, clients):
        reply = answer(418, b"short", ("X-Pot", "tea"), ("X-Pot", "stout"))
        with Sink(
            raw(b"HTTP/1.1 418 T\r\nX-Pot: tea\r\nx-pot: stout\r\n\r\nshort")
        ) as sink:
            got = post(clients(sink))
        assert got == Answer(418, {"x-pot": "tea, stout"}, b"short")
        with Sink(reply) as sink:
            assert post(clients(sink)).body == b"short"

    def test_user_and_password_become_basic_authorization(self, clients):
        with Sink() as sink:
            url = sink.url.replace("//", "//me:p%40ss%3Aw%C3%B6rd@") + "/in"
            client = clients(url)
            post(client)
            header = sink.requests[0].headers["authorization"]
            sink.mode = "refuse"
            error = failure(client)
        assert header == "Basic bWU6cEBzczp3w7ZyZA=="
        assert client.url == f"{sink.url}/in"
        for text in (str(error), repr(client), client.url):
            assert "me:" not in text
            assert "p%40" not in text

    def test_headers_of_a_request_go_before_those_of_the_client(self, clients):
        with Sink() as sink:
            url = sink.url.replace("//", "//me:pw@")
            headers = {
                "content-TYPE": "no/no",
                "Authorization": "Bearer t",
                "Host": "h",
            }
            post(clients(url, headers=headers))
            got = sink.requests[0].headers
        assert got["content-type"] == "a/b"
        assert got["authorization"] == "Bearer t"
        assert got["host"] == "h"

    def test_headers_are_asked_for_at_each_post(self, clients):
        tokens = iter("abc")
        with Sink() as sink:
            client = clients(sink, headers=lambda: {"X-Token": next(tokens)})
            for _ in range(3):
                post(client)
            assert [each.headers["x-token"] for each in sink.requests] == [
                "a",
                "b",
                "c",
            ]
            assert str(failure(client)) == text_of(
                sink, "headers() raised StopIteration"
            )

    @pytest.mark.parametrize(
        ("headers", "text"),
        [
            (lambda: 1 / 0, "headers() raised ZeroDivisionError"),
            (lambda: None, "headers() raised AttributeError"),
            (lambda: sys.exit(3), "headers() raised SystemExit"),
            (lambda: {"a b": "c"}, "header 'a b' is no name of a header"),
            (
                lambda: {"A": "secret\r\nB: c"},
                "the value of header 'a' needs to be text in latin-1 without line breaks "
                "or other control characters",
            ),
            (
                lambda: {"Content-Length": "3"},
                "header 'content-length' is the client's own",
            ),
        ],
    )
    def test_bad_headers_of_a_callable_fail_the_post(self, clients, headers, text):
        with Sink() as sink:
            error = failure(clients(sink, headers=headers))
            assert str(error) == text_of(sink, text)
            assert not error.sent
            assert sink.connections == 0

    def test_ctrl_c_in_a_callable_reaches_the_host(self, clients):
        def headers():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            post(clients("http://127.0.0.1:1", headers=headers))

    def test_a_path_with_a_blank_is_not_sent(self, clients):
        with Sink() as sink:
            with pytest.raises(ExportFailed) as caught:
                clients(sink).post("/a b", b"", {}, time.monotonic() + SECONDS)
            assert sink.connections == 0
        assert str(caught.value) == text_of(
            sink, "path got '/a b', needs visible ASCII"
        )

    @pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
    def test_no_proxy_is_taken_from_the_environment(self, clients, monkeypatch, name):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        with Sink() as sink:
            assert post(clients(sink)).status == 200


class TestConnection:
    def test_it_is_kept(self, clients):
        with Sink(answer(200, b"abc")) as sink:
            client = clients(sink)
            for _ in range(5):
                assert post(client).body == b"abc"
            assert sink.connections == 1

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n",
        ],
    )
    def test_it_is_not_kept_where_the_answer_says_or_implies_so(self, clients, reply):
        with Sink(raw(reply)) as sink:
            client = clients(sink)
            assert post(client).body == b"a"
            assert client._connection is None

    @pytest.mark.parametrize("tls", [None, "good"])
    def test_one_closed_meanwhile_is_noticed_before_it_is_used(self, clients, tls):
        with Sink("close_after:1", tls=tls) as sink:
            client = clients(sink, tls=Tls(sink.ca_file) if tls else None)
            for number in range(1, 5):
                assert post(client).status == 200
                assert sink.connections == number
                until(lambda: not client._connection.is_alive())
            assert len(sink.requests) == 4

    def test_bytes_that_nobody_asked_for_end_it(self, clients):
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = clients(f"http://127.0.0.1:{server.getsockname()[1]}")
            first = OneAnswer(server, b"HTTP/1.1 204 N\r\n\r\n")
            assert post(client).status == 204
            first.peer.sendall(b"HTTP/1.1 500 for nobody\r\n\r\n")
            until(lambda: not client._connection.is_alive())
            second = OneAnswer(server, b"HTTP/1.1 201 N\r\nContent-Length: 0\r\n\r\n")
            assert post(client).status == 201
            first.close()
            second.close()

    @pytest.mark.parametrize("mode", ["reset_mid_request", "reset_before_answer"])
    def test_a_kept_one_that_dies_is_replaced_once(self, clients, mode):
        with Sink() as sink:
            client = clients(sink)
            post(client)
            sink.schedule(mode)
            assert post(client).status == 200
            assert sink.connections == 2
            sink.schedule(mode, mode, "ok")
            assert failure(client).sent
            assert sink.connections == 3

    def test_what_a_kept_one_took_counts_as_sent_when_the_next_is_refused(
        self, clients
    ):
        def handler(_):
            if len(sink.requests) == 2:
                sink.mode = "refuse"
            return 200, {}, b""

        with Sink(handler=handler) as sink:
            client = clients(sink)
            post(client)
            error = failure(client)
        assert error.sent
        assert str(error) == text_of(sink, "connecting: Connection refused")

    def test_a_fresh_one_that_dies_is_not_replaced(self, clients):
        with Sink("reset_before_answer") as sink:
            error = failure(clients(sink))
            assert sink.connections == 1
        assert error.sent
        assert str(error) == text_of(
            sink, "waiting for the answer: Connection reset by peer"
        )

    def test_a_kept_one_that_stalls_is_not_tried_again(self, clients):
        with Sink() as sink:
            client = clients(sink)
            post(client)
            sink.mode = "never_answer"
            error = failure(client, seconds=0.3)
            assert len(sink.requests) == 2
        assert error.sent
        assert str(error) == text_of(sink, "waiting for the answer: out of time")

    def test_a_kept_one_that_dies_in_its_answer_is_not_tried_again(self, clients):
        with Sink() as sink:
            client = clients(sink)
            post(client)
            sink.mode = raw(b"HTTP/1.1 2")
            error = failure(client)
            assert len(sink.requests) == 2
        assert error.sent

    def test_it_is_gone_after_a_failure_and_comes_back(self, clients):
        with Sink("garbage") as sink:
            client = clients(sink)
            failure(client)
            sink.mode = "ok"
            assert post(client).status == 200

    def test_an_address_that_refuses_gives_way_to_the_next(self, clients, monkeypatch):
        with Sink() as sink:
            real = socket.getaddrinfo("127.0.0.1", sink.port, type=socket.SOCK_STREAM)
            dead = [(*real[0][:4], ("127.0.0.1", 1))]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead + real)
            assert post(clients(sink)).status == 200

    def test_an_address_that_is_silent_leaves_time_for_the_next(
        self, clients, monkeypatch
    ):
        with Sink() as sink, full_backlog() as silent:
            real = socket.getaddrinfo("127.0.0.1", sink.port, type=socket.SOCK_STREAM)
            dead = [(*real[0][:4], silent)]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead + real)
            assert post(clients(sink), seconds=2).status == 200

    def test_a_name_that_is_none_fails(self, clients, monkeypatch):
        def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        error = failure(clients("http://nowhere.test"))
        assert not error.sent
        assert str(error) == (
            "exporter 'x': http://nowhere.test: resolving the name: Name or service not "
            "known."
        )

    def test_a_label_that_is_too_long_fails(self, clients):
        assert not failure(clients(f"http://{'a' * 70}.test")).sent


class OneAnswer(threading.Thread):
    """Accepts one connection and answers its first bytes; ``peer`` stays open."""

    def __init__(self, server: socket.socket, reply: bytes):
        super().__init__(daemon=True)
        server.settimeout(SECONDS)
        self._server, self._reply = server, reply
        self.peer = None
        self.start()

    def run(self):
        peer, _ = self._server.accept()
        peer.settimeout(SECONDS)
        peer.recv(64 * 1024)
        self.peer = peer
        peer.sendall(self._reply)

    def close(self):
        self.join()
        self.peer.close()


class full_backlog:
    """An address where connecting neither succeeds nor fails."""

    def __enter__(self):
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(0)
        self.clients = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(self.server.getsockname())
            self.clients.append(client)
        return self.server.getsockname()

    def __exit__(self, *_):
        for each in (self.server, *self.clients):
            each.close()


class TestFaults:
    @pytest.mark.parametrize(
        ("mode", "sent", "text"),
        [
            ("never_answer", True, "waiting for the answer: out of time"),
            ("drip_head", True, "waiting for the answer: out of time"),
            ("stall:60", True, "waiting for the answer: out of time"),
        ],
    )
    def test_a_deadline_is_kept(self, clients, mode, sent, text):
        with Sink(mode) as sink:
            error = failure(clients(sink), seconds=1.5)
        assert str(error) == text_of(sink, text)
        assert error.sent is sent

    @pytest.mark.parametrize("tls", [None, "good"])
    def test_a_backend_that_never_reads_was_not_sent_a_large_body(self, clients, tls):
        with Sink("never_read", tls=tls) as sink:
            client = clients(sink, tls=Tls(sink.ca_file) if tls else None)
            error = failure(client, bytes(32 * 1024 * 1024), seconds=0.7)
        assert str(error) == text_of(sink, "sending: out of time")
        assert not error.sent

    def test_a_backend_that_never_reads_may_have_a_small_body(self, clients):
        with Sink("never_read") as sink:
            error = failure(clients(sink), seconds=0.3)
        assert error.sent

    def test_a_deadline_is_kept_while_tls_is_agreed_on(self, clients):
        with full_backlog() as (host, port):
            error = failure(clients(f"https://{host}:{port}"), seconds=0.5)
        assert not error.sent
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"https://127.0.0.1:{server.getsockname()[1]}"
            error = failure(clients(url), seconds=0.5)
        assert str(error) == f"exporter 'x': {url}: agreeing on TLS: out of time."
        assert not error.sent

    def test_a_deadline_that_is_over_sends_nothing(self, clients):
        with Sink() as sink:
            client = clients(sink)
            for seconds in (0, -1):
                error = failure(client, seconds=seconds)
                assert str(error) == text_of(sink, "connecting: out of time")
                assert not error.sent
            post(client)
            assert not failure(client, seconds=-1).sent
            assert len(sink.requests) == 1

    @pytest.mark.parametrize("deadline", [float("inf"), 1e300])
    def test_a_deadline_may_be_far(self, clients, deadline):
        with Sink() as sink:
            assert clients(sink).post("", b"", {}, deadline).status == 200

    def test_a_refusal_is_not_sent(self, clients):
        with Sink("refuse") as sink:
            client = clients(sink)
            error = failure(client)
            sink.mode = "ok"
            assert post(client).status == 200
        assert str(error) == text_of(sink, "connecting: Connection refused")
        assert not error.sent

    def test_a_reset_in_the_middle_of_a_large_body_is_not_sent(self, clients):
        with Sink("reset_mid_request") as sink:
            assert not failure(clients(sink), bytes(32 * 1024 * 1024)).sent

    def test_garbage_is_no_answer(self, clients):
        with Sink("garbage") as sink:
            error = failure(clients(sink))
        assert error.sent
        assert str(error) == text_of(
            sink,
            "waiting for the answer: the answer is not HTTP/1: "
            r"b'\x16\x03\x01\x02\x00\x01\x00 220 mail ready'",
        )

    @pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
    def test_3xx_is_not_followed(self, clients, status):
        with Sink() as elsewhere:
            to = ("Location", elsewhere.url)
            with Sink(answer(status, b"", to)) as sink:
                client = clients(sink.url.replace("//", "//me:pw@"))
                assert post(client).status == status
                assert len(sink.requests) == 1
            assert elsewhere.connections == 0

    @pytest.mark.parametrize(
        "mode", ["400", "413", "429:7", "503:3600", "503:-5", "503:junk", "503"]
    )
    def test_a_refusal_by_status_is_an_answer(self, clients, mode):
        status, _, retry = mode.partition(":")
        with Sink(mode) as sink:
            got = post(clients(sink))
        assert got.status == int(status)
        assert got.body == f"status {status}".encode()
        assert got.headers.get("retry-after", "") == retry

    def test_a_refusal_before_the_body_was_read_is_heard(self, clients):
        with Sink("early:413") as sink:
            got = post(clients(sink), bytes(32 * 1024 * 1024))
        assert (got.status, got.body) == (413, b"too early")

    def test_success_before_the_body_was_read_is_none(self, clients):
        with Sink("early:200") as sink:
            assert not failure(clients(sink), bytes(32 * 1024 * 1024)).sent

    @pytest.mark.parametrize("status", [200, 400])
    def test_a_status_is_enough_where_the_body_never_ends(self, clients, status):
        drip = answer(status, b"never")._replace(kind="drip_body", seconds=60)
        with Sink(drip) as sink:
            client = clients(sink)
            assert post(client, seconds=0.3) == Answer(
                status, {"content-length": "5"}, b""
            )
            assert client._connection is None

    def test_interim_answers_are_skipped(self, clients):
        with Sink("interim:5") as sink:
            client = clients(sink)
            assert post(client).status == 200
            assert post(client).status == 200
            assert sink.connections == 1

    def test_interim_answers_without_end_are_not(self, clients):
        with Sink("interim:10000") as sink:
            error = failure(clients(sink))
        assert error.sent
        assert str(error) == text_of(
            sink, "waiting for the answer: the answer has more than 256 header lines"
        )

    def test_a_bomb_is_not_unpacked(self, clients):
        with Sink("bomb") as sink:
            got = post(clients(sink))
        assert got.headers["content-encoding"] == "gzip"
        assert len(got.body) == 64 * 1024

    @pytest.mark.parametrize("framing", ["length", "close", "chunked"])
    def test_of_a_huge_answer_the_beginning_is_kept(self, clients, framing):
        with Sink(f"huge:{framing}") as sink:
            client = clients(sink)
            assert post(client) == Answer(200, post(client).headers, b"x" * 64 * 1024)
            assert client._connection is None

    def test_an_answer_of_just_the_limit_is_whole(self, clients):
        body = b"y" * 64 * 1024
        with Sink(answer(200, body)) as sink:
            client = clients(sink)
            assert post(client).body == body
            assert post(client).body == body
            assert sink.connections == 1

    @pytest.mark.parametrize(
        "mode", ["huge:length", "huge:close", "huge:chunked", "bomb", "endless head"]
    )
    def test_no_answer_costs_a_mib(self, mode):
        # tracemalloc sees the Python memory, the resident memory's peak all the rest.
        code = (
            "import json, re, sys, time, tracemalloc\n"
            "from obs_exporters._http_client import ExportFailed, HttpClient\n"
            "def post(url):\n"
            "    client = HttpClient('x', url)\n"
            "    try: client.post('', b'x', {}, time.monotonic() + 20)\n"
            "    except ExportFailed: pass\n"
            "    client.close()\n"
            "def kib(name):\n"
            "    with open('/proc/self/status') as file:\n"
            "        return int(re.search(name + r':\\s*(\\d+)', file.read())[1])\n"
            "ok, bad = sys.argv[1:]\n"
            "post(ok)\n"
            "with open('/proc/self/clear_refs', 'w') as file: file.write('5')\n"
            "before = kib('VmRSS')\n"
            "post(bad)\n"
            "resident = (kib('VmHWM') - before) * 1024\n"
            "tracemalloc.start()\n"
            "post(bad)\n"
            "print(json.dumps([resident, tracemalloc.get_traced_memory()[1]]))\n"
        )
        endless = raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1_000_000)
        with Sink() as ok, Sink(endless if mode == "endless head" else mode) as sink:
            done = subprocess.run(
                [sys.executable, "-c", code, ok.url, sink.url],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            assert len(sink.requests) == 2
        resident, traced = json.loads(done.stdout)
        assert traced < 1024 * 1024
        assert resident < 1024 * 1024


class TestTls:
    def test_a_good_certificate_is_trusted(self, clients):
        with Sink(tls="good") as sink:
            client = clients(sink, tls=Tls(sink.ca_file))
            for _ in range(3):
                assert post(client).status == 200
            assert sink.connections == 1

    def test_a_context_of_ones_own_will_do(self, clients):
        with Sink(tls="good") as sink:
            context = ssl.create_default_context(cafile=sink.ca_file)
            assert post(clients(sink, tls=context)).status == 200

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (
                "wrong_name",
                "IP address mismatch, certificate is not valid for '127.0.0.1'",
            ),
            ("expired", "certificate has expired"),
            ("unknown_issuer", "unable to get local issuer certificate"),
        ],
    )
    def test_a_bad_certificate_is_refused_and_a_renewed_one_taken(
        self, clients, kind, text
    ):
        with Sink(tls=kind) as sink:
            client = clients(sink.url.replace("//", "//me:pw@"), tls=Tls(sink.ca_file))
            error = failure(client)
            assert not sink.requests
            sink.tls = "good"
            assert post(client).status == 200
        assert not error.sent
        assert str(error) == text_of(
            sink, f"agreeing on TLS: the certificate is not trusted: {text}"
        )

    def test_the_system_does_not_know_the_issuer(self, clients):
        with Sink(tls="good") as sink:
            assert "not trusted" in str(failure(clients(sink)))

    def test_plain_http_on_the_tls_port_fails(self, clients):
        with Sink(tls="plain") as sink:
            error = failure(clients(sink, tls=Tls(sink.ca_file)))
        assert not error.sent
        assert str(error) in {
            text_of(sink, f"agreeing on TLS: {text}")
            for text in ("wrong version number", "record layer failure")
        }

    def test_tls_on_the_plain_port_fails(self, clients):
        with Sink(tls="good") as sink:
            assert failure(clients(sink.url.replace("https", "http")), seconds=1)

    def test_a_client_certificate_is_shown(self, clients, tmp_path):
        issued = authority("known").issue_cert("client@test")
        both = tmp_path / "both.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(both))
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        issued.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        with Sink(tls=mutual_context()) as sink:
            assert "certificate" in str(failure(clients(sink, tls=Tls(sink.ca_file))))
            for files in ((str(both), None), (str(certificate), str(key))):
                client = clients(sink, tls=Tls(sink.ca_file, *files))
                assert post(client).status == 200

    def test_renewed_files_are_read_after_a_failure(self, clients, tmp_path):
        ca = tmp_path / "ca.pem"
        authority("unknown").cert_pem.write_to_path(str(ca))
        with Sink(tls="good") as sink:
            client = clients(sink, tls=Tls(str(ca)))
            assert "not trusted" in str(failure(client))
            authority("known").cert_pem.write_to_path(str(ca))
            assert post(client).status == 200

    def test_a_file_that_is_not_there_fails_each_post(self, clients, tmp_path):
        missing, empty = str(tmp_path / "no.pem"), tmp_path / "empty.pem"
        empty.write_bytes(b"")
        url = "https://127.0.0.1:1"
        error = failure(clients(url, tls=Tls(missing)))
        assert str(error) == (
            f"exporter 'x': {url}: ca_file {missing!r} cannot be read: No such file or "
            "directory."
        )
        assert not error.sent
        error = failure(clients(url, tls=Tls(None, missing)))
        assert str(error) == (
            f"exporter 'x': {url}: cert_file {missing!r} and key_file None cannot be "
            "read: No such file or directory."
        )
        assert "cannot be read" in str(failure(clients(url, tls=Tls(str(empty)))))

    def test_a_key_with_a_password_fails_instead_of_asking(self, clients, tmp_path):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

        issued = authority("known").issue_cert("client@test")
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        locked = tmp_path / "locked.pem"
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                BestAvailableEncryption(b"pw"),
            )
        )
        certificate = tmp_path / "certificate.pem"
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        tls = Tls(None, str(certificate), str(locked))
        assert "cannot be read" in str(failure(clients("https://127.0.0.1:1", tls=tls)))


class TestLife:
    def test_constructing_opens_and_imports_nothing(self):
        code = (
            "import sys, os\n"
            "from obs_exporters._http_client import HttpClient, Tls\n"
            "before = len(os.listdir('/proc/self/fd'))\n"
            "client = HttpClient('x', 'https://u:p@127.0.0.1:1', tls=Tls())\n"
            "assert len(os.listdir('/proc/self/fd')) == before\n"
            "client.close()\n"
            "for name in ('ssl', 'http.client', 'email', 'zlib', 'gzip'):\n"
            "    assert name not in sys.modules, name\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_close_ends_the_connection_and_may_be_called_twice(self, clients):
        with Sink() as sink:
            client = clients(sink)
            post(client)
            files = len(open_files())
            client.close()
            client.close()
            assert len(open_files()) < files
            post(client)
            assert len(open_files()) == files, "it opens anew"

    @forks
    @pytest.mark.parametrize("tls", [None, "good"])
    def test_a_forked_child_leaves_the_connection_to_its_parent(self, clients, tls):
        with Sink(tls=tls) as sink:
            client = clients(sink, tls=Tls(sink.ca_file) if tls else None)
            post(client, b"parent")
            pid = os.fork()
            if pid == 0:
                with suppress(BaseException):
                    assert client._connection is None
                    assert post(client, b"child").status == 200
                    os._exit(0)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            post(client, b"parent")
            assert [(each.body, each.connection) for each in sink.requests] == [
                (b"parent", 1),
                (b"child", 2),
                (b"parent", 1),
            ]

    @forks
    def test_a_child_forked_while_it_connects_holds_no_descriptor(self, clients):
        with full_backlog() as (host, port):
            client = clients(f"http://{host}:{port}")
            thread = threading.Thread(target=failure, args=(client, b"", 1.0))
            thread.start()
            until(lambda: client._connection and client._connection._socket)
            number = client._connection._socket.fileno()
            pid = os.fork()
            if pid == 0:
                with suppress(OSError):
                    os.fstat(number)
                    os._exit(1)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            thread.join()

    def test_an_exception_of_a_signal_handler_ends_the_connection(
        self, clients, monkeypatch
    ):
        def interrupted(*_):
            raise KeyboardInterrupt

        with Sink() as sink:
            client = clients(sink)
            post(client)
            monkeypatch.setattr(_http_connection.Connection, "receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                post(client)
            assert client._connection is None


class TestFailed:
    def test_four_statuses_are_retryable(self):
        answers = [Answer(status, {}, b"") for status in range(300, 1000)]
        found = [it.status for it in answers if failed("x", it).retryable]
        assert found == [429, 502, 503, 504]

    @pytest.mark.parametrize("status", [503, 400])
    def test_it_says_status_and_body(self, status):
        error = failed("x", Answer(status, {}, b"no 'such' \xff thing"))
        assert str(error) == (
            f"exporter 'x': the backend answered {status}: \"no 'such' \ufffd thing\"."
        )
        assert error.reason == f"http_{status}"
        assert error.retry_after is None

    @pytest.mark.parametrize(
        ("status", "sent"),
        [
            (302, False),
            (400, False),
            (429, False),
            (500, False),
            (503, False),
            (502, True),
            (504, True),
        ],
    )
    def test_only_behind_a_gateway_it_may_have_arrived(self, status, sent):
        error = failed("x", Answer(status, {}, b""))
        assert error.sent is sent

    def test_3xx_is_permanent_and_says_where_it_leads(self):
        error = failed("x", Answer(302, {"location": "http://h/"}, b""))
        assert str(error) == (
            "exporter 'x': the backend answered 302 to 'http://h/', redirects are not "
            "followed."
        )
        assert not error.retryable

    def test_of_a_long_body_200_bytes_are_shown(self):
        error = failed("x", Answer(400, {}, b"y" * 60_000))
        assert str(error) == f"exporter 'x': the backend answered 400: '{'y' * 200}'."

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            ("3600", 3600),
            ("3601", 3600),
            ("9" * 5000, 3600),
            ("-5", None),
            ("1.5", None),
            ("", None),
            ("junk", None),
            ("\xb2", None),
            ("\u0667", None),
            ("Wed, 99 Nov 2026 99:99:99 GMT", None),
            ("Wed, 25 Nov 1970 00:00:00 GMT", None),
            ("Wed, 25 Nov 9999 00:00:00 GMT", 3600),
        ],
    )
    def test_retry_after_is_bounded_and_junk_ignored(self, value, seconds):
        error = failed("x", Answer(503, {"retry-after": value}, b""))
        assert error.retry_after == seconds

    def test_retry_after_may_be_a_date(self):
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        error = failed("x", Answer(503, {"retry-after": when}, b""))
        assert 100 - SECONDS < error.retry_after <= 100

    @given(st.text(st.characters(max_codepoint=255)))
    def test_no_retry_after_raises(self, value):
        error = failed("x", Answer(503, {"retry-after": value}, b""))
        assert error.retry_after is None or 0 <= error.retry_after <= 3600


def test_other_methods_are_sent_as_they_are(clients):
    with Sink("200") as sink:
        client = clients(sink)
        for method in ("PUT", "DELETE", "POST"):
            deadline = time.monotonic() + SECONDS
            assert client.request(method, "/v1", b"a=1", {}, deadline).status == 200
        sent = [(it.method, it.path, it.body) for it in sink.requests]
        assert sent == [(it, "/v1", b"a=1") for it in ("PUT", "DELETE", "POST")]
        assert sink.connections == 1


def test_a_body_over_a_kib_is_packed():
    small, large = b"a" * 1024, b"a" * 1025
    assert gzipped(small) == (small, {})
    packed, headers = gzipped(large)
    assert headers == {"content-encoding": "gzip"}
    assert gzip.decompress(packed) == large
    assert gzipped(large)[0] == packed


def test_the_sink_reads_what_is_packed(clients):
    body = b"measurement " * 1000
    with Sink() as sink:
        packed, headers = gzipped(body)
        clients(sink).post("/", packed, headers, time.monotonic() + SECONDS)
        assert sink.requests[0].body == body
