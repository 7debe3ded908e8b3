"""No lane imports a module: a fork in the middle of that leaves the child half of it.

Who imports it in the child waits for ever, be it a lane or the host.
"""

import sys
from typing import Any

import pytest

from obs import Obs
from tests.exporters.graphite.reader import Lines, Pickles
from tests.exporters.otlp.grpc_backend import Backend as Grpc
from tests.faults.modes import answer
from tests.faults.sink import Sink
from tests.survival.backends import Backend
from tests.survival.processes import in_fresh

TARGET = "tests.survival.imports:imported_by_lanes"


@pytest.mark.parametrize(
    ("kind", "make_server"),
    [
        ("otlp", Sink),
        ("otlp", lambda: Sink("503:past")),
        ("otlp", lambda: Sink(tls="good")),
        ("grpc", Grpc),
        ("influxdb", lambda: Sink("413", tls="good")),
        ("influxdb", lambda: Sink(answer(422, b"partial write: dropped=1"))),
        ("graphite", lambda: Lines("tcp")),
        ("pickle", lambda: Pickles("tcp")),
        ("zipkin", lambda: Sink("503:past", tls="good")),
        ("filtered", lambda: Sink("503:past", tls="good")),
        ("pushgateway", lambda: Sink("503:past")),
        ("pushgateway", lambda: Sink(tls="good")),
    ],
)
def test_no_lane_imports_what_it_needs_to_reach_a_server(kind, make_server):
    with make_server() as server:
        check_imports(kind, server.url)


@pytest.mark.parametrize("mode", ["204", "503:past"])
def test_no_lane_imports_what_the_users_client_needs(mode):
    with Sink(mode) as server:
        _, by_lanes = in_fresh(TARGET, "influxdb client", server.url)
    assert by_lanes == []


@pytest.mark.parametrize("kind", ["jsonl", "console", "textfile"])
def test_no_lane_imports_what_it_needs_to_write(tmp_path, kind):
    check_imports(kind, str(tmp_path))


@pytest.mark.parametrize("kind", ["statsd", "syslog", "syslog-tls"])
def test_no_lane_imports_what_it_needs_to_resolve_a_name(kind):
    check_imports(kind, "localhost:9")


def check_imports(kind: str, where: str) -> None:
    constructed, by_lanes = in_fresh(TARGET, kind, where)
    assert (constructed, by_lanes) == ([], [])


def test_what_cannot_be_imported_at_the_start_is_left_to_who_needs_it(
    tmp_path, monkeypatch
):
    (tmp_path / "broken_module.py").write_text("1 / 0")
    (tmp_path / "sound_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    backend: Any = Backend(str(tmp_path / "a"))
    backend.imports = ("broken_module", "no_such_module", "sound_module")
    with Obs("t", exporters=[backend], runtime=False).start():
        assert sys.modules.pop("sound_module")
