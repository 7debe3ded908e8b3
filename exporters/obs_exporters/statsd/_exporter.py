"""The exporter: increases, levels and distributions go to a StatsD server."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from obs._fork import on_fork
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, MetricFamily, Payload, Resource
from obs_exporters._http_connection import reason_of
from obs_exporters._push import (
    attempt,
    check_push,
    check_resource_tags,
    divided,
    wrong_argument,
)
from obs_exporters._series import series_by
from obs_exporters._transport import (
    IMPORTS,
    Local,
    Stream,
    Transport,
    host_and_port,
)
from obs_exporters.statsd._client import Client
from obs_exporters.statsd._dialects import DIALECTS, Key, tags_of
from obs_exporters.statsd._lines import KINDS, datagrams, lines_of

MAX_BYTES = 64 * 1024
MOST_LINE = 4_096
"""In a stream: at a longer line statsd_exporter closes the connection."""
UDP_DATAGRAM = 1_432
"""What passes networks whole, tunnels and IPv6 among them; 8,932 with jumbo frames."""
UNIX_DATAGRAM = 8_192
"""What an agent of Datadog takes by default."""
RESOURCE_TAGS = ("service.name", "service.version", "deployment.environment.name")
PORT = 8125
_TOO_LARGE = "too_large"
_PROTOCOLS = ("udp", "tcp", "unix")
_PREFIX = re.compile(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?")
_ID = re.compile(r"[A-Za-z0-9_./-]{1,256}")
_UNIFIED = {
    "service.name": "service",
    "service.version": "version",
    "deployment.environment.name": "env",
}
"""Datadog, "Unified service tagging"."""


class StatsdExporter:
    """Sends metrics to a StatsD server.

    Counters go out as their increase, ``|c``; up-down counters, gauges and infos as what
    they are, ``|g``. Of a histogram few values go out that stand for all: durations in
    milliseconds, ``|ms``, others as they are (``|d`` for DogStatsD, ``|h`` for Telegraf,
    ``|ms`` in the plain dialect). Counts are exact, percentiles lie in the right bucket. In
    the plain dialect, whose servers do not weigh values, that holds for whole percentiles.

    Nobody acknowledges StatsD: what the kernel took counts as delivered. Over TCP and a Unix
    stream a server that has closed its connection before the next send loses nothing; what
    was under way counts as unknown, and is not sent twice.

    Args:
        address: Host and port (8125 if it has none), or the path of a Unix socket.
        protocol: ``udp``, ``tcp`` or ``unix`` (datagrams or a stream, as the socket is).
        dialect: ``plain`` (names and label values with dots between them), ``datadog`` or
            ``telegraf`` (labels as tags).
        prefix: What all names begin with, without the dot that comes behind it.
        client: Your own client of the package ``statsd``, in place of ``address`` and
            ``protocol``; for the plain dialect. Of its errors ``StatsClient`` shows none.
        max_datagram_bytes: The largest datagram, 512 to 65,507; 1,432 over UDP and 8,192
            to a Unix socket by default.
        resource_tags: Which attributes of the resource go with every series as tags. Several
            processes whose gauges are to stay apart need ``process.pid`` or
            ``service.instance.id``.
        container_id: The id for Datadog's origin detection; True: the resource's.
        entity_id: The pod's id for the same, as ``DD_ENTITY_ID`` has it.
        interval: Seconds between pushes.
        timeout: Seconds that one send may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    imports = IMPORTS

    def __init__(
        self,
        address: str = "127.0.0.1:8125",
        *,
        protocol: str = "udp",
        dialect: str = "plain",
        prefix: str = "",
        client: object = None,
        max_datagram_bytes: int | None = None,
        resource_tags: Iterable[str] = RESOURCE_TAGS,
        container_id: str | bool = False,
        entity_id: str = "",
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "statsd",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("metrics",),
            possible=("metrics",),
        )
        self.name = name
        self.delivery = Delivery(
            interval,
            timeout,
            MAX_BYTES,
            temporality="delta",
            acknowledges=False,
            replayable=False,
        )
        _check_choices(name, protocol, dialect, prefix)
        _check_origin(name, dialect, container_id, entity_id)
        self._prefix = f"{prefix}." if prefix else ""
        self._dialect = DIALECTS[dialect]
        self._resource_tags = check_resource_tags(name, resource_tags)
        self._is_datadog = dialect == "datadog"
        self._container_id = container_id
        self._entity_id = entity_id
        is_stream = protocol == "tcp" and client is None
        most = _checked_size(name, protocol, max_datagram_bytes, is_stream=is_stream)
        self._most_body = MAX_BYTES if is_stream else most
        self._most_line = MOST_LINE if is_stream else most
        messages = partial(datagrams, limit=most)
        if client is not None:
            _check_client(name, dialect, client)
            self._transport: Transport = Client(client, messages)
            self._shown = type(client).__name__
        else:
            framed = _with_lengths(messages) if self._is_datadog else bytes
            self._transport = _transport(name, address, protocol, messages, framed)
            self._shown = f"{protocol}://{address}"
        on_fork(self)

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give lines, in payloads of one datagram each, or of 64 KiB for TCP.

        Of a histogram that is larger all lines are one payload of several datagrams.
        """
        constant = self._constant_tags(batch.resource)
        tail = self._origin(batch.resource)

        def key(family: MetricFamily, labels: dict[str, str]) -> Key | None:
            if family.kind not in KINDS:
                return None
            name = f"{self._prefix}{family.name}"
            found = attempt(self._dialect.key, name, labels, constant)
            return found._replace(tail=found.tail + tail) if found and tail else found

        series = series_by(batch.families, key)
        items = (self._encoded(key, *point) for key, point in series.by_key.items())
        payloads = divided((item for item in items if item != b""), self._most_body)
        first = next(payloads, Payload(b"", 0))
        invalid = first.dropped.get("invalid", 0) + series.invalid
        first = first._replace(
            dropped={"invalid": invalid} if invalid else {}, merged=series.merged
        )
        if first.records or invalid or series.merged:
            yield first
        yield from payloads

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Hand the lines to the kernel.

        Raises:
            ExportFailed: It did not take all of them before ``deadline``; to be tried
                again if it took none.
        """
        try:
            self._transport.send(payload.body, deadline)
        except (OSError, ValueError) as error:
            text = f"exporter {self.name!r}: {self._shown}: {reason_of(error)}."
            sent = self._transport.sent
            raise ExportFailed(text, retryable=not sent, sent=sent) from error
        if self._transport.refused:
            return Ack(0, {_TOO_LARGE: payload.records})
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """End the connection, a second at most; a later ``send`` opens another."""
        self._transport.close(deadline)

    def __repr__(self) -> str:
        return f"StatsdExporter({self._shown!r})"

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self._transport.forget()

    def _encoded(self, key: Key, family: MetricFamily, point: Any) -> bytes | None:
        lines = attempt(lines_of, self._dialect, key, family, point)
        if lines is None or max(map(len, lines), default=0) > self._most_line:
            return None
        body = b"".join(lines)
        return body if len(body) <= MAX_BYTES else None

    def _constant_tags(self, resource: Resource) -> dict[str, str]:
        names = _UNIFIED if self._is_datadog else {}
        attributes = resource.attributes
        tags = {
            names.get(name, name): attributes[name]
            for name in self._resource_tags
            if name in attributes
        }
        if self._entity_id:
            tags["dd.internal.entity_id"] = self._entity_id
        return tags_of(tags)

    def _origin(self, resource: Resource) -> str:
        found = self._container_id
        if found is True:
            found = resource.attributes.get("container.id", "")
        return f"|c:{found}" if found and _ID.fullmatch(found) else ""


