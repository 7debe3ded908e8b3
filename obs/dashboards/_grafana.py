"""Dashboards as Grafana stores them: plain dictionaries.

Source: Grafana 11.6, the types of ``@grafana/schema``.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from obs.dashboards._boards import Board, Chooser, Draw, Panel, asked
from obs.dashboards._panels import ROW_HEIGHT, panel_json, row_json, size_of
from obs.dashboards._queries import Query

Json: TypeAlias = dict[str, Any]

SCHEMA_VERSION = 41
"""Grafana 11.6; newer ones change it by themselves when they import it."""
TAG = "obs"
COLUMNS = 24
_MAX_UID = 40
_MAX_TAG = 50
"""Bytes; Grafana saves no dashboard whose tag is longer."""
_DATASOURCE = "datasource"
_REFRESH = ("5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d")


class Backend(Protocol):
    """Writes the queries of dashboards in the language of one backend.

    Attributes:
        name: What ``--for`` calls it.
        datasource: What Grafana calls its kind of data source.
        interval: How long a step of a graph is at least; empty where Grafana knows.
    """

    name: str
    datasource: str
    interval: str

    def variables(self, choosers: tuple[Chooser, ...]) -> list[Json]:
        """Give what can be chosen, as it differs from others; the service is the first."""
        ...

    def service(self, name: str) -> str:
        """Give how a service of this name is called there."""
        ...

    def target(self, query: Query, text: str, draw: Draw) -> Json | None:
        """Give a query, or None if the backend cannot be asked that."""
        ...


def dashboard(board: Board, backend: Backend, service: str = "") -> Json:
    """Give a dashboard.

    Args:
        board: What it shows.
        backend: Whom it asks.
        service: Whose it is; of any service that is chosen if empty.
    """
    tags = [it for it in (TAG, backend.name, _tag(service)) if it]
    return {
        "uid": uid_of(TAG, backend.name, board.key, service),
        "title": f"{service}: {board.title}" if service else f"obs: {board.title}",
        "description": board.help,
        "tags": tags,
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "30s",
        "time": {"from": f"now-{board.hours}h", "to": "now"},
        "timepicker": {"hidden": False, "refresh_intervals": list(_REFRESH)},
        "annotations": {"list": []},
        "links": [_link(tags)],
        "templating": {"list": _variables(board, backend, service)},
        "panels": list(_panels(board, backend)),
    }


def uid_of(*parts: str) -> str:
    """Give an address: at most 40 of the characters that Grafana takes in one."""
    wanted = "-".join(filter(None, parts))
    uid = re.sub(r"[^A-Za-z0-9_-]", "-", wanted)
    if uid == wanted and len(uid) <= _MAX_UID:
        return uid
    digest = hashlib.sha256(wanted.encode(errors="replace")).hexdigest()[:8]
    return f"{uid[: _MAX_UID - 9]}-{digest}"


def _tag(service: str) -> str:
    is_short = len(service.encode(errors="replace")) <= _MAX_TAG
    return service if is_short else uid_of(service)


def _link(tags: Sequence[str]) -> Json:
    return {
        "title": "Related",
        "type": "dashboards",
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "tags": list(tags),
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _variables(board: Board, backend: Backend, service: str) -> list[Json]:
    source = {
        "type": "datasource",
        "name": _DATASOURCE,
        "label": "Data source",
        "query": backend.datasource,
        "regex": "",
        "hide": 0,
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "skipUrlSync": False,
        "allowCustomValue": True,
        "options": [],
    }
    asks = backend.variables(tuple(board.choosers))
    found = [_variable(ask, backend) for ask in asks]
    # Of the service: one that is found, not all jobs that some Prometheus has, where
    # the other kinds of process have metrics of the same names.
    found[0]["includeAll"] = board.key == "fleet"
    if service:
        name = backend.service(service)
        found[0]["current"] = {"selected": True, "text": [name], "value": [name]}
    return [source, *found]


def _variable(ask: Json, backend: Backend) -> Json:
    return {
        "type": "query",
        "label": ask["name"].capitalize(),
        "datasource": _datasource(backend),
        "regex": "",
        "hide": 0,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "skipUrlSync": False,
        "allowCustomValue": True,
        "options": [],
        **ask,
    }


def _datasource(backend: Backend) -> Json:
    return {"type": backend.datasource, "uid": f"${{{_DATASOURCE}}}"}


def _panels(board: Board, backend: Backend) -> Iterator[Json]:
    number, top = 1, 0
    for row in board.rows:
        found = [it for panel in row.panels for it in _answered(panel, backend)]
        if not found:
            continue
        yield row_json(row.title, number, top)
        number, top = number + 1, top + ROW_HEIGHT
        left = height = 0
        for panel, targets in found:
            width, tall = size_of(panel)
            if left + width > COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": width, "h": tall}
            drawn = panel_json(panel, number, place, _datasource(backend), targets)
            yield drawn | ({"interval": backend.interval} if backend.interval else {})
            number, left, height = number + 1, left + width, max(height, tall)
        top += height


def _answered(panel: Panel, backend: Backend) -> Iterator[tuple[Panel, list[Json]]]:
    """Give a panel with what it asks, or what stands in its place, or nothing."""
    targets = _targets(panel, backend)
    if targets:
        yield panel, targets
    elif panel.otherwise is not None:
        yield from _answered(panel.otherwise, backend)


def _targets(panel: Panel, backend: Backend) -> list[Json]:
    targets: list[Json] = []
    for query, text in map(asked, panel.asks):
        target = backend.target(query, text, panel.draw)
        if target is not None:
            letter = chr(ord("A") + len(targets))
            targets.append(
                {"refId": letter, "datasource": _datasource(backend), **target}
            )
    return targets
