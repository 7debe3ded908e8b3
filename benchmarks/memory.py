"""Bytes that a series costs, and a finished span; each number in a process of its own.

Counted by tracemalloc. One of three labels is another text for each series, and the texts
are made inside the measurement. It ends behind the first page: what is kept for the next
one counts. The spans are children of one that is running; each has three attributes, whose
values are made inside the measurement and are its own.
"""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    PROMETHEUS,
    Figure,
    Report,
    goal_met,
    table,
)
from benchmarks.page import COUNTERS, HISTOGRAMS, SIZES, ObsPage, PrometheusPage
from obs import Obs

GOALS = {COUNTERS: 0.55, HISTOGRAMS: 0.2}
SPANS = "finished spans"
SPAN_COUNT = 2_000
SPAN_GOAL = 700
Make: TypeAlias = Callable[[int], None]
"""Makes a span with three attributes of its own, and ends it."""
_PAGES: dict[str, Callable[..., ObsPage | PrometheusPage]] = {
    OBS: ObsPage,
    PROMETHEUS: PrometheusPage,
}


def run(*, quick: bool) -> Report:
    """Measure counters and histograms, then spans, of both libraries each."""
    report = Report()
    report.tables = [_series(report, quick=quick), _spans(report)]
    return report


def _series(report: Report, *, quick: bool) -> str:
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
            _note(report, kind, name, found)
    return table("Memory", lines)


def _spans(report: Report) -> str:
    lines = [["bytes of one span", OBS, OPENTELEMETRY, "share", "goal"]]
    names = (OBS, OPENTELEMETRY)
    mine, theirs = [_in_a_process(name, SPANS, SPAN_COUNT) for name in names]
    share = "-" if mine is None or theirs is None else f"{mine / theirs:.2f}"
    met = goal_met(mine is not None and mine <= SPAN_GOAL)
    what = "a finished span that waits, 3 attributes"
    goal = f"at most {SPAN_GOAL} bytes, {met}"
    lines.append([what, _shown(mine), _shown(theirs), share, goal])
    for name, found in zip(names, (mine, theirs), strict=True):
        _note(report, SPANS, name, found)
    return table("Memory of spans", lines)


def _note(report: Report, kind: str, library: str, found: float | None) -> None:
    if found is None:
        report.notes.append(f"left out, for it is not installed: {library}")
    else:
        report.figures.append(Figure(kind, library, found, unit="B"))


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


def _bytes_of(library: str, kind: str, count: int) -> float:
    if kind == SPANS:
        return _bytes_of_a_span(_SPANS[library], count)
    return _bytes_of_a_series(library, kind, count)


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


def _bytes_of_a_span(start: Callable[[list[object]], Make], count: int) -> float:
    kept: list[object] = []
    make = start(kept)
    for i in range(100):  # what is there once for all is not counted
        make(i)
    kept.clear()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(count):
        make(i)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    if len(kept) != count:
        raise RuntimeError(f"{len(kept)} spans of {count} were kept")
    return (after - before) / count


def _start_obs(kept: list[object]) -> Make:
    tel = Obs("benchmarks", runtime=False)
    tel.trace.sink = kept.append
    tel.span("root").__enter__()

    def make(i: int) -> None:
        with tel.span("child", number=1_000 + i, text=f"t{i:05}", share=i + 0.5):
            pass

    return make


def _start_opentelemetry(kept: list[object]) -> Make:
    from opentelemetry.context import attach
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import set_span_in_context

    class Keeper(SpanProcessor):
        def on_end(self, span: object) -> None:
            kept.append(span)

    provider = TracerProvider()
    provider.add_span_processor(Keeper())
    tracer = provider.get_tracer("benchmarks")
    attach(set_span_in_context(tracer.start_span("root")))

    def make(i: int) -> None:
        given = {"number": 1_000 + i, "text": f"t{i:05}", "share": i + 0.5}
        with tracer.start_as_current_span("child", attributes=given):
            pass

    return make


_SPANS = {OBS: _start_obs, OPENTELEMETRY: _start_opentelemetry}


if __name__ == "__main__":
    try:
        print(_bytes_of(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except ImportError:
        print()
