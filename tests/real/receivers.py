"""Servers that data is sent to, and what arrived: the Collector, Zipkin, Jaeger, rsyslog."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import trustme

from tests.real.servers import HOST, NotInstalled, Server, find, free_port, http_call

Json = dict[str, Any]
Signal = Literal["Spans", "Metrics", "Logs"]

_RECORDS: dict[Signal, str] = {
    "Spans": "spans",
    "Metrics": "metrics",
    "Logs": "logRecords",
}


class Received(NamedTuple):
    """A span, metric or log record with where it came from.

    `scope` and `record` are OTLP JSON as the server wrote it: ids in hex, 64-bit
    integers as text, and no fields that are zero, false or empty.
    """

    resource: dict[str, Any]
    scope: Json
    record: Json


def plain(attributes: Iterable[Json] | None) -> dict[str, Any]:
    """Return attributes of OTLP JSON as a dictionary; bytes stay base64."""
    return {each["key"]: _value(each.get("value")) for each in attributes or ()}


def _value(value: Json | None) -> Any:
    if not value:
        return None
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_value(each) for each in content.get("values", ())]
    if kind == "kvlistValue":
        return plain(content.get("values"))
    return content


def received(request: Json, signal: Signal) -> Iterator[Received]:
    """Yield the records of one signal in an OTLP JSON request."""
    for resource in request.get(f"resource{signal}", ()):
        attributes = plain(resource.get("resource", {}).get("attributes"))
        for scope in resource.get(f"scope{signal}", ()):
            for record in scope.get(_RECORDS[signal], ()):
                yield Received(attributes, scope.get("scope", {}), record)


class Collector(Server):
    """The OpenTelemetry Collector: takes OTLP, syslog and StatsD, and writes to a file.

    A request is in the file within 0.1 s of its answer. The file is read whole each
    time, and all tests of the session share it: tell yours by the service's name.
    """

    program = "collector"

    def __init__(self) -> None:
        super().__init__()
        self.http_url = f"http://{HOST}:{self.port}"
        self.grpc_address = f"{HOST}:{free_port()}"
        self.syslog_addresses = {
            "udp": f"{HOST}:{free_port()}",
            "tcp": f"{HOST}:{free_port()}",
        }
        self.statsd_address = f"{HOST}:{free_port()}"
        self._health_port = free_port()
        self._output = self.folder / "received.jsonl"

    def command(self) -> list[str]:
        config = self.folder / "collector.json"
        config.write_text(json.dumps(self.config()))  # JSON is YAML
        return [find(self.program), f"--config={config}"]

    def config(self) -> Json:
        """Return the Collector's own configuration."""
        protocols = {
            "http": {"endpoint": f"{HOST}:{self.port}"},
            "grpc": {"endpoint": self.grpc_address},
        }
        receivers = {"otlp": {"protocols": protocols}}
        syslog, statsd = self._syslog(), self._statsd()
        pipelines = {
            signal: {"receivers": [*receivers, *more], "exporters": ["file"]}
            for signal, more in {
                "traces": {},
                "metrics": statsd,
                "logs": syslog,
            }.items()
        }
        return {
            "extensions": {"health_check": {"endpoint": f"{HOST}:{self._health_port}"}},
            "receivers": receivers | syslog | statsd,
            "exporters": {
                "file": {"path": str(self._output), "flush_interval": "50ms"}
            },
            "service": {
                "extensions": ["health_check"],
                # It says on no other level what it made of a line of StatsD.
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "debug"}},
                "pipelines": pipelines,
            },
        }

    def _syslog(self) -> Json:
        """Return its receivers of RFC 5424, which refuse what breaks a rule of it."""
        found: Json = {}
        for protocol, address in self.syslog_addresses.items():
            listening: Json = {"listen_address": address}
            more = {"enable_octet_counting": True} if protocol == "tcp" else {}
            found[f"syslog/{protocol}"] = {
                protocol: listening,
                "protocol": "rfc5424",
                **more,
            }
        return found

    def _statsd(self) -> Json:
        """Return its receiver of StatsD, which writes what came in a second."""
        exponential = {"observer_type": "histogram", "histogram": {"max_size": 160}}
        mapping = [
            {"statsd_type": each, **exponential}
            for each in ("timing", "histogram", "distribution")
        ]
        return {
            "statsd": {
                "endpoint": self.statsd_address,
                "aggregation_interval": "1s",
                "timer_histogram_mapping": mapping,  # else each line is a gauge
            }
        }

    def is_ready(self) -> bool:
        return http_call("GET", self._health_port, "/")[0] == 200

    def spans(self) -> list[Received]:
        """Return all spans so far."""
        return self._received("Spans")

    def metrics(self) -> list[Received]:
        """Return all metrics so far, each with the points of one request."""
        return self._received("Metrics")

    def logs(self) -> list[Received]:
        """Return all log records so far."""
        return self._received("Logs")

    def statsd_troubles(self) -> list[str]:
        """Return why it dropped lines of StatsD, as `invalid message format: x`."""
        said = self.log.read_text(errors="replace")
        return re.findall(r"Error aggregating .*Field={error 26 0  (.*)}\)\t", said)

    def _received(self, signal: Signal) -> list[Received]:
        # It writes in blocks: after the last LF may come half a line.
        lines = self._output.read_bytes().split(b"\n")[:-1]
        return [each for line in lines for each in received(json.loads(line), signal)]


