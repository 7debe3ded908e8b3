"""Every exception that obs raises on purpose.

    ObsError(Exception)
    ├── DefinitionError(ObsError, ValueError)   a name, label, bucket or argument
    │   └── MetricConflict                      one name, two definitions
    ├── InvalidValue(ObsError, ValueError)      a call, only under ``strict=True``
    ├── StartFailed(ObsError, RuntimeError)     a port taken, an address refused
    └── ExportFailed(ObsError)                  what an exporter's ``send`` raises

Definitions raise at once. Recording calls never raise, unless the instance is strict.
"""

import reprlib
from types import FunctionType

SHOWN_CHARS = 80
"""How much of a foreign value an error text repeats."""


def type_name(value: object) -> str:
    """Give the name of a value's class, whatever its metaclass does with names."""
    return str(type.__dict__["__name__"].__get__(type(value)))


class _Shown(reprlib.Repr):
    """A ``repr`` of bounded length and time: large containers and texts are cut."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = SHOWN_CHARS
        self.maxlevel = 2

    def repr_str(self, x: str, level: int) -> str:
        """Give the beginning of what is too long, and a mark."""
        # Not its end: of a secret's end alone nothing tells that it is one.
        text = repr(x[: self.maxstring])
        is_whole = len(x) <= self.maxstring and len(text) <= self.maxstring
        return text if is_whole else f"{text[: self.maxstring - 2]}…{text[0]}"

    def repr_instance(self, x: object, level: int) -> str:
        """Give the type of what has a ``__repr__`` in Python: it may take long or raise."""
        if isinstance(type(x).__repr__, FunctionType):
            return f"<{type_name(x)}>"
        return super().repr_instance(x, level)


_shown = _Shown()


def shown(value: object) -> str:
    """Give a value's ``repr`` for an error text: at most 80 characters, never raising."""
    try:
        text = _shown.repr(value)
    except Exception:  # noqa: BLE001 - hostile types find a way
        text = f"<{type_name(value)}>"
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


class ObsError(Exception):
    """Base of everything that obs raises on purpose."""


class DefinitionError(ObsError, ValueError):
    """A definition broke a rule: the text says what came, which rule, and what to do."""


class MetricConflict(DefinitionError):
    """One metric name was defined twice, differently.

    Attributes:
        name: The metric's name.
        existing: Where it was defined first, as ``file:line``.
        wanted: Where it was defined again, as ``file:line``.
    """

    def __init__(self, name: str, existing: str, wanted: str, difference: str) -> None:
        super().__init__(
            f"metric {name!r}: defined at {existing}, and differently at {wanted}: "
            f"{difference}. Give one of them another name."
        )
        self.name = name
        self.existing = existing
        self.wanted = wanted


class InvalidValue(ObsError, ValueError):
    """A recording call got what it cannot record (raised under ``strict=True`` only)."""


class StartFailed(ObsError, RuntimeError):
    """``start`` could not bind, connect or load what an exporter needs."""


class ExportFailed(ObsError):
    """The one exception that a push exporter's ``send`` may raise.

    Attributes:
        retryable: Whether the same payload may be sent again.
        retry_after: Seconds that the backend asked to wait, or None.
        sent: True when the payload may have arrived; what is then not retried counts
            as unknown, not as lost.
        reason: By what the records count as rejected, where the backend refused them:
            few different words, such as ``http_400``.
    """

    def __init__(
        self,
        text: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        sent: bool = False,
        reason: str = "refused",
    ) -> None:
        super().__init__(text)
        self.retryable = retryable
        self.retry_after = retry_after
        self.sent = sent
        self.reason = reason
