"""The exporter: arguments, encoding by signal, what becomes of answers."""

import re
import ssl
import subprocess
import sys
from time import monotonic

import pytest

import obs_exporters
from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, Payload, Resource
from obs_exporters import OTLPExporter, Tls
from obs_exporters.otlp._envelope import Body
from tests.exporters.otlp.oracle import (
    LOG,
    RESPONSES,
    SPAN,
    batch,
    logs_in,
    metrics_in,
    number,
    traces_in,
)
from tests.faults.modes import answer
from tests.faults.sink import Sink

URL = "http://127.0.0.1:4318"


def exporter(**arguments):
    return OTLPExporter(URL, **arguments)


def soon():
    return monotonic() + 10


def test_it_is_found_by_its_name():
    assert obs_exporters.OTLPExporter is OTLPExporter
    assert {"OTLPExporter", "Tls"} <= set(dir(obs_exporters))


def test_the_defaults():
    made = exporter()
    assert (made.name, made.signals) == ("otlp", {"metrics", "logs", "traces"})
    assert made.delivery == (10.0, 10.0, 1024 * 1024, "cumulative", True, True, None)
    assert repr(made) == f"OTLPExporter('{URL}', protocol='http/protobuf')"


def test_arguments_reach_the_lane():
    made = exporter(
        protocol="grpc",
        temporality="delta",
        max_bytes=65_536,
        interval=1,
        timeout=2,
        signals="traces",
        name="collector",
    )
    assert (made.name, made.signals) == ("collector", {"traces"})
    assert made.delivery == (1, 2, 65_536, "delta", True, True, None)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_constructing_imports_nothing_heavy_and_opens_nothing(protocol):
    code = (
        "import sys, threading, obs_exporters\n"
        f"obs_exporters.OTLPExporter({URL!r}, protocol={protocol!r})\n"
        "heavy = 'grpc', 'google', 'opentelemetry', 'ssl', 'http.client', 'zlib'\n"
        "print([name for name in heavy if name in sys.modules], threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] 1\n"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"protocol": "http"}, "protocol got 'http', needs 'http/protobuf' or 'grpc'."),
        (
            {"temporality": "lowmemory"},
            "temporality got 'lowmemory', needs 'cumulative' or 'delta'.",
        ),
        ({"compression": "br"}, "compression got 'br', needs 'gzip' or None."),
        ({"compression": False}, "compression got False, needs 'gzip' or None."),
        ({"tls": "ca.pem"}, "tls got 'ca.pem', needs a Tls or an ssl.SSLContext."),
        (
            {"max_bytes": 16_383},
            "max_bytes got 16383, needs an integer from 16384 to 67108864.",
        ),
        (
            {"max_bytes": True},
            "max_bytes got True, needs an integer from 16384 to 67108864.",
        ),
        (
            {"max_bytes": 2**26 + 1},
            "max_bytes got 67108865, needs an integer from 16384 to 67108864.",
        ),
        ({"interval": 0}, "interval got 0, needs seconds from 0.01 to 86400."),
        ({"timeout": "1"}, "timeout got '1', needs seconds from 0.01 to 86400."),
        (
            {"signals": ("spans",)},
            "signals got ('spans',), needs some of metrics, logs, traces.",
        ),
        (
            {"headers": 5},
            "headers got <class 'int'>, needs a mapping of texts.",
        ),
        (
            {"headers": {"a b": "c"}},
            "header 'a b' is no name of a header.",
        ),
        (
            {"protocol": "grpc", "headers": {"key-bin": "x"}},
            "header 'key-bin' is no name of a text in gRPC's metadata.",
        ),
        (
            {"protocol": "grpc", "headers": {"key!": "x"}},
            "header 'key!' is no name of a text in gRPC's metadata.",
        ),
        (
            {"protocol": "grpc", "headers": {"key": "sécret"}},
            "the value of header 'key' needs to be printable ASCII.",
        ),
    ],
    ids=str,
)
def test_an_argument_that_breaks_its_rule_raises(changed, text):
    with pytest.raises(DefinitionError) as error:
        exporter(**changed)
    assert str(error.value) == f"exporter 'otlp': {text}"


@pytest.mark.parametrize(
    ("url", "protocol", "text"),
    [
        (
            "127.0.0.1:4318",
            "http/protobuf",
            "url got '127.0.0.1:4318', needs http:// or https://, a host, and no query "
            "or fragment, in ASCII.",
        ),
        (
            4318,
            "grpc",
            "url got 4318, needs http:// or https://, a host, and no query or fragment, "
            "in ASCII.",
        ),
        (
            "http://u:secret@127.0.0.1:4317",
            "grpc",
            "url has a user, but gRPC takes none. Put the secret into headers=.",
        ),
        (
            "http://127.0.0.1:4317/v1",
            "grpc",
            "url has the path '/v1', but gRPC takes none. Leave it out.",
        ),
    ],
)
def test_an_address_that_is_none_raises(url, protocol, text):
    with pytest.raises(DefinitionError) as error:
        OTLPExporter(url, protocol=protocol)
    assert str(error.value) == f"exporter 'otlp': {text}"


def test_grpc_takes_no_context_of_ssl():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    OTLPExporter("https://127.0.0.1", tls=context)
    with pytest.raises(DefinitionError) as error:
        OTLPExporter("https://127.0.0.1", protocol="grpc", tls=context)
    assert str(error.value) == (
        f"exporter 'otlp': tls got {context!r}, but gRPC needs a Tls with files."
    )
    OTLPExporter("https://127.0.0.1", protocol="grpc", tls=Tls(ca_file="ca.pem"))


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_needs_an_address_with_https(protocol):
    with pytest.raises(DefinitionError) as error:
        exporter(protocol=protocol, tls=Tls())
    assert str(error.value) == (
        "exporter 'otlp': tls got <Tls>, needs a url with https://."
    )