class Zipkin(Server):
    """Zipkin 3.5, which keeps spans in memory."""

    program = "zipkin.jar"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://{HOST}:{self.port}/api/v2/spans"

    def command(self) -> list[str]:
        jar = find(self.program)
        java = shutil.which("java")
        if java is None:
            raise NotInstalled("there is no java to run Zipkin: apt-get install maven")
        return [
            java,
            "-Xmx128m",
            "-XX:TieredStopAtLevel=1",  # with SerialGC: starts in half the time
            "-XX:+UseSerialGC",
            # Else it opens a UDP socket for DNS on all addresses.
            "-Dcom.linecorp.armeria.useJdkDnsResolver=true",
            "-jar",
            jar,
            f"--armeria.ports[0].ip={HOST}",  # server.address does nothing
            f"--armeria.ports[0].port={self.port}",
            "--armeria.ports[0].protocols[0]=http",
            "--zipkin.ui.enabled=false",
        ]

    def start(self, seconds: float = 90.0) -> Self:  # 5 to 14 s on a busy machine
        return super().start(seconds)

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/health")[0] == 200

    def trace(self, trace_id: str) -> list[Json]:
        """Return the spans of a trace in Zipkin's v2 JSON; empty if unknown."""
        status, body = http_call("GET", self.port, f"/api/v2/trace/{trace_id}")
        return json.loads(body) if status == 200 else []

    def metrics(self) -> dict[str, float]:
        """Return what it counts, as `counter.zipkin_collector.spans.http`."""
        counts: dict[str, float] = json.loads(
            http_call("GET", self.port, "/metrics")[1]
        )
        return counts


class Jaeger(Server):
    """Jaeger 2, which takes OTLP and keeps spans in memory."""

    program = "jaeger"
    patience = 1.0  # SIGTERM does not end it

    def __init__(self) -> None:
        super().__init__()
        self._http_port = free_port()
        self.http_url = f"http://{HOST}:{self._http_port}"
        self.grpc_address = f"{HOST}:{free_port()}"
        self._query_grpc_port = free_port()

    def command(self) -> list[str]:
        config = self.folder / "jaeger.json"
        config.write_text(json.dumps(self._config()))  # JSON is YAML
        return [find(self.program, "jaeger"), f"--config={config}"]

    def _config(self) -> Json:
        protocols = {
            "http": {"endpoint": f"{HOST}:{self._http_port}"},
            "grpc": {"endpoint": self.grpc_address},
        }
        query = {
            "storage": {"traces": "memory"},
            "http": {"endpoint": f"{HOST}:{self.port}"},
            "grpc": {"endpoint": f"{HOST}:{self._query_grpc_port}"},
        }
        backends = {"memory": {"memory": {"max_traces": 100_000}}}
        pipeline = {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
        return {
            "extensions": {
                "jaeger_storage": {"backends": backends},
                "jaeger_query": query,
            },
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                "pipelines": {"traces": pipeline},
            },
        }

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/api/services")[0] == 200

    def trace(self, trace_id: str) -> list[Received]:
        """Return the spans of a trace; empty if unknown."""
        # Not raw, each look at it would add warnings to the spans it keeps.
        path = f"/api/v3/traces/{trace_id}?raw_traces=true"
        status, body = http_call("GET", self.port, path)
        if status != 200:
            return []
        return list(received(json.loads(body)["result"], "Spans"))


