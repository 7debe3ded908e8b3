"""Who writes just now: a claim that nobody waits for and nobody can leave behind."""

from functools import partial
from threading import get_ident
from weakref import ref


class Ticket:
    """The claim is its holder's as long as this lives.

    Attributes:
        thread: The holder's.
    """

    __slots__ = ("__weakref__", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()


class Claim:
    """Something that one may hold at a time.

    It ends with its ticket: also where an exception came between any two lines of the
    holder, which no ``finally`` covers wholly.

    Threads: any, at any moment; a forked child needs a new one.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, ref[Ticket]] = {}

    def take(self) -> Ticket | None:
        """Give a ticket, which its holder lets go of; None where another is alive."""
        ticket = Ticket()
        # The reference has no name here, so it is gone before the ticket where it was not
        # kept: else the end of this ticket would end the other's claim.
        kept = self._held.setdefault(0, ref(ticket, partial(self._held.pop, 0)))
        return ticket if kept() is ticket else None

    def is_mine(self) -> bool:
        """Whether this thread holds it: in a frame that this one has interrupted."""
        kept = self._held.get(0)
        ticket = None if kept is None else kept()
        return ticket is not None and ticket.thread == get_ident()
