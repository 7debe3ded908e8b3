"""The console: spans as waterfalls, log records as lines, metrics as tables."""

from obs_exporters.console._exporter import ConsoleExporter

__all__ = ["ConsoleExporter"]
