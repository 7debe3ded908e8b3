"""``obs dashboards``: dashboards and alerts as files."""

from obs.cli.dashboards._command import add_command

__all__ = ["add_command"]
