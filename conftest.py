"""Runs every Python block of README, guides and docstrings as a test."""

import gc
from doctest import ELLIPSIS

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser
from xdist.scheduler import LoadScopeScheduling

# No timing fails a test: a machine that is busy, or makes its tables of Unicode first.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

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
    """Keep the order where it matters, whatever pytest-randomly does with the rest.

    The blocks of a document run in their order. The real servers, which scrape until the
    end of the session, come last; beside them only line injection, which waits for nothing
    and takes both cores.
    """
    blocks = [item for item in items if isinstance(item, SybilItem)]
    blocks.sort(key=lambda item: (str(item.path), item.example.line))
    tests = [item for item in items if not isinstance(item, SybilItem)]
    tests.sort(key=lambda item: (_is_injection(item.nodeid), "real" in item.path.parts))
    items[:] = blocks + tests


def pytest_collection_finish():
    """Spare what collects garbage all the tests there are: 80 ms each time otherwise."""
    gc.collect()
    gc.freeze()


def _is_injection(nodeid):
    return nodeid.startswith("tests/survival/test_line_injection.py")


class Spread(LoadScopeScheduling):
    """Gives each worker a file at a time: what a module starts is started once.

    The real servers are one thing as well. Line injection is the work of many files, and
    is given test by test.
    """

    def _split_scope(self, nodeid):
        if nodeid.startswith("tests/real/"):
            return "tests/real"
        return nodeid if _is_injection(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # the order is made above
    return Spread(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    """Let reports with lone surrogates pass from the workers: they are sent as UTF-8."""
    return _encodable((yield))


def _encodable(value):
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(it) for key, it in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_encodable, value))
    return value