def _transport(
    name: str,
    address: object,
    protocol: str,
    messages: Callable[[bytes], Iterable[bytes]],
    framed: Callable[[bytes], bytes],
) -> Transport:
    if protocol == "unix":
        if not isinstance(address, str) or not address or "\0" in address:
            raise wrong_argument(name, "address", address, "the path of a Unix socket")
        return Local(address, messages, framed)
    host, port = host_and_port(address)
    if not host or port == 0:
        needs = "a host and a port, as host:8125"
        raise wrong_argument(name, "address", address, needs)
    if protocol == "udp":
        return Local((host, port or PORT), messages)
    return Stream(host, port or PORT, None)


def _with_lengths(
    messages: Callable[[bytes], Iterable[bytes]],
) -> Callable[[bytes], bytes]:
    """Give what puts datagrams into a stream as Datadog's agent reads them from one.

    Source: datadog-agent, comp/dogstatsd/listeners/uds_common.go.
    """
    return lambda body: b"".join(
        len(each).to_bytes(4, "little") + each for each in messages(body)
    )


def _check_choices(name: str, protocol: str, dialect: str, prefix: str) -> None:
    for what, value, known in (
        ("protocol", protocol, _PROTOCOLS),
        ("dialect", dialect, tuple(DIALECTS)),
    ):
        if value not in known:
            needs = f"one of {', '.join(known)}"
            raise wrong_argument(name, what, value, needs)
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        needs = "letters, digits, '_' and '-', with dots between them"
        raise wrong_argument(name, "prefix", prefix, needs)


def _check_client(name: str, dialect: str, client: object) -> None:
    if dialect != "plain":
        raise wrong_argument(name, "client", client, "the dialect 'plain'")
    if not callable(getattr(client, "_send", None)):
        raise wrong_argument(name, "client", client, "a client of the package statsd")


def _checked_size(
    name: str, protocol: str, given: int | None, *, is_stream: bool
) -> int:
    if given is None:
        return UNIX_DATAGRAM if protocol == "unix" else UDP_DATAGRAM
    if is_stream:
        needs = "a protocol of datagrams"
        raise wrong_argument(name, "max_datagram_bytes", given, needs)
    if type(given) is not int or not 512 <= given <= 65_507:
        needs = "a whole number from 512 to 65507"
        raise wrong_argument(name, "max_datagram_bytes", given, needs)
    return given


def _check_origin(
    name: str, dialect: str, container_id: object, entity_id: object
) -> None:
    for what, value in (("container_id", container_id), ("entity_id", entity_id)):
        if not value:
            continue
        is_flag = value is True and what == "container_id"
        if not is_flag and not (isinstance(value, str) and _ID.fullmatch(value)):
            needs = "1 to 256 letters, digits, '_', '.', '/' and '-'"
            raise wrong_argument(name, what, value, needs)
        if dialect != "datadog":
            raise wrong_argument(name, what, value, "the dialect 'datadog'")
