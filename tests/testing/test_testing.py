"""The tools for users' own tests."""

import gc
import subprocess
import sys
import threading

import pytest

from obs.testing import FakeClock
from tests.open_files import open_files

CONFTEST = 'pytest_plugins = ["obs.testing.fixtures"]\n'
USER_TEST = """
import pytest
from obs import InvalidValue

def test_mine(tel, memory, clock):
    placed = tel.counter("orders.placed", labels=("channel",))
    placed.labels("web").inc()
    with tel.histogram("h").time():
        clock.advance(2)
    assert memory.value("orders.placed", channel="web") == 1
    assert memory.point("h").sum == 2
    with pytest.raises(InvalidValue):
        placed.labels("web").inc(-1)

def test_nothing_is_left_of_the_other_test(tel, memory):
    assert [f.name for f in memory.metrics if not f.name.startswith(("obs.", "log."))] == []
"""


def test_the_fixtures_work_in_a_users_project(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(USER_TEST)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert "2 passed" in result.stdout, result.stdout + result.stderr


def test_the_fixture_leaves_nothing_behind(request):
    def state():
        return (
            threading.enumerate(),
            open_files(),
            list(gc.callbacks),
        )

    from obs.testing import fixtures

    before = state()
    memory = fixtures.MemoryExporter()
    generator = fixtures.tel.__wrapped__(memory, FakeClock())
    tel = next(generator)
    tel.counter("c").inc()
    with pytest.raises(StopIteration):
        next(generator)
    assert state() == before


def test_a_fake_clock_moves_only_when_told():
    clock = FakeClock(time=100)
    assert clock.time_ns() == clock.time_ns() == 100_000_000_000
    clock.advance(0.25)
    assert clock.time_ns() == 100_250_000_000
    before = clock.monotonic_ns()
    clock.jump(-50)
    assert (clock.time_ns(), clock.monotonic_ns()) == (50_250_000_000, before)
    with pytest.raises(
        ValueError, match=r"advance\(\) got -1, needs at least 0. Use jump\(\)."
    ):
        clock.advance(-1)
