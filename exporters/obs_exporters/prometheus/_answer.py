"""The pages as HTTP answers, the same behind our own server and mounted."""

import zlib
from collections.abc import Callable

from obs_exporters._http_server import Request, Response
from obs_exporters.prometheus._format import Format
from obs_exporters.prometheus._negotiate import (
    choose_format,
    takes_gzip,
    wanted_names,
)

Handler = Callable[[Request], Response]
Render = Callable[[Format, frozenset[str]], bytes]

PATH = "/metrics"
VARS_PATH = "/debug/vars"
_ARE_AT = f"The metrics are at {PATH}, as JSON at {VARS_PATH}"
_GZIP = 31
"""zlib's window size 15, and 16 for the header of gzip; its time stays 0."""


def page_answer(render: Render, request: Request) -> Response:
    """Answer with the page.

    Packed at level 1: on 7 MB it takes a third of the time of level 6, for a fourth more
    bytes.
    """
    if request.method not in ("GET", "HEAD"):
        return _not_allowed()
    form = choose_format(request.headers.get("accept", ""))
    body = render(form, wanted_names(request.query))
    return _packed(request, form.content_type, "Accept, Accept-Encoding", body)


def is_for_vars(request: Request) -> bool:
    """Say whether a request is for the JSON, wherever that is mounted."""
    return request.path.rstrip("/").endswith(VARS_PATH)


def vars_answer(render: Callable[[], bytes], request: Request) -> Response:
    """Answer with the JSON."""
    if request.method not in ("GET", "HEAD"):
        return _not_allowed()
    kind = "application/json; charset=utf-8"
    return _packed(request, kind, "Accept-Encoding", render())


def _packed(request: Request, kind: str, vary: str, body: bytes) -> Response:
    headers = [("Content-Type", kind), ("Vary", vary)]
    if takes_gzip(request.headers.get("accept-encoding", "")):
        body = zlib.compress(body, 1, _GZIP)
        headers.append(("Content-Encoding", "gzip"))
    return Response(200, headers, body)


def own_answer(page: Handler, request: Request) -> Response:
    """Answer a request to our own server: each page has one path there."""
    if request.path in (PATH, VARS_PATH):
        return page(request)
    if request.path != "/":
        return plain(404, f"Not here. {_ARE_AT}")
    if request.method not in ("GET", "HEAD"):
        return _not_allowed()
    return plain(200, _ARE_AT)


def plain(
    status: int, text: str, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Give a line of text as an answer."""
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Response(status, (kind, *headers), f"{text}\n".encode())


def _not_allowed() -> Response:
    return plain(405, "Use GET or HEAD.", (("Allow", "GET, HEAD"),))
