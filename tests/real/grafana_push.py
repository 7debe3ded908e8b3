"""What Grafana does with dashboards of InfluxDB and Graphite: choose, fill in, ask.

Source: Grafana 11.6, "InfluxDB query editor" and "Graphite query editor", template variables
and aliases.
"""

import json
import re
import time
from urllib.parse import urlencode

from tests.real.grafana import panels_of
from tests.real.servers import http_call

SHOWN_SECONDS = 40
STEP_SECONDS = 2


def problems(dashboard, backend):
    """Say what a viewer would miss: data, or a name for each line."""
    values = backend.choose_all(dashboard)
    found = []
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            where = f"{panel['title']} {target['refId']}"
            query = backend.filled_in(target, values)
            if re.search(r"\$(?!/)", query):
                found.append(f"{where}: not filled in: {query}")
                continue
            lines = backend.ask(query, target)
            if not any(line for _, line in lines):
                found.append(f"{where}: no data: {query}")
            found += misnamed(where, [name for name, _ in lines])
    return found


def misnamed(where, names):
    """Say which lines are called as nobody would call them, or as another."""
    for name in names:
        if not re.fullmatch(r"[\w.+: -]+", name):
            yield f"{where}: a line is called {name!r}"
        if names.count(name) > 1:
            yield f"{where}: two lines are {name!r}"


class Influx:
    """InfluxDB 1.x, as Grafana asks it.

    Args:
        server: The server.
        database: Where the metrics are.
    """

    def __init__(self, server, database):
        self._server = server
        self._database = database

    def choose_all(self, dashboard):
        """Give each variable with all its values chosen, as Grafana writes them."""
        values = {}
        for variable in dashboard["templating"]["list"][1:]:
            found = self.values_of(variable, values)
            assert found, f"variable {variable['name']} has no values"
            some = f"({'|'.join(map(re.escape, found))})"
            is_all = variable["includeAll"]
            values[variable["name"]] = variable["allValue"] if is_all else some
        return values

    def values_of(self, variable, values):
        """Give what a variable offers."""
        query = self._fill(variable["query"], values)
        return [row["value"] for row in self._server.rows(self._database, query)]

    def filled_in(self, target, values):
        """Give a query with variables and the time that is shown."""
        now = int(time.time() * 1000)
        times = f"time >= {now - SHOWN_SECONDS * 1000}ms and time <= {now}ms"
        query = self._fill(target["query"], values)
        query = re.sub(r"\$timeFilter\b", times, query)
        return query.replace("$__interval", f"{STEP_SECONDS}s")

    def ask(self, query, target):
        """Give name and values of each line."""
        path = urlencode({"db": self._database, "q": query, "epoch": "ms"})
        status, body = http_call("GET", self._server.port, f"/query?{path}")
        assert status == 200, body
        (result,) = json.loads(body)["results"]
        assert "error" not in result, (query, result)
        lines = []
        for series in result.get("series", []):
            for place, column in enumerate(series["columns"][1:], start=1):
                values = [row[place] for row in series["values"]]
                name = self._name(target, series, column)
                lines.append((name, [value for value in values if value is not None]))
        return lines

    def _name(self, target, series, column):
        if target["resultFormat"] == "table":
            return " ".join([*series["tags"].values()])
        name = target["alias"].replace("$col", column)
        tags = series.get("tags", {})
        return (
            re.sub(r"\[\[tag_(.+?)\]\]", lambda it: tags.get(it[1], it[0]), name) or "_"
        )

    def _fill(self, query, values):
        return re.sub(
            r"\$\{(\w+):regex\}",
            lambda it: values.get(it[1], it[0]).replace("/", r"\/"),
            query,
        )


class Graphite:
    """graphite-web, as Grafana asks it."""

    def __init__(self, server):
        self._server = server

    def choose_all(self, dashboard):
        """Give each variable with all its values chosen, as Grafana writes them."""
        values = {}
        for variable in dashboard["templating"]["list"][1:]:
            found = self.values_of(variable, values)
            assert found, f"variable {variable['name']} has no values"
            some = f"{{{','.join(found)}}}" if len(found) > 1 else found[0]
            is_all = variable["includeAll"]
            values[variable["name"]] = variable["allValue"] if is_all else some
        return values

    def values_of(self, variable, values):
        """Give what a variable offers."""
        match = re.fullmatch(r"expand\((.+)\)", self._fill(variable["query"], values))
        path = urlencode({"query": match[1]})
        status, body = http_call("GET", self._server.port, f"/metrics/expand?{path}")
        assert status == 200, body
        regex = re.compile(variable["regex"].strip("/"))
        found = [regex.search(each)[1] for each in json.loads(body)["results"]]
        return [*dict.fromkeys(found)]

    def filled_in(self, target, values):
        """Give a query with variables."""
        return self._fill(target["target"], values)

    def ask(self, query, target):
        """Give name and values of each line."""
        del target
        form = {"target": query, "from": f"-{SHOWN_SECONDS}s", "until": "now"}
        form |= {"format": "json", "maxDataPoints": "100", "noCache": "1"}
        status, body = http_call("GET", self._server.port, f"/render?{urlencode(form)}")
        assert status == 200, (query, body[-500:])
        return [
            (
                series["target"],
                [value for value, _ in series["datapoints"] if value is not None],
            )
            for series in json.loads(body)
        ]

    def _fill(self, query, values):
        return re.sub(r"\$\{(\w+):glob\}", lambda it: values.get(it[1], it[0]), query)
