"""The thread that feeds the lanes."""

from _thread import allocate_lock
from collections.abc import Callable
from threading import Thread
from time import monotonic

TICK = 0.5
"""Seconds between two ticks at the most."""


class Ticker:
    """Does something twice a second, and as soon as it is nudged.

    Args:
        tick: What it does; it must not raise.
    """

    def __init__(self, tick: Callable[[], object]) -> None:
        self._tick = tick
        self._nudged = allocate_lock()
        self._nudged.acquire()
        self._thread: Thread | None = None
        self._is_over = False

    def start(self) -> None:
        """Start the thread, once.

        Raises:
            RuntimeError: None can be started.
        """
        if self._thread is None:
            thread = Thread(target=self._run, name="obs-tick", daemon=True)
            thread.start()
            self._thread = thread

    def nudge(self) -> None:
        """Have the next tick now.

        Threads: any, at any moment: a lock is released, and so waits for nobody.
        """
        try:
            self._nudged.release()
        except RuntimeError:  # it is nudged already
            return

    def stop(self, deadline: float) -> None:
        """End the thread; wait for it until a deadline."""
        self._is_over = True
        self.nudge()
        if self._thread is not None:
            self._thread.join(max(deadline - monotonic(), 0.0))

    def _run(self) -> None:
        while True:
            self._nudged.acquire(timeout=TICK)
            if self._is_over:
                return
            self._tick()
