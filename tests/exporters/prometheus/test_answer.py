"""The page as an HTTP answer: methods, paths, headers, packing."""

import gzip

import pytest

from obs_exporters._http_server import Request
from obs_exporters.prometheus._answer import own_answer, page_answer

PAGE = b"# TYPE n gauge\nn 1\n" * 50


def render(form, names):
    return PAGE + " ".join(sorted(names)).encode() + form.end


def ask(method="GET", path="/metrics", query="", **headers):
    request = Request(
        method,
        path,
        query,
        {name.replace("_", "-"): value for name, value in headers.items()},
    )
    return own_answer(lambda request: page_answer(render, request), request)


def test_the_page_is_at_metrics():
    answer = ask()
    assert answer.status == 200
    assert answer.body == PAGE
    assert answer.headers == [
        ("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),
        ("Vary", "Accept, Accept-Encoding"),
    ]


def test_a_client_may_have_openmetrics():
    answer = ask(accept="application/openmetrics-text; version=1.0.0")
    assert answer.body == PAGE + b"# EOF\n"
    assert dict(answer.headers)["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )


def test_a_query_names_families():
    assert ask(query="name%5B%5D=b&name[]=a").body == PAGE + b"a b"


def test_a_packed_page_is_the_same_page():
    answer = ask(accept_encoding="gzip")
    assert dict(answer.headers)["Content-Encoding"] == "gzip"
    assert len(answer.body) < len(PAGE) / 5
    assert gzip.decompress(answer.body) == PAGE


def test_a_packed_page_has_no_time_in_it():
    body = ask(accept_encoding="gzip").body
    assert body[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert body == ask(accept_encoding="gzip").body


def test_head_is_answered_like_get():
    """The server leaves the body out, and says its length."""
    assert ask("HEAD") == ask("GET")
    assert ask("HEAD", "/") == ask("GET", "/")


@pytest.mark.parametrize("path", ["/metrics", "/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "get", "TRACE"])
def test_other_methods_are_not_allowed(method, path):
    answer = ask(method, path)
    assert answer.status == 405
    assert dict(answer.headers)["Allow"] == "GET, HEAD"
    assert answer.body == b"Use GET or HEAD.\n"


def test_the_root_points_to_the_page():
    answer = ask(path="/")
    assert (answer.status, answer.body) == (
        200,
        b"The metrics are at /metrics, as JSON at /debug/vars\n",
    )


@pytest.mark.parametrize("path", ["/metrics/", "/Metrics", "//metrics", "/x", "/%2e"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_is_there(method, path):
    answer = ask(method, path)
    assert (answer.status, answer.body) == (
        404,
        b"Not here. The metrics are at /metrics, as JSON at /debug/vars\n",
    )
