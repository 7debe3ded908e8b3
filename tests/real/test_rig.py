"""The rig itself works: both servers read a well-known client, in both formats."""

from __future__ import annotations

from collections.abc import Iterator

import prometheus_client
import pytest

from tests.real.servers import (
    HOST,
    Prometheus,
    Prometheus2,
    Prometheus3,
    Promtool,
    TextFormat,
    eventually,
    free_port,
)

BOTH_FORMATS: tuple[TextFormat, ...] = ("text", "openmetrics")


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A page of prometheus_client; its exemplar shows in OpenMetrics only."""
    registry = prometheus_client.CollectorRegistry()
    orders = prometheus_client.Counter(
        "rig_orders", "Orders.", ["channel"], registry=registry
    )
    orders.labels('a \\ "b"\n\u00e9').inc(3, exemplar={"trace_id": "abc"})
    seconds = prometheus_client.Histogram(
        "rig_seconds", "Seconds.", buckets=(0.1, 1.0), registry=registry
    )
    seconds.observe(0.25)
    server, thread = prometheus_client.start_http_server(0, HOST, registry)
    yield f"{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", params=[Prometheus2, Prometheus3])
def prometheus(request: pytest.FixtureRequest, target: str) -> Prometheus:
    """Each server, told to scrape the target in both formats."""
    name = request.param.program
    server: Prometheus = request.getfixturevalue(name)
    for text_format in BOTH_FORMATS:
        server.scrape(f"rig-{text_format}", target, text_format=text_format)
    server.scrape("rig-any", target)
    return server


@pytest.mark.parametrize("text_format", BOTH_FORMATS)
def test_values_and_labels_arrive_as_they_were_written(
    prometheus: Prometheus, text_format: TextFormat
) -> None:
    job = f"rig-{text_format}"
    prometheus.wait_up(job)
    (orders,) = prometheus.query(f'rig_orders_total{{job="{job}"}}')
    assert orders["metric"]["channel"] == 'a \\ "b"\n\u00e9'
    assert orders["value"][1] == "3"
    bucket = f'sum(rig_seconds_bucket{{job="{job}",le="%s"}})'
    assert prometheus.value(bucket % "0.1") == 0
    assert prometheus.value(bucket % "+Inf") == 1


@pytest.mark.parametrize(("text_format", "count"), [("text", 0), ("openmetrics", 1)])
def test_a_format_can_be_forced(
    prometheus: Prometheus, text_format: TextFormat, count: int
) -> None:
    job = f"rig-{text_format}"
    prometheus.wait_up(job)
    exemplars = prometheus.api(
        "query_exemplars",
        query=f'rig_orders_total{{job="{job}"}}',
        start="1",
        end="9999999999",
    )
    assert len(exemplars) == count


def test_left_alone_both_servers_choose_openmetrics(prometheus: Prometheus) -> None:
    prometheus.wait_up("rig-any")
    exemplars = prometheus.api(
        "query_exemplars", query='{job="rig-any"}', start="1", end="9999999999"
    )
    assert len(exemplars) == 1


def test_a_failed_scrape_gives_its_reason(prometheus: Prometheus) -> None:
    prometheus.scrape("rig-nobody", f"{HOST}:{free_port()}")
    assert "refused" in prometheus.wait_refused("rig-nobody")
    prometheus.forget("rig-nobody")
    eventually(lambda: "rig-nobody" not in prometheus.targets())


def test_a_wrong_option_raises_and_leaves_the_server_usable(
    prometheus: Prometheus,
) -> None:
    with pytest.raises(RuntimeError, match="no_such_option"):
        prometheus.scrape("rig-wrong", f"{HOST}:1", no_such_option=1)
    prometheus.wait_up("rig-any")
    assert "rig-wrong" not in prometheus.targets()


def test_what_never_comes_is_said() -> None:
    with pytest.raises(AssertionError, match=r"after 0.1 s still \[\]"):
        eventually(list, 0.1)


@pytest.mark.parametrize("version", [2, 3])
def test_promtool_finds_faults(request: pytest.FixtureRequest, version: int) -> None:
    promtool: Promtool = request.getfixturevalue(f"promtool{version}")
    good = b"# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
    assert promtool.check_metrics(good) == []
    (fault,) = promtool.check_metrics(good.replace(b"a_total", b"a"))
    assert "counter" in fault
    assert promtool.check_metrics(b"}{")
