"""Exporters by their URLs."""

import pytest

from obs.errors import DefinitionError
from obs_exporters import (
    ConsoleExporter,
    GraphiteExporter,
    InfluxDBExporter,
    JsonLinesExporter,
    OTLPExporter,
    PrometheusExporter,
    PushgatewayExporter,
    TextfileExporter,
    ZipkinExporter,
    exporter_from_url,
)


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("otlp://127.0.0.1:4318", OTLPExporter, "http://127.0.0.1:4318"),
        ("otlp://collector", OTLPExporter, "http://collector:4318"),
        ("otlp://", OTLPExporter, "http://127.0.0.1:4318"),
        ("otlps://c:1/base", OTLPExporter, "https://c:1/base"),
        ("otlp://[::1]", OTLPExporter, "http://[::1]:4318"),
        ("otlp://u:p%40@c", OTLPExporter, "c:4318"),
        ("otlp://c?protocol=grpc", OTLPExporter, "http://c:4317"),
        ("zipkin://127.0.0.1", ZipkinExporter, "http://127.0.0.1:9411/api/v2/spans"),
        ("zipkins://z:1/other", ZipkinExporter, "https://z:1/other"),
        (
            "influxdb://?bucket=b",
            InfluxDBExporter,
            "http://127.0.0.1:8086', bucket='b'",
        ),
        (
            "influxdbs://h:1/p?database=d",
            InfluxDBExporter,
            "https://h:1/p', database='d'",
        ),
        (
            "influxdb://u:p%40@h?database=d",
            InfluxDBExporter,
            "http://h:8086', database='d'",
        ),
        ("graphite://127.0.0.1:2003?tags=true", GraphiteExporter, "127.0.0.1:2003"),
        ("prometheus://127.0.0.1:9999", PrometheusExporter, "127.0.0.1:9999"),
        ("prometheus://", PrometheusExporter, "127.0.0.1:9464"),
        (
            "pushgateway://127.0.0.1?job=app",
            PushgatewayExporter,
            "http://127.0.0.1:9091/metrics/job/app",
        ),
        (
            "pushgateways://u:p%40@g:1/base?job=a/b&grouping=zone=eu,host=h%201",
            PushgatewayExporter,
            "https://g:1/base/metrics/job@base64/YS9i/zone/eu/host/h%201",
        ),
        ("textfile:///a%20b/app.prom", TextfileExporter, "'/a b/app.prom'"),
        ("textfile:app.prom?labels=job=x", TextfileExporter, "'app.prom'"),
    ],
)
def test_scheme_host_port_and_path(url, kind, shown):
    exporter = exporter_from_url(url)
    assert type(exporter) is kind
    assert shown in repr(exporter)
    assert "p%40" not in repr(exporter)
    assert "p@" not in repr(exporter)


def test_keywords_stand_behind_the_question_mark():
    exporter = exporter_from_url(
        "otlp://c?interval=5&timeout=2.5&name=other&signals=metrics,logs"
        "&temporality=delta&max_bytes=65536"
    )
    assert exporter.name == "other"
    assert exporter.signals == {"metrics", "logs"}
    assert exporter.delivery[:4] == (5.0, 2.5, 65536, "delta")


def test_a_bucket_or_a_database_with_all_that_belongs_to_it():
    url = (
        "influxdb://h?org=o&bucket=b&token=s3cret&resource_tags=host.name,service.name"
    )
    exporter = exporter_from_url(f"{url}&temporality=delta&max_bytes=65536&interval=5")
    assert repr(exporter) == "InfluxDBExporter('http://h:8086', bucket='b', org='o')"
    assert exporter.delivery[:4] == (5.0, 10.0, 65536, "delta")
    exporter = exporter_from_url(
        "influxdb://h?database=d&retention_policy=r&username=me&password=s3cret&name=i"
    )
    assert exporter.name == "i"
    assert repr(exporter) == (
        "InfluxDBExporter('http://h:8086', database='d', retention_policy='r')"
    )


def test_the_page_that_is_pushed_or_written():
    exporter = exporter_from_url(
        "pushgateway://g?job=a&method=add&delete_on_close=true&interval=5&timeout=2&name=n"
    )
    assert (exporter.name, exporter.delivery[:2]) == ("n", (5.0, 2.0))
    assert (exporter._method, exporter._deletes) == ("POST", True)
    exporter = exporter_from_url(
        "textfile:app.prom?labels=a=1,b=&fsync=true&interval=60&name=t"
    )
    assert (exporter.name, exporter.delivery.interval) == ("t", 60.0)
    assert (exporter._labels, exporter._fsync) == ({"a": "1", "b": ""}, True)
    assert exporter_from_url("textfile:a.prom?fsync=false")._fsync is False


