"""The exporter: a page that Prometheus asks for, on a server of its own or mounted."""

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs.errors import DefinitionError, ObsError, StartFailed
from obs.protocols import Source
from obs_exporters._http_gate import Gate
from obs_exporters._http_request import refusal
from obs_exporters._http_server import HttpServer, Request, Response
from obs_exporters.prometheus._answer import (
    is_for_vars,
    own_answer,
    page_answer,
    plain,
    vars_answer,
)
from obs_exporters.prometheus._apps import ASGIApp, make_asgi_app, make_wsgi_app
from obs_exporters.prometheus._arguments import Tls, check_arguments
from obs_exporters.prometheus._left_out import LeftOut
from obs_exporters.prometheus._names import Definitions
from obs_exporters.prometheus._negotiate import choose_format
from obs_exporters.prometheus._own_server import Address
from obs_exporters.prometheus._page import Page
from obs_exporters.prometheus._vars import vars_page

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class Rendered(NamedTuple):
    """A page as ``PrometheusExporter.page`` gives it.

    Attributes:
        content_type: For the header of this name.
        body: UTF-8.
    """

    content_type: str
    body: bytes


class _Shown(NamedTuple):
    """What there is between start and close."""

    source: Source
    page: Page
    left_out: LeftOut

    def vars(self) -> bytes:
        return vars_page(self.source, self.left_out)


