"""The metrics page of a server, as it stands there."""

from __future__ import annotations

from tests.real.servers import http_call


def samples(port: int) -> dict[str, float]:
    """Return the value of each sample by its text: `http_errors{code="500"}`.

    prometheus_client's parser would give counters another name.
    """
    status, body = http_call("GET", port, "/metrics")
    assert status == 200, body
    # Not splitlines(): names and labels may have other ends of lines inside.
    lines = (line for line in body.decode().split("\n") if line and line[0] != "#")
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {sample: float(value) for sample, value in pairs}
