"""Dashboards can be imported, keep the linter's rules, and are what Grafana's SDK reads."""

import copy
import json

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from obs._obs import Obs
from obs.dashboards import BACKENDS, build
from obs.dashboards._grafana import uid_of
from tests.dashboards.linter import hinders_import, lint, panels_of

NOT_IN_GRAFANA = ("auto", "auto_count", "auto_min")
"""What the SDK adds to each variable, and the types of Grafana 11.6 do not have."""


def instance():
    tel = Obs("checkout", runtime=False)
    tel.counter("orders.placed", "Orders placed.", labels=("channel",))
    tel.gauge("cart.size", "Carts.", unit="By")
    tel.metrics.updown("carts.open")
    tel.metrics.info("build", "What runs.", labels=("version",))
    tel.histogram("charge.wait", "Waiting.", unit="s", labels=("provider",))
    return tel


ALL = [
    (backend, board)
    for backend in BACKENDS
    for boards in (
        build(backend=backend),
        build(instance(), backend=backend, service="checkout"),
    )
    for board in boards.values()
]


@pytest.fixture(params=ALL, ids=lambda it: f"{it[0]}-{it[1]['uid']}")
def dashboard(request):
    return copy.deepcopy(request.param[1])


def test_it_can_be_imported(dashboard):
    assert list(hinders_import(dashboard)) == []


def test_those_of_prometheus_keep_the_linters_rules():
    for backend, board in ALL:
        if backend == "prometheus":
            assert lint(board) == [], board["title"]


def test_every_panel_has_a_title_and_a_help(dashboard):
    for panel in panels_of(dashboard):
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == dashboard["templating"]["list"][1]["datasource"]


def test_it_is_the_same_after_a_round_trip_through_grafanas_own_types(dashboard):
    read = Dashboard.from_json(copy.deepcopy(dashboard))
    written = json.loads(JSONEncoder().encode(read))
    for variable in written["templating"]["list"]:
        for key in NOT_IN_GRAFANA:
            del variable[key]
    assert written == dashboard


def test_it_is_json(dashboard):
    assert json.loads(json.dumps(dashboard, allow_nan=False)) == dashboard


def test_all_uids_differ():
    uids = [board["uid"] for _, board in ALL]
    assert len({*uids}) == len(uids) == 9 * len(BACKENDS)


