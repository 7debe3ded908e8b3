"""One cell of the fault matrix: a backend that misbehaves, and what goes on meanwhile.

Each function plays one, and raises AssertionError where the books are not true. They run
in threads beside each other, so all they use is their own.
"""

import time
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from obs import Obs
from tests.faults.backends import REFUSED
from tests.faults.watched import Watched

GRACE = 0.5


class Pace(NamedTuple):
    """How fast a cell is played.

    Attributes:
        timeout: Of a send, in seconds.
        interval: Of the exporter, which is also how long spans wait for others.
        fault: For how long the backend misbehaves under steady recording.
        patience: After how many seconds something that has to happen has not.
        holds: From how many seconds of Retry-After on nobody waits for the end of it.
    """

    timeout: float = 0.25
    interval: float = 0.05
    fault: float = 0.6
    patience: float = 15.0
    holds: float = 20.0


class Fate(NamedTuple):
    """What a mode does to spans that are sent while it lasts.

    Attributes:
        of: ``delivered``, ``retried``, ``unknown``, or else the reason for which they are
            rejected or dropped.
        wait: Seconds of Retry-After.
        refused: How many of each request are refused by a partial success.
    """

    of: str = "retried"
    wait: float = 0.0
    refused: int = 0


DELIVERED, RETRIED = Fate("delivered"), Fate()
PARTIAL = Fate("delivered", refused=REFUSED)


class Cell:
    """An instance with one exporter to one backend.

    Args:
        backend: In its block; see ``backends``.
        fate: What its mode does.
        pace: How fast.
    """

    def __init__(self, backend, fate: Fate, pace: Pace) -> None:
        self.backend = backend
        self.fate = fate
        self.pace = pace
        self._i = count()
        exporter = backend.exporter(pace.timeout, pace.interval)
        self.watched = Watched(exporter, backend.arrived)
        self.tel = Obs("t", exporters=[self.watched], runtime=False)
        self.tel.start()

    def record(self, n: int) -> None:
        for i in [next(self._i) for _ in range(n)]:
            self.tel.span("s", i=i).end()

    def eventually(self, what: str, check: Callable[[], object]) -> None:
        end = time.monotonic() + self.pace.patience
        while not check():
            assert time.monotonic() < end, f"never: {what}; {self.books()}"
            time.sleep(0.01)

    def books(self) -> dict[str, int]:
        """What the instance's own metrics say."""
        snapshot = self.tel.snapshot()
        found = {"produced": int(snapshot["obs.produced"].value(signal="traces"))}
        for word, name in {
            "delivered": "obs.exported",
            "rejected": "obs.rejected",
            "dropped": "obs.dropped",
            "unknown": "obs.unknown",
            "queued": "obs.queue.size",
        }.items():
            found[word] = 0
            for point in snapshot[name].points:
                if not (
                    {"exporter": self.watched.name, "signal": "traces"}.items()
                    <= point.labels.items()
                ):
                    continue
                found[word] += int(point.value)
                if reason := point.labels.get("reason"):
                    found[reason] = found.get(reason, 0) + int(point.value)
        return found

    def warm_up(self) -> dict[str, int]:
        """Have a connection, which is kept; give the books."""
        self.record(10)

        def is_done() -> bool:
            if self.backend.unclear_is_lost and self.books()["unknown"]:
                self.record(1)  # it was slow, and does not try again
            return self.books()["delivered"] > 0 and not self.books()["queued"]

        self.tel.flush(self.pace.patience)
        self.eventually("a connection", is_done)
        return self.books()

    def timed(self, what: Callable[[float], object], seconds: float):
        started = time.monotonic()
        result = what(seconds)
        took = time.monotonic() - started
        assert took < seconds + GRACE, f"{what.__name__}({seconds}) took {took:.2f} s"
        return result

    def check(self) -> dict[str, int]:
        """Check the books against themselves and against the backend."""
        books = self.books()
        assert not self.watched.wrong, self.watched.wrong[:4]
        if self.backend.keeps_deadlines:
            assert self.watched.late < GRACE
        ends = ("delivered", "rejected", "dropped", "unknown", "queued")
        assert books["produced"] == sum(books[end] for end in ends), books
        assert books["queued"] == 0, books
        arrived = self.backend.arrived()
        seen = books["delivered"] + books.get("partial_success", 0)
        assert seen <= len(arrived) <= seen + books["unknown"], (len(arrived), books)
        twice = {each for each, times in arrived.items() if times > 1}
        unclear = self.watched.ambiguous | self.backend.unanswered()
        assert twice <= unclear, f"sent twice without need: {twice - unclear}"
        if self.fate.wait:
            for one, following in self.backend.times(int(self.backend.mode[:3])):
                early = self.fate.wait - (following - one)
                assert early <= 0.02, f"{early:.2f} s before Retry-After was over"
        return books


