"""The command line.

``obs demo``, ``obs trace show``, ``obs dashboards export`` and ``obs --version``.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from importlib.metadata import version

from obs.cli import dashboards, demo, trace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: What stands behind the program's name; that of the process when None.

    Returns:
        The exit code of the process.
    """
    parser = ArgumentParser(
        prog="obs", description="Observability for Python services."
    )
    text = f"obs {version('obs-sdk')}"
    parser.add_argument("--version", action="version", version=text)
    commands = parser.add_subparsers(title="commands", required=True)
    demo.add_command(commands)
    trace.add_command(commands)
    dashboards.add_command(commands)
    options = parser.parse_args(argv)
    run: Callable[..., int] = options.run
    try:
        return run(options)
    except BrokenPipeError:
        # Whoever read our output has left (`obs demo | head`). Python would fail once
        # more when it flushes at exit, so that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:  # before the command has begun to listen to signals
        return 130
