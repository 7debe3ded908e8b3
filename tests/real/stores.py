"""Databases of metrics, and what they keep: InfluxDB, VictoriaMetrics, Pushgateway.

And node_exporter, which shows what it finds in files.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlencode

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource

from tests.real.pages import samples
from tests.real.servers import HOST, Server, find, free_port, http_call

Json = dict[str, Any]

_VM_TROUBLE = ("vm_rows_invalid_total", "vm_rows_ignored_total")


class InfluxDB1(Server):
    """InfluxDB 1.6.7, the strict judge of line protocol: a 400 says what is wrong.

    It has no database at first, and knows `/write` only, not `/api/v2/write`.
    """

    program = "influxdb1"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://{HOST}:{self.port}"
        self._backup_port = free_port()

    def command(self) -> list[str]:
        config = self.folder / "influxdb.conf"
        config.write_text(self._config())
        return [find(self.program), "-config", str(config)]

    def _config(self) -> str:
        return f"""
reporting-disabled = true
bind-address = "{HOST}:{self._backup_port}"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{HOST}:{self.port}"
  log-enabled = false
"""

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/ping")[0] == 204

    def create(self, database: str) -> None:
        """Make a database; one that is there already stays as it is."""
        self._query("", f'CREATE DATABASE "{database}"')

    def rows(self, database: str, query: str) -> list[Json]:
        """Return the rows of a query as dictionaries; `time` is in ns.

        Rows of a `GROUP BY` have their tags too.
        """
        found = []
        for series in self._query(database, query).get("series", ()):
            for values in series["values"]:
                row = dict(zip(series["columns"], values, strict=True))
                found.append(series.get("tags", {}) | row)
        return found

    def _query(self, database: str, query: str) -> Json:
        params = urlencode({"db": database, "q": query, "epoch": "ns"})
        status, body = http_call("POST", self.port, f"/query?{params}")
        assert status == 200, body
        (result,) = json.loads(body)["results"]
        assert "error" not in result, result["error"]
        return dict(result)


class Field(NamedTuple):
    """A field of a point, as InfluxDB 2 keeps it; the time to a microsecond."""

    measurement: str
    tags: dict[str, str]
    name: str
    value: Any
    time: datetime


class InfluxDB2(Server):
    """InfluxDB 2.7, with an organisation, a bucket and a token that may do all."""

    program = "influxdb2"
    org = "rig"
    bucket = "rig"
    token = "rig-token"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [
            find(self.program),
            "run",
            f"--http-bind-address={HOST}:{self.port}",
            f"--bolt-path={self.folder / 'influxd.bolt'}",
            f"--sqlite-path={self.folder / 'influxd.sqlite'}",
            f"--engine-path={self.folder / 'engine'}",
            "--reporting-disabled",
            "--no-tasks",
            "--log-level=error",
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/health")[0] == 200

    def start(self, seconds: float = 30.0) -> Self:
        super().start(seconds)
        try:
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def _set_up(self) -> None:
        wanted = {"username": "rig", "password": "rig-password", "token": self.token}
        body = json.dumps({**wanted, "org": self.org, "bucket": self.bucket}).encode()
        status, answer = http_call("POST", self.port, "/api/v2/setup", body)
        assert status == 201, answer

    def make_bucket(self, name: str) -> None:
        """Make a bucket that keeps everything."""
        with self.client() as client:
            client.buckets_api().create_bucket(bucket_name=name, org=self.org)

    def make_token(self, action: Literal["read", "write"], bucket: str = "rig") -> str:
        """Return a new token that may only read or only write a bucket."""
        with self.client() as client:
            found = client.buckets_api().find_bucket_by_name(bucket)
            assert found is not None, f"there is no bucket {bucket!r}"
            resource = PermissionResource(type="buckets", id=found.id)
            made = client.authorizations_api().create_authorization(
                org_id=found.org_id,
                permissions=[Permission(action=action, resource=resource)],
            )
            return str(made.token)

    def client(self) -> InfluxDBClient:
        """Return an InfluxDB client that may do all."""
        return InfluxDBClient(self.url, self.token, org=self.org)

    def fields(self, measurement: str, bucket: str = "rig") -> list[Field]:
        """Return all fields of a measurement, read by Flux."""
        query = (
            "from(bucket: _bucket) |> range(start: 0, stop: 2100-01-01T00:00:00Z)"
            " |> filter(fn: (r) => r._measurement == _measurement)"
        )
        names = {"_bucket": bucket, "_measurement": measurement}
        with self.client() as client:
            tables = client.query_api().query(query, params=names)
        return [_field(record.values) for table in tables for record in table.records]


def _field(row: dict[str, Any]) -> Field:
    tags = {
        name: value
        for name, value in row.items()
        if name not in ("result", "table") and not name.startswith("_")
    }
    return Field(row["_measurement"], tags, row["_field"], row["_value"], row["_time"])


class Series(NamedTuple):
    """What VictoriaMetrics keeps of a series; times in ms since 1970."""

    name: str
    labels: dict[str, str]
    points: list[tuple[int, float]]


class VictoriaMetrics(Server):
    """VictoriaMetrics 1.150, which takes InfluxDB's lines and Graphite's.

    `graphite_address` and `influx_address` are for lines by TCP and UDP, `url` is what
    a client of InfluxDB 1 or 2 is given.
    """

    program = "victoriametrics"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://{HOST}:{self.port}"
        self.graphite_address = f"{HOST}:{free_port()}"
        self.influx_address = f"{HOST}:{free_port()}"

    def command(self) -> list[str]:
        return [
            find(self.program),
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr={HOST}:{self.port}",
            f"-graphiteListenAddr={self.graphite_address}",
            f"-influxListenAddr={self.influx_address}",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=128MB",
            "-loggerLevel=WARN",
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/health")[1] == b"OK"

    def series(self, selector: str) -> list[Series]:
        """Return all series of a selector, as `{__name__=~"a.*"}`, with all points."""
        # What just came is not searched yet.
        http_call("GET", self.port, "/internal/force_flush")
        url = f"/api/v1/export?{urlencode({'match[]': selector})}"
        status, body = http_call("GET", self.port, url)
        assert status == 200, body
        return [_series(json.loads(line)) for line in body.splitlines()]

    def troubles(self) -> dict[str, float]:
        """Return its counters of rows that it could not read or keep, those above 0.

        By HTTP it refuses a body that has one with a 400, and counts nothing.
        """
        return {
            sample: value
            for sample, value in samples(self.port).items()
            if value and sample.startswith(_VM_TROUBLE)
        }


def _series(line: Json) -> Series:
    labels = line["metric"]
    points = list(zip(line["timestamps"], line["values"], strict=True))
    return Series(labels.pop("__name__"), labels, points)


class Pushgateway(Server):
    """Prometheus's Pushgateway 1.5, which keeps the last push of each group."""

    program = "pushgateway"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        address = f"--web.listen-address={HOST}:{self.port}"
        return [find(self.program), address, "--log.level=warn"]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/-/ready")[0] == 200

    def samples(self) -> dict[str, float]:
        """Return the value of each sample by its text, as `x{instance="",job="a"}`."""
        return samples(self.port)

    def groups(self) -> list[Json]:
        """Return what was pushed, by group: `labels`, and a key for each metric."""
        status, body = http_call("GET", self.port, "/api/v1/metrics")
        assert status == 200, body
        groups: list[Json] = json.loads(body)["data"]
        return groups


class NodeExporter(Server):
    """Prometheus's node_exporter 1.5, with the files of a folder on its page.

    Attributes:
        textfiles: The folder.
    """

    program = "node_exporter"

    def __init__(self) -> None:
        super().__init__()
        self.textfiles = self.folder / "textfiles"

    def command(self) -> list[str]:
        self.textfiles.mkdir()
        return [
            find(self.program),
            f"--web.listen-address={HOST}:{self.port}",
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={self.textfiles}",
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/")[0] == 200

    def samples(self) -> dict[str, float]:
        """Return the value of each sample by its text."""
        return samples(self.port)

    def troubles(self) -> dict[str, float]:
        """Return its counters of files and series that it could not take, those above 0."""
        names = ("node_textfile_scrape_error", "promhttp_metric_handler_errors_total")
        return {
            sample: value
            for sample, value in self.samples().items()
            if value and sample.startswith(names)
        }
