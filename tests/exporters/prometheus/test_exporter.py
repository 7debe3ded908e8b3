"""The exporter on real sockets: start, close, TLS, credentials, fork."""

import os
import pty
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from base64 import b64encode
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPSConnection
from shutil import which
from time import monotonic

import pytest

from obs import Obs, StartFailed
from obs.errors import ObsError, shown
from obs_exporters import PrometheusExporter
from obs_exporters.prometheus import Rendered
from tests.exporters.prometheus.sources import (
    CERTIFICATE,
    KEY,
    OPENMETRICS,
    FixedSource,
    RegistrySource,
    number,
    started,
)
from tests.open_files import open_files

PAGE = b"# TYPE n gauge\nn 1\n"


def ask(exporter, method="GET", path="/metrics", connection=None, **headers):
    connection = connection or HTTPConnection("127.0.0.1", exporter.port, timeout=10)
    with closing(connection):
        connection.request(
            method,
            path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_a_started_exporter_serves_its_page():
    with started(FixedSource(number()), 0) as exporter:
        assert exporter.port
        assert exporter.url == f"http://127.0.0.1:{exporter.port}/metrics"
        status, headers, body = ask(exporter)
        assert (status, body) == (200, PAGE)
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert headers["Content-Length"] == str(len(PAGE))
        assert ask(exporter, path="/")[2] == (
            b"The metrics are at /metrics, as JSON at /debug/vars\n"
        )
        assert ask(exporter, path="/x")[0] == 404
        assert ask(exporter, "POST")[0] == 405


def test_head_has_no_body():
    with started(FixedSource(number()), 0) as exporter:
        status, headers, body = ask(exporter, "HEAD", accept=OPENMETRICS)
        assert (status, body) == (200, b"")
        assert headers["Content-Length"] == str(len(PAGE + b"# EOF\n"))


@pytest.mark.parametrize(
    ("port", "host", "url"),
    [
        (9464, "127.0.0.1", "http://127.0.0.1:9464/metrics"),
        (1, "0.0.0.0", "http://127.0.0.1:1/metrics"),
        (1, "::", "http://[::1]:1/metrics"),
        (1, "metrics.example", "http://metrics.example:1/metrics"),
        (None, "127.0.0.1", ""),
    ],
)
def test_before_start_the_url_is_what_was_asked_for(port, host, url):
    exporter = PrometheusExporter(port, host)
    assert (exporter.port, exporter.url) == (port, url)


def test_a_port_that_is_taken_fails_the_start():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        exporter = PrometheusExporter(port)
        with pytest.raises(StartFailed) as error:
            exporter.start(FixedSource())
        assert str(error.value) == (
            f"exporter 'prometheus': http server '127.0.0.1:{port}': cannot listen: "
            "Address already in use. Give a host of this machine and a port that is "
            "free. port=0 takes any free one."
        )
        with pytest.raises(ObsError, match="before start"):
            exporter.page()
    exporter.start(FixedSource(number()))
    assert ask(exporter)[2] == PAGE
    exporter.close(monotonic() + 5)


def test_an_exporter_is_started_once():
    with started(FixedSource(number()), 0) as exporter:
        with pytest.raises(StartFailed) as error:
            exporter.start(FixedSource())
        assert str(error.value) == (
            "exporter 'prometheus': it is started already. Make one exporter for each "
            "instance."
        )
        assert ask(exporter)[2] == PAGE


def test_closing_frees_the_port_and_may_be_done_twice():
    exporter = PrometheusExporter(port=0)
    exporter.close(monotonic() + 1)
    exporter.start(FixedSource())
    port = exporter.port
    for _ in range(2):
        exporter.close(monotonic() + 5)
    assert exporter.port == 0
    socket.create_server(("127.0.0.1", port)).close()


def test_a_closed_exporter_can_be_started_again():
    exporter = PrometheusExporter(port=0)
    source = FixedSource(number())
    for _ in range(2):
        exporter.start(source)
        assert ask(exporter)[2] == PAGE
        exporter.close(monotonic() + 5)
    assert len(source.checks) == 1


def test_the_page_can_be_had_without_a_server():
    with started(FixedSource(number(), number("m"))) as exporter:
        assert exporter.page() == Rendered(
            "text/plain; version=0.0.4; charset=utf-8", PAGE + b"# TYPE m gauge\nm 1\n"
        )
        assert exporter.page(OPENMETRICS, ["n"]) == (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            PAGE + b"# EOF\n",
        )


def test_there_is_no_page_before_start():
    with pytest.raises(ObsError) as error:
        PrometheusExporter(port=None).page()
    assert str(error.value) == (
        "exporter 'prometheus': page() before start. Call start() on the Obs that it "
        "was given to."
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer sesame"}, 200),
        ({"authorization": f"Basic {b64encode(b'user:word').decode()}"}, 200),
        ({"authorization": "Bearer sesam"}, 401),
    ],
)
def test_the_server_asks_for_credentials(headers, status):
    keywords = {"token": "sesame", "basic_auth": ("user", "word")}
    with started(FixedSource(number()), 0, **keywords) as exporter:
        found, _, body = ask(exporter, **headers)
        assert found == status
        assert (PAGE in body) is (status == 200)


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("evil.example", 403), ("metrics.example:80", 200)],
)
def test_the_server_serves_hosts_that_it_knows(host, status):
    keywords = {"allowed_hosts": ["metrics.example"]}
    with started(FixedSource(number()), 0, **keywords) as exporter:
        assert ask(exporter, host=host)[0] == status


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


