"""W3C Trace Context, Level 2: ``traceparent`` and ``tracestate``."""

import re
from collections.abc import Callable

from obs._diag import Diag
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation._common import EMPTY
from obs.protocols import Headers

_SAMPLED = 1
_RANDOM = 2
_LONG_MEMBER = 128

_parent = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").match
_member = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
).fullmatch


class W3CTraceContext:
    """Reads any version, writes version 00.

    Source: W3C Trace Context Level 2, 3.2 (traceparent), 3.3 (tracestate).
    """

    def __init__(self, limits: Limits, diag: Diag) -> None:
        self._limits = limits
        self._diag = diag

    def inject(
        self, context: TraceContext, set_header: Callable[[str, str], None]
    ) -> None:
        """Write both headers; nothing without ids."""
        if not (context.trace and context.span):
            return
        flags = _SAMPLED * bool(context.sampled) | _RANDOM * bool(context.random)
        text = "00-%032x-%016x-%02x" % (context.trace, context.span, flags)  # noqa: UP031 - see _fast
        set_header("traceparent", text)
        if context.tracestate:
            self._inject_state(context.tracestate, set_header)

    def extract(self, headers: Headers) -> TraceContext:
        """Read both headers; without a valid traceparent there is no tracestate (3.3)."""
        text = headers.get("traceparent")
        context = EMPTY if text is None else parse_parent(text)
        if not context:
            return EMPTY
        state = headers.get("tracestate")
        if not state:
            return context
        return context._replace(tracestate=self._checked(state) or "")

    def _inject_state(self, state: str, set_header: Callable[[str, str], None]) -> None:
        checked = self._checked(state)
        if checked is None:
            self._diag.invalid(
                "tracestate",
                "propagation: inject() got a malformed tracestate. It was left out.",
                "traces",
            )
        elif checked:
            set_header("tracestate", checked)

    def _checked(self, state: str) -> str | None:
        """Give a tracestate without blanks, duplicates and what is too long, or None."""
        members = parse_state(state, self._limits.tracestate_members)
        if members is None:
            return None
        text = ",".join(members)
        if len(text) <= self._limits.tracestate_bytes:
            return text
        self._diag.truncated("traces")
        return _cut(members, len(text), self._limits.tracestate_bytes)


def parse_parent(text: str) -> TraceContext:
    """Read a traceparent; what follows the flags of a higher version is not looked at.

    Source: 3.2.2 (fields), 3.2.4 (versioning: further fields begin with a dash).
    """
    match = _parent(text)
    if match is None:
        return EMPTY
    version, trace, span, flags = match.groups()
    # A comma stands where several lines were joined, and no line is the right one.
    if len(text) > 55 and (version == "00" or text[55] != "-" or "," in text):
        return EMPTY
    ids = int(trace, 16), int(span, 16)
    if version == "ff" or not all(ids):
        return EMPTY
    bits = int(flags, 16)
    return TraceContext(
        *ids,
        sampled=bool(bits & _SAMPLED),
        remote=True,
        random=bool(bits & _RANDOM),
    )


def parse_state(text: str, most: int) -> list[str] | None:
    """Give the members of a tracestate without blanks around, or None if one is wrong.

    Empty members are skipped, and count like others (3.3.1.1: a list has 32 of both). Of
    members with the same key the first one is kept: it is the most recent one (3.3.1.4).
    """
    # Longer can only be what has too many members, a member too long, or blanks in heaps.
    if len(text) > state_chars(most):
        return None
    pieces = text.split(",", most)
    if len(pieces) > most:
        return None
    members: dict[str, str] = {}
    for piece in pieces:
        stripped = piece.strip(" \t")
        if not stripped:
            continue
        match = _member(stripped)
        if match is None:
            return None
        members.setdefault(match[1], stripped)
    return list(members.values())


def state_chars(members: int) -> int:
    """Give how many characters a tracestate has at most: 256 + ``=`` + 256 + comma."""
    return members * 514


def _cut(members: list[str], size: int, most: int) -> str:
    """Leave out whole members: long ones first, then from the end.

    Source: 3.3.1.5 (tracestate limits).
    """
    for shortest in (_LONG_MEMBER + 1, 0):
        for index in range(len(members) - 1, -1, -1):
            if size > most and len(members[index]) >= shortest:
                size -= len(members.pop(index)) + 1
    return ",".join(members)
