"""The exporter, against a server that does as it is told."""

import json
import subprocess
import sys
from time import monotonic

import pytest

import obs_exporters
from obs import Obs
from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, Delivery, LaneResult, MetricFamily, Resource
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.reader import read
from tests.faults.modes import answer
from tests.faults.sink import Sink

GRACE = 0.5
CONFLICT = b'{"message":"partial write: field type conflict: no dropped=%d"}'


@pytest.fixture
def sink():
    with Sink("204") as sink:
        yield sink


@pytest.fixture
def exporter(sink):
    exporter = InfluxDBExporter(sink.url, bucket="b", org="o", token="s3cret")
    yield exporter
    exporter.close(soon())


def soon(seconds=10.0):
    return monotonic() + seconds


def payload_of(exporter, n=1, **more):
    """Give a payload of n points, 80 bytes or so each."""
    rows = {(f"{i:050}",): i for i in range(n)}
    family = MetricFamily.of("m", "gauge", rows, label_names=("k",))
    batch = Batch(
        "metrics", Resource({"service.name": "shop"}), families=[family], time_ns=1
    )
    (payload,) = exporter.encode(batch._replace(**more))
    return payload


def failure_of(exporter, n=1, seconds=10.0):
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter, n), soon(seconds))
    return error.value


def test_it_takes_metrics_alone_and_wants_to_be_driven_so():
    exporter = InfluxDBExporter(
        bucket="b", interval=3, timeout=4.5, name="i", max_bytes=20_000
    )
    assert exporter.name == "i"
    assert exporter.signals == {"metrics"}
    assert exporter.delivery == Delivery(interval=3, timeout=4.5, max_bytes=20_000)
    assert InfluxDBExporter(bucket="b").delivery == Delivery()
    delta = InfluxDBExporter(bucket="b", temporality="delta")
    assert delta.delivery == Delivery(temporality="delta")


def test_a_body_is_posted_to_a_bucket(sink, exporter):
    payload = payload_of(exporter)
    assert exporter.send(payload, soon()) == Ack(1)
    (request,) = sink.requests
    assert request.method == "POST"
    assert request.path == "/api/v2/write?org=o&bucket=b&precision=ns"
    assert request.headers["authorization"] == "Token s3cret"
    assert request.headers["content-type"] == "text/plain; charset=utf-8"
    assert "content-encoding" not in request.headers
    assert request.body == payload.body
    (line,) = read(request.body)
    assert line.tags == {"k": "0" * 50, "service.name": "shop"}


def test_a_body_is_posted_to_a_database(sink):
    exporter = InfluxDBExporter(
        f"{sink.url}/base/",
        database="d &",
        retention_policy="r",
        username="me",
        password="s3cret",
    )
    exporter.send(payload_of(exporter), soon())
    exporter.close(soon())
    (request,) = sink.requests
    assert request.path == "/base/write?db=d+%26&rp=r&precision=ns"
    assert request.headers["authorization"] == "Basic bWU6czNjcmV0"


def test_a_user_may_stand_in_the_url(sink):
    url = sink.url.replace("//", "//me:s%33cret@")
    exporter = InfluxDBExporter(url, database="d")
    exporter.send(payload_of(exporter), soon())
    exporter.close(soon())
    assert sink.requests[0].headers["authorization"] == "Basic bWU6czNjcmV0"
    assert repr(exporter) == f"InfluxDBExporter({sink.url!r}, database='d')"


def test_a_body_over_a_kibibyte_is_gzipped(sink, exporter):
    payload = payload_of(exporter, 100)
    assert exporter.send(payload, soon()) == Ack(100)
    (request,) = sink.requests
    assert request.headers["content-encoding"] == "gzip"
    assert int(request.headers["content-length"]) < len(payload.body) / 3
    assert request.body == payload.body


def test_tags_of_the_resource_are_of_ones_choice(sink):
    resource = Resource(
        {
            "service.name": "shop",
            "service.version": "1",
            "service.instance.id": "x-1",
            "deployment.environment.name": "prod",
            "host.name": "web-1",
            "process.pid": "42",
        }
    )
    usual = InfluxDBExporter(bucket="b")
    (line,) = read(payload_of(usual, resource=resource).body)
    assert list(line.tags) == [
        "deployment.environment.name",
        "host.name",
        "k",
        "service.instance.id",
        "service.name",
        "service.version",
    ]
    chosen = InfluxDBExporter(bucket="b", resource_tags=["process.pid", "other"])
    (line,) = read(payload_of(chosen, resource=resource).body)
    assert line.tags == {"k": "0" * 50, "process.pid": "42"}
    none = InfluxDBExporter(bucket="b", resource_tags=())
    (line,) = read(payload_of(none, resource=resource).body)
    assert line.tags == {"k": "0" * 50}


