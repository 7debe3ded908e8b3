"""The one at-fork hook of the package: it reaches living objects weakly."""

import itertools
import os
from threading import get_ident  # noqa: F401 - its own hook comes before this one
from typing import Protocol
from weakref import WeakValueDictionary


class Forkable(Protocol):
    """Something that must change in a forked child."""

    def after_fork_in_child(self) -> None:
        """Put the state of a fresh process in place; called on the child's thread."""


_living: WeakValueDictionary[int, Forkable] = WeakValueDictionary()
_numbers = itertools.count()


def on_fork(thing: Forkable) -> None:
    """Have ``thing.after_fork_in_child()`` called in forked children while it lives.

    What came first is called first: lanes, which may start threads, behind the registry
    that those read.
    """
    _living[next(_numbers)] = thing


def _in_child() -> None:
    errors = []
    for thing in list(_living.values()):
        try:
            thing.after_fork_in_child()
        except Exception as error:  # noqa: BLE001 - the others shall be reached, too
            errors.append(error)
    if errors:  # shown by sys.unraisablehook
        text = "after a fork"
        raise ExceptionGroup(text, errors)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
