"""Panels as Grafana stores them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from obs.dashboards._boards import Draw, Panel, asked
from obs.dashboards._queries import (
    Mean,
    Outlier,
    Quantile,
    Rate,
    Share,
    Sum,
    metrics_of,
)
from obs.dashboards._units import unit_of

Json: TypeAlias = dict[str, Any]

ROW_HEIGHT = 1
_SIZES: dict[Draw, tuple[int, int]] = {
    "lines": (8, 8),
    "areas": (8, 8),
    "bars": (8, 8),
    "heat": (8, 8),
    "stat": (6, 4),
    "table": (24, 8),
}
"""Width, of 24 columns, and height."""
_TYPES: dict[Draw, str] = {
    "lines": "timeseries",
    "areas": "timeseries",
    "bars": "bargauge",
    "heat": "heatmap",
    "stat": "stat",
    "table": "table",
}
_GREEN, _RED = "green", "red"


def size_of(panel: Panel) -> tuple[int, int]:
    """Give width and height of a panel."""
    width, height = _SIZES[panel.draw]
    return panel.width or width, height


def row_json(title: str, number: int, top: int) -> Json:
    """Give the heading of a row."""
    return {
        "type": "row",
        "id": number,
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": top, "w": 24, "h": ROW_HEIGHT},
        "panels": [],
    }


def panel_json(
    panel: Panel, number: int, place: Json, datasource: Json, targets: Sequence[Json]
) -> Json:
    """Give a panel.

    Args:
        panel: What it shows.
        number: Its number, of which each dashboard has one only.
        place: Where it stands.
        datasource: Whom it asks.
        targets: What it asks.
    """
    found = {
        "type": _TYPES[panel.draw],
        "id": number,
        "title": panel.title,
        "description": panel.help or _help(panel),
        "transparent": False,
        "repeatDirection": "h",
        "gridPos": place,
        "datasource": datasource,
        "targets": list(targets),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.draw](panel),
    }
    if panel.draw == "table":
        found["transformations"] = [_COLUMNS]
    return found


def _help(panel: Panel) -> str:
    query, _ = asked(panel.asks[0])
    metric = metrics_of(query)[0]
    return metric.help or f"{metric.name}."


def _unit(panel: Panel) -> str:
    return unit_of(asked(panel.asks[0])[0])


def _defaults(panel: Panel) -> Json:
    if panel.draw in ("heat", "table"):
        return {}
    steps: list[Json] = [{"color": _GREEN, "value": None}]
    if panel.line is not None:
        steps.append({"color": _RED, "value": panel.line})
    found: Json = {
        "unit": _unit(panel),
        "color": {"mode": "palette-classic" if panel.draw in _LINES else "thresholds"},
        "mappings": [],
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.whole:
        found |= {"min": 0, "max": 1}
    if panel.draw in _LINES:
        found["custom"] = _line(panel)
    return found


_LINES = ("lines", "areas")
_FROM_ZERO = (Rate, Share, Quantile, Mean, Sum, Outlier)
"""What begins at 0: part of an axis makes little changes look large."""


def _line(panel: Panel) -> Json:
    is_stacked = panel.draw == "areas"
    query, _ = asked(panel.asks[0])
    found: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if is_stacked else 0,
        "gradientMode": "none",
        "showPoints": "auto",
        "pointSize": 5,
        "spanNulls": False,
        "axisPlacement": "auto",
        "scaleDistribution": {"type": "linear"},
        "stacking": {"mode": "normal" if is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if panel.line is None else "dashed"},
    }
    if is_stacked or isinstance(query, _FROM_ZERO):
        found["axisSoftMin"] = 0
    return found


def _timeseries(_: Panel) -> Json:
    return {
        "legend": {
            "showLegend": True,
            "displayMode": "list",
            "placement": "bottom",
            "calcs": [],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _reduced() -> Json:
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}


def _stat(panel: Panel) -> Json:
    return {
        "reduceOptions": _reduced(),
        "orientation": "auto",
        "textMode": "auto" if len(panel.asks) > 1 else "value",
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }


def _bars(_: Panel) -> Json:
    return {
        "reduceOptions": _reduced(),
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
        "legend": {
            "showLegend": False,
            "displayMode": "list",
            "placement": "bottom",
            "calcs": [],
        },
    }


def _heat(panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": _unit(panel)},
    }


def _table(_: Panel) -> Json:
    footer = {"show": False, "reducer": ["sum"], "countRows": False}
    return {"showHeader": True, "cellHeight": "sm", "footer": footer}


_OPTIONS = {
    "lines": _timeseries,
    "areas": _timeseries,
    "stat": _stat,
    "bars": _bars,
    "heat": _heat,
    "table": _table,
}
_COLUMNS = {
    "id": "organize",
    "options": {
        "excludeByName": {"Time": True, "Value": True, "__name__": True},
        "indexByName": {},
        "renameByName": {},
    },
}
