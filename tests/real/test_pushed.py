"""A real Pushgateway and node_exporter take our pages, and a real Prometheus theirs."""

import json
import re
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest

from obs import Obs
from obs_exporters import PushgatewayExporter, TextfileExporter, filtered, renamed
from tests.real.servers import HOST, Prometheus2, Prometheus3, eventually, http_call
from tests.real.test_page import HOSTILE

EXPECTED = {
    text.replace("\ud800", "\ufffd"): amount
    for amount, text in enumerate(HOSTILE.values(), start=1)
}

BY_FLUSH = {"interval": 86_400}
"""The first push comes at any moment of the first interval: practically not by itself."""


def record(tel):
    """Record each kind, hostile texts, and what has to be mended for a reader."""
    hostile = tel.counter("hostile", 'Odd "labels"\n\\ 100%.', labels=("text",))
    for amount, text in enumerate(HOSTILE.values(), start=1):
        hostile.labels(text).inc(amount)
    latency = tel.histogram("latency", "Seconds.", unit="s", buckets=(0.1, 0.5, 1, 5))
    for value in [0.05] * 50 + [0.3] * 40 + [0.7] * 9 + [10]:
        latency.observe(value)
    tel.gauge("temperature", "Outside.", unit="Cel").set(-3.5)
    tel.metrics.updown("carts.open", "Carts.").inc(7)
    tel.metrics.info("build", "What runs.", labels=("version",)).set("1.4.2")
    tel.counter("sums.up", "One of two.").inc(2)
    tel.counter("sums_up", "The other.").inc(40)
    owned = tel.gauge("owned", "Labels of others.", labels=("job", "instance"))
    owned.labels("mine", "here").set(1)
    owned.labels("yours", "here").set(2)
    owned.labels("yours", "").set(4)
    tel.gauge("push.time", "Not the gateway's.", unit="s").set(1)

    @tel.endpoint("place", labels=("channel",))
    def place(channel):
        pass

    @tel.operation("charge")
    def charge():
        pass

    for _ in range(30):
        place("web")
        place("")
        charge()


def check_values(value, labels):
    """Check what a Prometheus, or another that reads such a page, has of it."""
    assert value(f"latency_seconds_count{{{labels}}}") == 100
    assert value(f"latency_seconds_sum{{{labels}}}") == pytest.approx(30.8)
    assert value(f"temperature_celsius{{{labels}}}") == -3.5
    assert value(f"carts_open{{{labels}}}") == 7
    assert value(f'build_info{{{labels},version="1.4.2"}}') == 1
    assert value(f"sums_up_total{{{labels}}}") == 42
    assert value(f'target_info{{{labels},service_name="shop"}}') == 1
    calls = f'operation_duration_seconds_count{{{labels},operation="%s"%s}}'
    assert value(calls % ("place", ',channel="web"')) == 30
    assert value(calls % ("place", ',channel=""')) == 30
    assert value(calls % ("charge", "")) == 30
    for name in ("process_cpu_seconds_total", "process_open_fds", "process_max_fds"):
        assert value(f"{name}{{{labels}}}") > 0
    assert value(f"process_uptime_seconds{{{labels}}}") > 0


def check_hostile(prometheus, labels):
    found = {
        series["metric"].get("text", ""): float(series["value"][1])
        for series in prometheus.query(f"hostile_total{{{labels}}}")
    }
    assert found == EXPECTED


@contextmanager
def pushed(pushgateway, **keywords):
    """An instance whose page is at the gateway until the block ends."""
    keywords = {"job": f"shop-{uuid4()}", "delete_on_close": True, **keywords}
    exporter = PushgatewayExporter(pushgateway.url, interval=60, **keywords)
    tel = Obs("shop", version="1.4.2", exporters=[exporter])
    record(tel)
    with tel.start():
        result = tel.flush(10)
        assert (result.delivered, result.pending, result.lost) == (1, 0, 0)
        yield tel, keywords["job"]


