"""The exporter, against a backend that does as it is told."""

import json
import subprocess
import sys
from time import monotonic

import pytest

import obs_exporters
from obs import Obs
from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Delivery, LaneResult
from obs_exporters import ZipkinExporter
from tests.exporters.zipkin.records import batch, read_back, record, whole_trace
from tests.faults.modes import answer
from tests.faults.sink import Sink

GRACE = 0.5


@pytest.fixture
def sink():
    with Sink("202") as sink:
        yield sink


@pytest.fixture
def exporter(sink):
    exporter = ZipkinExporter(f"{sink.url}/api/v2/spans")
    yield exporter
    exporter.close(soon())


def soon(seconds=10.0):
    return monotonic() + seconds


def payload_of(exporter, *records):
    (payload,) = exporter.encode(batch(*records))
    return payload


def test_it_takes_traces_alone_and_wants_to_be_driven_so():
    exporter = ZipkinExporter(interval=3, timeout=4.5, name="z")
    assert exporter.name == "z"
    assert exporter.signals == {"traces"}
    assert exporter.delivery == Delivery(interval=3, timeout=4.5)
    assert ZipkinExporter().delivery == Delivery()
    assert (
        repr(ZipkinExporter()) == "ZipkinExporter('http://127.0.0.1:9411/api/v2/spans')"
    )


def test_a_list_is_posted_as_json(sink, exporter):
    payload = payload_of(exporter, record())
    assert exporter.send(payload, soon()) == Ack(1)
    (request,) = sink.requests
    assert request.method == "POST"
    assert request.path == "/api/v2/spans"
    assert request.headers["content-type"] == "application/json"
    assert "content-encoding" not in request.headers
    assert request.body == payload.body


def test_a_list_over_a_kibibyte_is_gzipped(sink, exporter):
    payload = payload_of(exporter, *whole_trace())
    assert exporter.send(payload, soon()) == Ack(5)
    (request,) = sink.requests
    assert request.headers["content-encoding"] == "gzip"
    assert int(request.headers["content-length"]) < len(payload.body)
    assert len(read_back(request.body)) == 5


def test_a_list_beyond_ascii_is_not_gzipped(sink, exporter):
    payload = payload_of(exporter, record(name="é" * 2_000))
    exporter.send(payload, soon())
    (request,) = sink.requests
    assert "content-encoding" not in request.headers
    assert request.body == payload.body


def test_headers_go_with_each_request(sink):
    tokens = iter(["one", "two"])
    exporter = ZipkinExporter(sink.url, headers=lambda: {"authorization": next(tokens)})
    payload = payload_of(exporter, record())
    exporter.send(payload, soon())
    exporter.send(payload, soon())
    exporter.close(soon())
    seen = [request.headers["authorization"] for request in sink.requests]
    assert seen == ["one", "two"]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_every_success_is_one(sink, exporter, status):
    sink.mode = str(status)
    assert exporter.send(payload_of(exporter, record()), soon()) == Ack(1)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_by_itself_may_be_tried_again(sink, exporter, status):
    sink.mode = f"{status}:7"
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter, record()), soon())
    assert error.value.retryable
    assert error.value.retry_after == 7
    assert error.value.reason == f"http_{status}"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 413, 415, 500, 501])
def test_everything_else_is_a_refusal(sink, exporter, status):
    sink.mode = str(status)
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter, record()), soon())
    assert not error.value.retryable
    assert error.value.reason == f"http_{status}"


def test_the_text_repeats_what_zipkin_says_of_a_list_that_is_too_large(sink, exporter):
    sink.mode = answer(500, b"413 Request Entity Too Large")
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter, record()), soon())
    assert not error.value.retryable
    assert str(error.value) == (
        "exporter 'zipkin': the backend answered 500: '413 Request Entity Too Large'."
    )


def test_a_span_that_is_refused_costs_no_other():
    def refuse_odd(request):
        is_odd = any(span["name"] == "odd" for span in json.loads(request.body))
        return (400, {}, b"odd") if is_odd else (202, {}, b"")

    with Sink(handler=refuse_odd, ids=names) as sink:
        exporter = ZipkinExporter(f"{sink.url}/api/v2/spans")
        with Obs("shop", exporters=[exporter], runtime=False).start() as tel:
            for n in range(20):
                with tel.span("odd" if n == 7 else f"span {n}"):
                    pass
            result = tel.flush(10)
        assert sink.acknowledged() == {f"span {n}": 1 for n in range(20) if n != 7}
    assert result.lanes["zipkin"] == LaneResult(delivered=19, lost=1)


def names(body):
    return [span["name"] for span in json.loads(body)]


def test_where_nobody_listens_it_may_be_tried_again(sink, exporter):
    sink.mode = "refuse"
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload_of(exporter, record()), soon())
    assert error.value.retryable
    assert not error.value.sent


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
def test_a_backend_that_misbehaves_is_left_at_the_deadline(sink, exporter, mode):
    sink.mode = mode
    payload = payload_of(exporter, *whole_trace())
    started = monotonic()
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, soon(0.3))
    assert monotonic() - started < 0.3 + GRACE
    assert error.value.retryable
    assert error.value.sent
    sink.mode = "202"
    assert exporter.send(payload, soon()) == Ack(5)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_host_alone_gets_the_path_of_zipkin(sink, end):
    exporter = ZipkinExporter(f"{sink.url}{end}")
    exporter.send(payload_of(exporter, record()), soon())
    exporter.close(soon())
    assert [request.path for request in sink.requests] == ["/api/v2/spans"]
    assert repr(exporter) == f"ZipkinExporter('{sink.url}/api/v2/spans')"


def test_after_close_a_send_connects_anew_and_a_second_close_does_no_harm(
    sink, exporter
):
    payload = payload_of(exporter, record())
    exporter.send(payload, soon())
    exporter.close(soon())
    exporter.close(soon())
    assert exporter.send(payload, soon()) == Ack(1)
    assert len(sink.requests) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"url": "127.0.0.1:9411"},
            "exporter 'zipkin': url got '127.0.0.1:9411', needs http:// or https://, a "
            "host, and no query or fragment, in ASCII.",
        ),
        (
            {"timeout": 0},
            "exporter 'zipkin': timeout got 0, needs seconds from 0.01 to 86400.",
        ),
        (
            {"interval": "1", "name": "z"},
            "exporter 'z': interval got '1', needs seconds from 0.01 to 86400.",
        ),
        ({"name": ""}, "exporter '': name got '', needs a text."),
        (
            {"headers": {"token": "secret\n"}},
            "exporter 'zipkin': the value of header 'token' needs to be text in latin-1 "
            "without line breaks or other control characters.",
        ),
    ],
)
def test_an_argument_that_breaks_its_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        ZipkinExporter(**arguments)
    assert str(error.value) == text


def test_the_package_gives_it_when_it_is_asked_for():
    assert obs_exporters.ZipkinExporter is ZipkinExporter
    assert "ZipkinExporter" in dir(obs_exporters)


def test_making_one_imports_nothing_that_takes_time():
    code = (
        "import sys, json, obs_exporters; obs_exporters.ZipkinExporter();"
        "print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"ssl", "requests", "opentelemetry", "orjson"}
