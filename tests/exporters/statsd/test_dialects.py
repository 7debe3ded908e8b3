"""What series are called, in each dialect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_exporters.statsd._dialects import (
    DIALECTS,
    datadog_key,
    plain_key,
    tags_of,
    telegraf_key,
)
from tests.encoding.hostile import texts
from tests.exporters.statsd.reader import read_line

SERVICE = {"service": "shop", "env": "prod"}


@pytest.mark.parametrize(
    ("name", "labels", "path"),
    [
        ("orders.placed", {}, "orders.placed"),
        ("orders", {"channel": "web", "region": "eu"}, "orders.web.eu"),
        ("orders", {"region": "eu", "channel": "web"}, "orders.eu.web"),
        ("orders", {"channel": ""}, "orders.none"),
        ("http", {"route": "/orders/{id}", "status": "200"}, "http._orders__id_.200"),
        ("net", {"peer": "10.0.0.1:80"}, "net.10_0_0_1_80"),
        ("a", {"b": "é|c\n:1@0.1#x;y=z, "}, "a.__c__1_0_1_x_y_z__"),
        ("naïve name", {}, "na_ve_name"),
        ("", {}, "_"),
        ("orders", {"otel.metric.overflow": "true"}, "orders.overflow"),
        ("constructor", {}, "constructor_"),
        ("__proto__", {}, "__proto___"),
        ("app.constructor", {}, "app.constructor"),
        ("constructor", {"a": "b"}, "constructor.b"),
    ],
)
def test_plain(name, labels, path):
    assert plain_key(name, labels, SERVICE) == (path, "")


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        ({}, "env:prod,service:shop"),
        ({"channel": "web"}, "channel:web,env:prod,service:shop"),
        ({"channel": ""}, "env:prod,service:shop"),
        ({"service": "mine"}, "env:prod,service:mine"),
        ({"route": "/orders/{id}"}, "env:prod,route:/orders/{id},service:shop"),
        ({"city": "Zürich 日本"}, "city:Zürich_日本,env:prod,service:shop"),
        ({"peer": "a:80,b|c#d@e=f"}, "env:prod,peer:a_80_b_c_d_e_f,service:shop"),
        ({"x": "\ud800\x00\u2028\x85 \t"}, "env:prod,service:shop,x:______"),
        ({"a b": "1", "é": "2"}, "_:2,a_b:1,env:prod,service:shop"),
        ({"": "1"}, "_:1,env:prod,service:shop"),
        ({"__name__": "1"}, "_name__:1,env:prod,service:shop"),
        ({".-x": "1"}, "_x:1,env:prod,service:shop"),
        ({"_x": "1"}, "_x:1,env:prod,service:shop"),
        ({"le": "1", "quantile": "2"}, "env:prod,le_:1,quantile_:2,service:shop"),
    ],
)
def test_tags(labels, tags):
    assert datadog_key("a.b", labels, SERVICE) == ("a.b", f"|#{tags}")
    tags = tags.replace(":", "=")
    assert telegraf_key("a.b", labels, SERVICE) == (f"a.b,{tags}", "")


def test_no_tags():
    assert datadog_key("a b", {"c": ""}, {}) == ("a_b", "")
    assert telegraf_key("a b", {"c": ""}, {}) == ("a_b", "")


def test_tags_in_another_order_are_the_same_series():
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    for key in (datadog_key, telegraf_key):
        assert key("n", one, {}) == key("n", other, {})


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.data())
def test_no_text_forges_or_splits_a_line(dialect, data):
    any_text = texts | st.text("|:@#,=\n\r []'\"\\.-_a", max_size=12)
    name, labels = data.draw(any_text), data.draw(st.dictionaries(any_text, any_text))
    constant = tags_of({"service": data.draw(any_text)})
    key = DIALECTS[dialect].key(name, labels, constant)
    line = read_line(f"{key.head}:1|c{key.tail}", dialect)
    assert (line.text, line.kind, line.n) == ("1", "c", 1)
    if dialect != "plain":
        assert len(line.tags) <= len(labels) + 1
    else:
        assert line.name.count(".") >= len(labels)
