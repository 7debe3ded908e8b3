"""What Grafana does with a dashboard of Prometheus: choose, fill in, ask, name the lines.

Source: Grafana 11.6, "Prometheus template variables" and "Global variables".
"""

import math
import re
import time

from tests.real.servers import Prometheus

SCRAPE_SECONDS = 0.5
SHOWN_SECONDS = 30
GLOBALS = {
    # Grafana: four scrape intervals, and not less than one step and a scrape interval.
    "__rate_interval": f"{max(4 * SCRAPE_SECONDS, 1 + SCRAPE_SECONDS):g}s",
    "__interval": "1s",
    "__range": f"{SHOWN_SECONDS}s",
}


def panels_of(dashboard):
    """Give the panels, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def only(title, dashboard):
    """Give the dashboard with one panel."""
    panels = [panel for panel in panels_of(dashboard) if panel["title"] == title]
    return {**dashboard, "panels": panels}


def filled_in(text, values):
    """Give a query with the values of variables."""
    return re.sub(
        r"\$(?:\{(\w+)\}|(\w+))",
        lambda match: values.get(match[1] or match[2], match[0]),
        text,
    )


def choose_all(dashboard, prometheus: Prometheus):
    """Give each variable with all its values chosen, as a regular expression."""
    values = dict(GLOBALS)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        found = values_of(variable, values, prometheus)
        assert found, f"variable {variable['name']} has no values"
        every = "|".join(map(re.escape, found)).replace("\\", "\\\\")
        is_all = variable["includeAll"]
        values[variable["name"]] = variable["allValue"] if is_all else f"({every})"
    return values


def values_of(variable, values, prometheus: Prometheus):
    """Give what a variable offers."""
    query = filled_in(variable["query"], values)
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert match, query
    return prometheus.api(f"label/{match[2]}/values", **{"match[]": match[1]})


def problems(dashboard, prometheus: Prometheus):
    """Say what a viewer would miss: data, or a label that the name of a line wants."""
    values = choose_all(dashboard, prometheus)
    found = []
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            where = f"{panel['title']} {target['refId']}"
            query = filled_in(target["expr"], values)
            if "$" in query:
                found.append(f"{where}: not filled in: {query}")
                continue
            lines = ask(prometheus, query, is_instant=target["instant"])
            if not any(not math.isnan(value) for _, line in lines for value in line):
                found.append(f"{where}: no data: {query}")
                continue
            labels = {label for metric, _ in lines for label in metric}
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            if not wanted <= labels:
                found.append(f"{where}: no label {wanted - labels} in {labels}")
            if target["format"] == "time_series":
                found += twice(where, target["legendFormat"], lines)
    return found


def twice(where, legend, lines):
    """Say which lines have the same name."""
    names = [named(legend, metric) for metric, _ in lines]
    return [
        f"{where}: two lines are {name!r}" for name in names if names.count(name) > 1
    ]


def named(legend, metric):
    """Give the name of a line."""
    return re.sub(r"\{\{(\w+)\}\}", lambda label: metric.get(label[1], ""), legend)


def ask(prometheus: Prometheus, query, *, is_instant):
    """Give the labels and the values of each line."""
    now = time.time()
    if is_instant:
        series = prometheus.query(query)
        return [(each["metric"], [float(each["value"][1])]) for each in series]
    start = now - SHOWN_SECONDS
    params = {"query": query, "start": f"{start}", "end": f"{now}", "step": "1"}
    series = prometheus.api("query_range", **params)["result"]
    return [
        (each["metric"], [float(value) for _, value in each["values"]])
        for each in series
    ]
