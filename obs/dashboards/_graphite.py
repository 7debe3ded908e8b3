"""Dashboards for Graphite, on the paths that ``GraphiteExporter`` sends without tags.

A path is service, instance, the levels of the name, the values of the labels in the order
of the catalogue, and what a histogram appends.
"""

import re
from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Any

from obs.catalog import CATALOG
from obs.dashboards._boards import Chooser, Draw
from obs.dashboards._metric import INSTANCE, SERVICE, Metric, builtin, variable_of
from obs.dashboards._queries import (
    ALL,
    CHOSEN,
    Age,
    But,
    Count,
    Extreme,
    Instances,
    Last,
    Mean,
    Quantile,
    Query,
    Rate,
    Share,
    Sum,
    Total,
    Where,
    check,
    lines_of,
    metrics_of,
)

QUANTILES = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99"}
"""Those that the exporter sends."""
MOST_OWN = 3
"""How many labels of their own decorated calls may have to be found."""
_EVERYWHERE = builtin("obs.series")
_UPTIME = builtin("process.uptime")
_FOLDS = {"sum": "sumSeries", "avg": "averageSeries", "max": "maxSeries"}
_NODES = {"sum": "sum", "avg": "average", "max": "max"}
_PLACES = {SERVICE: 0, INSTANCE: 1}


class GraphiteBackend:
    """Asks graphite-web.

    Attributes:
        name: What ``--for`` calls it.
        datasource: What Grafana calls it.
        interval: Of steps: Graphite's own.
    """

    name = "graphite"
    datasource = "graphite"
    interval = ""

    def variables(self, choosers: tuple[Chooser, ...]) -> list[dict[str, Any]]:
        """Give what can be chosen: service, instance, and what the dashboard adds."""
        name = _EVERYWHERE.name
        service = _variable(SERVICE, f"*.*.{name}", 0)
        found = [service, _variable(INSTANCE, f"{_chosen(SERVICE)}.*.{name}", 1)]
        for label, metric in choosers:
            place = _place(metric, label)
            path = ".".join(
                [*_mine(), metric.name, *"*" * (place - _first(metric) + 1)]
            )
            found.append(_variable(label, path, place))
        return found

    def service(self, name: str) -> str:
        """Give a service's name as a level of a path."""
        return _level(name)

    def target(self, query: Query, text: str, draw: Draw) -> dict[str, Any] | None:
        """Give a query as Grafana stores it, or None if it cannot be asked.

        Args:
            query: What is asked.
            text: What its line is called, before the labels that it has.
            draw: How it will be drawn.
        """
        check(query)
        if any(isinstance(it, But) for it in getattr(query, "where", ALL).values()):
            return None
        metrics = metrics_of(query)
        if any(not _has_place(metric, lines_of(query)) for metric in metrics):
            return None
        written = self.write(query)
        if written is None or draw == "table":
            return None
        return {"target": _named(written, query, text), "textEditor": True}

    @singledispatchmethod
    def write(self, query: Query) -> str | None:
        """Give a query as a function of Graphite, or None if there is none."""
        return None

    @write.register
    def _(self, query: Rate) -> str:
        return _rate(*query)

    @write.register
    def _(self, query: Share) -> str:
        metric, of, by, where = query
        part = _rate(metric, by, {**where, **of})
        return _divided(part, _rate(metric, by, where), by)

    @write.register
    def _(self, query: Total) -> str:
        metric, by, where, most = query
        steps = f"nonNegativeDerivative({_counted(metric, where)})"
        total = f"integral({_folded(metric, steps, by)})"
        total = f"aliasByNode({total}, {_grouped(by)})" if by else total
        return f"highest({total}, {most}, 'max')" if most else total

    @write.register
    def _(self, query: Quantile) -> str | None:
        metric, part, by, where, most = query
        if part not in QUANTILES:
            return None
        # Those of several series cannot be added up: the highest is what can be said.
        series = _folded(metric, _path(metric, where, QUANTILES[part]), by, "max")
        return f"highest({series}, {most}, 'max')" if most else series

    @write.register
    def _(self, query: Mean) -> str:
        return _divided(_sum(*query), _rate(*query), query.by)

    @write.register
    def _(self, query: Sum) -> str:
        return _sum(*query)

    @write.register
    def _(self, query: Last) -> str:
        metric, by, fold, where = query
        return _folded(metric, _path(metric, where), by, fold)

    @write.register
    def _(self, query: Extreme) -> str:
        lowest = f"{query.side}Series({_path(query.metric, ALL)})"
        return f"aggregateLine({lowest}, '{query.side}')"

    @write.register
    def _(self, query: Age) -> str:
        return _folded(_UPTIME, _path(_UPTIME, ALL), query.by, "max")

    @write.register
    def _(self, query: Count) -> str:
        return _folded(query.metric, _path(query.metric, ALL), query.by)

    @write.register
    def _(self, query: Instances) -> str | None:
        if not query.by or not {*query.by} <= {*_PLACES}:
            return None
        nodes = ", ".join(str(_PLACES[it]) for it in query.by)
        return f"groupByNodes({_path(_EVERYWHERE, ALL)}, 'count', {nodes})"


