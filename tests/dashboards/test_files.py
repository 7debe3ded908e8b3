"""Dashboards and rules as files."""

import json
import re

import pytest

from obs._obs import Obs
from obs.dashboards import BACKENDS, build, files
from obs.errors import DefinitionError


def test_a_backend_that_there_is_not_is_refused():
    text = (
        "dashboards: backend got 'influx', needs one of prometheus, influxdb, graphite."
    )
    with pytest.raises(DefinitionError, match=f"^{re.escape(text)}$"):
        build(backend="influx")
    with pytest.raises(DefinitionError, match=r"^dashboards: backend got \['x'\], "):
        build(backend=["x"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_dashboard_is_a_file(backend):
    tel = Obs("checkout", runtime=False)
    tel.counter("orders.placed")
    found = files(tel, backend=backend, service="checkout")
    built = build(tel, backend=backend, service="checkout")
    assert [*built] == ["service", "runtime", "telemetry", "fleet", "own"]
    for key, dashboard in built.items():
        assert json.loads(found[f"{key}.json"]) == dashboard
        assert found[f"{key}.json"].endswith("}\n")


def test_only_prometheus_has_rules():
    for backend in BACKENDS:
        assert ("rules.yml" in files(backend=backend)) == (backend == "prometheus")


def test_the_provisioning_folder_says_where_they_are():
    assert files(backend="influxdb")["provisioning/dashboards/obs-influxdb.yml"] == (
        "apiVersion: 1\n"
        "providers:\n"
        '  - name: "obs influxdb"\n'
        '    folder: "obs influxdb"\n'
        "    type: file\n"
        "    options:\n"
        '      path: "/var/lib/grafana/dashboards/obs/influxdb"\n'
    )
    [(name, of_one)] = [
        it
        for it in files(service="the shop").items()
        if it[0].startswith("provisioning/")
    ]
    assert name.startswith("provisioning/dashboards/obs-prometheus-the-shop-")
    assert '  - name: "obs prometheus the shop"\n' in of_one
    assert 'path: "/var/lib/grafana/dashboards/obs/prometheus-the-shop-' in of_one
