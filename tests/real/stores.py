"""Databases of metrics, and what they keep: InfluxDB, VictoriaMetrics, Pushgateway.

And node_exporter, which shows what it finds in files.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

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
