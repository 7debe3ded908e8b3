"""The arguments of ``obs demo``."""

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MAX_RATE = 10_000
HELP = "run a shop of two services, with traffic, and serve its metrics"
LAST_PORT = 65_535


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``demo`` to the commands."""
    parser = commands.add_parser(
        "demo",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=20.0,
        metavar="N",
        help="requests per second in all",
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
        "port; 0: any free ones",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="what chance begins with; with the same seed the same things happen",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # The services are loaded only when they shall run: `obs --version` needs none.
    from obs.cli.demo._run import run  # noqa: PLC0415

    return run(
        rate=options.rate,
        duration=options.duration,
        metrics_port=options.metrics_port,
        seed=options.seed,
    )


def _rate(text: str) -> float:
    rate = _number(text)
    if not 0 < rate <= MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0, up to {MAX_RATE}")
    return rate


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _port(text: str) -> int:
    port = _number(text)
    if not 0 <= port < LAST_PORT or port != int(port):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65534")
    return int(port)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
