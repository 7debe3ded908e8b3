"""The contract of push exporters, over both protocols."""

import socket
import threading

from obs.testing.contract import (
    ExporterContract,
    Histogram,
    Log,
    Number,
    Rig,
    Span,
)
from obs_exporters import OTLPExporter
from obs_exporters.otlp._grpc import _METHODS
from tests.exporters.otlp.grpc_backend import Backend
from tests.exporters.otlp.oracle import (
    ExportLogsServiceRequest,
    ExportMetricsServiceRequest,
    ExportTraceServiceRequest,
    pairs,
    points_of,
)
from tests.faults.sink import Sink


def spans_in(body):
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                ids = span.trace_id, span.span_id, span.parent_span_id
                yield Span(*[each.hex() for each in ids], span.name)


def logs_in(body):
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Log(record.body.string_value, dict(pairs(record.attributes)))


def points_in(body):
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in points_of(metric):
                    yield arrived(metric, point)


def arrived(metric, point):
    labels = dict(pairs(point.attributes))
    if metric.WhichOneof("data") != "histogram":
        value = getattr(point, point.WhichOneof("value"))
        return Number(metric.name, labels, value)
    bounds, buckets = tuple(point.explicit_bounds), tuple(point.bucket_counts)
    return Histogram(metric.name, labels, point.count, point.sum, bounds, buckets)


READERS = {"traces": spans_in, "logs": logs_in, "metrics": points_in}


class TestHttp(ExporterContract):
    temporality = "cumulative"

    def make(self):
        sink = Sink().__enter__()

        def received():
            return [
                each
                for request in list(sink.requests)
                for each in READERS[request.path.rpartition("/")[2]](request.body)
            ]

        modes = {
            "refuse": "refuse",
            "silent": "never_answer",
            "close": "reset_before_answer",
            "garbage": "garbage",
        }
        return Rig(
            build=lambda: OTLPExporter(sink.url, temporality=self.temporality),
            received=received,
            close=lambda: sink.__exit__(None, None, None),
            break_backend=lambda mode: setattr(sink, "mode", modes[mode]),
        )


class TestDeltas(TestHttp):
    temporality = "delta"


def answering(port, data):
    """Accept what comes to a port, answer this, and hang up, until it is closed."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener


class TestGrpc(ExporterContract):
    def make(self):
        backend = Backend().__enter__()
        free = threading.Event()
        listeners = []
        signals = {method: signal for signal, method in _METHODS.items()}

        def received():
            return [
                each
                for call in list(backend.calls)
                for each in READERS[signals[call.method]](call.body)
            ]

        def silent(call, context):
            free.wait(30)
            return b""

        def break_backend(mode):
            if mode == "silent":
                backend.answer = silent
                return
            backend.stop()
            if mode != "refuse":
                data = b"" if mode == "close" else b"HTTP/1.1 200 OK\r\n\r\nhello"
                listeners.append(answering(backend.port, data))

        def close():
            free.set()
            backend.stop()
            for listener in listeners:
                listener.shutdown(socket.SHUT_RDWR)
                listener.close()

        return Rig(
            build=lambda: OTLPExporter(backend.url, protocol="grpc"),
            received=received,
            close=close,
            break_backend=break_backend,
        )
