"""Recording rules and alerts for Prometheus."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from obs.dashboards._metric import INSTANCE, SERVICE, builtin
from obs.dashboards._promql import JOB, UP, PromQL, family_name, quoted
from obs.dashboards._queries import But, Last, Quantile, Query, Rate, Ratio, Share, Sum
from obs.dashboards._service import FAILED
from obs.errors import DefinitionError, shown

Json: TypeAlias = dict[str, Any]

DEFAULT_OBJECTIVE = 1.0
"""Seconds of which 95 of 100 calls shall stay below."""
_STEP = "5m"
_BY = (SERVICE, "operation")
_EACH = (SERVICE, INSTANCE)
_DURATION = builtin("operation.duration")
_MEMORY = builtin("process.memory.usage")
_START = builtin("process.start_time")
_SERIES = builtin("obs.series")
_DROPPED = builtin("obs.dropped")
_REJECTED = builtin("obs.rejected")

_PREFIX = f"{JOB}_operation:{family_name(_DURATION)}"
RATE = f"{_PREFIX}_count:rate{_STEP}"
FAILED_RATIO = f"{_PREFIX}_failed:ratio_rate{_STEP}"
P95 = f"{_PREFIX}:p95_{_STEP}"


class Alert(NamedTuple):
    """An alert.

    Attributes:
        name: Its name.
        expr: When it is one.
        lasts: How long that has to hold.
        severity: ``critical`` or ``warning``.
        summary: What is wrong, as a template.
        runbook: What to look at, and what to do.
    """

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    runbook: str

    def rule(self) -> Json:
        """Give it as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook": self.runbook},
        }


def rules(service: str = "", latency_objective: float = DEFAULT_OBJECTIVE) -> Json:
    """Give recording rules and alerts, as a rules file of Prometheus has them.

    Args:
        service: For which job; for all if empty.
        latency_objective: Seconds that the 95th percentile of each operation shall not
            pass.

    Raises:
        DefinitionError: That is no number above 0, or one that no quantile reaches.
    """
    _check(latency_objective)
    promql = PromQL((f"{JOB}={quoted(service)}",) if service else (), _STEP, "1h")
    recorded: dict[str, Query] = {
        RATE: Rate(_DURATION, _BY),
        FAILED_RATIO: Share(_DURATION, FAILED, _BY),
        P95: Quantile(_DURATION, 0.95, _BY),
    }
    recording = [
        {"record": name, "expr": promql.write(query)}
        for name, query in recorded.items()
    ]
    alerts = [
        *_of_calls(promql, latency_objective),
        *_of_processes(promql),
        *_of_telemetry(promql, service),
    ]
    name = f"obs {service}".strip()
    return {
        "groups": [
            {"name": f"{name} recording", "rules": recording},
            {"name": f"{name} alerts", "rules": [alert.rule() for alert in alerts]},
        ]
    }


def _check(objective: object) -> None:
    # A quantile past the last bound is that bound: an alert above it would never fire.
    most = _DURATION.bounds[-1]
    if not isinstance(objective, int | float) or not 0 < objective < most:
        text = (
            f"dashboards: latency_objective got {shown(objective)}, needs a number of "
            f"seconds above 0 and below {most:g}, the last bound of {_DURATION.name}."
        )
        raise DefinitionError(text)


def _of_calls(promql: PromQL, objective: float) -> Iterator[Alert]:
    # A few calls of which one fails are no share: at least 6 in five minutes.
    is_busy = f"{promql.series(RATE)} > 0.02"
    yield Alert(
        "ObsHighErrorShare",
        f"{promql.series(FAILED_RATIO)} > 0.05 and {is_busy}",
        "5m",
        "critical",
        "{{ $value | humanizePercentage }} of the calls of {{ $labels.operation }} in "
        "{{ $labels.job }} fail",
        "Dashboard Service, 'Failures by type': which exception, since when? Each failure "
        "is a log record 'operation.failed' with the id of its trace. Roll back if it began "
        "with a release.",
    )
    yield Alert(
        "ObsLatencyAboveObjective",
        f"{promql.series(P95)} > {objective:.15g} and {is_busy}",
        "10m",
        "warning",
        "95 % of the calls of {{ $labels.operation }} in {{ $labels.job }} take up to "
        f"{{{{ $value | humanizeDuration }}}}, more than {objective:.15g} s",
        "Dashboard Service, 'p95 by operation', then Runtime: CPU and garbage collector. If "
        "neither is busy, look for the slow part in a trace of the operation.",
    )


