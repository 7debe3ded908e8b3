"""Records that are held until it is known whether their request fails."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from obs._context import Upstream, current
from obs._diag import Diag
from obs._fork import on_fork
from obs._tally import Tally
from obs.logs._fields import outermost
from obs.logs._marks import first_of
from obs.model import LogRecord

REPLAYED = "replayed"
"""The field of a record that was held."""
MOST_RECORDS = 256
MOST_REQUESTS = 1_000
MOST_BYTES = 16 * 1024 * 1024


class Waiting(NamedTuple):
    """A record that is held.

    Attributes:
        record: The record.
        size: About how many bytes it has.
        uncounted: Has an item until the record, which other routes may hold too, counts as
            one that was made.
    """

    record: LogRecord
    size: int
    uncounted: list[None]


class Ring:
    """The newest records of one request.

    Attributes:
        records: The records.
        pushed_out: How many older ones there were.
    """

    __slots__ = ("pushed_out", "records")

    def __init__(self) -> None:
        self.records: deque[Waiting] = deque()
        self.pushed_out = Tally()


class Held:
    """What one route holds: 256 records of a request, of 1,000 requests, 16 MiB in all.

    What has no room pushes out the oldest: a record of the same request, or the whole of the
    oldest request. Records that were pushed out are counted as ``held`` where they may be
    missed: when their request fails, or at once where all of it goes.

    Threads: any, at any moment; takes no lock. A forked child starts with nothing.

    Args:
        diag: Counts what was pushed out.
        name: The route's.
        write: Takes a record that is replayed.
    """

    def __init__(
        self, diag: Diag, name: str, write: Callable[[Waiting], object]
    ) -> None:
        self._diag = diag
        self._name = name
        self._write = write
        self._rings: dict[object, Ring] = {}
        self._bytes = Tally()
        diag.dropped("logs", "held", 0, name)
        on_fork(self)

    def put(self, request: object, held: Waiting) -> None:
        """Hold a record."""
        rings = self._rings
        ring = rings.get(request)
        if ring is None:
            while len(rings) >= MOST_REQUESTS and self._push_out():
                pass
            ring = rings.setdefault(request, Ring())
        ring.records.append(held)
        self._bytes.add(held.size)
        while len(ring.records) > MOST_RECORDS:
            if self._next(ring) is not None:
                ring.pushed_out.add(1)
        while self._bytes.read() > MOST_BYTES and self._push_out():
            pass
        if rings.get(request) is not ring:  # it has ended meanwhile
            self._drain(ring)

    def end(self, request: object, *, is_failed: bool) -> None:
        """A request has ended: replay what is held of it, or forget that."""
        ring = self._rings.pop(request, None)
        if ring is None:
            return
        try:
            if is_failed:
                self._count(int(ring.pushed_out.read()))
                while (held := self._next(ring)) is not None:
                    self._write(held)
        finally:
            self._drain(ring)

    def after_fork_in_child(self) -> None:
        """Leave to the parent what is held there."""
        self._rings.clear()  # in place: a fork may have interrupted `put`
        self._bytes.clear()

    def _push_out(self) -> bool:
        """Let go of the oldest request; False where there is none."""
        ring = self._rings.pop(first_of(self._rings), None)
        if ring is not None:
            self._count(self._drain(ring) + int(ring.pushed_out.read()))
        return ring is not None or bool(self._rings)

    def _next(self, ring: Ring) -> Waiting | None:
        try:
            held = ring.records.popleft()
        except IndexError:
            return None
        self._bytes.add(-held.size)
        return held

    def _drain(self, ring: Ring) -> int:
        n = 0
        while self._next(ring) is not None:
            n += 1
        return n

    def _count(self, n: int) -> None:
        if n:
            self._diag.dropped("logs", "held", n, self._name)


def size_of(value: Any) -> int:
    """Give about how many bytes a plain value takes while it is held."""
    kind = type(value)
    if kind is str:
        return 64 + len(value)
    if kind is dict:
        return 64 + sum([size_of(it) + size_of(name) for name, it in value.items()])
    return 64 + sum([size_of(it) for it in value]) if kind is list else 32


def request_of(owner: object) -> object | None:
    """Give what the present work belongs to, by which its records are held; or None.

    That is what this process adds to a trace, where a span is current; else the outermost
    ``fields`` block of these logs.
    """
    node = current()
    if node is not None and node.trace.id and not isinstance(node, Upstream):
        return node.trace
    return outermost(owner)
