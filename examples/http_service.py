"""A service on the standard library's HTTP server, with a page for Prometheus.

python examples/http_service.py           serves until Ctrl-C
python examples/http_service.py --once    visits itself, shows what was measured, ends
"""

import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import urlopen

from obs import Obs
from obs_exporters import PrometheusExporter

page = PrometheusExporter(port=0)  # any free port; the usual one is 9464
tel = Obs("greeter", version="1.0.0", environment="example", exporters=[page])
greetings = tel.counter("greetings", "Greetings sent.", labels=("language",))
WORDS = {"en": "Hello", "fr": "Bonjour", "sw": "Jambo"}


@tel.endpoint(labels=("language",))
def greet(language: str) -> str:
    greetings.labels(language).inc()
    return WORDS[language]


class Handler(BaseHTTPRequestHandler):
    """Answers ``GET /<language>``."""

    def do_GET(self):  # noqa: D102
        language = self.path.strip("/")  # anything; the label takes three values
        text = greet(language if language in WORDS else "en")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())


def visit(server, url):
    try:
        for address in (f"{url}/fr", f"{url}/en", f"{page.url}?name[]=greetings_total"):
            with urlopen(address, timeout=5) as answer:
                print(answer.read().decode(), end="")
    finally:
        server.shutdown()


def main(*, once):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    with server, tel.start(), suppress(KeyboardInterrupt):  # start() binds the page
        print(f"service {url}/fr\nmetrics {page.url}", flush=True)
        if once:
            Thread(target=visit, args=(server, url)).start()
        server.serve_forever()


if __name__ == "__main__":
    main(once="--once" in sys.argv)
