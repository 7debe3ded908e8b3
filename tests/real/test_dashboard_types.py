"""Dashboards are what Grafana's own types say, at any depth: checked by tsc."""

import copy
import json
import subprocess

import pytest

from obs.cli.demo import _orders, _shop
from obs.dashboards import BACKENDS, build

PANELS = {
    "timeseries": "TimeSeries",
    "stat": "Stat",
    "bargauge": "BarGauge",
    "heatmap": "Heatmap",
    "table": "Table",
}
HEAD = """\
import type { Dashboard } from '@grafana/schema';
// Enums are written as the texts that they stand for.
type Plain<T> = T extends string ? `${T}`
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
"""


def source(dashboard):
    """Give a dashboard, and what its panels leave to each kind of panel, as TypeScript."""
    lines = [HEAD]
    for kind, name in PANELS.items():
        path = f"@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x"
        names = f"Options as {name}"
        if kind == "timeseries":
            names += f", FieldConfig as {name}Field"
        lines.append(
            f"import type {{ {names} }} from '{path}/{name}PanelCfg_types.gen';\n"
        )
    lines.append(
        f"export const dashboard: Plain<Dashboard> = {json.dumps(dashboard)};\n"
    )
    for number, panel in enumerate(dashboard["panels"]):
        kind = PANELS.get(panel["type"])
        if kind is None:
            continue
        options = json.dumps(panel["options"])
        lines.append(f"export const o{number}: Plain<Partial<{kind}>> = {options};\n")
        if "custom" in panel["fieldConfig"]["defaults"]:
            custom = json.dumps(panel["fieldConfig"]["defaults"]["custom"])
            lines.append(f"export const f{number}: Plain<{kind}Field> = {custom};\n")
    return "".join(lines)


def complaints(grafana_schema, folder, dashboards):
    names = []
    for key, dashboard in dashboards.items():
        (folder / f"{key}.ts").write_text(source(dashboard), encoding="utf-8")
        names.append(f"{key}.ts")
    done = subprocess.run(
        [grafana_schema, *names],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout.splitlines() + done.stderr.splitlines()
    assert bool(said) == bool(done.returncode)
    return said


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_dashboard_has_grafanas_types(backend, grafana_schema, tmp_path):
    dashboards = build(backend=backend)
    for service, tel in (("shop", _shop.tel), ("orders", _orders.tel)):
        own = build(tel, backend=backend, service=service)["own"]
        dashboards[f"own_{service}"] = own
    assert complaints(grafana_schema, tmp_path, dashboards) == []


PANEL = ("panels", 1)
DEFAULTS = (*PANEL, "fieldConfig", "defaults")
BROKEN = {
    ("refesh",): "30s",
    (*PANEL, "descripton"): "x",
    (*DEFAULTS, "unitt"): "s",
    (*DEFAULTS, "color", "mode"): "palette",
    ("templating", "list", 1, "refresh"): 3,
    (*PANEL, "options", "graphMode"): "areas",
    (*PANEL, "options", "graphmode"): "area",
    ("panels", 6, "fieldConfig", "defaults", "custom", "stacking", "mode"): "yes",
}


def changed(dashboard, path, value):
    found = copy.deepcopy(dashboard)
    *way, last = path
    part = found
    for key in way:
        part = part[key]
    part[last] = value
    return found


def test_what_grafana_does_not_have_is_found(grafana_schema, tmp_path):
    right = build()["service"]
    broken = {
        f"broken{number}": changed(right, path, value)
        for number, (path, value) in enumerate(BROKEN.items())
    }
    said = complaints(grafana_schema, tmp_path, broken)
    found = {line.partition(".ts(")[0] for line in said}
    assert found == {*broken}
