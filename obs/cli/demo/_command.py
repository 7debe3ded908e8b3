"""The arguments of ``obs demo``."""

import argparse
from typing import TYPE_CHECKING

from obs.errors import DefinitionError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

LEAST = 0.1
MAX_RATE = 10_000
MAX_SECONDS = 365 * 24 * 3600
MAX_PORT = 65_534
"""One less than there are: the second service takes the next."""
HELP = "run a shop of two services, with traffic, and serve its metrics"


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``demo`` to the commands."""
    parser = commands.add_parser(
        "demo",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}.",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=20.0,
        metavar="N",
        help="requests per second in all (default: %(default)g)",
    )
    parser.add_argument(
        "--duration",
        type=_seconds,
        default=None,
        metavar="SECONDS",
        help="how long to run; until Ctrl-C if not given",
    )
    parser.add_argument(
        "--metrics-port",
        type=_port,
        default=9464,
        metavar="PORT",
        help="where the first service serves its metrics; the second takes the next "
        "port; 0: any free ones (default: %(default)s)",
    )
    parser.add_argument(
        "--exporter",
        type=_exporter,
        action="append",
        default=[],
        dest="exporters",
        metavar="URL",
        help="also push everything there: otlp://127.0.0.1:4318, zipkin://127.0.0.1:9411, "
        "jsonl:demo.jsonl, console: ...; may be given several times",
    )
    parser.add_argument(
        "--log-level",
        type=_level,
        default="off",
        metavar="LEVEL",
        help="the lowest level of logs on stderr, such as info: for people on a "
        "terminal, as JSON elsewhere (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="what chance begins with; with the same seed the same things happen "
        "(default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # The services are loaded only when they shall run: `obs --version` needs none.
    from obs.cli.demo._run import run  # noqa: PLC0415

    return run(
        rate=options.rate,
        duration=options.duration,
        metrics_port=options.metrics_port,
        exporters=options.exporters,
        log_level=options.log_level,
        seed=options.seed,
    )


def _rate(text: str) -> float:
    return _number(text, MAX_RATE)


def _seconds(text: str) -> float:
    return _number(text, MAX_SECONDS)


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    message = f"{text!r} is not a port from 0 to {MAX_PORT}"
    raise argparse.ArgumentTypeError(message)


def _exporter(text: str) -> str:
    from obs_exporters import exporter_from_url  # noqa: PLC0415 - for who gives one

    try:
        exporter_from_url(text)
    except DefinitionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _level(text: str) -> str:
    from obs.logs._levels import level_number  # noqa: PLC0415 - for who gives one

    try:
        level_number("a level", text)
    except DefinitionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if LEAST <= number <= most:
        return number
    message = f"{text!r} is not a number from {LEAST} to {most}"
    raise argparse.ArgumentTypeError(message)
