"""The span: what happens between its start and its end.

Written for speed: ``Tracer.span`` fills the slots, ``__enter__`` and ``__exit__`` do the
rest, and what few spans need is made when they need it (``Details``). A finished span is
turned into a record by ``SpanReader``, away from whoever made it.
"""

from __future__ import annotations

from gc import is_tracked
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self

from obs._context import (
    COLLECTING,
    CURRENT,
    ELSEWHERE,
    Node,
    current,
    enter,
    leave,
    make_ready,
    put_back,
)
from obs._outcome import FAILURES, error_type_of
from obs.errors import shown, type_name
from obs.model import Outcome, SpanEvent, SpanKind, SpanLink, TraceContext
from obs.trace._exceptions import exception_event
from obs.trace._values import attributes_of, link_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obs.trace._tracer import Tracer

_current, _set_current = CURRENT.get, CURRENT.set
_reset: Callable[[Any], None] = CURRENT.reset


class Details:
    """What few spans have.

    Attributes:
        events: What happened meanwhile.
        links: Related spans.
        outcome: How it ended.
        error_type: The exception's class name, or empty.
        message: Why it is an error, or empty.
        cut: How many attributes, events and links did not fit, by kind.
        is_claimed: Whether a decorated endpoint has made this server span its own.
        is_decided: Whether that endpoint has said how it ended.
        start_ns: When it began, in ns since the epoch, where that was given; else 0.
    """

    __slots__ = (
        "cut",
        "error_type",
        "events",
        "is_claimed",
        "is_decided",
        "links",
        "message",
        "outcome",
        "start_ns",
    )

    def __init__(self) -> None:
        self.events: list[SpanEvent] = []
        self.links: list[SpanLink] = []
        self.outcome: Outcome = "ok"
        self.error_type = ""
        self.message = ""
        self.cut: dict[str, int] = {}
        self.is_claimed = False
        self.is_decided = False
        self.start_ns = 0


