"""A point as lines, and lines as datagrams.

Source: github.com/statsd/statsd, "Metric types"; "DogStatsD datagram format" of Datadog.
"""

from collections.abc import Iterator
from math import isfinite

from obs.model import HistogramPoint, MetricFamily, NumberPoint, Point
from obs_exporters.statsd._dialects import Dialect, Key
from obs_exporters.statsd._samples import decimal, rate_of, samples_of

KINDS = ("counter", "updown", "gauge", "histogram", "info")
_MILLISECONDS = {
    "ns": 1e-6,
    "us": 1e-3,
    "ms": 1.0,
    "s": 1e3,
    "min": 60e3,
    "h": 3_600e3,
    "d": 86_400e3,
}


def lines_of(
    dialect: Dialect, key: Key, family: MetricFamily, point: Point
) -> list[bytes]:
    """Give the lines of a point, each with its end; none where nothing was counted.

    What has to stay together is one of them: a gauge below zero.

    Raises:
        Exception: The point cannot be written.
    """
    if isinstance(point, HistogramPoint):
        return _histogram(dialect, key, family.unit, point)
    if not isinstance(point, NumberPoint):
        raise TypeError
    value = _number(point.value)
    text = str(int(value)) if isinstance(value, int) else decimal(value)
    if family.kind == "info":
        return [_line(key, "1|g")]
    if family.kind != "counter":
        before = dialect.below_zero.format(*key) if value < 0 else ""
        return [_line(key, f"{before}{text}|g")]
    if value < 0:
        raise ValueError
    return [_line(key, f"{text}|c")] if value else []


def datagrams(body: bytes, limit: int) -> Iterator[bytes]:
    """Give the datagrams of a body: itself, or lines of it, up to ``limit`` bytes each."""
    while len(body) > limit:
        end = body.rindex(b"\n", 0, limit) + 1
        yield body[:end]
        body = body[end:]
    yield body


def _histogram(
    dialect: Dialect, key: Key, unit: str, point: HistogramPoint
) -> list[bytes]:
    factor = _MILLISECONDS.get(unit)
    kind = dialect.other if factor is None else "ms"
    factor = factor or 1.0
    samples = samples_of(
        [bound * factor for bound in point.bounds],
        point.buckets,
        _number(point.sum) * factor,
        most_lines=dialect.most_lines,
        is_signed=kind
        == "d",  # others have no negative times, or take them for changes
    )
    lines = []
    for value, weight, n in samples:
        text = f"{decimal(value)}|{kind}"
        each, more = divmod(weight, n)
        for size, times in ((each, n - more), (each + 1, more)):
            if times:
                rate = f"|@{rate_of(size)}" if size > 1 else ""
                lines += [_line(key, f"{text}{rate}")] * times
    return lines


def _line(key: Key, text: str) -> bytes:
    return f"{key.head}:{text}{key.tail}\n".encode()


def _number(value: float) -> float:
    if not isfinite(value):
        raise ValueError
    return value
