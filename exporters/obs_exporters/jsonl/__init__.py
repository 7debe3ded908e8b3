"""JSON lines: spans, log records and metrics in a file or a stream, a line each."""

from obs_exporters.jsonl._exporter import JsonLinesExporter

__all__ = ["JsonLinesExporter"]
