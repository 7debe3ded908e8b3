"""What tests of pushed pages have in common: batches, and a reader that is not ours."""

from prometheus_client.parser import text_string_to_metric_families as read_text

from obs.model import Batch, Resource
from obs.testing.contract import Histogram, Number

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def batch_of(*families, **attributes):
    resource = {name.replace("_", "."): value for name, value in attributes.items()}
    return Batch("metrics", Resource(resource), families=list(families))


def page_and_counts(exporter, *families, **attributes):
    """The one body of a push, and its records, dropped and merged."""
    (payload,) = exporter.encode(batch_of(*families, **attributes))
    return payload.body.decode(), payload[1:]


def points_on(page, without=()):
    """Each series of a page as the contract kit has it, but for ``target_info``."""
    found = []
    for family in read_text(page.decode()):
        if family.type == "histogram":
            found += _histograms(family, without)
        elif family.name != "target_info":
            name = family.name.removesuffix("_info")
            for sample in family.samples:
                found.append(Number(name, _labels(sample, without), sample.value))
    return found


def as_on_the_page(point):
    """What the kit's plain points are called there."""
    name = point.name.replace(".", "_")
    labels = {key.replace(".", "_"): value for key, value in point.labels.items()}
    if isinstance(point, Number):
        return Number(name, labels, point.value)
    _, *numbers = (getattr(point, slot) for slot in Histogram.__slots__)
    return Histogram(name, labels, *numbers[1:])


def _labels(sample, without):
    return {k: v for k, v in sample.labels.items() if k not in {"le", *without}}


def _histograms(family, without):
    series = {}
    for sample in family.samples:
        labels = _labels(sample, without)
        parts = series.setdefault(frozenset(labels.items()), (labels, [], {}))
        if sample.name.endswith("_bucket"):
            parts[1].append((float(sample.labels["le"]), sample.value))
        else:
            parts[2][sample.name.rpartition("_")[2]] = sample.value
    for labels, buckets, rest in series.values():
        bounds = [limit for limit, _ in buckets[:-1]]
        totals = [total for _, total in buckets]
        counts = [now - old for old, now in zip([0, *totals], totals, strict=False)]
        yield Histogram(family.name, labels, rest["count"], rest["sum"], bounds, counts)