def test_files_and_streams(tmp_path, capfd):
    path = tmp_path / "a b.jsonl"
    exporter = exporter_from_url(f"jsonl://{str(path).replace(' ', '%20')}?keep=2")
    assert type(exporter) is JsonLinesExporter
    assert repr(exporter).endswith("a b.jsonl')")
    assert type(exporter_from_url("jsonl:local.jsonl")) is JsonLinesExporter
    assert type(exporter_from_url("jsonl:-")) is JsonLinesExporter
    for url in ("console:", "console:-", "console:?interval=1&color=never"):
        assert type(exporter_from_url(url)) is ConsoleExporter


def test_a_page_with_user_and_password():
    exporter = exporter_from_url("prometheus://me:s%40cret@127.0.0.1:0?name=p")
    assert exporter.name == "p"
    assert exporter.wsgi_app() is not None
    assert "cret" not in repr(exporter)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (5, "exporter URL: got 5, needs a text such as 'otlp://127.0.0.1:4318'."),
        (
            "127.0.0.1",
            "exporter URL: got no scheme, needs one of prometheus, pushgateway, "
            "pushgateways, textfile, otlp, otlps, zipkin, zipkins, syslog, statsd, "
            "influxdb, influxdbs, graphite, jsonl, console, as in 'otlp://127.0.0.1:4318'.",
        ),
        (
            "kafka://x",
            "exporter URL: got 'kafka', needs one of prometheus, pushgateway, "
            "pushgateways, textfile, otlp, otlps, zipkin, zipkins, syslog, statsd, "
            "influxdb, influxdbs, graphite, jsonl, console, as in 'otlp://127.0.0.1:4318'.",
        ),
        (
            "otlp://x:99999",
            "exporter URL: host or port is malformed, needs the form "
            "'otlp://127.0.0.1:4318'.",
        ),
        (
            "otlp://me:sec/ret@x",
            "exporter URL: host or port is malformed, needs the form "
            "'otlp://127.0.0.1:4318'.",
        ),
        (
            "otlp://me:secret@x\u2100",
            "exporter URL: host or port is malformed, needs the form "
            "'otlp://127.0.0.1:4318'.",
        ),
        (
            "otlp://x:0",
            "exporter 'otlp': url got 'http://x:0', needs http:// or https://, a host, and "
            "no query or fragment, in ASCII.",
        ),
        (
            "influxdb://me:s3cret@h?bucket=b&token=s3cret",
            "exporter 'influxdb': got more than one of token=, username= with password=, "
            "and a user in the url. Leave one.",
        ),
        (
            "influxdb://h?bucket=b&tokn=s3cret",
            "exporter URL: influxdb: option 'tokn' is unknown. There are interval, "
            "timeout, name, bucket, org, token, database, retention_policy, username, "
            "password, resource_tags, temporality, max_bytes.",
        ),
        (
            "jsonl:///var/log/app#1.jsonl",
            "exporter URL: jsonl: got a '#', which begins a fragment. Write it as %23.",
        ),
        (
            "zipkin://x?interval=often",
            "exporter URL: zipkin: option 'interval' got 'often', needs a number.",
        ),
        (
            "otlp://x?max_bytes=1.5",
            "exporter URL: otlp: option 'max_bytes' got '1.5', needs a whole number.",
        ),
        (
            "zipkin://x?signals=logs",
            "exporter URL: zipkin: option 'signals' is unknown. "
            "There are interval, timeout, name.",
        ),
        (
            "otlp://x?name=a&name=b",
            "exporter URL: otlp: option 'name' is there twice. Remove one.",
        ),
        (
            "otlp://x?interval=0",
            "exporter 'otlp': interval got 0.0, needs seconds from 0.01 to 86400.",
        ),
        (
            "prometheus://x/metrics",
            "exporter URL: prometheus: got the path '/metrics', "
            "needs host and port alone.",
        ),
        (
            "pushgateway://g?grouping=a=b",
            "exporter URL: pushgateway: the job is missing. Write ?job=...",
        ),
        (
            "pushgateway://g?job=a&grouping=b",
            "exporter URL: pushgateway: option 'grouping' got 'b', needs labels with "
            "commas between them, as a=1,b=2.",
        ),
        (
            "pushgateway://g?job=a&delete_on_close=yes",
            "exporter URL: pushgateway: option 'delete_on_close' got 'yes', needs true "
            "or false.",
        ),
        (
            "textfile://var/app.prom",
            "exporter URL: textfile: got host 'var' and path '/app.prom', needs a path "
            "alone, as textfile:///var/lib/app.prom.",
        ),
        (
            "textfile:///var/app.txt",
            "exporter 'textfile': path got '/var/app.txt', needs a path that ends in "
            ".prom.",
        ),
        (
            "jsonl://var/log/app.jsonl",
            "exporter URL: jsonl: got host 'var' and path '/log/app.jsonl', needs a path "
            "alone: jsonl:///var/log/app.jsonl, jsonl:app.jsonl, or jsonl:- for stdout.",
        ),
        (
            "console://me:secret@x",
            "exporter URL: console: got 'x', needs nothing behind the colon, or - for "
            "stdout.",
        ),
    ],
)
def test_what_is_wrong_is_said(url, text):
    with pytest.raises(DefinitionError) as error:
        exporter_from_url(url)
    assert str(error.value) == text
