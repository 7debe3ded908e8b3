"""The dashboard of a service: what it does, how long that takes, and what fails."""

from obs._outcome import FAILURES
from obs.dashboards._boards import Board, Chooser, Panel, Row
from obs.dashboards._metric import builtin
from obs.dashboards._queries import (
    CHOSEN,
    Heat,
    Last,
    Mean,
    Quantile,
    Rate,
    Share,
    Total,
)

_DURATION = builtin("operation.duration")
_IN_FLIGHT = builtin("operation.in_flight")
_RECORDS = builtin("log.records")
_BY = ("operation",)
_MINE = {"operation": CHOSEN}
FAILED = {"outcome": tuple(sorted(FAILURES))}
_BAD_LEVELS = {"level": ("critical", "error", "warning")}
_QUANTILES = [
    (Quantile(_DURATION, part, where=_MINE), name)
    for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
]

_OVERVIEW = Row(
    "Overview",
    [
        Panel("Calls", [Rate(_DURATION, where=_MINE)], "stat", "Calls per second."),
        Panel(
            "Failed",
            [Share(_DURATION, FAILED, where=_MINE)],
            "stat",
            "The share of calls that ended with an error or past their deadline.",
        ),
        Panel(
            "p95",
            [Quantile(_DURATION, 0.95, where=_MINE)],
            "stat",
            "95 of 100 calls took less.",
            otherwise=Panel(
                "Mean duration",
                [Mean(_DURATION, where=_MINE)],
                "stat",
                "How long a call takes in the mean.",
            ),
        ),
        Panel("In flight", [Last(_IN_FLIGHT, where=_MINE)], "stat"),
    ],
)

_CALLS = Row(
    "Calls",
    [
        Panel(
            "Calls by operation",
            [Rate(_DURATION, _BY, _MINE)],
            help="Calls per second of each operation.",
        ),
        Panel(
            "Calls by outcome",
            [Rate(_DURATION, ("outcome",), _MINE)],
            "areas",
            "Calls per second, by how they ended.",
        ),
        Panel("In flight by operation", [Last(_IN_FLIGHT, _BY, where=_MINE)]),
        Panel(
            "Failed by operation",
            [Share(_DURATION, FAILED, _BY, _MINE)],
            help="The share of calls of each operation that failed.",
        ),
        Panel(
            "Failures by type",
            [Rate(_DURATION, ("error_type",), {**_MINE, **FAILED})],
            "areas",
            "Failed calls per second, by the exception that ended them.",
        ),
        Panel(
            "Most failing operations",
            [Total(_DURATION, _BY, {**_MINE, **FAILED}, most=10)],
            "bars",
            "How many calls failed in the time shown.",
        ),
    ],
)

_LATENCY = Row(
    "Latency",
    [
        Panel(
            "Latency",
            _QUANTILES,
            help="Below which 50, 95 and 99 of 100 calls stay.",
            otherwise=Panel(
                "Mean duration of all calls", [(Mean(_DURATION, where=_MINE), "mean")]
            ),
        ),
        Panel(
            "p95 by operation",
            [Quantile(_DURATION, 0.95, _BY, _MINE)],
            help="95 of 100 calls of each operation took less.",
            otherwise=Panel(
                "Mean duration by operation", [Mean(_DURATION, _BY, _MINE)]
            ),
        ),
        Panel(
            "Slowest operations",
            [Quantile(_DURATION, 0.95, _BY, _MINE, most=10)],
            "bars",
            "The 95th percentile of each operation over the time shown.",
            otherwise=Panel(
                "Slowest operations in the mean",
                [Mean(_DURATION, _BY, _MINE)],
                "bars",
                "How long a call of each operation took in the mean, at the end.",
            ),
        ),
        Panel(
            "Latency of all calls",
            [Heat(_DURATION, _MINE)],
            "heat",
            "How many calls took how long.",
        ),
    ],
)

_LOGS = Row(
    "Logs",
    [
        Panel(
            "Log records by level",
            [Rate(_RECORDS, ("level",))],
            "areas",
            "Log records per second.",
            width=12,
        ),
        Panel(
            "Warnings and errors by logger",
            [Rate(_RECORDS, ("logger", "level"), _BAD_LEVELS)],
            help="Log records per second from level warning on.",
            width=12,
        ),
    ],
)

SERVICE_BOARD = Board(
    "service",
    "Service",
    "What a service does, how long that takes, and what fails.",
    [_OVERVIEW, _CALLS, _LATENCY, _LOGS],
    [Chooser("operation", _DURATION)],
)
