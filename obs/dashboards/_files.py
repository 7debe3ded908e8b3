"""Dashboards and rules as files."""

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from obs.dashboards._fleet import FLEET_BOARD
from obs.dashboards._grafana import Backend, dashboard, uid_of
from obs.dashboards._graphite import GraphiteBackend
from obs.dashboards._influxdb import InfluxDBBackend
from obs.dashboards._own import own_board
from obs.dashboards._prometheus import PrometheusBackend
from obs.dashboards._rules import DEFAULT_OBJECTIVE, rules
from obs.dashboards._runtime import RUNTIME_BOARD
from obs.dashboards._service import SERVICE_BOARD
from obs.dashboards._telemetry import TELEMETRY_BOARD
from obs.dashboards._yaml import yaml_text
from obs.errors import DefinitionError, shown
from obs.model import Snapshot

Json: TypeAlias = dict[str, Any]

BOARDS = (SERVICE_BOARD, RUNTIME_BOARD, TELEMETRY_BOARD, FLEET_BOARD)
BACKENDS: Mapping[str, Backend] = {
    backend.name: backend
    for backend in (PrometheusBackend(), InfluxDBBackend(), GraphiteBackend())
}
"""By what ``--for`` calls them."""
FOLDER = "/var/lib/grafana/dashboards/obs"
"""Below it Grafana looks for dashboards, as the provisioning file says."""


class Readable(Protocol):
    """What has metrics to read: an ``Obs``, or a ``Registry``."""

    def snapshot(self) -> Snapshot:
        """Read all metrics."""
        ...


def build(
    tel: Readable | None = None, *, backend: str = "prometheus", service: str = ""
) -> dict[str, Json]:
    """Give dashboards, as Grafana imports them.

    Args:
        tel: An instance, whose own metrics get a dashboard, too.
        backend: Whom they ask: one of ``BACKENDS``.
        service: Whose they are, by its name in that backend; when empty, of any service
            that is chosen. Name it where several services have metrics of their own:
            ``own`` has one address (uid) in Grafana for each name.

    Returns:
        ``service``, ``runtime``, ``telemetry``, ``fleet``, and ``own`` where ``tel`` has
        metrics of its own, as plain dictionaries.

    Raises:
        DefinitionError: There is no such backend.
    """
    writer = BACKENDS.get(backend) if isinstance(backend, str) else None
    if writer is None:
        text = (
            f"dashboards: backend got {shown(backend)}, needs one of "
            f"{', '.join(BACKENDS)}."
        )
        raise DefinitionError(text)
    own = own_board(tel.snapshot()) if tel is not None else None
    boards = BOARDS if own is None else (*BOARDS, own)
    return {board.key: dashboard(board, writer, service) for board in boards}


def files(
    tel: Readable | None = None,
    *,
    backend: str = "prometheus",
    service: str = "",
    latency_objective: float = DEFAULT_OBJECTIVE,
) -> dict[str, str]:
    """Give dashboards, a provisioning folder and, for Prometheus, rules: text by path.

    Args and errors are those of ``build``, and:
        latency_objective: Seconds that the 95th percentile of each operation shall not
            pass; an alert tells when it does.
    """
    built = build(tel, backend=backend, service=service)
    found = {f"{key}.json": _json_text(board) for key, board in built.items()}
    name = uid_of("obs", backend, service)
    found[f"provisioning/dashboards/{name}.yml"] = yaml_text(
        _provider(backend, service)
    )
    if backend == "prometheus":
        found["rules.yml"] = yaml_text(rules(service, latency_objective))
    return found


def _json_text(board: Json) -> str:
    return json.dumps(board, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _provider(backend: str, service: str) -> Json:
    # A folder for each: Grafana wants titles that differ within one.
    name = " ".join(filter(None, ("obs", backend, service)))
    path = f"{FOLDER}/{uid_of(backend, service)}"
    provider = {
        "name": name,
        "folder": name,
        "type": "file",
        "options": {"path": path},
    }
    return {"apiVersion": 1, "providers": [provider]}
