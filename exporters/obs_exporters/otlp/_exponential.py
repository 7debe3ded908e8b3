"""Points of exponential histograms as OTLP has them.

Blocks do not hold them, so they are taken from ``family.points``.
"""

from struct import Struct

from obs.model import ExponentialPoint
from obs_exporters.otlp._attributes import attributes
from obs_exporters.otlp._wire import sized, varint, zigzag

_head = Struct("<BQBQBQBdBQ").pack
_least = Struct("<Bd").pack


def exponential_point(point: ExponentialPoint, start_ns: int, time_ns: int) -> bytes:
    """Give a point as a field of its metric.

    Args:
        point: The series.
        start_ns: Since when it counts where the point does not say.
        time_ns: Now.

    Raises:
        Exception: Of any kind, where something in it is odd.
    """
    counts = b"".join([varint(count) for count in point.buckets])
    if min(point.buckets, default=0) < 0 or max(point.buckets, default=0) >> 64:
        raise ValueError
    buckets = b"\x08" + zigzag(point.offset) + b"\x12" + sized(counts)
    parts = [
        *attributes(b"\x0a", point.labels),
        _head(
            0x11, point.start_ns or start_ns, 0x19, time_ns, 0x21, point.count,
            0x29, point.sum, 0x39, point.zero_count,
        ),
        b"\x30", zigzag(point.scale),
        b"\x42", sized(buckets),
    ]  # fmt: skip
    if point.min is not None:
        parts.append(_least(0x61, point.min))
    if point.max is not None:
        parts.append(_least(0x69, point.max))
    return b"\x0a" + sized(b"".join(parts))
