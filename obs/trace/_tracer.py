"""Starts spans, and knows what they have in common: sampler, clock, limits, sink."""

from __future__ import annotations

from gc import is_tracked
from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from obs._clock import SystemClock
from obs._context import (
    ANCHORED_NS,
    BAGGAGE,
    CURRENT,
    DEADLINE,
    Node,
    Trace,
    Upstream,
    Use,
    check_trust,
    current,
    outgoing,
    upstream,
)
from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._identity import Unique
from obs._null import NULL_SPAN
from obs._outcome import Classify, Rules, check_rule, outcome_of
from obs.errors import shown, type_name
from obs.limits import Limits
from obs.model import NO_BAGGAGE, Outcome, SpanKind, SpanLink, TraceContext
from obs.propagation import Propagation, written_sampled
from obs.redact import DEFAULT, check_redact
from obs.trace._ids import random_bits
from obs.trace._sampling import Always, ParentBased, check_sampler
from obs.trace._scopes import Deadline, wrap
from obs.trace._span import Span, Unsampled, UnsampledRoot
from obs.trace._values import attributes_of, context_in, link_of
from obs.trace._wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from obs.encoding import Redaction
    from obs.protocols import Clock, Propagator, Sampler
    from obs.protocols import Span as SpanProtocol

KINDS = frozenset(get_args(SpanKind))
Parent: TypeAlias = "SpanProtocol | TraceContext | None"
Place: TypeAlias = tuple[Trace, int, tuple[SpanLink, ...]]
"""Where a span stands: its trace, its parent's id, what it points to from the start."""

_current, _deadline, _baggage = CURRENT.get, DEADLINE.get, BAGGAGE.get
_new = object.__new__
_INTERNAL: SpanKind = "internal"
_NONE: tuple[SpanLink, ...] = ()
_FALLBACK = ParentBased(Always())
_NOWHERE = TraceContext()


