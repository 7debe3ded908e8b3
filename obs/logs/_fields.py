"""Fields that belong to a piece of work, and go with all that is logged in it."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Self

from obs._context import may_set

State = tuple[dict[str, Any], bytes | None, Callable[..., bool]]
"""Fields; a piece of a line of them, if that can be; whether other names are others."""


class Scope:
    """A block whose records have fields in common; what ``tel.logs.fields()`` gives.

    Copies of the context share it: a field that a worker thread, a task or a synchronous
    dependency of the same request binds is there in the other ones afterwards.

    Threads: any.

    Args:
        owner: The logs whose records have them.
        fields: The fields.
        encode: Makes a piece of a line of them.
        ended: Called at its end, with the exception that ended it; None: nobody is.

    Attributes:
        owner: The logs whose records have them.
        state: The fields, in three forms.
        up: The scope around it, whosever.
        around: The one of the same owner around it.
        seen: The state of that, of which this one's was made.
        is_entered: Whether its block has begun and not ended.
    """

    __slots__ = (
        "_encode",
        "_ended",
        "_left",
        "_own",
        "_version",
        "around",
        "is_entered",
        "owner",
        "seen",
        "state",
        "up",
    )

    def __init__(
        self,
        owner: object,
        fields: dict[str, Any],
        encode: Callable[[dict[str, Any]], bytes | None],
        ended: "Callable[[Scope, BaseException | None], object] | None" = None,
    ) -> None:
        self.owner = owner
        self._encode = encode
        self._ended = ended
        self._own = fields
        self._left: Mapping[str, Any] = {}
        self._version = 0
        self.is_entered = False
        self.up: Scope | None = None
        self.around: Scope | None = None
        self.seen: State | None = None
        self.state: State
        self.refresh()

    def bind(self, /, **fields: Any) -> None:
        """Add fields, from now on, wherever the scope is seen."""
        self._own.update(fields)
        self._version += 1
        self.refresh()

    def unbind(self, *names: str) -> None:
        """Take fields away; a name that is not there is ignored."""
        for name in names:
            self._own.pop(name, None)
        self._version += 1
        self.refresh()

    def __enter__(self) -> Self:
        """Begin: what the scopes around it have counts in it, too."""
        if not self.is_entered and may_set():
            found = up = SCOPE.get()
            while found is not None and found.owner is not self.owner:
                found = found.up
            # Of one that has ended, but is current here (a task that outlives it), the
            # fields count and nothing else: a chain of such would grow for ever.
            self._left = {}
            if found is not None and not found.is_entered:
                self._left, found = found.fields(), None
            while up is not None and not up.is_entered:
                up = up.up
            self.around, self.up = found, up
            self.refresh()
            SCOPE.set(self)
            self.is_entered = True
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: object
    ) -> None:
        """End."""
        if SCOPE.get() is self and may_set():
            # Not `reset`: in another context it raises, and a collection inside it may
            # kill the process before Python 3.12 (see `GcGuard`).
            # Those that ended while this one was current do not come back.
            up = self.up
            while up is not None and not up.is_entered:
                up = up.up
            SCOPE.set(up)
        was_entered, self.is_entered = self.is_entered, False
        if self._ended is not None and was_entered:
            self._ended(self, error)

    def fields(self) -> Mapping[str, Any]:
        """Give the fields of this moment: what was bound around it since, too."""
        around = self.around
        if around is not None:
            around.fields()
            if around.state is not self.seen:
                self.refresh()
        return self.state[0]

    def is_fresh(self) -> bool:
        """Whether the state is known to be that of this moment, without a long look."""
        around = self.around
        return around is None or (around.around is None and around.state is self.seen)

    def refresh(self) -> None:
        """Put the state in place that belongs to the fields of this moment.

        Again, where another thread has bound something meanwhile: the last one to put a
        state in place has seen all.
        """
        version = -1
        while version != self._version:
            version = self._version
            around = self.around
            self.seen = None if around is None else around.state
            around_it = self.seen[0] if self.seen else self._left
            fields = {**around_it, **self._own}
            # One assignment: whoever logs meanwhile sees what was before or is after.
            self.state = (fields, self._encode(fields), fields.keys().isdisjoint)


SCOPE: ContextVar[Scope | None] = ContextVar("obs_fields", default=None)


def fields_of(scope: Scope | None, owner: object) -> Mapping[str, Any]:
    """Give the fields that count for ``owner``, whosever scopes there are."""
    while scope is not None:
        if scope.owner is owner:
            return scope.fields()
        scope = scope.up
    return {}


def outermost(owner: object) -> Scope | None:
    """Give the outermost scope of ``owner`` around the present work that has not ended."""
    found, scope = None, SCOPE.get()
    while scope is not None:
        if scope.owner is owner and scope.is_entered:
            found = scope
        scope = scope.up
    return found
