"""Which traces are recorded: decided once, where a process adds its first span.

What is below that span follows it. A sampler neither blocks nor locks; ``ParentBased``
follows what another process has decided, the others decide anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from obs._clock import SystemClock
from obs.errors import DefinitionError, shown
from obs.model import SpanKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obs._clock import Clock
    from obs.model import TraceContext
    from obs.protocols import Sampler

_KINDS = get_args(SpanKind)
_RANDOM_BITS = 56


class Always:
    """Records every trace."""

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide: True."""
        return True


class Never:
    """Records no trace; ids are made and travel on all the same."""

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide: False."""
        return False


class Ratio:
    """Records a share of the traces: the same ones in every process that has this ratio.

    Decided by the id's last 56 bits; a higher ratio records all that a lower one does.

    Args:
        share: From 0 to 1.

    Raises:
        DefinitionError: It is not such a number.

    Source: W3C Trace Context Level 2, "random-trace-id"; OpenTelemetry, "consistent
    probability sampling".
    """

    def __init__(self, share: float) -> None:
        if not _is_number(share) or not 0 <= share <= 1:
            text = f"Ratio: got {shown(share)}, needs a number from 0 to 1."
            raise DefinitionError(text)
        self._rejected = (1 << _RANDOM_BITS) - round(share * (1 << _RANDOM_BITS))

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide by the id."""
        return trace & ((1 << _RANDOM_BITS) - 1) >= self._rejected


class ParentBased:
    """Follows the decision that came with the context; asks ``root`` where there is none.

    Args:
        root: Asked at roots, and where upstream left the decision to us.
    """

    def __init__(self, root: Sampler) -> None:
        self._root = check_sampler("ParentBased", root)

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide as the parent did."""
        if parent.sampled is not None:
            return parent.sampled
        return self._root.sample(trace, name, attributes, kind, parent)


class RateLimited:
    """Records at most so many traces a second, the first ones of each moment.

    Threads: any, without a lock, and exactly so many whatever they do at once.

    Args:
        per_second: How many on average; from 1e-9 to 1e9.
        burst: How many at once after a pause; a second's, at least 1, when None.
        clock: Where time comes from; for tests.

    Raises:
        DefinitionError: A number is out of range.

    Source: ITU-T I.371, the generic cell rate algorithm.
    """

    def __init__(
        self,
        per_second: float,
        *,
        burst: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not _is_number(per_second) or not 1e-9 <= per_second <= 1e9:
            got = shown(per_second)
            text = (
                f"RateLimited: per_second got {got}, needs a number from 1e-9 to 1e9."
            )
            raise DefinitionError(text)
        most = max(per_second, 1) if burst is None else burst
        if not _is_number(most) or not 1 <= most <= 1e9:
            text = (
                f"RateLimited: burst got {shown(burst)}, needs a number from 1 to 1e9."
            )
            raise DefinitionError(text)
        self._now = (clock or SystemClock()).monotonic_ns
        self._interval = 1e9 / per_second
        self._most = (most - 1) * self._interval
        self._last = _Turn(float("-inf"))

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide by how many there were."""
        now = self._now()
        turn = self._last
        while True:
            while turn.after:  # somebody has been faster
                turn = turn.after[0]
            at = max(turn.next, now - self._most)
            if at > now:
                return False
            mine = _Turn(at + self._interval)
            if turn.after.setdefault(0, mine) is mine:
                # A slower thread may put an older turn here; from there, too, one finds
                # the newest.
                self._last = mine
                return True


class _Turn:
    """One trace that ``RateLimited`` has let pass.

    Attributes:
        next: When the next may, by the monotonic clock, in ns.
        after: That one, once there is one. Of several threads that put theirs here, the
            first wins: ``dict.setdefault`` is atomic.
    """

    __slots__ = ("after", "next")

    def __init__(self, at: float) -> None:
        self.next = at
        self.after: dict[int, _Turn] = {}