@pytest.mark.parametrize("kind", [Prometheus2, Prometheus3])
def test_what_is_pushed_is_scraped_with_equal_totals(request, pushgateway, kind):
    prometheus = request.getfixturevalue(kind.program)
    with pushed(pushgateway, grouping={"zone": "eu"}) as (_, job):
        prometheus.scrape(job, f"{HOST}:{pushgateway.port}", honor_labels=True)
        try:
            prometheus.wait_up(job)
            labels = f'job="{job}",zone="eu"'
            eventually(lambda: prometheus.query(f"hostile_total{{{labels}}}"))
            check_values(prometheus.value, labels)
            check_hostile(prometheus, labels)
            assert prometheus.value(f'owned{{{labels},exported_job="mine"}}') == 1
            owned = f'owned{{{labels},exported_job="yours",instance="%s"}}'
            assert prometheus.value(owned % "here") == 2
            assert prometheus.value(owned % "") == 4
            # Another scrape of what is unchanged, and the gateway's own times.
            assert prometheus.value(f"push_failure_time_seconds{{{labels}}}") == 0
            assert prometheus.value(f"push_time_seconds{{{labels}}}") > 1e9
        finally:
            prometheus.forget(job)


def test_a_push_after_a_push_has_the_later_totals(pushgateway):
    with pushed(pushgateway) as (tel, job):
        tel.counter("orders", "Orders.").inc(2)
        assert tel.flush(10).lost == 0
        tel.counter("orders").inc(3)
        assert tel.flush(10).lost == 0
        found = pushgateway.samples()
        assert found[f'orders_total{{instance="",job="{job}"}}'] == 5


def groups(pushgateway):
    return [group["labels"] for group in pushgateway.groups()]


