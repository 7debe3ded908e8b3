"""Classes with the faults that line injection is there to find, and one without."""

import threading
from collections.abc import Callable
from contextlib import suppress

from tests.survival.calls import Call, World


class Exact:
    """Without a fault: the additions stand on one line, with no call between them."""

    def __init__(self):
        self.values = {"count": 0, "sum": 0}

    def add(self):
        values = self.values
        values["count"] += 1; values["sum"] += 1  # noqa: E702  # fmt: skip


class Locked(Exact):
    """What is re-entered, or forked, inside the lock waits for it for ever."""

    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()

    def add(self):
        with self._lock:
            super().add()


class LockedByHand(Locked):
    """What is interrupted inside the lock never gives it back."""

    def add(self):
        self._lock.acquire()
        Exact.add(self)
        self._lock.release()


class ReadThenWrite(Exact):
    """What is added between the two lines is lost."""

    def add(self):
        count, total = self.values["count"], self.values["sum"]
        self.values = {"count": count + 1, "sum": total + 1}


class Apart(Exact):
    """What is interrupted between the two lines has counted and not added up."""

    def add(self):
        self.values["count"] += 1
        self.values["sum"] += 1


class Swallowing(Exact):
    """What interrupts it is forgotten."""

    def add(self):
        with suppress(BaseException):
            super().add()


class Raising(Exact):
    """What re-enters it gets an exception."""

    def __init__(self):
        super().__init__()
        self._busy = False

    def add(self):
        if self._busy:
            raise RuntimeError("dictionary changed size during iteration")
        self._busy = True
        super().add()
        self._busy = False


class OwnThread(Exact):
    """What another thread adds is lost: it writes to what it found here."""

    def add(self):
        values = self.values
        mine = threading.get_ident() == threading.main_thread().ident
        values["count"] += mine; values["sum"] += mine  # noqa: E702  # fmt: skip


class KeepsAtFork(Exact):
    """A child begins with what its parent has counted."""

    keeps = True


class Broken:
    """One of these classes as the subject of a world."""

    def __init__(self, name: str) -> None:
        self.it: Exact = globals()[name]()

    def begin(self) -> None:
        """Nothing comes before all calls."""

    def forked(self) -> None:
        if not getattr(self.it, "keeps", False):
            self.it.values.update(count=0, sum=0)

    def read(self) -> dict[str, int]:
        return dict(self.it.values)

    def totals(self, now: dict[str, int]) -> dict[str, int]:
        return {name: total for name, total in now.items() if total}

    def torn(self, now: dict[str, int]) -> list[str]:
        return [] if now["count"] == now["sum"] else [f"torn: {now}"]


ADD = Call("add", lambda subject: subject.it.add, {"count": 1, "sum": 1})


def world(name: str) -> tuple[str, list[str], Callable[[], World]]:
    """Give this file for the package, the call, and what makes a world of it."""
    return __file__, ["add"], lambda: World(Broken(name), [ADD])
