"""The exporter: metrics go to carbon, or to what takes its protocols."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from obs._fork import on_fork
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, HistogramPoint, Payload, Resource
from obs_exporters._http_connection import reason_of
from obs_exporters._push import (
    attempt,
    check_push,
    check_resource_tags,
    wrong_argument,
)
from obs_exporters._series import Series, series_by
from obs_exporters._transport import (
    IMPORTS,
    Local,
    Stream,
    Transport,
    host_and_port,
)
from obs_exporters.graphite._bodies import MAX_BYTES, datagrams, frames, lines, payloads
from obs_exporters.graphite._paths import PLACEHOLDER, Flat, Path, Tagged, resolved
from obs_exporters.graphite._values import Histograms, Value, values_of

RESOURCE_TAGS = (
    "service.name",
    "service.instance.id",
    "deployment.environment.name",
)
_PREFIX = "{service.name}.{service.instance.id}"
_PORTS = {"plaintext": 2003, "pickle": 2004, "udp": 2003}
_HISTOGRAMS = ("percentiles", "buckets")
_LEVEL = rf"(?:[\w-]|{PLACEHOLDER.pattern})+"
_LEVELS = re.compile(rf"(?:{_LEVEL}(?:\.{_LEVEL})*)?")
_TOO_LARGE = "too_large"


class GraphiteExporter:
    """Sends metrics to Graphite: to carbon, VictoriaMetrics or whatever takes its protocols.

    Counters are running totals: ``perSecond`` and ``nonNegativeDerivative`` make rates of
    them. Sent again or twice, or overwritten by a later push in the same slot of a file,
    they stay right, which increases would not; so there are none.

    Without tags a path is prefix, name and the label values in the order of the labels.
    With them it is the name and the labels with some of the resource, sorted.

    A histogram is ``.count`` and ``.sum``; with them go ``.p50``, ``.p90``, ``.p95`` and
    ``.p99`` of what was observed since the last push that was sent (nothing observed,
    nothing sent), or the totals of its buckets.

    Nobody acknowledges: what the kernel took counts as delivered, and may be lost with a
    server that ends before it has read it. A server that has closed its connection before
    the next send loses nothing; over UDP nobody knows.

    Args:
        address: Host and port (2003 if it has none, with ``pickle`` 2004).
        protocol: ``plaintext`` or ``pickle`` over TCP, or ``udp``.
        tags: Whether labels are tags (Graphite 1.1) or levels of the path.
        prefix: Levels in front of each name; ``{host.name}`` stands for that attribute of
            the resource. ``{service.name}.{service.instance.id}`` by default, with tags
            nothing. Two processes must not have the same, or their values mix.
        resource_tags: Which attributes of the resource are tags; ``service.name``,
            ``service.instance.id`` and ``deployment.environment.name`` by default.
        histograms: ``percentiles`` or ``buckets``.
        interval: Seconds between pushes: best that of the finest archive.
        timeout: Seconds that one send may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    imports = IMPORTS

    def __init__(
        self,
        address: str = "127.0.0.1",
        *,
        protocol: str = "plaintext",
        tags: bool = False,
        prefix: str | None = None,
        resource_tags: Iterable[str] | None = None,
        histograms: str = "percentiles",
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "graphite",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("metrics",),
            possible=("metrics",),
        )
        self.name = name
        self.delivery = Delivery(interval, timeout, MAX_BYTES, acknowledges=False)
        for what, got, known in (
            ("protocol", protocol, tuple(_PORTS)),
            ("tags", tags, (False, True)),
            ("histograms", histograms, _HISTOGRAMS),
        ):
            if got not in known or type(got) is not type(known[0]):
                needs = f"one of {', '.join(map(str, known))}"
                raise wrong_argument(name, what, got, needs)
        self._tags = _tags(name, resource_tags, tags=tags)
        self._prefix = _prefix(name, "" if prefix is None and tags else prefix)
        self._pack = frames if protocol == "pickle" else lines
        self._has_percentiles = histograms == "percentiles"
        self._before: Histograms = {}
        host, port = host_and_port(address)
        if not host or port == 0:
            needs = "a host and a port, as host:2003"
            raise wrong_argument(name, "address", address, needs)
        where = host, port or _PORTS[protocol]
        self._transport: Transport = (
            Local(where, datagrams) if protocol == "udp" else Stream(*where, None)
        )
        self._shown = f"{protocol}://{address}"
        on_fork(self)

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give lines or frames, 64 KiB at a time.

        Percentiles count from the last batch of which ``send`` has sent something.
        """
        scheme = self._scheme(batch.resource)
        series = series_by(
            batch.families, lambda *series: attempt(scheme.path, *series)
        )
        histograms: Histograms = {}
        before = None
        if self._has_percentiles:
            before = self._before
            histograms = {
                path: point
                for path, (_, point) in series.by_key.items()
                if isinstance(point, HistogramPoint)
            }
        points = _points(series, before)
        time = batch.time_ns // 1_000_000_000
        return _with_left_out(payloads(points, time, self._pack, histograms), series)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Hand the values to the kernel.

        Raises:
            ExportFailed: It did not take all of them before ``deadline``; to be tried
                again: that some are sent twice changes nothing.
        """
        body: Any = payload.body
        try:
            self._transport.send(body, deadline)
        except (OSError, ValueError) as error:
            text = f"exporter {self.name!r}: {self._shown}: {reason_of(error)}."
            sent = self._transport.sent
            raise ExportFailed(text, retryable=True, sent=sent) from error
        self._before = body.histograms
        refused = min(self._transport.refused, payload.records)
        return Ack(payload.records - refused, {_TOO_LARGE: refused} if refused else {})

    def close(self, deadline: float) -> None:
        """End the connection, a second at most; a later ``send`` opens another."""
        self._transport.close(deadline)

    def __repr__(self) -> str:
        return f"GraphiteExporter({self._shown!r})"

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self._transport.forget()

    def _scheme(self, resource: Resource) -> Flat | Tagged:
        attributes = resource.attributes
        prefix = resolved(self._prefix, attributes)
        if self._tags is None:
            return Flat(prefix)
        return Tagged(prefix, {k: attributes.get(k, "") for k in self._tags})


