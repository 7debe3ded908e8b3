"""What lanes import, found in a process that has imported little else."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import obs_exporters
from obs import Obs

EXPORTERS: dict[str, Callable[[str], Any]] = {
    "otlp": lambda where: obs_exporters.OTLPExporter(where),
    "grpc": lambda where: obs_exporters.OTLPExporter(where, protocol="grpc"),
    "zipkin": lambda where: obs_exporters.ZipkinExporter(where),
    "jsonl": lambda where: obs_exporters.JsonLinesExporter(
        f"{where}/lines", rotate_bytes=1024
    ),
    "pushgateway": lambda where: obs_exporters.PushgatewayExporter(where, job="a"),
    "textfile": lambda where: obs_exporters.TextfileExporter(f"{where}/a.prom"),
    "filtered": lambda where: obs_exporters.filtered(
        obs_exporters.ZipkinExporter(where), keep="*"
    ),
    "console": lambda where: obs_exporters.ConsoleExporter(),
}


def imported_by_lanes(kind: str, where: str) -> Iterator[list[str]]:
    """Yield what is there of heavy modules before the start, then what is imported later."""
    tel = Obs("t", exporters=[EXPORTERS[kind](where)])
    yield sorted({"grpc", "orjson", "ssl", "email.utils", "psutil"} & set(sys.modules))
    tel.start()
    before = set(sys.modules)
    for number in range(100):
        with suppress(LookupError), tel.span("work", text="é", number=number):
            tel.histogram("seconds").observe(number)
            raise LookupError
    for _ in range(2):
        tel.flush(2.0)
    yield sorted(set(sys.modules) - before)
    os._exit(0)
