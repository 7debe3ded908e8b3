"""The rig's servers that lines are pushed to: each gives back what it was sent."""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from tests.real.graphite import Carbon, GraphiteWeb
from tests.real.receivers import Collector, plain
from tests.real.servers import NotInstalled, Server, eventually, http_call
from tests.real.statsd_servers import Statsd, StatsdExporter
from tests.real.stores import (
    Field,
    InfluxDB1,
    InfluxDB2,
    NodeExporter,
    Pushgateway,
    Series,
    VictoriaMetrics,
)


def datagram(address: str, *bodies: bytes) -> None:
    """Send each body as a datagram to host:port or to the path of a Unix socket."""
    family, target = _socket_address(address)
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for body in bodies:
            sender.sendto(body, target)


def stream(address: str, body: bytes) -> None:
    """Send a body by a connection of its own."""
    family, target = _socket_address(address)
    with socket.socket(family, socket.SOCK_STREAM) as sender:
        sender.settimeout(5)
        sender.connect(target)
        sender.sendall(body)


def _socket_address(
    address: str,
) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    if address.startswith("/"):
        return socket.AF_UNIX, address
    host, port = address.split(":")
    return socket.AF_INET, (host, int(port))


@pytest.mark.parametrize(
    "kind",
    [
        Statsd,
        StatsdExporter,
        Carbon,
        GraphiteWeb,
        InfluxDB1,
        InfluxDB2,
        VictoriaMetrics,
        Pushgateway,
        NodeExporter,
    ],
    ids=lambda kind: kind.program,
)
def test_a_stopped_server_leaves_nothing_behind(
    request: pytest.FixtureRequest, kind: Callable[..., Server]
) -> None:
    others = [request.getfixturevalue("carbon")] if kind is GraphiteWeb else []
    try:
        server = kind(*others).start()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    assert server._process is not None
    process = psutil.Process(server._process.pid)
    server.stop()
    assert not process.is_running()
    assert not server.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        http_call("GET", server.port, "/")


@pytest.mark.parametrize(
    ("way", "send"), [("udp", datagram), ("tcp", stream), ("unix-stream", stream)]
)
def test_statsd_gives_back_lines(
    statsd: Statsd, way: str, send: Callable[[str, bytes], None]
) -> None:
    lines = [b"c:3|c", b"c:2|c|@0.5", b"g:5|g", b"g:-2|g", b"t:10|ms", b"t:30|ms|@0.5"]
    name = f"rig.{way}"
    statsd.wait_flush()
    send(
        statsd.addresses[way],
        b"".join(b"%s.%s\n" % (name.encode(), line) for line in lines),
    )
    eventually(lambda: statsd.counters()[f"{name}.c"] == 7)
    assert statsd.gauges()[f"{name}.g"] == 3
    assert statsd.timers()[f"{name}.t"] == [10, 30]
    (data,) = statsd.timer_data(f"{name}.t")
    assert (data["count"], data["sum"]) == (3, 40)
    assert (data["upper_50"], data["upper_90"], data["upper_99"]) == (10, 30, 30)


def test_a_counter_of_statsd_is_added_up_over_flushes(statsd: Statsd) -> None:
    for _ in range(2):
        statsd.wait_flush()
        datagram(statsd.addresses["udp"], b"rig.flushes:2|c")
    eventually(lambda: statsd.counters()["rig.flushes"] == 4)
    seen = [flush["counters"].get("rig.flushes") for flush in statsd.flushes()]
    assert [each for each in seen if each is not None] == [2, 2]


def test_statsd_counts_bad_lines(statsd: Statsd) -> None:
    before = statsd.bad_lines()
    datagram(statsd.addresses["udp"], b"rig.bad\nrig.worse:x|c\nrig.good:1|c\n")
    eventually(lambda: statsd.bad_lines() == before + 2)
    assert 'in msg "rig.worse:x|c"' in statsd.log_tail()


