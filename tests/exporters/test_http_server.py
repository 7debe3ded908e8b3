"""The HTTP server of the pull exporters: limits, statuses, hostile clients, fork."""

import base64
import errno
import http.client
import os
import resource
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from obs.errors import DefinitionError
from obs_exporters import _http_server
from obs_exporters._http_gate import Gate
from obs_exporters._http_loop import Connection, Loop, State, stalest_first
from obs_exporters._http_request import RequestError, RequestParser, encode
from obs_exporters._http_server import (
    HttpLimits,
    HttpServer,
    Request,
    Response,
)
from tests.open_files import open_files

DATA = Path(__file__).parent / "data"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
CLIENT_SECONDS = 10.0
"""How long a client of these tests waits; nothing that passes comes near it."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A raw client: sends what it is told, reads one answer at a time."""

    def __init__(self, server: HttpServer, *, rcvbuf: int = 0, tls: bool = False):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(CLIENT_SECONDS)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.rest = bytearray()
        try:
            self.sock.connect((server.host, server.port))
            if tls:
                context = client_context()
                self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes = GET) -> Self:
        self.sock.sendall(data)
        return self

    def answer(self, *, has_body: bool = True) -> Answer:
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.rest) < length:
            self._more()
        body, self.rest = bytes(self.rest[:length]), self.rest[length:]
        assert first.startswith("HTTP/1.1 ")
        return Answer(int(first.split(" ")[1]), headers, body)

    def until_closed(self) -> bytes:
        """Read until the server's end; a reset is one too."""
        with suppress(ConnectionError):
            while data := self.sock.recv(65536):
                self.rest += data
        return bytes(self.rest)

    def is_open(self) -> bool:
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable

    def _more(self) -> None:
        data = self.sock.recv(65536)
        assert data, f"closed after {self.rest[:200]!r}"
        self.rest += data


class Said(list[tuple[str, str]]):
    def __call__(self, reason: str, text: str) -> None:
        self.append((reason, text))


def hello(request: Request) -> Response:
    return Response(200, (("Content-Type", "text/plain"),), request.path.encode())


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(DATA / "localhost.crt"))


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / "localhost.crt", DATA / "localhost.key")
    return context


def eventually(true: Callable[[], Any], seconds: float = CLIENT_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.002)


def held(server: HttpServer) -> set[Any]:
    assert server._loop is not None
    return server._loop._connections


def thread_of(server: HttpServer) -> threading.Thread:
    assert server._loop is not None
    return server._loop.thread


def ask(server: HttpServer, data: bytes = GET, *, has_body: bool = True) -> Answer:
    with Client(server) as client:
        return client.send(data).answer(has_body=has_body)


