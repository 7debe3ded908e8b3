"""Graphite: carbon, which takes points, and graphite-web, which gives them back."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.real.servers import HOST, Server, find, free_port, http_call

Points = list[tuple[int, float]]

_TROUBLE = re.compile(r"invalid (?:line|pickle)|Error |Unhandled ")
_CREATED = re.compile(r"creating database metric (.*) \(archive=")


class Carbon(Server):
    """carbon-cache 1.1.7, which keeps a point a second for an hour, the last one sent.

    `addresses` has one for each way in: tcp and udp for lines, pickle.
    """

    program = "carbon-cache"

    def __init__(self) -> None:
        super().__init__()
        self.addresses = {
            "tcp": f"{HOST}:{self.port}",
            "udp": f"{HOST}:{self.port}",
            "pickle": f"{HOST}:{free_port()}",
        }
        self.storage = self.folder / "storage"
        self.query_address = f"{HOST}:{free_port()}"

    def command(self) -> list[str]:
        config = self._write_config()
        pid = str(self.folder / "pid")
        options = ["--config", str(config), "--nodaemon", "--pidfile", pid]
        return [find(self.program), *options, "start"]

    def _write_config(self) -> Path:
        self.storage.mkdir()
        _write_sections(
            self.folder / "storage-schemas.conf",
            all={"pattern": ".*", "retentions": "1s:1h"},
        )
        averages = {"pattern": ".*", "xFilesFactor": 0, "aggregationMethod": "average"}
        _write_sections(self.folder / "storage-aggregation.conf", all=averages)
        config = self.folder / "carbon.conf"
        _write_sections(config, cache=self._settings())
        return config

    def _settings(self) -> dict[str, Any]:
        listening: dict[str, Any] = {"ENABLE_UDP_LISTENER": True}
        for name, address in {
            "LINE_RECEIVER": self.addresses["tcp"],
            "UDP_RECEIVER": self.addresses["udp"],
            "PICKLE_RECEIVER": self.addresses["pickle"],
            "CACHE_QUERY": self.query_address,
        }.items():
            host, port = address.split(":")
            listening |= {f"{name}_INTERFACE": host, f"{name}_PORT": port}
        return {
            **listening,
            "CONF_DIR": self.folder,
            "STORAGE_DIR": self.storage,
            "LOCAL_DATA_DIR": self.storage / "whisper",
            "LOG_DIR": self.folder,
            "PID_DIR": self.folder,
            "USER": "",
            "MAX_CACHE_SIZE": "inf",
            "MAX_UPDATES_PER_SECOND": "inf",
            "MAX_CREATES_PER_MINUTE": "inf",
            "WHISPER_AUTOFLUSH": True,
            "ENABLE_TAGS": False,  # it would post them in batches; see GraphiteWeb.tag
            "LOG_CREATES": True,
            "LOG_UPDATES": False,
            "LOG_CACHE_HITS": False,
            "LOG_LISTENER_CONN_SUCCESS": False,
            "CARBON_METRIC_INTERVAL": 0,
        }

    def is_ready(self) -> bool:
        for address in (*self.addresses.values(), self.query_address):
            host, port = address.split(":")
            socket.create_connection((host, int(port)), timeout=1).close()
        return True

    def names(self) -> set[str]:
        """Return all names that came so far; tags sorted: `name;a=1;b=2`."""
        return set(_CREATED.findall(self.log.read_text(errors="replace")))

    def troubles(self) -> list[str]:
        """Return what it logged of lines that it could not read or keep.

        It has no counter of them, and says nothing of a NaN or of a pickled value that
        is no number.
        """
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if _TROUBLE.search(line)]


class GraphiteWeb(Server):
    """graphite-web 1.1.8 in front of a running carbon.

    A new name is seen within about a second, when carbon has made a file of it.
    """

    program = "graphite-web"

    def __init__(self, carbon: Carbon) -> None:
        super().__init__()
        self.carbon = carbon

    def command(self) -> list[str]:
        self._write_settings()
        program = [find(self.program)]
        settings = ["--settings=graphite.settings", "--verbosity=0"]
        # The tables of tags alone: /render and /tags need no others, and all would take
        # 4 s where the disk is busy.
        subprocess.run(
            [*program, "migrate", "tags", *settings],
            cwd=self.folder,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return [*program, "runserver", "--noreload", *settings, f"{HOST}:{self.port}"]

    def _write_settings(self) -> None:
        storage = self.carbon.storage
        settings: dict[str, Any] = {
            "SECRET_KEY": "rig",
            "CONF_DIR": str(self.folder),
            "STORAGE_DIR": str(storage),
            "WHISPER_DIR": str(storage / "whisper"),
            "STANDARD_DIRS": [str(storage / "whisper")],
            "INDEX_FILE": str(self.folder / "index"),
            "LOG_DIR": str(self.folder),
            "CARBONLINK_HOSTS": [self.carbon.query_address],
            "DATABASES": {
                "default": {
                    "NAME": str(self.folder / "tags.db"),
                    "ENGINE": "django.db.backends.sqlite3",
                }
            },
        }
        text = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        # Django puts the folder it is started in before others.
        (self.folder / "local_settings.py").write_text(text)

    def is_ready(self) -> bool:
        return http_call("GET", self.port, "/version/")[0] == 200

    def points(self, target: str) -> dict[str, Points]:
        """Return times and values of each series that a target gives.

        A target is a name, a pattern or an expression: `a.*`, `seriesByTag('name=a')`.
        The last minutes count; tagged series are there once `tag` was told.
        """
        query = {"target": target, "from": "-10min", "until": "+1min"}
        url = f"/render?{urlencode({**query, 'format': 'json', 'noCache': '1'})}"
        status, body = http_call("GET", self.port, url)
        assert status == 200, body
        return {
            series["target"]: [
                (time, value)
                for value, time in series["datapoints"]
                if value is not None
            ]
            for series in json.loads(body)
        }

    def tag(self, path: str) -> str:
        """Enter a series in the index of tags; return its canonical name.

        It is a strict judge: tags that break a rule are an AssertionError.
        """
        form = urlencode({"path": path})
        status, body = http_call("POST", self.port, f"/tags/tagSeries?{form}")
        assert status == 200, body
        name: str = json.loads(body)
        return name


def _write_sections(path: Path, **sections: dict[str, Any]) -> None:
    lines = []
    for section, settings in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {value}" for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n")
