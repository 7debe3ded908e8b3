"""Through the user's own InfluxDBClient."""

import os
from time import monotonic

import pytest
from influxdb_client import InfluxDBClient
from urllib3 import Retry

from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, MetricFamily, Resource
from obs_exporters import InfluxDBExporter
from tests.faults.certificates import authority
from tests.faults.modes import answer
from tests.faults.sink import Sink

GRACE = 0.5


@pytest.fixture
def sink():
    with Sink("204") as sink:
        yield sink


@pytest.fixture
def client(sink):
    with InfluxDBClient(sink.url, "s3cret", org="theirs") as client:
        yield client


@pytest.fixture
def exporter(client):
    exporter = InfluxDBExporter(client=client, bucket="b & c")
    yield exporter
    exporter.close(soon())


def soon(seconds=10.0):
    return monotonic() + seconds


def payload_of(exporter, n=1):
    rows = {(f"{i:050}",): i for i in range(n)}
    family = MetricFamily.of("m", "gauge", rows, label_names=("k",))
    batch = Batch("metrics", Resource({}), families=[family], time_ns=1)
    (payload,) = exporter.encode(batch)
    return payload


def failure_of(exporter, seconds=10.0):
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter), soon(seconds))
    return error.value


def test_a_body_goes_to_a_bucket(sink, exporter):
    payload = payload_of(exporter)
    assert exporter.send(payload, soon()) == Ack(1)
    (request,) = sink.requests
    assert request.method == "POST"
    assert request.path == "/api/v2/write?org=theirs&bucket=b+%26+c&precision=ns"
    assert request.headers["authorization"] == "Token s3cret"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["user-agent"].startswith("influxdb-client-python/")
    assert "content-encoding" not in request.headers
    assert request.body == payload.body


def test_an_org_of_ones_own_goes_before_that_of_the_client(sink, client):
    exporter = InfluxDBExporter(client=client, bucket="b", org="mine")
    exporter.send(payload_of(exporter), soon())
    exporter.close(soon())
    assert sink.requests[0].path == "/api/v2/write?org=mine&bucket=b&precision=ns"


def test_a_client_without_an_org_names_none(sink):
    with InfluxDBClient(sink.url, "t") as client:
        exporter = InfluxDBExporter(client=client, bucket="b")
        exporter.send(payload_of(exporter), soon())
        exporter.close(soon())
    assert sink.requests[0].path == "/api/v2/write?org=&bucket=b&precision=ns"


def test_a_body_goes_to_a_database(sink):
    with InfluxDBClient(sink.url, "me:s3cret", auth_basic=True) as client:
        exporter = InfluxDBExporter(client=client, database="d", retention_policy="r")
        payload = payload_of(exporter, 100)
        assert exporter.send(payload, soon()) == Ack(100)
        exporter.close(soon())
    (request,) = sink.requests
    assert request.path == "/write?db=d&rp=r&precision=ns"
    assert request.headers["authorization"] == "Basic bWU6czNjcmV0"
    assert request.headers["content-type"] == "text/plain; charset=utf-8"
    assert request.headers["content-encoding"] == "gzip"
    assert request.body == payload.body


@pytest.mark.parametrize("enable_gzip", [False, True])
@pytest.mark.parametrize("target", ["bucket", "database"])
def test_a_body_over_a_kibibyte_is_packed_once(sink, enable_gzip, target):
    with InfluxDBClient(sink.url, "t", enable_gzip=enable_gzip) as client:
        exporter = InfluxDBExporter(client=client, **{target: "x"})
        payload = payload_of(exporter, 100)
        assert exporter.send(payload, soon()) == Ack(100)
        exporter.close(soon())
    (request,) = sink.requests
    assert request.headers["content-encoding"] == "gzip"
    assert int(request.headers["content-length"]) < len(payload.body) / 3
    assert request.body == payload.body


def test_headers_of_the_client_are_kept(sink, client):
    client.api_client.set_default_header("x-tenant", "shop")
    exporter = InfluxDBExporter(client=client, bucket="b")
    exporter.send(payload_of(exporter), soon())
    exporter.close(soon())
    assert sink.requests[0].headers["x-tenant"] == "shop"


def test_bodies_share_a_connection_until_it_is_closed(sink, exporter):
    for _ in range(3):
        exporter.send(payload_of(exporter), soon())
    assert sink.connections == 1
    exporter.close(soon())
    exporter.close(soon())
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)
    assert sink.connections == 2


@pytest.mark.parametrize("mode", ["200", "huge:length", "huge:chunked"])
def test_of_a_success_no_word_is_read(sink, exporter, mode):
    sink.mode = mode
    for _ in range(2):
        assert exporter.send(payload_of(exporter), soon()) == Ack(1)


def test_the_client_stays_the_users(sink, client, exporter):
    exporter.send(payload_of(exporter), soon())
    assert client.ping()
    exporter.close(soon())
    assert client.ping()
    client.close()
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)
    with pytest.raises(DefinitionError) as error:
        InfluxDBExporter(client=client, bucket="b")
    assert str(error.value) == (
        "exporter 'influxdb': client got <class "
        "'influxdb_client.client.influxdb_client.InfluxDBClient'>, needs an "
        "influxdb_client.InfluxDBClient that is not closed."
    )