class Rsyslog(Server):
    """rsyslog 8, which writes each message as a line of JSON.

    `addresses` has one for each way in: udp, tcp, tls, and the paths of Unix sockets for
    datagrams and for a stream.
    """

    program = "rsyslogd"

    def __init__(self) -> None:
        super().__init__()
        tls_port = free_port()
        self.addresses = {
            "udp": f"{HOST}:{self.port}",
            "tcp": f"{HOST}:{self.port}",
            "tls": f"{HOST}:{tls_port}",
            "unix": str(self.folder / "datagrams"),
            "unix-stream": str(self.folder / "stream"),
        }
        self._tls_port = tls_port
        self.ca_file = str(self.folder / "ca.pem")
        self._output = self.folder / "received.jsonl"

    def command(self) -> list[str]:
        config = self.folder / "rsyslog.conf"
        config.write_text(self._config())
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(self.ca_file)
        mine = issuer.issue_cert(HOST)
        mine.cert_chain_pems[0].write_to_path(str(self.folder / "cert.pem"))
        mine.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        pid = str(self.folder / "pid")
        return [find(self.program), "-n", "-f", str(config), "-i", pid]

    def _config(self) -> str:
        here = self.folder
        properties = {
            "priority": "pri",
            "time": "timereported",
            "host": "hostname",
            "app": "app-name",
            "process": "procid",
            "id": "msgid",
            "data": "structured-data",
            "text": "msg",
        }
        fields = "".join(
            f'property(outname="{ours}" name="{theirs}" format="jsonf"'
            + (' dateFormat="rfc3339")' if ours == "time" else ")")
            for ours, theirs in properties.items()
        )
        return f"""
global(workDirectory="{here}" maxMessageSize="64k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{self.ca_file}"
  defaultNetstreamDriverCertFile="{here}/cert.pem"
  defaultNetstreamDriverKeyFile="{here}/key.pem")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"
  streamDriver.authMode="anon")
module(load="imuxsock" sysSock.use="off")
input(type="imudp" address="{HOST}" port="{self.port}" rcvbufSize="4m")
input(type="imptcp" address="{HOST}" port="{self.port}")
input(type="imptcp" path="{here}/stream")
input(type="imtcp" address="{HOST}" port="{self._tls_port}")
input(type="imuxsock" socket="{here}/datagrams" useSpecialParser="off"
  parseHostname="on" ignoreTimestamp="off" useSysTimeStamp="off" rateLimit.interval="0")
template(name="json" type="list" option.jsonf="on") {{ {fields} }}
action(type="omfile" file="{self._output}" template="json")
"""

    def is_ready(self) -> bool:
        if not all(
            Path(self.addresses[way]).exists() for way in ("unix", "unix-stream")
        ):
            return False
        for protocol in ("tcp", "tls"):
            host, port = self.addresses[protocol].split(":")
            socket.create_connection((host, int(port)), timeout=1).close()
        return True

    def messages(self) -> list[dict[str, str]]:
        """Return all messages so far: priority time host app process id data text."""
        if not self._output.exists():
            return []
        lines = self._output.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]
