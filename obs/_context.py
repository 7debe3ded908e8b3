"""What is current in this task or thread: the span, the baggage, the deadline.

Context variables are few, belong to the process and not to an instance: spans of several
instances are parents of each other. ``CURRENT`` holds the innermost ``Node``, whoever made
it; ADR 5 says how OpenTelemetry's spans will be among them.
"""

from __future__ import annotations

import gc
import sys
from contextvars import ContextVar, Token
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

from obs._identity import Unique
from obs.errors import DefinitionError, shown
from obs.model import NO_BAGGAGE, SpanLink, TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_make = tuple.__new__

TRUST = ("continue", "link", "ignore")

ANCHORED_NS = 60 * 1_000_000_000
"""How long what a wall clock said is trusted, before it is asked again."""


class Trace:
    """What the spans that one process adds to a trace share.

    Attributes:
        id: The trace's id, 128 bits.
        sampled: Whether it is recorded.
        tracestate: The W3C tracestate header, or empty.
        debug: Whether upstream wants it recorded in any case.
        random: Whether the id's last 56 bits are random.
        root: The id of the parent of this process's first span; 0 if it has none.
        offset: Wall time minus monotonic time, in ns.
        stale: When the offset is to be found out again, by the monotonic clock, in ns.
    """

    __slots__ = (
        "debug",
        "id",
        "offset",
        "random",
        "root",
        "sampled",
        "stale",
        "tracestate",
    )

    def __init__(
        self,
        trace: int,
        root: int,
        sampled: bool,
        tracestate: str = "",
        debug: bool = False,
        random: bool = False,
    ) -> None:
        self.id = trace
        self.root = root
        self.sampled = sampled
        self.tracestate = tracestate
        self.debug = debug
        self.random = random
        self.offset = 0
        self.stale = 0


class Node(Unique):
    """What ``CURRENT`` holds: a position in a trace.

    Attributes:
        trace: The trace.
        span_id: The span's id, 64 bits.
        up: What was current before this became current; None once it has ended well.
        gone: Whether its block ended where it could not be taken back: in another
            context, or before a block inside it. Where it still is current, ``up`` is
            meant.
        token: Of the call that made it current.
        log_ids: Its ids as a piece of a log's line; not there before the first.
        is_operation: Whether it is a decorated call's; not there before one says so.
    """

    __slots__ = ("gone", "is_operation", "log_ids", "span_id", "token", "trace", "up")

    trace: Trace
    span_id: int
    up: Node | None
    gone: bool
    token: Token[Node | None] | None
    log_ids: bytes
    is_operation: bool

    @property
    def context(self) -> TraceContext:
        """Its ids and whether it is sampled."""
        return context_of(self, NO_BAGGAGE)


CURRENT: ContextVar[Node | None] = ContextVar("obs_current", default=None)
BAGGAGE: ContextVar[Mapping[str, str]] = ContextVar("obs_baggage", default=NO_BAGGAGE)
DEADLINE: ContextVar[int | None] = ContextVar("obs_deadline", default=None)
"""When the present work shall be done, by ``time.perf_counter_ns()``; None: whenever."""
EXPORTING: ContextVar[bool] = ContextVar("obs_exporting", default=False)
"""Whether this is a thread that sends what was recorded."""

DEPTH = 1_000
"""How many nodes are looked at that are gone."""

COLLECTING: dict[int, bool] = {}
"""The threads in which the garbage collector runs, where that matters: see ``GcGuard``."""


class GcGuard:
    """Notes while the collector runs, so that nothing sets a context variable meanwhile.

    Before Python 3.12 a collection may begin inside ``ContextVar.set``, and a finalizer or
    callback that sets one on the same thread then frees the mapping which that call works
    on: the process dies. Whatever is made in a collection therefore is not made current.
    """

    IS_NEEDED = sys.version_info < (3, 12)
    _watching: ClassVar[set[int]] = set()

    def start(self) -> None:
        """Begin to watch; idempotent."""
        self._watching.add(id(self))
        if self.IS_NEEDED and _begins not in gc.callbacks:
            gc.callbacks.insert(0, _begins)
            gc.callbacks.append(_ends)

    def stop(self) -> None:
        """Watch no longer, unless another guard does; idempotent."""
        self._watching.discard(id(self))
        if not self._watching:
            _forget(_begins)
            _forget(_ends)


def _forget(callback: Callable[[str, dict[str, int]], object]) -> None:
    while callback in gc.callbacks:
        gc.callbacks.remove(callback)


def _begins(phase: str, info: dict[str, int]) -> None:
    if phase == "start":
        COLLECTING[get_ident()] = True
        # Other callbacks may have come behind it since, and belong to the collection.
        if gc.callbacks[-1] is not _ends:
            _forget(_ends)
            gc.callbacks.append(_ends)


def _ends(phase: str, info: dict[str, int]) -> None:
    if phase == "stop":
        COLLECTING.pop(get_ident(), None)


def may_set() -> bool:
    """Whether a context variable may be set at this moment."""
    return not COLLECTING or get_ident() not in COLLECTING


def current() -> Node | None:
    """Give the innermost node whose block has not ended, or None."""
    node = CURRENT.get()
    for _ in range(DEPTH):
        if node is None or not node.gone:
            return node
        node = node.up
    return None


_MISSING: Any = object()


