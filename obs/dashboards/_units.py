"""Units as Grafana calls them."""

from obs.dashboards._metric import Metric
from obs.dashboards._queries import (
    Age,
    Extreme,
    Heat,
    Last,
    Mean,
    Outlier,
    Quantile,
    Query,
    Rate,
    Ratio,
    Reached,
    Share,
    Sum,
    Total,
)

NUMBER = "short"
SHARE = "percentunit"
_UNITS = {
    "s": "s",
    "ms": "ms",
    "us": "µs",
    "ns": "ns",
    "min": "m",
    "h": "h",
    "d": "d",
    "By": "bytes",
    "KiBy": "kbytes",
    "MiBy": "mbytes",
    "GiBy": "gbytes",
    "kBy": "deckbytes",
    "MBy": "decmbytes",
    "GBy": "decgbytes",
    "m": "lengthm",
    "V": "volt",
    "A": "amp",
    "J": "joule",
    "W": "watt",
    "g": "massg",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
    "": NUMBER,
}
"""Source: Grafana 11.6, "value formats"."""


def unit_of(query: Query) -> str:
    """Give the unit of what a query answers."""
    match query:
        case Share() | Ratio() | Reached():
            return SHARE
        case Quantile() | Mean() | Heat() | Last() | Extreme():
            return grafana_unit(query.metric)
        case Rate():
            return _rate_unit(query.metric)
        case Sum():
            return SHARE if query.metric.unit == "s" else grafana_unit(query.metric)
        case Total():
            is_count = query.metric.kind != "counter"
            return NUMBER if is_count else grafana_unit(query.metric)
        case Age():
            return "s"
        case Outlier():
            return "none"
        case _:
            return NUMBER


def grafana_unit(metric: Metric) -> str:
    """Give the unit of a metric's values; one that Grafana does not know stays as it is."""
    unit = metric.unit
    if unit == "1":
        return SHARE if metric.kind == "gauge" else NUMBER
    if unit.startswith("{") and unit.endswith("}"):
        return NUMBER
    return _UNITS.get(unit, f"suffix: {unit}")


def _rate_unit(metric: Metric) -> str:
    if metric.kind == "histogram":
        return "ops"
    unit = grafana_unit(metric)
    return {"s": SHARE, "bytes": "binBps", NUMBER: "cps"}.get(
        unit, f"suffix: {metric.unit}/s"
    )
