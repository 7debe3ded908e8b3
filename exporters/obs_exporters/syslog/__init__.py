"""Syslog: log records as RFC 5424 has them, over UDP, TCP, TLS or a Unix socket."""

from obs_exporters.syslog._exporter import SyslogExporter

__all__ = ["SyslogExporter"]
