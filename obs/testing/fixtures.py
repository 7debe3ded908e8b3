"""Fixtures for pytest: ``pytest_plugins = ["obs.testing.fixtures"]``."""

from collections.abc import Iterator

import pytest

from obs._obs import Obs
from obs.testing._clock import FakeClock
from obs.testing._memory import MemoryExporter


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def memory() -> MemoryExporter:
    """The exporter of ``tel``: what was recorded."""
    return MemoryExporter()


@pytest.fixture
def tel(memory: MemoryExporter, clock: FakeClock) -> Iterator[Obs]:
    """A started instance: strict, in memory, with a fake clock; closed after the test."""
    instance = Obs("test", exporters=[memory], runtime=False, strict=True, clock=clock)
    with instance.start():
        yield instance
