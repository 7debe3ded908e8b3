"""The whole demo: its ports, its start, its end."""

import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import monotonic, sleep

from obs._obs import Obs
from obs.cli.demo import _orders, _shop
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import HttpService
from obs.cli.demo._logs import SHOWN
from obs.cli.demo._orders import Orders, Packing
from obs.cli.demo._report import (
    comparison,
    ledger_table,
    rows_of,
    table,
    trace_text,
)
from obs.cli.demo._shop import Shop
from obs.cli.demo._slowest import SlowestTrace
from obs.cli.demo._traffic import Traffic
from obs.errors import DefinitionError, StartFailed
from obs.model import Snapshot, delta
from obs_exporters import PrometheusExporter, exporter_from_url

DELIVERY_SECONDS = 1.0
"""How long the end waits for backends."""
SERVICES = {"shop": _shop.tel, "orders": _orders.tel}

START = """\
obs demo: a shop of two services, {rate:g} requests a second{until}

{pages}

Look at a page:
  curl -s {page} | grep operation_duration_seconds_count

Have Prometheus scrape both pages, and ask it:
  sum by (operation, outcome) (rate(operation_duration_seconds_count[1m]))
  histogram_quantile(0.95, sum by (le) (rate(shop_payment_duration_seconds_bucket[1m])))
  packing_queue_depth
"""
HINT = """\
See its logs on stderr, with the ids of their traces:
  obs demo --log-level info
"""


def run(
    *,
    rate: float,
    duration: float | None,
    metrics_port: int,
    exporters: Sequence[str] = (),
    log_level: str = "off",
    seed: int,
) -> int:
    """Run the demo until its time is over or a signal ends it.

    Args:
        rate: Requests per second.
        duration: Seconds; None goes on until SIGINT or SIGTERM.
        metrics_port: The first service's; the second takes the next. 0: any free ones.
        exporters: URLs of what gets everything pushed, from each service.
        log_level: The lowest level of logs that are shown.
        seed: What chance begins with.

    Returns:
        The exit code: 1 if a port is taken, or two exporters have one name.
    """
    chance = Chance(seed)
    SHOWN.choose(log_level)
    try:
        with (
            _end_signals() as signals,
            _metrics_pages(metrics_port) as pages,
            _pushed(exporters),
            SlowestTrace().listening(SERVICES.values()) as slowest,
        ):
            before = _snapshots()
            with _open_shop(chance) as shop_port:
                _say(_start_text(pages, rate, duration))
                if log_level == "off":
                    _say(HINT)
                with Traffic(
                    shop_port, chance, rate=rate, duration=duration
                ) as traffic:
                    _wait(signals, duration)
            _say(_end_text(before, traffic))
            if slowest.traces:
                _say(f"\n{trace_text(slowest)}")
        if exporters:
            _say(f"\n{ledger_table(_snapshots())}")
    except (StartFailed, DefinitionError) as error:
        print(f"obs demo: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _end_signals() -> Iterator[list[int]]:
    """Give a list into which SIGINT and SIGTERM go."""
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: signals.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(signals: list[int], duration: float | None) -> None:
    """Wait until the time is over or a signal has come."""
    end = math.inf if duration is None else monotonic() + duration
    # In short steps: a signal does not wake this thread when another one receives it,
    # or when it comes just before the wait begins.
    while not signals and (left := end - monotonic()) > 0:
        sleep(min(left, 0.1))


@contextmanager
def _metrics_pages(first_port: int) -> Iterator[dict[str, str]]:
    """Serve the metrics of each service; give the addresses of the pages by service."""
    with ExitStack() as stack:
        pages = {}
        for index, (service, tel) in enumerate(SERVICES.items()):
            exporter = PrometheusExporter(port=first_port + index if first_port else 0)
            tel.attach(exporter)
            stack.callback(tel.detach, exporter)
            stack.enter_context(_started(tel))
            pages[service] = exporter.url
        yield pages


def _started(tel: Obs) -> AbstractContextManager[object]:
    try:
        return tel.start()
    except StartFailed as error:
        # It tells who wrote `PrometheusExporter(port=...)`; here one writes a flag.
        text = str(error).replace("port=0 takes", "--metrics-port 0 takes")
        raise StartFailed(text) from error


@contextmanager
def _pushed(urls: Sequence[str]) -> Iterator[None]:
    """Push everything of each service to some URLs."""
    with ExitStack() as stack:
        for tel in SERVICES.values():
            for url in urls:
                exporter = exporter_from_url(url)
                tel.attach(exporter)
                stack.callback(tel.detach, exporter)
        try:
            yield
        finally:
            _deliver()


def _deliver() -> None:
    """Send what is left: all together, in a time that nobody has to wait for."""
    deadline = monotonic() + DELIVERY_SECONDS
    for tel in SERVICES.values():
        tel.flush(0.0)
    for tel in SERVICES.values():
        tel.close(max(deadline - monotonic(), 0.0))


@contextmanager
def _open_shop(chance: Chance) -> Iterator[int]:
    """Serve shop and orders; give the port of the shop."""
    with (
        Packing(chance) as packing,
        HttpService("orders", Orders(packing, chance).answer) as orders,
        HttpService("shop", Shop(orders.port, chance).answer) as shop,
    ):
        yield shop.port


def _snapshots() -> dict[str, Snapshot]:
    return {service: tel.snapshot() for service, tel in SERVICES.items()}


def _start_text(pages: dict[str, str], rate: float, duration: float | None) -> str:
    lines = [f"  {service:8}metrics {url}" for service, url in pages.items()]
    until = ", until Ctrl-C" if duration is None else f" for {duration:g} s"
    first = next(iter(pages.values()))
    return START.format(rate=rate, until=until, pages="\n".join(lines), page=first)


def _end_text(before: dict[str, Snapshot], traffic: Traffic) -> str:
    rows = [
        row
        for service, snapshot in _snapshots().items()
        for row in rows_of(service, delta(before[service], snapshot))
    ]
    endpoints = [row for row in rows if row.operation in Shop.ENDPOINTS]
    compared = comparison(endpoints, traffic.answers, traffic.seconds)
    return f"{table(rows)}\n\n{compared}"


def _say(text: str) -> None:
    print(text, flush=True)
