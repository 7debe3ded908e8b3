"""An exception as an event of a span."""

from __future__ import annotations

from obs._exceptions import described, marks_of, message_of
from obs.model import SpanEvent

MARK = "__obs_trace__"


def exception_event(
    error: BaseException, trace: int, time_ns: int
) -> tuple[SpanEvent | None, str]:
    """Give an exception's event and message; no event if this trace has it already.

    An exception that goes through several spans is described by the innermost. So that
    the others know, it is marked with the trace's id: the built-in exceptions cannot be
    referred to weakly, and ids of objects come again.

    Source: OpenTelemetry semantic conventions 1.44, "Exceptions on spans".
    """
    message = message_of(error)
    marks = marks_of(error)
    if marks is not None:
        mark = marks.get(MARK)
        if type(mark) is int and mark == trace:
            return None, message
        marks[MARK] = trace
    return SpanEvent("exception", time_ns, described(error, message)), message
