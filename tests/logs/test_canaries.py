"""Secrets sprayed through every public call appear in no output."""

import io

import pytest
from google.protobuf import text_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs import Obs
from obs.logs import Route
from obs.model import Ack
from obs.redact import DEFAULT
from obs.testing import MemoryExporter
from obs_exporters import (
    ConsoleExporter,
    JsonLinesExporter,
    OTelExporter,
    OTLPExporter,
    SyslogExporter,
    ZipkinExporter,
)
from tests.logs.canaries import found_in, spray

SIGNALS = ("logs", "traces")


class Tap:
    """Keeps the text of what an exporter would send."""

    def __init__(self, exporter, read):
        self.name, self.signals = exporter.name, exporter.signals
        self.delivery, self.encode = exporter.delivery, exporter.encode
        self._read = read
        self.found = []

    def send(self, payload, deadline):
        self.found.append(self._read(payload.body))
        return Ack(payload.records)

    def close(self, deadline):
        pass

    def text(self):
        return "\n".join(self.found)


def otlp(body):
    """Read a request, whichever it is."""
    is_logs = body.signal == "logs"
    kind = ExportLogsServiceRequest if is_logs else ExportTraceServiceRequest
    return text_format.MessageToString(kind.FromString(body), as_utf8=True)


class Outputs:
    """All that can leave an instance, as text."""

    def __init__(self, tmp_path, formats):
        self.logs, self.spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
        self.streams = {it: open(tmp_path / it, "wb+", buffering=0) for it in formats}  # noqa: SIM115
        self.console, self.lines = io.StringIO(), io.StringIO()
        self.taps = [
            Tap(OTLPExporter(signals=SIGNALS), otlp),
            Tap(SyslogExporter(), bytes.decode),
            Tap(ZipkinExporter(), bytes.decode),
        ]
        self.memory = MemoryExporter()

    def exporters(self):
        return [
            ConsoleExporter(self.console, signals=SIGNALS),
            JsonLinesExporter(self.lines, signals=SIGNALS),
            OTelExporter(self.spans, logs=self.logs),
            *self.taps,
        ]

    def texts(self):
        for name, stream in self.streams.items():
            stream.seek(0)
            yield name, stream.read().decode()
            stream.close()
        yield "console", self.console.getvalue()
        yield "lines", self.lines.getvalue()
        for tap in self.taps:
            yield tap.name, tap.text()
        records = [it.to_json() for it in self.logs.get_finished_logs()]
        yield "otel logs", "\n".join(records)
        yield (
            "otel spans",
            "\n".join(it.to_json() for it in self.spans.get_finished_spans()),
        )
        yield "memory", "\n".join(map(repr, [*self.memory.logs, *self.memory.spans]))


def sprayed(tmp_path, capfd, formats, redact=DEFAULT, *, memory=True):
    """Spray, and give what was sent and each output's text."""
    outputs = Outputs(tmp_path, formats)
    exporters = outputs.exporters() + [outputs.memory] * memory
    routes = [Route(stream, format=it) for it, stream in outputs.streams.items()]
    tel = Obs(
        "canaries", level="trace", runtime=False, exporters=exporters, routes=routes,
        redact=redact,
    )  # fmt: skip
    sent = []
    with tel.start():
        for canary in spray(tel):
            sent.append(canary)
            if len(sent) % 3 == 0:
                tel.flush(30)
        tel.flush(30)
    return sent, {**dict(outputs.texts()), "stderr": capfd.readouterr().err}


def leaks(sent, texts):
    """Give which secrets stand in which output."""
    found = {output: found_in(text) for output, text in texts.items()}
    return {
        (where, canary.shape, output)
        for where, canary in sent
        for output, numbers in found.items()
        if canary.number in numbers
    }


@pytest.mark.parametrize("formats", [("json",), ("json", "logfmt", "terminal")])
def test_no_secret_appears_in_any_output(tmp_path, capfd, formats):
    sent, texts = sprayed(tmp_path, capfd, formats, memory=len(formats) > 1)
    assert leaks(sent, texts) == set()


def test_without_redaction_each_of_them_gets_there(tmp_path, capfd):
    formats = ("json", "logfmt", "terminal")
    sent, texts = sprayed(tmp_path, capfd, formats, redact=None)
    assert len(sent) > 800
    numbers = {canary.number for _, canary in sent}
    missed = {it: len(numbers - found_in(text)) for it, text in texts.items()}
    some = {it: missed.pop(it) for it in ("syslog", "zipkin", "otel spans", "stderr")}
    assert missed == dict.fromkeys(missed, 0)
    # A datagram is cut; an attribute of a span is shown shorter than a field; what obs says
    # repeats texts alone.
    assert max(some["syslog"], some["zipkin"], some["otel spans"]) < 200
    assert len(sent) - some["stderr"] > 20
