"""Our families in a registry of prometheus_client."""

import builtins
from math import isnan

import prometheus_client
import pytest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from obs import DefinitionError, Obs
from obs.catalog import CATALOG
from obs.metrics import Registry
from obs.model import MetricFamily
from obs_exporters.prometheus import collector
from tests.exporters.prometheus.sources import (
    OPENMETRICS,
    FixedSource,
    histogram,
    number,
    page_of,
    samples,
)


def registered(source):
    registry = prometheus_client.CollectorRegistry(auto_describe=True)
    bridge = collector(source)
    registry.register(bridge)
    return registry, bridge


def families():
    return [
        number(
            "c", "counter", {("a\ud800",): 3}, label_names=("l.l",), help="C.\udc00"
        ),
        number("u", "updown", -1, unit="By"),
        number("g", "gauge", {("x",): float("nan"), ("y",): 2**60}, label_names=("l",)),
        number("i", "info", {("1",): 0}, label_names=("v",)),
        histogram("h", rows={("x",): (1.5, [1, 0, 2])}, label_names=("l",), unit="s"),
        histogram("low", bounds=(-1.0, 1.0)),
        CATALOG["process.cpu.time"].family(1.5),
        CATALOG["process.uptime"].family(1.5),
    ]


@pytest.mark.parametrize(
    ("accept", "generate"),
    [("", prometheus_client.generate_latest), (OPENMETRICS, openmetrics)],
)
def test_their_page_of_ours_reads_as_our_own(accept, generate):
    registry, bridge = registered(FixedSource(*families()))
    theirs = samples(generate(registry).decode(), accept)
    ours = samples(page_of(*families(), accept=accept), accept)
    dropped = {("low_sum", frozenset()), ("low_count", frozenset())}
    assert theirs.keys() == ours.keys() - dropped
    for key, value in theirs.items():
        assert value == ours[key] or (isnan(value) and isnan(ours[key]))
    assert bridge.left_out == {}


def test_help_and_unit_go_along():
    registry, _ = registered(FixedSource(*families()))
    page = openmetrics(registry).decode()
    assert "# HELP c C.\ufffd\n" in page
    assert "# UNIT h_seconds seconds\n" in page
    assert "# UNIT u_bytes bytes\n" in page


def test_what_cannot_be_shown_is_left_out_with_its_reason():
    source = FixedSource(
        MetricFamily("e", "exponential"),
        number("a.b"),
        number("a_b"),
        object(),
        number("n", values={("x", "y"): 1}, label_names=("l",)),
        number("c", "counter", {("x",): -1, ("y",): 1}, label_names=("l",)),
        histogram("h", rows={("x",): ("?", [0, 0, 0])}, label_names=("l",)),
    )
    registry, bridge = registered(source)
    assert set(samples(prometheus_client.generate_latest(registry).decode())) == {
        ("a_b", frozenset()),
        ("c_total", frozenset({("l", "y")})),
    }
    reasons = {name[:20]: reason for name, reason in bridge.left_out.items()}
    assert reasons.pop("'e'").endswith("has no exponential histograms")
    assert "taken by metric 'a.b'" in reasons.pop("'a_b'")
    assert reasons.pop("'n'").startswith("ValueError")
    assert list(reasons) == ["<object object at 0x"]


def test_an_instance_and_a_registry_can_both_be_read():
    tel = Obs("x", runtime=False)
    tel.counter("from.tel").inc()
    alone = Registry()
    alone.counter("alone").inc(2)
    registry, _ = registered(tel)
    registry.register(collector(alone))
    assert registry.get_sample_value("from_tel_total") == 1
    assert registry.get_sample_value("alone_total") == 2


def test_a_source_has_a_snapshot():
    with pytest.raises(DefinitionError) as error:
        collector(7)
    assert str(error.value) == "collector() got 7, needs an object with snapshot()."


def test_without_prometheus_client_the_text_says_what_to_install(monkeypatch):
    import_it = builtins.__import__

    def without(name, *rest):
        if name == "prometheus_client":
            raise ImportError
        return import_it(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DefinitionError) as error:
        collector(Registry())
    assert str(error.value) == (
        "collector(): prometheus_client is not installed. "
        "Run: pip install 'obs-sdk[prometheus]'."
    )
