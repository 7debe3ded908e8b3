"""The exporter, with exporters of the SDK."""

import io
import json
import logging
import subprocess
import sys
from time import monotonic

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk._logs.export import (
    ConsoleLogRecordExporter,
    InMemoryLogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import obs_exporters
from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Delivery, LogRecord, MetricFamily
from obs_exporters import OTelExporter
from tests.exporters.otel.records import AT, TRACE, batch, our_spans, record
from tests.faults.sink import Sink


class Theirs:
    """An exporter of the SDK's form that does as it is told."""

    def __init__(self, result=SpanExportResult.SUCCESS):
        self.result = result
        self.calls = []

    def export(self, batch, **more):
        self.calls.append((batch, more, get_value(_SUPPRESS_INSTRUMENTATION_KEY)))
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def shutdown(self):
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis=0):
        return True


class Patient(Theirs):
    def shutdown(self, timeout_millis=30_000):
        self.calls.append(timeout_millis)


def soon(seconds=10.0):
    return monotonic() + seconds


def spans():
    return batch("traces", *our_spans())


def logs():
    return batch("logs", LogRecord(AT, "info", "hello", "shop", TRACE, 7, {"n": 1}))


def metrics():
    families = [MetricFamily.of("orders", "counter", {("a",): 3}, label_names=("k",))]
    return batch("metrics", families=families, start_ns=AT - 5, time_ns=AT)


def send(exporter, given):
    (payload,) = exporter.encode(given)
    return exporter.send(payload, soon())


def test_it_takes_the_signals_that_it_has_an_exporter_for():
    assert OTelExporter(Theirs()).signals == {"traces"}
    assert OTelExporter(metrics=Theirs(), logs=Theirs()).signals == {"metrics", "logs"}
    exporter = OTelExporter(
        Theirs(), interval=3, timeout=4, temporality="delta", name="o"
    )
    assert exporter.delivery == Delivery(3, 4, temporality="delta")
    assert exporter.name == "o"
    assert OTelExporter(Theirs()).delivery == Delivery()
    assert repr(exporter) == "OTelExporter(Theirs)"


def test_records_reach_the_exporters_in_memory():
    kept_spans, kept_logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
    exporter = OTelExporter(kept_spans, logs=kept_logs)
    assert send(exporter, spans()) == Ack(3)
    assert send(exporter, logs()) == Ack(1)
    names = [span.name for span in kept_spans.get_finished_spans()]
    assert names == ["plain", "whole", "fine"]
    (log,) = kept_logs.get_finished_logs()
    assert log.log_record.body == "hello"


def test_records_reach_the_consoles():
    pages = io.StringIO(), io.StringIO(), io.StringIO()
    exporter = OTelExporter(
        ConsoleSpanExporter(out=pages[0]),
        ConsoleMetricExporter(out=pages[1]),
        ConsoleLogRecordExporter(out=pages[2]),
    )
    for given in (spans(), metrics(), logs()):
        send(exporter, given)
    exporter.close(soon())
    assert '"name": "whole"' in pages[0].getvalue()
    (of_resource,) = json.loads(pages[1].getvalue())["resource_metrics"]
    assert of_resource["scope_metrics"][0]["metrics"][0]["name"] == "orders"
    assert json.loads(pages[2].getvalue())["body"] == "hello"


def test_the_official_exporters_over_http_send_them():
    with Sink() as sink:
        exporter = OTelExporter(
            OTLPSpanExporter(f"{sink.url}/v1/traces"),
            OTLPMetricExporter(f"{sink.url}/v1/metrics"),
            OTLPLogExporter(f"{sink.url}/v1/logs"),
        )
        for given in (spans(), metrics(), logs()):
            send(exporter, given)
        exporter.close(soon())
        found = {request.path: request.body for request in sink.requests}
    traces = ExportTraceServiceRequest.FromString(found["/v1/traces"])
    (of_resource,) = traces.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert [span.name for span in of_scope.spans] == ["plain", "whole", "fine"]
    assert of_scope.spans[1].trace_id == TRACE.to_bytes(16, "big")
    assert of_scope.scope.name == "obs"
    points = ExportMetricsServiceRequest.FromString(found["/v1/metrics"])
    (metric,) = points.resource_metrics[0].scope_metrics[0].metrics
    assert metric.sum.data_points[0].as_int == 3
    records = ExportLogsServiceRequest.FromString(found["/v1/logs"])
    (log,) = records.resource_logs[0].scope_logs[0].log_records
    assert log.body.string_value == "hello"


def test_a_refusal_of_the_backend_is_a_failure(caplog):
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    with Sink("400") as sink:
        exporter = OTelExporter(OTLPSpanExporter(f"{sink.url}/v1/traces"))
        with pytest.raises(ExportFailed) as error:
            send(exporter, spans())
        exporter.close(soon())
    assert str(error.value) == (
        "exporter 'otel': OTLPSpanExporter.export() gave no SUCCESS. It logs the "
        "reason itself."
    )
    assert not error.value.retryable
    assert error.value.sent
    assert error.value.reason == "failure"


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (spans, SpanExportResult.FAILURE),
        (logs, LogRecordExportResult.FAILURE),
        (metrics, MetricExportResult.FAILURE),
        (spans, None),
    ],
)
def test_what_is_no_success_is_not_tried_again(given, result):
    theirs = Theirs(result)
    exporter = OTelExporter(theirs, theirs, theirs)
    with pytest.raises(ExportFailed) as error:
        send(exporter, given())
    assert not error.value.retryable


