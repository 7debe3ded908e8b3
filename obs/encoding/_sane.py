"""A log record of any values as one that every exporter can take as it is."""

from typing import Any

from obs.encoding._redaction import Redaction
from obs.encoding._time import whole
from obs.encoding._values import Plain
from obs.limits import Limits
from obs.model import LogRecord

USUAL = Limits()
LEVELS = frozenset({"trace", "debug", "info", "warning", "error", "critical"})


def sane(
    record: LogRecord, redact: Redaction | None = None, limits: Limits = USUAL
) -> tuple[LogRecord, int]:
    """Give a log record of plain values: bounded, and without secrets.

    Its fields are a dict of plain values (see ``Plain``), at most ``attributes`` (128), a
    mark among them where there were more; event, level and logger are texts, all of them
    together ``record_bytes`` (64 KiB); ids and time are integers that fit their bits,
    else 0. A level that is none is ``info``. A sane record comes out as it went in.

    Args:
        record: The record; any value may stand in any place of it.
        redact: Takes the secrets out, at any depth.
        limits: How much it may hold.

    Returns:
        The record, and how many of its values were cut.
    """
    plain = Plain(limits.record_bytes, redact)
    given: Any = record.level
    if type(given) is not str or given not in LEVELS:
        given = plain.name(given)
    level: Any = given
    if given not in LEVELS:
        level = "info"
        plain.cut += 1
    found = LogRecord(
        _unsigned(record.time_ns, 64),
        level,
        plain.name(record.event),
        plain.name(record.logger),
        _unsigned(record.trace, 128),
        _unsigned(record.span, 64),
        plain.mapping(record.fields, limits.attributes),
    )
    return found, plain.cut


def _unsigned(number: object, bits: int) -> int:
    exact = whole(number) or 0
    return exact if 0 <= exact < 1 << bits else 0
