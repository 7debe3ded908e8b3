"""Graphite: metrics as plaintext or pickle over TCP, or as plaintext over UDP."""

from obs_exporters.graphite._exporter import GraphiteExporter

__all__ = ["GraphiteExporter"]
