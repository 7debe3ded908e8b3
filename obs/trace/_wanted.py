"""Traces that were asked for, whatever the sampler says."""

from collections import deque
from fnmatch import fnmatchcase
from typing import Any

from obs.errors import DefinitionError, shown

MOST = 1_000
"""How many may be waited for."""


class Wanted:
    """The names of first spans that are waited for, each as often as it was asked for.

    Threads: any, without a lock; each that was asked for is given once.

    Attributes:
        patterns: What is waited for; asked by itself where nothing mostly is.
    """

    def __init__(self) -> None:
        self.patterns: deque[str] = deque()

    def add(self, name: str, n: int) -> None:
        """Wait for so many; see ``Tracer.trace_next``."""
        is_number = type(n) is int and 1 <= n <= MOST - len(self.patterns)
        if not isinstance(name, str) or not name or not is_number:
            text = (
                f"trace_next: got {shown(name)}, n={shown(n)}, needs a name or pattern, "
                f"and a number from 1; {MOST:,} may wait in all."
            )
            raise DefinitionError(text)
        self.patterns.extend([name] * n)

    def take(self, name: Any) -> bool:
        """Whether a trace that begins with such a span is waited for; then no longer."""
        text = name if type(name) is str else ""
        for pattern in set(self.patterns.copy()):
            if fnmatchcase(text, pattern):
                try:
                    self.patterns.remove(pattern)
                except ValueError:  # another thread's was the last
                    continue
                return True
        return False
