"""``obs trace show``: the traces of a file as waterfalls."""

from obs.cli.trace._command import add_command

__all__ = ["add_command"]
