"""Queries in PromQL, on the names that ``PrometheusExporter`` serves."""

import re
from functools import singledispatchmethod

from obs.catalog import CATALOG
from obs.dashboards._metric import INSTANCE, SERVICE, Metric
from obs.dashboards._queries import (
    ALL,
    CHOSEN,
    Age,
    But,
    Changes,
    Count,
    Extreme,
    Heat,
    Instances,
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
    Where,
)
from obs.naming import prometheus_label, prometheus_name

JOB = "job"
"""What Prometheus calls a service."""
RESOURCE = "target_info"
UP = "up"
_SUFFIXES = {"counter": "_total", "info": "_info"}
_OWN_LABELS = {SERVICE: JOB, INSTANCE: "instance"}


class PromQL:
    """Writes queries.

    Args:
        matchers: Stand in each selector.
        step: Over how long a rate is taken.
        shown: How long the time is that is shown.
    """

    def __init__(self, matchers: tuple[str, ...], step: str, shown: str) -> None:
        self._matchers = matchers
        self._step = step
        self._shown = shown

    def selector(self, metric: Metric, where: Where = ALL, *, suffix: str = "") -> str:
        """Give a metric's series: of a histogram those with a suffix."""
        name = family_name(metric) + (suffix or _SUFFIXES.get(metric.kind, ""))
        return self.series(name, matchers_of(metric, where))

    def series(self, name: str, matchers: tuple[str, ...] = ()) -> str:
        """Give the series of a name."""
        inner = ", ".join((*self._matchers, *matchers))
        return f"{name}{{{inner}}}" if inner else name

    @singledispatchmethod
    def write(self, query: Query) -> str:
        """Give a query as PromQL."""
        raise NotImplementedError(type(query))

    @write.register
    def _(self, query: Rate) -> str:
        return self._increase("rate", query.metric, query.by, query.where, self._step)

    @write.register
    def _(self, query: Share) -> str:
        metric, by = query.metric, query.by
        part = self._increase(
            "rate", metric, by, {**query.where, **query.of}, self._step
        )
        whole = self._increase("rate", metric, by, query.where, self._step)
        return f"({part} or {whole} * 0) / {whole}"

    @write.register
    def _(self, query: Total) -> str:
        metric, by = query.metric, query.by
        total = self._increase("increase", metric, by, query.where, self._shown)
        return f"topk({query.most}, {total})" if query.most else total

    @write.register
    def _(self, query: Quantile) -> str:
        buckets = self.selector(query.metric, query.where, suffix="_bucket")
        # Linters want the rate of a dashboard over its own interval alone.
        growth = (
            f"increase({buckets}[{self._shown}])" if query.most else self._rate(buckets)
        )
        names = (*labels_of(query.metric, query.by), "le")
        text = f"histogram_quantile({query.part:g}, {_folded('sum', names, growth)})"
        return f"topk({query.most}, {text})" if query.most else text

    @write.register
    def _(self, query: Mean) -> str:
        metric, by, where = query
        return f"{self.write(Sum(metric, by, where))} / {self.write(Rate(*query))}"

    @write.register
    def _(self, query: Heat) -> str:
        buckets = self.selector(query.metric, query.where, suffix="_bucket")
        return _folded("sum", ("le",), f"increase({buckets}[{self._step}])")

    @write.register
    def _(self, query: Sum) -> str:
        sums = self.selector(query.metric, query.where, suffix="_sum")
        return _folded("sum", labels_of(query.metric, query.by), self._rate(sums))

    @write.register
    def _(self, query: Last) -> str:
        series = self.selector(query.metric, query.where)
        return _folded(query.fold, labels_of(query.metric, query.by), series)

    @write.register
    def _(self, query: Extreme) -> str:
        series = f"{self.selector(query.metric)}[{self._shown}]"
        return f"{query.side}({query.side}_over_time({series}))"

    @write.register
    def _(self, query: Age) -> str:
        series = self.selector(query.metric)
        return f"time() - {_folded('max', labels_of(query.metric, query.by), series)}"

    @write.register
    def _(self, query: Changes) -> str:
        changes = f"changes({self.selector(query.metric)}[{self._shown}])"
        return _folded("sum", labels_of(query.metric, query.by), changes)

    @write.register
    def _(self, query: Ratio) -> str:
        return f"{self.write(query.above)} / {self.write(query.below)}"

    @write.register
    def _(self, query: Outlier) -> str:
        value = self.write(query.query)
        middle = f"quantile by ({JOB}) (0.5, {value})"
        distance = f"abs({value} - on ({JOB}) group_left () {middle})"
        usual = f"quantile by ({JOB}) (0.5, {distance})"
        return f"{distance} / on ({JOB}) group_left () ({usual} + 0.01 * {middle})"

    @write.register
    def _(self, query: Count) -> str:
        series = self.selector(query.metric)
        return _folded("count", labels_of(query.metric, query.by), series)

    @write.register
    def _(self, query: Instances) -> str:
        series = self.series(RESOURCE)
        return (
            _folded("count", resource_labels(query.by), series) if query.by else series
        )

    @write.register
    def _(self, query: Reached) -> str:
        return _folded("avg", resource_labels(query.by), self.series(UP))

    def _increase(
        self,
        function: str,
        metric: Metric,
        by: tuple[str, ...],
        where: Where,
        over: str,
    ) -> str:
        suffix = "_count" if metric.kind == "histogram" else ""
        series = self.selector(metric, where, suffix=suffix)
        return _folded("sum", labels_of(metric, by), f"{function}({series}[{over}])")

    def _rate(self, series: str) -> str:
        return f"rate({series}[{self._step}])"


def family_name(metric: Metric) -> str:
    """Give a metric's name on the page, without the suffix of its samples."""
    builtin = CATALOG.get(metric.name)
    if builtin is not None and builtin.prometheus:
        return builtin.prometheus
    return prometheus_name(metric.name, metric.kind, metric.unit)


def is_there(metric: Metric) -> bool:
    """Whether a metric is on the page at all."""
    return family_name(metric) != "-" and metric.kind != "exponential"


def labels_of(metric: Metric, names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the names of labels on the page."""
    builtin = CATALOG.get(metric.name)
    known = {**(builtin.prometheus_labels if builtin else {}), **_OWN_LABELS}
    return tuple([known.get(name) or _label(name) for name in names])


def _label(name: str) -> str:
    label = prometheus_label(name)
    # What Prometheus makes of a label that it has itself.
    return f"exported_{label}" if label in _OWN_LABELS.values() else label


def resource_labels(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the names of a resource's attributes as labels."""
    return tuple([_OWN_LABELS.get(name) or prometheus_label(name) for name in names])


def matchers_of(metric: Metric, where: Where) -> tuple[str, ...]:
    """Give conditions on labels as matchers."""
    names = labels_of(metric, tuple(where))
    return tuple(
        [
            _matcher(name, wanted)
            for name, wanted in zip(names, where.values(), strict=True)
        ]
    )


def quoted(text: str) -> str:
    """Give a text as a PromQL string."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _matcher(name: str, wanted: str | tuple[str, ...] | But) -> str:
    if isinstance(wanted, But):
        return f"{name}!={quoted(wanted.value)}"
    if wanted == CHOSEN:
        return f'{name}=~"${name}"'
    if isinstance(wanted, str):
        return f"{name}={quoted(wanted)}"
    return f"{name}=~{quoted('|'.join(map(re.escape, wanted)))}"


def _folded(fold: str, by: tuple[str, ...], text: str) -> str:
    return f"{fold} by ({', '.join(by)}) ({text})" if by else f"{fold}({text})"
