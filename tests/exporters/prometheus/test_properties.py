"""Whatever is recorded, both readers of prometheus_client read it back."""

from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obs import Limits
from obs.metrics import Registry
from tests.exporters.prometheus.sources import (
    OPENMETRICS,
    FixedSource,
    RegistrySource,
    histogram,
    number,
    read_openmetrics,
    read_text,
    samples,
    started,
)

texts = st.text(max_size=20) | st.text('\\"\n%s{}=, #', max_size=8)
whole = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(
    '\\"\n%s{}=, #', max_size=8
)
numbers = st.integers(-(10**25), 10**25) | st.floats()
label_names = st.lists(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True).filter(
        lambda name: not name.startswith("__") and name != "le"
    ),
    max_size=3,
    unique=True,
)

relaxed = settings(deadline=None)  # a busy machine is no failure


@st.composite
def series(draw, values):
    """Label names, and rows of label values to values."""
    names = draw(label_names)
    rows = st.tuples(*[texts for _ in names])
    found = draw(st.dictionaries(rows, values, max_size=4))
    # Two rows that are one after their surrogates are repaired would be there twice.
    return tuple(names), {repaired(row): value for row, value in found.items()}


def repaired(row):
    return tuple(
        "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
        for text in row
    )


def same(left, right):
    if left.keys() != right.keys():
        return False
    return all(
        left[key] == right[key] or (isnan(left[key]) and isnan(right[key]))
        for key in left
    )


def pages_of(*families):
    with started(FixedSource(*families)) as exporter:
        for accept in ("", OPENMETRICS):
            yield accept, exporter.page(accept).body.decode()


@relaxed
@given(series(numbers))
def test_gauges_are_read_back(given_series):
    names, rows = given_series
    expected = {
        ("g", frozenset(zip(names, row, strict=True))): value
        for row, value in rows.items()
    }
    for accept, page in pages_of(number("g", "gauge", rows, label_names=names)):
        assert same(samples(page, accept), expected)


@relaxed
@given(series(numbers))
def test_counters_are_read_back_where_they_are_counters(given_series):
    names, rows = given_series
    expected = {
        ("c_total", frozenset(zip(names, row, strict=True))): value
        for row, value in rows.items()
        if value >= 0
    }
    for accept, page in pages_of(number("c", "counter", rows, label_names=names)):
        assert samples(page, accept) == expected


@relaxed
@given(series(st.just(1)))
def test_infos_are_read_back(given_series):
    names, rows = given_series
    expected = {("i_info", frozenset(zip(names, row, strict=True))): 1 for row in rows}
    for accept, page in pages_of(number("i", "info", rows, label_names=names)):
        assert samples(page, accept) == expected


@relaxed
@given(
    series(st.tuples(numbers, st.lists(st.integers(0, 2**61), min_size=3, max_size=3))),
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False),
        min_size=2,
        max_size=2,
        unique=True,
    ),
)
def test_histograms_are_read_back(given_series, bounds):
    names, rows = given_series
    bounds = tuple(sorted(bounds))
    family = histogram("h", bounds, rows, names)
    for accept, page in pages_of(family):
        found = samples(page, accept)
        expected = {}
        for row, (total, buckets) in rows.items():
            labels = frozenset(zip(names, row, strict=True))
            limits = [*map(repr, bounds), "+Inf"]
            for n, limit in enumerate(limits, 1):
                key = "h_bucket", labels | {("le", limit)}
                expected[key] = sum(buckets[:n])
            if not accept or (bounds[0] >= 0 and total >= 0):
                expected["h_sum", labels] = total
                expected["h_count", labels] = sum(buckets)
        assert same(found, expected)


@pytest.mark.parametrize("kind", ["counter", "updown", "gauge", "info"])
@relaxed
@given(help_text=whole)
def test_help_texts_are_read_back(kind, help_text):
    """Blanks around them apart, which no reader keeps."""
    for accept, page in pages_of(number("m", kind, help=help_text)):
        (family,) = (read_openmetrics if accept else read_text)(page)
        assert family.documentation.strip() == help_text.strip()


@relaxed
@given(
    st.dictionaries(
        st.text(max_size=12),
        st.tuples(st.sampled_from(["counter", "gauge", "info"]), st.text(max_size=5)),
        max_size=5,
    ),
    st.dictionaries(st.text(max_size=8), texts, max_size=3),
)
def test_any_names_and_units_give_a_page_that_is_read(named, attributes):
    families = [
        number(name, kind, {("x", "y"): 1}, label_names=(name, unit), unit=unit)
        for name, (kind, unit) in named.items()
    ]
    source = FixedSource(*families, attributes=attributes)
    with started(source) as exporter:
        for accept in ("", OPENMETRICS):
            found = samples(exporter.page(accept).body.decode(), accept)
            left_out = source.counted.pop("invalid", 0)
            assert len(found) + left_out == len(families) + bool(attributes)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5), st.booleans()),
        max_size=60,
    )
)
def test_a_page_is_that_of_a_new_exporter_whatever_came_before(steps):
    """What is kept between pages never shows."""
    source = RegistrySource(Registry(Limits(series_per_block=6)))
    counter = source.registry.counter("c", labels=("l",))
    latency = source.registry.histogram("h", labels=("l",), buckets=(2.0,))
    with started(source) as exporter:
        for label, amount, is_removed in steps:
            counter.labels(label).inc(amount)
            latency.labels(label).observe(amount)
            if is_removed:
                counter.remove(label)
                latency.remove(label)
            with started(source) as fresh:
                assert exporter.page() == fresh.page()
                assert exporter.page(OPENMETRICS) == fresh.page(OPENMETRICS)
