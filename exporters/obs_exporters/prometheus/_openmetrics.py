"""The OpenMetrics text format 1.0.

Source: OpenMetrics 1.0, "Text format". Left out: timestamps, exemplars, ``_created``.
"""

from typing import Any

from obs_exporters.prometheus._format import Format, Title, escaped

_TYPES = {"updown": "gauge"}
_END = b"# EOF\n"


def _head(title: Title) -> str:
    """Give the HELP, TYPE and UNIT lines.

    Source: "MetricFamily": a unit must be the end of the name, and an info has none.
    """
    name = title.name
    lines = f"# TYPE {name} {_TYPES.get(title.kind, title.kind)}\n"
    if title.help:
        lines = f"# HELP {name} {escaped(title.help)}\n{lines}"
    if title.unit and title.kind != "info" and name.endswith(f"_{title.unit}"):
        lines += f"# UNIT {name} {title.unit}\n"
    return lines


def _merged(registry: Any) -> bytes:
    # An optional library, needed only where its metrics are merged.
    from prometheus_client.openmetrics.exposition import (  # noqa: PLC0415
        generate_latest,
    )

    page: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return page.removesuffix(_END)


OPENMETRICS = Format(
    content_type="application/openmetrics-text; version=1.0.0; charset=utf-8",
    media_type="application/openmetrics-text",
    version="1.0.0",
    head=_head,
    merged=_merged,
    end=_END,
    # "Histogram": sums are counters, so they must not be negative or NaN, and with
    # negative thresholds there must be none. The count goes with the sum.
    sums_only_grow=True,
)
