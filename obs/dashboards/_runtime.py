"""The dashboard of the process and the interpreter that a service runs in."""

from obs.dashboards._boards import Board, Panel, Row
from obs.dashboards._metric import INSTANCE, SERVICE, builtin
from obs.dashboards._queries import (
    Age,
    Changes,
    Heat,
    Last,
    Mean,
    Quantile,
    Rate,
    Ratio,
    Sum,
)

_EACH = (SERVICE, INSTANCE)
_FDS = builtin("process.unix.file_descriptor.count")
_FD_LIMIT = builtin("process.unix.file_descriptor.limit")
_START = builtin("process.start_time")
_PAUSE = builtin("cpython.gc.pause.duration")
_GENERATION = ("cpython.gc.generation",)

_PROCESS = Row(
    "Process",
    [
        Panel("Resident memory", [Last(builtin("process.memory.usage"), _EACH)]),
        Panel("Virtual memory", [Last(builtin("process.memory.virtual"), _EACH)]),
        Panel(
            "CPU",
            [Rate(builtin("process.cpu.time"), _EACH)],
            help="100 % is one core.",
        ),
        Panel("Open file descriptors", [Last(_FDS, _EACH)]),
        Panel(
            "File descriptors in use",
            [Ratio(Last(_FDS, _EACH), Last(_FD_LIMIT, _EACH))],
            help="Open file descriptors, of those that may be open.",
            line=0.9,
            whole=True,
            otherwise=Panel(
                "File descriptors that may be open", [Last(_FD_LIMIT, _EACH)]
            ),
        ),
        Panel("Threads", [Last(builtin("process.thread.count"), _EACH)]),
    ],
)

_LIFE = Row(
    "Life",
    [
        Panel("Uptime", [Age(_START, _EACH)], help="For how long each process runs."),
        Panel(
            "Restarts",
            [Changes(_START, _EACH)],
            "bars",
            "How often a new process took the place of an instance in the time shown.",
        ),
    ],
)

_GC = Row(
    "Garbage collector",
    [
        Panel(
            "Pauses",
            [
                (Quantile(_PAUSE, 0.5), "p50"),
                (Quantile(_PAUSE, 0.95), "p95"),
                (Quantile(_PAUSE, 0.99), "p99"),
            ],
            otherwise=Panel("Mean pause", [(Mean(_PAUSE), "mean")]),
        ),
        Panel(
            "Time in pauses",
            [Sum(_PAUSE, _EACH)],
            help="The share of time in which the interpreter was stopped.",
            line=0.05,
        ),
        Panel("All pauses", [Heat(_PAUSE)], "heat", "How many pauses took how long."),
        Panel(
            "Runs by generation",
            [Rate(builtin("cpython.gc.collections"), _GENERATION)],
        ),
        Panel(
            "Freed objects by generation",
            [Rate(builtin("cpython.gc.collected_objects"), _GENERATION)],
        ),
        Panel(
            "Uncollectable objects by generation",
            [Rate(builtin("cpython.gc.uncollectable_objects"), _GENERATION)],
        ),
    ],
)

RUNTIME_BOARD = Board(
    "runtime",
    "Runtime",
    "Memory, CPU, descriptors, threads and garbage collector of each process.",
    [_PROCESS, _LIFE, _GC],
)
