"""The pages as a WSGI and as an ASGI application, to be mounted in any framework."""

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from obs_exporters._http_server import Request, Response
from obs_exporters.prometheus._answer import Handler

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_NEVER_STORED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


def make_wsgi_app(handler: Handler) -> "WSGIApplication":
    """Give a WSGI application; the whole path, with its mount, says which page.

    Source: PEP 3333.
    """

    def app(
        environ: dict[str, Any], start_response: "StartResponse"
    ) -> Iterable[bytes]:
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        request = Request(
            environ["REQUEST_METHOD"],
            environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            headers,
        )
        answer = handler(request)
        phrase = HTTPStatus(answer.status).phrase
        start_response(f"{answer.status} {phrase}", _all_headers(answer))
        return [_body(request, answer)]

    return app


def make_asgi_app(handler: Handler) -> ASGIApp:
    """Give an ASGI application; the whole path, with its mount, says which page.

    Where asyncio runs, the page is made on a thread of the loop's pool, so that other
    requests go on meanwhile; under another loop it is made in place.

    Source: ASGI 3.0, "HTTP & WebSocket" and "Lifespan".
    """

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "http":
            await _serve(handler, scope, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            # As ASGI wants it: "applications must raise on what they do not know".
            text = f"metrics page: an ASGI scope of type {scope['type']!r} is unknown."
            raise ValueError(text)

    return app


async def _serve(
    handler: Handler, scope: Message, send: Callable[[Message], Awaitable[None]]
) -> None:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = scope.get("query_string", b"").decode("latin-1")
    path, mount = scope["path"], scope.get("root_path", "")
    # Servers differ: the path holds its mount, or it does not.
    path = path if path.startswith(mount) else mount + path
    request = Request(scope["method"], path, query, headers)
    if _asyncio_runs():
        from asyncio import to_thread  # noqa: PLC0415 - whoever runs it has it loaded

        answer = await to_thread(handler, request)
    else:
        answer = handler(request)
    fields = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in _all_headers(answer)
    ]
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": fields}
    )
    await send({"type": "http.response.body", "body": _body(request, answer)})


async def _live(
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Say yes to start and end of the server, where this is its only application."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _asyncio_runs() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _all_headers(answer: Response) -> list[tuple[str, str]]:
    length = ("Content-Length", str(len(answer.body)))
    return [*answer.headers, length, *_NEVER_STORED]


def _body(request: Request, answer: Response) -> bytes:
    return b"" if request.method == "HEAD" else answer.body