def test_a_refusal_reads_as_it_does_otherwise(sink, exporter):
    sink.mode = answer(401, b"no s3cret", ("Retry-After", "7"))
    error = failure_of(exporter)
    assert (error.retryable, error.sent, error.reason) == (False, False, "http_401")
    assert error.retry_after == 7
    assert str(error) == (
        "exporter 'influxdb': the backend answered 401: 'no ***'. Check the client's "
        "token."
    )
    sink.mode = answer(422, b"partial write: dropped=1")
    assert exporter.send(payload_of(exporter, 3), soon()) == Ack(
        2, {"partial_write": 1}
    )


def test_a_session_is_begun_by_the_library_and_not_ended_by_close():
    def handler(request):
        is_sign_in = request.path.startswith("/api/v2/signin")
        return 204, {"set-cookie": "session=1"} if is_sign_in else {}, b""

    with Sink(handler=handler) as sink:
        with InfluxDBClient(sink.url, username="me", password="s3cret") as client:
            exporter = InfluxDBExporter(client=client, bucket="b")
            exporter.send(payload_of(exporter), soon())
            exporter.close(soon())
        paths = [request.path.partition("?")[0] for request in sink.requests]
        assert paths == ["/api/v2/signin", "/api/v2/write"]
        assert sink.requests[1].headers["cookie"] == "session=1"


def test_the_retries_of_the_client_are_off(sink):
    retries = Retry(5, status_forcelist=[503], allowed_methods=None)
    with InfluxDBClient(sink.url, "t", retries=retries) as client:
        exporter = InfluxDBExporter(client=client, bucket="b")
        sink.mode = "503:3"
        error = failure_of(exporter)
        assert (error.retryable, error.retry_after) == (True, 3)
        assert len(sink.requests) == 1
        sink.mode = "307"
        assert failure_of(exporter).reason == "http_307"
        assert len(sink.requests) == 2
        sink.mode = "refuse"
        started = monotonic()
        error = failure_of(exporter)
        assert (error.retryable, error.sent) == (True, False)
        assert monotonic() - started < GRACE
        assert str(error).startswith(
            f"exporter 'influxdb': {sink.url}: NewConnectionError: "
        )
        exporter.close(soon())


@pytest.mark.parametrize(
    "mode", ["never_read", "never_answer", "reset_before_answer", "garbage"]
)
def test_a_server_that_says_nothing_is_left_at_the_deadline(sink, exporter, mode):
    sink.mode = mode
    started = monotonic()
    error = failure_of(exporter, seconds=0.3)
    assert monotonic() - started < 0.3 + GRACE
    assert (error.retryable, error.sent) == (True, True)
    sink.mode = "204"
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)


def test_nothing_is_sent_past_the_deadline(sink, exporter):
    error = failure_of(exporter, seconds=-1)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == f"exporter 'influxdb': {sink.url}: out of time."
    assert not sink.requests


def test_certificates_are_those_of_the_client(tmp_path):
    with Sink("204", tls="good") as sink:
        with InfluxDBClient(sink.url, "t", ssl_ca_cert=sink.ca_file) as client:
            exporter = InfluxDBExporter(client=client, bucket="b")
            assert exporter.send(payload_of(exporter), soon()) == Ack(1)
            exporter.close(soon())
        other = tmp_path / "ca.pem"
        authority("unknown").cert_pem.write_to_path(str(other))
        with InfluxDBClient(sink.url, "t", ssl_ca_cert=str(other)) as client:
            exporter = InfluxDBExporter(client=client, bucket="b")
            error = failure_of(exporter)
            exporter.close(soon())
    assert error.retryable
    assert "certificate verify failed" in str(error)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(sink, exporter):
    exporter.send(payload_of(exporter), soon())
    child = os.fork()
    if child == 0:
        try:
            os._exit(exporter.send(payload_of(exporter), soon()) != Ack(1))
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sink.connections == 2
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)
    assert sink.connections == 2


def test_nothing_shows_a_secret(sink):
    url = sink.url.replace("//", "//me:s3cret@")
    with InfluxDBClient(url, "s3cret") as client:
        exporter = InfluxDBExporter(client=client, bucket="b")
        assert repr(exporter) == f"InfluxDBExporter({sink.url!r}, bucket='b')"
        exporter.close(soon())


class Stranger:
    api_client = "something"


@pytest.mark.parametrize("stranger", [5, Stranger()])
def test_what_is_no_client_of_theirs_is_refused(stranger):
    with pytest.raises(DefinitionError) as error:
        InfluxDBExporter(client=stranger, bucket="b")
    assert str(error.value) == (
        f"exporter 'influxdb': client got {type(stranger)!r}, needs an "
        "influxdb_client.InfluxDBClient that is not closed."
    )