LATER = ("delivered", "retried", "closed", "unknown")
"""What becomes of records only when the fault is over, or at the end."""


def steady(cell: Cell) -> None:
    """Recording goes on while the fault comes and goes."""
    cell.warm_up()
    cell.backend.fault()
    sends = cell.watched.sends
    end = time.monotonic() + cell.pace.fault
    while time.monotonic() < end:
        cell.record(2)
        time.sleep(0.02)
    is_held = cell.fate.wait >= cell.pace.holds
    cell.eventually("a try", lambda: cell.watched.sends > sends)
    if not (is_held or cell.backend.unclear_is_lost or cell.fate.of in LATER):
        cell.eventually("a loss", lambda: cell.books().get(cell.fate.of, 0))
    cell.backend.mend()
    cell.record(10)
    if not is_held:
        cell.eventually("the end", lambda: cell.books()["queued"] == 0)
    result = cell.timed(cell.tel.close, 0.5)
    books = cell.check()
    assert result.pending == 0
    fate = "closed" if is_held else cell.fate.of
    fate = {"retried": "delivered"}.get(fate, fate)
    allowed = {fate, "delivered", "partial_success" if cell.fate.refused else fate}
    if cell.backend.unclear_is_lost:
        allowed.add("unknown")
    assert sum(books.get(word, 0) for word in allowed) == books["produced"], books
    # Something that was sent in the fault met its fate.
    assert books.get(fate, 0) or cell.backend.unclear_is_lost, books


def flush(cell: Cell) -> None:
    """``flush(1.0)`` while the fault lasts."""
    before = cell.warm_up()
    arrived = len(cell.backend.arrived())
    cell.backend.fault()
    cell.record(20)
    result = cell.timed(cell.tel.flush, 1.0)
    after = cell.books()
    assert result.delivered + result.pending + result.lost == 20, result
    assert result.delivered == after["delivered"] - before["delivered"], result
    fate = cell.fate
    if fate.of == "delivered":
        refused = after.get("partial_success", 0)
        assert len(cell.backend.arrived()) - arrived == 20
        assert (result.delivered, result.lost) == (20 - refused, refused), result
        assert bool(refused) == bool(fate.refused)
    elif cell.backend.unclear_is_lost:
        assert result.delivered == 0, result
        assert result.lost == result.lanes[cell.watched.name].unknown, result
    elif fate.of == "retried":
        assert (result.delivered, result.pending) == (0, 20), result
    else:
        assert (result.delivered, result.lost) == (0, 20), result
        assert after[fate.of] == 20, after
    cell.backend.mend()
    if fate.wait < cell.pace.holds:
        assert cell.tel.flush(cell.pace.patience).pending == 0
        if fate.of == "retried" and not cell.backend.unclear_is_lost:
            assert cell.books()["delivered"] - before["delivered"] == 20
    cell.tel.close(0.5)
    cell.check()


def close(cell: Cell) -> None:
    """``close`` while the fault lasts: of half a second, or as long as delivering takes."""
    before = cell.warm_up()
    cell.backend.fault()
    sends = cell.watched.sends
    cell.record(20)
    cell.eventually("a try", lambda: cell.watched.sends > sends)
    cell.record(5)
    is_delivered = cell.fate.of == "delivered"
    result = cell.timed(cell.tel.close, cell.pace.patience if is_delivered else 0.5)
    books = cell.check()
    assert result.pending == 0
    ended = {word: books[word] - before.get(word, 0) for word in books}
    assert ended["produced"] == 25, books
    # What ended between the recording and the call is not the call's.
    assert result.delivered + result.lost <= 25, result
    assert result.delivered <= ended["delivered"], result
    taken = ended["delivered"] + ended.get("partial_success", 0)
    assert taken == (25 if is_delivered else 0), books
    cell.backend.mend()
    cell.eventually("the end of the exporter", cell.watched.closed.is_set)
    assert cell.check() == books, "what comes late changes nothing"


DOINGS = {each.__name__: each for each in (steady, flush, close)}


def play(backend, doing: str, fate: Fate, pace: Pace) -> None:
    """Play one cell."""
    if doing == "flush":  # nothing goes by itself
        pace = pace._replace(interval=60.0)
    with backend:
        cell = Cell(backend, fate, pace)
        try:
            DOINGS[doing](cell)
        finally:
            cell.tel.close(0.1)
    # Nothing of it goes on beside the tests that follow.
    assert cell.watched.closed.wait(pace.patience)
