"""OTLP over gRPC, against a server in this process."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from time import monotonic, sleep

import grpc
import pytest

from obs.errors import ExportFailed
from obs.model import Ack
from obs_exporters import OTLPExporter, Tls
from obs_exporters.otlp._envelope import Body
from obs_exporters.otlp._grpc import RETRYABLE
from tests.exporters.otlp.grpc_backend import Backend, abort
from tests.exporters.otlp.test_exporter import partial
from tests.exporters.otlp.test_transport import BATCHES, refused, sent, soon
from tests.faults.certificates import authority
from tests.faults.relay import Relay

METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.fixture
def backend():
    with Backend() as found:
        yield found


@contextmanager
def exporting(url, **arguments):
    exporter = OTLPExporter(url, protocol="grpc", **arguments)
    try:
        yield exporter
    finally:
        exporter.close(soon())


@pytest.mark.parametrize("kind", METHODS)
def test_each_signal_is_a_call_of_its_own_service(backend, kind):
    with exporting(backend.url, headers={"X-Tenant": "a"}) as exporter:
        assert sent(exporter, kind) == Ack(1)
        (payload,) = exporter.encode(BATCHES[kind])
    (call,) = backend.calls
    assert (call.method, call.body) == (METHODS[kind], payload.body)
    assert call.metadata["x-tenant"] == "a"
    assert call.metadata["user-agent"].startswith("obs-sdk ")


def test_the_deadline_is_the_call_s(backend):
    with exporting(backend.url) as exporter:
        sent(exporter, deadline=soon(7.0))
    (call,) = backend.calls
    assert 5 < call.seconds < 7.5


@pytest.mark.parametrize("compression", ["gzip", None])
def test_messages_are_packed(compression):
    received = bytearray()
    with Backend() as backend, relayed(backend.port, received) as port:
        url = f"http://127.0.0.1:{port}"
        with exporting(url, compression=compression) as exporter:
            (payload,) = exporter.encode(BATCHES["traces"])
            body = Body(b"x" * 100_000, "traces")
            exporter.send(payload._replace(body=body), soon())
        assert backend.calls[0].body == body
    assert (len(received) < 10_000) == (compression == "gzip")


@contextmanager
def relayed(port, received):
    """Give a port that leads to another, and what goes there."""
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source, target, note):
        try:
            while data := source.recv(65_536):
                note(data)
                target.sendall(data)
        except OSError:
            pass
        finally:
            with_shutdown(target)

    def with_shutdown(target):
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve():
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        with near, far:
            back = threading.Thread(target=copy, args=(far, near, len))
            back.start()
            copy(near, far, received.extend)
            back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(10)
    listener.close()
    assert not thread.is_alive()


def test_headers_may_be_a_function_that_is_asked_each_time(backend):
    tokens = iter(["a", "b"])
    headers = lambda: {"Authorization": f"Bearer {next(tokens)}"}  # noqa: E731
    with exporting(backend.url, headers=headers) as exporter:
        sent(exporter)
        sent(exporter)
    found = [call.metadata["authorization"] for call in backend.calls]
    assert found == ["Bearer a", "Bearer b"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (lambda: 1 / 0, "headers() raised ZeroDivisionError"),
        (lambda: 5, "headers() raised AttributeError"),
        (
            lambda: {b"a": "b"},
            "header b'a' is no name of a text in gRPC's metadata",
        ),
        (lambda: {"a b": "c"}, "header 'a b' is no name of a text in gRPC's metadata"),
        (lambda: {"a": "ż"}, "the value of header 'a' needs to be printable ASCII"),
        (lambda: {"a": 5}, "the value of header 'a' needs to be printable ASCII"),
    ],
)
def test_headers_that_cannot_be_sent_fail_and_may_be_tried_again(headers, said):
    with exporting("http://127.0.0.1:9", headers=headers) as exporter:
        error = refused(exporter)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == f"exporter 'otlp': 127.0.0.1:9 by gRPC: {said}."


def test_a_partial_success_is_counted(backend):
    backend.answer = lambda call, context: partial("logs", 1, "old")
    with exporting(backend.url) as exporter:
        assert sent(exporter, "logs") == Ack(0, {"partial_success": 1})


def test_what_cannot_be_read_is_a_full_success(backend):
    backend.answer = lambda call, context: b"{}"
    with exporting(backend.url) as exporter:
        assert sent(exporter) == Ack(1)


def test_a_huge_answer_is_a_full_success(backend):
    answer = partial("traces", 1, "x" * 70_000)  # of which nothing is read
    backend.answer = lambda call, context: answer
    with exporting(backend.url) as exporter:
        assert sent(exporter) == Ack(1)


@pytest.mark.parametrize(
    "said",
    [
        "grpc: received message larger than max (5000000 vs. 4194304)",
        "SERVER: Received message larger than max (5000000 vs. 4194304)",
    ],
)
def test_a_request_that_is_too_large_for_the_backend_is_refused(backend, said):
    backend.answer = abort(grpc.StatusCode.RESOURCE_EXHAUSTED, said)
    with exporting(backend.url) as exporter:
        error = refused(exporter)
    assert (error.retryable, error.reason) == (False, "grpc_resource_exhausted")


def test_after_close_a_send_opens_a_new_channel(backend):
    with exporting(backend.url) as exporter:
        for _ in range(2):
            assert sent(exporter) == Ack(1)
            exporter.close(soon(1.0))
            exporter.close(soon(1.0))


UNCLEAR = ("CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
"""What the library says of a lost connection, too: it may have arrived."""


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_each_code_may_be_tried_again_or_not(backend, code):
    backend.answer = abort(code, "because")
    with exporting(backend.url) as exporter:
        error = refused(exporter)
    assert error.retryable == (code.name in RETRYABLE)
    assert (error.retry_after, error.sent) == (None, code.name in UNCLEAR)
    assert error.reason == f"grpc_{code.name.lower()}"
    assert str(error) == (
        f"exporter 'otlp': 127.0.0.1:{backend.port} by gRPC: {code.name}: 'because'."
    )
    assert len(backend.calls) == 1


def test_the_codes_of_the_specification_and_no_others():
    assert {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    } == RETRYABLE


@pytest.mark.parametrize(
    ("code", "seconds", "nanos", "retryable", "delay"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 3, 500_000_000, True, 3.5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 0, 0, True, 0.0),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 10**9, 0, True, 3_600.0),
        (grpc.StatusCode.UNAVAILABLE, 2, 0, True, 2.0),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, 0, False, 2.0),
    ],
)
def test_retry_info_says_when(backend, code, seconds, nanos, retryable, delay):
    backend.answer = abort(code, "full", seconds=seconds, nanos=nanos)
    with exporting(backend.url) as exporter:
        error = refused(exporter)
    assert (error.retryable, error.retry_after) == (retryable, delay)


def until(condition):
    end = soon()
    while not condition():
        assert monotonic() < end
        sleep(0.005)


def held(backend):
    """Have the backend answer when this event is set."""
    free = threading.Event()

    def answer(call, context):
        free.wait(20)
        return b""

    backend.answer = answer
    return free


def test_a_backend_that_never_answers_fails_by_the_deadline(backend):
    free = held(backend)
    with exporting(backend.url) as exporter:
        start = monotonic()
        error = refused(exporter, soon(0.5))
        assert monotonic() - start < 1.0
        free.set()
    assert (error.retryable, error.sent) == (True, True)
    assert error.reason == "grpc_deadline_exceeded"


def test_a_port_that_accepts_and_says_nothing_fails_by_the_deadline():
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, exporting(url) as exporter:
        start = monotonic()
        assert refused(exporter, soon(0.5)).retryable
        assert monotonic() - start < 1.0


def test_a_connection_whose_other_end_is_gone_is_left(backend):
    relay = Relay(backend.port)
    with relay, exporting(f"http://127.0.0.1:{relay.port}") as exporter:
        assert sent(exporter) == Ack(1)
        relay.mode = "never_read"
        assert refused(exporter, soon(0.3)).reason == "grpc_deadline_exceeded"
        relay.mode = "ok"  # for new connections
        assert sent(exporter, deadline=soon(5.0)) == Ack(1)


def test_without_time_nothing_is_sent(backend):
    with exporting(backend.url) as exporter:
        error = refused(exporter, monotonic() - 1)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == (
        f"exporter 'otlp': 127.0.0.1:{backend.port} by gRPC: there was no time left."
    )
    assert not backend.calls


def test_a_backend_that_comes_later_is_found_at_once():
    with Backend() as backend:
        port = backend.port
    with exporting(f"http://127.0.0.1:{port}") as exporter:
        for _ in range(3):
            error = refused(exporter, soon(2.0))
            assert (error.retryable, error.sent) == (True, False)
            assert error.reason == "grpc_unavailable"
        server = grpc.server(futures := backend_pool())
        server.add_generic_rpc_handlers([Answers()])
        assert server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.start()
        try:
            assert sent(exporter, deadline=soon(2.0)) == Ack(1)
        finally:
            server.stop(0).wait()
            futures.shutdown()


def backend_pool():
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(2)


class Answers(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda body, context: b"")


def test_a_close_ends_a_send_on_another_thread(backend):
    free = held(backend)
    errors = []
    with exporting(backend.url) as exporter:
        thread = threading.Thread(target=lambda: errors.append(refused(exporter)))
        thread.start()
        until(lambda: backend.calls)
        start = monotonic()
        exporter.close(soon())
        assert monotonic() - start < 0.5
        thread.join(5)
        free.set()
        assert exporter._transport._channel is None
    (error,) = errors
    assert error.retryable


def test_a_signal_handler_s_exception_reaches_the_host(backend):
    free = held(backend)

    def handler(*_):
        raise LookupError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with exporting(backend.url) as exporter:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(LookupError):
                sent(exporter)
            free.set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_tls_trusts_whom_it_is_told_and_shows_its_certificate(tmp_path):
    known = authority("known")
    ca_file = tmp_path / "ca.pem"
    known.cert_pem.write_to_path(ca_file)
    client = tmp_path / "client.pem"
    known.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(client)
    server = known.issue_cert("127.0.0.1")
    credentials = grpc.ssl_server_credentials(
        [(server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())],
        known.cert_pem.bytes(),
        require_client_auth=True,
    )
    with Backend(credentials) as backend:
        with exporting(backend.url, tls=Tls(str(ca_file), str(client))) as exporter:
            assert sent(exporter) == Ack(1)
        for tls in (Tls(str(ca_file)), None):
            with exporting(backend.url, tls=tls) as exporter:
                assert refused(exporter, soon(2.0)).retryable


def test_a_file_that_is_not_there_fails_and_may_be_tried_again(tmp_path):
    path = tmp_path / "none.pem"
    with exporting("https://127.0.0.1:9", tls=Tls(str(path))) as exporter:
        error = refused(exporter)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == (
        "exporter 'otlp': 127.0.0.1:9 by gRPC: FileNotFoundError: [Errno 2] No such file "
        f"or directory: '{path}'."
    )


FORKS = """
import os, sys, threading
from time import monotonic, sleep
from obs.errors import ExportFailed
from obs.model import Batch, Resource, SpanRecord, TraceContext
from obs_exporters import OTLPExporter

