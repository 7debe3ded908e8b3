"""The exporter's own server: what it is made of, and what can go wrong at its start."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from obs.errors import StartFailed, shown
from obs_exporters._http_server import (
    Handler,
    HttpServer,
    ignore,
)
from obs_exporters.prometheus._answer import PATH
from obs_exporters.prometheus._arguments import Paths, Tls

if TYPE_CHECKING:
    import ssl

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Address(NamedTuple):
    """Where to listen, and who may come; the arguments of ``PrometheusExporter``."""

    host: str
    port: int
    token: str | None
    basic_auth: tuple[str, str] | None
    tls: Tls
    allowed_hosts: tuple[str, ...]

    def check(self, handler: Handler) -> None:
        """Check the rules behind the types.

        Raises:
            DefinitionError: An argument breaks one.
        """
        tls = None if isinstance(self.tls, tuple) else self.tls
        self._replace(tls=tls).server(handler, ignore, exporter="")

    def server(
        self, handler: Handler, say: Callable[[str, str], None], *, exporter: str
    ) -> HttpServer:
        """Make the server, with its certificate read.

        Raises:
            DefinitionError: An argument breaks a rule.
            StartFailed: The certificate cannot be loaded.
        """
        tls = self.tls
        return HttpServer(
            self.host,
            self.port,
            handler,
            name=f"obs-{exporter}",
            tls=_load(exporter, tls) if isinstance(tls, tuple) else tls,
            token=self.token,
            basic_auth=self.basic_auth,
            allowed_hosts=self.allowed_hosts,
            on_error=say,
        )

    def url(self, port: int) -> str:
        """Give the page's address for a client on this machine."""
        host = _EVERYWHERE.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{host}:{port}{PATH}"

    def __repr__(self) -> str:
        return f"Address({self.url(self.port)!r})"  # without its secrets


def _load(exporter: str, paths: Paths) -> "ssl.SSLContext":
    # It costs 10 ms to import, and nearly nobody scrapes over TLS.
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = os.fspath(paths[0]), os.fspath(paths[1])
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        text = (
            f"exporter {exporter!r}: tls cannot load {shown(certificate)} with "
            f"{shown(key)}: {reason}. Give two PEM files that belong together, the key "
            "without a password."
        )
        raise StartFailed(text) from error
    return context
