"""Dashboards for InfluxDB, asked in InfluxQL."""

from typing import Any

from obs.dashboards._boards import Chooser, Draw
from obs.dashboards._influxql import InfluxQL, tag_of, values_of
from obs.dashboards._metric import INSTANCE, SERVICE, builtin, variable_of
from obs.dashboards._queries import CHOSEN, Query, check, lines_of, metrics_of

_EVERYWHERE = builtin("obs.series")


class InfluxDBBackend:
    """Asks InfluxDB 1.x, and 2.x where a bucket is mapped to a database.

    Attributes:
        name: What ``--for`` calls it.
        datasource: What Grafana calls it.
        interval: Of steps: how often the exporter pushes.
    """

    name = "influxdb"
    datasource = "influxdb"
    interval = "10s"

    def __init__(self) -> None:
        self._influxql = InfluxQL()

    def variables(self, choosers: tuple[Chooser, ...]) -> list[dict[str, Any]]:
        """Give what can be chosen: service, instance, and what the dashboard adds."""
        both = {SERVICE: CHOSEN, INSTANCE: CHOSEN}
        found = [
            (SERVICE, values_of(SERVICE, _EVERYWHERE, {})),
            (INSTANCE, values_of(INSTANCE, _EVERYWHERE, {SERVICE: CHOSEN})),
            *[(label, values_of(label, metric, both)) for label, metric in choosers],
        ]
        return [{"name": variable_of(name), "query": query} for name, query in found]

    def service(self, name: str) -> str:
        """Give the service's name as it is."""
        return name

    def target(self, query: Query, text: str, draw: Draw) -> dict[str, Any] | None:
        """Give a query as Grafana stores it, or None if it cannot be asked.

        Args:
            query: What is asked.
            text: What its line is called, before the labels that it has.
            draw: How it will be drawn.
        """
        check(query)
        written = self._influxql.write(query)
        if written is None or any(it.kind == "exponential" for it in metrics_of(query)):
            return None
        return {
            "rawQuery": True,
            "query": written,
            "resultFormat": "table" if draw == "table" else "time_series",
            "alias": _alias(query, text, draw),
        }


def _alias(query: Query, text: str, draw: Draw) -> str:
    if draw == "heat":
        return "$col"
    # In brackets, as Grafana ends `$tag_a.b` at the dot.
    names = [f"[[tag_{tag_of(label)}]]" for label in lines_of(query)]
    alone = [metric.name for metric in metrics_of(query)[:1]]
    return " ".join(filter(None, (text, *names))) or " ".join(alone)
