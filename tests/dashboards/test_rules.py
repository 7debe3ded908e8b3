"""Rules; promtool and a real Prometheus try them in tests/real/test_rules.py."""

import math
import re

import pytest

from obs.dashboards import files, rules
from obs.errors import DefinitionError

ALERTS = [
    "ObsHighErrorShare",
    "ObsLatencyAboveObjective",
    "ObsFileDescriptorsNearLimit",
    "ObsMemoryGrowth",
    "ObsGcPauses",
    "ObsTelemetryDropping",
    "ObsTelemetryRejected",
    "ObsTargetDown",
]


def alerts(**arguments):
    found = rules(**arguments)["groups"][1]["rules"]
    return {rule["alert"]: rule for rule in found}


def test_the_alerts():
    assert [*alerts()] == ALERTS


def test_each_alert_says_what_is_wrong_and_what_to_do():
    for rule in alerts().values():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {*rule["annotations"]} == {"summary", "runbook"}
        assert "$labels.job" in rule["annotations"]["summary"]
        runbook = rule["annotations"]["runbook"]
        assert len(runbook) > 60
        assert runbook.endswith(".")
        assert "\n" not in runbook


def test_runbooks_name_panels_that_there_are():
    from obs.dashboards._files import BOARDS

    titles = {
        panel.title for board in BOARDS for row in board.rows for panel in row.panels
    }
    named = {
        name
        for rule in alerts().values()
        for name in re.findall(r"'([A-Z][^']*)'", rule["annotations"]["runbook"])
    }
    assert len(named) >= 5
    for name in named:
        assert any(title.startswith(name) for title in titles), name


def test_the_objective_of_latency_is_the_given_one():
    rule = alerts(latency_objective=0.25)["ObsLatencyAboveObjective"]
    assert ":p95_5m > 0.25 and " in rule["expr"]
    assert rule["annotations"]["summary"].endswith("more than 0.25 s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2, "2"), (0.1234567, "0.1234567"), (9.9999999, "9.9999999"), (1e-7, "1e-07")],
)
def test_the_objective_is_not_rounded(seconds, text):
    rule = alerts(latency_objective=seconds)["ObsLatencyAboveObjective"]
    assert f":p95_5m > {text} and " in rule["expr"]


@pytest.mark.parametrize(
    "seconds", [0, -1, math.nan, math.inf, 10, 30.0, "1", None], ids=repr
)
def test_an_objective_that_is_none_is_refused(seconds):
    text = (
        f"dashboards: latency_objective got {seconds!r}, needs a number of seconds "
        "above 0 and below 10, the last bound of operation.duration."
    )
    with pytest.raises(DefinitionError, match=f"^{re.escape(text)}$"):
        files(latency_objective=seconds)


def test_rules_of_a_service_are_about_its_job_alone():
    found = rules('the "shop"')
    assert [group["name"] for group in found["groups"]] == [
        'obs the "shop" recording',
        'obs the "shop" alerts',
    ]
    for group in found["groups"]:
        for rule in group["rules"]:
            names = re.findall(
                r"\b(?:\w+:)*(?:operation|process|python|obs|up)\w*", rule["expr"]
            )
            assert names
            assert rule["expr"].count('{job="the \\"shop\\""') >= 1
    down = alerts(service="shop")["ObsTargetDown"]
    assert down["expr"] == 'up{job="shop"} == 0'


def test_recording_rules_are_named_by_level_metric_and_operation():
    names = [rule["record"] for rule in rules()["groups"][0]["rules"]]
    assert names == [
        "job_operation:operation_duration_seconds_count:rate5m",
        "job_operation:operation_duration_seconds_failed:ratio_rate5m",
        "job_operation:operation_duration_seconds:p95_5m",
    ]
