"""Warnings and exceptions that nobody handles, as records."""

import gc
import io
import subprocess
import sys
import threading
import warnings

import pytest

from obs.logs import Logs


@pytest.fixture
def hooks(monkeypatch):
    """Put hooks of a test in place, and note what they are called with."""
    calls = []
    for module, name in (
        (sys, "excepthook"),
        (threading, "excepthook"),
        (sys, "unraisablehook"),
    ):
        label = f"{module.__name__}.{name}"
        note = lambda *given, label=label: calls.append((label, given))  # noqa: E731
        monkeypatch.setattr(module, name, note)
    return calls


def run(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, timeout=60, check=False, text=True
    )


def raised(error):
    try:
        raise error
    except BaseException as found:
        return found


def test_an_exception_that_ends_the_program_is_logged_once(logs, hooks, written):
    with logs.capture_stdlib(uncaught=True):
        error = raised(ValueError("no"))
        sys.excepthook(ValueError, error, error.__traceback__)
    found = written.line()
    assert [found["level"], found["logger"], found["event"]] == [
        "critical", "obs.uncaught", "exception.uncaught",
    ]  # fmt: skip
    assert found["exception.type"] == "ValueError"
    assert found["exception.stacktrace"].endswith("ValueError: no\n")
    assert hooks == [("sys.excepthook", (ValueError, error, error.__traceback__))]


def test_one_that_ends_a_thread(logs, hooks, written):
    def fail():
        raise ValueError("no")

    with logs.capture_stdlib(uncaught=True):
        thread = threading.Thread(target=fail, name="worker-1")
        thread.start()
        thread.join()
    found = written.line()
    assert (found["thread.name"], found["exception.message"]) == ("worker-1", "no")
    assert [label for label, _ in hooks] == ["threading.excepthook"]


class Finalized:
    def __del__(self):
        raise ValueError("no")


def test_one_that_nobody_can_get(logs, hooks, written):
    with logs.capture_stdlib(uncaught=True):
        Finalized()
        gc.collect()
    found = written.line()
    assert found["raised.by"] == "function"
    assert found["raised.in"] == "Exception ignored in"
    assert found["exception.message"] == "no"
    assert [label for label, _ in hooks] == ["sys.unraisablehook"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_is_not_logged(logs, hooks, written, kind):
    with logs.capture_stdlib(uncaught=True):
        sys.excepthook(kind, kind(), None)
        given = threading.ExceptHookArgs((kind, kind(), None, None))
        threading.excepthook(given)
    assert written.bytes() == b""
    assert len(hooks) == 2


def test_what_a_hook_is_given_may_be_anything(logs, hooks, written):
    with logs.capture_stdlib(uncaught=True):
        sys.excepthook(None, None, None)
        threading.excepthook(threading.ExceptHookArgs((ValueError, None, None, None)))
    assert [it["exception.type"] for it in written.lines()] == ["ValueError"]
    assert len(hooks) == 2


def test_hooks_of_others_stay_when_it_is_closed(logs, hooks):
    capture = logs.capture_stdlib(uncaught=True)
    sys.excepthook = mine = lambda *given: None
    capture.close()
    assert sys.excepthook is mine
    assert threading.excepthook.__name__ == "<lambda>"


CODE = """
from obs.logs import Logs, Route
logs = Logs("shop", log_format="json", routes=[{routes}])
logs.capture_stdlib(uncaught=True)
{more}
raise ValueError("no")
"""


def test_what_stderr_shows_already_the_interpreter_does_not_print():
    done = run(CODE.format(routes="", more=""))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("{")
    assert "ValueError" in line


def test_what_goes_elsewhere_the_interpreter_prints_too(tmp_path):
    done = run(CODE.format(routes=f"Route({str(tmp_path / 'log')!r})", more=""))
    assert done.stderr.splitlines()[-1] == "ValueError: no"
    assert '"exception.type":"ValueError"' in (tmp_path / "log").read_text()


def test_what_is_not_logged_the_interpreter_prints():
    more = "logs.set_level('obs.*', 'off')"
    done = run(CODE.format(routes="", more=more))
    assert done.stderr.splitlines()[-1] == "ValueError: no"


def test_warnings_become_records(logs, written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logs.capture_stdlib(warnings=True):
            warnings.warn("old\nthing", DeprecationWarning, stacklevel=1)
    found = written.line()
    line = found.pop("code.line.number")
    del found["time"]
    assert found == {
        "level": "warning", "event": "old\nthing", "logger": "py.warnings",
        "warning.category": "DeprecationWarning", "code.file.path": __file__,
    }  # fmt: skip
    assert line > 0


def test_two_may_be_closed_in_any_order(make, written, hooks, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", lambda *given: hooks.append(given))
    first, second = [make().capture_stdlib(warnings=True, uncaught=True) for _ in "ab"]
    first.close()
    warnings.showwarning("x", UserWarning, "f.py", 1)
    sys.excepthook(ValueError, ValueError("no"), None)
    assert len(written.lines()) == 2
    second.close()
    hooks.clear()
    warnings.showwarning("x", UserWarning, "f.py", 1)
    sys.excepthook(ValueError, ValueError("no"), None)
    assert written.bytes() == b""
    assert len(hooks) == 2


def test_warnings_for_a_file_go_there(logs, written, monkeypatch):
    shown, file = [], io.StringIO()
    monkeypatch.setattr(warnings, "showwarning", lambda *given: shown.append(given))
    with logs.capture_stdlib(warnings=True):
        warnings.showwarning("x", UserWarning, "f.py", 1, file)
    assert shown == [("x", UserWarning, "f.py", 1, file, None)]
    assert written.bytes() == b""


def test_warnings_that_are_not_made_are_shown_as_before(logs, written, monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda *given: shown.append(given))
    logs.set_level("py.warnings", "error")
    with logs.capture_stdlib(warnings=True):
        warnings.showwarning(UserWarning("x"), UserWarning, "f.py", 1)
    assert (len(shown), written.bytes()) == (1, b"")


def test_anothers_showwarning_stays_when_it_is_closed(logs, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    capture = logs.capture_stdlib(warnings=True)
    warnings.showwarning = mine = lambda *given: None
    capture.close()
    assert warnings.showwarning is mine


def test_without_the_options_nothing_is_replaced():
    before = sys.excepthook, threading.excepthook, warnings.showwarning
    with Logs().capture_stdlib():
        assert (sys.excepthook, threading.excepthook, warnings.showwarning) == before
