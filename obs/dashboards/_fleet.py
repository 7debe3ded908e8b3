"""The dashboard of all services and instances, and of those unlike the others."""

from obs.dashboards._boards import Board, Panel, Row
from obs.dashboards._metric import INSTANCE, SERVICE, builtin
from obs.dashboards._queries import (
    Changes,
    Count,
    Instances,
    Last,
    Outlier,
    Quantile,
    Rate,
    Reached,
    Share,
)
from obs.dashboards._service import FAILED

_EACH = (SERVICE, INSTANCE)
_DURATION = builtin("operation.duration")
FAR = 5.0
"""From how many deviations on an instance is called an outlier."""
_HELP = (
    "How far each instance is from the median of its service, in median absolute "
    "deviations; it takes three instances for one to stand out."
)

_WHO = Row(
    "Instances",
    [
        Panel(
            "Instances by version",
            [Instances((SERVICE, "service.version"))],
            "areas",
            "How many instances run which version.",
            otherwise=Panel(
                "Instances by service",
                [Instances((SERVICE,))],
                "areas",
                "How many instances there are.",
            ),
        ),
        Panel(
            "Instances by interpreter",
            [Count(builtin("python.info"), (SERVICE, "implementation", "version"))],
            "areas",
            "How many instances run on which Python.",
        ),
        Panel(
            "Reached",
            [Reached((SERVICE,))],
            help="The share of a service's instances that could be read.",
            whole=True,
        ),
        Panel(
            "All instances",
            [Instances()],
            "table",
            "Each instance, with what is known of it.",
            width=24,
        ),
        Panel(
            "Calls by instance",
            [Rate(_DURATION, _EACH)],
            help="Calls per second that each instance ends.",
        ),
        Panel(
            "Failed by instance",
            [Share(_DURATION, FAILED, _EACH)],
            help="The share of calls that failed.",
        ),
        Panel(
            "Restarts by service",
            [Changes(builtin("process.start_time"), (SERVICE,))],
            "bars",
            "How often processes were replaced in the time shown.",
        ),
    ],
)

_OUTLIERS = Row(
    "Outliers",
    [
        Panel(title, [Outlier(query)], help=_HELP, width=12, line=FAR)
        for title, query in (
            ("Latency (p95)", Quantile(_DURATION, 0.95, _EACH)),
            ("Calls", Rate(_DURATION, _EACH)),
            ("Resident memory", Last(builtin("process.memory.usage"), _EACH)),
            ("CPU", Rate(builtin("process.cpu.time"), _EACH)),
        )
    ],
)

FLEET_BOARD = Board(
    "fleet",
    "Fleet",
    "Versions and instances of all services, and instances unlike the others.",
    [_WHO, _OUTLIERS],
    hours=6,
)
