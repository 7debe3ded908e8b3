"""What a fresh interpreter pays until there is something to record with."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    PROMETHEUS,
    Figure,
    Report,
    goal_met,
    table,
)

BARE = "bare interpreter"
STATEMENTS = {
    BARE: "pass",
    OBS: 'from obs import Obs; Obs("x", runtime=False)',
    "obs, runtime=True": 'from obs import Obs; Obs("x")',
    "obs and PrometheusExporter": (
        "from obs import Obs; from obs_exporters import PrometheusExporter; "
        'Obs("x", runtime=False, exporters=[PrometheusExporter(port=None)])'
    ),
    PROMETHEUS: 'from prometheus_client import Counter; Counter("x", "x")',
    OPENTELEMETRY: (
        "from opentelemetry.sdk.metrics import MeterProvider; "
        'MeterProvider().get_meter("x")'
    ),
}
NEEDS = {PROMETHEUS: "prometheus_client", OPENTELEMETRY: "opentelemetry"}
GOAL_MS = 30
ROOT = Path(__file__).parents[1]
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")


def run(*, quick: bool) -> Report:
    """Start interpreters in turn; the least time of each counts."""
    report = Report()
    missing = [name for name, module in NEEDS.items() if find_spec(module) is None]
    report.notes = [f"left out, for it is not installed: {name}" for name in missing]
    names = [name for name in STATEMENTS if name not in missing]
    with tempfile.TemporaryDirectory() as cache:
        environment = _environment(cache)
        for name in names:
            _start(name, environment)  # compiles what it imports
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for _ in range(3 if quick else 15):
            for name in names:
                times[name].append(_start(name, environment))
        costs = _modules(OBS, environment, 3 if quick else 10)
        bare = _modules(BARE, environment, 1)
    lines = [["over a bare interpreter, minimum", "ms", "ms of CPU", "goal"]]
    least = {
        name: [min(column) for column in zip(*times[name], strict=True)]
        for name in names
    }
    for name in names[1:]:
        wall, cpu = [a - b for a, b in zip(least[name], least[BARE], strict=True)]
        goal = f"at most {GOAL_MS}, {goal_met(wall <= GOAL_MS)}" if name == OBS else ""
        lines.append([name, f"{wall:.1f}", f"{cpu:.1f}", goal])
        report.figures.append(Figure("import", name, wall, cpu, "ms"))
    report.tables.append(table("Import", lines))
    own = {name: cost for name, cost in costs.items() if name not in bare}
    costly = sorted(own.items(), key=lambda pair: -pair[1])[:10]
    rows = [["module", "ms of its own"], *[[n, f"{c / 1000:.2f}"] for n, c in costly]]
    total = sum(own.values()) / 1000
    report.tables.append(table("What costs most in obs", rows))
    report.notes.append(
        "where wall time is well above CPU time the machine was busy: run it again"
    )
    report.notes.append(
        f"{len(own)} modules, {total:.1f} ms; by -X importtime, which slows all of them"
    )
    return report


def _environment(cache: str) -> dict[str, str]:
    """Give an environment in which compiled files are kept and found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "exporters")])
    return {**kept, "PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": path}


def _start(name: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Give ms of wall time and of CPU time from start to end of an interpreter."""
    command = [sys.executable, "-c", STATEMENTS[name]]
    start = time.perf_counter_ns()
    process = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    wall = (time.perf_counter_ns() - start) / 1e6
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return wall, (used.ru_utime + used.ru_stime) * 1e3


def _modules(name: str, environment: Mapping[str, str], rounds: int) -> dict[str, int]:
    """Give what each module costs of its own in us, the least of several runs."""
    least: dict[str, int] = {}
    for _ in range(rounds):
        result = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", STATEMENTS[name]],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        for own, module in _LINE.findall(result.stderr):
            least[module] = min(int(own), least.get(module, int(own)))
    return least
