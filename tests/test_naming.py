"""Names in Prometheus, and the catalogue's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import DefinitionError
from obs.catalog import CATALOG
from obs.naming import (
    check_label_names,
    check_metric_name,
    prometheus_label,
    prometheus_name,
    prometheus_unit,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,20}", fullmatch=True)
UNITS = st.sampled_from(
    ["", "s", "ms", "By", "1", "{order}", "By/s", "{x}/s", "%", "Cel", "zz"]
)


@pytest.mark.parametrize(
    ("name", "kind", "unit", "expected"),
    [
        ("orders.placed", "counter", "{order}", "orders_placed"),
        ("orders.placed_total", "counter", "", "orders_placed"),
        ("operation.duration", "histogram", "s", "operation_duration_seconds"),
        ("wait_seconds", "histogram", "s", "wait_seconds"),
        ("seconds", "gauge", "s", "seconds"),
        ("sent", "counter", "By", "sent_bytes"),
        ("speed", "gauge", "By/s", "speed_bytes_per_second"),
        ("requests", "gauge", "{request}/s", "requests_per_second"),
        ("cache.hit", "gauge", "1", "cache_hit_ratio"),
        ("hits", "counter", "1", "hits"),
        ("a..b", "gauge", "", "a_b"),
        ("build_info", "info", "", "build"),
        ("total", "counter", "", "total"),
        ("_total", "counter", "", "_total"),
    ],
)
def test_names_in_prometheus(name, kind, unit, expected):
    assert prometheus_name(name, kind, unit) == expected


@given(NAMES, st.sampled_from(["counter", "gauge", "histogram", "info"]), UNITS)
def test_every_name_becomes_one_that_prometheus_takes(name, kind, unit):
    check_metric_name(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prometheus_name(name, kind, unit))
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prometheus_label(name))


@given(st.text(max_size=20).filter(lambda text: not NAME.fullmatch(text)))
def test_what_is_no_name_is_refused_in_words(name):
    with pytest.raises(DefinitionError, match=r"(?s)^metric .*\.$"):
        check_metric_name(name)


def test_units_of_prometheus():
    assert prometheus_unit("gauge", "1") == "ratio"
    assert prometheus_unit("histogram", "1") == ""
    assert prometheus_unit("counter", "{order}") == ""
    assert prometheus_unit("gauge", "m/s") == "meters_per_second"


@pytest.mark.parametrize("builtin", CATALOG.values(), ids=list(CATALOG))
def test_the_catalogue_keeps_its_own_rules(builtin):
    check_metric_name(builtin.name)
    check_label_names(f"metric {builtin.name!r}", builtin.labels, builtin.kind)
    assert builtin.help.endswith(".")
    assert set(builtin.prometheus_labels) <= set(builtin.labels)


def test_the_classical_names():
    names = {
        name: builtin.prometheus or prometheus_name(name, builtin.kind, builtin.unit)
        for name, builtin in CATALOG.items()
    }
    suffix = {"counter": "_total", "info": "_info"}
    on_the_page = {
        names[name] + suffix.get(builtin.kind, "")
        for name, builtin in CATALOG.items()
        if builtin.prometheus != "-"
    }
    assert len(on_the_page) == len(CATALOG) - 1
    assert on_the_page >= {
        "operation_duration_seconds",
        "operation_in_flight",
        "http_server_request_duration_seconds",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
        "python_gc_collections_total",
        "python_gc_objects_collected_total",
        "python_gc_objects_uncollectable_total",
        "python_gc_pause_seconds",
        "python_info",
        "asyncio_loop_lag_seconds",
        "asyncio_tasks",
        "pipeline_stage_duration_seconds",
        "queue_depth",
        "queue_wait_duration_seconds",
        "slo_objective_ratio",
        "slo_events_total",
        "log_records_total",
        "obs_dropped_total",
        "obs_series",
    }
