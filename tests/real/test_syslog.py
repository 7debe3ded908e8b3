"""Log records arrive in a real rsyslog and a real Collector, as RFC 5424 has them.

The Collector is the strict judge: a message that breaks a rule arrives there as a record
without attributes.
"""

import random
from time import monotonic, sleep, time_ns
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from obs.encoding import rfc3339
from obs.model import Batch, LogRecord, Resource
from obs_exporters import SyslogExporter, Tls
from tests.encoding.hostile import log_records
from tests.exporters.syslog.reader import ESCAPE, PARAM
from tests.real.receivers import plain
from tests.real.servers import eventually

WAYS = ("udp", "tcp", "tls", "unix", "unix-stream")


@pytest.fixture
def service():
    return f"service-{uuid4().hex[:12]}"


def sent(exporter, service, records, pause=0.0):
    """Send records, and give how many went out."""
    resource = Resource(
        {"service.name": service, "host.name": "web-1", "process.pid": "42"}
    )
    accepted = 0
    for record in records:
        for payload in exporter.encode(Batch("logs", resource, records=[record])):
            if payload.records:
                accepted += exporter.send(payload, monotonic() + 10).accepted
        sleep(pause)
    exporter.close(monotonic() + 1)
    return accepted


def params_of(data):
    found = {}
    for name, value in PARAM.findall(data.encode()):
        found[name.decode()] = ESCAPE.sub(r"\1", value.decode())
    return found


def order(now):
    fields = {"order_id": 7, "ratio": 0.5, "ok": True, "quoted": '"]\\', "u": "é\n"}
    return LogRecord(now, "error", "order.late", "orders", 10, 11, fields)


PARAMS = {
    "trace_id": f"{10:032x}",
    "span_id": f"{11:016x}",
    "order_id": "7",
    "ratio": "0.5",
    "ok": "true",
    "quoted": '"]\\',
    "u": "é\\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_rsyslog_reads_every_field(rsyslogd, way, service):
    exporter = SyslogExporter(
        rsyslogd.addresses[way],
        protocol="unix" if way.startswith("unix") else way,
        facility="local3",
        tls=Tls(rsyslogd.ca_file) if way == "tls" else None,
    )
    now = time_ns()
    records = [order(now), LogRecord(now, "info", "né")]
    assert sent(exporter, service, records) == 2

    def arrived():
        found = [it for it in rsyslogd.messages() if it["app"] == service]
        return len(found) == 2 and found

    late, plain_one = eventually(arrived)
    assert late["priority"] == str(19 * 8 + 3)
    # What comes by a Unix socket is in this machine's time zone, written as an offset.
    assert late["time"][:26] == rfc3339(now, 6)[:26]
    assert (late["host"], late["process"], late["id"]) == ("web-1", "42", "orders")
    assert late["data"].startswith("[fields@32473 ")
    assert params_of(late["data"]) == PARAMS
    assert late["text"].strip() == "order.late"
    assert plain_one["text"].strip().removeprefix("\ufeff") == "né"
    assert (plain_one["id"], plain_one["data"]) == ("-", "-")


def arrived_in(collector, service, count):
    def check():
        found = [
            it.record
            for it in collector.logs()
            if plain(it.record.get("attributes")).get("appname") == service
        ]
        return len(found) >= count and found

    return eventually(check)


@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_the_collector_reads_every_field(collector, way, service):
    exporter = SyslogExporter(collector.syslog_addresses[way], protocol=way)
    now = time_ns()
    assert sent(exporter, service, [order(now), LogRecord(now, "trace", "né")]) == 2
    records = arrived_in(collector, service, 2)
    found = {plain(it["attributes"])["message"]: it for it in records}
    late = found["order.late"]
    assert late["severityText"] in ("err", "error")
    assert late["timeUnixNano"] == str(now // 1000 * 1000)
    attributes = plain(late["attributes"])
    assert attributes["hostname"] == "web-1"
    assert (attributes["proc_id"], attributes["msg_id"]) == ("42", "orders")
    assert (attributes["facility"], attributes["priority"]) == (1, 11)
    assert attributes["structured_data"] == {"fields@32473": PARAMS}
    (other,) = [it for text, it in found.items() if text.removeprefix("\ufeff") == "né"]
    assert plain(other["attributes"])["structured_data"] == {
        "fields@32473": {"level": "trace"}
    }


def hostile(count):
    found = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(log_records, min_size=1, max_size=5))
    def collect(records):
        found.extend(records)

    collect()
    return found


@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_hostile_records_arrive_one_by_one_and_none_is_refused(collector, way, service):
    exporter = SyslogExporter(collector.syslog_addresses[way], protocol=way)
    before = len(collector.logs())
    records = hostile(100)
    random.shuffle(records)
    # Datagrams that come faster than they are read are lost.
    count = sent(exporter, service, records, pause=0.002 if way == "udp" else 0.0)
    assert count == len(records)
    found = arrived_in(collector, service, count)
    assert len(found) == count
    refused = [
        it.record["body"]
        for it in collector.logs()[before:]
        if not it.record.get("attributes")
    ]
    assert refused == []


def test_a_longer_message_than_either_takes_is_cut_and_arrives(
    collector, rsyslogd, service
):
    record = LogRecord(time_ns(), "error", "failed", fields={"stack": "x" * 50_000})
    for address in (collector.syslog_addresses["tcp"], rsyslogd.addresses["tcp"]):
        exporter = SyslogExporter(address, protocol="tcp")
        assert sent(exporter, service, [record, record]) == 2
    records = arrived_in(collector, service, 2)
    (data,) = plain(records[0]["attributes"])["structured_data"].values()
    assert data["stack"].endswith("x…")

    def arrived():
        found = [it for it in rsyslogd.messages() if it["app"] == service]
        return len(found) == 2 and found

    assert params_of(eventually(arrived)[0]["data"])["stack"].endswith("x…")