def _points(
    series: Series[Path], before: Histograms | None
) -> Iterator[Sequence[Value] | None]:
    """Give the values of each point; None where a path of one is another's, too."""
    taken: set[str] = set()
    for path, (_, point) in series.by_key.items():
        values = attempt(values_of, path, point, before)
        paths = {value.path for value in values or ()}
        if values is None or len(paths) < len(values) or not taken.isdisjoint(paths):
            yield None
            continue
        taken |= paths
        yield values


def _with_left_out(made: Iterator[Payload], series: Series[Path]) -> Iterator[Payload]:
    """Count with the first body what has become one, and what has no path."""
    first = next(made, Payload(b"", 0))
    invalid = first.dropped.get("invalid", 0) + series.invalid
    dropped = {"invalid": invalid} if invalid else {}
    first = first._replace(dropped=dropped, merged=series.merged)
    if first.records or dropped:
        yield first
    yield from made


def _prefix(exporter: str, prefix: object) -> str:
    if prefix is None:
        return _PREFIX
    if isinstance(prefix, str) and _LEVELS.fullmatch(prefix):
        return prefix
    needs = (
        "letters, digits, '_', '-' and '{names}' of attributes, with dots between them"
    )
    raise wrong_argument(exporter, "prefix", prefix, needs)


def _tags(
    exporter: str, names: Iterable[str] | None, *, tags: bool
) -> tuple[str, ...] | None:
    if names is None:
        return RESOURCE_TAGS if tags else None
    if not tags:
        raise wrong_argument(exporter, "resource_tags", names, "tags=True")
    return check_resource_tags(exporter, names)
