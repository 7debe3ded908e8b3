"""Exporters of obs: one module for each backend, loaded when it is first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs_exporters._combinators import filtered, renamed
    from obs_exporters._http_client import Tls
    from obs_exporters._url import exporter_from_url
    from obs_exporters.console import ConsoleExporter
    from obs_exporters.graphite import GraphiteExporter
    from obs_exporters.influxdb import InfluxDBExporter
    from obs_exporters.jsonl import JsonLinesExporter
    from obs_exporters.otel import OTelExporter
    from obs_exporters.otlp import OTLPExporter
    from obs_exporters.prometheus import PrometheusExporter
    from obs_exporters.prometheus._gateway import PushgatewayExporter
    from obs_exporters.prometheus._textfile import TextfileExporter
    from obs_exporters.statsd import StatsdExporter
    from obs_exporters.syslog import SyslogExporter
    from obs_exporters.zipkin import ZipkinExporter

__all__ = [
    "ConsoleExporter",
    "GraphiteExporter",
    "InfluxDBExporter",
    "JsonLinesExporter",
    "OTLPExporter",
    "OTelExporter",
    "PrometheusExporter",
    "PushgatewayExporter",
    "StatsdExporter",
    "SyslogExporter",
    "TextfileExporter",
    "Tls",
    "ZipkinExporter",
    "exporter_from_url",
    "filtered",
    "renamed",
]

_HOME = {
    "ConsoleExporter": "console",
    "GraphiteExporter": "graphite",
    "InfluxDBExporter": "influxdb",
    "JsonLinesExporter": "jsonl",
    "OTLPExporter": "otlp",
    "OTelExporter": "otel",
    "PrometheusExporter": "prometheus",
    "PushgatewayExporter": "prometheus._gateway",
    "StatsdExporter": "statsd",
    "SyslogExporter": "syslog",
    "TextfileExporter": "prometheus._textfile",
    "Tls": "_http_client",
    "ZipkinExporter": "zipkin",
    "exporter_from_url": "_url",
    "filtered": "_combinators",
    "renamed": "_combinators",
}


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415

    if name not in _HOME:
        text = f"module 'obs_exporters' has no attribute {name!r}"
        raise AttributeError(text)
    value = getattr(import_module(f"obs_exporters.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
