"""Watches what a thread opens, and how long a call takes."""

import builtins
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any
from unittest import mock

GRACE = 0.5
"""Seconds past a deadline that a busy machine is granted."""

_OPENING: tuple[tuple[Any, str, str], ...] = (
    (socket.socket, "__init__", "a socket"),
    (socket, "getaddrinfo", "a look-up of an address"),
    (os, "open", "a file"),
    (builtins, "open", "a file"),
    (threading.Thread, "start", "a thread"),
    (subprocess.Popen, "__init__", "a process"),
)


@contextmanager
def watch_opening() -> Iterator[list[str]]:
    """Give a list that names what this thread opens in the block; others may go on."""
    opened: list[str] = []
    me = threading.get_ident()

    def noting(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == me:
                opened.append(what)
            return original(*args, **kwargs)

        return call

    with ExitStack() as stack:
        for owner, name, what in _OPENING:
            noted = noting(what, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, noted))
        yield opened


class Outcome:
    """How a call ended.

    Attributes:
        result: What it returned.
        error: What it raised, or None.
        is_late: Whether it had not ended in time; it may still run.
    """

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_late = True


def call_until(deadline: float, function: Callable[[], Any]) -> Outcome:
    """Call a function on a thread of its own and wait for it.

    Args:
        deadline: Until when, by ``time.monotonic()``; half a second more is granted.
        function: What to call.
    """
    outcome = Outcome()

    def run() -> None:
        try:
            outcome.result = function()
        except BaseException as error:  # noqa: BLE001 - it is the finding
            outcome.error = error
        outcome.is_late = False

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - monotonic()) + GRACE)
    return outcome
