"""The page for Prometheus: many series, rendered the way a scrape gets them."""

import random
from collections.abc import Callable, Mapping

from benchmarks._harness import OBS, PROMETHEUS, Figure, Report, Stopwatch, compare
from benchmarks._peers import BOUNDS, LABELS, prometheus
from obs import Limits, Obs
from obs_exporters import PrometheusExporter

WITHOUT_CREATED = f"{PROMETHEUS} without _created"
PEERS = (PROMETHEUS, WITHOUT_CREATED)
COUNTERS = "counters, 3 labels"
HISTOGRAMS = "histograms, 3 labels, 15 bounds"
SIZES = {COUNTERS: 100_000, HISTOGRAMS: 20_000}
GOAL = 15

FIRST = "first page"
IDLE = "page, nothing has changed"
CHANGED = "page, every series has changed"
NAMES = {COUNTERS: "requests_total", HISTOGRAMS: "duration_seconds"}

Rows = list[tuple[str, str, str]]
Samples = list[tuple[str, tuple[tuple[str, str], ...], float]]


def run(*, quick: bool) -> Report:
    """Render pages of many series."""
    report = Report()
    for kind, size in SIZES.items():
        count = size // 20 if quick else size
        figures = _measure(kind, count, 2 if quick else 5, report)
        goals = {f.operation: {PROMETHEUS: GOAL} for f in figures if f.library == OBS}
        title = f"A page of {count:,} {kind}"
        report.tables.append(compare(title, figures, goals, peers=PEERS))
        report.figures += figures
    return report


class ObsPage:
    """An instance with many series, and its page."""

    def __init__(self, kind: str, rows: Rows) -> None:
        limits = Limits(series_per_block=len(rows), series=len(rows) + 100)
        self._exporter = PrometheusExporter(port=None)
        tel = Obs(
            "benchmarks", runtime=False, limits=limits, exporters=[self._exporter]
        )
        tel.start()
        if kind == COUNTERS:
            counter = tel.counter("requests", "Requests.", labels=LABELS)
            self._record = [counter.labels(*row).inc for row in rows]
        else:
            histogram = tel.histogram(
                "duration", "Time.", unit="s", labels=LABELS, buckets=BOUNDS
            )
            self._record = [histogram.labels(*row).observe for row in rows]

    def record(self, value: float) -> None:
        """Record a value in every series."""
        for record in self._record:
            record(value)

    def forget(self) -> None:
        """Keep what the library keeps, and nothing of this class's."""
        self._record = []

    def render(self) -> bytes:
        """Give the page."""
        return self._exporter.page().body


class PrometheusPage:
    """The same in prometheus_client."""

    def __init__(self, kind: str, rows: Rows) -> None:
        library, self._registry = prometheus()
        self._library = library
        given = {"labelnames": LABELS, "registry": self._registry}
        if kind == COUNTERS:
            counter = library.Counter("requests", "Requests.", **given)
            self._record = [counter.labels(*row).inc for row in rows]
        else:
            histogram = library.Histogram(
                "duration_seconds", "Time.", buckets=BOUNDS, **given
            )
            self._record = [histogram.labels(*row).observe for row in rows]

    def record(self, value: float) -> None:
        """Record a value in every series."""
        for record in self._record:
            record(value)

    def forget(self) -> None:
        """Keep what the library keeps, and nothing of this class's."""
        self._record = []

    def render(self) -> bytes:
        """Give the page."""
        return self._library.generate_latest(self._registry)

    def render_without_created(self) -> bytes:
        """Give the page without the lines that say when a series began."""
        self._library.disable_created_metrics()
        try:
            return self.render()
        finally:
            self._library.enable_created_metrics()


def _measure(kind: str, count: int, rounds: int, report: Report) -> list[Figure]:
    rows = [
        (("GET", "POST")[i % 2], f"/api/v1/items/{i // 4}", f"{200 + i % 4}")
        for i in range(count)
    ]
    mine = ObsPage(kind, rows)
    mine.record(0.3)
    try:
        theirs = PrometheusPage(kind, rows)
        theirs.record(0.3)
        report.notes.append(_same(kind, mine.render(), theirs.render()))
    except ImportError as error:
        theirs = None
        report.notes.append(f"left out, for it is not installed: {error.name}")

    watches = {name: Stopwatch(name, OBS) for name in (FIRST, IDLE, CHANGED)}
    peers = {name: Stopwatch(name, name) for name in PEERS} if theirs else {}
    steps: list[Callable[[], object]] = [
        lambda: _first(kind, rows, watches[FIRST]),
        lambda: watches[IDLE].time(mine.render),
        lambda: (mine.record(0.3), watches[CHANGED].time(mine.render)),
    ]
    if theirs:
        steps.append(lambda: peers[PROMETHEUS].time(theirs.render))
        steps.append(lambda: peers[WITHOUT_CREATED].time(theirs.render_without_created))
    mine.render()
    shuffle = random.Random(1).shuffle
    for _ in range(rounds):
        shuffle(steps)
        for step in steps:
            step()
    return _figures(watches, peers)


def _first(kind: str, rows: Rows, watch: Stopwatch) -> None:
    fresh = ObsPage(kind, rows)
    fresh.record(0.3)
    watch.time(fresh.render)


def _figures(
    watches: Mapping[str, Stopwatch], peers: Mapping[str, Stopwatch]
) -> list[Figure]:
    """A peer keeps nothing between pages: each of its pages is compared with all."""
    figures = []
    for operation, watch in watches.items():
        figures.append(watch.figure())
        for peer in peers.values():
            figure = peer.figure()
            figure.operation = operation
            figures.append(figure)
    return figures


def _same(kind: str, mine: bytes, theirs: bytes) -> str:
    name = NAMES[kind]
    expected = _samples(theirs, name)
    is_same = _samples(mine, name) == expected
    word = "equal" if is_same else "**NOT EQUAL**"
    return (
        f"{kind}: prometheus_client's parser reads both pages as {word} "
        f"({len(expected):,} samples, `_created` apart)"
    )


def _samples(page: bytes, family: str) -> Samples:
    from prometheus_client.parser import text_string_to_metric_families

    return sorted(
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for found in text_string_to_metric_families(page.decode())
        for sample in found.samples
        if sample.name.startswith(family) and not sample.name.endswith("_created")
    )
