"""Statements measured side by side, and the tables that come out.

Each case is a statement compiled into a loop of its own, with its objects as local
variables. The cases of a group run in one process, in rounds of about a millisecond
each, in another order each round: what the machine does meanwhile hits them alike, so
their ratios hold where their nanoseconds do not.
"""

import gc
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

OBS = "obs"
PROMETHEUS = "prometheus_client"
OPENTELEMETRY = "opentelemetry-sdk"
PEERS = (PROMETHEUS, OPENTELEMETRY)
REFERENCE = "reference"

_LOOP = """
def make({names}):
    def loop(rounds, now):
        start = now()
        for _ in rounds:
            {statement}
        return now() - start
    return loop
"""
_ROUND_NS = 1_000_000
_MEANING = {
    "ns": "minimum (median of CPU time)",
    "ms": "CPU time, minimum (median)",
    "B": "bytes of one series",
}
T = TypeVar("T")


@dataclass(slots=True)
class Case:
    """One statement of one library.

    Attributes:
        operation: What it does; cases with the same operation are compared.
        library: Whose it is.
        statement: What is measured.
        objects: Its variables.
        minus: The operation of a reference case whose time is taken off.
        context: Where it runs; a new context, so no case meets another's current span.
    """

    operation: str
    library: str
    statement: str
    objects: Mapping[str, object]
    minus: str = ""
    context: Context = field(default_factory=Context)


@dataclass(slots=True)
class Figure:
    """One number that came out; ``median`` is its companion that a busy machine spares.

    Attributes:
        operation: What was done.
        library: By whom.
        value: The minimum, or the only number.
        median: The median of thread CPU time; of what is counted once, nothing.
        unit: Its unit.
    """

    operation: str
    library: str
    value: float
    median: float | None = None
    unit: str = "ns"


