"""The fault matrix: whatever a backend does, the books balance and tell the truth."""

import pytest

from obs.delivery import _backoff, _lanes
from tests.faults import table
from tests.faults.backends import ByScript, Official, OtlpGrpc, OtlpHttp, Zipkin
from tests.faults.cells import Pace
from tests.faults.table import FOUR, GRPC, MODES, SCRIPTED, cells


@pytest.fixture(scope="module")
def played(request):
    """With waits of a hundredth: what is tried here is the order of things."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_lanes, "TICK", 0.02)
        patched.setattr(_backoff, "FIRST", 0.03)
        patched.setattr(_backoff, "MOST", 0.1)
        with table.played(request, Pace(), 8) as cells:
            yield cells


@cells(OtlpHttp, modes=MODES)
def test_otlp_over_http(cell, played):
    played[cell].result()


@cells(Zipkin, Official, modes=FOUR)
def test_the_other_exporters_over_http(cell, played):
    played[cell].result()


@cells(OtlpGrpc, modes=GRPC)
def test_otlp_over_grpc(cell, played):
    played[cell].result()


@cells(ByScript, modes=SCRIPTED)
def test_an_exporter_without_a_network(cell, played):
    played[cell].result()
