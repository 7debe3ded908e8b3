"""What Grafana does with dashboards of InfluxDB and Graphite: choose, fill in, ask.

Source: Grafana 11.6, "InfluxDB query editor" and "Graphite query editor", template variables
and aliases.
"""

import json
import re
import time
from urllib.parse import urlencode

from tests.real.servers import http_call

SHOWN_SECONDS = 40
STEP_SECONDS = 2


def panels_of(dashboard):
    """Give the panels, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


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
            if not any(lines.values()):
                found.append(f"{where}: no data: {query}")
            found += [
                f"{where}: a line is called {name!r}"
                for name in lines
                if not re.fullmatch(r"[\w.+: -]+", name)
            ]
    return found


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
        query = query.replace("$timeFilter", times)
        return query.replace("$__interval", f"{STEP_SECONDS}s")

    def ask(self, query, target):
        """Give the values of each line by its name; names twice are one too few."""
        path = urlencode({"db": self._database, "q": query, "epoch": "ms"})
        status, body = http_call("GET", self._server.port, f"/query?{path}")
        assert status == 200, body
        (result,) = json.loads(body)["results"]
        assert "error" not in result, (query, result)
        lines = {}
        for series in result.get("series", []):
            for place, column in enumerate(series["columns"][1:], start=1):
                name = self._name(target, series, column)
                assert name not in lines, f"two lines are {name!r}: {query}"
                values = [row[place] for row in series["values"]]
                lines[name] = [value for value in values if value is not None]
        return lines

    def _name(self, target, series, column):
        if target["resultFormat"] == "table":
            return " ".join([*series["tags"].values()])
        name = target["alias"].replace("$col", column)
        tags = series.get("tags", {})
        return re.sub(r"\[\[tag_(.+?)\]\]", lambda it: tags[it[1]], name) or "_"

    def _fill(self, query, values):
        return re.sub(
            r"\$\{(\w+):regex\}", lambda it: values[it[1]].replace("/", r"\/"), query
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
        """Give the values of each line by its name."""
        del target
        form = {"target": query, "from": f"-{SHOWN_SECONDS}s", "until": "now"}
        form |= {"format": "json", "maxDataPoints": "100", "noCache": "1"}
        status, body = http_call("GET", self._server.port, f"/render?{urlencode(form)}")
        assert status == 200, (query, body[-500:])
        lines = {}
        for series in json.loads(body):
            name = series["target"]
            assert name not in lines, f"two lines are {name!r}: {query}"
            values = [value for value, _ in series["datapoints"]]
            lines[name] = [value for value in values if value is not None]
        return lines

    def _fill(self, query, values):
        return re.sub(r"\$\{(\w+):glob\}", lambda it: values[it[1]], query)