def _of_processes(promql: PromQL) -> Iterator[Alert]:
    # Others have metrics of these names as well.
    is_ours = f"and on ({JOB}, instance) {promql.selector(_SERIES)}"
    count = builtin("process.unix.file_descriptor.count")
    limit = builtin("process.unix.file_descriptor.limit")
    in_use = promql.write(Ratio(Last(count, _EACH), Last(limit, _EACH)))
    yield Alert(
        "ObsFileDescriptorsNearLimit",
        f"{in_use} > 0.9 {is_ours}",
        "5m",
        "critical",
        "{{ $labels.instance }} of {{ $labels.job }} has "
        "{{ $value | humanizePercentage }} of its file descriptors open",
        "Past the limit no connection can be accepted and no file opened. Find what stays "
        "open (lsof -p PID), raise the limit (ulimit -n), restart the instance.",
    )
    memory, start = promql.selector(_MEMORY), promql.selector(_START)
    # The same process for 7 hours: what it takes to warm up is no growth.
    yield Alert(
        "ObsMemoryGrowth",
        f"{memory} > 1.5 * {memory} offset 6h and deriv({memory}[1h]) > 0 "
        f"and {start} == {start} offset 7h {is_ours}",
        "30m",
        "warning",
        "{{ $labels.instance }} of {{ $labels.job }} has grown to "
        "{{ $value | humanize1024 }}B, half as much again within 6 hours",
        "Dashboard Runtime, 'Resident memory': does it rise with 'Freed objects' flat? "
        "Compare with 'Series' of Telemetry itself; take a tracemalloc snapshot; restart "
        "before memory runs out.",
    )
    pauses = promql.write(Sum(builtin("cpython.gc.pause.duration"), _EACH))
    yield Alert(
        "ObsGcPauses",
        f"{pauses} > 0.05",
        "10m",
        "warning",
        "{{ $labels.instance }} of {{ $labels.job }} spends "
        "{{ $value | humanizePercentage }} of its time in pauses of the garbage collector",
        "Dashboard Runtime, 'Runs by generation': many runs of generation 2 come of many "
        "long-lived objects. gc.freeze() after the start, or gc.set_threshold().",
    )


def _of_telemetry(promql: PromQL, service: str) -> Iterator[Alert]:
    lane = (*_EACH, "signal", "exporter", "reason")
    # What a route keeps from an exporter is dropped on purpose.
    dropped = promql.write(Rate(_DROPPED, lane, {"reason": But("filtered")}))
    yield Alert(
        "ObsTelemetryDropping",
        f"{dropped} > 0",
        "5m",
        "warning",
        "{{ $labels.instance }} of {{ $labels.job }} drops {{ $labels.signal }} "
        "({{ $labels.reason }} {{ $labels.exporter }})",
        "Dashboard Telemetry itself. queue_full: the backend is slow or away; "
        "cardinality: a label has too many values; invalid: stderr of the service names "
        "the call.",
    )
    rejected = promql.write(Rate(_REJECTED, lane))
    yield Alert(
        "ObsTelemetryRejected",
        f"{rejected} > 0",
        "5m",
        "warning",
        "the backend of {{ $labels.exporter }} refuses {{ $labels.signal }} from "
        "{{ $labels.instance }} of {{ $labels.job }} ({{ $labels.reason }})",
        "stderr of the service repeats the backend's answer: credentials, limits, or data "
        "that it does not take.",
    )
    up = f"{promql.series(UP)} == 0"
    known = f"and on ({JOB}, instance) max_over_time({promql.selector(_SERIES)}[1d])"
    yield Alert(
        "ObsTargetDown",
        up if service else f"{up} {known}",
        "2m",
        "critical",
        "{{ $labels.instance }} of {{ $labels.job }} cannot be scraped",
        "Does the process run, and answer on its metrics port? Status > Targets in "
        "Prometheus has the error. Dashboard Fleet shows who else is away.",
    )
