"""Metrics, logs and traces for Python services, behind backend-neutral interfaces.

    from obs import Obs
    from obs_exporters import PrometheusExporter

    tel = Obs("checkout", exporters=[PrometheusExporter(port=9464)])

Names are loaded when they are first used, so that an import costs what is used of it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs._null import NULL
    from obs._obs import Obs
    from obs.errors import (
        DefinitionError,
        ExportFailed,
        InvalidValue,
        MetricConflict,
        ObsError,
        StartFailed,
    )
    from obs.limits import Limits
    from obs.logs import Logs
    from obs.metrics import DEFAULT_SECONDS, Registry
    from obs.model import MetricFamily, Resource, TraceContext
    from obs.protocols import (
        Counter,
        Gauge,
        Histogram,
        Info,
        Logger,
        Span,
        Telemetry,
        UpDown,
    )
    from obs.trace import Tracer

    __version__: str

__all__ = [
    "DEFAULT_SECONDS",
    "NULL",
    "Counter",
    "DefinitionError",
    "ExportFailed",
    "Gauge",
    "Histogram",
    "Info",
    "InvalidValue",
    "Limits",
    "Logger",
    "Logs",
    "MetricConflict",
    "MetricFamily",
    "Obs",
    "ObsError",
    "Registry",
    "Resource",
    "Span",
    "StartFailed",
    "Telemetry",
    "TraceContext",
    "Tracer",
    "UpDown",
    "__version__",
]

_HOME = {
    "DEFAULT_SECONDS": "metrics",
    "NULL": "_null",
    "Counter": "protocols",
    "DefinitionError": "errors",
    "ExportFailed": "errors",
    "Gauge": "protocols",
    "Histogram": "protocols",
    "Info": "protocols",
    "InvalidValue": "errors",
    "Limits": "limits",
    "Logger": "protocols",
    "Logs": "logs",
    "MetricConflict": "errors",
    "MetricFamily": "model",
    "Obs": "_obs",
    "ObsError": "errors",
    "Registry": "metrics",
    "Resource": "model",
    "Span": "protocols",
    "StartFailed": "errors",
    "Telemetry": "protocols",
    "TraceContext": "model",
    "Tracer": "trace",
    "UpDown": "protocols",
}


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415

    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("obs-sdk")
    if name not in _HOME:
        text = f"module 'obs' has no attribute {name!r}"
        raise AttributeError(text)
    value = getattr(import_module(f"obs.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