Serve = Callable[..., HttpServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers; each must end within a second, with its thread."""
    servers: list[HttpServer] = []

    def start(handler: Any = hello, **options: Any) -> HttpServer:
        host = options.pop("host", "127.0.0.1")
        server = HttpServer(host, options.pop("port", 0), handler, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        began = time.monotonic()
        server.close(5.0)
        assert server._loop is None
        assert time.monotonic() - began < 1.0


# Answers


def test_constructing_opens_nothing_and_starting_takes_one_thread() -> None:
    files, threads = len(open_files()), threading.active_count()
    server = HttpServer("127.0.0.1", 0, hello, tls=server_context(), token="t")
    assert (len(open_files()), threading.active_count()) == (files, threads)
    server.start()
    assert threading.active_count() == threads + 1
    assert thread_of(server).daemon
    assert thread_of(server).name == "obs-http"
    server.close(1.0)
    assert (len(open_files()), threading.active_count()) == (files, threads)


def test_the_limits_have_their_stated_defaults() -> None:
    assert HttpLimits()._asdict() == {
        "request_line_bytes": 4096,
        "header_bytes": 8192,
        "header_lines": 64,
        "connections": 16,
        "header_seconds": 5.0,
        "answer_seconds": 10.0,
        "idle_seconds": 30.0,
        "linger_seconds": 1.0,
        "burst_seconds": 1.0,
        "accept_pause_seconds": 0.1,
    }
    assert _http_server.BACKLOG == 128


def test_a_get_is_answered_with_its_length_and_the_safe_headers(serve: Serve) -> None:
    answer = ask(serve(), b"GET /metrics?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer == Answer(
        200,
        {
            "content-type": "text/plain",
            "content-length": "8",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        },
        b"/metrics",
    )


def test_an_ordinary_client_reuses_its_connection(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection("localhost", server.port, timeout=5)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/x")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"/x")
        ports.add(connection.sock.getsockname())
    connection.close()
    assert len(ports) == 1


def test_the_handler_sees_what_was_asked(serve: Serve) -> None:
    seen: list[Request] = []

    def note(request: Request) -> Response:
        seen.append(request)
        return Response()

    ask(
        serve(note),
        b"OPTIONS /a%20b?q=1?2 HTTP/1.1\r\nHOST: localhost\r\nAccept:  a;q=1 \t\r\n"
        b"ACCEPT:b\r\nX-Empty:\r\nX-Bytes: \xff\r\n\r\n",
    )
    assert seen == [
        Request(
            "OPTIONS",
            "/a%20b",
            "q=1?2",
            {"host": "localhost", "accept": "a;q=1, b", "x-empty": "", "x-bytes": "ÿ"},
            "1.1",
        )
    ]


def test_ipv6_is_served(serve: Serve) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = serve(host="::1")
    assert server.address == f"[::1]:{server.port}"
    request = b"GET /6 HTTP/1.1\r\nHost: [::1]:%d\r\n\r\n" % server.port
    assert ask(server, request).body == b"/6"


def test_a_host_name_is_looked_up(serve: Serve) -> None:
    server = serve(host="localhost")
    connection = http.client.HTTPConnection("localhost", server.port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"/"
    connection.close()


@linux
def test_descriptors_are_not_inherited_by_programs(serve: Serve) -> None:
    before = open_files().keys()
    server = serve()
    with Client(server) as client:
        client.send().answer()
        ours = open_files().keys() - before
        # Listener, selector, two ends of the wake pair, the connection; the client's.
        assert len(ours) == 6
        assert not any(os.get_inheritable(fd) for fd in ours)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("rcvbuf", [0, 8192])
def test_a_large_answer_arrives_whole(serve: Serve, tls: bool, rcvbuf: int) -> None:
    body = os.urandom(1 << 20) * 6
    server = serve(
        lambda _: Response(200, (), body), tls=server_context() if tls else None
    )
    with Client(server, tls=tls, rcvbuf=rcvbuf) as client:
        for _ in range(2):
            assert client.send().answer().body == body


# HEAD, versions, staying open


def test_head_has_the_headers_of_get_and_no_body(serve: Serve) -> None:
    server = serve()
    with Client(server) as client:
        get = client.send(GET).answer()
        head = client.send(GET.replace(b"GET", b"HEAD")).answer(has_body=False)
        assert (head.status, head.headers, get.body) == (200, get.headers, b"/")
        # What follows is the next answer, not a body.
        assert client.send(GET).answer() == get


@pytest.mark.parametrize(
    "request_",
    [
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HEAD / HTTP/2.0\r\n",
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n",
        b"HEAD / HTTP/1.0\r\nHost: example.org\r\n\r\n",
    ],
)
def test_a_refused_head_has_no_body_either(serve: Serve, request_: bytes) -> None:
    with Client(serve()) as client:
        head, end, body = client.send(request_).until_closed().partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 "))
    assert int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) > 0
    assert (end, body) == (b"\r\n\r\n", b"")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(serve: Serve, status: int) -> None:
    server = serve(lambda _: Response(status, (), b"not sent"))
    with Client(server) as client:
        for _ in range(2):
            answer = client.send().answer()
            assert (answer.status, answer.body) == (status, b"")
            assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("version", "wish", "stays"),
    [
        (b"1.1", b"", None),
        (b"1.1", b"keep-alive", None),
        (b"1.1", b"close", "close"),
        (b"1.1", b"Upgrade, CLOSE", "close"),
        (b"1.0", b"", "close"),
        (b"1.0", b"Keep-Alive", "keep-alive"),
        (b"1.0", b"keep-alive, close", "close"),
        (b"1.2", b"", None),
    ],
)
def test_a_connection_stays_open_as_the_client_wishes(
    serve: Serve, version: bytes, wish: bytes, stays: str | None
) -> None:
    request = b"GET / HTTP/%b\r\nHost: localhost\r\nConnection: %b\r\n\r\n"
    with Client(serve()) as client:
        answer = client.send(request % (version, wish)).answer()
        assert (answer.status, answer.headers.get("connection")) == (200, stays)
        if stays == "close":
            assert client.until_closed() == b""
        else:
            assert client.send(GET).answer().status == 200


def test_a_client_that_has_said_all_it_will_is_still_answered(serve: Serve) -> None:
    with Client(serve()) as client:
        client.send().sock.shutdown(socket.SHUT_WR)
        assert client.answer().status == 200
        assert client.until_closed() == b""


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    wanted = [b"/%d" % n for n in range(200)]
    requests = [GET.replace(b"/ ", b"%b " % path) for path in wanted]
    requests.append(OLD_GET)
    with Client(serve()) as client:
        client.send(b"".join(requests))
        assert [client.answer().body for _ in requests] == [*wanted, b"/"]
        assert client.until_closed() == b""


def test_what_is_pipelined_after_a_refusal_is_not_answered(serve: Serve) -> None:
    with Client(serve()) as client:
        client.send(GET + b"bad\r\n\r\n" + GET)
        assert client.answer().status == 200
        assert client.answer().status == 400
        assert client.until_closed() == b""


def test_a_client_that_pipelines_does_not_hold_up_the_others(serve: Serve) -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.02)
        return Response()

    server = serve(slow)
    with Client(server) as greedy, Client(server) as modest:
        greedy.send(GET * 100)
        greedy.answer()
        began = time.monotonic()
        assert modest.send().answer().status == 200
        assert time.monotonic() - began < 1.0


# Refusals


def headers(*lines: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


HOST = b"Host: localhost"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        # The request line.
        (b"\x16\x03\x01\x02\x00\x01\x00\n", 400),
        (b"GET /\r\n", 400),
        (b"GET  / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1 \r\n", 400),
        (b" GET / HTTP/1.1\r\n", 400),
        (b"GET\t/ HTTP/1.1\r\n", 400),
        (b"GET / http/1.1\r\n", 400),
        (b"GET / HTTP/11\r\n", 400),
        (b"GET / HTTP/1.10\r\n", 400),
        (b"GE(T / HTTP/1.1\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\rHost: localhost\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\n", 505),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        # The target.
        (b"GET metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /#a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /?a#a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http:/// HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        # Headers.
        (headers(), 400),
        (headers(b"Accept: a"), 400),
        (headers(HOST, HOST), 400),
        (headers(HOST, b"host: example.org"), 400),
        (headers(b"Host: a b"), 400),
        (headers(b"Host: a/b"), 400),
        (headers(b"Host: a:b"), 400),
        (headers(b"Host: [::g]"), 400),
        (headers(b"Host: \xff"), 400),
        (headers(b"Host: a, b"), 400),
        (headers(b"Host : localhost"), 400),
        (headers(HOST, b" folded"), 400),
        (headers(HOST, b"\tfolded"), 400),
        (headers(HOST, b"no colon"), 400),
        (headers(HOST, b": no name"), 400),
        (headers(HOST, b"A B: c"), 400),
        (headers(HOST, b"A: \x00"), 400),
        (headers(HOST, b"A: \x7f"), 400),
        (headers(HOST, b"A: b\rC: d"), 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\n", 400),
        # Bodies.
        (headers(HOST, b"Content-Length: 1") + b"x", 413),
        (headers(HOST, b"Content-Length: 99999999999999999999999"), 413),
        (headers(HOST, b"Content-Length: 0", b"Content-Length: 0"), 400),
        (headers(HOST, b"Content-Length: +1"), 400),
        (headers(HOST, b"Content-Length: -1"), 400),
        (headers(HOST, b"Content-Length: \xb2"), 400),
        (headers(HOST, b"Content-Length:"), 400),
        (headers(HOST, b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 413),
        (headers(HOST, b"Transfer-Encoding: identity"), 413),
        (headers(HOST, b"Content-Length: 0", b"Transfer-Encoding: chunked"), 413),
        (headers(HOST, b"Expect: 100-continue"), 417),
        (headers(HOST, b"Expect: 100-continue", b"Content-Length: 5"), 417),
        # Sizes; what came so far is enough to know.
        (b"GET /" + b"a" * 4096, 414),
        (b"G" * 4096, 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 8192, 431),
        (headers(HOST, *[b"A: b"] * 64), 431),
    ],
)
def test_what_is_no_good_request_is_refused(
    serve: Serve, data: bytes, status: int
) -> None:
    server = serve()
    with Client(server) as client:
        answer = client.send(data).answer()
        assert answer.status == status
        assert answer.body.decode().startswith(f"{status} ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        if status != 403:
            assert answer.headers["connection"] == "close"
            assert client.until_closed() == b""
    assert ask(server).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + GET,
        b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET HTTP://127.0.0.1:9464/?a=b HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        headers(HOST, b"Content-Length: 0"),
        headers(HOST, *[b"A: b"] * 63),
        headers(b"Host:localhost", b"A:\tb\t"),
    ],
)
def test_what_is_unusual_and_good_is_served(serve: Serve, data: bytes) -> None:
    assert ask(serve(), data).status == 200


DEFAULTS = HttpLimits()


def parse(data: bytes, limits: HttpLimits = DEFAULTS, step: int = 1 << 20) -> Any:
    parser = RequestParser(limits)
    for at in range(0, len(data), step):
        parser.feed(data[at : at + step])
        try:
            request = parser.next_request()
        except RequestError as error:
            return error.status
        if request is not None:
            return request
        assert parser.room > 0
    return None


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_the_limits_of_size_are_exact(step: int) -> None:
    line = b"GET /%b HTTP/1.1\r\n"
    at_most = line % (b"a" * (4096 - len(line % b"")))
    head = b"Host: localhost\r\nA: %b\r\n\r\n"
    full = head % (b"a" * (8192 - len(head % b"")))
    assert (len(at_most), len(full)) == (4096, 8192)
    assert parse(at_most + full, step=step).method == "GET"
    assert parse(at_most.replace(b"a ", b"aa ") + full, step=step) == 414
    assert parse(at_most + full.replace(b"a\r", b"aa\r"), step=step) == 431


def test_a_request_reads_the_same_however_it_is_cut() -> None:
    data = b"\r\nGET /a?b HTTP/1.1\r\nHost: localhost:1\r\nA: b\r\na: c\r\n\r\n"
    whole = parse(data)
    assert whole == Request("GET", "/a", "b", {"host": "localhost:1", "a": "b, c"})
    assert all(parse(data, step=step) == whole for step in range(1, len(data)))


@pytest.mark.parametrize(
    ("data", "step"),
    [
        (b"GET / HTTP/1.1\r\nA:" + b" " * 1_000_000 + b"\x00\r\n", 1 << 20),
        (b"GET / HTTP/1.1\r\n" + b"A" * 1_000_000 + b"\r\n", 1 << 20),
        (b"GET " + b"/" * 1_000_000 + b"\r\n", 1 << 20),
        (b"A" * 1_000_000 + b"\r\n", 1 << 20),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 300_000, 1),
        (headers(b"Host: " + b"a" * 1_000_000 + b":x"), 1 << 20),
    ],
)
def test_parsing_takes_time_in_proportion_to_the_bytes(data: bytes, step: int) -> None:
    limits = HttpLimits(request_line_bytes=1 << 21, header_bytes=1 << 21)
    began = time.thread_time()
    assert parse(data, limits, step) in (400, None)
    # Quadratic, each of these would take minutes.
    assert time.thread_time() - began < 3.0


def test_a_body_that_was_sent_does_not_destroy_its_refusal(serve: Serve) -> None:
    with Client(serve()) as client:
        client.send(headers(HOST, b"Content-Length: 100000") + b"x" * 100_000)
        assert client.answer().status == 413
        assert client.until_closed() == b""


def test_an_endless_header_is_cut(serve: Serve) -> None:
    server = serve()
    with Client(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
        with pytest.raises(ConnectionError):
            client.send(b"a" * 100_000_000)
    eventually(lambda: not held(server))


# The handler


@pytest.mark.parametrize(
    "error",
    [
        ValueError("/secret/path"),
        SystemExit(3),
        KeyboardInterrupt(),
        MemoryError(),
        RecursionError(),
        GeneratorExit(),
        BlockingIOError(),
        BrokenPipeError(),
        ssl.SSLWantReadError(),
    ],
    ids=repr,
)
def test_whatever_the_handler_raises_is_a_plain_500(
    serve: Serve, error: BaseException
) -> None:
    def fail(request: Request) -> Response:
        if request.path == "/good":
            return Response(200, (), b"good")
        raise error

    said = Said()
    server = serve(fail, on_error=said)
    with Client(server) as client:
        for _ in range(3):
            answer = client.send().answer()
            assert answer.status == 500
            assert answer.body == b"500 Internal Server Error\n"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert client.send(GET.replace(b"/ ", b"/good ")).answer().body == b"good"
    address = f"127.0.0.1:{server.port}"
    text = f"http server '{address}': answered 500, for the handler raised {error!r}."
    assert said == [("handler", text)] * 3


class Hostile(BaseException):
    def __repr__(self) -> str:
        raise self


@pytest.mark.parametrize(
    "response",
    [
        None,
        (200, (), b""),
        Response(200, (), "text"),  # type: ignore[arg-type]
        Response(99),
        Response(600),
        Response(200.0),  # type: ignore[arg-type]
        Response(200, (("A", "b\r\nSet-Cookie: c"),)),
        Response(200, (("A", "b\n"),)),
        Response(200, (("A", "b\x00"),)),
        Response(200, (("A\r\nB", "c"),)),
        Response(200, (("A: b", "c"),)),
        Response(200, (("", "c"),)),
        Response(200, (("A", "€"),)),
        Response(200, (("A", 1),)),  # type: ignore[arg-type]
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_answer_that_cannot_be_sent_is_a_500(
    serve: Serve, response: Any, method: bytes
) -> None:
    said = Said()
    server = serve(lambda _: response, on_error=said)
    request = GET.replace(b"GET", method)
    answer = ask(server, request, has_body=method == b"GET")
    assert answer.status == 500
    assert answer.headers.keys() == {
        "content-type",
        "content-length",
        "x-content-type-options",
        "cache-control",
    }
    assert [reason for reason, _ in said] == ["handler"]


def test_the_servers_headers_are_not_the_handlers_to_set(serve: Serve) -> None:
    theirs = (
        ("content-length", "99"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Cache-Control", "public"),
        ("X-Content-Type-Options", "x"),
        ("X-Own", "é\t"),
    )
    answer = ask(serve(lambda _: Response(200, theirs, b"abc")))
    assert answer.body == b"abc"
    assert answer.headers == {
        "x-own": "é\t",
        "content-length": "3",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


def test_a_status_without_a_name_goes_out_bare() -> None:
    assert encode(Response(299), keep=True).startswith(b"HTTP/1.1 299 \r\n")


def test_nothing_that_goes_wrong_in_the_report_disturbs(serve: Serve) -> None:
    def fail(_: Request) -> Response:
        raise Hostile

    def worse(reason: str, text: str) -> None:
        raise SystemExit(reason, text)

    for on_error in (worse, Said()):
        server = serve(fail, on_error=on_error)
        assert [ask(server).status for _ in range(3)] == [500] * 3


def test_a_fault_in_the_loop_is_said_and_survived(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    server = serve(on_error=said, limits=HttpLimits(accept_pause_seconds=0.01))
    for method in ("_accept", "_read"):
        with monkeypatch.context() as patch:
            patch.setattr(Loop, method, lambda *_: 1 / 0)
            with Client(server) as client:
                client.send()
                eventually(lambda: said)
        assert {reason for reason, _ in said} == {"http_server"}
        assert "ZeroDivisionError" in said[-1][1]
        assert ask(server).status == 200
        said.clear()


# Deadlines

GET_LARGE = GET.replace(b"/ ", b"/large ")
PARTIAL = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def seconds_until_closed(client: Client, trickle: bytes = b"") -> float:
    began = time.monotonic()
    rest = iter(trickle)
    with suppress(ConnectionError):
        while True:
            assert time.monotonic() - began < CLIENT_SECONDS
            if select.select([client.sock], [], [], 0.02)[0]:
                assert client.sock.recv(65536) == b""
                break
            for byte in rest:
                client.send(bytes([byte]))
                break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "trickle"),
    [(b"", b""), (PARTIAL, b""), (b"GET ", b"/" * 1000), (PARTIAL, b"A: b\r\n" * 200)],
    ids=["silent", "stopped", "slow line", "slow headers"],
)
def test_a_request_must_be_complete_within_its_time(
    serve: Serve, first: bytes, trickle: bytes
) -> None:
    server = serve(limits=HttpLimits(header_seconds=0.3))
    with Client(server) as client:
        client.send(first)
        assert 0.2 < seconds_until_closed(client, trickle) < 2.0
    assert ask(server).status == 200


def test_an_idle_connection_is_closed_in_its_time(serve: Serve) -> None:
    server = serve(limits=HttpLimits(idle_seconds=0.3, header_seconds=60))
    with Client(server) as client:
        client.send().answer()
        assert 0.2 < seconds_until_closed(client) < 2.0


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_kept_connection_has_the_header_time_from_its_first_byte(
    serve: Serve, pipelined: bool
) -> None:
    server = serve(limits=HttpLimits(idle_seconds=60, header_seconds=0.3))
    with Client(server) as client:
        client.send(GET + PARTIAL if pipelined else GET).answer()
        if not pipelined:
            time.sleep(0.5)  # longer than the header time: idle is not late
            assert client.is_open()
            client.send(PARTIAL)
        assert 0.2 < seconds_until_closed(client) < 2.0


@pytest.mark.parametrize("tls", [False, True])
def test_a_reader_that_is_too_slow_is_cut(serve: Serve, tls: bool) -> None:
    body = b"x" * (16 << 20)
    server = serve(
        lambda _: Response(200, (), body),
        limits=HttpLimits(answer_seconds=0.4),
        tls=server_context() if tls else None,
    )
    with Client(server, rcvbuf=4096, tls=tls) as client:
        client.send()
        got, was_reset = 0, False
        try:
            while data := client.sock.recv(1024):
                got += len(data)
                time.sleep(0.01)
        except ConnectionResetError:
            was_reset = True  # so the kernel has thrown the rest away, too
        assert was_reset or tls  # which takes it for an end
        assert got < len(body) / 2
        eventually(lambda: not held(server))


def test_a_client_that_does_not_close_is_waited_for_a_moment(serve: Serve) -> None:
    server = serve(limits=HttpLimits(linger_seconds=0.2))
    with Client(server) as client:
        client.send(OLD_GET)
        client.until_closed()
        eventually(lambda: not held(server), 2.0)


def test_who_was_in_time_does_not_pay_for_a_slow_handler(serve: Serve) -> None:
    entered = threading.Event()

    def slow(request: Request) -> Response:
        if request.path == "/slow":
            entered.set()
            time.sleep(0.6)
        return Response()

    server = serve(slow, limits=HttpLimits(header_seconds=0.3, connections=2))
    with Client(server) as first, Client(server) as second:
        second.send(PARTIAL)
        eventually(lambda: len(held(server)) == 2)
        first.send(GET.replace(b"/ ", b"/slow "))
        assert entered.wait(5)
        with Client(server) as third:
            second.send(b"\r\n")
            third.send()
            assert second.answer().status == 200
            assert third.answer().status == 200


# Many clients


def test_a_newcomer_takes_the_place_that_has_waited_longest(serve: Serve) -> None:
    server = serve()
    with ExitStack() as stack:
        waiting = []
        for n in range(16):
            waiting.append(stack.enter_context(Client(server)))
            eventually(lambda n=n: len(held(server)) == n + 1)
        # The oldest is answered, and so has waited the shortest.
        waiting[0].send().answer()
        assert ask(server).status == 200
        assert waiting[1].until_closed() == b""
        assert all(client.is_open() for client in waiting[2:])
        assert waiting[0].send().answer().status == 200


LARGE = b"x" * (16 << 20)
"""More than the kernel takes at once; who asks for it and does not read it stalls."""


def large(request: Request) -> Response:
    return Response(200, (), LARGE if request.path == "/large" else b"")


def stall(server: HttpServer, client: Client) -> Connection:
    """Have the client ask for the large page, and the kernel take what it can."""
    client.send(GET_LARGE)
    eventually(lambda: peer(server, client) is not None)
    connection = peer(server, client)
    assert connection is not None
    eventually(lambda: connection.state is State.WRITING)
    eventually(lambda: not can_take(connection, 0.05))
    return connection


def can_take(connection: Connection, seconds: float = 0) -> bool:
    return bool(select.select([], [connection.sock], [], seconds)[1])


def peer(server: HttpServer, client: Client) -> Connection | None:
    name = client.sock.getsockname()
    for connection in list(held(server)):
        with suppress(OSError):
            if connection.sock.getpeername() == name:
                assert isinstance(connection, Connection)
                return connection
    return None


BURSTS = pytest.mark.parametrize("burst_seconds", [0.0, 60.0], ids=["calm", "burst"])
"""Whether what these tests do counts as all at once, whatever time they take."""


@BURSTS
@pytest.mark.parametrize("tls", [False, True])
def test_clients_that_ask_and_do_not_read_keep_no_scrape_out(
    serve: Serve, tls: bool, burst_seconds: float
) -> None:
    said = Said()
    server = serve(
        large,
        limits=HttpLimits(
            connections=4, answer_seconds=60, burst_seconds=burst_seconds
        ),
        tls=server_context() if tls else None,
        on_error=said,
    )
    with ExitStack() as stack:

        def new() -> Client:
            client = stack.enter_context(Client(server, rcvbuf=4096, tls=tls))
            stall(server, client)
            return client

        stalled = [new() for _ in range(4)]
        for _ in range(2):
            with Client(server, tls=tls) as scraper:
                assert scraper.send(GET_LARGE).answer().body == LARGE
            oldest = stalled.pop(0)
            assert len(oldest.until_closed()) < len(LARGE)
            assert len(held(server)) <= 4
            eventually(lambda: len(held(server)) == 3)  # the scraper has gone
            assert all(peer(server, client) for client in stalled)
            stalled.append(new())
    assert said == []


@BURSTS
def test_a_newcomer_that_has_not_asked_yet_stays_while_others_stall(
    serve: Serve, burst_seconds: float
) -> None:
    limits = HttpLimits(connections=4, answer_seconds=60, burst_seconds=burst_seconds)
    server = serve(large, limits=limits)
    with ExitStack() as stack:
        for _ in range(4):
            stall(server, stack.enter_context(Client(server, rcvbuf=4096)))
        first = stack.enter_context(Client(server))
        eventually(lambda: State.READING in {c.state for c in list(held(server))})
        second = stack.enter_context(Client(server))
        assert second.send().answer().status == 200
        assert first.send().answer().status == 200
        assert len(held(server)) == 4


def test_who_has_to_send_a_request_yet_outlasts_a_burst_of_clients_that_stall(
    serve: Serve,
) -> None:
    limits = HttpLimits(connections=4, answer_seconds=60, burst_seconds=60)
    server = serve(large, limits=limits)
    with ExitStack() as stack:
        first = stack.enter_context(Client(server))
        for _ in range(10):
            stall(server, stack.enter_context(Client(server, rcvbuf=4096)))
            assert len(held(server)) <= 4
        assert first.send().answer().status == 200


def test_a_steady_reader_outlasts_a_burst_of_clients_that_only_connect(
    serve: Serve,
) -> None:
    limits = HttpLimits(connections=4, answer_seconds=60, burst_seconds=60)
    server = serve(large, limits=limits)
    with Client(server, rcvbuf=65536) as reader, ExitStack() as stack:
        stall(server, reader)  # nothing is taken between two newcomers of a burst
        for n in range(20):
            stack.enter_context(Client(server))
            eventually(lambda n=n: len(held(server)) == min(n + 2, 4))
        assert ask(server).status == 200
        assert reader.answer().body == LARGE


@BURSTS
def test_a_steady_reader_outlasts_clients_that_ask_and_do_not_read(
    serve: Serve, burst_seconds: float
) -> None:
    limits = HttpLimits(connections=3, answer_seconds=60, burst_seconds=burst_seconds)
    server = serve(large, limits=limits)
    with Client(server, rcvbuf=65536) as reader, ExitStack() as stack:
        connection = stall(server, reader)
        for _ in range(4):
            since = connection.since
            while connection.since == since:
                reader._more()
            stall(server, stack.enter_context(Client(server, rcvbuf=4096)))
            assert len(held(server)) <= 3
        assert connection.state is State.WRITING
        assert reader.answer().body == LARGE


def test_who_got_on_while_the_thread_was_in_a_handler_is_not_evicted(
    serve: Serve,
) -> None:
    entered = {"/1": threading.Event(), "/2": threading.Event()}
    leave = {"/1": threading.Event(), "/2": threading.Event()}

    def hang(request: Request) -> Response:
        if request.path in entered:
            entered[request.path].set()
            leave[request.path].wait(CLIENT_SECONDS)
        return large(request)

    limits = HttpLimits(connections=4, answer_seconds=60, burst_seconds=0)
    server = serve(hang, limits=limits)
    with ExitStack() as stack:
        reader, asker, idle, last = (
            stack.enter_context(Client(server, rcvbuf=65536)) for _ in range(4)
        )
        eventually(lambda: len(held(server)) == 4)
        connection = stall(server, reader)
        idle.send(GET.replace(b"/ ", b"/1 "))
        assert entered["/1"].wait(CLIENT_SECONDS)
        # The next look finds a request and a newcomer, and nothing of the first two.
        last.send(GET.replace(b"/ ", b"/2 "))
        newcomer = stack.enter_context(Client(server))
        leave["/1"].set()
        assert entered["/2"].wait(CLIENT_SECONDS)
        asker.send()
        while not can_take(connection):
            reader._more()
        leave["/2"].set()
        assert newcomer.send().answer().status == 200
        assert asker.answer().status == 200
        assert reader.answer().body == LARGE
        assert idle.answer().status == 200
        assert idle.until_closed() == b""


def in_order(*clients: tuple[State, float], burst_seconds: float) -> list[int]:
    with socket.socket() as sock:
        connections = [Connection(sock, HttpLimits()) for _ in clients]
    now = time.monotonic()
    for connection, (state, seconds) in zip(connections, clients, strict=True):
        connection.state = state
        connection.since = now - seconds
    return [connections.index(c) for c in stalest_first(connections, burst_seconds)]


def test_who_has_gone_longest_without_progress_makes_room_first() -> None:
    R, W = State.READING, State.WRITING
    D, S = State.DRAINING, State.SHAKING
    clients = ((R, 300), (W, 900), (W, 100), (D, 200), (S, 500), (R, 400))
    assert in_order(*clients, burst_seconds=800) == [1, 4, 5, 0, 3, 2]
    # None has gone so long: of those that wait, and of those that read, the more.
    assert in_order(*clients, burst_seconds=1000) == [4, 5, 0, 3, 1, 2]
    assert in_order(*clients[:3], burst_seconds=1000) == [1, 2, 0]
    assert in_order(*clients[:2], burst_seconds=1000) == [0, 1]


def test_who_is_here_is_looked_at_between_two_evictions(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        entered.set()
        leave.wait(CLIENT_SECONDS)
        return Response()

    server = serve(hang, limits=HttpLimits(connections=2))
    steps: list[str] = []

    def note(name: str) -> None:
        do = getattr(Loop, name)

        def noted(loop: Loop) -> object:
            steps.append(name)
            return do(loop)

        monkeypatch.setattr(Loop, name, noted)

    note("_wait")
    note("_evict")
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Client(server))
        stack.enter_context(Client(server)).send()
        assert entered.wait(5)
        for _ in range(10):
            stack.enter_context(Client(server))
        leave.set()
        eventually(lambda: steps.count("_evict") == 11)
    assert ("_evict", "_evict") not in pairwise(steps)


def test_hundreds_of_half_open_connections_starve_nobody(serve: Serve) -> None:
    server = serve()
    threads = threading.active_count()
    with ExitStack() as stack:
        slow = []
        waits = []
        for n in range(300):
            client = stack.enter_context(Client(server))
            with suppress(ConnectionError):
                client.send(PARTIAL)
            slow.append(client)
            if n % 10 == 9:
                began = time.monotonic()
                assert ask(server).status == 200
                waits.append(time.monotonic() - began)
        assert threading.active_count() == threads
        assert len(held(server)) <= 16
        assert max(waits) < 1.0
        assert sum(client.is_open() for client in slow) <= 16


@pytest.mark.parametrize("tls", [False, True])
def test_clients_that_are_gone_before_they_are_accepted_do_no_harm(
    serve: Serve, tls: bool
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang(request: Request) -> Response:
        if request.path == "/hang":
            entered.set()
            leave.wait(CLIENT_SECONDS)
        return Response()

    said = Said()
    server = serve(hang, tls=server_context() if tls else None, on_error=said)
    with Client(server, tls=tls) as client:
        client.send(GET.replace(b"/ ", b"/hang "))
        assert entered.wait(5)
        for n in range(40):
            with socket.create_connection((server.host, server.port)) as gone:
                gone.sendall(GET[: n % 3])
                gone.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        leave.set()
        assert client.answer().status == 200
        assert client.send().answer().status == 200
    eventually(lambda: not held(server))
    assert said == []


def test_a_context_that_cannot_serve_leaks_nothing(serve: Serve) -> None:
    context = server_context()
    context.check_hostname = True
    said = Said()
    limits = HttpLimits(accept_pause_seconds=0.01)
    server = serve(tls=context, on_error=said, limits=limits)
    for _ in range(3):
        with Client(server) as client:
            assert client.until_closed() == b""
    assert {reason for reason, _ in said} == {"http_server"}
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Client(server, tls=True) as client:
        assert client.send().answer().status == 200


@linux
def test_a_server_with_nothing_to_do_sleeps(serve: Serve) -> None:
    server = serve()
    status = Path(f"/proc/self/task/{thread_of(server).native_id}/status")

    def wakings() -> str:
        return next(line for line in status.read_text().splitlines() if "volun" in line)

    with Client(server) as kept, Client(server) as half:
        kept.send().answer()
        half.send(PARTIAL)
        eventually(lambda: len(held(server)) == 2)
        eventually(lambda: settled(wakings))
        before = wakings()
        time.sleep(0.4)
        assert wakings() == before


def settled(read: Callable[[], str]) -> bool:
    before = read()
    time.sleep(0.05)
    return read() == before


@linux
def test_no_free_descriptor_makes_newcomers_wait_and_costs_no_cpu(
    serve: Serve,
) -> None:
    said = Said()
    server = serve(on_error=said)
    clock = time.pthread_getcpuclockid(thread_of(server).ident or 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Client(server) as kept, ExitStack() as stack:
        kept.send().answer()
        late = stack.enter_context(socket.socket())
        late.settimeout(CLIENT_SECONDS)
        highest = max(open_files())
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
            with suppress(OSError):
                while True:
                    stack.callback(os.close, os.dup(0))
            late.connect(("127.0.0.1", server.port))
            late.sendall(GET)
            eventually(lambda: len(said) >= 3)
            before = time.clock_gettime(clock)
            time.sleep(0.4)
            assert time.clock_gettime(clock) - before < 0.1
            assert kept.send().answer().status == 200
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert late.recv(4096).startswith(b"HTTP/1.1 200")
    text = (
        f"http server '127.0.0.1:{server.port}': accept failed: Too many open files; "
        "waiting 0.1 s."
    )
    assert set(said) == {("accept", text)}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED])
def test_a_failed_accept_pauses_accepting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tried = []
    accept = socket.socket.accept

    def fail(sock: socket.socket) -> tuple[socket.socket, object]:
        if sock.getsockname()[1] != server.port:  # a server of another test
            return accept(sock)
        tried.append(time.monotonic())
        raise OSError(number, os.strerror(number))

    said = Said()
    server = serve(on_error=said, limits=HttpLimits(accept_pause_seconds=0.05))
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "accept", fail)
        client = Client(server).send()
        eventually(lambda: len(tried) >= 4)
    assert all(b - a >= 0.05 for a, b in pairwise(tried))
    assert {reason for reason, _ in said} == {"accept"}
    assert client.answer().status == 200
    client.sock.close()


# Who may ask

AUTH = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n"


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"Bearer s3cr\xc3\xa9t", 200),
        (b"bearer   s3cr\xc3\xa9t ", 200),
        (b"Bearer s3cr\xe9t", 401),
        (b"Bearer s3cr", 401),
        (b"Bearer s3cr\xc3\xa9tx", 401),
        (b"Bearer ", 401),
        (b"Bearer", 401),
        (b"s3cr\xc3\xa9t", 401),
        (b"Basic s3cr\xc3\xa9t", 401),
        (b"Bearer \xff\xfe", 401),
        (b"Bearer s3cr\xc3\xa9t\r\nAuthorization: Bearer s3cr\xc3\xa9t", 401),
        (b"", 401),
        (basic("ann:s3crét"), 401),
    ],
)
def test_a_bearer_token_opens_and_nothing_else_does(
    serve: Serve, sent: bytes, status: int
) -> None:
    calls: list[Request] = []

    def note(request: Request) -> Response:
        calls.append(request)
        return Response()

    said = Said()
    server = serve(note, token="s3crét", on_error=said)
    answer = ask(server, AUTH % sent)
    assert answer.status == status
    assert len(calls) == (status == 200)
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
        assert answer.body == b"401 Unauthorized\n"
    assert not said


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (basic("änn:pä:ss"), 200),
        (basic("änn:pä"), 401),
        (basic("änn:pä:ss:"), 401),
        (basic("Änn:pä:ss"), 401),
        (basic(":"), 401),
        (b"Basic !!!", 401),
        (b"Basic", 401),
        (b"Bearer " + base64.b64encode("änn:pä:ss".encode()), 401),
    ],
)
def test_basic_auth_opens_and_nothing_else_does(
    serve: Serve, sent: bytes, status: int
) -> None:
    answer = ask(serve(basic_auth=("änn", "pä:ss")), AUTH % sent)
    assert answer.status == status
    if status == 401:
        challenge = 'Basic realm="metrics", charset="UTF-8"'
        assert answer.headers["www-authenticate"] == challenge


def test_with_token_and_password_either_will_do(serve: Serve) -> None:
    server = serve(token="t", basic_auth=("u", "p"))
    assert ask(server, AUTH % b"Bearer t").status == 200
    assert ask(server, AUTH % basic("u:p")).status == 200
    with Client(server) as client:
        refused = client.send(OLD_GET).until_closed()
    assert refused.count(b"WWW-Authenticate: ") == 2


def test_a_token_in_the_query_opens_nothing_on_any_path(serve: Serve) -> None:
    server = serve(token="t")
    for target in (b"/?token=t", b"/x?access_token=t", b"/metrics", b"/favicon.ico"):
        for method in (b"GET", b"POST", b"OPTIONS", b"DELETE"):
            request = GET.replace(b"/ ", target + b" ").replace(b"GET", method)
            assert ask(server, request).status == 401


def gate(bound: str, *allowed: str) -> Gate:
    made = Gate(token=None, basic_auth=None, allowed_hosts=allowed)
    made.bound_to(bound)
    return made


def passes(made: Gate, host: str | None) -> bool:
    request = Request("GET", "/", "", {} if host is None else {"host": host})
    answer = made.refuse(request)
    assert answer is None or answer.status == 403
    return answer is None


# fmt: off
LOOPBACK = [
    "localhost", "LocalHost:9464", "localhost.", "127.0.0.1:1", "127.9.8.7",
    "127.0.0.1.", "[::1]", "[::1]:9464", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
]
FOREIGN = [
    "example.org", "localhost.example.org", "127.example.org", "127.0.0.1.nip.io",
    "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.256", "127.0.0.01", "0.0.0.0",
    "10.0.0.1", "[::]", "[::2]", "[fe80::1]", "::1", "localhost,example.org",
    "localhost:1:2", "user@localhost", "localhost/", "[::1", "127.0.0.1:x",
]
# fmt: on


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_a_loopback_server_serves_loopback_names_alone(bound: str) -> None:
    made = gate(bound)
    assert [host for host in LOOPBACK if not passes(made, host)] == []
    assert [host for host in [*FOREIGN, "", None] if passes(made, host)] == []


def test_a_loopback_server_serves_the_names_it_was_given_too() -> None:
    made = gate("127.0.0.1", "Metrics.Example.org", "10.0.0.1", "::2", "[::3]:80")
    for host in (*LOOPBACK, "metrics.example.org:80", "10.0.0.1", "[::2]", "[::3]"):
        assert passes(made, host)
    assert not passes(made, "example.org")


def test_a_server_on_the_network_serves_any_name_unless_told_which() -> None:
    assert all(passes(gate("0.0.0.0"), host) for host in [*LOOPBACK, *FOREIGN])
    assert passes(gate("10.0.0.5"), None)
    made = gate("10.0.0.5", "metrics.example.org")
    assert passes(made, "metrics.example.org")
    assert passes(made, "10.0.0.5:9464")
    for host in (*LOOPBACK, "10.0.0.6", "example.org", None):
        assert not passes(made, host)
    made = gate("fe80::1%eth0", "a")
    assert passes(made, "[fe80:0::1]")


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.:\[\]-]{1,30}", fullmatch=True))
def test_no_forged_host_passes(host: str) -> None:
    name = host.lower().partition(":")[0].removesuffix(".")
    honest = name == "localhost" or name.startswith("127.") or host.startswith("[")
    assert honest or not passes(gate("127.0.0.1"), host)


def test_a_foreign_host_is_refused_before_credentials_and_handler(serve: Serve) -> None:
    calls: list[Request] = []

    def note(request: Request) -> Response:
        calls.append(request)
        return Response()

    server = serve(note, token="t")
    for host in (b"example.org", b"127.0.0.1.nip.io:80", b""):
        request = (AUTH % b"Bearer t").replace(b"localhost", host)
        answer = ask(server, request)
        assert (answer.status, answer.body) == (403, b"403 Forbidden\n")
    assert ask(server, b"GET / HTTP/1.0\r\n\r\n").status == 403
    assert not calls


def test_the_address_that_was_bound_decides_and_not_the_name(serve: Serve) -> None:
    server = serve(host="0.0.0.0")
    assert ask(server, GET.replace(b"localhost", b"example.org")).status == 200
    assert ask(server, b"GET / HTTP/1.0\r\n\r\n").status == 200
    server = serve(host="localhost")
    server.host = "127.0.0.1"
    assert ask(server, GET.replace(b"localhost", b"example.org")).status == 403


# TLS


def test_tls_is_spoken_and_the_connection_kept(serve: Serve) -> None:
    server = serve(tls=server_context())
    context = client_context()
    connection = http.client.HTTPSConnection("localhost", server.port, context=context)
    for _ in range(3):
        connection.request("GET", "/tls")
        assert connection.getresponse().read() == b"/tls"
    connection.close()


def test_tls_ends_with_its_goodbye(serve: Serve) -> None:
    with Client(serve(tls=server_context()), tls=True) as client:
        client.send(OLD_GET)
        assert client.answer().status == 200
        # A client that checks for truncation would raise here.
        client.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        assert client.sock.recv(10) == b""


def test_requests_in_one_tls_record_are_all_answered(serve: Serve) -> None:
    """What OpenSSL holds decrypted is invisible to a selector.

    The first four fill the buffer and leave it empty; the fifth is with OpenSSL.
    """
    path = b"/" + b"a" * (3072 - len(GET))
    request = GET.replace(b"/ ", path + b" ")
    assert len(request) * 4 == 4096 + 8192
    with Client(serve(tls=server_context()), tls=True) as client:
        client.send(request * 5)
        assert [client.answer().body for _ in range(5)] == [path] * 5


@pytest.mark.parametrize("want", [ssl.SSLWantWriteError, ssl.SSLWantReadError])
def test_tls_may_want_the_other_direction_first(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, want: type[OSError]
) -> None:
    wanted: list[bytes] = []
    send = ssl.SSLSocket.send

    def stubborn(sock: ssl.SSLSocket, data: Any, flags: int = 0) -> int:
        if sock.server_side and not wanted:
            wanted.append(bytes(data))
            raise want
        return send(sock, data, flags)

    monkeypatch.setattr(ssl.SSLSocket, "send", stubborn)
    with Client(serve(tls=server_context()), tls=True) as client:
        client.send()
        eventually(lambda: wanted)
        if want is ssl.SSLWantReadError:
            client.send(b"\r\n")
        assert client.answer().status == 200
        assert client.send().answer().status == 200


def test_plain_http_on_a_tls_port_is_cut_and_said(serve: Serve) -> None:
    said = Said()
    server = serve(tls=server_context(), on_error=said)
    with Client(server) as client:
        assert b"HTTP/" not in client.send().until_closed()
    text = (
        f"http server '127.0.0.1:{server.port}': a TLS handshake failed: HTTP_REQUEST."
    )
    assert said == [("tls", text)]
    with Client(server, tls=True) as client:
        assert client.send().answer().status == 200


def test_a_port_check_on_a_tls_port_is_not_worth_a_line(serve: Serve) -> None:
    said = Said()
    server = serve(tls=server_context(), on_error=said)
    for _ in range(3):
        with Client(server):
            pass
    with Client(server, tls=True) as client:
        assert client.send().answer().status == 200
    eventually(lambda: not held(server))
    assert said == []


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_tls_handshake_that_hangs_is_cut(serve: Serve, first: bytes) -> None:
    server = serve(tls=server_context(), limits=HttpLimits(header_seconds=0.3))
    with Client(server) as client:
        client.send(first)
        with Client(server, tls=True) as other:
            assert other.send().answer().status == 200
        assert seconds_until_closed(client) < 2.0


def test_hanging_tls_handshakes_starve_nobody(serve: Serve) -> None:
    server = serve(tls=server_context())
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Client(server))
        with Client(server, tls=True) as client:
            assert client.send().answer().status == 200


# Anything at all


@pytest.fixture
def fuzzed(serve: Serve) -> tuple[HttpServer, list[Request], Said]:
    seen: list[Request] = []
    said = Said()

    def note(request: Request) -> Response:
        seen.append(request)
        return Response()

    return serve(note, on_error=said), seen, said


PIECES = [GET, OLD_GET, b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b" ", b":",
          b"Host: localhost\r\n", b"Host", b"\x00", b"\xff", b"HTTP/1.0",
          b"Transfer-Encoding: chunked\r\n", b"A" * 5000]  # fmt: skip


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
)
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n" * 500)
@example(b"\x16\x03\x01" + b"\x00" * 100)
def test_any_bytes_leave_the_server_serving(
    fuzzed: tuple[HttpServer, list[Request], Said], data: bytes
) -> None:
    server, seen, said = fuzzed
    seen.clear()
    with Client(server) as client:
        with suppress(ConnectionError):
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
        answers = client.until_closed()
    assert answers == b"" or answers.startswith(b"HTTP/1.1 ")
    for request in seen:
        assert request.path.startswith("/")
        assert request.headers["host"] == "localhost"
    assert ask(server).status == 200
    assert thread_of(server).is_alive()
    assert said == []


# Starting and closing


def test_a_port_that_is_taken_is_said_with_its_address(serve: Serve) -> None:
    taken = serve()
    files = len(open_files())
    server = HttpServer("127.0.0.1", taken.port, hello)
    for _ in range(2):
        with pytest.raises(OSError, match="cannot listen") as caught:
            server.start()
    assert caught.value.errno == errno.EADDRINUSE
    assert str(caught.value) == (
        f"[Errno {errno.EADDRINUSE}] http server '127.0.0.1:{taken.port}': cannot "
        "listen: Address already in use. Give a host of this machine and a port that "
        "is free."
    )
    server.close(1.0)
    assert len(open_files()) == files
    assert ask(taken).status == 200


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 300, "\0"])
def test_a_host_that_cannot_be_bound_is_said(host: str) -> None:
    files = len(open_files())
    with pytest.raises(
        OSError, match=r"http server .*:4242': cannot listen: .* Give a"
    ):
        HttpServer(host, 4242, hello).start()
    assert len(open_files()) == files


def test_no_thread_to_be_had_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: threading.Thread) -> None:
        text = "can't start new thread"
        raise RuntimeError(text)

    monkeypatch.setattr(threading.Thread, "start", fail)
    files = len(open_files())
    server = HttpServer("127.0.0.1", 0, hello)
    with pytest.raises(OSError, match="cannot listen: can't start new thread"):
        server.start()
    assert len(open_files()) == files


def test_a_server_starts_once_and_again_after_close() -> None:
    server = HttpServer("127.0.0.1", 0, hello)
    server.start()
    first = server.port
    assert first != 0
    with pytest.raises(RuntimeError, match=f"'127.0.0.1:{first}': it is started alre"):
        server.start()
    server.close(1.0)
    server.start()
    assert ask(server).status == 200
    server.close(1.0)


def test_close_ends_a_hanging_client_and_gives_everything_back() -> None:
    files, threads = len(open_files()), threading.active_count()
    server = HttpServer("127.0.0.1", 0, lambda _: Response(200, (), b"x" * (16 << 20)))
    server.start()
    with Client(server) as silent, Client(server) as half, Client(server) as deaf:
        half.send(PARTIAL)
        deaf.send()
        eventually(lambda: len(held(server)) == 3)
        began = time.monotonic()
        server.close(2.0)
        assert time.monotonic() - began < 0.5
        assert silent.until_closed() == b""
        assert half.until_closed() == b""
        assert len(deaf.until_closed()) < 16 << 20
        with pytest.raises(ConnectionRefusedError):
            Client(server)
    server.close(2.0)
    server.close(0.0)
    assert (len(open_files()), threading.active_count()) == (files, threads)


def test_close_before_start_and_with_odd_timeouts_does_no_harm() -> None:
    server = HttpServer("127.0.0.1", 0, hello)
    server.close(1.0)
    for timeout in (float("inf"), -1.0, 0):
        server.start()
        thread = thread_of(server)
        server.close(timeout)
        eventually(lambda thread=thread: not thread.is_alive())
        server.close(1.0)


def test_many_threads_may_close_at_once() -> None:
    files = len(open_files())
    for _ in range(20):
        server = HttpServer("127.0.0.1", 0, hello)
        server.start()
        barrier = threading.Barrier(8)

        def close(server: HttpServer = server, barrier: Any = barrier) -> None:
            barrier.wait()
            server.close(5.0)

        closers = [threading.Thread(target=close) for _ in range(8)]
        for thread in closers:
            thread.start()
        for thread in closers:
            thread.join()
        assert server._loop is None
    assert len(open_files()) == files


def test_a_handler_that_hangs_holds_neither_close_nor_the_port() -> None:
    files = len(open_files())
    entered, leave = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        entered.set()
        leave.wait(CLIENT_SECONDS)
        return Response()

    server = HttpServer("127.0.0.1", 0, hang)
    server.start()
    thread = thread_of(server)
    with Client(server) as client:
        client.send()
        assert entered.wait(5)
        began = time.monotonic()
        server.close(0.2)
        assert 0.1 < time.monotonic() - began < 1.0
        other = HttpServer("127.0.0.1", server.port, hello)
        other.start()
        assert ask(other).status == 200
        other.close(1.0)
        assert thread.is_alive()
        leave.set()
        thread.join(5)
        server.close(0.0)
    assert len(open_files()) == files


def test_the_handler_may_close_the_server() -> None:
    def end(_: Request) -> Response:
        server.close(5.0)
        return Response()

    server = HttpServer("127.0.0.1", 0, end)
    server.start()
    thread = thread_of(server)
    with Client(server) as client:
        assert client.send().answer().status == 200
        thread.join(5)
        assert not thread.is_alive()
    server.close(1.0)
    assert server._loop is None


# Fork


def in_child(do: Callable[[], object]) -> None:
    """Run in a forked child; it must end well within ten seconds."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    wait_for(pid)


def wait_for(pid: int) -> None:
    until = time.monotonic() + CLIENT_SECONDS
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        assert time.monotonic() < until, "the child hangs"
        time.sleep(0.005)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


@linux
@forks
@pytest.mark.parametrize("leave", ["forget", "close"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_forked_child_lets_go_and_the_parent_goes_on(
    serve: Serve, leave: str, tls: bool
) -> None:
    server = serve(tls=server_context() if tls else None)
    with Client(server, tls=tls) as kept, Client(server) as half:
        kept.send().answer()
        if not tls:
            half.send(PARTIAL)
        eventually(lambda: len(held(server)) == 2)

        def child() -> None:
            before = open_files().keys()
            server.forget() if leave == "forget" else server.close(1.0)
            assert len(before - open_files()) == 6
            server.forget()
            server.close(1.0)
            server.start()
            server.close(1.0)

        for _ in range(3):
            eventually(lambda: len(held(server)) == 2)
            in_child(child)
            assert kept.send().answer().status == 200
            assert half.is_open()
            with Client(server, tls=tls) as fresh:
                assert fresh.send().answer().status == 200
        if not tls:
            assert half.send(b"\r\n").answer().status == 200


@forks
def test_a_child_that_forgets_nothing_holds_neither_clients_nor_port(
    serve: Serve,
) -> None:
    server = serve()
    with Client(server) as kept, Client(server) as idle:
        kept.send().answer()
        eventually(lambda: len(held(server)) == 2)
        mine, childs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(childs)
            os.read(mine, 1)
            os._exit(0)
        os.close(mine)
        try:
            # The end comes through, though the child has the descriptor as well.
            kept.send(OLD_GET).answer()
            assert kept.until_closed() == b""
            assert ask(server).status == 200
            clock = time.pthread_getcpuclockid(thread_of(server).ident or 0)
            eventually(lambda: len(held(server)) == 1)
            before = time.clock_gettime(clock)
            time.sleep(0.2)
            assert time.clock_gettime(clock) - before < 0.1
            server.close(1.0)
            assert idle.until_closed() == b""
            again = HttpServer("127.0.0.1", server.port, hello)
            again.start()
            assert ask(again).status == 200
            again.close(1.0)
        finally:
            os.close(childs)
            wait_for(pid)


@forks
def test_forks_under_load_disturb_no_answer(serve: Serve) -> None:
    server = serve()
    done = threading.Event()
    answers: list[int] = []

    def load() -> None:
        while not done.is_set():
            answers.append(ask(server).status)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            in_child(server.forget)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(answers) > 40
    assert set(answers) == {200}


# Definitions


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"host": ""},
            "http server: host is empty. Give an address; '127.0.0.1' serves this "
            "machine alone, '0.0.0.0' everybody.",
        ),
        (
            {"port": 70000},
            "http server: port got 70000, needs an integer from 0 to 65535.",
        ),
        (
            {"port": True},
            "http server: port got True, needs an integer from 0 to 65535.",
        ),
        (
            {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
            "http server: tls got a client's context, which cannot serve. Make it with "
            "ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).",
        ),
        *(
            (
                {"token": token},
                "http server: token is empty, or has control characters or blanks "
                "around it. Strip what was read from a file.",
            )
            for token in ("", "s3cret\n", " s3cret", "s3\x00cret", "\udcff")
        ),
        *(
            (
                {"basic_auth": pair},
                "http server: basic_auth is empty, or has control characters or blanks "
                "around it. Strip what was read from a file.",
            )
            for pair in (("", "p"), ("u", ""), ("u", "p\n"))
        ),
        (
            {"basic_auth": ("a:b", "p")},
            "http server: basic_auth has the user name 'a:b', but ':' ends a user "
            "name. Take it out.",
        ),
        *(
            (
                {"allowed_hosts": [host]},
                f"http server: allowed_hosts has {host!r}, which is no host name or "
                "address. Give names as 'metrics.example.org', without wildcards.",
            )
            for host in ("*.example.org", "", "http://a", "a b")
        ),
        (
            {"allowed_hosts": "example.org"},
            "http server: allowed_hosts got the text 'example.org', needs a sequence "
            "of names. Write ['example.org'].",
        ),
    ],
)
def test_an_argument_that_breaks_a_rule_is_said_at_once(
    options: dict[str, Any], text: str
) -> None:
    given_options = {"host": "127.0.0.1", "port": 0, "handler": hello, **options}
    with pytest.raises(DefinitionError) as caught:
        HttpServer(**given_options)
    assert str(caught.value) == text
