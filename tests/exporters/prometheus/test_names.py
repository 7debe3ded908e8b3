"""Names on the page, and what happens where two become one."""

import pytest

from obs import DefinitionError, Obs
from obs.catalog import CATALOG
from obs.metrics import Registry
from obs.model import MetricFamily
from obs_exporters import PrometheusExporter
from obs_exporters.prometheus._names import (
    Definitions,
    merged_name,
    page_labels,
    page_name,
    resource_labels,
)
from tests.exporters.prometheus.sources import (
    FixedSource,
    RegistrySource,
    histogram,
    number,
    started,
)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (number("orders.placed", "counter", unit="{order}"), "orders_placed"),
        (number("orders_total", "counter"), "orders"),
        (number("build_info", "info"), "build"),
        (histogram("operation.duration", unit="s"), "operation_duration_seconds"),
        (number("slo.objective", "gauge", unit="1"), "slo_objective_ratio"),
        (number("process.thread.count", "updown"), "process_threads"),
        (number("process.thread.count", "counter"), "process_thread_count"),
        (number("process.uptime", "gauge", unit="s"), "-"),
        (number("9lives", "gauge"), "_9lives"),
        (number("", "gauge"), "_"),
    ],
)
def test_a_family_has_this_name_on_the_page(family, name):
    assert page_name(family) == name


def test_a_kind_that_is_none_of_ours_is_refused():
    with pytest.raises(DefinitionError) as error:
        page_name(MetricFamily("x", "summary"))
    assert str(error.value) == (
        "metric 'x': kind got 'summary', needs one of counter, updown, gauge, "
        "histogram, exponential, info."
    )


def test_labels_have_the_classical_names_of_builtins():
    family = number("cpython.gc.collections", "counter")
    names = ("cpython.gc.generation", "9.x", "__name__")
    assert page_labels(family, names) == ("generation", "_9_x", "_name__")


def test_two_labels_that_become_one_are_refused_by_both_names():
    with pytest.raises(DefinitionError) as error:
        page_labels(number("m"), ("a", "b.c", "b_c"))
    assert str(error.value) == (
        "metric 'm': labels 'b.c' and 'b_c' are both 'b_c' on the Prometheus page. Give "
        "one of them another name."
    )


def test_the_label_of_the_buckets_is_refused_for_histograms_alone():
    with pytest.raises(DefinitionError) as error:
        page_labels(histogram("m"), ("le",))
    assert str(error.value) == (
        "metric 'm': label 'le' is that of the buckets on the Prometheus page. Give it "
        "another name."
    )
    assert page_labels(number("m"), ("le",)) == ("le",)


def test_attributes_of_the_resource_that_become_one_are_joined_in_their_order():
    attributes = {"b": "1", "a_b": "3", "a.b": "2"}
    assert resource_labels(attributes) == {"a_b": "2;3", "b": "1"}


def test_foreign_names_become_what_prometheus_client_prints():
    assert merged_name("9a.b:c-żd") == "_a_b:c__d"
    assert merged_name("") == ""


@pytest.mark.parametrize(
    ("define", "again", "text"),
    [
        (
            lambda r: r.gauge("a.b"),
            lambda r: r.updown("a_b"),
            "updown 'a_b': its name 'a_b' on the Prometheus page is taken by gauge "
            "'a.b'. Give one of them another name.",
        ),
        (
            lambda r: r.histogram("a"),
            lambda r: r.gauge("a_count"),
            "gauge 'a_count': its name 'a_count' on the Prometheus page is taken by "
            "histogram 'a'. Give one of them another name.",
        ),
        (
            lambda r: r.gauge("jobs.created"),
            lambda r: r.counter("jobs"),
            "counter 'jobs': its name 'jobs_created' on the Prometheus page is taken by "
            "gauge 'jobs.created'. Give one of them another name.",
        ),
        (
            lambda r: r.counter("waited", unit="s"),
            lambda r: r.counter("waited.seconds"),
            "counter 'waited.seconds': its name 'waited_seconds' on the Prometheus page "
            "is taken by counter 'waited'. Give one of them another name.",
        ),
        (
            lambda r: None,
            lambda r: r.info("target"),
            "info 'target': its name 'target' on the Prometheus page is taken by the "
            "page's own target_info. Give one of them another name.",
        ),
    ],
)
def test_two_metrics_that_become_one_raise_where_the_second_is_defined(
    define, again, text
):
    registry = Registry()
    define(registry)
    with started(RegistrySource(registry)):
        with pytest.raises(DefinitionError) as error:
            again(registry)
        assert str(error.value) == text
    again(registry)


def test_two_metrics_that_became_one_before_raise_at_start():
    registry = Registry()
    registry.gauge("a.b")
    registry.gauge("a_b")
    with (
        pytest.raises(DefinitionError, match=r"taken by gauge 'a\.b'"),
        started(RegistrySource(registry)),
    ):
        raise AssertionError


def test_the_same_metric_may_be_asked_for_again():
    registry = Registry()
    with started(RegistrySource(registry)):
        assert registry.counter("a") is registry.counter("a")


def test_what_is_not_on_the_page_takes_no_name():
    registry = Registry()
    with started(RegistrySource(registry)):
        registry.block(CATALOG["process.uptime"])
        registry.gauge("process_uptime_seconds")


def test_a_metric_that_would_hide_one_of_the_process_raises_where_it_is_defined():
    tel = Obs("x", exporters=[PrometheusExporter(port=None)])
    with (
        tel.start(),
        pytest.raises(
            DefinitionError, match=r"'process_open_fds' .* is taken by updown"
        ),
    ):
        tel.gauge("process_open_fds")


def test_a_metric_whose_labels_become_one_raises_where_it_is_defined():
    registry = Registry()
    with (
        started(RegistrySource(registry)),
        pytest.raises(DefinitionError, match=r"labels 'a\.b' and 'a_b' are both"),
    ):
        registry.counter("m", labels=("a.b", "a_b"))
    registry.counter("m", labels=("a.b", "a_b"))
    with (
        pytest.raises(DefinitionError, match=r"labels 'a\.b' and 'a_b' are both"),
        started(RegistrySource(registry)),
    ):
        raise AssertionError


def test_an_exponential_histogram_takes_no_name():
    definitions = Definitions()
    source = FixedSource()
    definitions.watch(source)
    (check,) = source.checks
    check(MetricFamily("m", "exponential"))
    check(MetricFamily("m_count", "gauge"))


def test_a_source_is_asked_once_for_its_definitions():
    definitions = Definitions()
    source = FixedSource()
    definitions.watch(source)
    definitions.forget()
    definitions.watch(source)
    assert len(source.checks) == 1
    definitions.watch(FixedSource())


def test_after_close_nothing_is_checked():
    definitions = Definitions()
    source = FixedSource()
    definitions.watch(source)
    (check,) = source.checks
    check(number("a.b"))
    definitions.forget()
    check(number("a_b"))
