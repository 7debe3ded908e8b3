"""Bytes that a series costs, by tracemalloc, each measurement in a process of its own.

One of three labels is another text for each series, and the texts are made inside the
measurement. It ends behind the first page: what is kept for the next one counts.
"""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from benchmarks._harness import OBS, PROMETHEUS, Figure, Report, goal_met, table
from benchmarks.page import COUNTERS, HISTOGRAMS, SIZES, ObsPage, PrometheusPage

GOALS = {COUNTERS: 0.55, HISTOGRAMS: 0.2}
_PAGES: dict[str, Callable[..., ObsPage | PrometheusPage]] = {
    OBS: ObsPage,
    PROMETHEUS: PrometheusPage,
}


def run(*, quick: bool) -> Report:
    """Measure both libraries, counters and histograms."""
    report = Report()
    lines = [["bytes of one series", OBS, PROMETHEUS, "share", "goal"]]
    for kind, size in SIZES.items():
        count = size // 20 if quick else size
        mine, theirs = [_in_a_process(name, kind, count) for name in _PAGES]
        line = [f"{count:,} {kind}", *[_shown(found) for found in (mine, theirs)]]
        if mine is None or theirs is None:
            line += ["-", "-"]
        else:
            share, goal = mine / theirs, GOALS[kind]
            line += [f"{share:.2f}", f"at most {goal}, {goal_met(share <= goal)}"]
        lines.append(line)
        for name, found in zip(_PAGES, (mine, theirs), strict=True):
            if found is None:
                report.notes.append(f"left out, for it is not installed: {name}")
            else:
                report.figures.append(Figure(kind, name, found, unit="B"))
    report.tables.append(table("Memory", lines))
    return report


def _shown(found: float | None) -> str:
    return "-" if found is None else f"{found:,.0f}"


def _in_a_process(library: str, kind: str, count: int) -> float | None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", library, kind, str(count)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(result.stdout) if result.stdout.strip() else None


def _bytes_of_a_series(library: str, kind: str, count: int) -> float:
    make = _PAGES[library]
    make(kind, [("a", "b", "c")]).render()  # what is there once for all is not counted
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    page = _filled(make, kind, count)
    page.render()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return (after - before) / count


def _filled(
    make: Callable[..., ObsPage | PrometheusPage], kind: str, count: int
) -> ObsPage | PrometheusPage:
    rows = [("GET", f"/api/v1/items/{i}", "200") for i in range(count)]
    page = make(kind, rows)
    page.record(0.3)
    page.forget()
    return page


if __name__ == "__main__":
    try:
        print(_bytes_of_a_series(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except ImportError:
        print()
