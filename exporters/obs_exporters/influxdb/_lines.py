"""Metrics as lines of InfluxDB's line protocol: one line for each series.

InfluxDB 2 refuses a whole body for one line that it cannot read, so no name and no value
may make one.

Source: InfluxDB 2 documentation, "Line protocol"; what servers do, InfluxDB 1.6 and 2.7.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, chain, repeat
from math import isfinite
from typing import NamedTuple

from obs.model import Batch, HistogramPoint, MetricFamily, NumberPoint, Payload, Point
from obs_exporters._push import attempt, divided
from obs_exporters._series import series_by

KEY_BYTES = 64_000
"""Bytes of measurement and tags; the servers' 65,535 count the field's name, too."""

_MOST = 2**63 - 1
_ODD = re.compile(r"[\x00-\x20\x7f\\,=\ud800-\udfff]")
_BLANKS = dict.fromkeys([*range(33), 127], r"\ ")
# Servers do not agree on what a backslash before another, or at an end, means.
_IN_MEASUREMENTS = {**_BLANKS, ord(","): r"\,", ord("\\"): "/"}
_IN_TAGS = {**_IN_MEASUREMENTS, ord("="): r"\="}


def encode_metrics(
    batch: Batch, resource_tags: tuple[str, ...], max_bytes: int
) -> Iterator[Payload]:
    """Give lines, in bodies of at most ``max_bytes``.

    Args:
        batch: A batch of metrics.
        resource_tags: Which attributes of the resource are tags of every line.
        max_bytes: The largest body; a line that is longer is left out.
    """
    attributes = batch.resource.attributes
    keys = _Keys({it: attributes[it] for it in resource_tags if it in attributes})
    series = series_by(
        batch.families, lambda family, labels: attempt(keys.key_of, family, labels)
    )
    time = b" %d" % batch.time_ns
    lines = (
        attempt(_line, key, point, time, max_bytes)
        for key, (_, point) in series.by_key.items()
    )
    merged = series.merged
    for payload in divided(
        chain(lines, repeat(None, series.invalid)), max_bytes, (b"", b"\n", b"")
    ):
        yield payload._replace(merged=merged)
        merged = 0


class _Tag(NamedTuple):
    """A tag whose value is a label's, and the tags before it that are always the same."""

    fixed: str
    key: str
    label: str


class _Layout(NamedTuple):
    """The tags of series with certain labels, in the order of their keys."""

    tags: tuple[_Tag, ...]
    end: str


class _Keys:
    """Gives series the measurement and the tags that InfluxDB knows them by.

    Args:
        resource: Tags of every series; a label of the same name goes before.
    """

    def __init__(self, resource: Mapping[str, str]) -> None:
        self._resource = resource
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}

    def key_of(self, family: MetricFamily, labels: dict[str, str]) -> str | None:
        """Give the key of a series; None for one that can have none."""
        names = tuple(labels)
        try:
            layout = self._layouts[names]
        except KeyError:
            layout = self._layouts[names] = self._layout_of(names)
        if layout is None:
            return None
        parts = [_measurement(family.name)]
        for fixed, key, label in layout.tags:
            value = _escaped(labels[label])
            parts.append(f"{fixed},{key}={value}" if value else fixed)
        parts.append(layout.end)
        return "".join(parts)

    def _layout_of(self, names: tuple[str, ...]) -> _Layout | None:
        labels = {_tag_key(name): name for name in names}
        if len(labels) < len(names) or "" in labels:
            return None
        resource = {_tag_key(name): _escaped(it) for name, it in self._resource.items()}
        tags, fixed = [], ""
        # InfluxDB takes tags faster that come sorted.
        for key in sorted({*labels, *resource}):
            if key in labels:
                tags.append(_Tag(fixed, key, labels[key]))
                fixed = ""
            elif resource[key]:
                fixed += f",{key}={resource[key]}"
        return _Layout(tuple(tags), fixed)


def _line(key: str, point: Point, time: bytes, max_bytes: int) -> bytes | None:
    head = key.encode()
    fields = _fields(point)
    if fields is None or len(head) > KEY_BYTES:
        return None
    line = b"%b %b%b" % (head, fields.encode(), time)
    return line if len(line) <= max_bytes else None


def _fields(point: Point) -> str | None:
    if isinstance(point, NumberPoint):
        # A float, be it whole or not: a field keeps the type that it had first, and 1.6
        # refuses a whole body for two types.
        value = float(point.value)
        return f"value={value!r}" if isfinite(value) else None
    return _buckets(point) if isinstance(point, HistogramPoint) else None


def _buckets(point: HistogramPoint) -> str | None:
    total = float(point.sum)
    counts = list(accumulate(point.buckets))
    names = _bucket_names(point.bounds)
    if not isfinite(total) or names is None or max(counts) > _MOST:
        return None
    buckets = [f",{name}={n:d}i" for name, n in zip(names, counts, strict=True)]
    return f"count={counts[-1]:d}i,sum={total!r}{''.join(buckets)}"


@lru_cache(256)
def _bucket_names(bounds: tuple[float, ...]) -> tuple[str, ...] | None:
    if not all(map(isfinite, bounds)):
        return None
    return (*(repr(float(it)).removesuffix(".0") for it in bounds), "+Inf")


@lru_cache(1024)
def _measurement(name: str) -> str:
    """Give a metric's name as a measurement; raises for an empty one."""
    text = _clean(name).translate(_IN_MEASUREMENTS)
    # What begins with "_" is InfluxDB's own; a line that begins with "#" is a comment.
    return f"metric{text}" if text[0] in "_#" else text


def _tag_key(name: str) -> str:
    text = _escaped(name)
    return f"tag_{text.lstrip('_')}" if text == "time" or text[:1] == "_" else text


def _escaped(text: str) -> str:
    if _ODD.search(text) is None:
        return text
    return _clean(text).translate(_IN_TAGS)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
