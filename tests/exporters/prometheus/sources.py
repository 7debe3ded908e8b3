"""Sources that tests make pages of, and readers that are not ours."""

import os
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from obs.metrics import Registry
from obs.model import Block, MetricFamily, Resource, Snapshot
from obs_exporters import PrometheusExporter

OPENMETRICS = "application/openmetrics-text"
CERTIFICATE = Path(__file__).parent.parent / "data" / "localhost.crt"
KEY = CERTIFICATE.with_suffix(".key")


class Reports:
    """The half of a source that listens: what was left out, and what was said."""

    def __init__(self, attributes=None):
        self.resource = Resource(attributes or {})
        self.counted = {}
        self.said = []
        self.checks = []

    def check(self, callback):
        self.checks.append(callback)

    def dropped(self, reason, n=1):
        self.counted[reason] = self.counted.get(reason, 0) + n

    def say(self, reason, text):
        self.said.append((reason, text))


class RegistrySource(Reports):
    """A source around a registry."""

    def __init__(self, registry=None, attributes=None):
        super().__init__(attributes)
        self.registry = registry or Registry()

    def snapshot(self):
        return self.registry.snapshot()

    def check(self, callback):
        self.registry.check(callback)


class FixedSource(Reports):
    """A source of families as a careless collector may yield them."""

    def __init__(self, *families, attributes=None):
        super().__init__(attributes)
        self.families = list(families)

    def snapshot(self):
        return Snapshot(list(self.families), 0, 0)


@contextmanager
def started(source, *arguments, **keywords):
    """An exporter that shows a source, without a server unless a port is given."""
    if not arguments:
        keywords.setdefault("port", None)
    exporter = PrometheusExporter(*arguments, **keywords)
    exporter.start(source)
    try:
        yield exporter
    finally:
        exporter.close(monotonic() + 5)


def page_of(*families, accept="", names=(), source=None):
    """The text of a page of these families."""
    with started(source or FixedSource(*families)) as exporter:
        return exporter.page(accept, names).body.decode()


def both_pages(*families):
    return page_of(*families), page_of(*families, accept=OPENMETRICS)


def number(name="n", kind="gauge", values=1, label_names=(), **keywords):
    return MetricFamily.of(name, kind, values, label_names=label_names, **keywords)


def histogram(name="h", bounds=(0.5, 1.0), rows=None, label_names=(), **keywords):
    """A histogram family; rows are label values to (sum, counts)."""
    rows = {(): (1.5, [1, 0, 2])} if rows is None else rows
    sums = [total for total, _ in rows.values()]
    counts = [buckets for _, buckets in rows.values()]
    block = Block(label_names, list(rows), sums, counts)
    return MetricFamily(name, "histogram", blocks=[block], bounds=bounds, **keywords)


def samples(page, accept=""):
    """What an independent reader finds: (name, labels) to value."""
    read = read_openmetrics if accept == OPENMETRICS else read_text
    found = {}
    for family in read(page):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def compare_with_golden(name, page):
    """Compare bytes with a checked-in file; OBS_GOLDEN=write makes it anew."""
    path = Path(__file__).parent / "golden" / name
    if os.environ.get("OBS_GOLDEN") == "write":
        path.write_bytes(page)
    assert page == path.read_bytes()
