"""One connection to a backend, plain or TLS; each call gets the time that is left."""

import socket
import sys
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from obs_exporters._push import wrong_argument

if TYPE_CHECKING:
    import ssl

MOST_SECONDS = 86_400.0
"""More than this no socket call is given: it has to fit into a C type."""


class Tls(NamedTuple):
    """Whom to trust and who to be; PEM files, read when a connection is made.

    They are read again after a connection failed for TLS: certificates get renewed.

    Attributes:
        ca_file: Issuers to trust; None takes those of the system.
        cert_file: The client's certificate, followed by its chain.
        key_file: Its key, without a password; None takes it from ``cert_file``.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def check_tls(exporter: str, tls: object, is_secure: bool) -> None:
    """Check the ``tls`` argument of an exporter; raises DefinitionError."""
    if tls is None:
        return
    ssl = sys.modules.get("ssl")  # who has a context has imported it
    needs = ""
    if isinstance(tls, Tls):
        if not all(each is None or isinstance(each, str) for each in tls):
            needs = "paths as texts"
        elif tls.key_file is not None and tls.cert_file is None:
            needs = "a cert_file for its key_file"
    elif ssl is None or not isinstance(tls, ssl.SSLContext):
        needs = "a Tls or an ssl.SSLContext"
    if not needs and not is_secure:
        needs = "a url with https://"
    if needs:
        raise wrong_argument(exporter, "tls", tls, needs)


def make_context(tls: Tls) -> "ssl.SSLContext":
    """Read the files of ``tls``.

    Raises:
        OSError: One cannot be read, or holds no certificate or key; it says which.
    """
    import ssl  # noqa: PLC0415 - 10 ms, for those who use TLS

    what = f"ca_file {tls.ca_file!r}"
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            what = f"cert_file {tls.cert_file!r} and key_file {tls.key_file!r}"
            # Without a password here, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except OSError as error:
        text = f"{what} cannot be read: {reason_of(error)}"
        raise OSError(text) from error
    return context


class Connection:
    """A TCP or TLS connection.

    Attributes:
        deadline: When each call has to be done, by ``time.monotonic()``, in seconds.
        doing: What it does, for the text of an error.
        sent: Whether all of the last request was handed to the kernel.
        answered: Whether a byte came back since.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.doing = ""
        self.sent = self.answered = False
        self._socket: socket.socket | None = None
        self._nothing_there: tuple[type[OSError], ...] = (BlockingIOError,)

    def open(self, host: str, port: int, context: "ssl.SSLContext | None") -> None:
        """Connect to the first address that takes it.

        The name is resolved on this thread, by the system, which knows no deadline. Each
        address gets its share of the time that is left.

        Raises:
            OSError: None does, or TLS fails.
            ValueError: The name can be none.
        """
        self.doing = "resolving the name"
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.doing = "connecting"
        for left in range(len(found), 0, -1):
            family, kind, protocol, _, address = found[-left]
            try:
                # Kept before it is connected: a fork at any time finds it.
                self._socket = socket.socket(family, kind, protocol)
                self._socket.settimeout(self._left() / left)
                self._socket.connect(address)
                break
            except OSError:
                self.close()
                if left == 1:
                    raise
        self._timed().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self._secure(host, context)

    def is_alive(self) -> bool:
        """Whether it is open with nothing to read: no end, no byte nobody asked for."""
        if self._socket is None:
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except self._nothing_there:
            return True
        except OSError:
            return False
        return False

    def send(self, data: bytes) -> None:
        """Send all of a request.

        Raises:
            OSError: It cannot be sent whole, or not in time.
        """
        self.doing = "sending"
        self.sent = self.answered = False
        view = memoryview(data)
        while view:
            view = view[self._timed().send(view) :]
        self.sent = True
        self.doing = "waiting for the answer"

    def receive(self, limit: int) -> bytes:
        """Give some bytes of the answer, none at its end; raises OSError."""
        data = self._timed().recv(limit)
        self.answered |= bool(data)
        return data

    def receive_ready(self, limit: int) -> bytes:
        """Give what is there already; raises OSError if nothing is."""
        if self._socket is None:
            return b""
        self._socket.settimeout(0)
        return self._socket.recv(limit)

    def close(self) -> None:
        """Close the descriptor and tell the peer nothing: it may be a parent's session."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _secure(self, host: str, context: "ssl.SSLContext") -> None:
        from ssl import SSLWantReadError  # noqa: PLC0415 - whoever has a context has it

        self._nothing_there = (BlockingIOError, SSLWantReadError)
        self.doing = "agreeing on TLS"
        secured = context.wrap_socket(
            self._timed(), server_hostname=host, do_handshake_on_connect=False
        )
        self._socket = secured
        self._timed()
        secured.do_handshake()

    def _timed(self) -> socket.socket:
        if self._socket is None:  # this is a child, forked by a signal handler
            text = "it was closed meanwhile"
            raise ConnectionAbortedError(text)
        self._socket.settimeout(self._left())
        return self._socket

    def _left(self) -> float:
        left = min(self.deadline - monotonic(), MOST_SECONDS)
        if not left > 0:
            raise TimeoutError
        return left


def is_tls_error(error: BaseException) -> bool:
    """Whether TLS failed, which new certificates may mend."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, ssl.SSLError)


def is_tls_alert(error: BaseException) -> bool:
    """Whether the peer, or OpenSSL, said why TLS failed: the rest are subclasses."""
    return is_tls_error(error) and type(error).__name__ == "SSLError"


def reason_of(error: BaseException) -> str:
    """Say why a connection failed, without the numbers and files of OpenSSL."""
    if isinstance(error, TimeoutError):
        return "out of time"
    distrust = getattr(error, "verify_message", None)
    if distrust:
        return f"the certificate is not trusted: {distrust.rstrip('.')}"
    if is_tls_error(error):
        reason = getattr(error, "reason", None) or "the connection was closed"
        return str(reason).lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
