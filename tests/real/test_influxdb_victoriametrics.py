"""VictoriaMetrics takes our lines by both of InfluxDB's ways."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.model import Ack, MetricFamily
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.test_lines import families
from tests.real.influx import (
    HYPOTHESIS,
    Row,
    check_totals,
    payloads,
    send,
    workload,
)
from tests.real.servers import eventually
from tests.real.stores import VictoriaMetrics


@pytest.mark.parametrize("target", ["bucket", "database"])
def test_victoriametrics_has_the_totals(
    victoriametrics: VictoriaMetrics, target: str
) -> None:
    exporter = InfluxDBExporter(victoriametrics.url, **{target: f"by_{target}"})
    troubles = victoriametrics.troubles()
    workload(exporter)

    def last(metric: str, field: str) -> list[Row]:
        selector = f'{{__name__="{metric}_{field}"}}'
        return [
            Row(series.labels, max(series.points)[1])
            for series in victoriametrics.series(selector)
            if (series.labels.get("db") == "by_database") == (target == "database")
        ]

    eventually(lambda: check_totals(last))
    assert victoriametrics.troubles() == troubles == {}


@HYPOTHESIS
@given(st.lists(families(), min_size=1, max_size=3))
def test_victoriametrics_takes_whatever_hypothesis_finds(
    victoriametrics: VictoriaMetrics, some: list[MetricFamily]
) -> None:
    exporter = InfluxDBExporter(victoriametrics.url, bucket="b")
    for payload in payloads(exporter, some):
        assert send(exporter, payload) == Ack(payload.records)
    exporter.close(time.monotonic() + 1)
