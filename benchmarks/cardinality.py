"""A label that somebody else chooses: 10^6 values of it on one decorated endpoint."""

import gc
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import psutil

from benchmarks._harness import OBS, Figure, Report, Stopwatch, goal_met, table
from obs import Obs
from obs_exporters import PrometheusExporter

SIZE = 1_000_000
GOAL_BYTES = 8 * 1024 * 1024
INSIDE = 1_000
"""Label values that fit; behind the limit the sum goes on in the overflow series."""
_BATCH = 1_000


def run(*, quick: bool) -> Report:
    """Measure memory twice, traced and resident, each in a process of its own."""
    count = SIZE // 20 if quick else SIZE
    traced = _in_a_process("traced", count)
    resident = _in_a_process("resident", count)
    growth = [
        ["growth, tracemalloc", traced["bytes"]],
        ["growth, resident", resident["bytes"]],
    ]
    lines: list[list[object]] = [["one decorated endpoint", "measured", "goal"]]
    for what, size in growth:
        met = goal_met(size <= GOAL_BYTES)
        lines.append([what, f"{size / 2**20:.1f} MiB", f"at most 8 MiB, {met}"])
    calls = traced["calls"]
    met = goal_met(calls == count == resident["calls"])
    lines.append(["calls on the page", f"{calls:,.0f}", f"{count:,}, {met}"])
    lines.append(["a call, its label value known", f"{resident['inside']:,.0f} ns", ""])
    lines.append(["a call, past the limit", f"{resident['past']:,.0f} ns", ""])
    lines.append(["the page afterwards", f"{resident['page']:.1f} ms", ""])
    report = Report([table(f"{count:,} values of one label", lines)])
    report.figures = [
        *[Figure(str(what), OBS, size, unit="B") for what, size in growth],
        Figure("a call, its label value known", OBS, resident["inside"]),
        Figure("a call, past the limit", OBS, resident["past"]),
        Figure("the page afterwards", OBS, resident["page"], unit="ms"),
    ]
    return report


def _in_a_process(how: str, count: int) -> dict[str, float]:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.cardinality", how, str(count)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the warning, once
        text=True,
        check=True,
    )
    pairs = [line.split() for line in result.stdout.splitlines()]
    return {name: float(value) for name, value in pairs}


def _measure(how: str, count: int) -> None:
    exporter = PrometheusExporter(port=None)
    tel = Obs("benchmarks", runtime=False, exporters=[exporter])
    tel.start()

    @tel.endpoint("endpoint", labels=("user",))
    def endpoint(user: str) -> None:
        pass

    exporter.page()
    gc.collect()
    if how == "traced":
        tracemalloc.start()
    before = _bytes(how)
    inside = _least(endpoint, range(INSIDE), repeat=20)
    past = _least(endpoint, range(INSIDE, count))
    body = exporter.page().body
    del body
    gc.collect()
    print("bytes", _bytes(how) - before)
    tracemalloc.stop()
    watch = Stopwatch("page", OBS)
    for _ in range(20):
        watch.time(exporter.page)
    (family,) = [f for f in tel.snapshot() if f.name == "operation.duration"]
    calls = sum(sum(counts) for block in family.blocks for counts in block.counts)
    print("calls", calls - 19 * INSIDE)
    print("inside", inside)
    print("past", past)
    print("page", watch.figure().value)


def _least(endpoint, users: range, repeat: int = 1) -> float:
    """Call with each user, and give the least time of one call, in ns."""
    least = float("inf")
    now = time.perf_counter_ns
    for first in range(users.start, users.stop, _BATCH):
        names = [f"user-{i}" for i in range(first, min(first + _BATCH, users.stop))]
        for _ in range(repeat):
            start = now()
            for name in names:
                endpoint(name)
            least = min(least, (now() - start) / len(names))
    return least


def _bytes(how: str) -> int:
    if how == "traced":
        return tracemalloc.get_traced_memory()[0]
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2]))
