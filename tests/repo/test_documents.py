"""What the pages of docs/ say is so: an exporter's contract, outcomes, queries."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from obs._outcome import FAILURES, OUTCOMES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "exporters.md"


def blocks():
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def test_the_exporter_of_the_page_passes_the_contract(tmp_path):
    file = tmp_path / "test_beacon.py"
    file.write_text("\n".join(blocks()), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-W", "error"]
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider", file],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^\d{2} passed, \d+ skipped", result.stdout, re.M), result.stdout
    skipped = re.findall(r"^SKIPPED .*?: (exporter .*)$", result.stdout, re.M)
    assert set(skipped) == {
        "exporter 'beacon' takes no traces",
        "exporter 'beacon' takes increases",
    }


def test_the_exporter_of_the_page_is_short():
    first = blocks()[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 60


@pytest.mark.parametrize("page", ["metrics.md", "tracing.md"])
def test_every_outcome_is_in_the_table(page):
    text = (DOCS / page).read_text("utf-8")
    table = text.split("| outcome | when |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(OUTCOMES)


def test_the_query_for_failures_counts_all_of_them():
    text = (DOCS / "prometheus.md").read_text("utf-8")
    (outcomes,) = re.findall(r'outcome=~?"([\w|]+)"', text)
    assert set(outcomes.split("|")) == FAILURES
