"""The one small HTTP/1.1 server that pull exporters share.

One daemon thread, non-blocking sockets, one selector. Everything that a stranger can
hold open has a place out of a fixed number and a deadline, and the thread sleeps until
a byte or a deadline comes. It shares nothing with recording paths.
"""

import errno
import os
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from obs.errors import DefinitionError, shown
from obs_exporters._http_gate import Gate
from obs_exporters._http_loop import Loop
from obs_exporters._http_request import (
    Handler,
    HttpLimits,
    Request,
    Response,
    encode,
    refusal,
)

if TYPE_CHECKING:
    import ssl

__all__ = ["Handler", "HttpLimits", "HttpServer", "Request", "Response", "ignore"]

BACKLOG = 128


def ignore(reason: str, text: str) -> None:
    """Do nothing with what a server says."""


class HttpServer:
    """A bounded HTTP server on a thread of its own; constructing it opens nothing.

    Args:
        host: Address or name to listen on; never empty.
        port: 0 to 65535; 0 lets the system choose.
        handler: Gives the answer to a request, on the server's thread: one at a time,
            and nobody else is answered meanwhile. What it raises becomes a plain 500.
        name: The thread's name.
        tls: A server context; None speaks plain HTTP.
        token: Bearer token that each request must carry.
        basic_auth: User name and password that each request must carry.
        allowed_hosts: Names that the Host header may have, besides loopback names when
            bound to a loopback address; see ``Gate``.
        on_error: Called with a reason (``"handler"``, ``"accept"``, ``"tls"``,
            ``"http_server"``) and a text, on the server's thread; may be often.
        limits: See ``HttpLimits``.

    Attributes:
        host: As given.
        port: As given; once started, the real one.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``start`` and ``close`` may be called from any, not at the same time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handler: Handler,
        *,
        name: str = "obs-http",
        tls: "ssl.SSLContext | None" = None,
        token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        allowed_hosts: Sequence[str] = (),
        on_error: Callable[[str, str], None] = ignore,
        limits: HttpLimits = HttpLimits(),  # noqa: B008 - immutable
    ) -> None:
        _check(host, port, tls)
        self.host = host
        self.port = port
        self._asked_port = port
        self._handler = handler
        self._name = name
        self._tls = tls
        self._on_error = on_error
        self._limits = limits
        self._gate = Gate(
            token=token, basic_auth=basic_auth, allowed_hosts=allowed_hosts
        )
        self._loop: Loop | None = None

    @property
    def address(self) -> str:
        """Host and port as they stand in a URL: ``127.0.0.1:9464``, ``[::1]:9464``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def start(self) -> None:
        """Listen, and start the thread.

        A host name is looked up here, which may take as long as the resolver does.

        Raises:
            OSError: The address cannot be listened on, or no thread or descriptor was
                to be had; the text has the address.
            RuntimeError: It is started already.
        """
        if self._loop is not None:
            text = f"http server {self.address!r}: it is started already."
            raise RuntimeError(text)
        self.port = self._asked_port
        try:
            self._loop = self._open()
        except (OSError, ValueError, RuntimeError) as error:
            raise self._cannot_listen(error) from error

    def close(self, timeout: float) -> None:
        """Stop listening, close the connections, wait for the thread to end.

        An answer that is on its way is cut. Where the handler outlasts the timeout, the
        port is free all the same; descriptors and thread go when the handler returns.
        In a forked child it is ``forget``. Calling it again does no harm.

        Args:
            timeout: Seconds to wait for the thread.
        """
        loop = self._loop
        if loop is None:
            return
        if loop.pid != os.getpid():
            self.forget()
            return
        is_first = loop.stop()
        if loop.thread is threading.current_thread():
            return
        if loop.running.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX)):
            loop.running.release()
            self._loop = None
            if is_first:
                loop.thread.join(1.0)  # nothing but its last few instructions is left

    def forget(self) -> None:
        """Close what a forked child inherited, and leave the parent's server alone.

        For the child alone. Takes no lock, sends nothing, touches no thread. A
        connection that the parent was accepting at the moment of the fork stays open
        in the child, unseen by the parent and its client.
        """
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.forget()

    def _open(self) -> "Loop":
        with ExitStack() as opened:
            listener = opened.enter_context(_listen(self.host, self._asked_port))
            address, self.port = listener.getsockname()[:2]
            self._gate.bound_to(address)
            ends = socket.socketpair()
            for end in ends:
                opened.enter_context(end)
            selector = opened.enter_context(selectors.DefaultSelector())
            loop = Loop(
                self._name,
                self._answer,
                self._say,
                self._limits,
                self._tls,
                listener,
                ends,
                selector,
            )
            loop.thread.start()
            opened.pop_all()
        return loop

    def _cannot_listen(self, error: Exception) -> OSError:
        number = error.errno if isinstance(error, OSError) else None
        reason: object = error
        if number is not None and number > 0:  # failed look-ups have others
            reason = os.strerror(number)
        text = (
            f"http server {self.address!r}: cannot listen: {reason}. Give a host of "
            "this machine and a port that is free."
        )
        return OSError(text) if number is None else OSError(number, text)

    def _answer(self, request: Request, *, keep: bool) -> bytes:
        """Give the bytes of the answer, whatever the handler does."""
        head_only = request.method == "HEAD"
        version = request.version
        try:
            response = self._gate.refuse(request) or self._handler(request)
            return encode(response, keep=keep, head_only=head_only, version=version)
        except BaseException as error:  # noqa: BLE001 - even a SystemExit would end the thread
            self._say("handler", "answered 500, for the handler raised", error)
            return encode(refusal(500), keep=keep, head_only=head_only, version=version)

    def _say(self, reason: str, text: str, error: BaseException | None = None) -> None:
        # A foreign exception's repr may raise anything, as may the callback.
        with suppress(BaseException):
            cause = "" if error is None else f" {shown(error)}"
            self._on_error(reason, f"http server {self.address!r}: {text}{cause}.")


def _check(host: str, port: int, tls: "ssl.SSLContext | None") -> None:
    if not host:
        text = (
            "http server: host is empty. Give an address; '127.0.0.1' serves this "
            "machine alone, '0.0.0.0' everybody."
        )
        raise DefinitionError(text)
    if type(port) is not int or not 0 <= port <= 65535:
        text = f"http server: port got {shown(port)}, needs an integer from 0 to 65535."
        raise DefinitionError(text)
    if tls is not None and tls.protocol.name == "PROTOCOL_TLS_CLIENT":
        text = (
            "http server: tls got a client's context, which cannot serve. Make it "
            "with ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)."
        )
        raise DefinitionError(text)


def _listen(host: str, port: int) -> socket.socket:
    """Listen on the first address of the host that this machine has."""
    failure: OSError | None = None
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, _, _, _, address in found:
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        try:
            return socket.create_server(
                address, family=family, backlog=BACKLOG, dualstack_ipv6=both
            )
        except OSError as error:
            # 'localhost' may name ::1 first where there is no IPv6; a port that is
            # taken, though, must not move the server to another address in silence.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            failure = error
    raise failure or OSError(errno.EADDRNOTAVAIL, "the name has no address")
