"""The access logs of real servers: each line once, as ours."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from obs.logs import Logs, Route

APP = "tests.logs.servers.app"
SECONDS = 60
RUN = f"import uvicorn, {APP} as app; uvicorn.run(app.asgi, port=0{{}})"
"""Here the records are taken before uvicorn configures `logging`."""


class Server:
    """A server in a process of its own, which serves one request and ends.

    Attributes:
        lines: What it wrote to stderr.
        out: What it wrote to stdout.
    """

    def __init__(self, folder, *command):
        self.files = [folder / name for name in ("err", "out")]
        with self.files[0].open("w") as err, self.files[1].open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdout=out,
                stderr=err,
                env={**os.environ, "HOME": str(folder)},  # gunicorn has a socket there
            )
        try:
            url = self._wait(r"http://127\.0\.0\.1:(\d+)")
            with urllib.request.urlopen(f"{url}/paid?token=hunter2hunter2") as answer:
                assert answer.read() == b"ok"
            self._wait("/paid")
            self.process.send_signal(signal.SIGINT)
            self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
        self.lines = self.files[0].read_text().splitlines()
        self.out = self.files[1].read_text()

    def _wait(self, pattern):
        deadline = time.monotonic() + SECONDS
        while True:
            text = "".join(file.read_text() for file in self.files)
            if found := re.search(pattern, text):
                return found[0]
            assert time.monotonic() < deadline, text
            assert self.process.poll() is None, text
            time.sleep(0.02)


def access_line(server, logger):
    """Give the one line about the request, which is one of ours."""
    assert "/paid" not in server.out
    (line,) = [line for line in server.lines if "/paid" in line]
    found = json.loads(line)
    assert (found["logger"], found["level"]) == (logger, "info")
    assert found["service"] == "shop"
    assert "hunter2" not in line
    return found


@pytest.fixture
def uvicorn():
    pytest.importorskip("uvicorn")


@pytest.fixture
def gunicorn():
    pytest.importorskip("gunicorn")


@pytest.mark.parametrize("more", ["", ", log_config=None"])
def test_uvicorn_in_the_program(uvicorn, tmp_path, more):
    server = Server(tmp_path, "-c", RUN.format(more))
    event = access_line(server, "uvicorn.access")["event"]
    assert re.fullmatch(
        r'127\.0\.0\.1:\d+ - "GET /paid\?token=\[redacted\] HTTP/1\.1" 200', event
    )
    found = [json.loads(line) for line in server.lines]  # all are ours
    assert {it["logger"] for it in found} == {"app", "uvicorn.access", "uvicorn.error"}
    assert not [it for it in found if "color_message" in it]
    assert server.out == ""


def test_uvicorn_from_its_command_line(uvicorn, tmp_path):
    server = Server(tmp_path, "-m", "uvicorn", f"{APP}:asgi", "--port", "0")
    access_line(server, "uvicorn.access")
    assert {json.loads(line)["service"] for line in server.lines} == {"shop"}
    assert server.out == ""


def test_gunicorn_whose_workers_take_them(gunicorn, tmp_path):
    command = ["-m", "gunicorn", f"{APP}:wsgi", "-b", "127.0.0.1:0"]
    server = Server(tmp_path, *command, "--access-logfile", "-")
    event = access_line(server, "gunicorn.access")["event"]
    assert '"GET /paid?token=[redacted] HTTP/1.1" 200' in event


def test_gunicorn_whose_configuration_takes_them(gunicorn, tmp_path):
    (tmp_path / "conf.py").write_text(
        f"import {APP}\nbind = '127.0.0.1:0'\naccesslog = '-'\n"
    )
    command = ["-m", "gunicorn", f"{APP}:wsgi", "-c", str(tmp_path / "conf.py")]
    server = Server(tmp_path, *command)
    access_line(server, "gunicorn.access")
    found = [json.loads(line) for line in server.lines]  # all are ours
    assert {it["logger"] for it in found} == {
        "app",
        "gunicorn.access",
        "gunicorn.error",
    }
    assert server.out == ""


class Own(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record.getMessage())


@pytest.fixture
def access():
    """A server's logger as it configures it."""
    log = logging.getLogger("uvicorn.access")
    handler = Own()
    log.addHandler(handler)
    log.propagate = False
    log.setLevel("INFO")
    yield log, handler
    log.removeHandler(handler)
    log.filters[:] = []
    log.propagate = True
    log.setLevel("NOTSET")


def test_their_own_handlers_have_them_again_when_it_is_closed(access, logs, written):
    log, handler = access
    with logs.capture_stdlib(servers=True):
        before = list(log.handlers)
        log.info("a")
        assert log.handlers == before
    log.info("b")
    assert [it["event"] for it in written.lines()] == ["a"]
    assert handler.records == ["b"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_other_filters_of_their_loggers_decide(access, logs, written, when):
    log, handler = access

    def wanted(record):
        return "/healthz" not in record.getMessage()

    if when == "before":
        log.addFilter(wanted)
    with logs.capture_stdlib(servers=True):
        if when == "after":
            log.addFilter(wanted)
        log.info("GET %s", "/healthz")
        log.info("GET %s", "/")
    assert [it["event"] for it in written.lines()] == ["GET /"]
    assert handler.records == []


def test_two_instances_have_them_both(access, logs, written, tmp_path):
    log, _ = access
    second = Logs("b", routes=[Route(str(tmp_path / "b"), format="json")])
    with logs.capture_stdlib(servers=True), second.capture_stdlib(servers=True):
        log.info("x")
    assert len(written.lines()) == 1
    assert len((tmp_path / "b").read_text().splitlines()) == 1


def test_they_are_taken_whichever_logger_is_meant(access, logs, written):
    log, _ = access
    with logs.capture_stdlib(), logs.capture_stdlib(logger="db", servers=True):
        log.info("x")
    assert written.line()["event"] == "x"


def test_without_the_option_their_handlers_have_them(access, logs, written):
    log, handler = access
    with logs.capture_stdlib():
        log.info("x")
    assert (handler.records, written.bytes()) == (["x"], b"")


def test_levels_hold_for_them_too(access, logs, written):
    log, _ = access
    logs.set_level("uvicorn.*", "warning")
    with logs.capture_stdlib(servers=True):
        log.info("a")
        log.warning("b")
    assert [it["event"] for it in written.lines()] == ["b"]
