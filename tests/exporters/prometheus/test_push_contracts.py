"""The contract that every push exporter keeps: pages that are pushed or written."""

from pathlib import Path
from tempfile import TemporaryDirectory

from obs.testing.contract import ExporterContract, Rig
from obs_exporters import PushgatewayExporter, TextfileExporter
from tests.exporters.prometheus.pushes import as_on_the_page, points_on
from tests.faults.sink import Sink

MODES = {
    "refuse": "refuse",
    "silent": "never_answer",
    "close": "reset_before_answer",
    "garbage": "garbage",
}


class TestPushgateway(ExporterContract):
    def make(self):
        sink = Sink("200")
        sink.__enter__()

        def break_backend(mode):
            sink.mode = MODES[mode]

        return Rig(
            build=lambda: PushgatewayExporter(sink.url, job="kit"),
            received=lambda: [p for it in sink.requests for p in points_on(it.body)],
            close=lambda: sink.__exit__(None),
            break_backend=break_backend,
            expect=as_on_the_page,
        )


class TestTextfile(ExporterContract):
    patience = 0.5

    def make(self):
        """A folder, of which each state of the file is kept."""
        folder = TemporaryDirectory()
        path = Path(folder.name) / "app.prom"
        arrived = []

        class Kept(TextfileExporter):
            def send(self, payload, deadline):
                ack = super().send(payload, deadline)
                arrived.extend(points_on(path.read_bytes(), without=["service_name"]))
                return ack

        def break_backend(mode):
            if mode != "refuse":
                raise NotImplementedError
            folder.cleanup()

        return Rig(
            build=lambda: Kept(path),
            received=lambda: arrived,
            close=folder.cleanup,
            break_backend=break_backend,
            expect=as_on_the_page,
        )
