"""Line injection: what may come between any two lines does come at every line.

A signal handler, a collector callback, ``__del__``, another thread, an exception or a
fork may come at any line of the package. Each line that a recording call executes is a
point; at each point each mode does one of these, deterministically, by a trace function:

``nested``     all calls again, on the same thread (signal, collector, ``__del__``)
``switch``     all calls on another thread, while this one stands at the line
``raise``      KeyboardInterrupt; then the call again
``fork``       all calls, then a fork on this thread; both processes go on
``fork_away``  a fork on another thread; in the child this one is gone

Afterwards the call is made again, and the numbers must agree with what was made: an
exception leaves its own call counted 0 or 1, everything else is exact. A process that
does not go on is reported with its point, and killed.

Lines, not opcodes: CPython does none of this inside the regions that ``test_atomicity``
proves, so an injection there would find what cannot happen.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import FrameType
from typing import Any, NamedTuple

from tests.survival.processes import HANGS, SECONDS, Ended, Fork, in_fresh

PROCESSES = min(4, os.cpu_count() or 1)
POINTS_PER_PROCESS = 50
"""With fewer, a second process costs more than it gives."""
Problems = list[str]


class Place(NamedTuple):
    """A line, and where its function was called from.

    Attributes:
        file: The file, relative to the package.
        line: The line.
        function: The function.
        caller: The file and line that the function was called from.
    """

    file: str
    line: int
    function: str
    caller: str


class Point(NamedTuple):
    """A line that a call executes.

    Attributes:
        call: The call.
        warm: Whether the call was made once before.
        before: How often the call executes this place before it counts. Not which line
            of the whole call it is: a walk up the stack has more lines on a deeper one.
        file: As in ``Place``, as are the others.
    """

    call: str
    warm: bool
    before: int
    file: str
    line: int
    function: str
    caller: str

    @property
    def place(self) -> Place:
        """The line without the call."""
        return Place(self.file, self.line, self.function, self.caller)


class Finding(NamedTuple):
    """What went wrong at a point."""

    mode: str
    point: Point
    problem: str

    def __str__(self) -> str:
        point = self.point
        again = ", made again" if point.warm else ""
        return (
            f"{self.mode} at {point.file}:{point.line} ({point.function}), called from "
            f"{point.caller} in {point.call!r}{again}: {self.problem}"
        )


class Tracer:
    """Calls ``at_line`` at each line of a package that this thread executes.

    Args:
        folder: Only files below it are looked at.
        at_line: Gets the frame. What it does is not traced; what it raises is raised at
            that line.
    """

    def __init__(self, folder: str, at_line: Callable[[FrameType], None]) -> None:
        self._folder = folder
        self._at_line = at_line

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *exc_info: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(self._folder):
            return None
        if event == "line":
            self._at_line(frame)
        return self._trace


def place_of(frame: FrameType, folder: str) -> Place:
    """Give the place where a frame stands."""
    code, back = frame.f_code, frame.f_back
    assert back is not None
    file = code.co_filename.removeprefix(folder) or os.path.basename(folder)
    caller = f"{os.path.basename(back.f_code.co_filename)}:{back.f_lineno}"
    return Place(file, frame.f_lineno, code.co_name, caller)


def find_points(setup: str) -> list[Point]:
    """Give the points of all calls.

    They are the lines that a call executes: for each place that the line's function is
    called from, where the line comes first and where it comes last.

    Args:
        setup: ``module:function args``; it gives a package's folder, the names of the
            calls, and what makes a fresh world.
    """
    return [Point(*point) for point in in_fresh(f"{__name__}:_find_points", setup)]


def thinned(points: Iterable[Point], place: Callable[[Point], object]) -> list[Point]:
    """Leave one point, the first, of those that are at one place."""
    first: dict[object, Point] = {}
    for point in points:
        first.setdefault(place(point), point)
    return list(first.values())


def _find_points(setup: str) -> Iterator[Point]:
    folder, calls, make_world = _set_up(setup)
    _collect_when_told()
    for call in calls:
        seen: set[Place] = set()
        for warm in (False, True):
            world = make_world()
            if warm:
                world.make(call)
            times = _times_of(world, call, folder)
            for place in [place for place in times if place not in seen]:
                for before in dict.fromkeys((0, times[place] - 1)):
                    yield Point(call, warm, before, *place)
            seen |= times.keys()
        gc.collect()


def _times_of(world: Any, call: str, folder: str) -> Counter[Place]:
    """Give how often a call executes which place."""
    times: Counter[Place] = Counter()
    with Tracer(folder, lambda frame: times.update([place_of(frame, folder)])):
        world.make(call)
    return times


def _collect_when_told() -> None:
    """Have no collection begin by itself.

    Its callbacks and finalizers would be lines of the call it comes in: another one each
    time.
    """
    gc.disable()
    gc.freeze()


def _made_apart(world: Any, call: str) -> Iterator[None]:
    """Make a call in a generator, which has a state of exceptions of its own.

    What is raised at the line of an ``except`` leaves that state as it is in CPython 3.11:
    the caught exception would be the context of all that this thread raises later.
    """
    yield world.make(call)


class Injection:
    """One point, tried in one mode.

    Args:
        world: A fresh one.
        point: Where.
        folder: The package's folder.
        seconds: How long a child may take.
    """

    def __init__(self, world: Any, point: Point, folder: str, seconds: float) -> None:
        self.world = world
        self._seconds = seconds
        self.call = point.call
        self._point = point
        self._folder = folder
        self.problems: Problems = []
        self.reached = False
        if point.warm:
            world.make(point.call)

    def run(self, do: Callable[[], None], *, raising: bool = False) -> None:
        """Make the call, and ``do`` what the mode does at the point."""
        left = self._point.before

        def at_line(frame: FrameType) -> None:
            nonlocal left
            if self.reached or not self._is_there(frame):
                return
            if left:
                left -= 1
                return
            sys.settrace(None)
            self.reached = True
            do()

        try:
            with Tracer(self._folder, at_line):
                next(_made_apart(self.world, self.call))
            if raising and self.reached:
                self.problems.append("the exception was swallowed")
        except KeyboardInterrupt:
            if not raising:
                raise
        except Exception:
            self.problems.append(f"the call raised\n{traceback.format_exc()}")
        if not self.reached:
            self.problems.append("the point was not reached")

    def _is_there(self, frame: FrameType) -> bool:
        point = self._point
        # Nearly every line is another one, and a whole place takes longer to find out.
        if (frame.f_lineno, frame.f_code.co_name) != (point.line, point.function):
            return False
        return place_of(frame, self._folder) == point.place

    def guarded(self, do: Callable[[], object]) -> None:
        """Do something inside the hook, where an exception would look like the call's."""
        try:
            do()
        except BaseException:
            self.problems.append(f"raised there\n{traceback.format_exc()}")

    def verdict(self, maybe: str = "") -> Problems:
        """Say what is wrong, also after the call was made again."""
        before = self.world.problems(maybe)
        self.guarded(lambda: self.world.make(self.call))
        return list(dict.fromkeys(self.problems + before + self.world.problems(maybe)))

    def child_problems(self, forks: list[Fork]) -> Problems:
        """In the parent: say what is wrong in the child."""
        try:
            return [
                f"in the child: {p}" for f in forks for p in f.result(self._seconds)
            ]
        except Ended as ended:
            return [f"in the child: {ended}"]