exporter = OTLPExporter(sys.argv[1], protocol="grpc")
span = SpanRecord("x", TraceContext(1, 1), start_ns=1, end_ns=2)
(payload,) = exporter.encode(Batch("traces", Resource({}), records=[span]))

def send(seconds):
    start = monotonic()
    try:
        said = str(exporter.send(payload, start + seconds).accepted)
    except ExportFailed as error:
        said = f"failed, retryable={error.retryable}, sent={error.sent}"
    took = monotonic() - start
    return said if took < seconds + 0.5 else f"late by {took - seconds}: {said}"

def wait(child):
    end = monotonic() + 10
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if monotonic() > end:
            os.kill(child, 9)
        sleep(0.01)

print("parent:", send(5.0), flush=True)
child = os.fork()
if not child:
    print("child:", send(1.0), flush=True)
    exporter.close(monotonic() + 1)
    os._exit(0)
wait(child)
print("parent:", send(5.0), flush=True)
exporter.close(monotonic() + 1)
"""


@pytest.mark.parametrize(
    ("support", "child"),
    [("1", "1"), ("0", "failed, retryable=True, sent=True")],
)
def test_a_forked_child_sends_on_a_channel_of_its_own_or_fails_in_time(
    backend, support, child
):
    done = subprocess.run(
        [sys.executable, "-c", FORKS, backend.url],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": support},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines() == ["parent: 1", f"child: {child}", "parent: 1"]


BUSY = (
    FORKS.partition("print(")[0]
    + """
