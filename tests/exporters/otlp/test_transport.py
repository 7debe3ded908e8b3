"""OTLP over HTTP, against a server that misbehaves on command."""

import gzip
import os
from time import monotonic

import pytest

from obs.errors import ExportFailed
from obs.model import Ack
from obs_exporters import OTLPExporter, Tls
from obs_exporters.otlp._envelope import Body
from tests.exporters.otlp.oracle import (
    LOG,
    SPAN,
    batch,
    logs_in,
    number,
    traces_in,
)
from tests.faults.certificates import authority, mutual_context
from tests.faults.modes import answer
from tests.faults.sink import Request, Sink

BATCHES = {
    "traces": batch("traces", [SPAN]),
    "logs": batch("logs", [LOG]),
    "metrics": batch("metrics", families=[number("c", "counter", 1)]),
}


def soon(seconds=10.0):
    return monotonic() + seconds


@pytest.fixture
def made():
    """Make exporters that are closed afterwards."""
    exporters = []

    def make(url, **arguments):
        exporters.append(OTLPExporter(url, **arguments))
        return exporters[-1]

    yield make
    for exporter in exporters:
        exporter.close(soon())


def sent(exporter, signal="traces", deadline=None):
    (payload,) = exporter.encode(BATCHES[signal])
    return exporter.send(payload, deadline or soon())


def refused(exporter, deadline=None):
    with pytest.raises(ExportFailed) as error:
        sent(exporter, deadline=deadline)
    return error.value


@pytest.mark.parametrize("signal", BATCHES)
@pytest.mark.parametrize("path", ["", "/", "/otlp", "/otlp/"])
def test_each_signal_is_posted_to_its_own_path(made, signal, path):
    with Sink() as sink:
        exporter = made(sink.url + path, headers={"X-Tenant": "a"})
        assert sent(exporter, signal) == Ack(1)
        (request,) = sink.requests
    assert request.method == "POST"
    assert request.path == f"{path.rstrip('/')}/v1/{signal}"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-tenant"] == "a"
    assert "content-encoding" not in request.headers
    (payload,) = exporter.encode(BATCHES[signal])
    assert request.body == payload.body


@pytest.mark.parametrize("compression", ["gzip", None])
@pytest.mark.parametrize("size", [1024, 1025])
def test_a_body_over_1_kib_is_packed(made, compression, size):
    with Sink() as sink:
        exporter = made(sink.url, compression=compression)
        (payload,) = exporter.encode(BATCHES["traces"])
        payload = payload._replace(body=Body(b"x" * size, "traces"))
        assert exporter.send(payload, soon()) == Ack(1)
        (request,) = sink.requests
    packed = request.headers.get("content-encoding") == "gzip"
    assert packed == (compression == "gzip" and size > 1024)
    assert request.body == payload.body  # unpacked by the sink
    assert len(gzip.compress(payload.body)) < 100
    assert (int(request.headers["content-length"]) < 100) == packed


def test_headers_may_be_a_function_that_is_asked_each_time(made):
    tokens = iter(["a", "b"])
    with Sink() as sink:
        exporter = made(
            sink.url, headers=lambda: {"Authorization": f"Bearer {next(tokens)}"}
        )
        sent(exporter)
        sent(exporter)
        found = [request.headers["authorization"] for request in sink.requests]
    assert found == ["Bearer a", "Bearer b"]


def test_headers_that_raise_fail_and_may_be_tried_again(made):
    def headers():
        raise KeyError

    error = refused(made("http://127.0.0.1:9", headers=headers))
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == (
        "exporter 'otlp': http://127.0.0.1:9: headers() raised KeyError."
    )


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_these_statuses_may_be_tried_again(made, status):
    with Sink(f"{status}:7") as sink:
        error = refused(made(sink.url))
    assert (error.retryable, error.retry_after) == (True, 7.0)
    assert error.reason == f"http_{status}"
    assert str(error) == (
        f"exporter 'otlp': the backend answered {status}: 'status {status}'."
    )


@pytest.mark.parametrize(
    "status",
    [300, 301, 307, 400, 401, 403, 404, 408, 413, 415, 425, 500, 501, 505, 599],
)
def test_no_other_status_may(made, status):
    with Sink(str(status)) as sink:
        error = refused(made(sink.url))
        assert len(sink.requests) == 1
    assert not error.retryable
    assert error.reason == f"http_{status}"


@pytest.mark.parametrize(
    ("mode", "is_sent"),
    [
        ("refuse", False),
        ("never_read", True),
        ("never_answer", True),
        ("reset_before_answer", True),
        ("garbage", True),
        ("drip_head:1", True),
    ],
)
def test_where_nothing_is_answered_in_time_it_fails_by_the_deadline(
    made, mode, is_sent
):
    with Sink(mode) as sink:
        exporter = made(sink.url)
        start = monotonic()
        error = refused(exporter, soon(0.5))
        assert monotonic() - start < 1.0
    assert (error.retryable, error.sent) == (True, is_sent)


@pytest.mark.parametrize("mode", ["huge:length", "huge:close", "bomb"])
def test_a_huge_answer_is_a_full_success(made, mode):
    with Sink(mode) as sink:
        exporter = made(sink.url)
        assert sent(exporter) == Ack(1)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\x08\x03\x12\x07no span", "no span"),
        (b"\x08\x03", "\\x08\\x03"),
        (b"no span", "no span"),
    ],
)
def test_the_message_of_a_refusal_is_shown(made, body, shown):
    protobuf = ("Content-Type", "application/x-protobuf")
    with Sink(answer(400, body, protobuf)) as sink:
        error = refused(made(sink.url))
    assert str(error) == f"exporter 'otlp': the backend answered 400: '{shown}'."


def test_tls_trusts_whom_it_is_told_and_shows_its_certificate(made, tmp_path):
    client = authority("known").issue_cert("client.test")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    with Sink(tls=mutual_context()) as sink:
        tls = Tls(sink.ca_file, str(tmp_path / "client.pem"))
        assert sent(made(sink.url, tls=tls)) == Ack(1)
        assert refused(made(sink.url, tls=Tls(sink.ca_file))).retryable
        assert refused(made(sink.url)).retryable


def test_a_forked_child_has_a_connection_of_its_own(made):
    with Sink() as sink:
        exporter = made(sink.url)
        assert sent(exporter) == Ack(1)
        child = os.fork()
        if not child:
            status = 1
            try:
                status = 0 if sent(exporter) == Ack(1) else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert sent(exporter) == Ack(1)
        assert [request.connection for request in sink.requests] == [1, 2, 1]


def test_what_arrives_is_what_was_encoded(made):
    bodies = []

    def handler(request: Request):
        bodies.append(request.body)
        return 200, {}, b""

    with Sink(handler=handler) as sink:
        exporter = made(sink.url)
        spans = list(exporter.encode(batch("traces", [SPAN] * 50)))
        logs = list(exporter.encode(batch("logs", [LOG] * 50)))
        for payload in spans + logs:
            assert exporter.send(payload, soon()) == Ack(50)
    arrived = [Body(bodies[0], "traces"), Body(bodies[1], "logs")]
    assert traces_in(spans[0]._replace(body=arrived[0])) == traces_in(spans[0])
    assert logs_in(logs[0]._replace(body=arrived[1])) == logs_in(logs[0])
