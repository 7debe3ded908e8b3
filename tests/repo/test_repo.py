"""Rules about the sources themselves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OBS = sorted((ROOT / "obs").rglob("*.py"))
EXPORTERS = sorted((ROOT / "exporters").rglob("*.py"))
RECORDING = [
    path
    for path in OBS
    if path.parent.name in ("metrics", "runtime", "trace", "propagation", "redact")
    or path.name
    in (
        *("operation.py", "_calls.py", "_context.py", "_diag.py", "_foreign.py"),
        *("_fork.py", "_intake.py", "_outcome.py", "_tally.py"),
    )
]


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)


@pytest.mark.parametrize("path", OBS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_inside_imports_the_lazy_package(path):
    """The linter of the floors does not see through ``from obs import name``."""
    assert not [names for module, names in imported(path) if module == "obs"]


@pytest.mark.parametrize(
    "path", RECORDING, ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_lock_where_recording_calls_pass(path):
    for module, names in imported(path):
        top = module.partition(".")[0]
        assert top not in ("queue", "logging", "_thread", "multiprocessing", "asyncio")
        assert top != "threading" or names == ["get_ident"], f"{module} {names}"


def test_the_composition_root_only_composes():
    for node in ast.walk(tree(ROOT / "obs" / "_obs.py")):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and node.name != "__init__":
            first = (
                node.body[1]
                if ast.get_docstring(node) and node.body[1:]
                else node.body[0]
            )
            assert node.end_lineno - first.lineno < 5, node.name


def test_importing_the_exporters_folder_as_a_package_is_impossible():
    assert not (ROOT / "exporters" / "__init__.py").exists()


def test_every_public_name_is_there():
    import obs
    import obs_exporters

    for package in (obs, obs_exporters):
        for name in package.__all__:
            assert getattr(package, name) is not None
            assert name in dir(package)
        with pytest.raises(
            AttributeError,
            match=f"module '{package.__name__}' has no attribute 'nothing'",
        ):
            _ = package.nothing
    assert re.fullmatch(r"\d+\.\d+\.\d+", obs.__version__)


def test_links_in_the_documents_lead_somewhere():
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