def busy():
    print("parent:", send(20.0), flush=True)

thread = threading.Thread(target=busy)
thread.start()
sys.stdin.readline()
child = os.fork()
if not child:
    start = monotonic()
    exporter.close(start + 1)
    print("child closed:", monotonic() - start < 0.5, flush=True)
    os._exit(0)
wait(child)
print("waited", flush=True)
thread.join()
exporter.close(monotonic() + 1)
"""
)


@pytest.mark.parametrize("support", ["0", "1"])
def test_a_child_forked_during_a_call_closes_and_leaves_the_call_alone(
    backend, support
):
    free = held(backend)
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, backend.url],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": support},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        until(lambda: backend.calls)
        process.stdin.write("\n")
        process.stdin.flush()
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines == ["child closed: True\n", "waited\n"]
        free.set()
        assert process.communicate(timeout=20)[0] == "parent: 1\n"
    finally:
        process.kill()
        process.communicate()


CLOSES = (
    FORKS.partition("child = os.fork()")[0]
    + """
child = os.fork()
if not child:
    said = []
    thread = threading.Thread(target=lambda: said.append(send(2.0)))
    thread.start()
    while exporter._transport._channel is None and thread.is_alive():
        sleep(0.001)
    start = monotonic()
    exporter.close(start + 1)
    print("closed:", monotonic() - start < 0.5, flush=True)
    thread.join()
    print(*said, flush=True)
    os._exit(0)