class PrometheusExporter:
    """Shows the metrics of one instance at ``/metrics``, as JSON at ``/debug/vars``.

    Both text formats, Prometheus 0.0.4 and OpenMetrics 1.0, as the client wishes; packed
    by gzip where it may be; ``?name[]=`` asks for single families. Constructing opens
    nothing, ``start`` does. Exponential histograms, which these formats do not have, are
    left out, counted and said, as is everything that cannot be shown. The JSON has the
    shape of Go's expvar, and of each metric what ``snapshot().as_dict()`` gives.

    Args:
        port: Where to listen; 0 takes any free port, None opens no server: the page is
            to be mounted by ``wsgi_app`` or ``asgi_app``.
        host: The address to listen on. The default serves this machine alone.
        token: A bearer token that every request must carry.
        basic_auth: User name and password that every request must carry; with a token
            as well, either will do.
        tls: A server's ``ssl.SSLContext``, or the paths of certificate and key (PEM,
            without a password), read by ``start``.
        allowed_hosts: Names that the Host header may have besides loopback names, where
            the server listens on a loopback address.
        merge: A registry of prometheus_client whose families join the page; where both
            have a name, ours stays.
        name: The exporter's name in what it says.

    Attributes:
        name: As given.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: ``start`` and ``close`` one at a time, everything else from any thread.
    """

    def __init__(
        self,
        port: int | None = 9464,
        host: str = "127.0.0.1",
        *,
        token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        tls: Tls = None,
        allowed_hosts: Sequence[str] = (),
        merge: Any = None,
        name: str = "prometheus",
    ) -> None:
        check_arguments(name, port, host, token, basic_auth, tls, allowed_hosts, merge)
        self.name = name
        self._merge = merge
        self._definitions = Definitions()
        self._address: Address | None = None
        self._server: HttpServer | None = None
        self._shown: _Shown | None = None
        self._is_started = False
        try:
            self._gate = _mounted_gate(token, basic_auth)
            if port is not None:
                self._address = Address(
                    host, port, token, basic_auth, tls, tuple(allowed_hosts)
                )
                self._address.check(self._own)
        except DefinitionError as error:
            text = f"exporter {name!r}: {str(error).removeprefix('http server: ')}"
            raise DefinitionError(text) from None
        on_fork(self)

    @property
    def port(self) -> int | None:
        """The port: as given, the real one once started, None without a server."""
        if self._server is not None:
            return self._server.port
        return None if self._address is None else self._address.port

    @property
    def url(self) -> str:
        """The page's address for a client on this machine; empty without a server."""
        if self._address is None or self.port is None:
            return ""
        return self._address.url(self.port)

    def start(self, source: Source) -> None:
        """Show an instance, and listen if there is a port.

        From now on every definition is checked: two metrics whose names on the page
        clash raise ``DefinitionError``, here or where the second is defined.

        Raises:
            StartFailed: The port is taken, the address is not of this machine, the
                certificate cannot be loaded, or it is started already.
            DefinitionError: Two metrics that are there already clash.
        """
        if self._is_started:
            text = (
                f"exporter {self.name!r}: it is started already. Make one exporter for "
                "each instance."
            )
            raise StartFailed(text)
        self._definitions.watch(source)
        left_out = LeftOut(self.name, source)
        before = self._shown
        self._shown = _Shown(source, Page(source, left_out, self._merge), left_out)
        try:
            if self._address is not None:
                self._server = self._listen(self._address, source)
        except StartFailed:
            # In a forked child what is mounted was shown before, and goes on.
            self._shown = before
            self._definitions.forget()
            raise
        self._is_started = True

    def close(self, deadline: float) -> None:
        """Stop listening; what is mounted answers 503. Calling it again does no harm.

        Args:
            deadline: When to be done, by ``time.monotonic()``, in seconds.
        """
        server, self._server = self._server, None
        self._shown = None
        self._is_started = False
        self._definitions.forget()
        if server is not None:
            server.close(max(0.0, deadline - monotonic()))

    def after_fork_in_child(self) -> None:
        """Leave the parent's port to it; what is mounted goes on here."""
        server, self._server = self._server, None
        self._is_started = False
        if server is not None:
            server.forget()

    def page(self, accept: str = "", names: Iterable[str] = ()) -> Rendered:
        """Give the page, without any server.

        Args:
            accept: An Accept header; empty gives the format 0.0.4.
            names: Names of families or samples; empty gives all.

        Raises:
            ObsError: It is not started.
        """
        shown_now = self._shown
        if shown_now is None:
            text = f"exporter {self.name!r}: page() before start. {_START}"
            raise ObsError(text)
        form = choose_format(accept)
        return Rendered(form.content_type, shown_now.page.render(form, names))

    def wsgi_app(self) -> "WSGIApplication":
        """Give the page as a WSGI application, for any framework and any path.

        A path that ends in ``/debug/vars``, its mount included, is the JSON.
        It asks for the token or user and password of the exporter, if there are any, and
        takes any Host. Before ``start`` and after ``close`` it answers 503.
        """
        return make_wsgi_app(self._mounted)

    def asgi_app(self) -> ASGIApp:
        """Give the page as an ASGI application; see ``wsgi_app``."""
        return make_asgi_app(self._mounted)

    def _listen(self, address: Address, source: Source) -> HttpServer:
        server = address.server(self._own, source.say, exporter=self.name)
        try:
            server.start()
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"exporter {self.name!r}: {reason} port=0 takes any free one."
            raise StartFailed(text) from error
        return server

    def _own(self, request: Request) -> Response:
        return own_answer(self._answer, request)

    def _mounted(self, request: Request) -> Response:
        return self._gate.refuse(request) or self._answer(request)

    def _answer(self, request: Request) -> Response:
        shown_now = self._shown
        if shown_now is None:
            return plain(503, f"The exporter is not started. {_START}")
        try:
            if is_for_vars(request):
                return vars_answer(shown_now.vars, request)
            return page_answer(shown_now.page.render, request)
        except BaseException as error:
            if is_the_hosts(error):
                raise
            shown_now.left_out.raised("the page", error)
            shown_now.left_out.say()
            return refusal(500)

    def __repr__(self) -> str:
        return f"PrometheusExporter({self.url or 'mounted'!r})"


_START = "Call start() on the Obs that it was given to."


def _mounted_gate(token: str | None, basic_auth: tuple[str, str] | None) -> Gate:
    """Give the check of credentials alone: which Hosts it has, the application knows."""
    gate = Gate(token=token, basic_auth=basic_auth, allowed_hosts=())
    gate.bound_to("0.0.0.0")
    return gate