@dataclass(slots=True)
class Report:
    """What a group gives: tables in Markdown, the same as data, and what to know.

    Attributes:
        tables: Each with its heading.
        figures: What the tables were made of.
        notes: Peers that are missing, checks that were made.
    """

    tables: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Give everything as Markdown."""
        return "\n\n".join([*self.tables, *[f"- {note}" for note in self.notes]])

    def data(self) -> dict[str, object]:
        """Give everything as plain data."""
        return {"figures": [asdict(f) for f in self.figures], "notes": self.notes}


def gather(
    *makers: Callable[[], Iterable[Case]], report: Report | None = None
) -> list[Case]:
    """Give the cases of those makers whose library is installed."""
    cases: list[Case] = []
    for make in makers:
        try:
            cases.extend(make())
        except ImportError as error:
            if report is not None:
                report.notes.append(f"left out, for it is not installed: {error.name}")
    return cases


def inside(begin: Callable[[], object]) -> Context:
    """Give a context in which something has begun, such as a span, and never ends."""
    context = Context()
    context.run(begin)
    return context


def measure(cases: Sequence[Case], rounds: int) -> list[Figure]:
    """Measure all cases, interleaved: ns of one execution, net of an empty loop.

    Returns:
        For each case the minimum of wall time and the median of thread CPU time.
    """
    loops = [_compile("pass", {}), *[_compile(c.statement, c.objects) for c in cases]]
    runs = [Context().run, *[case.context.run for case in cases]]
    counts = [run(_calibrate, loop) for run, loop in zip(runs, loops, strict=True)]
    wall: list[list[float]] = [[] for _ in loops]
    cpu: list[list[float]] = [[] for _ in loops]
    order = list(range(len(loops)))
    shuffle = random.Random(1).shuffle
    gc.collect()
    gc.freeze()
    for turn in range(rounds):
        shuffle(order)
        for index in order:
            run, loop, count = runs[index], loops[index], counts[index]
            before = time.thread_time_ns()
            took = run(loop, itertools.repeat(None, count), time.perf_counter_ns)
            cpu[index].append((time.thread_time_ns() - before) / count)
            wall[index].append(took / count)
        if turn % 10 == 0:
            gc.collect()  # so that nobody pays for another's garbage
    gc.unfreeze()
    least = [min(times) for times in wall]
    middle = [statistics.median(times) for times in cpu]
    figures = [
        Figure(c.operation, c.library, least[i] - least[0], middle[i] - middle[0])
        for i, c in enumerate(cases, 1)
    ]
    references = {f.operation: f for f in figures if f.library == REFERENCE}
    return [
        _net(figure, references.get(case.minus))
        for figure, case in zip(figures, cases, strict=True)
    ]


class Stopwatch:
    """Times of the same thing done several times, for what is too long for a loop.

    Thread CPU time: hardly anything of this length runs through without being
    interrupted.

    Args:
        operation: What is done.
        library: By whom.
    """

    def __init__(self, operation: str, library: str) -> None:
        self._operation = operation
        self._library = library
        self._times: list[float] = []

    def time(self, function: Callable[[], T]) -> T:
        """Call it once, note how long it took, and give what it gave."""
        gc.collect()
        start = time.thread_time_ns()
        result = function()
        self._times.append((time.thread_time_ns() - start) / 1e6)
        return result

    def figure(self) -> Figure:
        """Give minimum and median, in ms."""
        least, middle = min(self._times), statistics.median(self._times)
        return Figure(self._operation, self._library, least, middle, "ms")


def compare(
    title: str,
    figures: Sequence[Figure],
    goals: Mapping[str, Mapping[str, float]],
    *,
    peers: Sequence[str] = PEERS,
) -> str:
    """Give a table with a line for each operation and how many times each peer needs.

    Args:
        title: Its heading.
        figures: What was measured.
        goals: For an operation, how many times a peer shall need at least.
        peers: The libraries that are compared with.
    """
    unit = figures[0].unit if figures else "ns"
    lines = [
        [
            f"{unit}, {_MEANING[unit]}",
            OBS,
            *peers,
            *[f"times {peer}" for peer in peers],
        ]
    ]
    found = {(f.operation, f.library): f for f in figures}
    for operation in dict.fromkeys(f.operation for f in figures):
        mine = found.get((operation, OBS))
        theirs = [found.get((operation, peer)) for peer in peers]
        goal = goals.get(operation, {})
        lines.append(
            [
                operation,
                _cell(mine or found.get((operation, REFERENCE))),
                *[_cell(their) for their in theirs],
                *[
                    _times(mine, their, goal.get(peer))
                    for their, peer in zip(theirs, peers, strict=True)
                ],
            ]
        )
    return table(title, lines)


def table(title: str, lines: Sequence[Sequence[object]]) -> str:
    """Give a Markdown table whose first line is its head."""
    head, *body = [[str(cell) for cell in line] for line in lines]
    rule = ["---", *["---:"] * (len(head) - 1)]
    rows = ["| " + " | ".join(row) + " |" for row in (head, rule, *body)]
    return "\n".join([f"### {title}", "", *rows])


def goal_met(is_met: bool) -> str:
    """Give the word that stands behind a goal."""
    return "met" if is_met else "**missed**"


def versions() -> str:
    """Give what was measured, in one line."""
    names = ("obs-sdk", *PEERS)
    found = [f"CPython {sys.version.split()[0]}"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def _compile(
    statement: str, objects: Mapping[str, object]
) -> Callable[[Iterable[None], Callable[[], int]], int]:
    source = _LOOP.format(names=", ".join(objects), statement=statement)
    scope: dict[str, Callable[..., Callable[..., int]]] = {}
    exec(compile(source, f"<{statement}>", "exec"), scope)
    return scope["make"](**objects)


def _calibrate(loop: Callable[[Iterable[None], Callable[[], int]], int]) -> int:
    count = 64
    while True:
        took = loop(itertools.repeat(None, count), time.perf_counter_ns)
        if took > _ROUND_NS / 3:
            return max(16, count * _ROUND_NS // took)
        count *= 4


def _net(figure: Figure, reference: Figure | None) -> Figure:
    if reference is not None and figure.median is not None:
        figure.value -= reference.value
        figure.median -= reference.median or 0.0
    return figure


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    digits = 0 if figure.value >= 1000 else 1
    text = f"{figure.value:,.{digits}f}"
    if figure.median is not None:
        text += f" ({figure.median:,.{digits}f})"
    return text


def _times(mine: Figure | None, their: Figure | None, goal: float | None) -> str:
    if mine is None or their is None:
        return "-"
    ratio = their.value / mine.value
    text = f"{ratio:.1f}"
    if goal is not None:
        text += f" (goal {goal:g}, {goal_met(ratio >= goal)})"
    return text