def test_the_others_are_a_click_away(dashboard):
    (link,) = dashboard["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == dashboard["tags"]
    assert link["includeVars"]
    assert link["keepTime"]


def test_only_the_fleet_shows_all_services_at_once():
    for key, board in build().items():
        job = board["templating"]["list"][1]
        assert (job["name"], job["includeAll"]) == ("job", key == "fleet")
        assert "current" not in job


def test_those_of_a_service_begin_with_it():
    for key, board in build(instance(), service="checkout").items():
        job = board["templating"]["list"][1]
        assert job["current"]["value"] == ["checkout"]
        assert board["uid"] == uid_of("obs", "prometheus", key, "checkout")
        assert board["title"].startswith("checkout: ")
        assert board["tags"] == ["obs", "prometheus", "checkout"]


@pytest.mark.parametrize(
    ("parts", "uid"),
    [
        (("obs", "service", ""), "obs-service"),
        (("obs", "service", "checkout_2"), "obs-service-checkout_2"),
        (("obs", "service", "the shop"), "obs-service-the-shop-0b0391ec"),
        (("obs", "own", "x" * 40), f"obs-own-{'x' * 23}-ea17c207"),
    ],
)
def test_a_uid_has_forty_characters_at_most_of_those_allowed(parts, uid):
    assert uid_of(*parts) == uid
    assert len(uid) <= 40


@pytest.mark.parametrize(
    ("service", "tag"),
    [
        ("a" * 50, "a" * 50),
        ("a" * 51, f"{'a' * 31}-bfc5fe0e"),
        ("\u00e4" * 25, "\u00e4" * 25),
        ("\u00e4" * 26, f"{'-' * 26}-556842e9"),
    ],
)
def test_a_tag_has_fifty_bytes_at_most(service, tag):
    board = build(service=service)["service"]
    assert board["tags"] == ["obs", "prometheus", tag]
    assert board["links"][0]["tags"] == board["tags"]


def test_names_that_look_alike_have_uids_that_do_not():
    assert uid_of("the shop") != uid_of("the/shop")


def change(path, value):
    def changed(dashboard):
        *way, last = path
        for key in way:
            dashboard = dashboard[key]
        dashboard[last] = value

    return changed


PANEL = ("panels", 1)
TARGET = (*PANEL, "targets", 0)
VARIABLE = ("templating", "list", 1)
RATE = 'rate(x{job=~"$job", instance=~"$instance"}[%s])'


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("editable",), True, "uneditable-dashboard"),
        (("templating", "list", 0, "query"), "loki", "template-datasource-rule"),
        (("templating", "list", 0, "label"), "DS", "template-datasource-rule label"),
        ((*VARIABLE, "allValue"), None, "template-job-rule"),
        (("templating", "list", 2, "multi"), False, "template-instance-rule"),
        ((*VARIABLE, "refresh"), 1, "template-on-time-change-reload-rule job"),
        ((*VARIABLE, "query"), "jobs", "template-label-promql-rule job"),
        ((*PANEL, "datasource"), {"uid": "p"}, "panel-datasource-rule Calls"),
        ((*PANEL, "description"), "", "panel-title-description-rule Calls"),
        ((*PANEL, "targets"), [], "panel-no-targets-rule Calls"),
        (
            (*PANEL, "fieldConfig", "defaults", "unit"),
            "secs",
            "panel-units-rule secs Calls",
        ),
        ((*TARGET, "expr"), 'x{instance=~"$instance"}', "target-job-rule Calls"),
        ((*TARGET, "expr"), 'x{job=~"$job"}', "target-instance-rule Calls"),
        ((*TARGET, "expr"), RATE % "5m", "target-rate-interval-rule Calls"),
        (
            (*TARGET, "expr"),
            'x_total{job=~"$job", instance=~"$instance"}',
            "target-counter-agg-rule Calls",
        ),
    ],
)
def test_the_linter_finds_what_is_broken(path, value, rule):
    broken = build()["service"]
    change(path, value)(broken)
    assert lint(broken) == [rule]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("uid",), "a b", "uid"),
        (("title",), "", "title or id"),
        (("schemaVersion",), None, "schemaVersion"),
        ((*PANEL, "id"), 1, "two panels have one id"),
        (
            (*TARGET, "datasource", "uid"),
            "mine",
            "a data source that is not the chosen one",
        ),
        ((*TARGET, "refId"), "", "refIds of Calls"),
        ((*PANEL, "gridPos", "x"), 20, "Calls stands out"),
        ((*PANEL, "gridPos", "x"), 6, "Failed lies on Calls"),
    ],
)
def test_what_hinders_an_import_is_found(path, value, says):
    broken = build()["service"]
    change(path, value)(broken)
    assert says in list(hinders_import(broken))


def test_nothing_is_asked_twice_in_one_panel(dashboard):
    for panel in panels_of(dashboard):
        asked = [
            {key: value for key, value in target.items() if key != "refId"}
            for target in panel["targets"]
        ]
        assert all(asked.count(each) == 1 for each in asked)


def test_what_prometheus_alone_can_answer_has_something_else_in_its_place():
    titles = {
        backend: [
            panel["title"] for panel in panels_of(build(backend=backend)["service"])
        ]
        for backend in BACKENDS
    }
    assert "p95 by operation" in titles["prometheus"]
    assert "Mean duration by operation" not in titles["prometheus"]
    assert "p95 by operation" not in titles["influxdb"]
    assert "Mean duration by operation" in titles["influxdb"]
    assert "p95 by operation" in titles["graphite"]


def test_a_row_without_panels_is_no_row():
    rows = [it["title"] for it in build()["fleet"]["panels"] if it["type"] == "row"]
    assert rows == ["Instances", "Outliers"]
    graphite = build(backend="graphite")["fleet"]["panels"]
    assert [it["title"] for it in graphite if it["type"] == "row"] == ["Instances"]


def test_steps_are_as_long_as_pushes_are_apart():
    for backend, board in ALL:
        intervals = {panel.get("interval") for panel in panels_of(board)}
        assert intervals == {"10s" if backend == "influxdb" else None}


def test_rates_shares_and_durations_begin_at_zero_and_gauges_where_they_are():
    panels = {
        (key, panel["title"]): panel["fieldConfig"]["defaults"].get("custom", {})
        for key, board in build().items()
        for panel in panels_of(board)
    }
    for where in (
        ("service", "Calls by operation"),
        ("service", "Failed by operation"),
        ("service", "Latency"),
        ("runtime", "CPU"),
        ("fleet", "Instances by version"),
        ("fleet", "Resident memory"),
    ):
        assert panels[where]["axisSoftMin"] == 0
    for title in ("Resident memory", "Uptime"):
        assert "axisSoftMin" not in panels["runtime", title]
