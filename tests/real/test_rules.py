"""Rules: promtool with their real windows, and a real Alertmanager with windows a 60th."""

import json
import re
import signal
from contextlib import ExitStack, contextmanager

import pytest

from obs.dashboards import files, rules
from tests.real.alerting import AlertingPrometheus, Alertmanager, webhook
from tests.real.conftest import _installed
from tests.real.demos import running_demo
from tests.real.servers import HOST, eventually

ALERTS = {rule["alert"]: rule for rule in rules()["groups"][1]["rules"]}
WHO = 'job="shop", instance="i"'
CALLS = f'operation_duration_seconds_count{{{WHO}, operation="pay", outcome="%s"}}'
BUCKET = f'operation_duration_seconds_bucket{{{WHO}, operation="pay", le="%s"}}'
IT = {f"obs_series{{{WHO}}}": "10x3000"}
FLAT = "100000000x480"
OPEN, LIMIT = f"process_open_fds{{{WHO}}}", f"process_max_fds{{{WHO}}}"
MEMORY = f"process_resident_memory_bytes{{{WHO}}}"
START = f"process_start_time_seconds{{{WHO}}}"
PAUSES = f'python_gc_pause_seconds_sum{{{WHO}, generation="2"}}'
LOST = f'obs_%s_total{{{WHO}, signal="traces", exporter="otlp", reason="%s"}}'
UP = f"up{{{WHO}}}"
SLOW = {
    BUCKET % "1": "0+50x60",
    BUCKET % "2.5": "0+100x60",
    BUCKET % "+Inf": "0+100x60",
}
LANE = {"signal": "traces", "exporter": "otlp"}
OPERATION = {"job": "shop", "operation": "pay"}
INSTANCE = {"job": "shop", "instance": "i"}

FIRES = {
    # Its series, the last minute without, a minute with, its labels, and what is said.
    "ObsHighErrorShare": (
        {
            CALLS % "ok": "0+54x60",
            CALLS % "error": "0+3x60",
            CALLS % "deadline_exceeded": "0+3x60",
        },
        (5, 7),
        OPERATION,
        "10% of the calls of pay in shop fail",
    ),
    "ObsLatencyAboveObjective": (
        {CALLS % "ok": "0+100x60", **SLOW},
        (10, 12),
        OPERATION,
        "95 % of the calls of pay in shop take up to 2.35s, more than 1 s",
    ),
    "ObsFileDescriptorsNearLimit": (
        {OPEN: "10x9 95x60", LIMIT: "100x70", **IT},
        (14, 16),
        INSTANCE,
        "i of shop has 95% of its file descriptors open",
    ),
    "ObsMemoryGrowth": (
        {MEMORY: f"{FLAT} 101000000+1000000x240", START: "7x800", **IT},
        (560, 570),
        INSTANCE,
        "i of shop has grown to 181.2MiB, half as much again within 6 hours",
    ),
    "ObsGcPauses": (
        {PAUSES: "0+6x60"},
        (12, 14),
        INSTANCE,
        "i of shop spends 10% of its time in pauses of the garbage collector",
    ),
    "ObsTelemetryDropping": (
        {LOST % ("dropped", "queue_full"): "0+1x60"},
        (5, 7),
        {**INSTANCE, **LANE, "reason": "queue_full"},
        "i of shop drops traces (queue_full otlp)",
    ),
    "ObsTelemetryRejected": (
        {LOST % ("rejected", "http_400"): "0+1x60"},
        (5, 7),
        {**INSTANCE, **LANE, "reason": "http_400"},
        "the backend of otlp refuses traces from i of shop (http_400)",
    ),
    "ObsTargetDown": (
        {UP: "1x9 0x60", f"obs_series{{{WHO}}}": "10x9"},
        (11, 13),
        INSTANCE,
        "i of shop cannot be scraped",
    ),
}
QUIET = {
    "few errors": (
        "ObsHighErrorShare",
        {CALLS % "ok": "0+97x60", CALLS % "error": "0+3x60"},
        30,
    ),
    "one failed call now and then": (
        "ObsHighErrorShare",
        {CALLS % "error": "0 0 0 0 0 1 1 1 1 1 2 2 2 2 2 3x30"},
        20,
    ),
    "calls below the objective": (
        "ObsLatencyAboveObjective",
        {CALLS % "ok": "0+100x60", **dict.fromkeys(SLOW, "0+100x60")},
        30,
    ),
    "descriptors to spare": (
        "ObsFileDescriptorsNearLimit",
        {OPEN: "85x60", LIMIT: "100x60", **IT},
        30,
    ),
    "descriptors of somebody else": (
        "ObsFileDescriptorsNearLimit",
        {OPEN: "95x60", LIMIT: "100x60"},
        30,
    ),
    "memory of a process that has just begun": (
        "ObsMemoryGrowth",
        {
            MEMORY: f"{FLAT} 101000000+1000000x240",
            START: "7x450 27000x350",
            **IT,
        },
        600,
    ),
    "memory that no longer grows": (
        "ObsMemoryGrowth",
        {MEMORY: f"{FLAT} 200000000x300", START: "7x800", **IT},
        640,
    ),
    "memory of somebody else": (
        "ObsMemoryGrowth",
        {MEMORY: f"{FLAT} 101000000+1000000x240", START: "7x800"},
        600,
    ),
    "short pauses": ("ObsGcPauses", {PAUSES: "0+2x60"}, 30),
    "what a route keeps away": (
        "ObsTelemetryDropping",
        {LOST % ("dropped", "filtered"): "0+1x60"},
        30,
    ),
    "what was lost long ago": (
        "ObsTelemetryDropping",
        {LOST % ("dropped", "queue_full"): "0 9x60"},
        30,
    ),
    "nothing rejected": (
        "ObsTelemetryRejected",
        {LOST % ("rejected", "http_400"): "7x60"},
        30,
    ),
    "somebody else's target down": ("ObsTargetDown", {UP: "0x60"}, 30),
    "a target that is gone for a day": (
        "ObsTargetDown",
        {UP: "1x9 0x3000", f"obs_series{{{WHO}}}": "10x9"},
        1500,
    ),
}


