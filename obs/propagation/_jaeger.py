"""Jaeger: ``uber-trace-id``, and baggage as ``uberctx-{name}``."""

import re
from collections.abc import Callable

from obs._diag import Diag
from obs.errors import shown
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation._common import (
    EMPTY,
    checked_baggage,
    decoded,
    encoded_strictly,
    is_token,
)
from obs.protocols import Headers

_SAMPLED = 1
_DEBUG = 2
_PREFIX = "uberctx-"
_LONGEST = 32 + 16 + 16 + 2 + 3 * len("%3A")

_parse = re.compile(
    r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):[0-9a-fA-F]{0,16}:([0-9a-fA-F]{1,2})"
).fullmatch


class Jaeger:
    """``{trace}:{span}:{parent}:{flags}``; its flags cannot leave the decision open.

    Source: jaegertracing.io, "Client Libraries", "Propagation Format".
    """

    def __init__(self, limits: Limits, diag: Diag) -> None:
        self._members = limits.baggage_members
        self._bytes = limits.baggage_bytes
        self._diag = diag

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write the header, with 0 for the parent, and one for each baggage value."""
        if context.trace and context.span:
            flags = _SAMPLED if context.sampled else 0
            if context.debug:
                flags = _SAMPLED | _DEBUG
            ids = "%032x:%016x" % (context.trace, context.span)  # noqa: UP031 - see _fast
            set_header("uber-trace-id", f"{ids}:0:{flags:x}")
        if context.baggage:
            self._inject_baggage(context, set_header)

    def extract(self, headers: Headers) -> TraceContext:
        """Read the headers; debug implies that the trace is sampled."""
        context = parse_id(headers.get("uber-trace-id") or "")
        baggage = self._extract_baggage(headers)
        if not baggage:
            return context
        return context._replace(remote=True, baggage=baggage)

    def _extract_baggage(self, headers: Headers) -> dict[str, str]:
        found: dict[str, str] = {}
        left = self._bytes
        over = 0
        for header, value in headers.with_prefix(_PREFIX):
            name = header[len(_PREFIX) :]
            left_then = left - len(name) - len(value)
            if left_then < 0 or len(found) == self._members:
                over += 1
            elif value.isascii() and is_token(name):
                found[name] = decoded(value)
                left = left_then
        if over:
            self._diag.dropped("traces", "limit", over)
        return found

    def _inject_baggage(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        left = self._bytes
        over = 0
        written: set[str] = set()
        for name, value in context.baggage.items():
            text = checked_baggage(name, value, self._diag)
            if text is None:
                continue
            header = _PREFIX + name.lower()
            if header in written:
                self._say_lost(name)
                continue
            if len(text) <= left:
                text = encoded_strictly(text)
            left_then = left - len(name) - len(text)
            if left_then < 0 or len(written) == self._members:
                over += 1
                continue
            set_header(header, text)
            written.add(header)
            left = left_then
        if over:
            self._diag.dropped("traces", "limit", over)

    def _say_lost(self, name: str) -> None:
        # Not as a wrong call, which raises in tests: the names may come from upstream.
        text = (
            f"propagation: baggage {shown(name)} has another's name but for its case, which "
            "Jaeger's headers do not keep. It was left out."
        )
        self._diag.left_out("baggage in Jaeger", text, "traces")


def parse_id(text: str) -> TraceContext:
    """Read the header's text; ids of zeros are none."""
    if len(text) > _LONGEST:
        return EMPTY
    match = _parse(text.replace("%3A", ":").replace("%3a", ":"))
    if match is None:
        return EMPTY
    trace, span, flags = (int(part, 16) for part in match.groups())
    if not (trace and span):
        return EMPTY
    debug = bool(flags & _DEBUG)
    sampled = debug or bool(flags & _SAMPLED)
    return TraceContext(trace, span, sampled=sampled, remote=True, debug=debug)
