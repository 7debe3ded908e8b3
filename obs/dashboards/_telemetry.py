"""The dashboard of the telemetry itself: what became of what was recorded."""

from obs.dashboards._boards import Board, Panel, Row
from obs.dashboards._metric import INSTANCE, SERVICE, builtin
from obs.dashboards._queries import Last, Mean, Quantile, Rate, Ratio, Total

_EXPORTED = builtin("obs.exported")
_REJECTED = builtin("obs.rejected")
_UNKNOWN = builtin("obs.unknown")
_DROPPED = builtin("obs.dropped")
_SIZE = builtin("obs.queue.size")
_CAPACITY = builtin("obs.queue.capacity")
_DURATION = builtin("obs.export.duration")
_LANE = ("exporter", "signal")

_OVERVIEW = Row(
    "Overview",
    [
        Panel("Series", [Last(builtin("obs.series"))], "stat"),
        Panel(
            "Delivered",
            [Total(_EXPORTED)],
            "stat",
            "How many records backends acknowledged in the time shown.",
        ),
        Panel(
            "Rejected",
            [Total(_REJECTED)],
            "stat",
            "How many records backends refused in the time shown.",
        ),
        Panel(
            "Dropped",
            [Total(_DROPPED)],
            "stat",
            "How many were left out in the time shown.",
        ),
    ],
)

_RECORDED = Row(
    "Recorded",
    [
        Panel("Series by instance", [Last(builtin("obs.series"), (SERVICE, INSTANCE))]),
        Panel(
            "Made",
            [Rate(builtin("obs.produced"), ("signal",))],
            help="Records per second; of metrics, pushes.",
        ),
        Panel("Dropped by reason", [Rate(_DROPPED, ("signal", "exporter", "reason"))]),
        Panel("Cut", [Rate(builtin("obs.truncated"), ("signal",))]),
    ],
)

_DELIVERED = Row(
    "Delivered",
    [
        Panel(
            "Delivered, rejected, unknown",
            [
                (Rate(_EXPORTED, _LANE), "delivered"),
                (Rate(_REJECTED, _LANE), "rejected"),
                (Rate(_UNKNOWN, _LANE), "unknown"),
            ],
            help="Records per second that were acknowledged, refused, or never answered.",
        ),
        Panel(
            "Export time",
            [
                (Quantile(_DURATION, 0.5, _LANE), "p50"),
                (Quantile(_DURATION, 0.95, _LANE), "p95"),
            ],
            otherwise=Panel("Mean export time", [Mean(_DURATION, _LANE)]),
        ),
        Panel(
            "Queues",
            [(Last(_SIZE, _LANE), "waiting"), (Last(_CAPACITY, _LANE), "room")],
            help="Records that wait, and that may wait.",
        ),
        Panel(
            "Queues in use",
            [Ratio(Last(_SIZE, _LANE), Last(_CAPACITY, _LANE))],
            help="Records that wait, of those that may; what comes past that is dropped.",
            line=0.8,
            whole=True,
        ),
    ],
)

TELEMETRY_BOARD = Board(
    "telemetry",
    "Telemetry itself",
    "What became of what was recorded: delivered, rejected, dropped, and how fast.",
    [_OVERVIEW, _RECORDED, _DELIVERED],
)
