"""The contract that every push exporter keeps: kept by combined ones, too."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from obs.testing.contract import ExporterContract, Rig
from obs_exporters import (
    JsonLinesExporter,
    PushgatewayExporter,
    ZipkinExporter,
    filtered,
    renamed,
)
from tests.exporters.prometheus.pushes import as_on_the_page, points_on
from tests.exporters.test_jsonl_contract import arrived
from tests.exporters.zipkin.test_contract import MODES, span_of
from tests.faults.sink import Sink


def prefixed(name):
    return f"kit.{name}"


def with_prefix(point):
    return type(point)(
        prefixed(point.name),
        *(getattr(point, slot) for slot in type(point).__slots__[1:]),
    )


class TestFilteredAndRenamedLines(ExporterContract):
    """All three signals."""

    patience = 0.5

    def make(self):
        folder = TemporaryDirectory()
        path = Path(folder.name) / "lines"

        def build():
            return filtered(renamed(JsonLinesExporter(path), prefixed), keep="*")

        def received():
            lines = path.read_bytes().splitlines() if path.exists() else []
            return [arrived(json.loads(line)) for line in lines]

        return Rig(build, received, close=folder.cleanup, expect=with_prefix)


class TestFilteredTwiceToZipkin(ExporterContract):
    def make(self):
        sink = Sink("202")
        sink.__enter__()

        def build():
            exporter = filtered(ZipkinExporter(sink.url), keep=lambda span: span.end_ns)
            return filtered(exporter, keep=lambda span: span.start_ns is not None)

        def received():
            bodies = [request.body for request in sink.requests]
            return [span_of(span) for body in bodies for span in json.loads(body)]

        def break_backend(mode):
            sink.mode = MODES[mode]

        return Rig(build, received, lambda: sink.__exit__(None), break_backend)


class TestRenamedToAPushgateway(ExporterContract):
    def make(self):
        sink = Sink("200")
        sink.__enter__()

        def build():
            exporter = renamed(PushgatewayExporter(sink.url, job="kit"), prefixed)
            return filtered(exporter, keep=lambda family: family.kind != "exponential")

        def break_backend(mode):
            sink.mode = MODES[mode]

        return Rig(
            build,
            received=lambda: [p for it in sink.requests for p in points_on(it.body)],
            close=lambda: sink.__exit__(None),
            break_backend=break_backend,
            expect=lambda point: as_on_the_page(with_prefix(point)),
        )
