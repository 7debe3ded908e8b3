"""Loading the application, and writing the files."""

import os
import re
import sys
from importlib import import_module
from pathlib import Path

from obs._obs import Obs
from obs.dashboards import files
from obs.encoding import printable
from obs.errors import DefinitionError

FAILED = 2
_NAME = r"[^.:/\\]+"
_DOTTED = re.compile(rf"{_NAME}(\.{_NAME})*")


class _Refused(Exception):
    """What cannot be exported, and why."""


def export(
    *,
    backend: str,
    service: str,
    app: str | None,
    out: str,
    latency_objective: float,
) -> int:
    """Write dashboards and rules, and give the exit code: 2 if that failed.

    Args:
        backend: Whom they ask.
        service: Whose they are; when empty, that of ``app``, or any.
        app: Where an ``Obs`` stands, as ``module:name``, whose own metrics are wanted.
        out: The folder.
        latency_objective: For an alert, in seconds.
    """
    try:
        tel = None if app is None else _load(app)
        if tel is not None:
            service = _service_of(tel, str(app), service)
        texts = files(
            tel, backend=backend, service=service, latency_objective=latency_objective
        )
        _write(Path(out), texts)
    except (_Refused, DefinitionError) as refused:
        print(f"obs dashboards export: {printable(str(refused))}", file=sys.stderr)
        return FAILED
    return 0


def _load(app: str) -> Obs:
    module, _, name = app.partition(":")
    if not (_DOTTED.fullmatch(module) and _DOTTED.fullmatch(name)):
        text = f"--app got {app!r}, needs MODULE:NAME, such as shop:tel."
        raise _Refused(text)
    # As `python -m` does: what stands here can be imported.
    sys.path.insert(0, os.getcwd())
    try:
        tel = import_module(module)
    except (Exception, SystemExit) as error:  # the application may raise what it likes
        text = f"--app {app}: importing it raised {type(error).__name__}: {error}"
        raise _Refused(text) from error
    try:
        for part in name.split("."):
            tel = getattr(tel, part)
    except AttributeError as error:
        text = f"--app {app}: {error}."
        raise _Refused(text) from error
    except Exception as error:  # a property may raise what it likes, too
        text = f"--app {app}: reading it raised {type(error).__name__}: {error}"
        raise _Refused(text) from error
    if not isinstance(tel, Obs):
        text = f"--app {app}: that is a {type(tel).__name__}, needs an Obs."
        raise _Refused(text)
    return tel


def _service_of(tel: Obs, app: str, wanted: str) -> str:
    service = tel.metrics.diag.service
    if wanted and wanted != service:
        text = (
            f"--service {wanted}: there is no data of it in {app}, which is the service "
            f"{service!r}. Leave --service out, or name the other application."
        )
        raise _Refused(text)
    return service


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            message = f"{error.filename}: {error.strerror}."
            raise _Refused(message) from error
        print(printable(str(path)))