def nested(injection: Injection) -> Problems:
    injection.run(lambda: injection.guarded(injection.world.make_all))
    return injection.verdict()


def switch(injection: Injection) -> Problems:
    def make_beside() -> None:
        injection.guarded(lambda: injection.world.make_all(beside=injection.call))

    def on_another_thread() -> None:
        other = threading.Thread(target=make_beside)
        other.start()
        other.join()

    injection.run(on_another_thread)
    return injection.verdict()


def raise_(injection: Injection) -> Problems:
    def interrupt() -> None:
        raise KeyboardInterrupt

    injection.run(interrupt, raising=True)
    return injection.verdict(maybe=injection.call)


def fork(injection: Injection) -> Problems:
    forks: list[Fork] = []

    def fork_here() -> None:
        injection.guarded(injection.world.make_all)
        forks.append(Fork())
        if forks[0].is_child:
            injection.world.forked()

    def go_on_in_child() -> Problems:
        # The call that the fork came in may have counted before it, in the parent.
        injection.world.forked()
        return in_child(injection, maybe=injection.call)

    try:
        injection.run(fork_here)
    finally:
        if forks and forks[0].is_child:
            forks[0].answer(go_on_in_child)
    return injection.child_problems(forks) + injection.verdict()


def fork_away(injection: Injection) -> Problems:
    stands, go_on = threading.Event(), threading.Event()

    def stand() -> None:
        stands.set()
        go_on.wait()

    def work() -> None:
        injection.run(stand)
        stands.set()

    # In a copy: the lines of a call depend on the span that the one before left current.
    thread = threading.Thread(target=copy_context().run, args=[work])
    thread.start()
    stands.wait()
    forks = [Fork()]
    if forks[0].is_child:
        injection.world.forked()
        forks[0].answer(lambda: in_child(injection))
    problems = injection.child_problems(forks)
    go_on.set()
    thread.join()
    return problems + injection.verdict()