@pytest.mark.parametrize("status", [200, 202, 204])
def test_every_success_is_one(sink, exporter, status):
    sink.mode = str(status)
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_by_itself_may_be_tried_again(sink, exporter, status):
    sink.mode = f"{status}:7"
    error = failure_of(exporter)
    assert (error.retryable, error.retry_after) == (True, 7)
    assert error.reason == f"http_{status}"


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 413, 422, 501])
def test_everything_else_is_a_refusal(sink, exporter, status):
    sink.mode = str(status)
    error = failure_of(exporter)
    assert (error.retryable, error.sent) == (False, False)
    assert error.reason == f"http_{status}"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            401,
            "exporter 'influxdb': the backend answered 401: 'wrong: ***'. Check token=.",
        ),
        (
            403,
            "exporter 'influxdb': the backend answered 403: 'wrong: ***'. Check that who "
            "writes may write to bucket='b', org='o'.",
        ),
        (
            404,
            "exporter 'influxdb': the backend answered 404: 'wrong: ***'. Check the url, "
            "and that there is bucket='b', org='o'; before 1.8, give database= instead.",
        ),
        (400, "exporter 'influxdb': the backend answered 400: 'wrong: ***'."),
    ],
)
def test_the_text_says_what_to_look_at_and_no_secret(sink, exporter, status, text):
    sink.mode = answer(status, b"wrong: s3cret")
    assert str(failure_of(exporter)) == text


def test_points_that_are_refused_beside_others_are_counted(sink, exporter, capfd):
    sink.mode = answer(422, CONFLICT % 2)
    assert exporter.send(payload_of(exporter, 5), soon()) == Ack(
        3, {"partial_write": 2}
    )
    assert exporter.send(payload_of(exporter, 5), soon()) == Ack(
        3, {"partial_write": 2}
    )
    sink.mode = answer(400, CONFLICT % 99)
    assert exporter.send(payload_of(exporter, 5), soon()) == Ack(
        0, {"partial_write": 5}
    )
    assert said(capfd) == [  # once a minute
        "exporter 'influxdb': the server refused 2 of 5 points: "
        '\'{"message":"partial write: field type conflict: no dropped=2"}\'.'
    ]


def said(capfd):
    """Give what went to stderr."""
    lines = capfd.readouterr().err.splitlines()
    return [json.loads(line)["event"] for line in lines]


def at_most(size):
    """Refuse what is larger, as a proxy does before it has unpacked it."""
    return lambda request: (413 if len(request.body) > size else 204, {}, b"")


def test_a_body_that_is_too_large_goes_in_halves(capfd):
    with Sink(handler=at_most(20_000)) as sink:
        exporter = InfluxDBExporter(sink.url, bucket="b")
        payload = payload_of(exporter, 1_000)
        assert exporter.send(payload, soon()) == Ack(1_000)
        exporter.close(soon())
        requests = list(sink.requests)
    taken = [line for it in requests if it.status == 204 for line in read(it.body)]
    assert taken == read(payload.body)
    assert [it.status for it in requests].count(413) == 7
    assert said(capfd) == [
        f"exporter 'influxdb': {len(payload.body)} bytes are too large for the server "
        "(413), and go in halves. Lower max_bytes=."
    ]


def test_16_kib_are_not_divided_again():
    with Sink(handler=at_most(0)) as sink:
        exporter = InfluxDBExporter(sink.url, bucket="b")
        error = failure_of(exporter, 1_000)
        exporter.close(soon())
        assert len(sink.requests) == 4  # 83 KB, 42, 21, 10
    assert (error.retryable, error.sent, error.reason) == (False, False, "http_413")


def test_a_single_line_is_not_divided(sink, exporter):
    sink.mode = "413"
    assert failure_of(exporter).reason == "http_413"
    assert len(sink.requests) == 1


def halves(*statuses):
    """Refuse the whole, and answer its halves like this."""
    left = [413, *statuses]
    return Sink(handler=lambda _: (left.pop(0), {}, b"no"))


def test_a_half_that_is_refused_costs_not_the_other(capfd):
    with halves(204, 400) as sink:
        exporter = InfluxDBExporter(sink.url, bucket="b")
        ack = exporter.send(payload_of(exporter, 301), soon())
        exporter.close(soon())
    assert ack == Ack(152, {"http_400": 149})
    assert said(capfd)[1:] == ["exporter 'influxdb': the backend answered 400: 'no'."]


@pytest.mark.parametrize(
    ("temporality", "again"), [("cumulative", True), ("delta", False)]
)
def test_a_half_that_fails_leaves_the_other_there(temporality, again):
    with halves(204, 503) as sink:
        exporter = InfluxDBExporter(sink.url, bucket="b", temporality=temporality)
        error = failure_of(exporter, 301)
        exporter.close(soon())
    assert (error.retryable, error.sent) == (again, True)


@pytest.mark.parametrize(
    ("mode", "retryable", "sent"),
    [
        ("503", True, False),
        ("429:5", True, False),
        ("refuse", True, False),
        ("500", False, True),
        ("504", False, True),
        ("reset_before_answer", False, True),
        ("never_answer", False, True),
        ("400", False, False),
    ],
)
def test_a_delta_that_may_have_arrived_is_not_sent_again(sink, mode, retryable, sent):
    sink.mode = mode
    exporter = InfluxDBExporter(sink.url, bucket="b", temporality="delta")
    error = failure_of(exporter, seconds=0.3)
    exporter.close(soon())
    assert (error.retryable, error.sent) == (retryable, sent)


