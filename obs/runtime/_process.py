"""The process as the operating system sees it, by psutil."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from obs.catalog import CATALOG
from obs.model import MetricFamily

if TYPE_CHECKING:
    import psutil


def load() -> None:
    """Import what a reading needs: 12 ms, which only who reads shall pay."""
    with suppress(ImportError):  # not there on Windows
        import resource  # noqa: F401, PLC0415
    import psutil  # noqa: F401, PLC0415


def _descriptor_limit() -> float:
    import resource  # noqa: PLC0415 - not there on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


_READINGS: dict[str, Callable[[Any], float]] = {
    "process.cpu.time": lambda process: sum(process.cpu_times()[:2]),
    "process.memory.usage": lambda process: process.memory_info().rss,
    "process.memory.virtual": lambda process: process.memory_info().vms,
    "process.unix.file_descriptor.count": lambda process: process.num_fds(),
    "process.unix.file_descriptor.limit": lambda process: _descriptor_limit(),
    "process.thread.count": lambda process: process.num_threads(),
    "process.start_time": lambda process: process.create_time(),
    "process.uptime": lambda process: time.time() - process.create_time(),
}


class ProcessCollector:
    """Reads memory, CPU, descriptors and threads of this process.

    Reads only what costs microseconds whatever the size of the process: no list of
    open files, no memory map. What the platform does not have, or does not tell, is left
    out.

    Attributes:
        NAMES: What it yields, by the catalogue's names.
    """

    NAMES = tuple(_READINGS)

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._pid = 0

    def collect(self) -> Iterable[MetricFamily]:
        """Yield what can be read."""
        import psutil  # noqa: PLC0415 - see load

        if self._process is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._process = psutil.Process(self._pid)
        process = self._process
        with process.oneshot():
            for name, read in _READINGS.items():
                try:
                    value = read(process)
                except (psutil.Error, OSError, AttributeError, ImportError):
                    continue
                yield CATALOG[name].family(value)
