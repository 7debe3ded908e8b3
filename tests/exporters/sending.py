"""Sending to servers that answer nothing: until it arrives, or until it fails."""

import time

import pytest

from obs.errors import ExportFailed
from obs_exporters import _transport


def send(exporter, batch, seconds=5.0):
    """Send a batch; give how many of its records were accepted."""
    accepted = 0
    for payload in exporter.encode(batch):
        accepted += exporter.send(payload, time.monotonic() + seconds).accepted
    return accepted


def failure(exporter, batch, seconds=0.5):
    """Send until it fails; give the exception and the payload."""
    payload, *_ = exporter.encode(batch)
    for _ in range(2_000):
        try:
            # By the transport's clock, which a test may have set.
            exporter.send(payload, _transport.monotonic() + seconds)
        except ExportFailed as error:
            return error, payload
    pytest.fail("nothing failed")


def eventually(holds):
    """Wait until something holds."""
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