@pytest.fixture(scope="module", params=[2, 3])
def promtool(request):
    return request.getfixturevalue(f"promtool{request.param}")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(files()["rules.yml"], encoding="utf-8")
    return path


def expectation(name, minute, labels=None, summary=""):
    """Give what a test of promtool expects of an alert at a minute."""
    rule = ALERTS[name]
    fires = {
        "exp_labels": {**(labels or {}), **rule["labels"]},
        "exp_annotations": {**rule["annotations"], "summary": summary},
    }
    return {
        "eval_time": f"{minute}m",
        "alertname": name,
        "exp_alerts": [] if labels is None else [fires],
    }


def run(promtool, file, tests):
    path = file.with_name("tests.json")
    document = {
        "rule_files": [file.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "alert_rule_test": expected,
            }
            for series, expected in tests
        ],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return promtool.test_rules(path)


def test_the_rules_are_rules(promtool, file):
    assert promtool.check_rules(file) == []


@pytest.mark.parametrize(
    "service", ["shop", 'the "shop"', "a\\b: #", "\u017c\U0001f600"]
)
def test_the_rules_of_any_service_are_rules(service, promtool, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(files(service=service)["rules.yml"], encoding="utf-8")
    assert promtool.check_rules(path) == []


def test_every_alert_is_tried():
    assert [*FIRES] == [*ALERTS]
    assert {name for name, _, _ in QUIET.values()} == {*ALERTS}


def test_every_alert_fires_after_its_time(promtool, file):
    tests = [
        (series, [expectation(name, before), expectation(name, after, labels, summary)])
        for name, (series, (before, after), labels, summary) in FIRES.items()
    ]
    assert run(promtool, file, tests) == []


def test_no_alert_fires_for_what_is_none(promtool, file):
    tests = [
        (series, [expectation(name, minute)]) for name, series, minute in QUIET.values()
    ]
    assert run(promtool, file, tests) == []


@pytest.mark.parametrize("name", FIRES)
def test_an_alert_that_does_not_fire_would_be_found(name, promtool2, file):
    series, (_, after), _, _ = FIRES[name]
    assert run(promtool2, file, [(series, [expectation(name, after)])])


DEMO = """
import pathlib, sys
from obs.cli import main
from obs.cli.demo._shop import Shop

broken = pathlib.Path(sys.argv.pop(1))
Shop._ask_provider = lambda shop, number: "timed_out" if broken.exists() else "paid"
sys.exit(main())
"""
"""A demo whose payment provider is away as long as there is a file."""


@contextmanager
def demo(broken):
    """Run the demo; give the process, and the ports of its pages by service."""
    program = ("-c", DEMO, str(broken))
    with running_demo("--rate", "20", program=program) as (process, ports):
        try:
            yield process, ports
        finally:
            process.send_signal(signal.SIGCONT)


def scaled(text):
    """Give the rules with seconds in the place of minutes, minutes in that of hours."""
    shorter = {"m": "s", "h": "m"}
    text = re.sub(
        r'(?<=[\[" ])(\d+)([mh])(?=[\]" ])', lambda it: it[1] + shorter[it[2]], text
    )
    return text.replace("[1d]", "[24m]")


def test_windows_are_scaled_and_names_are_not():
    text = scaled(files()["rules.yml"])
    assert not re.search(r"\[\d+[hd]\]|for: \"\d+[hd]", text)
    assert "offset 6m and deriv(process_resident_memory_bytes[1m])" in text
    assert 'for: "5s"' in text
    assert "ratio_rate5m > 0.05" in text


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A demo that is scraped, and the alerts that came out of a webhook."""
    folder = tmp_path_factory.mktemp("rules")
    path = folder / "rules.yml"
    path.write_text(scaled(files()["rules.yml"]), encoding="utf-8")
    broken = folder / "broken"
    with ExitStack() as stack:
        port, alerts = stack.enter_context(webhook())
        manager = stack.enter_context(_installed(lambda: Alertmanager(port)))
        server = stack.enter_context(
            _installed(lambda: AlertingPrometheus(path, manager.port))
        )
        process, ports = stack.enter_context(demo(broken))
        for service, page in ports.items():
            server.scrape(service, f"{HOST}:{page}")
        for service in ports:
            server.wait_up(service)
        yield process, broken, alerts


def seen(alerts, **labels):
    """Give the states of an alert, in the order in which they came."""
    return [
        alert["status"] for alert in alerts if labels.items() <= alert["labels"].items()
    ]


def test_a_failure_reaches_a_webhook_and_so_does_its_end(live):
    _, broken, alerts = live
    it = {"alertname": "ObsHighErrorShare", "job": "shop", "operation": "Shop.charge"}
    broken.touch()
    eventually(lambda: "firing" in seen(alerts, **it), 60)
    (first, *_) = [alert for alert in alerts if it.items() <= alert["labels"].items()]
    assert first["labels"]["severity"] == "critical"
    assert re.fullmatch(
        r"[\d.]+% of the calls of Shop\.charge in shop fail",
        first["annotations"]["summary"],
    )
    assert first["annotations"]["runbook"].startswith("Dashboard Service, ")
    broken.unlink()
    eventually(lambda: seen(alerts, **it)[-1] == "resolved", 60)


def test_a_process_that_hangs_reaches_a_webhook_until_it_goes_on(live):
    process, _, alerts = live
    both = [{"alertname": "ObsTargetDown", "job": job} for job in ("shop", "orders")]
    assert not [state for it in both for state in seen(alerts, **it)]
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: all("firing" in seen(alerts, **it) for it in both), 60)
    process.send_signal(signal.SIGCONT)
    eventually(lambda: all(seen(alerts, **it)[-1] == "resolved" for it in both), 60)
