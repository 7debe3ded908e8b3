"""Paths: levels or tags, and what may stand in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.model import MetricFamily
from obs.naming import OVERFLOW_LABEL
from obs_exporters.graphite._paths import Flat, Path, Tagged, resolved
from tests.exporters.graphite.reader import read

ANY_TEXT = st.text(
    "\n\r\t\x00\x0b\x1c\x85\xa0\u2028 \"'\\,;:=|~!^/.{}é日\ud800", max_size=6
)
TEXTS = ANY_TEXT | st.text(max_size=30) | st.text("aé", min_size=80, max_size=300)


def family(name="orders.placed", kind="counter"):
    return MetricFamily(name, kind)


def flat(labels, name="orders.placed", prefix="app"):
    path = Flat(prefix).path(family(name), labels)
    return path and path.text()


def tagged(labels, name="orders.placed", kind="counter", prefix="", **resource):
    path = Tagged(prefix, resource).path(family(name, kind), labels)
    return path and path.text()


def test_levels_are_prefix_name_and_values_in_their_order():
    assert flat({"channel": "web", "a": "b"}) == "app.orders.placed.web.b"
    assert flat({}) == "app.orders.placed"
    assert flat({"channel": "web"}, prefix="") == "orders.placed.web"
    assert flat({}, prefix="a.b-c") == "a.b-c.orders.placed"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("", "_empty_"),
        ("a.b", "a_b"),
        ("..", "__"),
        ("/users/{id}", "_users__id_"),
        ("a b\n1 2", "a_b_1_2"),
        ("a;b=c", "a_b_c"),
        ("été-日本_1", "été-日本_1"),
        ("\ud800", "_"),
        ("a\u2028b\x85c\xa0d\ufeff", "a_b_c_d_"),
        ("*?[x]", "___x_"),
    ],
)
def test_a_value_is_one_level(value, level):
    assert flat({"l": value}) == f"app.orders.placed.{level}"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (".a..b.", "app.a.b"),
        ("a b;c", "app.a_b_c"),
        ("", None),
        ("...", None),
    ],
)
def test_dots_of_a_name_are_between_levels(name, path):
    assert flat({}, name) == path


def test_what_is_past_a_limit_is_one_level_and_is_no_value():
    assert flat({OVERFLOW_LABEL: "true"}) == "app.orders.placed.otel_metric_overflow"
    assert flat({"x": "true"}) == "app.orders.placed.true"
    assert tagged({OVERFLOW_LABEL: "true"}) == "orders.placed;otel.metric.overflow=true"


def test_tags_are_sorted_as_carbon_sorts_them():
    assert tagged({"b": "1", "a": "2"}) == "orders.placed;a=2;b=1"
    # By the text of the pair: "." stands before "=".
    assert tagged({"a": "1", "a.b": "2"}) == "orders.placed;a.b=2;a=1"
    assert tagged({}) == "orders.placed"
    assert tagged({}, prefix="app") == "app.orders.placed"


def test_attributes_of_the_resource_are_tags_and_labels_go_before():
    resource = {"service.name": "s", "host.name": "h", "none": ""}
    assert tagged({}, **resource) == "orders.placed;host.name=h;service.name=s"
    assert (
        tagged({"host.name": "mine"}, **resource)
        == "orders.placed;host.name=mine;service.name=s"
    )


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        ({"a": "", "b": "x"}, ";b=x"),
        ({"a": "~x~"}, ";a=_x~"),
        ({"a": "~"}, ";a=_"),
        ({"a": ";b=c"}, ";a=_b=c"),
        ({"a": "/users/{id}"}, ";a=/users/{id}"),
        ({"a": '{x="y"}'}, ";a={x=_y_}"),
        ({"a": "a b\n1 2"}, ";a=a_b_1_2"),
        ({"a": "é 日\u2028\ud800\x7f"}, ";a=é_日___"),
        ({"!^=;~ é.a-b": "x"}, ";______é.a-b=x"),
        ({"": "x"}, ";_=x"),
        ({"name": "x"}, ";name_=x"),
        ({"name": "x", "name_": "y"}, ";name_=x;name__=y"),
        ({"a b": "x", "a_b": "y"}, ";a_b=x;a_b_=y"),
        ({"le": "x"}, ";le=x"),
    ],
)
def test_what_stands_in_tags(labels, tags):
    assert tagged(labels) == f"orders.placed{tags}"


def test_the_tag_of_a_bound_is_a_histograms_own():
    assert tagged({"le": "x"}, kind="histogram") == "orders.placed;le_=x"


def test_what_a_histogram_appends():
    path = Path("a.b", None)
    assert path.text("count") == "a.b.count"
    assert path.text("bucket", "0.25") == "a.b.bucket.0_25"
    assert path.text("bucket", "-1") == "a.b.bucket.-1"
    assert path.text("bucket", "+Inf") == "a.b.bucket.Inf"
    path = Path("a.b", ("k=v", "m=w"))
    assert path.text("p99") == "a.b.p99;k=v;m=w"
    assert path.text("bucket", "0.25") == "a.b.bucket;k=v;le=0.25;m=w"
    assert Path("a", ()).text("bucket", "+Inf") == "a.bucket;le=+Inf"


@pytest.mark.parametrize(
    ("text", "is_good"),
    [("x" * 251, True), ("x" * 252, False), ("é" * 125, True), ("é" * 126, False)],
)
def test_a_level_is_at_most_the_name_of_a_file(text, is_good):
    assert (flat({"l": text}) is not None) == is_good
    assert (flat({}, text) is not None) == is_good
    assert (flat({}, prefix=text) is not None) == is_good


@pytest.mark.parametrize(("more", "is_good"), [(0, True), (1, False)])
def test_a_tag_is_at_most_what_servers_take(more, is_good):
    assert (tagged({"l": "é" * (191 + more)}) is not None) == is_good
    assert (tagged({"k" * (191 + more): "x"}) is not None) == is_good
    assert (tagged({"é" * (95 + more): "x"}) is not None) == is_good
    assert (tagged({}, "x" * (184 + more)) is not None) == is_good


def test_a_name_that_grows_past_the_limit_is_left_out():
    assert tagged({"a" * 190 + " ": "1", "a" * 190 + ";": "2"}) is None


@pytest.mark.parametrize(("n", "is_good"), [(1_000, True), (1_001, False)])
def test_a_path_has_at_most_a_thousand_bytes(n, is_good):
    labels = {f"l{i}": "é" * 90 for i in range(5)}
    for path_of, name in ((flat, "app.orders.placed"), (tagged, "orders.placed")):
        begin = path_of(labels)
        assert begin.startswith(name)
        sign = ";z=" if path_of is tagged else "."
        rest = n - len(begin.encode()) - len(sign)
        path = path_of({**labels, "z": "x" * rest})
        assert path == (f"{begin}{sign}{'x' * rest}" if is_good else None)


def test_a_prefix_with_attributes():
    attributes = {"service.name": "my shop.eu", "host.name": "web-1.example"}
    wanted = "app.my_shop_eu.at-web-1_example"
    assert resolved("app.{service.name}.at-{host.name}", attributes) == wanted
    assert resolved("{process.pid}", attributes) == "_empty_"
    assert resolved("", attributes) == ""


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), TEXTS, TEXTS)
def test_no_text_forges_a_path(labels, name, service):
    prefix = resolved("{service.name}", {"service.name": service})
    path = flat(labels, name, prefix)
    if path is not None:
        found = read(path, 1.0, 1)
        levels = sum(1 for it in name.split(".") if it)
        assert len(found.name.split(".")) == 1 + levels + len(labels)
        assert len(path.encode()) <= 1_000


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), TEXTS, TEXTS)
def test_no_text_forges_a_tag(labels, name, service):
    path = tagged(labels, name, "histogram", **{"service.name": service})
    if path is not None:
        found = read(path, 1.0, 1)
        has = {"service.name": service, **labels}
        assert len(found.tags) == sum(1 for value in has.values() if value)
        assert len(path.encode()) <= 1_000


PLAIN = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(st.dictionaries(PLAIN.filter("name".__ne__), PLAIN, max_size=4), PLAIN)
def test_what_is_plain_reads_back(labels, name):
    assert read(tagged(labels, name), 1.0, 1)[:2] == (name, labels)
    assert flat(labels, name).split(".") == ["app", name, *labels.values()]
