"""What becomes of metrics in line protocol."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.limits import Limits
from obs.metrics import Registry
from obs.model import Batch, Block, MetricFamily, NumberPoint, Resource
from obs.testing import FakeClock
from obs_exporters.influxdb._lines import encode_metrics
from tests.exporters.influxdb.reader import read, read_line

TIME = 1_700_000_000_123_456_789
MANY = 1 << 20


def batch(*families, **resource):
    attributes = {name.replace("_", "."): value for name, value in resource.items()}
    return Batch("metrics", Resource(attributes), families=families, time_ns=TIME)


def payloads(*families, tags=(), max_bytes=MANY, **resource):
    return list(encode_metrics(batch(*families, **resource), tags, max_bytes))


def body(*families, **more):
    (payload,) = payloads(*families, **more)
    return payload.body


def gauge(value=1, name="g", **labels):
    names, row = tuple(labels), tuple(labels.values())
    return MetricFamily.of(name, "gauge", {row: value}, label_names=names)


def labelled(names, *rows):
    return MetricFamily.of("m", "gauge", dict.fromkeys(rows, 1), label_names=names)


def histogram(bounds, buckets, total, name="h"):
    block = Block((), [()], [total], [buckets])
    return MetricFamily(name, "histogram", blocks=[block], bounds=bounds)


def test_every_kind_of_instrument_as_it_goes_over_the_wire():
    registry = Registry(clock=FakeClock())
    registry.counter("orders.placed", labels=("channel", "at")).labels("web", "x").inc()
    registry.updown("queue.items").dec(2)
    registry.gauge("temperature", unit="Cel").set(-1.5)
    registry.info("build", labels=("version",)).set("1.4.2")
    seconds = registry.histogram("wait", buckets=(0.005, 1, 2.5))
    for value in (0.001, 0.5, 0.75, 7):
        seconds.observe(value)
    found = body(
        *registry.snapshot(),
        tags=("service.name", "host.name"),
        service_name="shop",
        host_name="a b",
        other="x",
    )
    assert found == (
        b"orders.placed,at=x,channel=web,host.name=a\\ b,service.name=shop value=1.0 %d\n"
        b"queue.items,host.name=a\\ b,service.name=shop value=-2.0 %d\n"
        b"temperature,host.name=a\\ b,service.name=shop value=-1.5 %d\n"
        b"build,host.name=a\\ b,service.name=shop,version=1.4.2 value=1.0 %d\n"
        b"wait,host.name=a\\ b,service.name=shop "
        b"count=4i,sum=8.251,0.005=1i,1=3i,2.5=3i,+Inf=4i %d"
    ) % ((TIME,) * 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0"),
        (-0.0, "-0.0"),
        (True, "1.0"),
        (2**53, "9007199254740992.0"),
        (2**63, "9.223372036854776e+18"),
        (5e-324, "5e-324"),
        (-1.7e308, "-1.7e+308"),
        (Fraction(1, 4), "0.25"),
    ],
)
def test_a_number_is_a_float_whatever_it_was(value, text):
    assert body(gauge(value)) == f"g value={text} {TIME}".encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, "one", None])
def test_what_is_no_finite_number_is_left_out_and_counted(value):
    found = payloads(gauge(), gauge(value, "bad"), gauge(2, "last"))
    assert [line.measurement for it in found for line in read(it.body)] == ["g", "last"]
    assert [(it.records, it.dropped) for it in found] == [(2, {"invalid": 1})]
    assert payloads(gauge(value)) == [(b"", 0, {"invalid": 1}, 0)]


@pytest.mark.parametrize(
    "bad",
    [
        histogram((1.0,), [1, 2], math.inf),
        histogram((1.0,), [1, 2], 10**400),
        histogram((1.0,), [2**62, 2**62], 1),
        histogram((math.inf,), [1, 2], 1),
        histogram((math.nan,), [1, 2], 1),
        histogram((1.0,), [1, 2.5], 1),
        histogram((1.0,), [1, 2, 3], 1),
        histogram((1.0,), [1], 1),
    ],
)
def test_a_histogram_that_no_server_could_take_is_left_out_and_counted(bad):
    assert payloads(bad) == [(b"", 0, {"invalid": 1}, 0)]


def test_buckets_are_named_by_their_bounds_and_count_all_below():
    found = read_line(
        body(histogram((-0.5, 0, 1e-7, 10, 1e16), [1, 2, 0, 0, 3, 4], -5))
    )
    assert found.fields == {
        "count": 10,
        "sum": -5.0,
        "-0.5": 1,
        "0": 3,
        "1e-07": 3,
        "10": 3,
        "1e+16": 6,
        "+Inf": 10,
    }
    assert {type(value) for name, value in found.fields.items() if name != "sum"} == {
        int
    }
    assert type(found.fields["sum"]) is float


def test_a_histogram_may_have_no_bounds_or_no_values():
    assert read_line(body(histogram((), [3], 1.5))).fields == {
        "count": 3,
        "sum": 1.5,
        "+Inf": 3,
    }
    assert read_line(body(histogram((1.0,), [0, 0], 0))).fields["count"] == 0


def test_a_count_that_is_true_is_one():
    assert read_line(body(histogram((1.0,), [True, 1], 1))).fields["1"] == 1


def test_an_exponential_histogram_is_left_out_and_counted():
    family = MetricFamily("e", "exponential", blocks=[Block((), [()], [None])])
    assert payloads(family) == [(b"", 0, {"invalid": 1}, 0)]


def test_nothing_gives_nothing():
    assert payloads() == []
    assert payloads(MetricFamily("m", "counter", blocks=[Block(("a",), [], [])])) == []


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a b", r"a\ b"),
        ("a,b", r"a\,b"),
        ("a=b", r"a\=b"),
        ("a\\b", "a/b"),
        ("ends\\", "ends/"),
        ("a\\,b", r"a/\,b"),
        ("a\nb", r"a\ b"),
        ("a\r\n\tb\x00\x7f", r"a\ \ \ b\ \ "),
        (" ", r"\ "),
        ("\"#'", "\"#'"),
        ("\ud800x\udfff", "?x?"),
        ("\udfff", "?"),
        ("é\u2028日本😀", "é\u2028日本😀"),
    ],
)
def test_values_and_keys_of_tags_are_escaped(text, tag):
    assert body(labelled(("k",), (text,))) == f"m,k={tag} value=1.0 {TIME}".encode()
    assert body(labelled((text,), ("v",))) == f"m,{tag}=v value=1.0 {TIME}".encode()


@pytest.mark.parametrize(
    ("name", "measurement"),
    [
        ("a b,c=d", r"a\ b\,c=d"),
        ("a\\", "a/"),
        ("a\nb", r"a\ b"),
        ("\ud800", "?"),
        ("_internal", "metric_internal"),
        ("# no comment", r"metric#\ no\ comment"),
        ("a#b_", "a#b_"),
        (" #", r"\ #"),
    ],
)
def test_measurements_are_escaped(name, measurement):
    found = body(gauge(name=name, l="1"))
    assert found == f"{measurement},l=1 value=1.0 {TIME}".encode()


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("time", "tag_time"),
        ("_field", "tag_field"),
        ("_measurement", "tag_measurement"),
        ("__x", "tag_x"),
        ("_", "tag_"),
        ("times", "times"),
        ("Time", "Time"),
        ("a_b", "a_b"),
    ],
)
def test_reserved_keys_get_a_prefix(label, key):
    assert read_line(body(labelled((label,), ("v",)))).tags == {key: "v"}


def test_tags_are_sorted_by_their_bytes():
    names = ("b", "a", "Z", "é", "\uffff", "😀", "a.b", "a b")
    found = body(labelled(names, tuple("12345678")), tags=("aa",), aa="x")
    assert found.startswith(b"m,Z=3,a=2,a.b=7,a\\ b=8,aa=x,b=1,")
    assert list(read_line(found).tags)[-3:] == ["é", "\uffff", "😀"]


def test_an_empty_value_is_no_tag():
    found = body(
        labelled(("a", "b", "c"), ("", "1", "")), tags=("aa", "bb"), aa="", bb="y"
    )
    assert found == b"m,b=1,bb=y value=1.0 %d" % TIME


def test_a_label_goes_before_an_attribute_of_the_resource():
    family = labelled(("host.name", "x"), ("mine", "1"), ("", "2"))
    found = read(body(family, tags=("host.name",), host_name="theirs"))
    assert [line.tags for line in found] == [
        {"host.name": "mine", "x": "1"},
        {"x": "2"},
    ]


@pytest.mark.parametrize(
    "family",
    [
        gauge(name=""),
        labelled(("",), ("v",)),
        labelled(("a\\b", "a/b"), ("1", "2")),
        labelled(("time", "tag_time"), ("1", "2")),
        labelled(("a",), (5,)),
        gauge(name=7),
    ],
)
def test_what_can_have_no_key_is_left_out_and_counted(family):
    assert payloads(family) == [(b"", 0, {"invalid": 1}, 0)]


def test_series_that_become_one_are_added_up():
    found = payloads(
        labelled(("a",), ("x\ny",), ("x y",), ("x\\y",)), gauge(name="other")
    )
    (payload,) = found
    assert (payload.records, payload.dropped, payload.merged) == (3, {}, 1)
    first, second, other = read(payload.body)
    assert (first.tags, first.fields) == ({"a": "x y"}, {"value": 2.0})
    assert (second.tags, second.fields) == ({"a": "x/y"}, {"value": 1.0})
    assert other.measurement == "other"


def test_a_key_of_64000_bytes_is_the_longest():
    room = 64_000 - len("m,k=")
    fits, too_long = "é" * (room // 2), "é" * (room // 2) + "x"
    (payload,) = payloads(labelled(("k",), (too_long,), (fits,)))
    assert (payload.records, payload.dropped) == (1, {"invalid": 1})
    assert read_line(payload.body).tags == {"k": fits}


def test_bodies_keep_the_limit_and_a_longer_line_is_left_out():
    rows = [(f"{n:03}" * 20,) for n in range(200)] + [("x" * 1_000,)]
    found = payloads(labelled(("k",), *rows), gauge(math.nan), max_bytes=1_000)
    assert all(0 < len(it.body) <= 1_000 for it in found)
    assert len(found) == 20
    lines = [line for it in found for line in read(it.body)]
    assert [line.tags["k"] for line in lines] == [row[0] for row in rows[:-1]]
    assert [it.records for it in found] == [len(read(it.body)) for it in found]
    assert sum(it.dropped.get("invalid", 0) for it in found) == 2


def test_what_was_merged_is_counted_once():
    rows = [(f"{n:03}" * 20,) for n in range(50)] + [("x\ny",), ("x y",)]
    found = payloads(labelled(("k",), *rows), max_bytes=1_000)
    assert len(found) > 1
    assert [it.merged for it in found] == [1] + [0] * (len(found) - 1)
    assert sum(it.records for it in found) == 51


def test_the_overflow_series_is_one_like_others():
    registry = Registry(Limits(series_per_block=2), clock=FakeClock())
    counter = registry.counter("c", labels=("user",))
    for user in "abcd":
        counter.labels(user).inc()
    found = {
        tuple(line.tags.items()): line.fields
        for line in read(body(*registry.snapshot()))
    }
    assert found[("otel.metric.overflow", "true"),] == {"value": 2.0}
    assert len(found) == 3


TEXTS = st.text(
    st.sampled_from(' ,=\\\n\r\t"#_a/é\x00\ud800😀') | st.characters(), max_size=8
)
NUMBERS = st.floats() | st.integers() | st.sampled_from([2**63, 2**70, 10**400])


@st.composite
def families(draw):
    names = draw(st.lists(TEXTS, max_size=3, unique=True))
    row = st.tuples(*(TEXTS for _ in names))
    rows = draw(st.lists(row, min_size=1, max_size=3, unique=True))
    name = draw(TEXTS)
    if draw(st.booleans()):
        bounds = sorted(draw(st.sets(st.floats(allow_nan=False), max_size=3)))
        counts = st.lists(
            st.integers(0, 2**63), min_size=len(bounds) + 1, max_size=len(bounds) + 1
        )
        block = Block(
            tuple(names),
            rows,
            [draw(NUMBERS) for _ in rows],
            [draw(counts) for _ in rows],
        )
        return MetricFamily(name, "histogram", blocks=[block], bounds=tuple(bounds))
    kind = draw(st.sampled_from(["counter", "updown", "gauge", "info"]))
    values = {row: draw(NUMBERS) for row in rows}
    return MetricFamily.of(name, kind, values, label_names=tuple(names))


@given(st.lists(families(), max_size=4), TEXTS, TEXTS)
def test_no_input_forges_or_splits_a_line(some, attribute, value):
    found = list(
        encode_metrics(
            Batch("metrics", Resource({attribute: value}), families=some, time_ns=TIME),
            (attribute or "none",),
            MANY,
        )
    )
    lines = [line for it in found if it.body for line in read(it.body)]
    assert len(lines) == sum(it.records for it in found)
    total = len(lines) + sum(sum(it.dropped.values()) + it.merged for it in found)
    assert total == sum(len(family.points) for family in some)
    assert {line.time for line in lines} <= {TIME}
    types = {(name, type(it)) for line in lines for name, it in line.fields.items()}
    assert len({name for name, _ in types}) == len(types)
    keys = [(line.measurement, *line.tags.items()) for line in lines]
    assert len(set(keys)) == len(keys)


ORDINARY = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), max_size=12
)


@given(
    ORDINARY.filter(lambda it: it and it[0] not in "_#"),
    st.dictionaries(
        ORDINARY.filter(lambda it: it and it[0] != "_" and it != "time"),
        ORDINARY,
        max_size=4,
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_ordinary_reads_back_as_it_was(name, labels, value):
    family = MetricFamily.of(
        name, "gauge", {tuple(labels.values()): value}, label_names=tuple(labels)
    )
    line = read_line(body(family))
    kept = {key: text for key, text in labels.items() if text}
    assert (line.measurement, line.tags) == (name, kept)
    assert line.fields == {"value": value}
    assert family.points == [NumberPoint(labels, value)]
