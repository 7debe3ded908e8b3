"""The demo under its own traffic: real Prometheus servers see what was sent."""

import re
import subprocess
import sys

import pytest

from tests.real.servers import HOST, Prometheus2, Prometheus3, eventually, http_call

RATE = 40
HANDLERS = r"Shop.browse|Shop.checkout"
FORMATS = ("text", "openmetrics")


@pytest.fixture(scope="module")
def demo():
    """A running demo: the ports of its two metrics pages."""
    command = [
        sys.executable, "-m", "obs.cli", "demo", "--rate", str(RATE), "--duration", "100",
        "--metrics-port", "0",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ports = []
    for line in process.stdout:
        ports += re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", line)
        if len(set(ports)) == 2:
            break
    yield [int(port) for port in dict.fromkeys(ports)]
    process.terminate()
    rest, _ = process.communicate(timeout=10)
    assert process.returncode == 0, rest


@pytest.fixture(scope="module", params=[Prometheus2, Prometheus3])
def prometheus(request, demo):
    server = request.getfixturevalue(request.param.program)
    for text_format in FORMATS:
        for name, port in zip(("shop", "orders"), demo, strict=True):
            server.scrape(
                f"{name}-{text_format}", f"{HOST}:{port}", text_format=text_format
            )
    yield server
    for text_format in FORMATS:
        for name in ("shop", "orders"):
            server.forget(f"{name}-{text_format}")


@pytest.mark.parametrize("text_format", FORMATS)
def test_the_rate_is_that_of_the_traffic(prometheus, text_format):
    for name in ("shop", "orders"):
        prometheus.wait_up(f"{name}-{text_format}")
    job = f'job="shop-{text_format}"'
    # All requests enter through the decorated handlers of the shop's server.
    calls = f'operation_duration_seconds_count{{{job},operation=~"{HANDLERS}"}}'
    handled = f"sum(rate({calls}[8s]))"

    def steady():
        return prometheus.value(handled) == pytest.approx(RATE, rel=0.1)

    eventually(steady, 40)
    mine = f'job=~"(shop|orders)-{text_format}"'
    assert prometheus.value(f"min(min_over_time(up{{{mine}}}[8s]))") == 1
    assert prometheus.value(f"sum(obs_dropped_total{{{mine}}})") == 0


@pytest.mark.parametrize("version", [2, 3])
def test_promtool_has_nothing_to_complain_of(version, request, demo):
    promtool = request.getfixturevalue(f"promtool{version}")
    for port in demo:
        status, page = http_call("GET", port, "/metrics")
        assert status == 200
        assert promtool.check_metrics(page) == []