def test_grpc_without_its_library_raises_at_once(monkeypatch):
    from obs_exporters.otlp import _grpc

    monkeypatch.setattr(_grpc, "find_spec", lambda _: None)
    exporter()
    with pytest.raises(DefinitionError) as error:
        exporter(protocol="grpc")
    assert str(error.value) == (
        "exporter 'otlp': protocol='grpc' needs grpcio, which is not installed. Install "
        "'obs-sdk[otlp]', or use protocol='http/protobuf'."
    )


def test_a_secret_in_the_address_is_not_shown():
    made = OTLPExporter("http://user:secret@127.0.0.1:4318")
    assert repr(made) == "OTLPExporter('127.0.0.1:4318', protocol='http/protobuf')"


def test_each_signal_has_its_encoding():
    made = exporter()
    (payload,) = made.encode(batch("traces", [SPAN, None]))
    assert (len(traces_in(payload)), payload.dropped) == (1, {"invalid": 1})
    (payload,) = made.encode(batch("logs", [LOG]))
    assert len(logs_in(payload)) == 1
    payloads = list(made.encode(batch("metrics", families=[number("c", "counter", 1)])))
    assert len(metrics_in(payloads)) == 1


@pytest.mark.parametrize("signal", RESPONSES)
def test_an_empty_batch_is_no_request(signal):
    assert list(exporter().encode(batch(signal))) == []


def test_metrics_are_divided_at_max_bytes_and_their_labels_are_kept():
    made = exporter(max_bytes=16_384)
    values = {(f"label {i:04}",): i for i in range(1_000)}
    family = number("c", "counter", values, label_names=("l",))
    first = list(made.encode(batch("metrics", families=[family])))
    assert len(first) > 1
    assert all(len(payload.body) <= 16_384 for payload in first)
    (kept,) = made._prefixes._kept.values()
    again = list(made.encode(batch("metrics", families=[family])))
    assert again == first
    assert next(iter(made._prefixes._kept.values()))[1] is kept[1]


def test_another_resource_is_another_request():
    made = exporter()
    for name in ("a", "b"):
        (payload,) = made.encode(
            Batch("traces", Resource({"service.name": name}), records=[SPAN])
        )
        assert b"service.name\x12\x03\x0a\x01" + name.encode() in payload.body


def partial(signal, rejected, message):
    kind, field = RESPONSES[signal]
    found = kind()
    setattr(found.partial_success, field, rejected)
    found.partial_success.error_message = message
    return found.SerializeToString()


@pytest.mark.parametrize("signal", RESPONSES)
@pytest.mark.parametrize(
    ("rejected", "ack"),
    [
        (0, Ack(5)),
        (2, Ack(3, {"partial_success": 2})),
        (5, Ack(0, {"partial_success": 5})),
        (9, Ack(0, {"partial_success": 5})),
        (-1, Ack(5)),
    ],
)
def test_a_partial_success_is_counted(signal, rejected, ack):
    with Sink(answer(200, partial(signal, rejected, ""))) as sink:
        made = OTLPExporter(sink.url)
        assert made.send(Payload(Body(b"x", signal), 5), soon()) == ack
        made.close(soon())


@pytest.mark.parametrize(
    ("rejected", "text"),
    [
        (2, "exporter 'otlp': the backend refused 2 of 5 records: 'too old'."),
        (0, "exporter 'otlp': the backend refused 0 of 5 records: 'too old'."),
    ],
)
def test_what_a_partial_success_says_goes_to_stderr_once_a_minute(
    rejected, text, capfd
):
    with Sink(answer(200, partial("traces", rejected, "too old"))) as sink:
        made = OTLPExporter(sink.url)
        list(made.encode(batch("traces", [SPAN])))
        for _ in range(3):
            made.send(Payload(Body(b"x", "traces"), 5), soon())
        made.close(soon())
    (line,) = capfd.readouterr().err.splitlines()
    assert f'"event":"{text}"' in line
    assert '"service":"shop"' in line
    assert '"reason":"partial_success"' in line


@pytest.mark.parametrize(
    "mode", ["ok", "drip_body:0", "interim:2", answer(204), answer(202, b"accepted")]
)
def test_what_cannot_be_read_is_a_full_success(mode):
    with Sink(mode) as sink:
        made = OTLPExporter(sink.url)
        assert made.send(Payload(Body(b"x", "logs"), 5), soon()) == Ack(5)
        made.close(soon())


@pytest.mark.parametrize("end", ["/v1/traces", "/base/v1/metrics/"])
def test_the_address_is_the_base(end):
    with pytest.raises(DefinitionError) as error:
        OTLPExporter(f"http://u:secret@c:4318{end}")
    assert str(error.value) == (
        f"exporter 'otlp': url got 'c:4318{end}', needs the base address: /v1/traces and "
        "so on is added to it."
    )


def test_close_may_come_twice_and_a_send_after_it_connects_anew():
    with Sink() as sink:
        made = OTLPExporter(sink.url)
        for _ in range(2):
            assert made.send(Payload(Body(b"x", "logs"), 5), soon()) == Ack(5)
            made.close(soon())
            made.close(soon())
        assert len(sink.requests) == sink.connections == 2


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://[::1]:4317", "[::1]:4317"),
        ("http://collector", "collector:80"),
        ("https://collector.test/", "collector.test:443"),
    ],
)
def test_grpc_has_a_host_and_a_port(url, target):
    made = OTLPExporter(url, protocol="grpc")
    made.close(soon())
    with pytest.raises(ExportFailed, match=re.escape(f" {target} by gRPC: ")):
        made.send(Payload(Body(b"x", "logs"), 1), soon())
