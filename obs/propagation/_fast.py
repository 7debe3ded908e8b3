"""The fast path: the default formats, a plain dictionary, headers without anything odd.

It gives what the general path gives, or says that the general path has to look (two
properties of the tests). Everything here is written for speed; what it means stands in
``_tracecontext`` and ``_baggage``.

Measured (3.11): the regular expression of the parent 0.32 us, its two numbers 0.25,
``tuple.__new__`` 0.15, "%" 0.25.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from obs.limits import Limits
from obs.model import NO_BAGGAGE, TraceContext
from obs.propagation._common import EMPTY, TOKEN

_parse = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
# Lengths of keys and values need no look in a text as short as _STATE_CHARS.
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]*[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = r"[a-z0-9][a-z0-9_\-*/@]*=" + _VALUE
_is_state = re.compile(f"{_MEMBER}(?:,{_MEMBER})*").fullmatch
_PAIR = TOKEN + r"=[\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_is_baggage = re.compile(f"{_PAIR}(?:,{_PAIR})*").fullmatch
_new = tuple.__new__

_NAMES_CHARS = 10_000
_KEYS = 200
_STATE_CHARS = 256
_FLAGS = {f"{bits:02x}": (bits & 1 == 1, bits & 2 == 2) for bits in range(256)}
_SAMPLED = "00-%032x-%016x-01"
_SAMPLED_RANDOM = "00-%032x-%016x-03"
_NOT_SAMPLED = ("00-%032x-%016x-00", "00-%032x-%016x-02")


class CheckedBaggage(Mapping[str, str]):
    """Baggage whose header is known to be good: read when it is asked, written as it came.

    Attributes:
        header: Pairs of token and text, without blanks, properties and percent signs.
    """

    __slots__ = ("_members", "header")

    def __init__(self, header: str) -> None:
        self.header = header
        self._members: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> dict[str, str]:
        members = self._members
        if members is None:
            pairs = [pair.partition("=") for pair in self.header.split(",")]
            members = self._members = {name: value for name, _, value in pairs}
        return members


def read(
    carrier: dict[Any, Any], limits: Limits, with_baggage: bool
) -> TraceContext | None:
    """Give the context of a dictionary; None where the general path has to look."""
    text = carrier.get("traceparent")
    state = ""
    baggage: Mapping[str, str] = NO_BAGGAGE
    if len(carrier) > 1 or text is None:
        others = _others(carrier, text, limits, with_baggage)
        if others is None:
            return None
        state, baggage = others
        if text is None:
            return None if baggage else EMPTY
    match = _parse(text)
    if match is None:
        return None
    trace_hex, span_hex, flags = match.groups()
    trace = int(trace_hex, 16)
    span = int(span_hex, 16)
    if not (trace and span):
        return None
    sampled, random = _FLAGS[flags]
    return _new(
        TraceContext, (trace, span, sampled, state, True, False, random, baggage)
    )


def _others(
    carrier: dict[Any, Any], text: str | None, limits: Limits, with_baggage: bool
) -> tuple[str, Mapping[str, str]] | None:
    """Give tracestate and baggage; None where the general path has to look."""
    state, members = carrier.get("tracestate"), carrier.get("baggage")
    found = (text is not None) + (state is not None) + (members is not None)
    if len(carrier) > found and not _are_all(carrier, text, state, members):
        return None
    if state is None:
        state = ""
    elif len(state) > min(limits.tracestate_bytes, _STATE_CHARS) or not _is_state(
        state
    ):
        return None
    elif "," in state:
        keys = [member[: member.index("=")] for member in state.split(",")]
        if len(keys) > limits.tracestate_members or len(set(keys)) < len(keys):
            return None
    if members is None or not with_baggage:
        return state, NO_BAGGAGE
    if (
        len(members) > limits.baggage_bytes
        or members.count(",") >= limits.baggage_members
        or not _is_baggage(members)
    ):
        return None
    return state, CheckedBaggage(members)


def _are_all(carrier: dict[Any, Any], *found: object) -> bool:
    """Whether no name of another case or prefix is among the others."""
    if len(carrier) > _KEYS:
        return False
    names = "\n".join(carrier)
    if len(names) > _NAMES_CHARS:
        return False
    names = names.lower()
    text, state, members = found
    return (
        names.count("traceparent") == (text is not None)
        and names.count("tracestate") == (state is not None)
        and names.count("baggage") == (members is not None)
    )


def written(context: TraceContext, with_baggage: bool) -> dict[str, str] | None:
    """Give the headers of a context; None where the general path has to look."""
    if type(context) is not TraceContext:
        return None
    trace, span, sampled, state, _, _, random, baggage = context
    if trace <= 0 or span <= 0 or trace >> 128 or span >> 64:
        return None
    headers = written_sampled(
        trace, span, random is True, state, baggage if with_baggage else NO_BAGGAGE
    )
    if headers is not None and sampled is not True:
        headers["traceparent"] = _NOT_SAMPLED[random is True] % (trace, span)
    return headers


def written_sampled(
    trace: int, span: int, random: bool, state: str, baggage: Mapping[str, str]
) -> dict[str, str] | None:
    """Do the same for ids that are in their range, of a trace that is sampled."""
    form = _SAMPLED_RANDOM if random else _SAMPLED
    headers = {"traceparent": form % (trace, span)}
    if state:
        # Whoever extracted it has checked it; but nothing at all may forge a header.
        is_harmless = state.isascii() and state.isprintable() and "=" in state
        if len(state) > _STATE_CHARS or not is_harmless:
            return None
        headers["tracestate"] = state
    if baggage:
        if type(baggage) is not CheckedBaggage:
            return None
        headers["baggage"] = baggage.header
    return headers