class Span(Node):
    """One timed operation of a sampled trace.

    Threads: it may be used from any; at its end it should be left alone.

    Attributes:
        name: What is done.
        kind: ``internal server client producer consumer``.
        attributes: Details, by name.
        parent_id: The id of its parent, 64 bits; 0 for a root.
    """

    __slots__ = (
        "attributes",
        "details",
        "ended",
        "kind",
        "name",
        "offset",
        "parent_id",
        "started",
        "tracer",
    )

    # Filled by Tracer.span: started and ended are monotonic, in ns (ended is 0 before the
    # end), offset makes wall time of them, details is mostly None.
    tracer: Tracer
    name: str
    kind: SpanKind
    attributes: dict[str, Any]
    parent_id: int
    started: int
    ended: int
    offset: int
    details: Details | None

    def __enter__(self) -> Self:
        """Make it the current span."""
        # What is entered twice, or after its end, stays where it is.
        if (
            self.token is None
            and not self.ended
            and (not COLLECTING or get_ident() not in COLLECTING)
        ):
            up = _current()
            if up is None:
                make_ready()
            elif up.gone:
                up = current()
            self.up = up
            self.token = _set_current(self)
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: object
    ) -> None:
        """End it, with the exception that ended the block."""
        # The context first, and without a Python call: near the recursion limit what
        # follows may fail, and the span must not stay current.
        if _current() is self and (not COLLECTING or get_ident() not in COLLECTING):
            try:
                _reset(self.token)
                self.up = self.token = None
            except ELSEWHERE:
                put_back(self)
        else:
            self.gone = True
        if self.ended:
            return
        tracer = self.tracer
        self.ended = tracer.now()
        if error is not None:
            details = self.details
            if details is None or not details.is_decided:
                self.fail_as(None, error)
        sink = tracer.sink  # once: it may be taken away at any time
        if sink is not None:
            sink(self)

    async def __aenter__(self) -> Self:
        """Make it the current span."""
        return self.__enter__()

    async def __aexit__(
        self, kind: object, error: BaseException | None, traceback: object
    ) -> None:
        """End it, with the exception that ended the block."""
        self.__exit__(kind, error, traceback)

    def set(self, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Set attributes; a mapping takes names that are no Python names.

        Values: ``str``, ``int``, ``float``, ``bool``, lists and mappings of them; of others
        a text is made. Containers are copied.
        """
        if self.ended:
            return
        if mapping is not None or is_tracked(named):
            named = attributes_of(self.tracer, mapping, named)
        attributes = self.attributes
        room = self.tracer.limits.attributes - len(attributes)
        if len(named) > room:
            known = {name: named[name] for name in named if name in attributes}
            new = [name for name in named if name not in attributes]
            named = known | {name: named[name] for name in new[: max(room, 0)]}
            self.count_cut("attributes", len(new) - max(room, 0))
        attributes.update(named)

    def event(self, name: str, /, **attributes: Any) -> None:
        """Note that something happened now."""
        if self.ended:
            return
        if is_tracked(attributes):
            attributes = attributes_of(self.tracer, None, attributes)
        at = self.tracer.now() + self.offset
        self._add_event(SpanEvent(name, at, attributes))

    def link(self, context: TraceContext) -> None:
        """Point to another span, of this trace or another."""
        link = link_of(self.tracer, context)
        if link is None or self.ended:
            return
        links = self.more().links
        if len(links) < self.tracer.limits.links:
            links.append(link)
        else:
            self.count_cut("links", 1)

    def fail(self, error: BaseException) -> None:
        """Record an exception that the block will not raise, and set the status.

        The outcome is what it would be had the exception ended the block.
        """
        if self.ended:
            return
        if issubclass(type(error), BaseException):
            self.fail_as(None, error)
        else:
            text = (
                f"span {shown(self.name)}: fail() got a {type_name(error)}, needs an "
                "exception. It was ignored."
            )
            self.tracer.diag.invalid("fail", text, "traces")

    def end(self) -> None:
        """End it; what comes later is ignored. A ``with`` block ends it by itself."""
        if self.ended:
            return
        tracer = self.tracer
        self.ended = tracer.now()
        sink = tracer.sink  # once: it may be taken away at any time
        if sink is not None:
            sink(self)

    def finish(self, error: BaseException | None, outcome: Outcome) -> int:
        """End the span of a decorated call, which is current no more.

        Returns:
            When, by the monotonic clock, in ns.
        """
        tracer = self.tracer
        ended = tracer.now()
        if self.ended:
            return ended
        self.ended = ended
        if error is not None:
            self.fail_as(outcome, error)
        sink = tracer.sink  # once: it may be taken away at any time
        if sink is not None:
            sink(self)
        return ended

    @property
    def is_local_root(self) -> bool:
        """Whether it is the first span that this process adds to the trace.

        Mostly the last one to end: where a sink may decide about the trace as a whole.
        """
        return self.parent_id == self.trace.root

    def fail_as(self, outcome: Outcome | None, error: BaseException) -> None:
        """Record an exception; its outcome by the instance's rules when None."""
        try:
            details = self.more()
            details.outcome = outcome or self.tracer.outcome_of(error)
            details.error_type = error_type_of(error, details.outcome)
            if details.outcome in FAILURES:
                event, details.message = exception_event(
                    error, self.trace.id, self.tracer.now() + self.offset
                )
                if event is not None:
                    self._make_room()
                    self._add_event(event)
        except RecursionError:  # what there is goes out; the error itself goes on
            return

    def more(self) -> Details:
        """Give its details, made at first use."""
        details = self.details
        if details is None:
            details = self.details = Details()
        return details

    def count_cut(self, what: str, n: int) -> None:
        """Count attributes, events or links that did not fit."""
        if n > 0:
            cut = self.more().cut
            cut[what] = cut.get(what, 0) + n

    def _make_room(self) -> None:
        """Have room for an exception, which says more than what came last."""
        events = self.more().events
        if len(events) >= self.tracer.limits.events:
            events.pop()
            self.count_cut("events", 1)

    def _add_event(self, event: SpanEvent) -> None:
        events = self.more().events
        if len(events) < self.tracer.limits.events:
            events.append(event)
        else:
            self.count_cut("events", 1)


class Unsampled(Node):
    """A position in a trace that is not recorded: below its root all share one."""

    __slots__ = ()

    def __init__(self, trace: Any, span_id: int) -> None:
        self.trace = trace
        self.span_id = span_id
        self.up = self.token = None
        self.gone = False

    def __enter__(self) -> Self:
        """Do nothing: a span around it is current already."""
        return self

    @staticmethod  # a method that takes no self is quicker to call
    def __exit__(kind: object, error: object, traceback: object, /) -> None:  # noqa: PYI036
        """Do nothing."""

    async def __aenter__(self) -> Self:
        """Do nothing."""
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        """Do nothing."""

    def set(self, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Do nothing."""

    def event(self, name: str, /, **attributes: Any) -> None:
        """Do nothing."""

    def link(self, context: TraceContext) -> None:
        """Do nothing."""

    def fail(self, error: BaseException) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class UnsampledRoot(Unsampled):
    """The first span that this process adds to a trace which is not recorded.

    While it is current, all below are ``inner``.

    Args:
        trace: The trace.
        span_id: Its id.
        tracer: Whose ``watch`` is told of its end; None: nobody is.
    """

    __slots__ = ("_is_failed", "_tracer", "inner")

    def __init__(self, trace: Any, span_id: int, tracer: Tracer | None = None) -> None:
        super().__init__(trace, span_id)
        self.inner = Unsampled(trace, span_id)
        self._tracer = tracer
        self._is_failed = False

    def __enter__(self) -> Self:
        """Make it the current span."""
        enter(self)
        return self

    def __exit__(  # type: ignore[override]
        self, kind: object, error: BaseException | None, traceback: object, /
    ) -> None:
        """Make current again what was current before."""
        leave(self)
        if self._tracer is not None:
            if error is not None:
                self.fail(error)
            self.finish("ok")

    async def __aenter__(self) -> Self:
        """Make it the current span."""
        return self.__enter__()

    async def __aexit__(  # type: ignore[override]
        self, kind: object, error: BaseException | None, traceback: object
    ) -> None:
        """Make current again what was current before."""
        self.__exit__(kind, error, traceback)

    def fail(self, error: BaseException) -> None:
        """Note that it has failed, where somebody wants to know."""
        if self._tracer is None or not issubclass(type(error), BaseException):
            return
        try:
            self._is_failed |= self._tracer.outcome_of(error) in FAILURES
        except RecursionError:  # the error itself goes on
            return

    def end(self) -> None:
        """End it: a ``with`` block does so by itself."""
        self.finish("ok")

    def finish(self, outcome: Outcome) -> None:
        """Tell how it ended, once, where somebody wants to know."""
        tracer, self._tracer = self._tracer, None
        if tracer is not None and tracer.watch is not None:
            tracer.watch(self.trace, is_failed=self._is_failed or outcome in FAILURES)
