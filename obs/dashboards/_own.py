"""The dashboard of a service's own metrics."""

from collections.abc import Iterable, Iterator

from obs.catalog import CATALOG
from obs.dashboards._boards import Board, Panel, Row
from obs.dashboards._metric import INSTANCE, SERVICE, Metric, metric_of
from obs.dashboards._queries import (
    But,
    Count,
    Extreme,
    Heat,
    Last,
    Mean,
    Quantile,
    Rate,
)
from obs.model import MetricFamily

_OPERATION = "operation.duration"


def own_board(families: Iterable[MetricFamily]) -> Board | None:
    """Give the dashboard of what is not in the catalogue, or None if there is nothing.

    A counter has its rate, a gauge its last value and its range, a histogram its quantiles
    and a heatmap, an info its facts. Labels that decorated calls were given divide these.
    """
    metrics = [metric_of(family) for family in families]
    rows = [row for metric in metrics if (row := _row(metric)) is not None]
    if not rows:
        return None
    text = "The metrics that the service defines itself."
    return Board("own", "Own metrics", text, rows)


def _row(metric: Metric) -> Row | None:
    if metric.name == _OPERATION:
        panels = list(_calls(metric))
        return Row("Calls by their own labels", panels) if panels else None
    if metric.name in CATALOG or metric.kind == "exponential":
        return None
    return Row(metric.name, list(_panels(metric)))


def _calls(metric: Metric) -> Iterator[Panel]:
    for label in metric.labels:
        if label not in CATALOG[_OPERATION].labels:
            yield Panel(
                f"Calls by {label}",
                [Rate(metric, ("operation", label), {label: But("")})],
                help=f"Calls per second of each operation, by {label}.",
            )


def _panels(metric: Metric) -> Iterator[Panel]:
    name, by = metric.name, metric.labels
    match metric.kind:
        case "counter":
            yield Panel(name, [Rate(metric, by)], width=24)
        case "gauge" | "updown":
            # How instances add up is known of an up-down counter alone.
            is_sum = metric.kind == "updown"
            lines = by if is_sum else (SERVICE, INSTANCE, *by)
            yield Panel(name, [Last(metric, lines)], width=16)
            last = Last(metric, fold="sum" if is_sum else "avg")
            ends = [
                (Extreme(metric, "min"), "lowest"),
                (Extreme(metric, "max"), "highest"),
            ]
            text = f"{metric.help or name} Now, and its range in the time shown."
            yield Panel(
                f"{name}: range", [(last, "last"), *ends], "stat", text, width=8
            )
        case "histogram":
            parts = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            quantiles = [(Quantile(metric, part), text) for part, text in parts]
            mean = Panel(name, [(Mean(metric), "mean")], width=12)
            yield Panel(name, quantiles, width=12, otherwise=mean)
            yield Panel(f"{name}: all values", [Heat(metric)], "heat", width=12)
        case _:
            yield Panel(name, [Count(metric, by)], "bars", width=24)
