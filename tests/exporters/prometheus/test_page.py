"""The whole page: golden bytes, what is left out, what is kept between pages."""

import pytest

from obs.catalog import CATALOG
from obs.model import Block, MetricFamily
from tests.exporters.prometheus.sources import (
    OPENMETRICS,
    FixedSource,
    RegistrySource,
    both_pages,
    compare_with_golden,
    histogram,
    number,
    page_of,
    samples,
    started,
)

HOSTILE = 'quote " back\\slash new\nline 100% %s {a="b"} żółć 😀'
RESOURCE = {"service.name": "shop", "service.version": "1.4.2", "host.name": HOSTILE}
KINDS = {
    "counter": [
        number(
            "orders.placed",
            "counter",
            {("web",): 3, (HOSTILE,): 2.5, ("",): 10**18},
            label_names=("sales.channel",),
            unit="{order}",
            help="Orders placed.",
        ),
        number("http.bytes", "counter", 7, unit="By", help='Two\nlines, "C:\\temp".'),
        number("no.series", "counter", {}, label_names=("a",), help="None yet."),
    ],
    "updown": [number("carts.open", "updown", -2, help="Carts.")],
    "gauge": [
        number(
            "temperature",
            "gauge",
            {("low",): float("-inf"), ("high",): float("inf"), ("no",): float("nan")},
            label_names=("where",),
            unit="Cel",
        ),
        number("ratio", "gauge", 1e-07, unit="1"),
        number("seconds", "gauge", -0.0, unit="s"),
    ],
    "info": [
        number("build", "info", {("1.4.2", "a"): 1},
               label_names=("version", "commit"), help="What runs."),
    ],
    "histogram": [
        histogram(
            "latency",
            bounds=(0.005, 1, 2.5),
            rows={("GET",): (0.75, [1, 2, 0, 4]), (HOSTILE,): (0, [0, 0, 0, 0])},
            label_names=("method",),
            unit="s",
            help="Latency.",
        ),
        histogram("plain", bounds=(1.0,), rows={(): (1e16, [1, 2])}),
    ],
    "negative_bounds": [
        histogram("drift", bounds=(-1.0, 1.0), rows={(): (-3.5, [2, 1, 0])}, unit="s")
    ],
    "builtin": [
        CATALOG["process.cpu.time"].family(1.25),
        CATALOG["process.uptime"].family(60),
        CATALOG["cpython.gc.collections"].family({("0",): 5}),
        CATALOG["python.info"].family({("CPython", "3", "11", "7", "3.11.7"): 1}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_each_kind_has_these_bytes(kind, accept):
    source = FixedSource(*KINDS[kind])
    with started(source) as exporter:
        page = exporter.page(accept).body
    suffix = "openmetrics" if accept else "text"
    compare_with_golden(f"{kind}.{suffix}", page)
    assert source.counted == {}


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_all_kinds_on_one_page_are_read_by_somebody_else(accept):
    families = [family for kind in KINDS.values() for family in kind]
    page = page_of(accept=accept, source=FixedSource(*families, attributes=RESOURCE))
    found = samples(page, accept)
    assert found["orders_placed_total", frozenset({("sales_channel", HOSTILE)})] == 2.5
    assert found["target_info", frozenset({
        ("service_name", "shop"), ("service_version", "1.4.2"), ("host_name", HOSTILE)
    })] == 1  # fmt: skip
    assert found["latency_seconds_count", frozenset({("method", "GET")})] == 7


def test_the_resource_comes_first_as_target_info():
    source = FixedSource(number(), attributes={"service.name": "a"})
    assert page_of(source=source).startswith(
        "# HELP target_info Target metadata.\n"
        "# TYPE target_info gauge\n"
        'target_info{service_name="a"} 1\n'
        "# TYPE n gauge\n"
    )
    assert page_of(source=source, accept=OPENMETRICS).startswith(
        "# HELP target Target metadata.\n"
        "# TYPE target info\n"
        'target_info{service_name="a"} 1\n'
        "# TYPE n gauge\n"
    )


def test_without_a_resource_there_is_no_target_info():
    assert "target" not in page_of(number())


def test_an_empty_registry_gives_an_empty_page():
    assert both_pages() == ("", "# EOF\n")


def test_an_infos_value_is_always_one():
    assert page_of(number("i", "info", 7)) == "# TYPE i_info gauge\ni_info 1\n"


def test_a_builtin_that_is_not_for_prometheus_is_not_there():
    source = FixedSource(CATALOG["process.uptime"].family(3))
    assert page_of(source=source) == ""
    assert source.counted == {}


def test_a_builtin_may_have_labels_of_its_own():
    family = CATALOG["operation.duration"].family({})
    names = (*CATALOG["operation.duration"].labels, "sales.channel")
    row = ("place", "ok", "", "web")
    family.bounds = (1.0,)
    family.blocks = [
        Block(names, [row], [0.5], [[1, 0]]),
        Block(("operation", "otel.metric.overflow"), [("x", "true")], [3], [[0, 1]]),
    ]
    for accept in ("", OPENMETRICS):
        found = samples(page_of(family, accept=accept), accept)
        name = "operation_duration_seconds_count"
        labels = dict(zip(("operation", "outcome", "error_type"), row, strict=False))
        labels["sales_channel"] = "web"
        assert found[name, frozenset(labels.items())] == 1
        overflow = {"operation": "x", "otel_metric_overflow": "true"}
        assert found[name, frozenset(overflow.items())] == 1


def test_an_exponential_histogram_is_left_out_counted_and_said_once():
    source = FixedSource(MetricFamily("e", "exponential"), number("after"))
    with started(source) as exporter:
        for count in (1, 2):
            assert exporter.page().body == b"# TYPE after gauge\nafter 1\n"
            assert source.counted == {"invalid": count}
    assert source.said == [
        (
            "prometheus",
            "metric 'e': the text formats have no exponential histograms. It is not on "
            "the page. Give it bounds, or send it by OTLP.",
        )
    ]


class Explodes:
    """Raises at every touch."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError


BROKEN = {
    "no family": object(),
    "explodes": Explodes(),
    "kind": MetricFamily("b", "summary"),
    "name": MetricFamily(7, "gauge"),
    "unhashable name": MetricFamily([], "gauge"),
    "unit": number("b", unit=7),
    "no blocks": MetricFamily("b", "gauge", blocks=None),
    "too few values": MetricFamily("b", "gauge", blocks=[Block((), [()], [])]),
    "too many labels": number("b", values={("x", "y"): 1}, label_names=("a",)),
    "too few labels": number("b", values={(): 1}, label_names=("a",)),
    "labels without names": number("b", values={("x",): 1}),
    "label name": number("b", values={("x",): 1}, label_names=(7,)),
    "clash of labels": number("b", values={("x", "y"): 1}, label_names=("a.b", "a_b")),
    "same label twice": number("b", values={("x", "y"): 1}, label_names=("a", "a")),
    "le": histogram("b", rows={("x",): (1, [1, 0, 0])}, label_names=("le",)),
    "too few counts": histogram("b", rows={(): (1, [1, 0])}),
    "too many counts": histogram("b", rows={(): (1, [1, 0, 0, 0])}),
    "count": histogram("b", rows={(): (1, [1, "x", 0])}),
    "nan count": histogram("b", rows={(): (1, [1, float("nan"), 0])}),
    "negative count": histogram("b", rows={(): (1, [1, -1, 0])}),
    "huge count": histogram("b", rows={(): (1, [1, 10**400, 0])}),
    "no counts": MetricFamily(
        "b", "histogram", blocks=[Block((), [()], [1])], bounds=(1.0,)
    ),
    "falling bounds": histogram("b", bounds=(1.0, 0.5)),
    "infinite bound": histogram("b", bounds=(1.0, float("inf"))),
    "nan bound": histogram("b", bounds=(1.0, float("nan"))),
    "text bound": histogram("b", bounds=(1.0, "2")),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_broken_family_is_left_out_and_the_page_is_whole(what, accept):
    source = FixedSource(number("before"), BROKEN[what], number("z.after"))
    found = samples(page_of(source=source, accept=accept), accept)
    assert found == {("before", frozenset()): 1, ("z_after", frozenset()): 1}
    assert source.counted == {"invalid": 1}
    ((reason, text),) = source.said
    assert reason == "prometheus"
    assert "on the page" in text or "could not be shown" in text


def test_what_raised_is_in_the_text():
    source = FixedSource(number("b", values={("x", "y"): 1}, label_names=("a",)))
    page_of(source=source)
    assert source.said == [
        (
            "prometheus",
            "metric 'b' could not be shown: it raised TypeError: 'not all arguments "
            "converted during string formatting'.",
        )
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (number("a.b"), number("a_b")),
        (number("a.b"), number("a.b")),
        (number("a", "counter"), number("a_total")),
        (number("a", "counter"), number("a.created")),
        (number("a", "info"), number("a_info")),
        (histogram("a"), number("a.count")),
        (number("a_bucket"), histogram("a")),
        (number("a", unit="s"), number("a.seconds")),
    ],
)
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_of_two_families_with_one_name_the_first_stays(first, second, accept):
    source = FixedSource(first, second)
    page = page_of(source=source, accept=accept)
    assert page == page_of(first, accept=accept)
    assert source.counted == {"invalid": 1}


def test_a_taken_name_is_said_with_its_owner():
    source = FixedSource(histogram("a"), number("a.count"))
    page_of(source=source)
    assert source.said == [
        (
            "prometheus",
            "metric 'a.count': its name 'a_count' on the Prometheus page is taken by "
            "metric 'a'. Give one of them another name. It is not on the page.",
        )
    ]


def test_no_family_takes_the_name_of_target_info():
    source = FixedSource(number("target", "info"))
    assert page_of(source=source) == ""
    assert "taken by the page's own target_info" in source.said[0][1]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_foreign_names_are_made_safe(accept):
    families = [
        number("1st-metric!", "counter", {("x",): 1}, label_names=("2nd label",)),
        number("żółć", "gauge", {("x", "y"): 2}, label_names=("__name__", "le")),
    ]
    assert samples(page_of(*families, accept=accept), accept) == {
        ("_1st_metric__total", frozenset({("_2nd_label", "x")})): 1,
        ("_", frozenset({("_name__", "x"), ("le", "y")})): 2,
    }


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a"], {"a_total"}),
        (["a_total"], {"a_total"}),
        (["h_count"], {"h_bucket", "h_sum", "h_count"}),
        (["a_total", "g"], {"a_total", "g"}),
        (["target_info"], {"target_info"}),
        (["target"], {"target_info"}),
        (["nobody"], set()),
        ([], {"target_info", "a_total", "h_bucket", "h_sum", "h_count", "g"}),
    ],
)
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_names_choose_whole_families_by_family_or_sample(names, found, accept):
    families = number("a", "counter"), histogram("h"), number("g")
    source = FixedSource(*families, attributes={"x": "y"})
    page = page_of(source=source, names=names, accept=accept)
    assert {name for name, _ in samples(page, accept)} == found


def test_a_page_of_one_family_leaves_the_others_out_of_nothing():
    """What clashes does so whatever is asked for, so that a name means one family."""
    source = FixedSource(number("a.b", values=1), number("a_b", values=2))
    assert page_of(source=source, names=["a_b"]) == "# TYPE a_b gauge\na_b 1\n"


def test_lone_surrogates_become_replacement_characters():
    families = [
        number("n", values={("a\ud800b",): 1, ("\udfff",): 2}, label_names=("l",)),
        number("m", help="x\udc80y"),
    ]
    source = FixedSource(*families, attributes={"host.name": "h\ud834"})
    for accept in ("", OPENMETRICS):
        found = samples(page_of(source=source, accept=accept), accept)
        assert found["n", frozenset({("l", "a\ufffdb")})] == 1
        assert found["n", frozenset({("l", "\ufffd")})] == 2
        assert found["target_info", frozenset({("host_name", "h\ufffd")})] == 1
        assert "x\ufffdy" in page_of(source=source, accept=accept)


def test_a_callback_that_raises_takes_only_its_series():
    source = RegistrySource()
    source.registry.gauge("broken").set_function(lambda: 1 / 0)
    source.registry.counter("fine").inc()
    assert page_of(source=source) == (
        "# TYPE broken gauge\n# TYPE fine_total counter\nfine_total 1\n"
    )


def test_a_collector_that_raises_takes_only_its_own_families():
    class Raises:
        def collect(self):
            yield number("before")
            raise RuntimeError

    source = RegistrySource()
    source.registry.counter("fine").inc()
    source.registry.register(Raises())
    found = samples(page_of(source=source))
    assert found == {("fine_total", frozenset()): 1, ("before", frozenset()): 1}
