"""A little HTTP on 127.0.0.1: a server, a client, and answers that are exceptions."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, NamedTuple, Self

HOST = "127.0.0.1"
CLIENT_SECONDS = 5.0
"""How long a client waits for the other side."""
IDLE_SECONDS = 10.0
"""How long a client may be silent before its thread leaves it."""
MAX_BODY_BYTES = 64 * 1024
NUMBER_HEADER = "Demo-Request"


class Request(NamedTuple):
    """One request; ``number`` is the traffic generator's, handed on by each service."""

    method: str
    path: tuple[str, ...]
    number: int
    body: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}

    @property
    def url_path(self) -> str:
        """The path as text."""
        return "/" + "/".join(self.path)


class Answer(NamedTuple):
    """What a service answers."""

    status: HTTPStatus
    body: Mapping[str, Any]


class HttpError(Exception):
    """An answer that is no success; subclasses have its status.

    Below 500 the service has done its work, and obs counts the call as ``ok``; from 500
    on it is an ``error``.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR


class NotFound(HttpError):
    """There is nothing of this name."""

    status = HTTPStatus.NOT_FOUND


def status_of(error: Exception) -> HTTPStatus:
    """Give the status of the answer to a request that raised."""
    if isinstance(error, HttpError):
        return error.status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def not_found() -> Answer:
    """Answer what no endpoint is for."""
    raise NotFound


class HttpService:
    """Serves on a free port, a thread for each request, inside a ``with`` block.

    Args:
        name: The name of its thread.
        answer: Gives the answer to a request, or raises an ``HttpError``.

    Attributes:
        port: Where it listens, from the start of the block on.
    """

    def __init__(self, name: str, answer: Callable[[Request], Answer]) -> None:
        self._name = name
        self._answer = answer
        self.port = 0

    def __enter__(self) -> Self:
        self._server = _Server(self._answer)
        self.port = self._server.server_port
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.05,), name=self._name
        )
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def call(port: int, request: Request) -> Answer:
    """Send a request to a service on this machine.

    Raises:
        OSError: There was no answer.
        HTTPException: What came was none.
    """
    connection = HTTPConnection(HOST, port, timeout=CLIENT_SECONDS)
    try:
        body = json.dumps(request.body) if request.body else None
        headers = {**request.headers, NUMBER_HEADER: str(request.number)}
        connection.request(request.method, request.url_path, body, headers)
        response = connection.getresponse()
        return Answer(HTTPStatus(response.status), json.loads(response.read()))
    finally:
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a client that keeps silent shall not hold up the end
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        super().__init__((HOST, 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def log_message(self, *args: object) -> None:
        """Keep stderr clean."""

    def _reply(self) -> None:
        try:
            status, body = self.server.answer(self._request())
        except Exception as error:  # noqa: BLE001 - the client shall have an answer
            status, body = status_of(error), {"error": type(error).__name__}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _request(self) -> Request:
        path = tuple(self.path.strip("/").split("/"))
        number = int(self.headers.get(NUMBER_HEADER, 0))
        length = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(max(0, min(length, MAX_BODY_BYTES)))
        body = json.loads(data) if data else {}
        return Request(self.command, path, number, body, dict(self.headers))
