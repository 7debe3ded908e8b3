"""The arguments that all push exporters have in common, checked in one place."""

from collections.abc import Iterable

from obs.errors import DefinitionError, shown

SIGNALS = ("metrics", "logs", "traces")


def check_push(
    name: object,
    *,
    interval: object,
    timeout: object,
    signals: Iterable[str],
    possible: tuple[str, ...] = SIGNALS,
) -> frozenset[str]:
    """Check the common keywords of a push exporter.

    Args:
        name: What the exporter is called among those of an instance.
        interval: Seconds between pushes of metrics.
        timeout: Seconds that one send may take.
        signals: Which signals it is to take.
        possible: Which it can take.

    Returns:
        The signals.

    Raises:
        DefinitionError: One of them breaks its rule.
    """
    if not isinstance(name, str) or not name:
        text = f"exporter {shown(name)}: name got {shown(name)}, needs a text."
        raise DefinitionError(text)
    for what, value in (("interval", interval), ("timeout", timeout)):
        is_number = type(value) in (int, float)
        if not is_number or not 0.01 <= value <= 86_400:  # type: ignore[operator]
            text = (
                f"exporter {name!r}: {what} got {shown(value)}, needs seconds from 0.01 "
                "to 86400."
            )
            raise DefinitionError(text)
    try:
        found = frozenset([signals] if isinstance(signals, str) else signals)
    except TypeError:
        found = frozenset()
    if not found or not found <= frozenset(possible):
        text = (
            f"exporter {name!r}: signals got {shown(signals)}, needs some of "
            f"{', '.join(possible)}."
        )
        raise DefinitionError(text)
    return found
