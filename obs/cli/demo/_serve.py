"""A request as a span in the trace of its caller: what a middleware does."""

from collections.abc import Callable

from obs._obs import Obs
from obs.cli.demo._http import Answer, Request, status_of

STATUS_CODE = "http.response.status_code"


def serve(
    tel: Obs, request: Request, route: str, endpoint: Callable[[], Answer]
) -> Answer:
    """Answer a request inside of a server span.

    Args:
        tel: The telemetry of the service.
        request: Its headers say which trace it belongs to; without, it begins one.
        route: The pattern that its path fits, for the span's name: paths would be too
            many. Empty if it fits none.
        endpoint: What answers it. A decorated endpoint makes the span its own, instead of
            opening a second one.
    """
    attributes = {
        "http.request.method": request.method,
        "url.scheme": "http",
        "url.path": request.url_path,
    }
    if route:
        attributes["http.route"] = route
    name = f"{request.method} {route}".rstrip()
    with (
        tel.use(tel.extract(request.headers)),
        tel.span(name, attributes, kind="server") as span,
    ):
        try:
            answer = endpoint()
        except Exception as error:
            span.set({STATUS_CODE: status_of(error)})
            raise
        span.set({STATUS_CODE: answer.status})
        return answer
