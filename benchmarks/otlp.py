"""OTLP: spans, log records and points into the bytes of a request.

Each case encodes a whole batch, ours by ``encode``, the peer's by the encoders of its
exporters and ``SerializeToString``; the table has what one span, record or point takes.
"""

from collections.abc import Iterator, Sequence

from benchmarks._harness import (
    OBS,
    OPENTELEMETRY,
    Case,
    Figure,
    Report,
    compare,
    gather,
    measure,
)
from benchmarks._peers import BOUNDS, LABELS
from obs.model import (
    Batch,
    Block,
    LogRecord,
    MetricFamily,
    Payload,
    Resource,
    SpanRecord,
    TraceContext,
)
from obs_exporters import OTLPExporter

SPAN = "finished span, 3 attributes"
LOG = "log record, 3 fields"
NUMBER = "number point, 3 labels"
HISTOGRAM = "histogram point, 15 bounds, 3 labels"
FIRST = "number point, 3 labels, first batch"
SIZES = {SPAN: 512, LOG: 512, NUMBER: 2_000, FIRST: 2_000, HISTOGRAM: 500}
GOALS = {
    SPAN: {OPENTELEMETRY: 5},
    NUMBER: {OPENTELEMETRY: 15},
    HISTOGRAM: {OPENTELEMETRY: 10},
}
START_NS = 1_795_255_801_663_776_865
TIME_NS = START_NS + 10_000_000_000


def run(*, quick: bool) -> Report:
    """Encode batches of both libraries, interleaved."""
    report = Report()
    cases = gather(_obs, _opentelemetry, report=report)
    figures = measure(cases, rounds=10 if quick else 60)
    report.figures = [_of_one(figure) for figure in figures]
    title = "Encoding for OTLP, of one"
    report.tables = [
        compare(title, report.figures, GOALS, peers=(OPENTELEMETRY,)),
    ]
    report.notes += [
        f"batches of {', '.join(f'{n:,} ({what})' for what, n in SIZES.items())}",
        "labels of ours are kept from the batch before; in a first batch there is none",
        *_checked(cases),
    ]
    return report


def _of_one(figure: Figure) -> Figure:
    figure.value /= SIZES[figure.operation]
    figure.median = (figure.median or 0.0) / SIZES[figure.operation]
    return figure


def _attributes(index: int) -> dict[str, object]:
    return {"psp.name": "stripe", "attempts": index, "amount": 12.5}


def _row(index: int) -> tuple[str, str, str]:
    return "GET", f"/api/v1/items/{index}", "200"


def _counts(index: int) -> list[int]:
    return [(index * bucket) % 97 for bucket in range(len(BOUNDS) + 1)]


def _batches() -> dict[str, Batch]:
    resource = Resource({"service.name": "benchmarks", "service.version": "1"})

    def metrics(operation: str, kind: str, unit: str) -> Batch:
        n = SIZES[operation]
        is_histogram = kind == "histogram"
        rows = [_row(index) for index in range(n)]
        values = [index + 0.5 for index in range(n)]
        counts = [_counts(index) for index in range(n)] if is_histogram else ()
        block = Block(LABELS, rows, values, counts, START_NS)
        bounds = BOUNDS if is_histogram else ()
        family = MetricFamily("orders", kind, unit, "What it is.", [block], bounds)
        return Batch("metrics", resource, families=[family], time_ns=TIME_NS)

    spans = [
        SpanRecord(
            "charge",
            TraceContext(START_NS << 32, START_NS + index, sampled=True),
            parent=7,
            start_ns=START_NS,
            end_ns=TIME_NS,
            attributes=_attributes(index),
        )
        for index in range(SIZES[SPAN])
    ]
    logs = [
        LogRecord(TIME_NS, "info", "charged", "shop", 5, 7, _attributes(index))
        for index in range(SIZES[LOG])
    ]
    return {
        SPAN: Batch("traces", resource, records=spans),
        LOG: Batch("logs", resource, records=logs),
        NUMBER: metrics(NUMBER, "counter", "{order}"),
        FIRST: metrics(FIRST, "counter", "{order}"),
        HISTOGRAM: metrics(HISTOGRAM, "histogram", "s"),
    }


