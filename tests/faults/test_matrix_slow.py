"""The fault matrix at its real pace: nothing is patched, and each fault has its time."""

import pytest

from tests.faults import table
from tests.faults.backends import Official, OtlpGrpc, OtlpHttp, Zipkin
from tests.faults.cells import RETRIED, Fate, Pace
from tests.faults.table import FOUR, GRPC, MODES, cells

SLOW = Pace(timeout=10.0, interval=10.0, fault=12.0, patience=90.0, holds=60.0)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def played(request):
    with table.played(request, SLOW, 40) as cells:
        yield cells


HTTP = MODES | {
    "503:7": Fate(wait=7.0),
    "429:7": Fate(wait=7.0),
    "drip_body": RETRIED,  # its status counts only when the timeout is over
}


@cells(OtlpHttp, modes=HTTP)
def test_otlp_over_http(cell, played):
    played[cell].result()


@cells(Zipkin, Official, modes=FOUR)
def test_the_other_exporters_over_http(cell, played):
    played[cell].result()


@cells(OtlpGrpc, modes=GRPC)
def test_otlp_over_grpc(cell, played):
    played[cell].result()