VALUES = [
    "a", "a b+c", "100%", "%2F", "a?b#c;d&e=f", "é\n😀", "", "/", "/var/tmp/", "//", ".",
    "..", "...", "../..", "a..b", "~", "\\", '"', "\x00\x7f", "=", "a@base64", "?>/", " ",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_the_gateway_reads_the_grouping_key_that_was_given(pushgateway, value):
    grouping = {"key": value, "id": str(uuid4())}
    job = value or "job"
    exporter = PushgatewayExporter(
        pushgateway.url, job=job, grouping=grouping, delete_on_close=True, **BY_FLUSH
    )
    tel = Obs("shop", exporters=[exporter], runtime=False)
    tel.counter("keyed").inc()
    with tel.start():
        assert tel.flush(10).delivered == 1
        assert {"job": job, **grouping} in groups(pushgateway)
    # It says 202 to what it deletes afterwards.
    eventually(lambda: {"job": job, **grouping} not in groups(pushgateway))


def test_replacing_and_adding(pushgateway):
    job = f"methods-{uuid4()}"

    def push(method, name, *, last=False):
        exporter = PushgatewayExporter(
            pushgateway.url, job=job, method=method, delete_on_close=last, **BY_FLUSH
        )
        tel = Obs("shop", exporters=[exporter], runtime=False)
        tel.counter(name).inc()
        with tel.start():
            assert tel.flush(10).delivered == 1
            page = "".join(pushgateway.samples())
        return {
            it
            for it in ("one", "two", "three")
            if f'{it}_total{{instance="",job="{job}"' in page
        }

    assert push("replace", "one") == {"one"}
    assert push("add", "two") == {"one", "two"}
    assert push("replace", "three", last=True) == {"three"}
    eventually(lambda: {"job": job} not in groups(pushgateway))


def test_a_type_that_another_group_has_otherwise_is_refused_counted_and_said(
    pushgateway, capfd
):
    name = f"clash_{uuid4().hex}"
    exporters = [
        PushgatewayExporter(pushgateway.url, job=job, delete_on_close=True, **BY_FLUSH)
        for job in ("clash-one", "clash-two")
    ]
    one = Obs("shop", exporters=exporters[:1], runtime=False)
    one.gauge(name).set(1)
    two = Obs("shop", exporters=exporters[1:], runtime=False)
    two.metrics.info(f"{name}x").set()
    two.histogram(name, buckets=(1,)).observe(1)
    with one.start():
        assert one.flush(10).delivered == 1
        with two.start():
            result = two.flush(10)
            assert (result.delivered, result.lost) == (0, 1)
    said = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert any(
        re.match(
            "exporter 'pushgateway': the backend answered 400: 'pushed metrics are invalid "
            "or inconsistent with existing metrics: ",
            text,
        )
        for text in said
    )


def test_combined_exporters(pushgateway):
    job = f"combined-{uuid4()}"
    exporter = PushgatewayExporter(
        pushgateway.url, job=job, delete_on_close=True, **BY_FLUSH
    )
    exporter = filtered(renamed(exporter, {"a": "shop.a"}), keep=["a", "c.*"])
    tel = Obs("shop", exporters=[exporter])
    for name in ("a", "b", "c.d"):
        tel.counter(name).inc()
    with tel.start():
        assert tel.flush(10).delivered == 1
        (group,) = [it for it in pushgateway.groups() if it["labels"] == {"job": job}]
    ours = {name for name in group if name not in ("labels", "last_push_successful")}
    assert ours == {
        "shop_a_total", "c_d_total", "target_info", "push_time_seconds",
        "push_failure_time_seconds",
    }  # fmt: skip


@pytest.fixture
def files(node_exporter):
    """Gives paths in the folder of the server, which are removed at the end."""
    paths = []

    def path(name):
        paths.append(node_exporter.textfiles / name)
        return paths[-1]

    yield path
    for each in paths:
        each.unlink(missing_ok=True)


def test_what_is_written_is_shown_by_node_exporter_and_scraped(
    files, node_exporter, prometheus3
):
    """Two services with metrics of the same names, and those that node_exporter has too."""
    job = f"node-{uuid4()}"
    labels = f'job="{job}",service_name="shop"'
    with ExitStack() as stack:
        for service in ("shop", "bank"):
            exporter = TextfileExporter(files(f"{service}.prom"), **BY_FLUSH)
            tel = Obs(service, exporters=[exporter])
            record(tel)
            stack.enter_context(tel.start())
            assert tel.flush(10).delivered == 1
        prometheus3.scrape(job, f"{HOST}:{node_exporter.port}")
        stack.callback(prometheus3.forget, job)
        prometheus3.wait_up(job)
        eventually(lambda: prometheus3.query(f"hostile_total{{{labels}}}"))
        check_values(prometheus3.value, labels)
        check_hostile(prometheus3, labels)
        assert prometheus3.value(f'sum(sums_up_total{{job="{job}"}})') == 84
        own = f'process_open_fds{{job="{job}",service_name=""}}'
        assert prometheus3.value(own) > 0, "that of node_exporter itself"
    assert node_exporter.troubles() == {}


def test_while_files_are_written_node_exporter_reads_whole_ones(files, node_exporter):
    exporter = TextfileExporter(files("busy.prom"), interval=0.01)
    tel = Obs("busy", exporters=[exporter], runtime=False)
    rows = tel.gauge("rows", labels=("n",))
    for n in range(1_000):
        rows.labels(n).set(n)
    with tel.start():
        tel.flush(10)
        for _ in range(30):
            found = [it for it in node_exporter.samples() if it.startswith("rows{")]
            assert len(found) == 1_000
    assert node_exporter.troubles() == {}


@pytest.mark.parametrize("version", [2, 3])
def test_promtool_has_nothing_to_complain_of(request, tmp_path, version):
    promtool = request.getfixturevalue(f"promtool{version}")
    path = tmp_path / "app.prom"
    tel = Obs("shop", exporters=[TextfileExporter(path)])
    record(tel)
    with tel.start():
        tel.flush(10)
    assert promtool.check_metrics(path.read_bytes()) == []


def test_a_gateway_is_asked_for_nothing_but_pushes(pushgateway):
    """What it counts of itself: each push, by its code."""

    def codes():
        status, page = http_call("GET", pushgateway.port, "/metrics")
        assert status == 200
        found = re.findall(
            r'pushgateway_http_requests_total\{code="(\d+)",handler="push",'
            r'method="put"\} (\d+)',
            page.decode(),
        )
        return {code: int(n) for code, n in found}

    before = codes()
    with pushed(pushgateway):
        pass
    after = codes()
    assert after["200"] - before.get("200", 0) == 2, "one flushed, one at the end"
    assert {code: n for code, n in after.items() if code != "200"} == {
        code: n for code, n in before.items() if code != "200"
    }
