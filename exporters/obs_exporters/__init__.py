"""Exporters of obs: one module for each backend, loaded when it is first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs_exporters.console import ConsoleExporter
    from obs_exporters.jsonl import JsonLinesExporter
    from obs_exporters.prometheus import PrometheusExporter

__all__ = ["ConsoleExporter", "JsonLinesExporter", "PrometheusExporter"]

_HOME = {
    "ConsoleExporter": "console",
    "JsonLinesExporter": "jsonl",
    "PrometheusExporter": "prometheus",
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
