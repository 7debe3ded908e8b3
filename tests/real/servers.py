"""Real servers for tests, on 127.0.0.1 only, and what they say about us.

`tests/real/install-rig.sh` puts the programs in place; `conftest.py` starts each
server once a session. Nothing here waits for a fixed time: all waiting is polling
with a deadline.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import psutil

HOST = "127.0.0.1"

T = TypeVar("T")

TextFormat = Literal["text", "openmetrics"]

_ACCEPT: dict[TextFormat, str] = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
}
_SCRAPE_PROTOCOL: dict[TextFormat, str] = {
    "text": "PrometheusText0.0.4",
    "openmetrics": "OpenMetricsText1.0.0",
}


class NotInstalled(Exception):
    """The program is not on this machine; tests make a skip of it."""


def find(program: str, *by_name: str) -> str:
    """Return the path of a program that `install-rig.sh` has put in place.

    `by_name` is what the script must be told where it does not install it by itself.
    """
    rig = Path(os.environ.get("OBS_RIG") or Path.home() / ".cache" / "obs-rig")
    path = rig / "bin" / program
    if not path.exists():
        script = " ".join(("tests/real/install-rig.sh", *by_name))
        raise NotInstalled(f"{path} is missing: run {script}")
    return str(path)


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(check: Callable[[], T], seconds: float = 15.0) -> T:
    """Return the first true answer of `check`; fail with its last one.

    What a server does not show yet often appears as a failed assert, an empty list
    or a refused connection: those are polled over. Any other exception is raised.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = answer = check()
            if answer:
                return answer
        except (AssertionError, LookupError, OSError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still {last!r}")
        time.sleep(0.05)


def http_call(
    method: str, port: int, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Call a server on this machine; unlike urllib, never through a proxy."""
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=10)) as link:
        link.request(method, path, body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        return answer.status, answer.read()


class Server:
    """A program with a folder, a log and a port of its own."""

    program: ClassVar[str]
    patience: ClassVar[float] = 10.0  # seconds from SIGTERM to SIGKILL

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=f"{self.program}-")
        self.folder = Path(self._folder.name)
        self.log = self.folder / "log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return what to run; files that it wants go into `self.folder`."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return whether it answers; may raise OSError while it does not."""
        raise NotImplementedError

    def start(self, seconds: float = 30.0) -> Self:
        """Run the program and wait until it is ready."""
        try:
            self._process = process = self._spawn()

            def up() -> bool:
                if process.poll() is not None:
                    raise RuntimeError(f"{self.program} ended: {self.log_tail()}")
                return self.is_ready()

            eventually(up, seconds)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process that `start` began, and no other."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(self.patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._folder.cleanup()

    def listens_on(self) -> set[str]:
        """Return the addresses that take TCP connections or UDP from anyone."""
        assert self._process is not None
        sockets = psutil.Process(self._process.pid).net_connections("inet")
        # Java's are IPv6 sockets with an IPv4 address inside.
        return {
            each.laddr.ip.removeprefix("::ffff:") for each in sockets if not each.raddr
        }

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self.command()
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for pytest, which stops us
            )

    def log_tail(self) -> str:
        """Return the end of what the program wrote."""
        return self.log.read_text(errors="replace")[-2000:]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Prometheus(Server):
    """Scrapes twice a second whatever `scrape` names.

    The first scrape of a new job can take 5 s (discovery is batched): add all jobs
    of a test first, then wait for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, dict[str, Any]] = {}

    def command(self) -> list[str]:
        self._write_config()
        return [
            find(self.program),
            f"--config.file={self._config_file}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
            "--scrape.discovery-reload-interval=100ms",  # hidden; 5 s otherwise
            "--log.level=warn",
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/-/ready")[0] == 200

    def scrape(
        self,
        job: str,
        target: str,
        *,
        text_format: TextFormat | None = None,
        **options: Any,
    ) -> None:
        """Scrape `target` ("host:port") as `job` from now on.

        `text_format` forces one, else the server negotiates. `options` are keys of
        Prometheus's own `scrape_config`: `metrics_path`, `params`, `basic_auth`.
        """
        if job in self._jobs:
            raise ValueError(f"job {job!r} is scraped already")
        if text_format is not None:
            options |= self._forcing(text_format)
        targets = [{"targets": [target]}]
        self._jobs[job] = {"job_name": job, "static_configs": targets, **options}
        try:
            self._reload()
        except RuntimeError:  # the server is shared: the next test wants it to work
            del self._jobs[job]
            raise

    def forget(self, job: str) -> None:
        """Scrape `job` no more; what it delivered stays."""
        del self._jobs[job]
        self._reload()

    def targets(self) -> dict[str, dict[str, Any]]:
        """Return what the server says of each job's target: health, lastError."""
        active = self.api("targets", state="active")["activeTargets"]
        return {target["scrapePool"]: target for target in active}

    def wait_up(self, job: str, seconds: float = 20.0) -> None:
        """Wait for a scrape of `job` without error; fail with the last error."""

        def up() -> bool:
            target = self.targets()[job]
            assert target["health"] == "up", target["lastError"] or "not scraped yet"
            return True

        eventually(up, seconds)

    def wait_refused(self, job: str, seconds: float = 20.0) -> str:
        """Wait for a failed scrape of `job`; return the server's reason."""

        def reason() -> str:
            target = self.targets()[job]
            assert target["health"] == "down", target["health"]
            return str(target["lastError"])

        return eventually(reason, seconds)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the series that a query gives now: `metric` and `value` of each."""
        series: list[dict[str, Any]] = self.api("query", query=promql)["result"]
        return series

    def value(self, promql: str) -> float:
        """Return the value of a query that gives one series."""
        found = self.query(promql)
        assert len(found) == 1, f"{promql} gave {found}"
        return float(found[0]["value"][1])

    def api(self, path: str, **params: str) -> Any:
        """Return the `data` of an answer of /api/v1."""
        url = f"/api/v1/{path}?{urlencode(params)}"
        status, body = http_call("GET", self.port, url)
        if status != 200:
            raise RuntimeError(f"{url} gave {status}: {body[:500]!r}")
        return json.loads(body)["data"]

    def _forcing(self, text_format: TextFormat) -> dict[str, Any]:
        """Return the options that make the server ask for this format alone."""
        raise NotImplementedError

    def _reload(self) -> None:
        self._write_config()
        status, body = http_call("POST", self.port, "/-/reload")
        if status != 200:
            raise RuntimeError(f"the configuration was refused: {body!r}")

    def config(self) -> dict[str, Any]:
        """Return its configuration."""
        often = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
        return {"global": often, "scrape_configs": list(self._jobs.values())}

    def _write_config(self) -> None:
        self._config_file.write_text(json.dumps(self.config()))  # JSON is YAML

    @property
    def _config_file(self) -> Path:
        return self.folder / "prometheus.json"


class Prometheus2(Prometheus):
    """Debian's 2.42: the stricter reader, ASCII names only."""

    program = "prometheus2"

    def __init__(self) -> None:
        super().__init__()
        self._proxies = contextlib.ExitStack()

    def stop(self) -> None:
        super().stop()
        self._proxies.close()

    def _forcing(self, text_format: TextFormat) -> dict[str, Any]:
        # It has no scrape_protocols, so a proxy asks in its place.
        port = self._proxies.enter_context(_asking_for(_ACCEPT[text_format]))
        return {"proxy_url": f"http://{HOST}:{port}"}


class Prometheus3(Prometheus):
    """Prometheus 3: takes UTF-8 names, insists on a Content-Type; takes OTLP too."""

    program = "prometheus3"

    def __init__(self) -> None:
        super().__init__()
        self.otlp_url = f"http://{HOST}:{self.port}/api/v1/otlp"  # + /v1/metrics

    def command(self) -> list[str]:
        return [*super().command(), "--web.enable-otlp-receiver"]

    def _forcing(self, text_format: TextFormat) -> dict[str, Any]:
        return {"scrape_protocols": [_SCRAPE_PROTOCOL[text_format]]}


@contextlib.contextmanager
def _asking_for(accept: str) -> Iterator[int]:
    """Serve as an HTTP proxy that asks for `accept`, whatever its client wanted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, headers, body = self._fetch()
            except OSError as error:
                self.send_error(502, str(error))
                return
            self.send_response(status)
            for name in ("Content-Type", "Content-Encoding"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.end_headers()
            self.wfile.write(body)

        def _fetch(self) -> tuple[int, http.client.HTTPMessage, bytes]:
            url = urlsplit(self.path)  # a proxy is asked for the whole address
            link = http.client.HTTPConnection(url.netloc, timeout=10)
            with contextlib.closing(link):
                path = url.path + (f"?{url.query}" if url.query else "")
                headers = {k: v for k, v in self.headers.items() if k != "Accept"}
                link.request("GET", path, headers={**headers, "Accept": accept})
                answer = link.getresponse()
                return answer.status, answer.headers, answer.read()

        def log_message(self, *_: object) -> None:
            pass

    class Proxy(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of a Prometheus that stopped before its answer."""

    server = Proxy((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Promtool:
    """Prometheus's own checker, of version 2 or 3."""

    def __init__(self, version: Literal[2, 3]) -> None:
        self._program = find(f"promtool{version}")

    def check_metrics(self, page: bytes) -> list[str]:
        """Return what it says against a page in the text format."""
        return self._complaints(["check", "metrics"], page)

    def check_rules(self, file: Path) -> list[str]:
        """Return what it says against a file of rules."""
        return self._complaints(["check", "rules", "--lint-fatal", str(file)])

    def test_rules(self, file: Path) -> list[str]:
        """Return where rules did not do what a file of tests says."""
        return self._complaints(["test", "rules", str(file)])

    def _complaints(self, arguments: list[str], given: bytes = b"") -> list[str]:
        done = subprocess.run(
            [self._program, *arguments],
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if "rules" in arguments and not done.returncode:
            return []  # it counts them aloud
        said = (done.stdout + done.stderr).decode().splitlines()
        if done.returncode and not said:
            said = [f"exit code {done.returncode}"]
        return said
