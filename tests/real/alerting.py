"""A real Alertmanager, and where it sends what Prometheus tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.real.servers import HOST, Prometheus3, Server, find, http_call


class Alertmanager(Server):
    """Alertmanager 0.28: hands on at once what it is told, and what is over.

    Args:
        webhook: The port that gets it.
    """

    program = "alertmanager"

    def __init__(self, webhook: int) -> None:
        super().__init__()
        self._webhook = webhook

    def command(self) -> list[str]:
        hook = {"url": f"http://{HOST}:{self._webhook}/", "send_resolved": True}
        route = {
            "receiver": "hook",
            "group_by": ["..."],
            "group_wait": "100ms",
            "group_interval": "500ms",
        }
        receivers = [{"name": "hook", "webhook_configs": [hook]}]
        file = self.folder / "alertmanager.json"
        file.write_text(json.dumps({"route": route, "receivers": receivers}))
        return [
            find(self.program),
            f"--config.file={file}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--cluster.listen-address=",  # else it opens 0.0.0.0:9094
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/-/ready")[0] == 200


class AlertingPrometheus(Prometheus3):
    """One that evaluates rules twice a second, and tells an Alertmanager.

    Args:
        rules: The file.
        alertmanager: Its port.
    """

    def __init__(self, rules: Path, alertmanager: int) -> None:
        super().__init__()
        self._rules = str(rules)
        self._alertmanager = f"{HOST}:{alertmanager}"

    def config(self) -> dict[str, Any]:
        targets = [{"targets": [self._alertmanager]}]
        config = super().config()
        config["global"]["evaluation_interval"] = "500ms"
        return config | {
            "rule_files": [self._rules],
            "alerting": {"alertmanagers": [{"static_configs": targets}]},
        }


@contextmanager
def webhook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Take what an Alertmanager sends: give the port, and a list that gets the alerts."""
    alerts: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            alerts.extend(json.loads(body)["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port, alerts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