@pytest.mark.parametrize(
    "tls",
    [lambda: (CERTIFICATE, str(KEY)), server_context],
    ids=["paths", "context"],
)
def test_the_page_is_served_over_tls(tls):
    client = ssl.create_default_context(cafile=str(CERTIFICATE))
    with started(FixedSource(number()), 0, "localhost", tls=tls()) as exporter:
        assert exporter.url == f"https://localhost:{exporter.port}/metrics"
        link = HTTPSConnection("localhost", exporter.port, context=client, timeout=10)
        assert ask(exporter, connection=link)[2] == PAGE


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("/nowhere.crt", str(KEY), "No such file or directory"),
        (str(CERTIFICATE), str(CERTIFICATE), ""),
        ("a\0b", str(KEY), "embedded null"),
    ],
)
def test_a_certificate_that_cannot_be_loaded_fails_the_start(certificate, key, reason):
    exporter = PrometheusExporter(port=0, tls=(certificate, key))
    with pytest.raises(StartFailed) as error:
        exporter.start(FixedSource())
    text = str(error.value)
    start = "exporter 'prometheus': tls cannot load "
    start += f"{shown(certificate)} with {shown(key)}: "
    end = ". Give two PEM files that belong together, the key without a password."
    assert text.startswith(start)
    assert text.endswith(end)
    assert reason in text
    assert len(text) > len(start + end)


@pytest.mark.skipif(not which("openssl"), reason="the program openssl is not installed")
def test_a_key_with_a_password_fails_the_start_and_asks_nobody(tmp_path):
    locked = tmp_path / "locked.key"
    words = ("-aes128", "-passout", "pass:secret", "-out", str(locked))
    command = ["openssl", "ec", "-in", str(KEY), *words]
    subprocess.run(command, check=True, capture_output=True)
    script = (
        "import sys; from obs import Obs; from obs_exporters import PrometheusExporter\n"
        "page = PrometheusExporter(port=0, tls=tuple(sys.argv[1:]))\n"
        "try: Obs('x', runtime=False, exporters=[page]).start()\n"
        "except Exception as error: print(error)\n"
    )
    output = on_a_terminal(
        [sys.executable, "-c", script, str(CERTIFICATE), str(locked)]
    )
    assert "the key without a password" in output
    assert "pass phrase" not in output


def on_a_terminal(command):
    """Run a command that could ask the user something; gives what the user sees."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that threads and forks do not mix: exec follows
        pid, terminal = pty.fork()
    if pid == 0:
        path = os.pathsep.join(sys.path)
        os.execve(command[0], command, {**os.environ, "PYTHONPATH": path})
    os.write(terminal, b"\n")  # whoever asks gets an answer
    seen = b""
    with suppress(OSError):  # how a terminal says that the other side has gone
        while chunk := os.read(terminal, 4096):
            seen += chunk
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen.decode()


def test_the_exporter_says_what_its_server_says():
    source = FixedSource(number())
    said = threading.Event()
    source.say = lambda reason, text: (source.said.append(reason), said.set())
    with started(source, 0, tls=(CERTIFICATE, KEY)) as exporter:
        with pytest.raises(OSError):  # noqa: PT011 - of which kind is the system's
            ask(exporter)
        assert said.wait(10)
    assert source.said == ["tls"]


def fork(in_child):
    """Run a function in a forked child; gives what it returned, as bytes."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that threads and forks do not mix: they do here
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, in_child())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        found = answer.read()
    os.waitpid(pid, 0)
    return found


def sockets():
    """How many sockets this process has open."""
    return sum(target.startswith("socket:") for target in open_files().values())


def test_a_forked_child_has_none_of_its_parents_sockets():
    before = sockets()
    with started(RegistrySource(), 0):
        assert sockets() > before
        assert fork(lambda: b"%d" % sockets()) == b"%d" % before


def test_a_forked_child_leaves_the_port_to_its_parent():
    with started(RegistrySource(), 0) as exporter:
        port = exporter.port

        def in_child():
            own = exporter._server is None and exporter.port == 0
            exporter.close(monotonic() + 1)
            with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as link:
                link.request("GET", "/metrics")
                return b"%d %d" % (own, link.getresponse().status)

        assert fork(in_child) == b"1 200"
        assert ask(exporter)[0] == 200


def test_in_a_forked_child_what_is_mounted_shows_the_child():
    source = RegistrySource()
    counter = source.registry.counter("n")
    with started(source, 0) as exporter:
        app = exporter.wsgi_app()
        counter.inc(5)

        def in_child():
            counter.inc(2)
            environ = {"REQUEST_METHOD": "GET"}
            return b"".join(app(environ, lambda status, headers: None))

        assert fork(in_child).endswith(b"n_total 2\n")
        assert exporter.page().body.endswith(b"n_total 5\n")


def test_a_start_that_fails_in_a_forked_child_leaves_what_is_mounted():
    source = FixedSource(number())
    with started(source, 0) as exporter:
        exporter._address = exporter._address._replace(port=exporter.port)

        def in_child():
            try:
                exporter.start(source)
            except StartFailed:
                return exporter.page().body
            return b"it started"

        assert fork(in_child) == PAGE


def test_a_child_of_a_parent_that_has_not_started_may_start():
    exporter = PrometheusExporter(port=0)

    def in_child():
        exporter.start(FixedSource(number()))
        return ask(exporter)[2]

    assert fork(in_child) == PAGE


def test_it_is_an_exporter_of_an_instance():
    exporter = PrometheusExporter(port=0)
    tel = Obs("shop", version="1.2", exporters=[exporter])
    tel.counter("orders.placed", labels=("channel",)).labels("web").inc()
    with tel.start():
        page = ask(exporter, accept=OPENMETRICS)[2].decode()
    assert page.startswith("# HELP target Target metadata.\n# TYPE target info\n")
    assert 'service_name="shop"' in page
    assert 'orders_placed_total{channel="web"} 1\n' in page
    assert page.endswith("# EOF\n")
