"""The one at-fork hook."""

import os

import pytest

from obs import _fork

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_all_living_things_are_reached_though_one_fails():
    reached = []

    class Thing:
        def __init__(self, name):
            self.name = name

        def after_fork_in_child(self):
            if self.name == "bad":
                raise RuntimeError
            reached.append(self.name)

    things = [Thing(name) for name in ("a", "bad", "b", "gone")]
    for thing in things:
        _fork.on_fork(thing)
    del thing, things[3]
    with pytest.raises(ExceptionGroup):
        _fork._in_child()
    assert reached == ["a", "b"]
