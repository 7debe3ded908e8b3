"""StatsD: metrics as lines of text, plain, for DogStatsD or for Telegraf."""

from obs_exporters.statsd._exporter import StatsdExporter

__all__ = ["StatsdExporter"]
