"""The runtime collector: the process, the interpreter, and its garbage collector."""

import gc

from obs.catalog import CATALOG, definitions
from obs.metrics import Registry
from obs.runtime._gc import GcPauses
from obs.runtime._interpreter import InterpreterCollector, python_version
from obs.runtime._process import ProcessCollector, load

__all__ = ["Runtime"]


class Runtime:
    """Watches the process for one instance.

    What is read (memory, CPU, descriptors, threads, collector runs) is read when the
    registry is; only the pauses of the garbage collector need a hook, from ``start`` to
    ``stop``.

    Args:
        registry: Where the metrics go.
    """

    def __init__(self, registry: Registry) -> None:
        for collector in (ProcessCollector(), InterpreterCollector()):
            registry.register(collector, families=definitions(collector.NAMES))
        registry.block(CATALOG["python.info"]).set_only(python_version(), {})
        self._pauses = GcPauses(registry)

    def start(self) -> None:
        """Begin to time the pauses of the garbage collector; idempotent."""
        # Not by who reads first, on a thread: a fork in the middle would leave the child
        # half a module, for which who imports it waits for ever.
        load()
        if self._pauses not in gc.callbacks:
            gc.callbacks.append(self._pauses)

    def stop(self) -> None:
        """Time pauses no longer; idempotent."""
        if self._pauses in gc.callbacks:
            gc.callbacks.remove(self._pauses)
