"""The whole demo: its ports, its start, its end."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue

from obs._obs import Obs
from obs.cli.demo import _orders, _shop
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import HttpService
from obs.cli.demo._orders import Orders, Packing
from obs.cli.demo._report import comparison, rows_of, table
from obs.cli.demo._shop import Shop
from obs.cli.demo._traffic import Traffic
from obs.errors import StartFailed
from obs.model import Snapshot, delta
from obs_exporters import PrometheusExporter

Signals = SimpleQueue[int]
"""Unlike other queues and events, one that a signal handler may put something into."""

SERVICES = {"shop": _shop.tel, "orders": _orders.tel}
HINTS = """
Look at a page:
  curl -s {page} | grep operation_duration_seconds_count

Let Prometheus scrape both, and ask it:
  sum by (operation, outcome) (rate(operation_duration_seconds_count[1m]))
  histogram_quantile(0.95, sum by (operation, le) (rate(operation_duration_seconds_bucket[1m])))
  packing_queue_depth
"""


def run(*, rate: float, duration: float | None, metrics_port: int, seed: int) -> int:
    """Run the demo until its time is over or a signal ends it.

    Args:
        rate: Requests per second.
        duration: Seconds; None goes on until SIGINT or SIGTERM.
        metrics_port: The first service's; the second takes the next. 0: any free ones.
        seed: What chance begins with.

    Returns:
        The exit code: 1 if a port is taken.
    """
    try:
        with _end_signals() as signals, ExitStack() as pages:
            for index, (name, tel) in enumerate(SERVICES.items()):
                port = metrics_port + index if metrics_port else 0
                url = pages.enter_context(_metrics_page(tel, port))
                ...
    except StartFailed as error:
        print(f"obs demo: {error}", file=sys.stderr)
        return 1
    return 0
