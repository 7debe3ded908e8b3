"""The fault sink: each mode does what it says, seen from a raw socket."""

import gzip
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.faults import sink as sink_module
from tests.faults.certificates import authority, mutual_context
from tests.faults.modes import (
    BOMB_BYTES,
    GARBAGE,
    HUGE_BYTES,
    answer,
    mode_from_text,
    raw,
)
from tests.faults.sink import Request, Sink
from tests.open_files import open_files

SECONDS = 10.0
ROOT = Path(__file__).parents[2]
POST = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na,b\n"


def ids(body: bytes) -> list[bytes]:
    return body.split()


def connect(sink: Sink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", sink.port), SECONDS)


def post(sink: Sink, body: bytes = b"", headers: dict[str, str] | None = None):
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=SECONDS)
    try:
        connection.request("POST", "/in", body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def until(condition) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def all_of(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(64 * 1024):
        data += part
    return data


def nothing_comes(sock: socket.socket, seconds: float = 0.3) -> bool:
    sock.settimeout(seconds)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    return True


def test_ok_answers_200_and_remembers_the_request():
    before = time.monotonic()
    with Sink() as sink:
        assert post(sink, b"hello", {"X-Kind": "a"})[::2] == (200, b"")
        (request,) = sink.requests
    assert before <= request.time <= time.monotonic()
    assert (request.method, request.path, request.body) == ("POST", "/in", b"hello")
    assert request.headers["x-kind"] == "a"
    assert request.answered
    assert request.status == 200


def test_a_packed_body_is_remembered_unpacked():
    with Sink() as sink:
        post(sink, gzip.compress(b"plain"), {"Content-Encoding": "gzip"})
        assert sink.requests[0].body == b"plain"


def test_one_connection_carries_several_requests():
    with Sink() as sink, connect(sink) as sock:
        for _ in range(3):
            sock.sendall(POST)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert sink.connections == 1
        assert [request.connection for request in sink.requests] == [1, 1, 1]


def test_refuse_closes_the_port_and_ok_opens_the_same_again():
    with Sink() as sink:
        idle = connect(sink)
        until(lambda: sink.connections == 1)
        port = sink.port
        for _ in range(3):
            sink.mode = "refuse"
            with pytest.raises(ConnectionRefusedError):
                connect(sink)
            sink.mode = "ok"
            assert post(sink)[0] == 200
        assert sink.port == port
        assert idle.recv(1) == b""
        idle.close()


def test_a_sink_may_start_refusing():
    with Sink("refuse") as sink, pytest.raises(ConnectionRefusedError):
        connect(sink)


def test_never_read_accepts_and_lets_the_kernels_buffers_fill():
    with Sink("never_read") as sink, connect(sink) as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(64 * 1024 * 1024))
        assert sink.connections == 1
        assert not sink.requests


def test_never_answer_reads_the_request_and_says_nothing():
    with Sink("never_answer", ids=ids) as sink, connect(sink) as sock:
        sock.sendall(POST)
        until(lambda: sink.requests)
        assert nothing_comes(sock)
        assert sink.arrived() == {b"a,b": 1}
        assert not sink.acknowledged()
        assert not sink.requests[0].answered


@pytest.mark.parametrize(
    ("mode", "arrives"), [("reset_mid_request", False), ("reset_before_answer", True)]
)
def test_a_reset_is_one_and_comes_when_it_says(mode, arrives):
    with Sink(mode, ids=ids) as sink, connect(sink) as sock:
        sock.sendall(POST)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert bool(sink.arrived()) is arrives
        assert not sink.acknowledged()


def test_close_after_answers_so_often_and_closes_without_a_word():
    with Sink("close_after:2") as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert b"close" not in sock.recv(4096).lower()
        sock.sendall(POST)
        assert b"close" not in all_of(sock).lower()


def test_a_drip_of_the_head_comes_byte_by_byte():
    with Sink("drip_head:0.05") as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert [sock.recv(4096) for _ in range(4)] == [b"H", b"T", b"T", b"P"]


def test_a_drip_of_the_body_follows_a_whole_head():
    with Sink("drip_body:0.05") as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert sock.recv(4096).endswith(b"\r\n\r\n")
        assert [sock.recv(4096) for _ in range(4)] == [b"d", b"r", b"i", b"p"]


def test_a_drip_is_a_byte_a_second_unless_it_says_otherwise():
    assert mode_from_text("drip_head").seconds == 1
    assert mode_from_text("drip_body").seconds == 1


def test_stall_answers_late():
    with Sink("stall:0.4") as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert nothing_comes(sock, 0.2)
        sock.settimeout(SECONDS)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_garbage_is_no_http():
    with Sink("garbage") as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert all_of(sock) == GARBAGE


def test_raw_answers_the_bytes_it_was_given():
    with Sink(raw(b"HTTP/1.1 2")) as sink, connect(sink) as sock:
        sock.sendall(POST)
        assert all_of(sock) == b"HTTP/1.1 2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_3xx_leads_elsewhere(status):
    with Sink(str(status)) as sink:
        got, headers, _ = post(sink)
    assert (got, headers["Location"]) == (status, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize("status", [400, 413, 429, 500, 503])
def test_a_status_is_answered_without_retry_after(status):
    with Sink(str(status), ids=ids) as sink:
        got, headers, body = post(sink, b"one")
        assert (got, body) == (status, f"status {status}".encode())
        assert "Retry-After" not in headers
        assert not sink.arrived()
        assert not sink.acknowledged()


@pytest.mark.parametrize("retry", ["7", "3600", "-5", "junk"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_what_it_says(status, retry):
    with Sink(f"{status}:{retry}") as sink:
        assert post(sink)[1]["Retry-After"] == retry


@pytest.mark.parametrize(("retry", "away"), [("date", 30), ("past", -30)])
def test_retry_after_may_be_a_date(retry, away):
    with Sink(f"503:{retry}") as sink:
        text = post(sink)[1]["Retry-After"]
    assert text.endswith(" GMT")
    assert abs(parsedate_to_datetime(text).timestamp() - time.time() - away) < SECONDS


def test_early_answers_before_the_body_has_come():
    with Sink("early:413") as sink, connect(sink) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert all_of(sock).startswith(b"HTTP/1.1 413 ")
        assert not sink.requests


def test_a_partial_success_is_what_the_test_says():
    with Sink(answer(200, b'{"rejected": 1}', ("Content-Type", "a/b"))) as sink:
        status, headers, body = post(sink)
    assert (status, headers["Content-Type"]) == (200, "a/b")
    assert body == b'{"rejected": 1}'


@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_a_huge_answer_is_400_mb_and_framed_as_it_says(framing):
    with Sink(f"huge:{framing}") as sink:
        connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=SECONDS)
        connection.request("POST", "/")
        reply = connection.getresponse()
        assert (reply.length, reply.chunked) == {
            "length": (HUGE_BYTES, False),
            "close": (None, False),
            "chunked": (None, True),
        }[framing]
        size = 0
        while part := reply.read(1024 * 1024):
            size += len(part)
        connection.close()
    assert size == HUGE_BYTES == 400 * 1024 * 1024


def test_a_bomb_is_small_and_unpacks_to_a_gib():
    with Sink("bomb") as sink:
        _, headers, body = post(sink)
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 2 * 1024 * 1024
    member = body[: len(body) // 16]
    assert body == member * 16
    assert len(gzip.decompress(member)) == BOMB_BYTES // 16


def test_interim_answers_come_before_the_real_one():
    with Sink("interim:3") as sink, connect(sink) as sock:
        sock.sendall(POST)
        data = b""
        while data.count(b"\r\n\r\n") < 4:
            data += sock.recv(4096)
    assert data.count(b"HTTP/1.1 103 ") == 3
    assert b"HTTP/1.1 200 " in data


def test_scheduled_modes_go_before_the_mode_one_for_each_request():
    with Sink("400") as sink:
        sink.schedule("503", answer(207), "ok")
        assert [post(sink)[0] for _ in range(5)] == [503, 207, 200, 400, 400]


def test_refuse_cannot_be_scheduled():
    with Sink() as sink, pytest.raises(ValueError, match="of the port"):
        sink.schedule("refuse")


def test_a_mode_is_switched_on_an_open_connection():
    with Sink() as sink, connect(sink) as sock:
        for status in (200, 503, 400):
            sink.mode = str(status) if status != 200 else "ok"
            sock.sendall(POST)
            assert sock.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("text", ["", "okay", "drip", "never"])
def test_an_unknown_mode_raises(text):
    with pytest.raises(ValueError, match="no mode"):
        mode_from_text(text)


def test_loss_and_duplicates_are_counted_by_id():
    with Sink(ids=ids) as sink:
        post(sink, b"1 2")
        post(sink, b"2 3")
        sink.mode = "503"
        post(sink, b"4")
        assert sink.arrived() == sink.acknowledged() == {b"1": 1, b"2": 2, b"3": 1}


def test_what_arrived_and_was_not_acknowledged_is_told_apart():
    with Sink("reset_before_answer", ids=ids) as sink, connect(sink) as sock:
        sock.sendall(POST)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert sink.arrived() == {b"a,b": 1}
        assert not sink.acknowledged()


def test_it_forgets_the_oldest_bodies_but_no_ids(monkeypatch):
    monkeypatch.setattr(sink_module, "KEPT_BYTES", 2 * 1025)
    with Sink(ids=ids) as sink:
        for body in (b"1", b"2", b"3"):
            post(sink, body)
        assert [each.body for each in sink.requests] == [b"2", b"3"]
        assert sink.arrived() == {b"1": 1, b"2": 1, b"3": 1}


def test_a_handler_answers_in_a_protocol_of_its_own():
    def handler(request: Request):
        return 202, {"X-Path": request.path}, request.body[::-1]

    with Sink(handler=handler, ids=ids) as sink:
        status, headers, body = post(sink, b"abc")
        assert (status, headers["X-Path"], body) == (202, "/in", b"cba")
        sink.mode = "stall:0.01"
        assert post(sink, b"abc")[2] == b"cba"


def test_what_a_handler_raises_is_raised_at_the_end():
    def handler(_: Request):
        raise ZeroDivisionError

    with (
        pytest.RaisesGroup(ZeroDivisionError),
        Sink(handler=handler) as sink,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        post(sink)


def test_a_handler_may_close_the_port():
    def handler(_: Request):
        sink.mode = "refuse"
        return 200, {}, b""

    with Sink(handler=handler) as sink:
        with pytest.raises((OSError, http.client.HTTPException)):
            post(sink)
        with pytest.raises(ConnectionRefusedError):
            connect(sink)


def handshake(sink: Sink, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    context = context or ssl.create_default_context(cafile=sink.ca_file)
    raw_socket = connect(sink)
    try:
        return context.wrap_socket(raw_socket, server_hostname="127.0.0.1")
    finally:
        raw_socket.close()


def test_a_good_certificate_is_trusted():
    with Sink(tls="good") as sink, handshake(sink) as sock:
        assert sink.url == f"https://127.0.0.1:{sink.port}"
        sock.sendall(POST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert sink.requests[0].body == b"a,b\n"


@pytest.mark.parametrize(
    ("tls", "text"),
    [
        ("wrong_name", "IP address mismatch"),
        ("expired", "certificate has expired"),
        ("unknown_issuer", "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_is_bad_for_its_own_reason(tls, text):
    with Sink(tls=tls) as sink:
        with pytest.raises(ssl.SSLCertVerificationError, match=text):
            handshake(sink)
        assert not sink.requests
        sink.tls = "good"
        handshake(sink).close()


def test_plain_http_on_a_tls_port_answers_400_in_plain():
    with Sink(tls="plain") as sink:
        with pytest.raises(ssl.SSLError):
            handshake(sink)
        assert post(sink)[0] == 200


def test_a_client_certificate_may_be_asked_for(tmp_path):
    certificate = tmp_path / "client.pem"
    authority("known").issue_cert(
        "client@test"
    ).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with Sink(tls=mutual_context()) as sink:
        with handshake(sink) as sock, pytest.raises(ssl.SSLError, match="certificate"):
            sock.recv(1)
        context = ssl.create_default_context(cafile=sink.ca_file)
        context.load_cert_chain(certificate)
        with handshake(sink, context) as sock:
            sock.sendall(POST)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("tls", [None, "good", "plain"])
@pytest.mark.parametrize(
    "mode",
    [
        "ok",
        "refuse",
        "never_read",
        "never_answer",
        "drip_body",
        "stall:60",
        "huge:close",
    ],
)
def test_no_thread_socket_or_file_is_left(mode, tls):
    threads, files = threading.active_count(), open_files()
    with Sink("ok", tls=tls) as sink:
        socks = [connect(sink) for _ in range(3)]
        if tls == "good":
            plain, socks = socks, []
            context = ssl.create_default_context(cafile=sink.ca_file)
            for each in plain:
                socks.append(context.wrap_socket(each, server_hostname="127.0.0.1"))
        sink.mode = mode
        for each in socks[:2]:
            try:
                each.sendall(POST)
            except OSError:
                assert mode == "refuse"
        until(lambda: mode in ("refuse", "never_read") or len(sink.requests) == 2)
    assert threading.active_count() == threads
    for each in socks:
        each.close()
    assert open_files() == files
    assert sink.ca_file is None or not Path(sink.ca_file).exists()


def test_a_client_that_leaves_takes_its_thread_with_it():
    with Sink("never_answer") as sink:
        threads = threading.active_count()
        with connect(sink) as sock:
            sock.sendall(POST)
            until(lambda: sink.requests)
            assert threading.active_count() == threads + 1
        until(lambda: threading.active_count() == threads)


def test_as_a_process_it_takes_modes_and_ends_with_its_input():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.sink", "--mode", "503"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        started = json.loads(process.stdout.readline())
        host, port = started["url"].removeprefix("http://").split(":")
        for status, mode in ((503, "ok"), (200, "400"), (400, "ok")):
            connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
            connection.request("POST", "/")
            assert connection.getresponse().status == status
            connection.close()
            process.stdin.write(f"{mode}\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
        assert said == {"requests": 3}
        process.stdin.close()
        assert process.wait(SECONDS) == 0
