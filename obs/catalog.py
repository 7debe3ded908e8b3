"""Every built-in metric as data: its name, kind, unit, labels, and its classical names.

The one place where such a name is written; exporters and dashboards read it here.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from obs.model import Kind, MetricFamily

DEFAULT_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
"""Bounds for durations in seconds.

Source: OpenTelemetry semantic conventions 1.44, "http.server.request.duration".
"""

_PAUSE_SECONDS = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip


class Builtin(NamedTuple):
    """One built-in metric.

    Attributes:
        name: The internal name, which is OTLP's too unless ``otlp`` says otherwise.
        kind: What it is.
        unit: A UCUM unit.
        help: What it measures.
        labels: Its label names.
        prometheus: The family's classical name in Prometheus where it is not the one that
            ``obs.naming`` makes; ``-`` for a metric that is not on the page.
        prometheus_labels: The same for label names.
        otlp: The name under OTLP, where it is another.
        bounds: A histogram's upper bounds.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    prometheus: str = ""
    prometheus_labels: Mapping[str, str] = {}
    otlp: str = ""
    bounds: tuple[float, ...] = DEFAULT_SECONDS

    def definition(self) -> MetricFamily:
        """Give the family with one block that has no rows."""
        return self.family({})

    def family(self, values: float | Mapping[tuple[str, ...], float]) -> MetricFamily:
        """Give a family of one number, or of numbers by label values."""
        return MetricFamily.of(
            self.name,
            self.kind,
            values,
            label_names=self.labels,
            unit=self.unit,
            help=self.help,
        )


_OPERATION = ("operation", "outcome", "error_type")
_GENERATION = ("cpython.gc.generation",)
_GENERATION_NAMES = {"cpython.gc.generation": "generation"}
_DELIVERY = ("signal", "exporter")

