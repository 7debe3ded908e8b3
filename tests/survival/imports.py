"""What lanes import, found in a process that has imported little else."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import obs_exporters
from obs import NULL, Obs


def by_client(where: str) -> Any:
    from influxdb_client import InfluxDBClient

    return obs_exporters.InfluxDBExporter(client=InfluxDBClient(where, "t"), bucket="b")


EXPORTERS: dict[str, Callable[[str], Any]] = {
    "otlp": lambda where: obs_exporters.OTLPExporter(where),
    "grpc": lambda where: obs_exporters.OTLPExporter(where, protocol="grpc"),
    "influxdb": lambda where: obs_exporters.InfluxDBExporter(where, bucket="b"),
    "influxdb client": by_client,
    "zipkin": lambda where: obs_exporters.ZipkinExporter(where),
    "graphite": lambda where: obs_exporters.GraphiteExporter(where),
    "pickle": lambda where: obs_exporters.GraphiteExporter(where, protocol="pickle"),
    "jsonl": lambda where: obs_exporters.JsonLinesExporter(
        f"{where}/lines", rotate_bytes=1024
    ),
    "statsd": lambda where: obs_exporters.StatsdExporter(where),
    "syslog": lambda where: obs_exporters.SyslogExporter(where),
    "syslog-tls": lambda where: obs_exporters.SyslogExporter(where, protocol="tls"),
    "pushgateway": lambda where: obs_exporters.PushgatewayExporter(where, job="a"),
    "textfile": lambda where: obs_exporters.TextfileExporter(f"{where}/a.prom"),
    "filtered": lambda where: obs_exporters.filtered(
        obs_exporters.ZipkinExporter(where), keep="*"
    ),
    "console": lambda where: obs_exporters.ConsoleExporter(),
}


def imported_by_lanes(kind: str, where: str) -> Iterator[list[str]]:
    """Yield what is there of heavy modules before the start, then what is imported later."""
    exporter = EXPORTERS[kind](where)
    tel = Obs("t", exporters=[exporter], routes=[])
    yield sorted({"grpc", "orjson", "ssl", "email.utils", "psutil"} & set(sys.modules))
    tel.start()
    # A logger imports orjson, which would hide that others do.
    log = tel.logger() if exporter.signals == {"logs"} else NULL.logger()
    before = set(sys.modules)
    for number in range(100):
        with suppress(LookupError), tel.span("work", text="é", number=number):
            tel.histogram("seconds").observe(number)
            log.info("worked", number=number)
            raise LookupError
    for _ in range(2):
        tel.flush(2.0)
    yield sorted(set(sys.modules) - before)
    os._exit(0)
