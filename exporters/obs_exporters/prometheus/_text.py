"""The Prometheus text format 0.0.4.

Source: Prometheus, "Exposition formats", "Text-based format".
"""

from typing import Any

from obs_exporters.prometheus._format import Format, Title

_SUFFIXES = {"counter": "_total", "info": "_info"}
_TYPES = {"updown": "gauge", "info": "gauge"}


def _head(title: Title) -> str:
    """Give the HELP and TYPE lines.

    The name is that of the samples, so counters carry ``_total`` here, and an info, which
    the format does not know, is a gauge.
    """
    name = title.name + _SUFFIXES.get(title.kind, "")
    lines = f"# TYPE {name} {_TYPES.get(title.kind, title.kind)}\n"
    if title.help:
        text = title.help.replace("\\", r"\\").replace("\n", r"\n")
        lines = f"# HELP {name} {text}\n{lines}"
    return lines


def _merged(registry: Any) -> bytes:
    # An optional library, needed only where its metrics are merged.
    from prometheus_client import generate_latest  # noqa: PLC0415

    return generate_latest(registry)


TEXT = Format(
    content_type="text/plain; version=0.0.4; charset=utf-8",
    media_type="text/plain",
    version="0.0.4",
    head=_head,
    merged=_merged,
    end=b"",
    sums_only_grow=False,
)
