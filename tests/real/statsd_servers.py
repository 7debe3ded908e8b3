"""Servers of the StatsD protocol: Etsy's statsd and Prometheus's statsd_exporter."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.real.pages import samples
from tests.real.servers import HOST, Server, eventually, find, free_port, http_call

Json = dict[str, Any]

_BACKEND = Path(__file__).with_name("statsd_backend.js")

# By default the median is only between those of 45 and 55 percent.
_QUANTILES = [{"quantile": each, "error": 0.001} for each in (0.5, 0.9, 0.95, 0.99)]
_TROUBLE = re.compile("statsd_exporter_.*(error|conflict|drops|too_long)")


class Statsd(Server):
    """Etsy's statsd 0.9.0, which sums up every second.

    All tests of the session share it: tell yours by a prefix. `addresses` has one for
    each way in: udp, tcp, and the path of a Unix socket for a stream.
    """

    program = "statsd"
    percentiles = (50, 90, 95, 99)

    def __init__(self) -> None:
        super().__init__()
        self.addresses = {
            "udp": f"{HOST}:{self.port}",
            "tcp": f"{HOST}:{self.port}",
            "unix-stream": str(self.folder / "stream"),
        }
        self._admin_port = free_port()
        self._output = self.folder / "flushes.jsonl"

    def command(self) -> list[str]:
        config = self.folder / "config.json"
        config.write_text(json.dumps(self._config()))
        return [find(self.program), str(config)]

    def _config(self) -> Json:
        inet = {"address": HOST, "port": self.port}
        return {
            "servers": [
                {"server": "./servers/udp", **inet},
                {"server": "./servers/tcp", **inet},
                {"server": "./servers/tcp", "socket": self.addresses["unix-stream"]},
            ],
            "mgmt_address": HOST,
            "mgmt_port": self._admin_port,
            "backends": [str(_BACKEND)],
            "jsonFile": str(self._output),
            "flushInterval": 1000,
            "percentThreshold": self.percentiles,
            # A flush has what came since the last one; gauges stay.
            "deleteIdleStats": True,
            "deleteGauges": False,
        }

    def is_ready(self) -> bool:
        return self._ask("health") == "health: up\n"

    def flushes(self) -> list[Json]:
        """Return all flushes so far: time counters gauges timers timer_data of each."""
        if not self._output.exists():
            return []
        lines = self._output.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def wait_flush(self) -> None:
        """Wait for the next flush: what is sent now is then summed up in one piece."""
        before = len(self.flushes())
        eventually(lambda: len(self.flushes()) > before)

    def counters(self) -> dict[str, float]:
        """Return the sum of each counter over all flushes."""
        total: Counter[str] = Counter()
        for flush in self.flushes():
            total.update(flush["counters"])
        return dict(total)

    def gauges(self) -> dict[str, float]:
        """Return the gauges of the last flush."""
        flushes = self.flushes()
        gauges: dict[str, float] = flushes[-1]["gauges"] if flushes else {}
        return gauges

    def timers(self) -> dict[str, list[float]]:
        """Return the values of each timer over all flushes, without sample rates."""
        values: defaultdict[str, list[float]] = defaultdict(list)
        for flush in self.flushes():
            for name, some in flush["timers"].items():
                values[name] += some
        return dict(values)

    def timer_data(self, name: str) -> list[dict[str, float]]:
        """Return what it made of a timer in each flush that has it.

        `count` is by sample rates; `sum`, `median`, `upper_90` and the like are not.
        """
        data = [flush["timer_data"] for flush in self.flushes()]
        return [each[name] for each in data if name in each]

    def bad_lines(self) -> int:
        """Return how many lines it could not read; `log_tail()` tells which."""
        found = re.search(r"bad_lines_seen: (\d+)", self._ask("stats"))
        assert found is not None
        return int(found[1])

    def _ask(self, command: str) -> str:
        """Return what its admin interface says."""
        with socket.create_connection((HOST, self._admin_port), timeout=5) as link:
            # `quit` in the same segment would be taken for an argument.
            link.sendall(command.encode())
            said = b""
            end = b"\n" if command == "health" else b"END\n\n"
            while not said.endswith(end):
                more = link.recv(65536)
                assert more, f"{command} was answered with {said!r}"
                said += more
            return said.decode()


class StatsdExporter(Server):
    """Prometheus's statsd_exporter 0.30, which knows the tags of all dialects.

    `addresses` has one for each way in: udp, tcp, and the path of a Unix socket for
    datagrams. It reads `ms` as milliseconds and shows seconds; `h` and `d` stay.
    """

    program = "statsd_exporter"

    def __init__(self) -> None:
        super().__init__()
        statsd = f"{HOST}:{free_port()}"
        self.addresses = {
            "udp": statsd,
            "tcp": statsd,
            "unix": str(self.folder / "datagrams"),
        }

    def command(self) -> list[str]:
        summaries = {
            "observer_type": "summary",
            "summary_options": {"quantiles": _QUANTILES},
        }
        mapping = self.folder / "mapping.json"
        mapping.write_text(json.dumps({"defaults": summaries}))  # JSON is YAML
        return [
            find(self.program),
            f"--web.listen-address={HOST}:{self.port}",
            f"--statsd.listen-udp={self.addresses['udp']}",
            f"--statsd.listen-tcp={self.addresses['tcp']}",
            f"--statsd.listen-unixgram={self.addresses['unix']}",
            f"--statsd.read-buffer={4 << 20}",
            f"--statsd.mapping-config={mapping}",
        ]

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/-/ready")[0] == 200

    def samples(self) -> dict[str, float]:
        """Return the value of each sample by its text, as `x_count{a="b"}`."""
        return samples(self.port)

    def troubles(self) -> dict[str, float]:
        """Return its counters of what it refused, those above 0."""
        return {
            sample: value
            for sample, value in self.samples().items()
            if value and _TROUBLE.match(sample)
        }