@pytest.mark.parametrize(
    ("way", "send"), [("udp", datagram), ("tcp", stream), ("unix", datagram)]
)
def test_statsd_exporter_gives_back_lines(
    statsd_exporter: StatsdExporter, way: str, send: Callable[[str, bytes], None]
) -> None:
    lines = [b"c:3|c|#a:b", b"g:-2|g", b"t:250|ms|@0.5|#a:b", b"h:250|h"]
    send(
        statsd_exporter.addresses[way],
        b"".join(b"rig.%s.%s\n" % (way.encode(), line) for line in lines),
    )
    assert eventually(lambda: _with_prefix(statsd_exporter, f"rig_{way}_h")) == {
        f"rig_{way}_h_count": 1,
        f"rig_{way}_h_sum": 250,
        **{
            f'rig_{way}_h{{quantile="{each}"}}': 250
            for each in ("0.5", "0.9", "0.95", "0.99")
        },
    }
    found = _with_prefix(statsd_exporter, f"rig_{way}_")
    assert found[f'rig_{way}_c{{a="b"}}'] == 3
    assert found[f"rig_{way}_g"] == -2
    assert found[f'rig_{way}_t_count{{a="b"}}'] == 2
    assert found[f'rig_{way}_t_sum{{a="b"}}'] == 0.5


def _with_prefix(server: StatsdExporter, prefix: str) -> dict[str, float]:
    return {
        sample: value
        for sample, value in server.samples().items()
        if sample.startswith(prefix)
    }


def test_statsd_exporter_counts_what_it_refuses(
    statsd_exporter: StatsdExporter,
) -> None:
    malformed = 'statsd_exporter_sample_errors_total{reason="malformed_line"}'
    before = statsd_exporter.troubles().get(malformed, 0)
    datagram(statsd_exporter.addresses["udp"], b"rig.bad\n")
    eventually(lambda: statsd_exporter.troubles().get(malformed, 0) == before + 1)
    assert all(statsd_exporter.troubles().values())


def test_the_collector_gives_back_lines(collector: Collector) -> None:
    lines = [b"c:3|c|#a:b", b"g:-2|g", b"t:250|ms|@0.5", b"h:250|h", b"d:250|d"]
    body = b"".join(b"rig.statsd.%s\n" % line for line in lines)
    datagram(collector.statsd_address, body)

    def points() -> dict[str, dict[str, Any]]:
        """The kind of metric and its only point, by name."""
        return {
            record["name"].removeprefix("rig.statsd."): {"kind": kind, **point}
            for _, _, record in collector.metrics()
            for kind in ("sum", "gauge", "exponentialHistogram")
            for point in record.get(kind, {}).get("dataPoints", ())
            if record["name"].startswith("rig.statsd.")
        }

    eventually(lambda: len(points()) == len(lines))
    found = points()
    assert (found["c"]["kind"], found["c"]["asInt"]) == ("sum", "3")
    assert plain(found["c"]["attributes"]) == {"a": "b"}
    assert (found["g"]["kind"], found["g"]["asDouble"]) == ("gauge", -2)
    for name, count in (("t", 2), ("h", 1), ("d", 1)):
        assert found[name]["kind"] == "exponentialHistogram"
        assert found[name]["count"] == str(count)
        assert found[name]["sum"] == 250 * count


def test_the_collector_says_which_lines_it_dropped(collector: Collector) -> None:
    datagram(collector.statsd_address, b"rig.dropped\nrig.dropped:nan|g\n")
    expected = {
        "invalid message format: rig.dropped",
        'discarding metric "rig.dropped": invalid NaN value',
    }
    eventually(lambda: expected <= set(collector.statsd_troubles()))


@pytest.mark.parametrize(("way", "send"), [("udp", datagram), ("tcp", stream)])
def test_graphite_gives_back_lines(
    graphite_web: GraphiteWeb, way: str, send: Callable[[str, bytes], None]
) -> None:
    now = int(time.time())
    lines = b"rig.%s.a 1.5 %d\nrig.%s.b -2 %d\n"
    send(
        graphite_web.carbon.addresses[way],
        lines % (way.encode(), now - 1, way.encode(), now),
    )
    both = {f"rig.{way}.a": [(now - 1, 1.5)], f"rig.{way}.b": [(now, -2.0)]}
    eventually(lambda: graphite_web.points(f"rig.{way}.*") == both)
    assert both.keys() <= graphite_web.carbon.names()


def test_graphite_gives_back_pickled_points(graphite_web: GraphiteWeb) -> None:
    now = int(time.time())
    points = [("rig.pickled", (now - 1, 7.5)), ("rig.pickled", (now, 8))]
    body = pickle.dumps(points, protocol=2)
    stream(graphite_web.carbon.addresses["pickle"], struct.pack("!L", len(body)) + body)
    expected = {"rig.pickled": [(now - 1, 7.5), (now, 8.0)]}
    eventually(lambda: graphite_web.points("rig.pickled") == expected)


