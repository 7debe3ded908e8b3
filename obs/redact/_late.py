"""Regular expressions that are compiled when a text first asks for them."""

import re
from collections.abc import Callable, Iterator
from typing import Any


class Late:
    """A pattern: all of them together would take 5 ms of each start.

    Compiling takes no lock; where two do it at once, one is forgotten.
    """

    __slots__ = ("_flags", "_pattern", "finditer", "fullmatch", "match", "sub")

    finditer: Callable[..., Iterator[re.Match[str]]]
    fullmatch: Callable[..., re.Match[str] | None]
    match: Callable[..., re.Match[str] | None]
    sub: Callable[..., str]

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """Compile it: what it can do is not there yet."""
        pattern = re.compile(self._pattern, self._flags)
        self.finditer = pattern.finditer
        self.fullmatch = pattern.fullmatch
        self.match = pattern.match
        self.sub = pattern.sub
        return getattr(pattern, name)
