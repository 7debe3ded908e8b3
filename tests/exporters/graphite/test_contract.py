"""The contract of push exporters, over each way to carbon and each form of path."""

import contextlib
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

from obs.encoding import quantile
from obs.testing.contract import ExporterContract, Histogram, Number, Rig
from obs_exporters import GraphiteExporter
from tests.exporters.graphite.reader import Lines, Pickles, grouped

MODES = {"silent": "never_read", "close": "hang_up"}
RANKS = (0.5, 0.9, 0.95, 0.99)


class OverSockets(ExporterContract):
    kind, protocol = "tcp", "plaintext"
    options: ClassVar[dict[str, Any]] = {}

    def make(self):
        stack = contextlib.ExitStack()
        kind = Pickles if self.protocol == "pickle" else Lines
        server = stack.enter_context(kind(self.kind))

        def break_backend(mode):
            if mode == "refuse":
                stack.pop_all().close()
            elif mode in MODES and server.is_stream:
                server.mode = MODES[mode]
            else:
                raise NotImplementedError

        return Rig(
            build=lambda: GraphiteExporter(
                server.address, protocol=self.protocol, **self.options
            ),
            received=lambda: [
                point_of(it) for it in whole(server.values(), **self.options)
            ],
            close=stack.close,
            break_backend=break_backend,
            expect=partial(expected, **self.options),
        )


def whole(values, *, histograms="percentiles", **_):
    """Give the values of each point, without a histogram whose end is on its way."""
    *found, last = grouped(values) or [()]
    if last and last[0].name.endswith(".count"):
        name, bound = last[-1].name, last[-1].tags.get("le", "+Inf")
        if histograms == "buckets":
            is_whole = name.endswith((".bucket.Inf", ".bucket")) and bound == "+Inf"
        else:
            is_whole = name.endswith(".p99" if last[0].value else ".sum")
        if not is_whole:
            return found
    return [*found, last] if last else found


def point_of(values):
    """Give a point of its values."""
    first, *rest = values
    labels = {k: v for k, v in first.tags.items() if not k.startswith("service.")}
    if not rest:
        return Number(first.name, labels, first.value)
    name = first.name.removesuffix(".count")
    total, *rest = [value.value for value in rest]
    bounds, counts = rest, share(first.value)[: len(rest)]
    if values[-1].name.split(".")[-2:][0] == "bucket" or "le" in values[-1].tags:
        texts = [
            it.tags.get("le") or it.name.rpartition(".")[2].replace("_", ".")
            for it in values[2:-1]
        ]
        bounds = [float(text) for text in texts]
        counts = [high - low for low, high in pairwise([0, *rest])]
    elif rest:
        counts = share(first.value)
    return Histogram(name, labels, first.value, total, bounds, counts)


def share(count):
    """Give counts that have the quantiles 0.5, 0.9, 0.95 and 0.99 at their bounds."""
    return [count * (high - low) for low, high in pairwise([0, *RANKS, 1])]


def expected(point, *, tags=False, prefix="contract", histograms="percentiles", **_):
    """Give a point as it arrives."""
    if tags:
        name, labels = point.name, {k: v for k, v in point.labels.items() if v}
    else:
        overflow = {"otel.metric.overflow": "otel_metric_overflow"}
        levels = [overflow.get(k, v) or "_empty_" for k, v in point.labels.items()]
        name, labels = ".".join([prefix, point.name, *levels]), {}
    if isinstance(point, Number):
        return Number(name, labels, point.value)
    bounds, buckets = point.bounds, point.buckets
    if histograms == "percentiles":
        bounds = (
            [quantile(q, point.bounds, buckets) for q in RANKS] if point.count else []
        )
        buckets = share(point.count) if point.count else []
    return Histogram(name, labels, point.count, point.sum, bounds, buckets)


class TestPlaintext(OverSockets):
    options: ClassVar = {"prefix": "contract"}


class TestPickle(OverSockets):
    protocol = "pickle"
    options: ClassVar = {"prefix": "contract", "histograms": "buckets"}


class TestUdp(OverSockets):
    kind = protocol = "udp"
    options: ClassVar = {"prefix": "contract"}


class TestTags(OverSockets):
    options: ClassVar = {"tags": True}


class TestTagsOfBuckets(OverSockets):
    kind = protocol = "udp"
    options: ClassVar = {"tags": True, "histograms": "buckets"}
