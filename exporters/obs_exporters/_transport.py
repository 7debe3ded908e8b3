"""How messages get to a server that answers nothing: one stream, or datagrams."""

import errno
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from obs_exporters._http_connection import (
    MOST_SECONDS,
    Connection,
    Tls,
    is_tls_error,
    make_context,
)
from obs_exporters._http_request import host_name

if TYPE_CHECKING:
    import ssl

IMPORTS = ("encodings.idna",)
"""What ``getaddrinfo`` imports: named by exporters, so that it is there before lanes are."""
_LINGER_SECONDS = 1.0
_KNOWN_SECONDS = 60.0
"""How long the address of a name is taken as known, where nobody says that it moved."""


class Transport(Protocol):
    """A way to a server; opened by the first ``send``.

    Attributes:
        sent: Whether a part of what ``send`` got last may have arrived.
        refused: How many datagrams of it are larger than the socket takes.
    """

    sent: bool
    refused: int

    def send(self, body: bytes, deadline: float) -> None:
        """Send a body.

        Raises:
            OSError: Not all could be, or not in time.
        """
        ...

    def close(self, deadline: float) -> None:
        """Let what was sent arrive, and close; another send opens it again."""
        ...

    def forget(self) -> None:
        """Close a descriptor that a parent goes on using, and tell the peer nothing."""
        ...


