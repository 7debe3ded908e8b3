"""TLS arguments and contexts, and what is said of a failure.

Connections themselves are tested with the client and the fault sink.
"""

import socket
import ssl

import pytest

from obs.errors import DefinitionError
from obs_exporters._http_client import HttpClient
from obs_exporters._http_connection import Connection, Tls, make_context, reason_of


@pytest.mark.parametrize(
    ("url", "tls", "text"),
    [
        ("https://h", 5, "got 5, needs a Tls or an ssl.SSLContext"),
        ("https://h", Tls(5), "got <Tls>, needs paths as texts"),
        (
            "https://h",
            Tls(key_file="k"),
            "got <Tls>, needs a cert_file for its key_file",
        ),
        ("http://h", Tls(), "got <Tls>, needs a url with https://"),
    ],
)
def test_tls_that_breaks_a_rule_raises(url, tls, text):
    with pytest.raises(DefinitionError) as error:
        HttpClient("x", url, tls=tls)
    assert str(error.value) == f"exporter 'x': tls {text}."


@pytest.mark.parametrize(
    "tls", [Tls(), Tls("a", "b", "c"), ssl.create_default_context()]
)
def test_tls_may_be_these(tls):
    HttpClient("x", "https://h", tls=tls)


def test_a_context_checks_names_and_issuers():
    context = make_context(Tls())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def _tls_error(reason):
    error = ssl.SSLError(1, "[SSL: X] x (_ssl.c:99)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("timed out"), "out of time"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ValueError("what"), "what"),
        (ConnectionAbortedError(), "ConnectionAbortedError"),
        (_tls_error("WRONG_VERSION_NUMBER"), "wrong version number"),
        (ssl.SSLEOFError(8, "EOF (_ssl.c:99)"), "the connection was closed"),
    ],
)
def test_a_reason_is_short(error, text):
    assert reason_of(error) == text


def test_a_connection_that_was_not_opened_is_neither_alive_nor_of_use():
    connection = Connection(float("inf"))
    assert not connection.is_alive()
    assert connection.receive_ready(1) == b""
    with pytest.raises(ConnectionAbortedError, match="it was closed meanwhile"):
        connection.send(b"x")
    connection.close()
    connection.close()