def test_graphite_gives_back_tagged_series(graphite_web: GraphiteWeb) -> None:
    now = int(time.time())
    line = b"rig.tagged;z=1;a=\xc3\xa9 3 %d\n" % now
    stream(graphite_web.carbon.addresses["tcp"], line)
    name = graphite_web.tag("rig.tagged;z=1;a=\u00e9")
    assert name == "rig.tagged;a=\u00e9;z=1"
    target = "seriesByTag('name=rig.tagged','z=1')"
    eventually(lambda: graphite_web.points(target) == {name: [(now, 3.0)]})
    assert name in graphite_web.carbon.names()


def test_graphite_judges_tags(graphite_web: GraphiteWeb) -> None:
    with pytest.raises(AssertionError, match="Cannot parse path rig;=a"):
        graphite_web.tag("rig;=a")


def test_carbon_logs_bad_lines(carbon: Carbon) -> None:
    stream(carbon.addresses["tcp"], b"rig.bad\n")
    stream(carbon.addresses["tcp"], b"rig.bad;=1 1 %d\n" % time.time())
    for end in (
        "ignoring [rig.bad]",
        "Cannot parse path rig.bad;=1, invalid segment =1",
    ):
        eventually(
            lambda end=end: any(line.endswith(end) for line in carbon.troubles())
        )


def test_influxdb1_gives_back_lines(influxdb1: InfluxDB1) -> None:
    influxdb1.create("rig")
    now = time.time_ns()
    body = b'm,a=b\\ c i=3i,f=1.5,s="x" %d\nm,a=d i=4i %d' % (now, now + 1)
    written = http_call("POST", influxdb1.port, "/write?db=rig&precision=ns", body)
    assert written == (204, b"")
    assert influxdb1.rows("rig", "SELECT * FROM m") == [
        {"time": now, "a": "b c", "i": 3, "f": 1.5, "s": "x"},
        {"time": now + 1, "a": "d", "i": 4, "f": None, "s": None},
    ]
    assert influxdb1.rows("rig", "SELECT i FROM m GROUP BY a") == [
        {"time": now, "a": "b c", "i": 3},
        {"time": now + 1, "a": "d", "i": 4},
    ]
    assert influxdb1.rows("rig", "SELECT * FROM nothing") == []


def test_influxdb1_says_what_is_wrong(influxdb1: InfluxDB1) -> None:
    influxdb1.create("rig")
    status, body = http_call("POST", influxdb1.port, "/write?db=rig", b"m v=NaN")
    assert status == 400
    assert b"unable to parse 'm v=NaN'" in body
    with pytest.raises(AssertionError, match="database not found: none"):
        influxdb1.rows("none", "SELECT * FROM m")


def test_influxdb2_gives_back_lines(influxdb2: InfluxDB2) -> None:
    now = datetime.now(UTC)
    body = f'given,a=b\\ c,z=\u00e9 i=3i,f=1.5,s="x" {int(now.timestamp() * 1e6)}000'
    _write(influxdb2, body)
    tags = {"a": "b c", "z": "\u00e9"}
    assert sorted(influxdb2.fields("given")) == [
        Field("given", tags, name, value, now)
        for name, value in (("f", 1.5), ("i", 3), ("s", "x"))
    ]
    assert influxdb2.fields("nothing") == []


def test_a_bucket_of_influxdb2_stands_by_itself(influxdb2: InfluxDB2) -> None:
    influxdb2.make_bucket("other")
    _write(influxdb2, "apart v=1", bucket="other")
    (field,) = influxdb2.fields("apart", "other")
    assert field.value == 1
    assert influxdb2.fields("apart") == []


def test_influxdb2_says_what_is_wrong(influxdb2: InfluxDB2) -> None:
    with pytest.raises(ApiException, match="unable to parse 'm v=NaN'") as raised:
        _write(influxdb2, "m v=NaN")
    assert raised.value.status == 400


