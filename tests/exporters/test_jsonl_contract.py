"""The contract that every push exporter keeps: lines of a file."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from obs.testing.contract import (
    ExporterContract,
    Histogram,
    Log,
    Number,
    Rig,
    Span,
)
from obs_exporters import JsonLinesExporter


class TestJsonLines(ExporterContract):
    patience = 0.5

    def make(self):
        folder = TemporaryDirectory()
        path = Path(folder.name) / "lines"

        def received():
            lines = path.read_bytes().splitlines() if path.exists() else []
            return [arrived(json.loads(line)) for line in lines]

        return Rig(lambda: JsonLinesExporter(path), received, close=folder.cleanup)


def arrived(line):
    if "event" in line:
        return Log(line["event"], line)
    if line["type"] == "span":  # what is empty is left out
        ids = (line.get(name, "") for name in ("trace_id", "span_id", "parent_id"))
        return Span(*ids, line.get("name", ""))
    if "buckets" in line:
        numbers = (line[name] for name in ("count", "sum", "bounds", "buckets"))
        return Histogram(line["name"], line["labels"], *numbers)
    return Number(line["name"], line["labels"], line["value"])
