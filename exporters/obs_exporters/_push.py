"""What push exporters have in common."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import ParamSpec, TypeVar, cast

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, shown
from obs.model import Payload, SpanRecord

SIGNALS = ("metrics", "logs", "traces")
P = ParamSpec("P")
R = TypeVar("R")
_SAID_BY_STATUS = frozenset({"ok", "error"})


def wrong_argument(
    exporter: object, what: str, got: object, needs: str
) -> DefinitionError:
    """Give the exception for an argument that breaks its rule.

    Args:
        exporter: The exporter's name.
        what: The argument's.
        got: What came in its place.
        needs: What it needs to be.
    """
    text = f"exporter {shown(exporter)}: {what} got {shown(got)}, needs {needs}."
    return DefinitionError(text)


def check_push(
    name: object,
    *,
    interval: object,
    timeout: object,
    signals: Iterable[str],
    temporality: object = "cumulative",
) -> frozenset[str]:
    """Check the common keywords of a push exporter.

    Args:
        name: What the exporter is called among those of an instance.
        interval: Seconds between pushes of metrics.
        timeout: Seconds that one send may take.
        signals: Which signals it is to take.
        temporality: Whether it is to get totals or increases.

    Returns:
        The signals.

    Raises:
        DefinitionError: One of them breaks its rule.
    """
    if not isinstance(name, str) or not name:
        raise wrong_argument(name, "name", name, "a text")
    for what, value in (("interval", interval), ("timeout", timeout)):
        is_number = type(value) is int or type(value) is float
        if not is_number or not 0.01 <= cast("float", value) <= 86_400:
            raise wrong_argument(name, what, value, "seconds from 0.01 to 86400")
    try:
        found = frozenset([signals] if isinstance(signals, str) else signals)
    except TypeError:
        found = frozenset()
    if not found or not found <= frozenset(SIGNALS):
        needs = f"some of {', '.join(SIGNALS)}"
        raise wrong_argument(name, "signals", signals, needs)
    if temporality not in ("cumulative", "delta"):
        needs = "'cumulative' or 'delta'"
        raise wrong_argument(name, "temporality", temporality, needs)
    return found


def check_one_of(
    exporter: object, what: str, got: object, known: Collection[str]
) -> None:
    """Check an argument that is one of some texts.

    Raises:
        DefinitionError: It is none of them.
    """
    if not isinstance(got, str) or got not in known:
        raise wrong_argument(exporter, what, got, f"one of {', '.join(known)}")


def check_flag(exporter: object, what: str, got: object) -> None:
    """Check an argument that says yes or no.

    Raises:
        DefinitionError: It is no bool.
    """
    if not isinstance(got, bool):
        raise wrong_argument(exporter, what, got, "True or False")


def check_integer(
    exporter: object, what: str, got: object, least: int, most: int
) -> None:
    """Check an argument that is an integer.

    Raises:
        DefinitionError: It is none, or outside of its limits.
    """
    if type(got) is not int or not least <= got <= most:
        raise wrong_argument(exporter, what, got, f"an integer from {least} to {most}")


def check_resource_tags(exporter: object, names: object) -> tuple[str, ...]:
    """Check which attributes of the resource go with every series.

    Raises:
        DefinitionError: They are no list of names.
    """
    if isinstance(names, Iterable) and not isinstance(names, str):
        found = tuple(names)
        if all(isinstance(it, str) and it for it in found):
            return found
    needs = "names of attributes, as ('host.name',)"
    raise wrong_argument(exporter, "resource_tags", names, needs)


def attempt(make: Callable[P, R], *args: P.args, **named: P.kwargs) -> R | None:
    """Give what a function makes of a record; None where it raises.

    Records that were made by hand may hold anything. What was meant for the host goes on.
    """
    try:
        return make(*args, **named)
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return None


def make_payload(body: object, records: int, invalid: int) -> Payload:
    """Give a payload; what was left out of it is counted as ``invalid``."""
    return Payload(body, records, {"invalid": invalid} if invalid else {})


def divided(
    items: Iterable[bytes | None],
    max_bytes: int,
    around: tuple[bytes, bytes, bytes] = (b"", b"", b""),
) -> Iterator[Payload]:
    """Give encoded records in payloads of at most ``max_bytes``; one alone may be larger.

    Args:
        items: One for each record; None for what cannot be encoded.
        max_bytes: The largest body.
        around: What stands before the first, between two, and behind the last.
    """
    begin, between, end = around
    bodies: list[bytes] = []
    least = size = len(begin) + len(end) - len(between)
    invalid = 0

    def taken() -> Payload:
        return make_payload(begin + between.join(bodies) + end, len(bodies), invalid)

    for item in items:
        if item is None:
            invalid += 1
            continue
        length = len(between) + len(item)
        if bodies and size + length > max_bytes:
            yield taken()
            bodies, size, invalid = [], least, 0
        bodies.append(item)
        size += length
    if bodies or invalid:
        yield taken()


def outcome_attributes(record: SpanRecord) -> dict[str, str]:
    """Give what a span's status does not say of its end.

    ``error.type``, as the semantic conventions have it, is the exception's; ``obs.outcome``
    is there where it is ``cancelled``, ``deadline_exceeded`` or ``aborted``. What the user
    has set under these names goes before.
    """
    found = {}
    if record.error_type:
        found["error.type"] = record.error_type
    if record.outcome not in _SAID_BY_STATUS:
        found["obs.outcome"] = record.outcome
    return found
