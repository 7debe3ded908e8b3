"""The exporter: log records go to a syslog server."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obs._fork import on_fork
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, Payload
from obs_exporters._http_connection import Tls, check_tls, reason_of
from obs_exporters._push import attempt, check_push, divided, wrong_argument
from obs_exporters._transport import (
    IMPORTS,
    Local,
    Stream,
    Transport,
    host_and_port,
)
from obs_exporters.syslog._message import (
    FACILITIES,
    Sender,
    framed,
    head_of,
    messages,
)

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 64 * 1024
LEAST_MESSAGE = 480
MOST_MESSAGE = 65_000
DATAGRAM = 2_048
FRAME = 8_192
"""What rsyslog and the OpenTelemetry Collector take of one message by default."""
_TOO_LARGE = "too_large"
_PROTOCOLS = ("udp", "tcp", "tls", "unix")
_SD_ID = re.compile(r'(?=.{3,32}\Z)[^\x00- ="\]@\x7f-\U0010ffff]+@[0-9]+(\.[0-9]+)*')
_HEADER = re.compile(r"[!-~]+")


class SyslogExporter:
    """Sends log records to a syslog server as RFC 5424 has them.

    The event is the message; the fields, with ``trace_id`` and ``span_id``, are one element
    of structured data; the logger's name is the message's id. Over TCP and TLS messages are
    counted (RFC 6587), over UDP each is a datagram (RFC 5426); a Unix socket may be of
    either kind. Names lose what RFC 5424 does not allow, control characters are escaped,
    and what is longer than ``max_message_bytes`` is cut with a mark.

    Nobody acknowledges syslog: what the kernel took counts as delivered, and may be lost
    with a server that ends before it has read it. A server that has closed its connection
    before the next send loses nothing.

    Args:
        address: Host and port (514 if it has none, with TLS 6514), or the path of a Unix
            socket.
        protocol: ``udp``, ``tcp``, ``tls`` or ``unix``.
        facility: ``user``, ``daemon``, ``local0`` to ``local7`` and the others.
        app_name: 48 characters of visible ASCII; the resource's ``service.name`` by default.
        hostname: 255 characters of visible ASCII; the resource's ``host.name`` or the
            machine's name by default. A third of a message at most is left of it.
        sd_id: What the element is called: a name, ``@`` and your enterprise number.
        max_message_bytes: The longest message, 480 to 65,000; 2,048 in datagrams and
            8,192 otherwise by default.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``.
        interval: Seconds that records wait for others, at most one.
        timeout: Seconds that one send may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:514",
        *,
        protocol: str = "udp",
        facility: str = "user",
        app_name: str | None = None,
        hostname: str | None = None,
        sd_id: str = "fields@32473",
        max_message_bytes: int | None = None,
        tls: "Tls | ssl.SSLContext | None" = None,
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "syslog",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("logs",),
            possible=("logs",),
        )
        self.name = name
        self.delivery = Delivery(interval, timeout, MAX_BYTES, acknowledges=False)
        if protocol not in _PROTOCOLS:
            raise wrong_argument(
                name, "protocol", protocol, f"one of {', '.join(_PROTOCOLS)}"
            )
        if facility not in FACILITIES:
            raise wrong_argument(
                name, "facility", facility, f"one of {', '.join(FACILITIES)}"
            )
        _check_header(name, "app_name", app_name, 48)
        _check_header(name, "hostname", hostname, 255)
        if not isinstance(sd_id, str) or not _SD_ID.fullmatch(sd_id):
            needs = "a name, @ and an enterprise number, 32 characters in all"
            raise wrong_argument(name, "sd_id", sd_id, needs)
        default = DATAGRAM if protocol in ("udp", "unix") else FRAME
        most = default if max_message_bytes is None else max_message_bytes
        if type(most) is not int or not LEAST_MESSAGE <= most <= MOST_MESSAGE:
            needs = f"a whole number from {LEAST_MESSAGE} to {MOST_MESSAGE}"
            raise wrong_argument(name, "max_message_bytes", most, needs)
        if tls is not None and protocol != "tls":
            raise wrong_argument(name, "tls", tls, "the protocol 'tls'")
        check_tls(name, tls, is_secure=True)
        self._sender = Sender(FACILITIES.index(facility), "", sd_id, most)
        self._names = hostname, app_name
        self._transport = _transport(name, address, protocol, tls)
        self.imports = (*IMPORTS, "ssl") if protocol == "tls" else IMPORTS
        self._shown = f"{protocol}://{address}"
        on_fork(self)

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give messages with their lengths in front, 64 KiB at a time."""
        head = head_of(batch.resource, *self._names, self._sender.most)
        sender = self._sender._replace(head=head)
        items = (attempt(framed, record, sender) for record in batch.records)
        return divided(items, MAX_BYTES)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Hand the messages to the kernel.

        Raises:
            ExportFailed: It did not take all of them before ``deadline``; to be tried
                again, which may send some twice.
        """
        body: Any = payload.body
        try:
            self._transport.send(body, deadline)
        except (OSError, ValueError) as error:
            text = f"exporter {self.name!r}: {self._shown}: {reason_of(error)}."
            sent = self._transport.sent
            raise ExportFailed(text, retryable=True, sent=sent) from error
        refused = self._transport.refused
        return Ack(payload.records - refused, {_TOO_LARGE: refused} if refused else {})

    def close(self, deadline: float) -> None:
        """End the connection, a second at most; a later ``send`` opens another."""
        self._transport.close(deadline)

    def __repr__(self) -> str:
        return f"SyslogExporter({self._shown!r})"

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self._transport.forget()


def _transport(
    name: str, address: object, protocol: str, tls: "Tls | ssl.SSLContext | None"
) -> Transport:
    if protocol == "unix":
        if not isinstance(address, str) or not address or "\0" in address:
            raise wrong_argument(name, "address", address, "the path of a Unix socket")
        return Local(address, messages)
    host, port = host_and_port(address)
    if not host or port == 0:
        raise wrong_argument(name, "address", address, "a host and a port, as host:514")
    if protocol == "udp":
        return Local((host, port or 514), messages)
    if protocol == "tcp":
        return Stream(host, port or 514, None)
    return Stream(host, port or 6514, tls or Tls())


def _check_header(name: str, what: str, value: object, chars: int) -> None:
    is_good = value is None or (
        isinstance(value, str)
        and len(value) <= chars
        and _HEADER.fullmatch(value) is not None
    )
    if not is_good:
        needs = f"1 to {chars} characters of visible ASCII"
        raise wrong_argument(name, what, value, needs)
