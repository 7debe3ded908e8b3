"""Processes with a deadline: a fresh interpreter, and forks inside it.

What these tests try may hang, so none of it happens in the process of the test runner:
a fresh interpreter has no other test's threads, hooks or modules, and forks fast.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, NamedTuple, NoReturn

SECONDS = 20.0
"""How long a step may take that takes milliseconds: only what hangs gets there."""
HANGS = "hangs"


class Ended(Exception):
    """A process hung, died or raised; the text says which."""


class Fork:
    """A fork of this process; both go on behind the constructor."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns where there are threads, which is what is tried here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        self.is_child = self.pid == 0
        os.close(self._read if self.is_child else self._write)

    def answer(self, work: Callable[[], Any]) -> NoReturn:
        """In the child: give ``work()`` to the parent and end."""
        try:
            try:
                answer = (work(), "")
            except BaseException:
                answer = (None, traceback.format_exc())
            with open(self._write, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)

    def result(self, seconds: float = SECONDS) -> Any:
        """In the parent: give the child's answer.

        Raises:
            Ended: There is none in time, or the child raised.
        """
        deadline = time.monotonic() + seconds
        data = b""
        try:
            while True:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([self._read], [], [], left)[0]:
                    os.kill(self.pid, signal.SIGKILL)
                    raise Ended(HANGS)
                part = os.read(self._read, 65536)
                if not part:
                    break
                data += part
        finally:
            os.close(self._read)
            _, status = os.waitpid(self.pid, 0)
        if status or not data:
            raise Ended(f"died with wait status {status}")
        answer, raised = pickle.loads(data)
        if raised:
            raise Ended(raised)
        return answer


class Fresh:
    """A fresh interpreter that runs one function; what the function yields are lines.

    Args:
        target: ``module:function``; yields, or gives, what JSON can hold.
        args: Its arguments; what JSON can hold.
    """

    def __init__(self, target: str, *args: Any) -> None:
        # Closed by kill().
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._args: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._args.write(json.dumps(args).encode())
        self._args.seek(0)
        self._rest = b""
        program = f"from {__name__} import _main; _main()"
        warned = [f"-W{option}" for option in sys.warnoptions]
        self._process = subprocess.Popen(
            [sys.executable, *warned, "-c", program, target],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=self._args,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout

    def fileno(self) -> int:
        """What becomes readable when there are lines."""
        return self._stdout.fileno()

    def lines(self) -> list[Any] | None:
        """Give what has come, waiting for it; None at the end.

        Raises:
            Ended: The interpreter died or the function raised.
        """
        data = os.read(self._stdout.fileno(), 1 << 16)
        if not data:
            if self._process.wait():
                raise Ended(self.said())
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        return self._process.wait()

    def said(self) -> str:
        """Give how it ended, and the end of what it wrote to stderr."""
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        return f"ended with {self._process.returncode}:\n{text[-4000:]}"

    def kill(self) -> None:
        """End it and all that it forked."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._stdout.close()
        self._stderr.close()
        self._args.close()


def in_fresh(target: str, *args: Any, idle: float = SECONDS) -> Iterator[Any]:
    """Give what ``target`` yields in a fresh interpreter, as it comes.

    Raises:
        Ended: It yielded nothing for ``idle`` seconds (at first it may take longer),
            died or raised.
    """
    process = Fresh(target, *args)
    patience = max(idle, SECONDS)
    try:
        while True:
            if not select.select([process], [], [], patience)[0]:
                process.kill()
                raise Ended(HANGS)
            lines = process.lines()
            if lines is None:
                return
            yield from lines
            patience = idle
    finally:
        process.kill()


class Whole(NamedTuple):
    """All that a fresh interpreter did.

    Attributes:
        lines: What its function gave.
        seconds: How long it lived after the last of them.
        stderr: What it wrote there.
        code: Its exit code.
    """

    lines: list[Any]
    seconds: float
    stderr: str
    code: int


def to_the_end(target: str, *args: Any) -> Whole:
    """Run ``target`` in a fresh interpreter to its end, whatever that is.

    Raises:
        Ended: It hangs.
    """
    process = Fresh(target, *args)
    lines: list[Any] = []
    last = time.monotonic()
    try:
        while select.select([process], [], [], SECONDS)[0]:
            try:
                came = process.lines()
            except Ended:
                came = None
            if came is None:
                code, seconds = process.wait(), time.monotonic() - last
                _, _, stderr = process.said().partition("\n")
                return Whole(lines, seconds, stderr, code)
            lines += came
            last = time.monotonic()
        raise Ended(HANGS)
    finally:
        process.kill()


def _main() -> None:
    target, args = sys.argv[1], json.load(sys.stdin)
    # The lines have descriptor 1 for themselves, whatever else prints.
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)
        module, name = target.split(":")
        for item in getattr(importlib.import_module(module), name)(*args):
            out.write(json.dumps(item) + "\n")