@pytest.mark.parametrize("raised", [ValueError("secret"), SystemExit(), RuntimeError])
def test_what_they_raise_is_a_failure_that_says_its_type(raised):
    exporter = OTelExporter(Theirs(raised() if isinstance(raised, type) else raised))
    with pytest.raises(ExportFailed) as error:
        send(exporter, spans())
    kind = raised.__name__ if isinstance(raised, type) else type(raised).__name__
    assert str(error.value) == f"exporter 'otel': Theirs.export() raised {kind}."
    assert not error.value.retryable
    assert error.value.sent
    assert error.value.reason == "raised"
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_a_ctrl_c_goes_on_to_the_host():
    class Interrupting(dict):
        def items(self):
            raise KeyboardInterrupt

    class Stopped(Theirs):
        def shutdown(self):
            raise KeyboardInterrupt

    theirs = Stopped(KeyboardInterrupt())
    exporter = OTelExporter(theirs, theirs, theirs)
    odd = Interrupting()
    for given in (
        batch("traces", record(1, attributes=odd)),
        batch("logs", LogRecord(AT, "info", "a", fields=odd)),
    ):
        with pytest.raises(KeyboardInterrupt):
            list(exporter.encode(given))
    with pytest.raises(KeyboardInterrupt):
        send(exporter, spans())
    with pytest.raises(KeyboardInterrupt):
        exporter.close(soon())


def test_metrics_are_told_how_much_time_is_left():
    theirs = Theirs()
    exporter = OTelExporter(theirs, theirs, theirs)
    (payload,) = exporter.encode(metrics())
    exporter.send(payload, soon(5))
    send(exporter, spans())
    send(exporter, logs())
    ((_, more, _), (_, of_spans, _), (_, of_logs, _)) = theirs.calls
    assert 4_000 < more["timeout_millis"] <= 5_000
    assert of_spans == of_logs == {}


def test_they_are_not_instrumented_while_they_export():
    theirs = Theirs()
    send(OTelExporter(theirs), spans())
    assert theirs.calls[0][2] is True
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_past_the_deadline_they_are_not_called():
    theirs = Theirs()
    exporter = OTelExporter(theirs)
    (payload,) = exporter.encode(spans())
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, monotonic() - 1)
    assert str(error.value) == "exporter 'otel': there is no time left."
    assert error.value.retryable
    assert not error.value.sent
    assert theirs.calls == []


def test_what_cannot_be_converted_is_counted():
    theirs = Theirs()
    exporter = OTelExporter(theirs)
    (payload,) = exporter.encode(batch("traces", record(1), None))
    assert (payload.records, payload.dropped) == (1, {"invalid": 1})
    (payload,) = exporter.encode(batch("traces", None))
    assert (payload.records, payload.dropped) == (0, {"invalid": 1})
    assert list(exporter.encode(batch("traces"))) == []
    assert theirs.calls == []


def test_they_are_shut_down_once_and_told_the_time_where_they_ask():
    plain, patient = Theirs(), Patient()
    exporter = OTelExporter(plain, patient)
    exporter.close(soon(5))
    exporter.close(soon(5))
    assert plain.calls == ["shutdown"]
    (millis,) = patient.calls
    assert 4_000 < millis <= 5_000
    (payload,) = exporter.encode(spans())
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, soon())
    assert str(error.value) == "exporter 'otel': it is closed."
    assert not error.value.retryable


def test_what_a_shutdown_raises_keeps_no_other_from_its_own():
    class Broken(Theirs):
        def shutdown(self):
            raise SystemExit

    other = Theirs()
    OTelExporter(Broken(), other).close(soon())
    assert other.calls == ["shutdown"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "exporter 'otel': got no exporter, needs one for spans, metrics or logs."),
        (
            {"spans": 5},
            "exporter 'otel': spans got 5, needs an exporter of the OpenTelemetry SDK, "
            "with export() and shutdown().",
        ),
        (
            {"logs": Theirs},
            "exporter 'otel': logs got <class 'tests.exporters.otel.test_exporter.Theirs'>, "
            "needs an exporter of the OpenTelemetry SDK, with export() and shutdown().",
        ),
        (
            {"spans": Theirs(), "temporality": "both"},
            "exporter 'otel': temporality got 'both', needs 'cumulative' or 'delta'.",
        ),
        (
            {"spans": Theirs(), "interval": 0},
            "exporter 'otel': interval got 0, needs seconds from 0.01 to 86400.",
        ),
        ({"name": 5}, "exporter 5: name got 5, needs a text."),
    ],
)
def test_an_argument_that_breaks_its_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        OTelExporter(**arguments)
    assert str(error.value) == text


def test_without_the_sdk_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "obs_exporters.otel._traces", raising=False)
    with pytest.raises(DefinitionError) as error:
        OTelExporter(Theirs())
    assert str(error.value) == (
        "exporter 'otel': the OpenTelemetry SDK is missing, or too old (import of "
        "opentelemetry.sdk.trace halted; None in sys.modules). Install it: pip install "
        '"obs-sdk[otlp]"'
    )


def test_the_package_gives_it_when_it_is_asked_for():
    assert obs_exporters.OTelExporter is OTelExporter
    assert "OTelExporter" in dir(obs_exporters)
    code = (
        "import sys, obs_exporters; obs_exporters.OTelExporter;"
        "print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
