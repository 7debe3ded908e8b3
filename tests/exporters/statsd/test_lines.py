"""The lines of points: golden bytes, and what an independent reader makes of them."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.metrics import Registry
from obs.model import Block, ExponentialPoint, MetricFamily
from obs_exporters.statsd._dialects import DIALECTS
from obs_exporters.statsd._lines import datagrams, lines_of
from tests.exporters.statsd.reader import read


def lines(dialect, kind, value, unit="", **labels):
    family = MetricFamily.of(
        "m", kind, {tuple(labels.values()): value}, label_names=tuple(labels), unit=unit
    )
    return of_family(dialect, family)


def of_family(dialect, family):
    (point,) = family.points
    dialect = DIALECTS[dialect]
    key = dialect.key(family.name, point.labels, {})
    return b"".join(lines_of(dialect, key, family, point)).decode()


def histogram(dialect, buckets, total, unit="s", bounds=(0.1, 0.5)):
    block = Block((), [()], [total], [buckets])
    return of_family(dialect, MetricFamily("m", "histogram", unit, "", [block], bounds))


@pytest.mark.parametrize(
    ("kind", "value", "plain", "datadog", "telegraf"),
    [
        ("counter", 3, "m.x:3|c\n", "m:3|c|#a:x\n", "m,a=x:3|c\n"),
        ("counter", 2.5, "m.x:2.5|c\n", "m:2.5|c|#a:x\n", "m,a=x:2.5|c\n"),
        ("counter", 0, "", "", ""),
        ("counter", True, "m.x:1|c\n", "m:1|c|#a:x\n", "m,a=x:1|c\n"),
        ("gauge", 0, "m.x:0|g\n", "m:0|g|#a:x\n", "m,a=x:0|g\n"),
        (
            "gauge",
            1e-7,
            *(
                f"m{t[0]}:0.0000001|g{t[1]}\n"
                for t in ((".x", ""), ("", "|#a:x"), (",a=x", ""))
            ),
        ),
        (
            "gauge",
            -5,
            "m.x:0|g\nm.x:-5|g\n",
            "m:0|g|#a:x\nm:-5|g|#a:x\n",
            "m,a=x:0|g:-5|g\n",
        ),
        (
            "updown",
            -0.5,
            "m.x:0|g\nm.x:-0.5|g\n",
            "m:0|g|#a:x\nm:-0.5|g|#a:x\n",
            "m,a=x:0|g:-0.5|g\n",
        ),
        ("info", 1, "m.x:1|g\n", "m:1|g|#a:x\n", "m,a=x:1|g\n"),
    ],
)
def test_numbers(kind, value, plain, datadog, telegraf):
    found = [lines(dialect, kind, value, a="x") for dialect in DIALECTS]
    assert found == [plain, datadog, telegraf]


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("plain", "m:50|ms\n" * 2 + "m:300|ms\n" * 3 + "m:2000|ms\n"),
        (
            "datadog",
            "m:50|ms|@0.5\nm:300|ms|@0.3333333333333333\nm:2000|ms\n",
        ),
        (
            "telegraf",
            "m:50|ms|@0.5\nm:300|ms|@0.3333333333333333\nm:2000|ms\n",
        ),
    ],
)
def test_durations(dialect, text):
    assert histogram(dialect, (2, 3, 1), 2 * 0.05 + 3 * 0.3 + 2.0) == text


def test_many_durations_in_the_plain_dialect():
    """As even as can be: 250 in 100 lines of two or three each."""
    found = histogram("plain", (50, 200, 0), 50 * 0.05 + 200 * 0.3)
    assert found.splitlines().count("m:50|ms|@0.5") == 10
    parts = read(found.encode(), "plain")
    assert {line.n for line in parts} == {2, 3}
    assert (len(parts), sum(line.n for line in parts)) == (100, 250)
    assert sum(line.text == "50" for line in parts) == 20


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("ns", ["0.00000005", "0.0000003"]),
        ("us", ["0.00005", "0.0003"]),
        ("ms", ["0.05", "0.3"]),
        ("s", ["50", "300"]),
        ("min", ["3000", "18000"]),
        ("h", ["180000", "1080000"]),
        ("d", ["4320000", "25920000"]),
    ],
)
def test_every_unit_of_time_becomes_milliseconds(unit, values):
    for dialect in DIALECTS:
        found = read(histogram(dialect, (1, 1, 0), 0.35, unit).encode(), dialect)
        assert [(line.text, line.kind) for line in found] == [
            (value, "ms") for value in values
        ]


@pytest.mark.parametrize(
    ("dialect", "kind"), [("plain", "ms"), ("datadog", "d"), ("telegraf", "h")]
)
def test_what_is_no_time_stays_as_it_is(dialect, kind):
    for unit in ("By", "", "1"):
        found = histogram(dialect, (0, 1, 0), 0.3, unit)
        assert found == f"m:0.3|{kind}\n"


def test_nothing_observed_is_not_said():
    for dialect in DIALECTS:
        assert histogram(dialect, (0, 0, 0), 0) == ""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("value", [nan, inf, -inf, 10**400])
@pytest.mark.parametrize("kind", ["counter", "gauge", "updown"])
def test_numbers_that_cannot_be_written(dialect, kind, value):
    with pytest.raises((ValueError, OverflowError)):
        lines(dialect, kind, value)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_counter_that_falls_cannot_be_written(dialect):
    with pytest.raises(ValueError, match=r"^$"):
        lines(dialect, "counter", -1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("total", [nan, inf, 10**400])
def test_a_histogram_without_a_sum_cannot_be_written(dialect, total):
    with pytest.raises((ValueError, OverflowError)):
        histogram(dialect, (1, 2, 0), total)


def test_values_below_zero_are_for_datadog_and_no_times():
    bounds = (-5.0, 5.0)
    assert histogram("datadog", (2, 0, 0), -12, "Cel", bounds) == "m:-5|d|@0.5\n"
    for dialect, unit in (("plain", "Cel"), ("telegraf", "Cel"), ("datadog", "s")):
        with pytest.raises(ValueError, match=r"^$"):
            histogram(dialect, (2, 0, 0), -12, unit, bounds)


def test_another_kind_of_point_cannot_be_written():
    point = ExponentialPoint({}, 1, 1.0, 0, 0, 0, (1,))
    dialect = DIALECTS["plain"]
    family = MetricFamily("m", "exponential")
    with pytest.raises(TypeError):
        lines_of(dialect, dialect.key("m", {}, {}), family, point)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.integers(1, 2**63) | st.floats(min_value=0, exclude_min=True))
def test_counters_read_back(dialect, value):
    if value == inf:
        return
    (line,) = read(lines(dialect, "counter", value, a="x").encode(), dialect)
    assert (float(line.text), line.kind, line.n) == (float(value), "c", 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_gauges_read_back(dialect, value):
    *zero, line = read(lines(dialect, "gauge", value).encode(), dialect)
    assert (line.value, line.kind) == (value, "g")
    is_pair = value < 0 and dialect != "telegraf"
    assert [each.text for each in zero] == ["0"] * is_pair


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_histograms_read_back(dialect, values):
    registry = Registry()
    observed = registry.histogram("m", unit="s", buckets=(0.5, 1, 10, 50))
    for value in values:
        observed.observe(value)
    found = read(of_family(dialect, registry.snapshot()["m"]).encode(), dialect)
    assert sum(line.n for line in found) == len(values)
    assert all(line.kind == "ms" for line in found)


@given(
    st.lists(
        st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), min_size=1
    ),
    st.integers(41, 100),
)
def test_datagrams_end_with_lines(texts, limit):
    body = b"".join(text + b"\n" for text in texts)
    found = list(datagrams(body, limit))
    assert b"".join(found) == body
    assert all(each.endswith(b"\n") and len(each) <= limit for each in found)
    for one, next_one in pairwise(found):  # as few as can be
        assert len(one) + next_one.index(b"\n") + 1 > limit