@pytest.mark.parametrize(
    "mode",
    [
        "never_read",
        "never_answer",
        "reset_mid_request",
        "reset_before_answer",
        "drip_head",
        "garbage",
    ],
)
def test_a_server_that_misbehaves_is_left_at_the_deadline(sink, exporter, mode):
    sink.mode = mode
    started = monotonic()
    error = failure_of(exporter, 50, seconds=0.3)
    assert monotonic() - started < 0.3 + GRACE
    assert (error.retryable, error.sent) == (True, True)
    sink.mode = "204"
    assert exporter.send(payload_of(exporter, 50), soon()) == Ack(50)


def test_where_nobody_listens_it_may_be_tried_again(sink, exporter):
    sink.mode = "refuse"
    error = failure_of(exporter)
    assert (error.retryable, error.sent) == (True, False)
    assert str(error) == (
        f"exporter 'influxdb': {sink.url}: connecting: Connection refused."
    )


def test_after_close_a_send_connects_anew_and_a_second_close_does_no_harm(
    sink, exporter
):
    exporter.send(payload_of(exporter), soon())
    exporter.close(soon())
    exporter.close(soon())
    assert exporter.send(payload_of(exporter), soon()) == Ack(1)
    assert sink.connections == 2


def test_an_instance_pushes_its_metrics(sink):
    exporter = InfluxDBExporter(sink.url, bucket="b")
    with Obs("shop", exporters=[exporter], runtime=False).start() as tel:
        tel.counter("orders", labels=("channel",)).labels("web").inc(2)
        assert tel.flush(10).lanes["influxdb"] == LaneResult(delivered=1)
    lines = [line for it in sink.requests for line in read(it.body)]
    last = [line for line in lines if line.measurement == "orders"][-1]
    assert last.fields == {"value": 2.0}
    assert last.tags["channel"] == "web"
    assert last.tags["service.name"] == "shop"
    assert last.tags["service.instance.id"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"url": "127.0.0.1:8086"},
            "exporter 'influxdb': url got '127.0.0.1:8086', needs http:// or https://, a "
            "host, and no query or fragment, in ASCII.",
        ),
        (
            {"url": 5},
            "exporter 'influxdb': url got 5, needs http:// or https://, a host, and no "
            "query or fragment, in ASCII.",
        ),
        (
            {"timeout": 0},
            "exporter 'influxdb': timeout got 0, needs seconds from 0.01 to 86400.",
        ),
        ({"name": ""}, "exporter '': name got '', needs a text."),
        (
            {"temporality": "totals"},
            "exporter 'influxdb': temporality got 'totals', needs 'cumulative' or 'delta'.",
        ),
        (
            {"max_bytes": 100},
            "exporter 'influxdb': max_bytes got 100, needs an integer from 16384 to "
            "16777216.",
        ),
        (
            {"resource_tags": "host.name"},
            "exporter 'influxdb': resource_tags got 'host.name', needs names of "
            "attributes, as ('host.name',).",
        ),
        (
            {"resource_tags": ["host.name", ""]},
            "exporter 'influxdb': resource_tags got ['host.name', ''], needs names of "
            "attributes, as ('host.name',).",
        ),
        (
            {"resource_tags": 5},
            "exporter 'influxdb': resource_tags got 5, needs names of attributes, as "
            "('host.name',).",
        ),
        (
            {"tls": object, "url": "https://h"},
            "exporter 'influxdb': tls got <class 'object'>, needs a Tls or an "
            "ssl.SSLContext.",
        ),
        (
            {"token": "s3 cret"},
            "exporter 'influxdb': token got ***, needs visible ASCII.",
        ),
        (
            {"client": "http://me:s3cret@h"},
            "exporter 'influxdb': client got <class 'str'>, needs an "
            "influxdb_client.InfluxDBClient that is not closed.",
        ),
        (
            {"client": object(), "token": "s3cret", "url": "http://h", "tls": 5},
            "exporter 'influxdb': got client= and url=, token=, tls=, but the client says "
            "where to and as whom. Leave out one or the other.",
        ),
    ],
)
def test_an_argument_that_breaks_its_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        InfluxDBExporter(**{"bucket": "b", **arguments})
    assert str(error.value) == text


def test_nothing_shows_a_secret():
    exporter = InfluxDBExporter("http://h:1", bucket="b", org="o", token="s3cret")
    assert repr(exporter) == "InfluxDBExporter('http://h:1', bucket='b', org='o')"
    assert "s3cret" not in repr(vars(exporter)["_transport"])


def test_the_package_gives_it_when_it_is_asked_for():
    assert obs_exporters.InfluxDBExporter is InfluxDBExporter
    assert "InfluxDBExporter" in dir(obs_exporters)


def test_making_one_imports_nothing_that_takes_time():
    code = (
        "import sys, json, obs_exporters; obs_exporters.InfluxDBExporter(bucket='b');"
        "print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"ssl", "influxdb_client", "urllib3", "orjson"}
