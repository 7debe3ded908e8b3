"""Lanes that try again soon, and calls that end in time."""

import time

from obs.delivery import _backoff, _lanes
from obs.limits import Limits
from obs.model import Resource

GRACE = 0.5
PATIENCE = 15.0


def impatient(monkeypatch):
    """Let lanes wait for hundredths of a second."""
    monkeypatch.setattr(_lanes, "TICK", 0.02)
    monkeypatch.setattr(_backoff, "FIRST", 0.03)
    monkeypatch.setattr(_backoff, "MOST", 0.1)


def make_lanes(registry, *intakes):
    """Give lanes without an exporter, which are not started yet."""
    return _lanes.Lanes(
        list(intakes),
        registry,
        lambda: Resource({"service.name": "s"}),
        registry.diag,
        Limits(),
        1.0,
    )


def timed(what, seconds):
    """Give what a function of a deadline gives, which comes in time."""
    begun = time.monotonic()
    result = what(begun + seconds)
    assert time.monotonic() - begun < seconds + GRACE
    return result
