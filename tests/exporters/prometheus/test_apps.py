"""The page mounted: WSGI checked by wsgiref, ASGI driven by hand."""

import asyncio
import threading
from base64 import b64encode
from time import monotonic
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from obs_exporters import PrometheusExporter
from tests.exporters.prometheus.sources import OPENMETRICS, FixedSource, number, started

PAGE = b"# TYPE n gauge\nn 1\n"
NOT_STARTED = (
    b"The exporter is not started. Call start() on the Obs that it was given to.\n"
)


def ask_wsgi(exporter, method="GET", path="/", query="", **headers):
    """Ask under the standard library's validator; gives status, headers, body."""
    environ = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": method, "QUERY_STRING": query}
    environ |= {"SCRIPT_NAME": "/mount", "PATH_INFO": path}
    setup_testing_defaults(environ)
    seen = []

    def start_response(status, fields, exc_info=None):
        seen.append((status, dict(fields)))

    chunks = validator(exporter.wsgi_app())(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()
    ((status, fields),) = seen
    return int(status.split()[0]), fields, body


def http_scope(method="GET", path="/", query="", **headers):
    fields = [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in headers.items()
    ]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": fields,
    }


async def converse(app, scope, incoming=()):
    """Let an ASGI application talk; gives what it sent."""
    waiting, sent = list(incoming), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


def ask_asgi(exporter, **keywords):
    start, body = asyncio.run(converse(exporter.asgi_app(), http_scope(**keywords)))
    assert (start["type"], body["type"]) == (
        "http.response.start",
        "http.response.body",
    )
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    assert all(name == name.lower() for name in fields), "as ASGI wants them"
    return (
        start["status"],
        {name.title(): v for name, v in fields.items()},
        body["body"],
    )


def run_without_a_loop(coroutine):
    """Drive a coroutine as another event loop might: nothing of asyncio is there."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


ways = pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi])


@ways
@pytest.mark.parametrize("path", ["", "/", "/metrics", "/any/where"])
def test_any_path_below_the_mount_is_the_page(ask, path):
    with started(FixedSource(number())) as exporter:
        status, fields, body = ask(exporter, path=path)
    assert (status, body) == (200, PAGE)
    assert fields == {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Vary": "Accept, Accept-Encoding",
        "Content-Length": str(len(PAGE)),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


@ways
def test_headers_and_query_are_understood(ask):
    with started(FixedSource(number(), number("m"))) as exporter:
        _, fields, body = ask(
            exporter, query="name[]=m", accept=OPENMETRICS, accept_encoding="gzip"
        )
    assert fields["Content-Encoding"] == "gzip"
    assert fields["Content-Type"].startswith(OPENMETRICS)
    import gzip

    assert gzip.decompress(body) == b"# TYPE m gauge\nm 1\n# EOF\n"


@ways
def test_head_has_the_length_and_no_body(ask):
    with started(FixedSource(number())) as exporter:
        status, fields, body = ask(exporter, method="HEAD")
    assert (status, body, fields["Content-Length"]) == (200, b"", str(len(PAGE)))


@ways
def test_other_methods_are_not_allowed(ask):
    with started(FixedSource(number())) as exporter:
        status, fields, _ = ask(exporter, method="DELETE")
    assert (status, fields["Allow"]) == (405, "GET, HEAD")


@ways
def test_before_start_and_after_close_the_answer_is_503(ask):
    exporter = PrometheusExporter(port=None)
    assert (ask(exporter)[0], ask(exporter)[2]) == (503, NOT_STARTED)
    exporter.start(FixedSource(number()))
    assert ask(exporter)[0] == 200
    exporter.close(monotonic() + 1)
    assert ask(exporter)[0] == 503


@ways
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer sesame", 200),
        ("bearer sesame", 200),
        ("Bearer other", 401),
        (f"Basic {b64encode(b'user:word').decode()}", 200),
        (f"Basic {b64encode(b'user:other').decode()}", 401),
        ("sesame", 401),
    ],
)
def test_what_is_mounted_asks_for_the_same_credentials(ask, authorization, status):
    headers = {} if authorization is None else {"authorization": authorization}
    keywords = {"token": "sesame", "basic_auth": ("user", "word")}
    with started(FixedSource(number()), **keywords) as exporter:
        found, fields, body = ask(exporter, **headers)
    assert found == status
    if status == 401:
        assert "Www-Authenticate" in {name.title() for name in fields}
        assert PAGE not in body


@ways
def test_what_is_mounted_takes_any_host(ask):
    with started(FixedSource(number())) as exporter:
        assert ask(exporter, host="evil.example")[0] == 200


@ways
def test_a_source_that_raises_is_a_500_and_not_an_exception(ask):
    source = FixedSource(number())
    source.snapshot = lambda: 1 / 0
    with started(source) as exporter:
        status, _, body = ask(exporter)
    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert source.counted == {"invalid": 1}
    assert source.said == [
        (
            "prometheus",
            "the page could not be shown: it raised ZeroDivisionError: 'division by "
            "zero'.",
        )
    ]


def test_under_asyncio_the_page_is_made_on_another_thread():
    threads = []
    source = FixedSource(number())
    snapshot = source.snapshot
    source.snapshot = lambda: (threads.append(threading.current_thread()), snapshot())[
        1
    ]
    with started(source) as exporter:
        ask_asgi(exporter)
        assert threads.pop() is not threading.current_thread()
        run_without_a_loop(converse(exporter.asgi_app(), http_scope()))
        assert threads.pop() is threading.current_thread()


def test_where_asyncio_was_never_imported_the_page_is_made_in_place(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "asyncio")
    with started(FixedSource(number())) as exporter:
        start, body = run_without_a_loop(converse(exporter.asgi_app(), http_scope()))
    assert (start["status"], body["body"]) == (200, PAGE)


def test_a_header_that_comes_twice_has_both_values():
    scope = http_scope(accept="text/plain;q=0.1")
    scope["headers"].append((b"Accept", OPENMETRICS.encode()))
    with started(FixedSource(number())) as exporter:
        start, _ = asyncio.run(converse(exporter.asgi_app(), scope))
    assert dict(start["headers"])[b"content-type"].startswith(OPENMETRICS.encode())


def test_as_the_root_application_it_starts_and_ends_with_the_server():
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    app = PrometheusExporter(port=None).asgi_app()
    assert asyncio.run(converse(app, {"type": "lifespan"}, incoming)) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


def test_a_websocket_is_refused():
    app = PrometheusExporter(port=None).asgi_app()
    incoming = [{"type": "websocket.connect"}]
    assert asyncio.run(converse(app, {"type": "websocket"}, incoming)) == [
        {"type": "websocket.close", "code": 1008}
    ]


def test_an_unknown_scope_raises_as_asgi_wants():
    app = PrometheusExporter(port=None).asgi_app()
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text is below
        asyncio.run(converse(app, {"type": "telepathy"}))
    assert str(error.value) == (
        "metrics page: an ASGI scope of type 'telepathy' is unknown."
    )
