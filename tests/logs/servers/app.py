"""Applications for uvicorn and gunicorn; importing it takes the servers' records."""

from obs import Obs

tel = Obs("shop", runtime=False, log_format="json")
tel.logs.capture_stdlib(servers=True)
log = tel.logger("app")


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        log.info("asked")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ, start_response):
    log.info("asked")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