class AllOf:
    """Records what all of several samplers would; the first that would not ends it.

    Args:
        samplers: Asked in order; put what counts (``RateLimited``) last.
    """

    def __init__(self, *samplers: Sampler) -> None:
        self._samplers = [check_sampler("AllOf", sampler) for sampler in samplers]

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide together."""
        return all(
            sampler.sample(trace, name, attributes, kind, parent)
            for sampler in self._samplers
        )


class AnyOf:
    """Records what at least one of several samplers would.

    Args:
        samplers: Asked in order, until one would.
    """

    def __init__(self, *samplers: Sampler) -> None:
        self._samplers = [check_sampler("AnyOf", sampler) for sampler in samplers]

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide together."""
        return any(
            sampler.sample(trace, name, attributes, kind, parent)
            for sampler in self._samplers
        )


class Rule:
    """Which spans a sampler is for.

    Args:
        sampler: What decides about them.
        name: The span's name; ``*`` stands for any text, ``?`` for one character.
        kind: The span's kind; any when None.
        attributes: What it must start with: each by its value, or by a pattern as above.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        name: str = "*",
        kind: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.sampler = check_sampler("Rule", sampler)
        self._name = _pattern(name)
        if kind is not None and kind not in _KINDS:
            text = f"Rule: kind got {shown(kind)}, needs one of {', '.join(_KINDS)}."
            raise DefinitionError(text)
        self._kind = kind
        self._attributes = _patterns(attributes)

    def applies(self, name: str, attributes: Mapping[str, Any], kind: str) -> bool:
        """Whether it is for a span that starts so."""
        if self._kind is not None and kind != self._kind:
            return False
        if not isinstance(name, str) or self._name.match(name) is None:
            return False
        for key, wanted in self._attributes.items():
            if key not in attributes:
                return False
            value = attributes[key]
            if isinstance(wanted, re.Pattern):
                if not isinstance(value, str) or wanted.match(value) is None:
                    return False
            elif value != wanted:
                return False
        return True


class Rules:
    """Asks the sampler of the first rule that applies.

    Args:
        rules: In order.
        default: Asked where none applies; records all when None.
    """

    def __init__(self, *rules: Rule, default: Sampler | None = None) -> None:
        for rule in rules:
            if not isinstance(rule, Rule):
                text = f"Rules: got {shown(rule)}, needs Rule(sampler, name=...)."
                raise DefinitionError(text)
        self._rules = rules
        self._default = check_sampler("Rules", Always() if default is None else default)

    def sample(
        self,
        trace: int,
        name: str,
        attributes: Mapping[str, Any],
        kind: str,
        parent: TraceContext,
    ) -> bool:
        """Decide by the first rule that applies."""
        sampler = self._default
        for rule in self._rules:
            if rule.applies(name, attributes, kind):
                sampler = rule.sampler
                break
        return sampler.sample(trace, name, attributes, kind, parent)


def check_sampler(what: str, sampler: Sampler) -> Sampler:
    """Give a sampler back.

    Raises:
        DefinitionError: It is none.
    """
    if isinstance(sampler, type) or not callable(getattr(sampler, "sample", None)):
        text = f"{what}: got {shown(sampler)}, needs a sampler such as Ratio(0.1)."
        raise DefinitionError(text)
    return sampler


def _pattern(text: str) -> re.Pattern[str]:
    if not isinstance(text, str):
        complaint = f"Rule: name got {shown(text)}, needs text."
        raise DefinitionError(complaint)
    from fnmatch import translate  # noqa: PLC0415 - paid by who has rules

    # fnmatch's brackets would surprise in "GET /items[0]".
    return re.compile(translate(text.replace("[", "[[]")), re.DOTALL)


def _patterns(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        wanted = dict(attributes or {})
    except (TypeError, ValueError):
        text = f"Rule: attributes got {shown(attributes)}, needs a mapping."
        raise DefinitionError(text) from None
    return {
        key: _pattern(value) if isinstance(value, str) else value
        for key, value in wanted.items()
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
