"""The arguments of ``obs dashboards export``."""

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import _SubParsersAction

HELP = "dashboards of Grafana, and rules for Prometheus"
EXPORT = (
    "write dashboards to import into Grafana, a provisioning folder, and rules for "
    "Prometheus"
)


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``dashboards`` to the commands."""
    dashboards = commands.add_parser(
        "dashboards", help=HELP, description=f"{HELP[0].upper()}{HELP[1:]}."
    )
    inner = dashboards.add_subparsers(title="commands", required=True)
    parser = inner.add_parser(
        "export", help=EXPORT, description=f"{EXPORT[0].upper()}{EXPORT[1:]}."
    )
    parser.add_argument(
        "--for",
        required=True,
        dest="backend",
        metavar="BACKEND",
        type=_backend,
        help="whom the dashboards ask: prometheus, influxdb or graphite",
    )
    parser.add_argument(
        "--service",
        type=_service,
        metavar="NAME",
        help="whose they are (in Prometheus, its job); if not given, that of --app, else "
        "any that is chosen",
    )
    parser.add_argument(
        "--app",
        metavar="MODULE:NAME",
        help="where an Obs stands, whose own metrics get a dashboard, such as shop:tel",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=_folder,
        metavar="DIR",
        help="the folder; made if missing",
    )
    parser.add_argument(
        "--latency-objective",
        type=_seconds,
        default=1.0,
        metavar="SECONDS",
        help="an alert tells when more than 5 of 100 calls take longer "
        "(default: %(default)g)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from obs.cli.dashboards._export import export  # noqa: PLC0415 - for who exports

    return export(
        backend=options.backend,
        service=options.service or "",
        app=options.app,
        out=options.out,
        latency_objective=options.latency_objective,
    )


def _backend(text: str) -> str:
    from obs.dashboards import BACKENDS  # noqa: PLC0415 - for who exports

    if text in BACKENDS:
        return text
    message = f"there are no dashboards for {text!r}, only for {', '.join(BACKENDS)}"
    raise argparse.ArgumentTypeError(message)


def _service(text: str) -> str:
    if text and text.isprintable():
        return text
    message = f"{text!r} is no name of a service"
    raise argparse.ArgumentTypeError(message)


def _folder(text: str) -> str:
    if text:
        return text
    message = "'' is no name of a folder"
    raise argparse.ArgumentTypeError(message)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if 0 < number < math.inf:
        return number
    message = f"{text!r} is not a number of seconds above 0"
    raise argparse.ArgumentTypeError(message)