class Stream:
    """A TCP or TLS connection, which is kept.

    Before each body it looks whether the peer has closed its end: what was sent after that
    would be lost without an error.

    Args:
        host: A name or address.
        port: Its port.
        tls: Whom to trust; None for TCP alone.
    """

    refused = 0

    def __init__(
        self, host: str, port: int, tls: "Tls | ssl.SSLContext | None"
    ) -> None:
        self.sent = False
        self._address = host, port
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._link: Link | None = None

    def send(self, body: bytes, deadline: float) -> None:
        """Send a body; see ``Transport``."""
        self.sent = False
        link = self._link
        if link is None or not link.is_alive():
            self.forget()
            link = Link(deadline)
            self._link = link
        link.deadline = deadline
        is_whole = False
        try:
            if not link.is_open:
                link.open(*self._address, self._tls_context())
                link.is_open = True
            self.sent = True
            link.send(body)
            is_whole = True
        except OSError as error:
            if is_tls_error(error):
                self._context = None  # its files may have been renewed
            raise
        finally:
            if not is_whole:  # half a message may be out: the next begins elsewhere
                self.forget()

    def close(self, deadline: float) -> None:
        """Close it; see ``Transport``."""
        link, self._link = self._link, None
        if link is not None:
            link.finish(min(deadline, monotonic() + _LINGER_SECONDS))

    def forget(self) -> None:
        """Close the descriptor alone."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _tls_context(self) -> "ssl.SSLContext | None":
        if self._tls is None or not isinstance(self._tls, Tls):
            return self._tls
        if self._context is None:
            self._context = make_context(self._tls)
        return self._context


class Link(Connection):
    """A connection whose peer answers nothing.

    Attributes:
        is_open: Whether it was opened.
    """

    is_open = False

    def finish(self, deadline: float) -> None:
        """End it so that what was sent arrives.

        Closed with something unread (as the tickets that TLS servers send at once), the
        kernel would end it by a reset, and the peer lose what it has not read.
        """
        peer: Any = self._socket
        try:
            if peer is not None:
                peer.settimeout(0)
                if hasattr(peer, "unwrap"):
                    with suppress(OSError):  # it says so, and would wait for the peer
                        peer.unwrap()
                # The descriptor's own from here on, past TLS.
                socket.socket.shutdown(peer, socket.SHUT_WR)
                while (left := deadline - monotonic()) > 0:
                    peer.settimeout(left)
                    if not socket.socket.recv(peer, 4096):
                        break
        except OSError:
            pass  # it was broken, or is late
        finally:
            self.close()


class Local:
    """Datagrams over UDP or to a Unix socket; to one that is a stream, bodies as they are.

    A body that failed is gone on with where it stopped, if the same comes again. A host's
    name is resolved again after a failure, and once a minute: nobody tells a sender of
    datagrams that a server has moved.

    Args:
        address: Host and port, or a path.
        messages: Gives the datagrams of a body.
        framed: What a body becomes in a stream, where that is not itself.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        messages: Callable[[bytes], Iterable[bytes]],
        framed: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.sent = False
        self.refused = 0
        self._address = address
        self._messages = messages
        self._framed = framed
        self._socket: socket.socket | None = None
        self._known_until = 0.0
        self._body = b""
        self._done = 0

    def send(self, body: bytes, deadline: float) -> None:
        """Send each message; see ``Transport``."""
        if body is not self._body:
            self._body, self._done, self.refused = body, 0, 0
        self.sent = self._done > 0
        try:
            link = self._connected(deadline)
            if link.type == socket.SOCK_STREAM:
                framed = self._framed(body)
                self.sent = True
                link.sendall(framed)
            else:
                self._send_each(link, deadline)
        except OSError:
            self.forget()
            raise
        self._body = b""

    def close(self, deadline: float) -> None:
        """Close it; see ``Transport``."""
        self.forget()

    def forget(self) -> None:
        """Close the descriptor."""
        link, self._socket = self._socket, None
        if link is not None:
            link.close()

    def _send_each(self, link: socket.socket, deadline: float) -> None:
        for number, message in enumerate(self._messages(self._body)):
            if number < self._done:
                continue
            link.settimeout(_left(deadline))
            try:
                link.send(message)
            except ConnectionRefusedError:
                # It is the answer to the one before.
                self._done = max(self._done - 1, 0)
                self.sent = self._done > 0
                raise
            except OSError as error:
                if error.errno != errno.EMSGSIZE:  # it would be so for ever
                    raise
                self.refused += 1
            else:
                self.sent = True
            self._done = number + 1

    def _connected(self, deadline: float) -> socket.socket:
        link = self._socket
        if link is not None and (_has_ended(link) or self._has_moved(link)):
            self.forget()
            link = None
        if link is None:
            link = self._socket = self._open(deadline)
        link.settimeout(_left(deadline))
        return link

    def _open(self, deadline: float) -> socket.socket:
        left = _left(deadline)
        if isinstance(self._address, str):
            return _open_path(self._address, left)
        found = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)
        self._known_until = monotonic() + _KNOWN_SECONDS
        while True:
            family, kind, protocol, _, address = found.pop(0)
            link = socket.socket(family, kind, protocol)
            try:
                link.connect(address)
            except OSError:
                link.close()
                if not found:
                    raise
            else:
                return link

    def _has_moved(self, link: socket.socket) -> bool:
        if isinstance(self._address, str) or monotonic() < self._known_until:
            return False
        self._known_until = monotonic() + _KNOWN_SECONDS
        try:
            found = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)
        except OSError:
            return False  # what is known is better than nothing
        return link.getpeername() not in [address for *_, address in found]


def host_and_port(address: object) -> tuple[str, int | None]:
    """Give host and port of ``host:port``; an empty host for what is no address."""
    if not isinstance(address, str) or not host_name(address):
        return "", None
    parts = urlsplit(f"//{address}")
    try:
        port = parts.port
    except ValueError:
        return "", None
    return parts.hostname or "", port


def _open_path(path: str, seconds: float) -> socket.socket:
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM]
    while True:
        link = socket.socket(socket.AF_UNIX, kinds.pop())
        try:
            link.settimeout(seconds)
            link.connect(path)
        except OSError as error:
            link.close()
            if error.errno != errno.EPROTOTYPE or not kinds:
                raise
        else:
            return link


def _has_ended(link: socket.socket) -> bool:
    if link.type != socket.SOCK_STREAM:
        return False
    link.settimeout(0)
    try:
        return not link.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _left(deadline: float) -> float:
    left = min(deadline - monotonic(), MOST_SECONDS)
    if not left > 0:
        raise TimeoutError
    return left
