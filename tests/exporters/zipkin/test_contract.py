"""The contract that every push exporter keeps."""

import json

from obs.testing.contract import ExporterContract, Rig, Span
from obs_exporters import ZipkinExporter
from tests.faults.sink import Sink

MODES = {
    "refuse": "refuse",
    "silent": "never_answer",
    "close": "reset_before_answer",
    "garbage": "garbage",
}


class TestZipkin(ExporterContract):
    def make(self):
        sink = Sink("202")
        sink.__enter__()

        def received():
            bodies = [request.body for request in sink.requests]
            return [span_of(span) for body in bodies for span in json.loads(body)]

        def break_backend(mode):
            sink.mode = MODES[mode]

        return Rig(
            build=lambda: ZipkinExporter(f"{sink.url}/api/v2/spans"),
            received=received,
            close=lambda: sink.__exit__(None),
            break_backend=break_backend,
        )


def span_of(span):
    return Span(span["traceId"], span["id"], span.get("parentId", ""), span["name"])
