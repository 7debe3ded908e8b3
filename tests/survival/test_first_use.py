"""A recording call imports nothing: a module's import lock is a lock like any other.

Whoever re-enters an import on the same thread gets half a module; a child forked during
another thread's import waits for ever.
"""

import builtins
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.survival.calls import CALLS, Subject, World
from tests.survival.processes import SECONDS, in_fresh


def imports() -> Iterator[list[str]]:
    """Yield each call with the modules that it imports, from functions of the package."""
    world = World(Subject("slots"), CALLS.values())
    import_module = builtins.__import__
    imported: set[str] = set()

    def note(name: str, globals: Any = None, *args: Any, **kwargs: Any) -> Any:
        if globals and str(globals.get("__name__")).partition(".")[0] == "obs":
            imported.add(name)
        return import_module(name, globals, *args, **kwargs)

    for call in CALLS:
        imported.clear()
        builtins.__import__ = note
        try:
            world.make(call)
        finally:
            builtins.__import__ = import_module
        yield [call, *sorted(imported)]


READING = {"read.process": ["psutil", "resource"]}
"""Not a recording: what is imported when the process is read."""


def test_no_recording_call_imports() -> None:
    found = {call: modules for call, *modules in in_fresh(f"{__name__}:imports")}
    assert found.keys() == CALLS.keys()
    assert {c: m for c, m in found.items() if m and m != READING.get(c)} == {}


FIRST_RECORDS = """
import os, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))  # None: not installed
from obs import Obs
from obs.logs import Route
from obs.model import Delivery
from obs.testing import MemoryExporter

def form(record):
    return 1  # no line: it goes as JSON

format = form if sys.argv[1] == "a function" else sys.argv[1]

class Push:
    name, signals, delivery = "push", frozenset({"logs"}), Delivery()
    def encode(self, batch):
        return []
    def send(self, payload, deadline):
        pass
    def close(self, deadline):
        pass

to_exporter = format == "an exporter"
route = Route(Push()) if to_exporter else Route(os.devnull, format=format)
def instance(**more):
    return Obs("first", routes=[route], runtime=False, **more)

class Odd:
    def __repr__(self):
        return "Bearer abcdefghijklmnopqrstuvwxyz"

plain = instance()
log = plain.logger("first")

def fails():
    1 + "text"

if not sys.argv[2:]:  # a listener and a decorator have loaded more
    tel = instance(exporters=[MemoryExporter()])
    tel.start()
    fails = tel.operation()(fails)

def record():
    log.info("list %s", "a", values=[1, {"a": 2.5}], none=None, odd=Odd(), é="\x1b")
    log.info("secret", url="postgres://a:b@c/d?token=e", card="4111 1111 1111 1111")
    log.info("Bearer abcdefghijklmnopqrstuvwxyz", password="text", size=1 << 70)
    log.info("place", caller=True, stack_info=True)
    log.info("fields", **{"a b": 1, "event": 2, "level": 3, "": 4})
    for call in (fails, lambda: compile("a b", "no file", "exec"), lambda: [][1]):
        try:
            call()
        except Exception as error:
            log.exception("failed")
            try:
                raise ExceptionGroup("all", [error]) from error
            except ExceptionGroup:
                log.exception("failed together")

before = set(sys.modules)
record()
print(*sorted(set(sys.modules) - before))
"""
"""Makes records of each kind, and prints which modules that has loaded."""


FORMATS = ["json", "logfmt", "terminal", "a function", "an exporter"]


@pytest.mark.parametrize("missing", [[], ["orjson"]], ids=["orjson", "no orjson"])
@pytest.mark.parametrize("format", FORMATS)
def test_the_first_records_load_no_module(
    format: str, missing: list[str], tmp_path: Path
) -> None:
    program = tmp_path / "program.py"  # a file: of its lines the stacks are made
    program.write_text(FIRST_RECORDS, encoding="utf-8")
    command = [sys.executable, str(program), format, *missing]
    result = subprocess.run(
        command, capture_output=True, timeout=SECONDS, check=False, text=True
    )
    assert (result.stdout.strip(), result.returncode) == ("", 0), result.stderr


PROGRAM = """
import os, signal, sys, threading
from importlib.machinery import PathFinder
from obs.metrics import Registry

counter = Registry().counter("orders")
other = Registry().counter("orders")

def re_enter():
    other.inc("text")

def fork():
    pid = []
    def on_another_thread():
        pid.append(os.fork())
        if not pid[0]:
            signal.alarm(5)  # ends it if it hangs
            other.inc("text")
            os._exit(0)
    thread = threading.Thread(target=on_another_thread)
    thread.start()
    thread.join()
    _, status = os.waitpid(pid[0], 0)
    assert status == 0, f"the child ended with {status}"

class Finder:
    def find_spec(self, name, path=None, target=None):
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module
        def exec_module(module):
            {action}()
            execute(module)
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
counter.inc("text")
"""
"""Makes a first bad call; if that imports, something comes in the middle of it."""


@pytest.mark.parametrize("action", ["re_enter", "fork"])
def test_a_first_bad_call_may_be_re_entered_and_forked(action: str) -> None:
    program = PROGRAM.replace("{action}", action)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    result = subprocess.run(
        command, capture_output=True, timeout=SECONDS, check=False, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


INTERRUPTED = """
import sys
from obs.encoding import dumper

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            raise TimeoutError  # as a signal handler does

sys.meta_path.insert(0, Finder())
try:
    dumper()
except TimeoutError:
    print("interrupted")
import orjson
assert dumper()[0] is orjson.dumps
"""


@pytest.mark.parametrize("module", ["dataclasses", "json", "uuid", "orjson"])
def test_loading_orjson_may_be_interrupted(module: str) -> None:
    """Its own code in C ends the process if that happens while it imports."""
    command = [sys.executable, "-S", "-c", INTERRUPTED, module]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(
        command, capture_output=True, timeout=SECONDS, check=False, text=True, env=env
    )
    assert (result.stdout, result.returncode) == ("interrupted\n", 0), result.stderr
