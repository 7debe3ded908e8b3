"""Wrong arguments raise at once, in words, and no secret is among them."""

import ssl
import threading

import pytest

from obs import DefinitionError
from obs_exporters import PrometheusExporter
from tests.open_files import open_files

PORT = "an integer from 0 to 65535"
TLS = "needs an ssl.SSLContext, or a pair of paths: (certfile, keyfile)."


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        (
            {"port": "9464"},
            f"port got '9464', needs {PORT}, or None to be mounted only.",
        ),
        ({"port": True}, f"port got True, needs {PORT}, or None to be mounted only."),
        ({"port": -1}, f"port got -1, needs {PORT}."),
        ({"port": 65536}, f"port got 65536, needs {PORT}."),
        ({"host": None}, "host got None, needs an address like '127.0.0.1'."),
        (
            {"host": ""},
            "host is empty. Give an address; '127.0.0.1' serves this machine alone, "
            "'0.0.0.0' everybody.",
        ),
        ({"token": b"geheim"}, "token got a value of type bytes, needs a text."),
        (
            {"token": "geheim\n"},
            "token is empty, or has control characters or blanks around it. Strip what "
            "was read from a file.",
        ),
        (
            {"basic_auth": "user:geheim"},
            "basic_auth got a value of type str, needs a pair of texts: (user, password).",
        ),
        (
            {"basic_auth": ("user", b"geheim")},
            "basic_auth got a value of type tuple, needs a pair of texts: (user, "
            "password).",
        ),
        (
            {"basic_auth": ("us:er", "geheim")},
            "basic_auth has the user name 'us:er', but ':' ends a user name. Take it out.",
        ),
        ({"tls": "cert.pem"}, f"tls got 'cert.pem', {TLS}"),
        ({"tls": ("cert.pem",)}, f"tls got ('cert.pem',), {TLS}"),
        ({"tls": True}, f"tls got True, {TLS}"),
        (
            {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
            "tls got a client's context, which cannot serve. Make it with "
            "ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).",
        ),
        ({"allowed_hosts": 7}, "allowed_hosts got 7, needs a sequence of host names."),
        (
            {"allowed_hosts": [7]},
            "allowed_hosts got [7], needs a sequence of host names.",
        ),
        (
            {"allowed_hosts": "a.example"},
            "allowed_hosts got 'a.example', needs a sequence of host names.",
        ),
        (
            {"allowed_hosts": ["*.example"]},
            "allowed_hosts has '*.example', which is no host name or address. Give names "
            "as 'metrics.example.org', without wildcards.",
        ),
        (
            {"merge": object},
            f"merge got {object!r}, needs a CollectorRegistry of prometheus_client, or "
            "another with collect().",
        ),
        (
            {"port": None, "tls": ("a", "b")},
            "tls is for a server of its own, but port=None opens none. Leave it out, or "
            "give a port.",
        ),
        (
            {"port": None, "allowed_hosts": ["a"]},
            "allowed_hosts is for a server of its own, but port=None opens none. Leave "
            "it out, or give a port.",
        ),
    ],
)
def test_a_wrong_argument_says_what_came_and_what_to_do(keywords, text):
    with pytest.raises(DefinitionError) as error:
        PrometheusExporter(**keywords)
    assert str(error.value) == f"exporter 'prometheus': {text}"
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_name_is_a_text(name):
    with pytest.raises(DefinitionError) as error:
        PrometheusExporter(name=name)
    assert str(error.value) == f"exporter {name!r}: name got {name!r}, needs a text."


def test_no_secret_is_in_a_repr():
    exporter = PrometheusExporter(
        port=1234, token="geheim", basic_auth=("user", "geheim")
    )
    assert repr(exporter) == "PrometheusExporter('http://127.0.0.1:1234/metrics')"
    assert "geheim" not in repr(exporter._address)
    assert repr(PrometheusExporter(port=None)) == "PrometheusExporter('mounted')"


def test_constructing_opens_nothing():
    def state():
        return open_files(), threading.enumerate()

    before = state()
    exporter = PrometheusExporter(
        port=0, tls=("nowhere.crt", "nowhere.key"), token="t", allowed_hosts=["a"]
    )
    assert state() == before
    assert (exporter.name, exporter.port) == ("prometheus", 0)