def make_ready() -> None:
    """Have a value in ``CURRENT``, before a block begins that has nothing above it.

    Else ``reset`` deletes what the block has set; before Python 3.12 a collection inside
    the deletion lets the variable's cache point to a span that is freed.
    """
    if GcGuard.IS_NEEDED and CURRENT.get(_MISSING) is _MISSING:
        CURRENT.set(None)


ELSEWHERE = (ValueError, RuntimeError, TypeError)
"""What ``ContextVar.reset`` raises in another context, the second time, for no token."""


def enter(node: Node) -> None:
    """Make a node the current one."""
    if node.token is None and may_set():  # what is entered twice stays where it is
        node.up = current()  # not CURRENT.get(): a chain of those gone would grow
        if node.up is None:
            make_ready()
        node.gone = False
        node.token = CURRENT.set(node)


def leave(node: Node) -> None:
    """Make current again what was current before ``node``.

    Where something else is current by now, nothing is put back: two generators may take
    turns. Where this is a copy of the context that the block began in (an async generator
    closed by another task), ``reset`` says so; there it stays current, but is gone.
    """
    if CURRENT.get() is node and may_set():
        try:
            CURRENT.reset(node.token)  # type: ignore[arg-type]
            node.up = node.token = None
        except ELSEWHERE:
            put_back(node)
    else:
        node.gone = True


def put_back(node: Node) -> None:
    """Do so in another context than that of the block."""
    CURRENT.set(node.up)
    node.gone = True


def context_of(node: Node, baggage: Mapping[str, str]) -> TraceContext:
    """Give a node as a context, with this baggage."""
    trace = node.trace
    # tuple.__new__: the constructor of a named tuple costs a Python call more.
    return _make(
        TraceContext,
        (
            trace.id,
            node.span_id,
            trace.sampled,
            trace.tracestate,
            False,
            trace.debug,
            trace.random,
            baggage,
        ),
    )


def outgoing() -> TraceContext:
    """Give what travels to other processes: the current position, and the baggage."""
    node = CURRENT.get()
    if node is not None and node.gone:
        node = current()
    baggage = BAGGAGE.get()
    if node is None:
        return TraceContext(baggage=baggage)
    if isinstance(node, Upstream):
        given = node.given
        return given if given.baggage is baggage else given._replace(baggage=baggage)
    return context_of(node, baggage)


class Upstream(Node):
    """Where a trace goes on from, while no span of this process is current.

    Attributes:
        given: The context, empty where the trace is not to be continued.
        links: What the first span below points to.
    """

    __slots__ = ("given", "links")

    def __init__(self, given: TraceContext, links: tuple[SpanLink, ...] = ()) -> None:
        self.given = given
        self.links = links
        self.span_id = given.span
        self.up = self.token = None
        self.gone = False
        self.trace = Trace(
            given.trace,
            given.span if given.remote else 0,
            bool(given.sampled),
            given.tracestate,
            given.debug,
            given.random,
        )

    @property
    def context(self) -> TraceContext:
        """The context, as it came."""
        return self.given


def upstream(context: TraceContext, trust: str) -> Upstream:
    """Give where a trace goes on from a context, as far as that is trusted."""
    if not context.remote or trust == "continue":
        return Upstream(context)
    links = (SpanLink(context),) if context and trust == "link" else ()
    return Upstream(TraceContext(), links)


class Use:
    """A block in which a context, baggage, or both are current.

    Args:
        context: What to continue; nothing changes where it is empty or ignored.
        baggage: Members to add to what came with the context and what is there already;
            None as a value takes one away.
        trust: Of a context from another process: ``continue``, ``link`` or ``ignore`` it.
    """

    __slots__ = ("_added", "_baggage", "_before", "_depth", "_node", "context")

    def __init__(
        self,
        context: TraceContext,
        baggage: Mapping[str, Any] = NO_BAGGAGE,
        trust: str = "continue",
    ) -> None:
        self._added = baggage
        self._depth = 0
        self._baggage: Mapping[str, str] = NO_BAGGAGE
        self._before: Mapping[str, str] = NO_BAGGAGE
        node = upstream(context, trust)
        self.context = given = node.given
        is_new = bool(node.links or given or given.sampled is not None)
        self._node = node if is_new else None

    def __enter__(self) -> TraceContext:
        """Make it current."""
        self._depth += 1
        if self._depth > 1:
            return self.context
        self._before = BAGGAGE.get()
        self._baggage = self._before
        came = self.context.baggage
        if self._added or (came and self._before):
            merged = {**self._before, **came, **self._added}
            self._baggage = {k: v for k, v in merged.items() if v is not None}
        elif came:
            self._baggage = came  # as it is: it may be written again as it came
        if self._baggage is not self._before and may_set():
            BAGGAGE.set(self._baggage)
        if self._node is not None:
            enter(self._node)
        return self.context

    def __exit__(self, *exc_info: object) -> None:
        """Make current again what was."""
        self._depth -= 1
        if self._depth > 0:
            return
        if self._node is not None:
            leave(self._node)
        is_changed = self._baggage is not self._before
        if is_changed and BAGGAGE.get() is self._baggage and may_set():
            BAGGAGE.set(self._before)


def check_trust(trust: str) -> str:
    """Give ``trust`` back.

    Raises:
        DefinitionError: It is none of the three words.
    """
    if trust not in TRUST:
        text = f"trust got {shown(trust)}, needs one of {', '.join(TRUST)}."
        raise DefinitionError(text)
    return trust
