"""Real Prometheus servers read our page: what they store is what was recorded."""

import pytest

from obs import Limits, Obs
from obs_exporters import PrometheusExporter
from tests.real.servers import HOST, Prometheus2, Prometheus3, eventually

FORMATS = ("text", "openmetrics")
HOSTILE = {
    "quotes": 'say "hi"',
    "backslash": "C:\\temp\\",
    "newline": "one\ntwo\r\nthree",
    "not ascii": "żółć 漢字 😀",
    "percent": "100%s %d %",
    "braces": '},x="y"} 1',
    "controls": "\x00\x01\x1b[31m\x7f\u2028",
    "surrogate": "a\ud800b",
    "10 KB": "x" * 10_240,
    "empty": "",
    "spaces": "  ",
}
"""Label values that break careless writers; each is the label of a counter."""


@pytest.fixture(scope="module")
def tel():
    tel = Obs(
        "shop",
        version="1.4.2",
        exporters=[PrometheusExporter(port=0)],
        limits=Limits(series_per_block=50),
    )
    hostile = tel.counter("hostile", "Odd labels.", labels=("text",))
    for amount, text in enumerate(HOSTILE.values(), start=1):
        hostile.labels(text).inc(amount)
    latency = tel.histogram("latency", "Seconds.", unit="s", buckets=(0.1, 0.5, 1, 5))
    for value in [0.05] * 50 + [0.3] * 40 + [0.7] * 9 + [10]:
        latency.observe(value)
    tel.gauge("temperature", "Outside.", unit="Cel").set(-3.5)
    tel.metrics.updown("carts.open", "Carts.").inc(7)
    tel.metrics.info("build", "What runs.", labels=("version",)).set("1.4.2")
    many = tel.counter("many", "Too many labels.", labels=("user",))
    for user in range(1_000):
        many.labels(f"u{user}").inc(2)
    tel.gauge("broken", "Raises when asked.").set_function(lambda: 1 / 0)

    @tel.endpoint("place", labels=("channel",))
    def place(channel, *, fail=False):
        if fail:
            raise TimeoutError

    for _ in range(30):
        place("web")
    for _ in range(5):
        with pytest.raises(TimeoutError):
            place("web", fail=True)
    with tel.start():
        yield tel


@pytest.fixture(scope="module", params=[Prometheus2, Prometheus3])
def prometheus(request, tel):
    """Each server, told to scrape the page in both formats and as it likes."""
    server = request.getfixturevalue(request.param.program)
    (exporter,) = tel._lifecycle.exporters
    for text_format in FORMATS:
        server.scrape(
            f"page-{text_format}", f"{HOST}:{exporter.port}", text_format=text_format
        )
    server.scrape("page-any", f"{HOST}:{exporter.port}")
    yield server
    for job in ("text", "openmetrics", "any"):
        server.forget(f"page-{job}")


@pytest.fixture(params=["text", "openmetrics", "any"])
def job(request, prometheus):
    prometheus.wait_up(f"page-{request.param}")
    return f'job="page-{request.param}"'


def test_label_values_arrive_as_they_were_given(prometheus, job):
    found = {
        series["metric"].get("text", ""): float(series["value"][1])
        for series in eventually(lambda: prometheus.query(f"hostile_total{{{job}}}"))
    }
    expected = {
        text.replace("\ud800", "\ufffd"): amount
        for amount, text in enumerate(HOSTILE.values(), start=1)
    }
    assert found == expected


def test_totals_are_exact_past_the_limit_of_series(prometheus, job):
    assert prometheus.value(f"sum(many_total{{{job}}})") == 2_000
    assert prometheus.value(f"count(many_total{{{job}}})") == 51
    assert prometheus.value(f'many_total{{{job},otel_metric_overflow="true"}}') == 1_900


def test_quantiles_lie_in_the_right_bucket(prometheus, job):
    quantile = f"histogram_quantile(%s, latency_seconds_bucket{{{job}}})"
    assert 0 < prometheus.value(quantile % 0.4) <= 0.1
    assert 0.1 < prometheus.value(quantile % 0.8) <= 0.5
    assert 0.5 < prometheus.value(quantile % 0.95) <= 1
    assert prometheus.value(quantile % 0.999) == 5, "the highest bound there is"
    assert prometheus.value(f"latency_seconds_count{{{job}}}") == 100
    assert prometheus.value(f"latency_seconds_sum{{{job}}}") == pytest.approx(30.8)


def test_each_kind_arrives(prometheus, job):
    assert prometheus.value(f"temperature_celsius{{{job}}}") == -3.5
    assert prometheus.value(f"carts_open{{{job}}}") == 7
    assert prometheus.value(f'build_info{{{job},version="1.4.2"}}') == 1
    assert prometheus.value(f'target_info{{{job},service_name="shop"}}') == 1
    assert prometheus.query(f"broken{{{job}}}") == []


def test_decorated_calls_arrive(prometheus, job):
    calls = (
        f'operation_duration_seconds_count{{{job},operation="place",channel="web",%s}}'
    )
    assert prometheus.value(calls % 'outcome="ok"') == 30
    assert prometheus.value(calls % 'outcome="error",error_type="TimeoutError"') == 5
    assert prometheus.value(f'operation_in_flight{{{job},operation="place"}}') == 0


def test_the_process_arrives_under_its_classical_names(prometheus, job):
    for name in (
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
    ):
        assert prometheus.value(f"{name}{{{job}}}") > 0, name
    for generation in "012":
        series = f'{{{job},generation="{generation}"}}'
        assert prometheus.value(f"python_gc_collections_total{series}") >= 0
        assert prometheus.value(f"python_gc_pause_seconds_count{series}") >= 0
    assert prometheus.value(f'python_info{{{job},implementation="CPython"}}') == 1


def test_the_metadata_names_kinds_and_units(prometheus, job):
    kinds = prometheus.api("metadata")

    def kind_of(name):
        return {entry["type"] for entry in kinds.get(name, [])}

    assert "histogram" in kind_of("latency_seconds")
    assert "gauge" in kind_of("temperature_celsius")
    assert kind_of("hostile_total") | kind_of("hostile") >= {"counter"}


def test_the_target_stays_up_while_series_come_and_go(prometheus, job, tel):
    churn = tel.gauge("churn", "Comes and goes.", labels=("n",))
    for n in range(40):
        churn.labels(n).set(n)
        if n >= 10:
            churn.remove(n - 10)
    eventually(lambda: prometheus.value(f"count(churn{{{job}}})") == 10)
    assert prometheus.value(f"min_over_time(up{{{job}}}[30s])") == 1


@pytest.mark.parametrize("version", [2, 3])
def test_promtool_has_nothing_to_complain_of(version, request, tel):
    from tests.real.servers import http_call

    promtool = request.getfixturevalue(f"promtool{version}")
    (exporter,) = tel._lifecycle.exporters
    status, page = http_call("GET", exporter.port, "/metrics")
    assert status == 200
    assert promtool.check_metrics(page) == []
