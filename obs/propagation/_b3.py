"""B3 in one header (``b3``) and in several (``X-B3-...``)."""

import re
from collections.abc import Callable

from obs._diag import Diag
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation._common import EMPTY
from obs.protocols import Headers

_ID = r"[0-9a-fA-F]{16}"
_single = re.compile(rf"({_ID}(?:{_ID})?)-({_ID})(?:-([01d])(?:-{_ID})?)?").fullmatch
_is_trace = re.compile(rf"{_ID}(?:{_ID})?").fullmatch
_is_span = re.compile(_ID).fullmatch

_SAMPLED = {
    None: None,
    "0": False,
    "1": True,
    "d": True,
    "false": False,
    "true": True,
}


class B3Single:
    """``{trace}-{span}-{decision}-{parent}``; or the decision alone.

    Source: openzipkin/b3-propagation, "Single Header".
    """

    def __init__(self, limits: Limits, diag: Diag) -> None:
        pass

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write the header; nothing without ids and decision."""
        parts = []
        if context.trace and context.span:
            parts.append("%032x-%016x" % (context.trace, context.span))  # noqa: UP031 - see _fast
        if context.debug:
            parts.append("d")
        elif context.sampled is not None:
            parts.append("1" if context.sampled else "0")
        if parts:
            set_header("b3", "-".join(parts))

    def extract(self, headers: Headers) -> TraceContext:
        """Read the header; the parent is not used."""
        text = headers.get("b3")
        if text is None:
            return EMPTY
        if text in ("0", "1", "d"):
            return _context(None, None, text)
        match = _single(text)
        return _context(*match.groups()) if match else EMPTY


class B3Multi:
    """``X-B3-TraceId``, ``-SpanId``, ``-Sampled``, ``-Flags``; or the decision alone.

    Source: openzipkin/b3-propagation, "Multiple Headers".
    """

    def __init__(self, limits: Limits, diag: Diag) -> None:
        pass

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write the headers; debug implies the decision, which is then not written."""
        if context.trace and context.span:
            set_header("x-b3-traceid", "%032x" % context.trace)  # noqa: UP031 - see _fast
            set_header("x-b3-spanid", "%016x" % context.span)  # noqa: UP031 - see _fast
        if context.debug:
            set_header("x-b3-flags", "1")
        elif context.sampled is not None:
            set_header("x-b3-sampled", "1" if context.sampled else "0")

    def extract(self, headers: Headers) -> TraceContext:
        """Read the headers; one that is malformed spoils all of them."""
        trace = headers.get("x-b3-traceid")
        span = headers.get("x-b3-spanid")
        decision = _first_line(headers.get("x-b3-sampled"))
        if _first_line(headers.get("x-b3-flags")) == "1":
            decision = "d"
        elif decision == "d" or decision not in _SAMPLED:
            return EMPTY
        if trace is None and span is None:
            return _context(None, None, decision)
        if not (trace and span and _is_trace(trace) and _is_span(span)):
            return EMPTY
        return _context(trace, span, decision)


def _context(trace: str | None, span: str | None, decision: str | None) -> TraceContext:
    """Give a context of checked texts; ids of zeros are none."""
    ids = int(trace or "0", 16), int(span or "0", 16)
    if not all(ids) and (trace or decision is None):
        return EMPTY
    return TraceContext(
        *ids, sampled=_SAMPLED[decision], remote=True, debug=decision == "d"
    )


def _first_line(text: str | None) -> str | None:
    """Give the first of several lines: for the states "the first value wins"."""
    return None if text is None else text[:16].partition(",")[0].strip().lower()
