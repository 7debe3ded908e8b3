"""Certificates for the fault sink: good, wrong name, expired, unknown issuer."""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock

import trustme

KINDS = ("good", "wrong_name", "expired", "unknown_issuer", "plain")


_making = Lock()


def authority(kind: str) -> trustme.CA:
    """Give the ``known`` issuer, which is in ``Sink.ca_file``, or another."""
    with _making:  # sinks of several threads shall have the same
        return _authority(kind)


@cache
def _authority(kind: str) -> trustme.CA:
    return trustme.CA(organization_name=f"{kind} issuer of the fault sink")


@cache
def server_context(kind: str) -> ssl.SSLContext:
    """Give what a server presents: one of ``KINDS`` but ``plain``."""
    issuer = authority("unknown" if kind == "unknown_issuer" else "known")
    names = ["elsewhere.test"] if kind == "wrong_name" else ["127.0.0.1", "localhost"]
    end = datetime.now(UTC) + timedelta(days=-1 if kind == "expired" else 30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(
        *names, not_before=end - timedelta(days=60), not_after=end
    ).configure_cert(context)
    return context


def mutual_context() -> ssl.SSLContext:
    """Give what a server presents that wants a client's certificate of ``known``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("known").issue_cert("127.0.0.1", "localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority("known").configure_trust(context)
    return context
