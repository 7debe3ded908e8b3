"""What the demo has served: a table, read from the instruments, and a trace."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from obs.cli._drawing import draw
from obs.cli.demo._slowest import SlowestTrace
from obs.encoding import quantile
from obs.model import HistogramPoint, NumberPoint, Snapshot

HEAD = ("service", "operation", "calls", "ok", "error", "cancelled", "p50", "p95")
LEDGER = {
    "delivered": "obs.exported",
    "rejected": "obs.rejected",
    "dropped": "obs.dropped",
    "unknown": "obs.unknown",
    "queued": "obs.queue.size",
}
"""The columns of the ledger, and the metrics that they are read from."""


class Row(NamedTuple):
    """What one decorated function did; ``p50`` and ``p95`` are texts with a unit."""

    service: str
    operation: str
    calls: int
    ok: int
    error: int
    cancelled: int
    p50: str
    p95: str


def rows_of(service: str, snapshot: Snapshot) -> list[Row]:
    """Give a row for each operation that was called, in the order of definition."""
    points: dict[str, list[HistogramPoint]] = {}
    for point in snapshot["operation.duration"].points:
        if isinstance(point, HistogramPoint) and point.count > 0:
            points.setdefault(point.labels["operation"], []).append(point)
    return [_row(service, name, series) for name, series in points.items()]


def _row(service: str, operation: str, series: Sequence[HistogramPoint]) -> Row:
    outcomes: Counter[str] = Counter()
    for point in series:
        outcomes[point.labels["outcome"]] += point.count
    bounds = series[0].bounds
    buckets = [sum(counts) for counts in zip(*(p.buckets for p in series), strict=True)]
    return Row(
        service,
        operation,
        outcomes.total(),
        outcomes["ok"],
        outcomes["error"],
        outcomes["cancelled"],
        _milliseconds(quantile(0.5, bounds, buckets)),
        _milliseconds(quantile(0.95, bounds, buckets)),
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def table(rows: Iterable[Row]) -> str:
    """Lay rows out in columns, below a head."""
    return _columns([HEAD, *(tuple(map(str, row)) for row in rows)], text=2)


def ledger_table(snapshots: Mapping[str, Snapshot]) -> str:
    """Lay out what became of everything that was pushed, by service."""
    lines = [("service", "exporter", "signal", *LEDGER)]
    for service, snapshot in snapshots.items():
        for point in snapshot["obs.exported"].points:
            place = point.labels.items()
            sums = [
                sum(
                    other.value
                    for other in snapshot[name].points
                    if isinstance(other, NumberPoint) and place <= other.labels.items()
                )
                for name in LEDGER.values()
            ]
            labels = point.labels
            line = (service, labels["exporter"], labels["signal"], *map(str, sums))
            lines.append(line)
    return _columns(lines, text=3)


def _columns(lines: Sequence[Sequence[str]], text: int) -> str:
    """Lay out cells: in so many first columns to the left, then to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths, text) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int], text: int) -> str:
    texts = [
        cell.ljust(width) if column < text else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(texts).rstrip()


def comparison(rows: Sequence[Row], answers: Mapping[int, int], seconds: float) -> str:
    """Put what the customers counted beside what the instruments measured.

    Args:
        rows: Of the endpoints that the customers called.
        answers: How many answers the customers got, by status; 0 for none.
        seconds: How long they sent requests.
    """
    calls = sum(row.calls for row in rows)
    errors = sum(row.error for row in rows)
    sent = sum(answers.values())
    failed = sum(n for status, n in answers.items() if not 0 < status < 500)
    by_status = "  ".join(
        f"{status or 'none'}: {n}" for status, n in sorted(answers.items())
    )
    return (
        f"requests  sent {sent}, measured {calls} ({sent / seconds:.1f} a second)\n"
        f"failures  seen {failed}, measured {errors}\n"
        f"answers   {by_status or 'none'}"
    )


def trace_text(slowest: SlowestTrace) -> str:
    """Draw the slowest trace."""
    steps = list(slowest.steps)
    services = {span.context.span: service for service, span in steps}
    drawn = draw([span for _, span in steps], lambda span: services[span.context.span])
    return f"the slowest of {slowest.traces} traces:\n{drawn}"
