"""Rules of dashboard-linter for Prometheus, and what an import into Grafana needs.

Source: grafana/dashboard-linter, "Rules", by their names; it cannot be run here.
"""

import json
import re

UNITS = {
    "short", "percentunit", "s", "bytes", "binBps", "cps", "ops", "none",
}  # fmt: skip
"""Grafana's, of those that the built-in metrics have."""
NEEDS_UNIT = ("stat", "timeseries", "bargauge", "gauge")


def panels_of(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets_of(dashboard):
    return [target for panel in panels_of(dashboard) for target in panel["targets"]]


def lint(dashboard):
    """Give the names of broken rules, with where."""
    variables = {it["name"]: it for it in dashboard["templating"]["list"]}
    broken = ["uneditable-dashboard"] if dashboard["editable"] else []
    broken += [*_source_rules(variables), *_variable_rules(variables)]
    for panel in panels_of(dashboard):
        broken += [f"{rule} {panel['title']}" for rule in _panel_rules(panel)]
        for target in panel["targets"]:
            broken += [f"{rule} {panel['title']}" for rule in _target_rules(target)]
    return broken


def _source_rules(variables):
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "template-datasource-rule"
    if source.get("label") != "Data source":
        yield "template-datasource-rule label"


def _variable_rules(variables):
    for name in ("job", "instance"):
        variable = variables.get(name, {})
        is_right = (
            variable.get("type") == "query"
            and variable["label"].lower() == name
            and variable["multi"]
            and variable["allValue"] == ".+"
            and variable["datasource"]["uid"] == "${datasource}"
        )
        if not is_right:
            yield f"template-{name}-rule"
    for variable in variables.values():
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"template-on-time-change-reload-rule {variable['name']}"
        if variable["type"] == "query" and not re.fullmatch(
            r"label_values\(\w+(\{.*\})?, \w+\)", variable["query"]
        ):
            yield f"template-label-promql-rule {variable['name']}"


def _panel_rules(panel):
    if panel["datasource"]["uid"] != "${datasource}":
        yield "panel-datasource-rule"
    if not panel["title"] or not panel["description"]:
        yield "panel-title-description-rule"
    if not panel["targets"]:
        yield "panel-no-targets-rule"
    unit = panel["fieldConfig"]["defaults"].get("unit")
    if panel["type"] in NEEDS_UNIT and unit not in UNITS:
        yield f"panel-units-rule {unit}"


def _target_rules(target):
    expr = target["expr"]
    selectors = re.findall(r"[A-Za-z_:][\w:]*\{([^}]*)\}", expr)
    for name in ("job", "instance"):
        wanted = f'{name}=~"${name}"'
        if not selectors or any(wanted not in inner for inner in selectors):
            yield f"target-{name}-rule"
    for over in re.findall(r"\b(?:rate|irate)\([^\[]*\[([^\]]+)\]", expr):
        if over != "$__rate_interval":
            yield "target-rate-interval-rule"
    counters = len(re.findall(r"\w+_total\{", expr))
    grown = len(re.findall(r"\b(?:rate|irate|increase)\(\w+_total\{", expr))
    if counters != grown:
        yield "target-counter-agg-rule"


def hinders_import(dashboard):
    """Say what Grafana would not import, or would import as something else."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", dashboard["uid"]):
        yield "uid"
    if not dashboard["title"] or dashboard.get("id") is not None:
        yield "title or id"
    if not isinstance(dashboard["schemaVersion"], int):
        yield "schemaVersion"
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len({*ids}) != len(ids):
        yield "two panels have one id"
    text = json.dumps({**dashboard, "uid": ""})
    if {*re.findall(r'"uid": "([^"]+)"', text)} != {"${datasource}"}:
        yield "a data source that is not the chosen one"
    for panel in panels_of(dashboard):
        letters = [target["refId"] for target in panel["targets"]]
        if "".join(letters) != "ABCDEFGH"[: len(letters)]:
            yield f"refIds of {panel['title']}"
    yield from _overlaps(dashboard["panels"])


def _overlaps(panels):
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']} stands out"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
