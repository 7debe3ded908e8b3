"""Families of metrics as OTLP has them, divided into requests that are not too large.

counter: a monotonic sum. updown: a sum that is not. gauge: a gauge. info: a sum of ones
that is not monotonic, as the compatibility text wants it ("a count, which should be summed
together when aggregating away labels"). histogram and exponential: the two of OTLP.

Counters and both histograms are cumulative or delta as the batch is; the other sums are
always cumulative, as OTLP's preference for deltas has it. Names and units are the internal
ones, or those that ``obs.catalog`` has for OTLP. Exemplars are left out until they are
defined: ``exemplars`` of a point says nothing yet of what it holds.

Source: opentelemetry-proto, metrics/v1/metrics.proto; OpenTelemetry specification,
"Prometheus and OpenMetrics Compatibility, Info".
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from obs.catalog import CATALOG
from obs.model import Batch, Block, ExponentialPoint, MetricFamily, Payload
from obs_exporters.otlp._envelope import Body, request, resource_field, scope_field
from obs_exporters.otlp._exponential import exponential_point
from obs_exporters.otlp._points import (
    Histograms,
    Numbers,
    Points,
    Prefixes,
    Writer,
    block_points,
)
from obs_exporters.otlp._wire import sized, texted

_DATA = {
    "gauge": b"\x2a",
    "counter": b"\x3a",
    "updown": b"\x3a",
    "info": b"\x3a",
    "histogram": b"\x4a",
    "exponential": b"\x52",
}
_CUMULATIVE = b"\x10\x02"
_DELTA = b"\x10\x01"
_MONOTONIC = b"\x18\x01"
_ALWAYS_CUMULATIVE = frozenset({"updown", "info"})
_LENGTHS = 12
"""What the tags and lengths of a message and its one inner message take at most."""


class _Form(NamedTuple):
    """What stands around the points of one metric.

    Attributes:
        head: Its name, description and unit.
        data: The tag of its kind.
        tail: Temporality, and whether it is monotonic.
    """

    head: bytes
    data: bytes
    tail: bytes

    def around(self, points: bytes) -> bytes:
        """Give the field of a metric."""
        return b"\x12" + sized(self.head + self.data + sized(points + self.tail))

    @property
    def size(self) -> int:
        return len(self.head) + len(self.tail) + _LENGTHS


class MetricsEncoder:
    """Encodes one batch.

    Args:
        batch: Its families.
        before: The prefixes of the batch before.
        max_bytes: The largest request.

    Attributes:
        prefixes: For the next batch, once all payloads have been taken.
    """

    def __init__(self, batch: Batch, before: Prefixes, max_bytes: int) -> None:
        self.prefixes = Prefixes(before)
        self._batch = batch
        self._resource = resource_field(batch.resource)
        self._scope = scope_field(batch.scope)
        self._room = max_bytes - len(self._resource) - len(self._scope) - _LENGTHS
        self._metrics: list[bytes] = []
        self._size = self._records = 0
        self._dropped: dict[str, int] = {}

    def payloads(self) -> Iterator[Payload]:
        """Give the requests.

        What is left out is counted in the request that comes next: ``invalid`` what is no
        such point, ``limit`` a point that is larger than a whole request may be.
        """
        for family in self._batch.families:
            try:
                form, (points, left_out) = self._form(family), self._points(family)
            except Exception:  # noqa: BLE001 - a collector may yield anything
                self._drop("invalid", _rows(family))
                continue
            self._drop("invalid", left_out)
            yield from self._add(form, points)
        if self._records or self._dropped:
            yield self._take()
        self.prefixes.end()

    def _points(self, family: MetricFamily) -> Points:
        batch = self._batch
        # Where a delta begins is no start for what has been counted since long before.
        is_total = batch.temporality == "delta" and family.kind in _ALWAYS_CUMULATIVE
        times = 0 if is_total else batch.start_ns, batch.time_ns
        if family.kind == "exponential":
            return _exponential(family, times)
        writer = _writer(family)
        points: list[bytes] = []
        left_out = 0
        for block in family.blocks:
            shown = _ones(block) if family.kind == "info" else block
            found = block_points(writer, family.name, shown, self.prefixes, times)
            points += found[0]
            left_out += found[1]
        return points, left_out

    def _form(self, family: MetricFamily) -> _Form:
        builtin = CATALOG.get(family.name)
        name = (builtin and builtin.otlp) or family.name
        head = texted(b"\x0a", name)
        head += texted(b"\x12", family.help) + texted(b"\x1a", family.unit)
        kind = family.kind
        tail = _CUMULATIVE
        if kind == "gauge":
            tail = b""
        elif self._batch.temporality == "delta" and kind not in _ALWAYS_CUMULATIVE:
            tail = _DELTA
        if kind == "counter":
            tail += _MONOTONIC
        return _Form(head, _DATA[kind], tail)

    def _add(self, form: _Form, points: list[bytes]) -> Iterator[Payload]:
        ends = list(accumulate(map(len, points)))
        first = done = 0
        while first < len(points):
            room = self._room - self._size - form.size
            last = bisect_right(ends, done + room, lo=first)
            if last > first:
                field = form.around(b"".join(points[first:last]))
                self._metrics.append(field)
                self._size += len(field)
                self._records += last - first
            elif self._records:
                yield self._take()
                continue
            else:
                last += 1
                self._drop("limit", 1)
            first, done = last, ends[last - 1]

    def _take(self) -> Payload:
        body = b""
        if self._metrics:
            scopes = [(self._scope, b"".join(self._metrics))]
            body = request(self._resource, scopes)
        payload = Payload(Body(body, "metrics"), self._records, self._dropped)
        self._metrics = []
        self._size = self._records = 0
        self._dropped = {}
        return payload

    def _drop(self, reason: str, n: int) -> None:
        if n:
            self._dropped[reason] = self._dropped.get(reason, 0) + n


def _writer(family: MetricFamily) -> Writer:
    if family.kind == "histogram":
        return Histograms(family.bounds)
    if family.kind == "counter":
        return Numbers(has_start=True, least=0)
    return Numbers(has_start=family.kind != "gauge")


def _ones(block: Block) -> Block:
    ones = [1] * len(block.rows)
    return Block(block.label_names, block.rows, ones, (), block.start_ns, block.starts)


def _exponential(family: MetricFamily, times: tuple[int, int]) -> Points:
    given = family.points
    points = []
    for point in given:
        try:
            if isinstance(point, ExponentialPoint):
                points.append(exponential_point(point, *times))
        except Exception:  # noqa: BLE001 - a point may hold anything
            continue
    return points, len(given) - len(points)


def _rows(family: MetricFamily) -> int:
    """Give how many series were lost with a family; 1 where nobody can tell."""
    try:
        return sum(len(block.rows) for block in family.blocks)
    except Exception:  # noqa: BLE001
        return 1