def _obs() -> Iterator[Case]:
    def first(batch: Batch) -> list[Payload]:
        return list(OTLPExporter("http://127.0.0.1:4318").encode(batch))

    for operation, batch in _batches().items():
        exporter = OTLPExporter("http://127.0.0.1:4318")
        encode = first if operation == FIRST else exporter.encode
        objects = {"encode": encode, "batch": batch}
        yield Case(operation, OBS, "list(encode(batch))", objects)


def _opentelemetry() -> Iterator[Case]:
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    statement = "encode(batch).SerializeToString()"
    for operation, encode, batch in (
        (SPAN, encode_spans, _their_spans()),
        (LOG, encode_logs, _their_logs()),
        (NUMBER, encode_metrics, _their_metrics(NUMBER)),
        (FIRST, encode_metrics, _their_metrics(NUMBER)),
        (HISTOGRAM, encode_metrics, _their_metrics(HISTOGRAM)),
    ):
        objects = {"encode": encode, "batch": batch}
        yield Case(operation, OPENTELEMETRY, statement, objects)


def _their_spans() -> Sequence[object]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("benchmarks")
    with tracer.start_as_current_span("root"):
        for index in range(SIZES[SPAN]):
            tracer.start_span("charge", attributes=_attributes(index)).end()
    return memory.get_finished_spans()[: SIZES[SPAN]]


def _their_logs() -> Sequence[object]:
    from opentelemetry._logs import LogRecord as TheirRecord
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import (
        InMemoryLogRecordExporter,
        SimpleLogRecordProcessor,
    )

    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("shop")
    for index in range(SIZES[LOG]):
        logger.emit(
            TheirRecord(
                timestamp=TIME_NS,
                severity_number=SeverityNumber.INFO,
                severity_text="info",
                body="charged",
                attributes=_attributes(index),
            )
        )
    return memory.get_finished_logs()


def _their_metrics(operation: str) -> object:
    from opentelemetry.sdk.metrics import Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

    view = View(
        instrument_type=Histogram,
        aggregation=ExplicitBucketHistogramAggregation(boundaries=BOUNDS),
    )
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader], views=[view]).get_meter("benchmarks")
    if operation == NUMBER:
        record = meter.create_counter("orders", "{order}", "What it is.").add
    else:
        record = meter.create_histogram("orders", "s", "What it is.").record
    for index in range(SIZES[operation]):
        record(index + 0.5, dict(zip(LABELS, _row(index), strict=True)))
    return reader.get_metrics_data()


def _checked(cases: Sequence[Case]) -> Iterator[str]:
    """Give a note for each of our requests, read with the generated classes."""
    try:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
        from opentelemetry.proto.collector.metrics.v1 import (
            metrics_service_pb2 as metrics,
        )
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
    except ImportError:
        return
    readers = {
        "traces": (traces.ExportTraceServiceRequest, " spans {"),
        "logs": (logs.ExportLogsServiceRequest, " log_records {"),
        "metrics": (metrics.ExportMetricsServiceRequest, " data_points {"),
    }
    for case in cases:
        if case.library == OBS:
            batch = case.objects["batch"]
            payloads = list(case.objects["encode"](batch))
            kind, word = readers[batch.signal]
            texts = [str(kind.FromString(payload.body)) for payload in payloads]
            found = sum(text.count(word) for text in texts)
            size = sum(len(payload.body) for payload in payloads)
            wanted = SIZES[case.operation]
            state = "checked" if found == wanted else f"**differs**: {found}"
            yield f"{state}: {wanted:,} of {case.operation} in {size:,} bytes"
