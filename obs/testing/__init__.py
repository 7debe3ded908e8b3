"""For the tests of those who use obs: a clock that a test moves, an exporter that keeps.

With pytest, ``pytest_plugins = ["obs.testing.fixtures"]`` in ``conftest.py`` gives the
fixtures ``tel`` (strict, in memory, leaves nothing behind), ``memory`` and ``clock``.
``obs.testing.contract`` tests exporters.
"""

from obs.testing._clock import FakeClock
from obs.testing._memory import MemoryExporter

__all__ = ["FakeClock", "MemoryExporter"]
