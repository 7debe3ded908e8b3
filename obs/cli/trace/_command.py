"""The arguments of ``obs trace show``."""

import argparse
from typing import TYPE_CHECKING

from obs.waterfall import MAX_WIDTH, MIN_WIDTH

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MOST = 1_000_000
ID_DIGITS = 32


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``trace`` to the commands."""
    trace = commands.add_parser("trace", help="look at traces")
    parser = trace.add_subparsers(title="commands", required=True).add_parser(
        "show",
        help="draw the traces of a file as waterfalls",
        description="Draw the traces of files: JSON lines as JsonLinesExporter writes "
        "them, and OTLP JSON as the file exporter of the OpenTelemetry Collector does.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="what to read; - is the standard input"
    )
    parser.add_argument("--trace", type=_prefix, metavar="ID", help="how its id begins")
    some = parser.add_mutually_exclusive_group()
    some.add_argument(
        "--last", type=_number, metavar="N", help="only the traces that began last"
    )
    some.add_argument(
        "--slowest", type=_number, metavar="N", help="only the longest, longest first"
    )
    parser.add_argument("--ascii", action="store_true", help="use ASCII alone")
    parser.add_argument(
        "--width",
        type=_width,
        metavar="COLUMNS",
        help=f"{MIN_WIDTH} to {MAX_WIDTH}; that of the terminal if not given",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from obs.cli.trace._show import Wanted, show  # noqa: PLC0415 - when it is asked for

    wanted = Wanted(options.trace or "", options.last, options.slowest)
    return show(options.files, wanted, width=options.width, ascii=options.ascii)


def _prefix(text: str) -> str:
    prefix = text.lower()
    if 0 < len(prefix) <= ID_DIGITS and set(prefix) <= set("0123456789abcdef"):
        return prefix
    message = f"{text!r} is not how a trace id begins, 1 to {ID_DIGITS} hex digits"
    raise argparse.ArgumentTypeError(message)


def _number(text: str) -> int:
    return _whole(text, 1, MOST)


def _width(text: str) -> int:
    return _whole(text, MIN_WIDTH, MAX_WIDTH)


def _whole(text: str, least: int, most: int) -> int:
    if text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    message = f"{text!r} is not a whole number from {least} to {most}"
    raise argparse.ArgumentTypeError(message)
