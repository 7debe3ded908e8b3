"""The contract of push exporters, over each way to InfluxDB."""

from itertools import pairwise

from influxdb_client import InfluxDBClient

from obs.testing.contract import ExporterContract, Histogram, Number, Rig
from obs_exporters import InfluxDBExporter
from tests.exporters.influxdb.reader import read
from tests.faults.sink import Sink

MODES = {
    "refuse": "refuse",
    "silent": "never_answer",
    "close": "reset_before_answer",
    "garbage": "garbage",
}


def point_of(line):
    labels = {key: text for key, text in line.tags.items() if key != "service.name"}
    fields = dict(line.fields)
    if "value" in fields:
        return Number(line.measurement, labels, fields["value"])
    count, total = fields.pop("count"), fields.pop("sum")
    below = list(fields.values())
    buckets = [below[0], *(high - low for low, high in pairwise(below))]
    bounds = [float(name) for name in fields][:-1]
    assert below[-1] == count
    return Histogram(line.measurement, labels, count, total, bounds, buckets)


def without_empty_labels(point):
    labels = {key: text for key, text in point.labels.items() if text}
    if isinstance(point, Number):
        return Number(point.name, labels, point.value)
    return Histogram(
        point.name, labels, point.count, point.sum, point.bounds, point.buckets
    )


class OverHttp(ExporterContract):
    def make(self):
        sink = Sink("204")
        sink.__enter__()
        decoded = []

        def received():
            bodies = [request.body for request in list(sink.requests)[len(decoded) :]]
            decoded.extend([point_of(line) for line in read(body)] for body in bodies)
            return [point for points in decoded for point in points]

        def break_backend(mode):
            sink.mode = MODES[mode]

        build = self.builder(sink.url)
        return Rig(
            build=build,
            received=received,
            close=lambda: sink.__exit__(None),
            break_backend=break_backend,
            expect=without_empty_labels,
        )


class TestBucket(OverHttp):
    def builder(self, url):
        return lambda: InfluxDBExporter(url, bucket="b", org="o", token="t")


class TestDatabase(OverHttp):
    def builder(self, url):
        return lambda: InfluxDBExporter(url, database="d", max_bytes=16_384)


class TestIncreases(OverHttp):
    def builder(self, url):
        return lambda: InfluxDBExporter(url, bucket="b", temporality="delta")


class TestClientOfTheUsersAndABucket(OverHttp):
    def builder(self, url):
        client = InfluxDBClient(url, "t", org="o", enable_gzip=True)
        return lambda: InfluxDBExporter(client=client, bucket="b")


class TestClientOfTheUsersAndADatabase(OverHttp):
    def builder(self, url):
        client = InfluxDBClient(url, "me:secret", auth_basic=True)
        return lambda: InfluxDBExporter(client=client, database="d")