class Tracer(Unique):
    """Makes spans; usable alone.

    Threads: any, without a lock.

    Args:
        sampler: Decides which traces are recorded; when None all are, unless upstream has
            decided otherwise.
        propagators: The formats of headers: ``tracecontext baggage b3 b3multi jaeger``,
            or objects of one's own; the first that finds a context counts, all are
            written.
        trust: What is done with a context from another process: ``continue`` its trace,
            ``link`` a trace of our own to it, or ``ignore`` it.
        classify: Gives an exception's outcome, or None to leave it to the rules.
        limits: How much a span may hold.
        clock: Where time comes from; for tests.
        diag: Where what is dropped is counted.
        redact: Masks secrets where finished spans are read; None switches that off.
        sink: Gets each finished span, on the thread that ended it; None: nobody does. In
            a forked child it is to ignore those that ``started`` before ``forked_ns``:
            they are running in the parent too.

    Attributes:
        limits: As given.
        diag: As given.
        redact: As given.
        clock: As given.
        now: The monotonic clock, in ns.
        sink: As given; it may be changed at any time.
        watch: Called at the end of the first span that this process adds to a trace which
            is not recorded, with the trace and ``is_failed=``; None: nobody is. To be set
            before there are spans.
        forked_ns: When this process was forked, by the monotonic clock; else 0.
        extract: Reads a context from headers; see ``Propagation.extract``.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    wrap = staticmethod(wrap)

    def __init__(
        self,
        *,
        sampler: Sampler | None = None,
        propagators: Iterable[str | Propagator] = ("tracecontext", "baggage"),
        trust: str = "continue",
        classify: Classify | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        diag: Diag | None = None,
        redact: Redaction | None = DEFAULT,
        sink: Callable[[Span], object] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.diag = diag or Diag()
        self.clock: Clock = clock or SystemClock()
        self.now: Callable[[], int] = self.clock.monotonic_ns
        check_redact(redact)
        self.redact = redact
        self.sink = sink
        self.watch: Callable[..., object] | None = None
        self.forked_ns = 0
        self._sampler = check_sampler(
            "sampler", _FALLBACK if sampler is None else sampler
        )
        self._sampling: set[int] = set()
        self._wanted = Wanted()
        self._trust = check_trust(trust)
        check_rule(classify)
        self._rules = Rules("span", [classify], self.diag, "traces")
        self._propagation = Propagation(propagators, self.limits, self.diag)
        self._writes_w3c = self._propagation.is_default
        self.extract = self._propagation.extract
        on_fork(self)

    def span(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        /,
        *,
        kind: SpanKind = "internal",
        parent: Parent = None,
        links: Iterable[TraceContext | SpanLink] = _NONE,
        start: int | None = None,
        **attrs: Any,
    ) -> Span | Unsampled:
        """Start a span; ``with`` makes it current and ends it.

        Args:
            name: What is done; few different names.
            attributes: Details by names that are no Python names, such as ``psp.name``.
            kind: ``internal server client producer consumer``.
            parent: A span or a context, as far as ``trust`` goes; the current span when
                None, and none at all for an empty context.
            links: Contexts of related spans.
            start: When it began, in ns since the epoch; now when None.
            attrs: Further details.

        Returns:
            The span. Where the trace is not recorded, one that only carries ids.
        """
        up: Any = _current()  # a Node or None: `is` on classes tells checkers nothing
        if up.__class__ is UnsampledRoot and parent is None and not up.gone:
            return up.inner
        if attributes is not None or is_tracked(attrs):
            attrs = attributes_of(self, attributes, attrs)
        more: tuple[SpanLink, ...] = ()
        if up.__class__ is Span and parent is None and not up.gone:
            trace = up.trace
            parent_id = up.span_id
        else:
            place = self._place(name, attrs, kind, parent)
            if isinstance(place, Unsampled):
                return place
            trace, parent_id, more = place
        span: Span = _new(Span)
        span.tracer = self
        span.name = name
        span.kind = kind
        span.attributes = attrs
        span.trace = trace
        span.parent_id = parent_id
        span.span_id = random_bits(64)
        span.token = None
        span.gone = False
        span.details = None
        span.ended = 0
        span.started = started = self.now()
        if started > trace.stale:
            self._anchor(trace, started)
        span.offset = trace.offset
        deadline = _deadline()
        if deadline is not None:
            attrs["deadline.remaining"] = (deadline - started) / 1e9
        if kind is not _INTERNAL or links is not _NONE or more or start is not None:
            self._complete(span, links, more, start)
        return span

    def current_span(self) -> SpanProtocol:
        """Give the innermost span of this task or thread, of whichever instance.

        Outside of all spans, one that does nothing.
        """
        node = current()
        return node if isinstance(node, Span | Unsampled) else NULL_SPAN

    def use(
        self,
        context: TraceContext | SpanProtocol | None = None,
        /,
        *,
        baggage: Mapping[str, Any] | None = None,
    ) -> Use:
        """Give a block in which a context is continued, as ``trust`` says.

        Args:
            context: What ``extract`` gave, a span, or the context of one; where it is
                empty or None, the present one stays.
            baggage: Members to add; None as a value takes one away.
        """
        if baggage is None:
            added: Mapping[str, Any] = NO_BAGGAGE
        else:
            added = attributes_of(self, baggage, {})
        return Use(self._as_context(context), added, self._trust)

    def baggage(self) -> Mapping[str, str]:
        """Give the current baggage, by name; values may have ``.properties``."""
        return BAGGAGE.get()

    def inject(self, carrier: Any = None) -> Any:
        """Write the current context and baggage into headers.

        Args:
            carrier: A mapping, a list of pairs of text or bytes, or a tuple of pairs (of
                which a longer copy is made); a new dict when None.

        Returns:
            The carrier.
        """
        node: Any = _current()
        if (
            carrier is None
            and node.__class__ is Span
            and self._writes_w3c
            and not node.gone
        ):  # what is asked most, with little in between
            trace = node.trace
            headers = written_sampled(
                trace.id, node.span_id, trace.random, trace.tracestate, _baggage()
            )
            if headers is not None:
                return headers
        return self._propagation.inject(outgoing(), carrier)

    def trace_next(self, name: str = "*", *, n: int = 1) -> None:
        """Record the next traces that begin here, whatever the sampler says.

        For a look at a service that records few: what counts is the name of the first
        span that this process adds to a trace. Where upstream has decided not to record,
        the part of this process is recorded.

        Args:
            name: That span's name, or a pattern such as ``POST *``.
            n: How many, at most 1,000 in all that have not come yet.

        Raises:
            DefinitionError: An argument breaks a rule.
        """
        self._wanted.add(name, n)

    def deadline(self, seconds: float) -> Deadline:
        """Give a block that shall be done in time; see ``Deadline``.

        Raises:
            DefinitionError: ``seconds`` is no finite number.
        """
        return Deadline(seconds, self.clock)

    def outcome_of(self, error: BaseException) -> Outcome:
        """Give what an exception means for a span that it ends."""
        return outcome_of(error, self._rules.ask, is_late=self.is_late())

    def is_late(self) -> bool:
        """Whether a deadline has passed."""
        deadline = _deadline()
        return deadline is not None and self.now() >= deadline

    def after_fork_in_child(self) -> None:
        """Leave the end of what is running to the parent."""
        self.forked_ns = self.now()

    def _place(
        self, name: str, attributes: Mapping[str, Any], kind: str, parent: Any
    ) -> Place | Unsampled:
        """Find where a span stands that is not simply the child of the current one."""
        node = current() if parent is None else self._parent(parent)
        if node is None:
            given: TraceContext = _NOWHERE
            links: tuple[SpanLink, ...] = ()
        elif isinstance(node, Span):
            return node.trace, node.span_id, ()
        elif isinstance(node, Unsampled):
            # Not its `inner`: this one is to be current in a thread that has none.
            return UnsampledRoot(node.trace, node.span_id)
        else:
            given = node.context
            links = node.links if isinstance(node, Upstream) else ()
        trace_id = given.trace or random_bits(128)
        sampled = given.sampled
        if given.remote or not given.trace or sampled is None:
            if self._wanted.patterns and self._wanted.take(name):
                sampled = True
            elif self._sampler is _FALLBACK:
                sampled = given.debug or sampled is not False
            else:
                sampled = given.debug or self._sample(
                    trace_id, name, attributes, kind, given
                )
        trace = Trace(
            trace_id,
            given.span if given.remote else 0,
            sampled,
            given.tracestate,
            given.debug,
            given.random or not given.trace,
        )
        if sampled:
            return trace, given.span if given.trace else 0, links
        return UnsampledRoot(trace, random_bits(64), self if self.watch else None)

    def _parent(self, parent: Any) -> Node | None:
        if isinstance(parent, Node):
            return parent
        if parent is NULL_SPAN:  # current_span() where there is none
            return current()
        context = context_in(parent)
        if context is not None:
            return upstream(context, self._trust)
        text = (
            f"span: parent got a {type_name(parent)}, needs a span or a context. "
            "The current span was taken."
        )
        self.diag.invalid("parent", text, "traces")
        return current()

    def _sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        given: TraceContext,
    ) -> bool:
        me = get_ident()
        if me in self._sampling:  # it makes spans itself: not of these, for ever
            return False
        self._sampling.add(me)
        try:
            return bool(self._sampler.sample(trace, name, attributes, kind, given))
        except Exception as failure:  # a foreign object
            if is_the_hosts(failure):
                raise
            text = (
                f"sampler: sample() raised a {type_name(failure)}. "
                "What upstream decided was taken, else the trace is recorded."
            )
            self.diag.invalid("sampler", text, "traces")
            return given.sampled is not False
        finally:
            self._sampling.discard(me)

    def _as_context(self, given: Any) -> TraceContext:
        context = context_in(given)
        if context is not None:
            return context
        if given is not None:
            text = (
                f"use: got a {type_name(given)}, needs a context, such as extract() "
                "gives. It was ignored."
            )
            self.diag.invalid("use", text, "traces")
        return TraceContext()

    def _anchor(self, trace: Trace, now: int) -> None:
        """Ask the wall clock where a trace stands: at its start, and after a minute."""
        trace.offset = self.clock.time_ns() - now
        trace.stale = now + ANCHORED_NS

    def _complete(
        self,
        span: Span,
        links: Iterable[Any],
        more: tuple[SpanLink, ...],
        start: int | None,
    ) -> None:
        """Do what few spans need."""
        if type(span.kind) is not str or span.kind not in KINDS:
            text = (
                f"span {shown(span.name)}: kind got {shown(span.kind)}, needs one of "
                f"{', '.join(sorted(KINDS))}. It counts as internal."
            )
            span.kind = _INTERNAL
            self.diag.invalid("kind", text, "traces")
        if start is not None:
            if type(start) is int and 0 <= start < 1 << 63:
                span.more().start_ns = start
            else:
                text = (
                    f"span {shown(span.name)}: start got {shown(start)}, needs ns since "
                    "the epoch, an int. It starts now."
                )
                self.diag.invalid("start", text, "traces")
        if links is not _NONE or more:
            most = self.limits.links
            items, left = _items(links, most)
            given = [*more, *(link_of(self, link) for link in items)]
            found = [link for link in given if link is not None]
            span.more().links = found[:most]
            span.count_cut("links", max(len(found) - most, 0) + left)


def _items(links: Any, most: int) -> tuple[list[Any], int]:
    """Give the first links, and how many there are besides (of an iterator: 1)."""
    try:
        items = list(islice(links, most + 1))
        left = len(links) - len(items) if type(links) in (list, tuple) else 0
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return [links], 0
    return items, left