def in_child(injection: Injection, maybe: str = "") -> Problems:
    before = injection.world.problems(maybe)
    injection.guarded(injection.world.make_all)
    problems = injection.problems + before + injection.world.problems(maybe)
    return list(dict.fromkeys(problems))


MODES: dict[str, Callable[[Injection], Problems]] = {
    "nested": nested,
    "switch": switch,
    "raise": raise_,
    "fork": fork,
    "fork_away": fork_away,
}


def inject(
    setup: str, mode: str, points: Sequence[Point], *, seconds: float = SECONDS
) -> list[Finding]:
    """Try a mode at some points, and give what is wrong.

    Args:
        setup: What the points were found with.
        mode: One of ``MODES``.
        points: Where.
        seconds: How long a point may take before it counts as hanging.
    """
    processes = min(PROCESSES, 1 + len(points) // POINTS_PER_PROCESS)
    shares = [points[i::processes] for i in range(processes)]
    with ThreadPoolExecutor(processes) as threads:
        found = threads.map(lambda share: _watch(setup, mode, share, seconds), shares)
        return [finding for findings in found for finding in findings]


def _watch(
    setup: str, mode: str, points: Sequence[Point], seconds: float
) -> list[Finding]:
    """Run one process, and another from the next point on where one dies.

    What comes after a point that hangs is not tried: it would take too long.
    """
    findings: list[Finding] = []
    begun = 0
    while True:
        target = f"{__name__}:_try_all"
        left = points[begun:]
        tried = in_fresh(target, setup, mode, left, seconds, idle=2 * seconds)
        before = begun
        try:
            for problem in tried:
                if problem is None:
                    begun += 1
                    continue
                findings.append(Finding(mode, points[begun - 1], problem))
                if problem.endswith(HANGS):
                    tried.close()
                    return findings
            return findings
        except Ended as ended:
            if begun == before:
                raise
            findings.append(Finding(mode, points[begun - 1], str(ended)))
            if str(ended) == HANGS:
                return findings


def _try_all(
    setup: str, mode: str, points: list[list[Any]], seconds: float
) -> Iterator[str | None]:
    """Yield None before each point, and behind it what is wrong there."""
    folder, _, make_world = _set_up(setup)
    _collect_when_told()
    for number, point in enumerate(points):
        yield None
        injection = Injection(make_world(), Point(*point), folder, seconds)
        yield from MODES[mode](injection)
        if mode.startswith("fork") or number % 25 == 0:
            gc.collect()  # a fork makes every registry that lives start anew


def _set_up(setup: str) -> tuple[str, list[str], Callable[[], Any]]:
    target, *args = setup.split()
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)(*args)