def _rate(metric: Metric, by: tuple[str, ...], where: Where) -> str:
    return _folded(metric, f"perSecond({_counted(metric, where)})", by)


def _sum(metric: Metric, by: tuple[str, ...], where: Where) -> str:
    return _folded(metric, f"perSecond({_path(metric, where, 'sum')})", by)


def _variable(name: str, path: str, place: int) -> dict[str, Any]:
    before = rf"(?:[^.]+\.){{{place}}}"
    return {
        "name": variable_of(name),
        "query": f"expand({path})",
        "regex": f"/^{before}([^.]+)/",
        "allValue": "*",
    }


def _mine() -> list[str]:
    return [_chosen(SERVICE), _chosen(INSTANCE)]


def _chosen(label: str) -> str:
    return f"${{{variable_of(label)}:glob}}"


def _path(metric: Metric, where: Where, suffix: str = "") -> str:
    """Give the path of a metric's series, as a pattern."""
    labels = _labels(metric)
    levels = [*_mine(), *_name_levels(metric)]
    levels += [_wanted(label, where) for label in labels]
    behind = [suffix] if suffix else []
    own = MOST_OWN if _may_have_more(metric) else 0
    paths = [".".join([*levels, *["*"] * more, *behind]) for more in range(own + 1)]
    return f"group({', '.join(paths)})" if own else paths[0]


def _counted(metric: Metric, where: Where) -> str:
    return _path(metric, where, "count" if metric.kind == "histogram" else "")


def _wanted(label: str, where: Where) -> str:
    wanted = where.get(label, "*")
    if wanted == CHOSEN:
        return _chosen(label)
    if isinstance(wanted, str):
        return wanted if wanted == "*" else _level(wanted)
    return f"{{{','.join(_level(str(each)) for each in wanted)}}}"


def _labels(metric: Metric) -> tuple[str, ...]:
    """Give the labels whose place in a path is known."""
    builtin_ = CATALOG.get(metric.name)
    return metric.labels if builtin_ is None else builtin_.labels


def _may_have_more(metric: Metric) -> bool:
    return metric.name == "operation.duration"


def _has_place(metric: Metric, labels: Iterable[str]) -> bool:
    known = {*_labels(metric), *_PLACES}
    return metric.kind != "exponential" and {*labels} <= known


def _name_levels(metric: Metric) -> list[str]:
    return [_level(each) for each in metric.name.split(".") if each]


def _first(metric: Metric) -> int:
    """Give at which level of a path the labels begin."""
    return len(_PLACES) + len(_name_levels(metric))


def _place(metric: Metric, label: str) -> int:
    if label in _PLACES:
        return _PLACES[label]
    return _first(metric) + _labels(metric).index(label)


def _folded(metric: Metric, series: str, by: tuple[str, ...], fold: str = "sum") -> str:
    if not by:
        return f"{_FOLDS[fold]}({series})"
    nodes = ", ".join(str(_place(metric, label)) for label in by)
    return f"groupByNodes({series}, '{_NODES[fold]}', {nodes})"


def _divided(above: str, below: str, by: tuple[str, ...]) -> str:
    if not by:
        return f"divideSeries({above}, {below})"
    nodes = _grouped(by)
    percent = f"asPercent({above}, {below}, {nodes})"
    return f"aliasByNode(scale(removeEmptySeries({percent}), 0.01), {nodes})"


def _grouped(by: tuple[str, ...]) -> str:
    """Give the levels of what ``groupByNodes`` calls its series."""
    return ", ".join(map(str, range(len(by))))


def _named(written: str, query: Query, text: str) -> str:
    """Have the line called by a text; by its labels it is called already."""
    if not lines_of(query):
        name = text or " ".join(metric.name for metric in metrics_of(query)[:1])
        return f"alias({written}, '{name}')"
    return f"aliasSub({written}, '^', '{text} ')" if text else written


def _level(text: str) -> str:
    return re.sub(r"[^\w-]", "_", text) or "_empty_"
