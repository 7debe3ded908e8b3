"""Spans, metrics and logs for any exporter of the OpenTelemetry SDK."""

from obs_exporters.otel._exporter import OTelExporter

__all__ = ["OTelExporter"]
