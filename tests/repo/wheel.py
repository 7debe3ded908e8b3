"""Build sdist and wheel, and run the tests against the wheel, away from the checkout.

In the checkout the tests see its own files, so a module that is missing from the
wheel would pass there. Run by `make wheel`; arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPO = Path(__file__).parents[2]
# pyproject.toml for pytest's settings: the `pythonpath` in it finds nothing there.
COPIED = ("tests", "examples", "README.md", "conftest.py", "pyproject.toml")
WHERE = "import obs, obs_exporters as e; print(obs.__file__, e.__file__, sep='\\n')"


def main(pytest_arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="obs-wheel-") as name:
        temp = Path(name)
        wheel = build(temp / "dist")
        check_contents(wheel)
        python = install(wheel, temp / "venv")
        away = temp / "away"
        copy_tests(away)
        check_origin(python, away, temp / "venv")
        say("running the tests against it")
        tests = ["--ignore=tests/real", "--ignore=tests/repo", "-n2", "-m", "not slow"]
        command = [str(python.with_name("pytest")), *tests, *pytest_arguments]
        return subprocess.run(
            command, cwd=away, env=clean_env(), check=False
        ).returncode


def build(dist: Path) -> Path:
    say("building the sdist, and the wheel from it")
    run(sys.executable, "-m", "build", "--outdir", dist, REPO)
    (wheel,) = dist.glob("*.whl")
    say(f"built {', '.join(sorted(path.name for path in dist.iterdir()))}")
    return wheel


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name.split("/")[0] for name in archive.namelist()}
    distribution, version = wheel.name.split("-")[:2]
    about = f"{distribution}-{version}"
    expected = {"obs", "obs_exporters", f"{about}.data", f"{about}.dist-info"}
    if found != expected:
        sys.exit(f"the wheel holds {sorted(found)}, not {sorted(expected)}")


def install(wheel: Path, venv: Path) -> Path:
    say("installing it with all extras into an empty environment")
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    group = f"{REPO / 'pyproject.toml'}:dev"
    run(*pip, "--quiet", "install", f"{wheel}[all]", "--group", group)
    return python


def copy_tests(away: Path) -> None:
    away.mkdir()
    for name in COPIED:
        source = REPO / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, away / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, away)


def check_origin(python: Path, away: Path, venv: Path) -> None:
    done = subprocess.run(
        [python, "-c", WHERE],
        cwd=away,
        env=clean_env(),
        check=True,
        capture_output=True,
        text=True,
    )
    for file in done.stdout.split():
        inside = Path(file).is_relative_to(venv) and "site-packages" in file
        if not inside:
            sys.exit(f"{file} does not come from the wheel in {venv}")


def run(*command: str | Path) -> None:
    """Run a command in silence; show what it wrote only if it fails."""
    done = subprocess.run(
        command,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")


def clean_env() -> dict[str, str]:
    """Return our environment without what could lead imports to the checkout."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


def say(text: str) -> None:
    print(f"wheel: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
