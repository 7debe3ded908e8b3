"""What these tests need of the platform."""

import os
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip every test of this folder where there is no fork."""
    here = Path(__file__).parent
    no_fork = pytest.mark.skipif(
        not hasattr(os, "fork"), reason="this platform has no fork"
    )
    for item in items:
        if here in item.path.parents:
            item.add_marker(no_fork)