def test_a_token_of_influxdb2_may_do_no_more_than_it_says(
    influxdb2: InfluxDB2,
) -> None:
    _write(influxdb2, "tokens v=1", token=influxdb2.make_token("write"))
    assert len(influxdb2.fields("tokens")) == 1
    with pytest.raises(ApiException, match="insufficient permissions") as raised:
        _write(influxdb2, "tokens v=1", token=influxdb2.make_token("read"))
    assert raised.value.status == 403


def _write(
    server: InfluxDB2, body: str, *, bucket: str = "rig", token: str | None = None
) -> None:
    with InfluxDBClient(server.url, token or server.token, org=server.org) as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket, record=body)


def test_victoriametrics_gives_back_lines(victoriametrics: VictoriaMetrics) -> None:
    server = victoriametrics
    now = time.time_ns() // 10**9
    ms = now * 1000
    line = b"given_%s,a=b v=1.5,w=2i %d"
    for name, path in ((b"v1", "/write?db=d"), (b"v2", "/api/v2/write?bucket=d")):
        body = line % (name, now * 10**9)
        assert http_call("POST", server.port, path, body) == (204, b"")
    stream(server.influx_address, line % (b"tcp", now * 10**9) + b"\n")
    stream(server.graphite_address, b"given.tcp;c=d 4 %d\n" % now)
    datagram(server.graphite_address, b"given.udp 5 %d\n" % now)
    expected = [
        Series("given.tcp", {"c": "d"}, [(ms, 4)]),
        Series("given.udp", {}, [(ms, 5)]),
        Series("given_tcp_v", {"a": "b"}, [(ms, 1.5)]),
        Series("given_tcp_w", {"a": "b"}, [(ms, 2)]),
        Series("given_v1_v", {"a": "b", "db": "d"}, [(ms, 1.5)]),
        Series("given_v1_w", {"a": "b", "db": "d"}, [(ms, 2)]),
        Series("given_v2_v", {"a": "b"}, [(ms, 1.5)]),
        Series("given_v2_w", {"a": "b"}, [(ms, 2)]),
    ]
    selector = '{__name__=~"given[._].*"}'
    eventually(lambda: sorted(server.series(selector), key=by_name) == expected)


def by_name(series: Series) -> str:
    return series.name


def test_victoriametrics_counts_or_refuses_bad_lines(
    victoriametrics: VictoriaMetrics,
) -> None:
    server = victoriametrics
    counter = 'vm_rows_invalid_total{type="graphite"}'
    before = server.troubles().get(counter, 0)
    datagram(server.graphite_address, b"bad\n")
    eventually(lambda: server.troubles().get(counter, 0) == before + 1)
    status, body = http_call("POST", server.port, "/api/v2/write?bucket=d", b"m")
    assert status == 400
    assert b'incorrect influx line "m"' in body


def test_pushgateway_gives_back_a_push(pushgateway: Pushgateway) -> None:
    page = b"# TYPE rig_pushed counter\nrig_pushed 3\n"
    path = "/metrics/job/rig/instance/a"
    assert http_call("PUT", pushgateway.port, path, page)[0] == 200
    with contextlib.ExitStack() as at_end:
        at_end.callback(http_call, "DELETE", pushgateway.port, path)
        assert pushgateway.samples()['rig_pushed{instance="a",job="rig"}'] == 3
        labels = {"job": "rig", "instance": "a"}
        (group,) = [each for each in pushgateway.groups() if each["labels"] == labels]
        assert group["rig_pushed"]["type"] == "COUNTER"
        assert group["rig_pushed"]["metrics"] == [{"labels": labels, "value": "3"}]
    # A DELETE is accepted (202) and done later.
    eventually(lambda: labels not in [each["labels"] for each in pushgateway.groups()])


def test_node_exporter_shows_files_and_says_which_it_could_not_read(
    node_exporter: NodeExporter,
) -> None:
    folder = node_exporter.textfiles
    (folder / "rig.prom").write_bytes(b"rig_written 3\n")
    (folder / "rig.txt").write_bytes(b"rig_hidden 3\n")
    found = node_exporter.samples()
    assert found["rig_written"] == 3
    assert "rig_hidden" not in found
    assert node_exporter.troubles() == {}
    (folder / "rig.prom").write_bytes(b"rig_written 3 1700000000000\n")
    assert node_exporter.troubles() == {"node_textfile_scrape_error": 1}
    (folder / "rig.prom").unlink()
    assert node_exporter.troubles() == {}
