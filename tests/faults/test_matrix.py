"""The fault matrix: whatever a backend does, the books balance and tell the truth."""

import socket
from contextlib import ExitStack, contextmanager
from time import monotonic

import pytest

from obs import Obs
from obs_exporters import OTLPExporter
from tests.faults import table
from tests.faults.backends import ByScript, Official, OtlpGrpc, OtlpHttp, Zipkin
from tests.faults.cells import GRACE, Pace
from tests.faults.lanes import impatient
from tests.faults.table import FOUR, GRPC, MODES, SCRIPTED, cells


@pytest.fixture(scope="module")
def played(request):
    """With waits of a hundredth: what is tried here is the order of things."""
    with pytest.MonkeyPatch.context() as patched:
        impatient(patched)
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


@contextmanager
def unreachable():
    """A port whose connections are never made: its queue is full, packets are dropped."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_flush_and_close_keep_their_time_where_no_connection_is_ever_made(protocol):
    with unreachable() as url:
        exporter = OTLPExporter(url, protocol=protocol, timeout=0.25, signals="traces")
        tel = Obs("t", exporters=[exporter], runtime=False)
        tel.start()
        for _ in range(20):
            tel.span("s").end()
        start = monotonic()
        result = tel.flush(1.0)
        assert monotonic() - start < 1.0 + GRACE
        assert (result.delivered, result.pending, result.lost) == (0, 20, 0)
        start = monotonic()
        result = tel.close(0.5)
        assert monotonic() - start < 0.5 + GRACE
        assert (result.delivered, result.pending, result.lost) == (0, 0, 20)