wait(child)
"""
)


def test_a_close_in_a_child_whose_send_cannot_end_waits_for_nothing(backend):
    done = subprocess.run(
        [sys.executable, "-c", CLOSES, backend.url],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    *said, sent = done.stdout.splitlines()
    assert said == ["parent: 1", "closed: True"]
    # The call may not have begun when the channel is closed, and what cannot end may
    # also fail at once.
    assert sent.removesuffix("True").removesuffix("False") == (
        "failed, retryable=True, sent="
    )


def test_what_grpc_itself_raises_is_a_failure(backend, monkeypatch):
    def insecure_channel(*_):
        raise RuntimeError("no more threads")

    monkeypatch.setattr(grpc, "insecure_channel", insecure_channel)
    with exporting(backend.url) as exporter, pytest.raises(ExportFailed) as error:
        sent(exporter)
    assert str(error.value) == (
        f"exporter 'otlp': 127.0.0.1:{backend.port} by gRPC: RuntimeError."
    )


def test_a_library_that_does_not_load_is_a_failure(monkeypatch):
    with exporting("http://127.0.0.1:9") as exporter:
        monkeypatch.setitem(sys.modules, "grpc", None)
        error = refused(exporter)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error).startswith(
        "exporter 'otlp': 127.0.0.1:9 by gRPC: ModuleNotFoundError: "
    )
