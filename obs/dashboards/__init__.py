"""Dashboards of Grafana for what obs and its user measure, and rules for Prometheus.

    _queries.py     what can be asked, in words of no backend
    _boards.py      a dashboard as it is thought of
    _service.py     _runtime.py _telemetry.py _fleet.py _own.py: the dashboards
    _grafana.py     _panels.py _units.py: how Grafana stores them
    _prometheus.py  _promql.py: how Prometheus is asked
    _influxdb.py    _influxql.py: how InfluxDB is
    _graphite.py    how Graphite is
    _rules.py       recording rules and alerts
    _files.py       all of it as files

Names of metrics and labels come from the catalogue, what they become from ``obs.naming``.
"""

from obs.dashboards._files import BACKENDS, Readable, build, files
from obs.dashboards._rules import rules

__all__ = ["BACKENDS", "Readable", "build", "files", "rules"]
