"""Makes records of what ``warnings`` shows."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obs.logs._logs import Logs

_LOGGER = "py.warnings"
"""As ``logging.captureWarnings`` calls it."""


def watch_warnings(logs: "Logs") -> Callable[[], None]:
    """Log warnings in place of printing them; give what ends that."""
    before = warnings.showwarning
    log = logs.logger(_LOGGER)
    is_open = True  # one that came later may keep `show` after its end

    def show(
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if not is_open or file is not None or not log.is_enabled("warning"):
            before(message, category, filename, lineno, file, line)
            return
        fields = {
            "warning.category": category.__name__,
            "code.file.path": filename,
            "code.line.number": lineno,
        }
        logs.log(_LOGGER, "warning", str(message), (), {}, fields)

    warnings.showwarning = show

    def undo() -> None:
        nonlocal is_open
        is_open = False
        if warnings.showwarning is show:
            warnings.showwarning = before

    return undo
