"""Runs every Python block of README, guides and docstrings as a test."""

from doctest import ELLIPSIS

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

TOPS = ("obs", "exporters/obs_exporters")

_markdown = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/*.md"],
)
_docstrings = Sybil(
    parsers=[DocTestParser(optionflags=ELLIPSIS)],
    patterns=[f"{top}/{'*/' * depth}*.py" for top in TOPS for depth in range(3)],
)

pytest_collect_file = (_markdown + _docstrings).pytest()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Run the blocks of a document in their order, whatever the order of the tests."""
    blocks = [item for item in items if isinstance(item, SybilItem)]
    items[:] = [item for item in items if not isinstance(item, SybilItem)]
    items += sorted(blocks, key=lambda item: (str(item.path), item.example.line))
