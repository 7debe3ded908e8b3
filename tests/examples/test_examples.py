"""Every example runs, and shows what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
MAX_LINES = 60

RUNS = {
    "http_service.py": (
        ["--once"],
        ["Bonjour", 'greetings_total{language="fr"} 1'],
    ),
    "library.py": (
        [],
        ["A A", "A A B", "hit 1", "miss 2", "cache.load 2"],
    ),
    "worker.py": (
        [],
        [
            "waiting: 10",
            "operation.duration make_thumbnail error ValueError png 1",
            "resize.duration 9",
            "pixels jpeg 36000000",
            "jobs.waiting 0",
        ],
    ),
}


def test_every_example_is_run():
    assert sorted(RUNS) == sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", RUNS)
def test_example_runs(name):
    arguments, wanted = RUNS[name]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()  # a failure that was logged is JSON
    assert not any(line.startswith("Traceback") for line in said)
    lines = done.stdout.splitlines()
    for line in wanted:
        assert line in lines


@pytest.mark.parametrize("name", RUNS)
def test_example_is_short(name):
    assert len((FOLDER / name).read_text().splitlines()) < MAX_LINES
