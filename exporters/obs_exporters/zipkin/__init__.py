"""Spans for Zipkin, as v2 JSON over HTTP."""

from obs_exporters.zipkin._exporter import ZipkinExporter

__all__ = ["ZipkinExporter"]