_ALL = (
    # Decorated calls
    Builtin(
        "operation.duration",
        "histogram",
        "s",
        "How long decorated calls took, by how they ended.",
        _OPERATION,
    ),
    Builtin(
        "operation.in_flight",
        "updown",
        "",
        "Decorated calls that are running.",
        ("operation",),
    ),
    # HTTP, pipelines, objectives, logs
    Builtin(
        "http.server.request.duration",
        "histogram",
        "s",
        "How long HTTP requests took.",
        (
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "error.type",
        ),
    ),
    Builtin(
        "pipeline.stage.duration",
        "histogram",
        "s",
        "How long the stages of a pipeline took.",
        ("pipeline", "stage"),
    ),
    Builtin("queue.depth", "gauge", "", "Items that wait in a queue.", ("queue",)),
    Builtin(
        "queue.wait.duration",
        "histogram",
        "s",
        "How long items waited in a queue.",
        ("queue",),
    ),
    Builtin(
        "slo.objective",
        "gauge",
        "1",
        "The share of events that shall be good.",
        ("slo",),
    ),
    Builtin(
        "slo.events",
        "counter",
        "",
        "Events that count for an objective.",
        ("slo", "outcome"),
    ),
    Builtin("log.records", "counter", "", "Log records.", ("level", "logger")),
    # The process; in the words of Prometheus's own clients, as whoever puts two pages
    # together (node_exporter) drops series of one name with another text.
    Builtin(
        "process.cpu.time",
        "counter",
        "s",
        "Total user and system CPU time spent in seconds.",
        prometheus="process_cpu_seconds",
    ),
    Builtin(
        "process.memory.usage",
        "updown",
        "By",
        "Resident memory size in bytes.",
        prometheus="process_resident_memory_bytes",
    ),
    Builtin(
        "process.memory.virtual",
        "updown",
        "By",
        "Virtual memory size in bytes.",
        prometheus="process_virtual_memory_bytes",
    ),
    Builtin(
        "process.unix.file_descriptor.count",
        "updown",
        "{file_descriptor}",
        "Number of open file descriptors.",
        prometheus="process_open_fds",
    ),
    Builtin(
        "process.unix.file_descriptor.limit",
        "updown",
        "{file_descriptor}",
        "Maximum number of open file descriptors.",
        prometheus="process_max_fds",
    ),
    Builtin(
        "process.thread.count",
        "updown",
        "{thread}",
        "Threads of the process.",
        prometheus="process_threads",
    ),
    Builtin(
        "process.start_time",
        "gauge",
        "s",
        "Start time of the process since unix epoch in seconds.",
    ),
    Builtin(
        "process.uptime",
        "gauge",
        "s",
        "For how long the process has been running.",
        prometheus="-",
    ),
    # The interpreter
    Builtin(
        "cpython.gc.collections",
        "counter",
        "{collection}",
        "Runs of the garbage collector.",
        _GENERATION,
        prometheus="python_gc_collections",
        prometheus_labels=_GENERATION_NAMES,
    ),
    Builtin(
        "cpython.gc.collected_objects",
        "counter",
        "{object}",
        "Objects that the garbage collector freed.",
        _GENERATION,
        prometheus="python_gc_objects_collected",
        prometheus_labels=_GENERATION_NAMES,
    ),
    Builtin(
        "cpython.gc.uncollectable_objects",
        "counter",
        "{object}",
        "Objects that the garbage collector could not free.",
        _GENERATION,
        prometheus="python_gc_objects_uncollectable",
        prometheus_labels=_GENERATION_NAMES,
    ),
    Builtin(
        "cpython.gc.pause.duration",
        "histogram",
        "s",
        "For how long the garbage collector stopped the interpreter.",
        _GENERATION,
        prometheus="python_gc_pause_seconds",
        prometheus_labels=_GENERATION_NAMES,
        bounds=_PAUSE_SECONDS,
    ),
    Builtin(
        "python.info",
        "info",
        "",
        "The Python interpreter.",
        ("implementation", "major", "minor", "patchlevel", "version"),
    ),
    Builtin("asyncio.loop.lag", "histogram", "s", "How late the event loop wakes up."),
    Builtin("asyncio.tasks", "gauge", "", "Tasks of the event loop."),
    # What obs says about itself
    Builtin("obs.produced", "counter", "", "Records that were made.", ("signal",)),
    Builtin(
        "obs.dropped",
        "counter",
        "",
        "Records and measurements that were left out, by reason.",
        (*_DELIVERY, "reason"),
    ),
    Builtin(
        "obs.truncated",
        "counter",
        "",
        "Values that were cut, and series that became one with another.",
        ("signal",),
    ),
    Builtin(
        "obs.exported",
        "counter",
        "",
        "Records that a backend acknowledged.",
        _DELIVERY,
    ),
    Builtin(
        "obs.rejected",
        "counter",
        "",
        "Records that a backend refused, by reason.",
        (*_DELIVERY, "reason"),
    ),
    Builtin(
        "obs.unknown",
        "counter",
        "",
        "Records that were sent and never answered.",
        _DELIVERY,
    ),
    Builtin(
        "obs.export.duration",
        "histogram",
        "s",
        "How long one export took.",
        _DELIVERY,
        otlp="otel.sdk.exporter.operation.duration",
    ),
    Builtin("obs.queue.size", "gauge", "", "Records that wait.", _DELIVERY),
    Builtin("obs.queue.capacity", "gauge", "", "Records that may wait.", _DELIVERY),
    Builtin(
        "obs.spool.bytes", "gauge", "By", "Bytes on disk that wait.", ("exporter",)
    ),
    Builtin("obs.series", "gauge", "", "Series in the registry."),
)

CATALOG: Mapping[str, Builtin] = {builtin.name: builtin for builtin in _ALL}
"""The built-in metrics by their internal names."""


def definitions(names: Iterable[str]) -> list[MetricFamily]:
    """Give the families of some built-in metrics, without rows."""
    return [CATALOG[name].definition() for name in names]
