"""What comes at any line of any recording call hangs nothing and loses nothing."""

from collections.abc import Callable, Iterable
from functools import cache

import pytest

from tests.survival.calls import (
    CALLS,
    CELLS,
    DELIVERY,
    ELSEWHERE,
    PACKAGE,
    STORM,
    Call,
    Subject,
    World,
)
from tests.survival.injection import MODES, Finding, Point, find_points, inject, thinned
from tests.survival.known import KNOWN, Known
from tests.survival.processes import SECONDS

KINDS = (("nested", "switch"), ("raise",), ("fork", "fork_away"))
"""The modes, by what they find."""
HANGS = 0.25
"""Seconds after which a call of a broken class counts as hanging."""


@cache
def points(cells: str) -> list[Point]:
    return find_points(f"tests.survival.calls:world {cells}")


def by_line(point: Point) -> object:
    return point.file, point.line


def by_caller(point: Point) -> object:
    return point.file, point.line, point.caller


def each_line(points: list[Point], mode: str) -> list[Point]:
    """Give each line once for each place that its function is called from.

    Where each point costs a fork, once.
    """
    return thinned(points, by_line if mode.startswith("fork") else by_caller)


def in_turn(points: list[Point], mode: str) -> list[Point]:
    """Give the lines whose turn it is in a mode, and a line at least of each call.

    Each line is tried in each kind of mode: those of a kind share the lines.
    """
    (kind,) = (kind for kind in KINDS if mode in kind)
    share = thinned(points, by_line)[kind.index(mode) :: len(kind)]
    of_call: dict[str, list[Point]] = {}
    for point in points:
        of_call.setdefault(point.call, []).append(point)
    left = of_call.keys() - {point.call for point in share}
    turn, turns = list(MODES).index(mode), len(MODES)
    mine = [lines[len(lines) * turn // turns] for lines in of_call.values()]
    return share + [point for point in mine if point.call in left]


def chosen(cells: str, mode: str) -> list[Point]:
    """Give what is tried in the ordinary suite.

    Of the second kind of cells only what the first has not.
    """
    if cells == "slots":
        return in_turn(points(cells), mode)
    seen = {by_line(point) for point in points("slots")}
    return each_line([it for it in points(cells) if by_line(it) not in seen], mode)


def every(cells: str, mode: str) -> list[Point]:
    """Give each line of each call."""
    return points(cells)


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "choose",
    [chosen, pytest.param(every, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])],
)
def test_whatever_comes_at_any_line(
    cells: str, mode: str, choose: Callable[[str, str], list[Point]]
) -> None:
    found = inject(f"tests.survival.calls:world {cells}", mode, choose(cells, mode))

    known = [entry for entry in KNOWN if entry.where(mode, cells)]
    assert unexplained(found, known) == []
    for entry in known if choose is every else ():
        assert any(entry.explains(f) for f in found), f"no longer there: {entry}"


def unexplained(found: Iterable[Finding], known: Iterable[Known]) -> list[str]:
    return [str(f) for f in found if not any(entry.explains(f) for entry in known)]


HOOK = "fork hook"


class HookWorld(World):
    """Calls, and the hook that makes a forked child count from zero.

    Another thread has made the calls before. What is made while the hook runs may count
    or not; but the hook comes to its end, and nothing is torn.
    """

    def __init__(self, subject: Subject) -> None:
        hook = Call(HOOK, lambda subject: subject.tel.metrics.after_fork_in_child)
        # What goes to another instance is no matter of this hook.
        super().__init__(subject, [*[it for it in STORM if it not in DELIVERY], hook])
        ELSEWHERE.run([self.make_all])

    def problems(self, maybe: str = "", ignore: Iterable[str] = ()) -> list[str]:
        return self._subject.torn(self._subject.read())


def hook_world(cells: str) -> tuple[str, list[str], Callable[[], World]]:
    """Give the package, the hook, and what makes a world of it."""
    return PACKAGE, [HOOK], lambda: HookWorld(Subject(cells))


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("mode", ["nested", "switch"])
def test_whatever_comes_in_the_fork_hook(cells: str, mode: str) -> None:
    setup = f"{__name__}:hook_world {cells}"
    points = find_points(setup)
    assert len(points) > 20
    assert unexplained(inject(setup, mode, points), KNOWN) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "choose", [in_turn, pytest.param(each_line, marks=pytest.mark.slow)]
)
def test_whatever_comes_at_any_line_of_what_is_not_recorded(
    mode: str, choose: Callable[[list[Point], str], list[Point]]
) -> None:
    setup = "tests.survival.calls:unsampled_world slots"
    found = inject(setup, mode, choose(find_points(setup), mode))
    assert unexplained(found, [it for it in KNOWN if it.where(mode, "slots")]) == []


def test_every_call_is_looked_at() -> None:
    for cells in CELLS:
        assert {point.call for point in points(cells)} == set(CALLS)
        assert len({by_line(point) for point in points(cells)}) > 300


def test_every_call_is_tried_in_every_mode_and_every_line_in_every_kind() -> None:
    lines = {by_line(point) for point in points("slots")}
    assert sorted(mode for kind in KINDS for mode in kind) == sorted(MODES)
    for kind in KINDS:
        tried = [chosen("slots", mode) for mode in kind]
        assert {by_line(point) for share in tried for point in share} == lines
        for share in tried:
            assert {point.call for point in share} == set(CALLS)


# --- the tool itself -------------------------------------------------------------------


@cache
def broken_points(name: str) -> list[Point]:
    return find_points(f"tests.survival.broken:world {name}")


def tried_on(name: str, mode: str, seconds: float) -> list[Finding]:
    setup = f"tests.survival.broken:world {name}"
    return inject(setup, mode, broken_points(name), seconds=seconds)


@pytest.mark.parametrize("mode", MODES)
def test_a_class_without_fault_passes(mode: str) -> None:
    assert tried_on("Exact", mode, SECONDS) == []


@pytest.mark.parametrize(
    ("name", "mode", "problem"),
    [
        ("Locked", "nested", "hangs"),
        ("Locked", "switch", "hangs"),
        ("Locked", "fork_away", "in the child: hangs"),
        ("LockedByHand", "raise", "hangs"),
        ("ReadThenWrite", "nested", "count is 1, not 2"),
        ("ReadThenWrite", "switch", "count is 1, not 2"),
        ("Apart", "raise", "torn: {'count': 1, 'sum': 0}"),
        ("Swallowing", "raise", "the exception was swallowed"),
        ("Raising", "nested", "dictionary changed size"),
        ("Raising", "raise", "dictionary changed size"),
        ("OwnThread", "switch", "count is 1, not 2"),
        ("KeepsAtFork", "fork", "in the child: count is 2, not 0 or 1"),
    ],
)
def test_a_fault_is_found_where_it_is(name: str, mode: str, problem: str) -> None:
    found = tried_on(name, mode, HANGS)
    assert any(problem in finding.problem for finding in found), found
    assert {finding.point.file for finding in found} == {"broken.py"}
