"""Dashboards for Prometheus."""

from typing import Any

from obs.dashboards._boards import Chooser, Draw
from obs.dashboards._metric import INSTANCE, SERVICE, Metric, builtin
from obs.dashboards._promql import (
    PromQL,
    is_there,
    labels_of,
    matchers_of,
    resource_labels,
)
from obs.dashboards._queries import (
    CHOSEN,
    Changes,
    Extreme,
    Quantile,
    Query,
    Total,
    check,
    lines_of,
    metrics_of,
)

_EVERYWHERE = builtin("obs.series")
"""Each instance has it: its series say which there are."""
_FORMATS = {"heat": "heatmap", "table": "table"}


class PrometheusBackend:
    """Asks Prometheus, or what speaks PromQL as it does.

    Attributes:
        name: What ``--for`` calls it.
        datasource: What Grafana calls it.
        interval: Of steps: Grafana knows it from the data source.
    """

    name = "prometheus"
    datasource = "prometheus"
    interval = ""

    def __init__(self) -> None:
        mine = matchers_of(_EVERYWHERE, {SERVICE: CHOSEN, INSTANCE: CHOSEN})
        self._promql = PromQL(mine, "$__rate_interval", "$__range")

    def variables(self, choosers: tuple[Chooser, ...]) -> list[dict[str, Any]]:
        """Give what can be chosen: service, instance, and what the dashboard adds."""
        service = _EVERYWHERE, (SERVICE,), PromQL((), "", "").selector(_EVERYWHERE)
        matchers = matchers_of(_EVERYWHERE, {SERVICE: CHOSEN})
        within = PromQL(matchers, "", "").selector(_EVERYWHERE)
        found = [service, (_EVERYWHERE, (INSTANCE,), within)]
        found += [
            (metric, (label,), self._promql.selector(metric, suffix=_suffix(metric)))
            for label, metric in choosers
        ]
        return [_variable(metric, names, series) for metric, names, series in found]

    def service(self, name: str) -> str:
        """Give the job of a service."""
        return name

    def target(self, query: Query, text: str, draw: Draw) -> dict[str, Any] | None:
        """Give a query as Grafana stores it, or None if it cannot be asked.

        Args:
            query: What is asked.
            text: What its line is called, before the labels that it has.
            draw: How it will be drawn.
        """
        check(query)
        if not all(map(is_there, metrics_of(query))):
            return None
        is_instant = _is_instant(query, draw)
        return {
            "editorMode": "code",
            "expr": self._promql.write(query),
            "format": _FORMATS.get(draw, "time_series"),
            "instant": is_instant,
            "range": not is_instant,
            "legendFormat": self._legend(query, text, draw),
        }

    def _legend(self, query: Query, text: str, draw: Draw) -> str:
        if draw == "heat":
            return "{{le}}"
        metrics = metrics_of(query)
        by = lines_of(query)
        names = labels_of(metrics[0], by) if metrics else resource_labels(by)
        return " ".join(filter(None, (text, *[f"{{{{{name}}}}}" for name in names])))


def _suffix(metric: Metric) -> str:
    return "_count" if metric.kind == "histogram" else ""


def _is_instant(query: Query, draw: Draw) -> bool:
    match query:
        case Total() | Changes() | Extreme():
            return True
        case Quantile(most=most) if most:
            return True
        case _:
            return draw in ("bars", "table")


def _variable(metric: Metric, names: tuple[str, ...], series: str) -> dict[str, Any]:
    (name,) = labels_of(metric, names)
    return {"name": name, "query": f"label_values({series}, {name})"}
