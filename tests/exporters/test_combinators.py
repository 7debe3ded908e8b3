"""Exporters of some of what there is, and by other names; the books balance all the same."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import DefinitionError, Obs
from obs.model import Ack, Batch, Delivery, LogRecord, MetricFamily, Payload, Resource
from obs.testing import MemoryExporter
from obs.testing.contract._hostile import Ids
from obs_exporters import (
    JsonLinesExporter,
    OTLPExporter,
    PrometheusExporter,
    PushgatewayExporter,
    ZipkinExporter,
    filtered,
    renamed,
)

of = MetricFamily.of


class Kept:
    """A push exporter that keeps what it encodes, two records in a body.

    A record whose name holds ``bad`` it cannot encode.
    """

    def __init__(self, signals=("metrics", "logs", "traces"), most=2):
        self.name = "kept"
        self.signals = frozenset(signals)
        self.delivery = Delivery(interval=0.05)
        self.imports = ("json",)
        self.most = most
        self.sent = []
        self.closed = 0

    def encode(self, batch):
        if batch.signal == "metrics":
            points = sum(len(family.points) for family in batch.families)
            yield Payload([family.name for family in batch.families], points)
            return
        for at in range(0, len(batch.records), self.most):
            names = [name_of(it) for it in batch.records[at : at + self.most]]
            good = [name for name in names if "bad" not in name]
            invalid = len(names) - len(good)
            yield Payload(good, len(good), {"invalid": invalid} if invalid else {})

    def send(self, payload, deadline):
        self.sent += payload.body
        return Ack(payload.records)

    def close(self, deadline):
        self.closed += 1


def name_of(record):
    return record.event if isinstance(record, LogRecord) else record.name


def logs(*events):
    records = [LogRecord(1, "info", event) for event in events]
    return Batch("logs", Resource({}), records=records)


def spans(*names):
    ids = Ids()
    return Batch("traces", Resource({}), records=[ids.span(name) for name in names])


def metrics(*families):
    return Batch("metrics", Resource({}), families=list(families))


def wide(name, n):
    return of(name, "gauge", {(f"{i}",): i for i in range(n)}, label_names=("l",))


def encoded(exporter, batch):
    return [
        (payload.body, payload.records, dict(payload.dropped))
        for payload in exporter.encode(batch)
    ]


def test_metrics_are_kept_by_family():
    exporter = filtered(Kept(), keep=lambda family: family.kind == "gauge")
    batch = metrics(
        of("a", "gauge", 1),
        of("b", "counter", 2),
        wide("c", 3),
        of("d", "counter", {("x",): 1, ("y",): 2}, label_names=("l",)),
    )
    assert encoded(exporter, batch) == [(["a", "c"], 4, {"filtered": 3})]


def test_where_the_exporter_says_nothing_what_was_left_out_is_counted_all_the_same():
    class Silent(Kept):
        def encode(self, batch):
            return []

    exporter = filtered(Silent(), keep="a")
    assert encoded(exporter, metrics(wide("c", 3))) == [(b"", 0, {"filtered": 3})]


def test_records_are_kept_one_by_one():
    exporter = filtered(Kept(), keep=lambda record: record.event.startswith("a"))
    assert encoded(exporter, logs("b", "a1", "b", "a2", "b", "b", "a3", "b")) == [
        (["a1", "a2"], 2, {"filtered": 4}),
        (["a3"], 1, {"filtered": 1}),
    ]


def test_each_body_stands_for_the_records_up_to_the_next_that_is_kept():
    exporter = filtered(Kept(most=1), keep="a*")
    assert encoded(exporter, logs("b", "abad", "b", "a", "a", "b")) == [
        ([], 0, {"invalid": 1, "filtered": 2}),
        (["a"], 1, {}),
        (["a"], 1, {"filtered": 1}),
    ]


def test_a_batch_of_which_nothing_is_kept():
    exporter = filtered(Kept(), keep="none")
    assert encoded(exporter, spans("a", "b")) == [(b"", 0, {"filtered": 2})]
    assert encoded(exporter, spans()) == [(b"", 0, {})]
    assert encoded(exporter, metrics(wide("c", 2))) == [([], 0, {"filtered": 2})]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("http.*", ["http.a", "http.b.c"]),
        ("http.a", ["http.a"]),
        (["http.a", "*jobs*"], ["http.a", "jobs", "my.jobs\nx"]),
        (("*.c",), ["http.b.c"]),
        ("http?a", []),
        ("HTTP.*", []),
        ("*", ["http.a", "http.b.c", "xhttp.a", "jobs", "my.jobs\nx"]),
        ({"jobs": 1}.keys(), ["jobs"]),
    ],
)
@pytest.mark.parametrize(
    "make", [logs, spans, lambda *names: metrics(*[of(n, "gauge", 1) for n in names])]
)
def test_names_say_what_is_kept(keep, kept, make):
    exporter = filtered(Kept(most=9), keep)
    batch = make("http.a", "http.b.c", "xhttp.a", "jobs", "my.jobs\nx")
    found = [name for body, *_ in encoded(exporter, batch) for name in body]
    assert found == kept


def test_what_keep_raises_for_is_dropped_as_invalid():
    def keep(item):
        if name_of(item) == "odd":
            raise LookupError
        return name_of(item) == "a"

    exporter = filtered(Kept(), keep)
    assert encoded(exporter, logs("odd", "a", "b", "odd")) == [
        (["a"], 1, {"invalid": 2, "filtered": 1})
    ]
    assert encoded(exporter, metrics(wide("odd", 3), wide("a", 2), wide("b", 1))) == [
        (["a"], 2, {"invalid": 3, "filtered": 1})
    ]


def test_what_is_meant_for_the_host_goes_on():
    def keep(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoded(filtered(Kept(), keep), logs("a"))


@given(
    names=st.lists(st.sampled_from(["a", "b", "abad", "odd"]), max_size=30),
    most=st.integers(1, 4),
)
def test_every_record_is_counted_once_and_in_its_place(names, most):
    def keep(record):
        if record.event == "odd":
            raise LookupError
        return record.event.startswith("a")

    records = logs(*names).records
    batch = logs()._replace(records=records)
    at = 0
    for payload in filtered(Kept(most=most), keep).encode(batch):
        end = at + payload.records + sum(payload.dropped.values())
        part = names[at:end]
        counts = payload.dropped
        assert list(payload.body) == [name for name in part if name == "a"]
        assert counts.get("filtered", 0) == part.count("b")
        assert counts.get("invalid", 0) == part.count("abad") + part.count("odd")
        at = end
    assert at == len(names)


def test_metrics_get_other_names():
    exporter = renamed(Kept(), {"a": "shop.a"})
    batch = metrics(of("a", "gauge", 1), of("b", "counter", 2))
    assert encoded(exporter, batch) == [(["shop.a", "b"], 2, {})]
    assert [family.name for family in batch.families] == ["a", "b"]


def test_all_but_the_name_of_a_metric_stays():
    seen = []

    class Seeing(Kept):
        def encode(self, batch):
            seen.extend(batch.families)
            return []

    old = MetricFamily("a", "histogram", "s", "Help.", wide("x", 1).blocks, (1.0,))
    list(renamed(Seeing(), lambda name: f"shop.{name}").encode(metrics(old)))
    (new,) = seen
    assert new.name == "shop.a"
    for slot in ("kind", "unit", "help", "blocks", "bounds"):
        assert getattr(new, slot) == getattr(old, slot)


def test_spans_and_logs_keep_their_names():
    exporter = renamed(Kept(), {"a": "b"})
    assert encoded(exporter, logs("a")) == [(["a"], 1, {})]
    assert encoded(exporter, spans("a")) == [(["a"], 1, {})]


@pytest.mark.parametrize("new", ["", "a b", "1a", 5, None, "x" * 300])
def test_a_metric_for_which_there_is_no_name_is_left_out(new):
    exporter = renamed(Kept(), lambda name: new if name == "odd" else name)
    assert encoded(exporter, metrics(wide("odd", 2), of("a", "gauge", 1))) == [
        (["a"], 1, {"invalid": 2})
    ]


def test_a_function_that_raises_leaves_the_metric_out():
    exporter = renamed(Kept(), lambda name: {"a": "b"}[name])
    assert encoded(exporter, metrics(of("a", "gauge", 1), wide("c", 2))) == [
        (["b"], 1, {"invalid": 2})
    ]


def test_two_metrics_of_one_name_are_added_up_by_the_exporter():
    exporter = renamed(PushgatewayExporter(job="app"), {"old": "new"})
    (payload,) = exporter.encode(
        metrics(of("old", "counter", 2), of("new", "counter", 3))
    )
    assert payload.body == b"# TYPE new_total counter\nnew_total 5\n"
    assert (payload.records, payload.merged) == (1, 1)


def test_around_each_other_the_outer_one_is_first():
    exporter = filtered(renamed(Kept(), {"a": "b"}), keep="a")
    assert encoded(exporter, metrics(of("a", "gauge", 1), of("b", "gauge", 1))) == [
        (["b"], 1, {"filtered": 1})
    ]
    exporter = renamed(filtered(Kept(), keep="b"), {"a": "b", "b": "c"})
    assert encoded(exporter, metrics(of("a", "gauge", 1), of("b", "gauge", 1))) == [
        (["b"], 1, {"filtered": 1})
    ]
    exporter = filtered(filtered(Kept(), keep="a*"), keep="*b")
    assert encoded(exporter, logs("ab", "a", "b", "x")) == [
        (["ab"], 1, {"filtered": 3})
    ]


def test_it_has_all_that_the_exporter_has():
    inner = Kept()
    exporter = renamed(filtered(inner, keep="a"), {"a": "b"})
    assert exporter.name == "kept"
    assert exporter.signals is inner.signals
    assert exporter.delivery is inner.delivery
    assert exporter.imports == ("json",)
    assert exporter.send(Payload(["x"], 1), 0.0) == Ack(1)
    exporter.close(0.0)
    assert (inner.sent, inner.closed) == (["x"], 1)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = exporter.nothing
    assert repr(filtered(OTLPExporter(), "a")) == f"filtered({OTLPExporter()!r})"
    assert repr(exporter).startswith("renamed(filtered(<")
    assert copy.copy(exporter).name == "kept"


def lanes_of(exporter, n):
    tel = Obs("t", exporters=[exporter], runtime=False, log_format="json")
    log = tel.logger("x")
    with tel.start():
        for i in range(n):
            with tel.span("even" if i % 2 == 0 else "odd"):
                pass
            log.info("even" if i % 2 == 0 else "odd")
        result = tel.flush(10)
        return result, tel.snapshot()


def test_the_books_of_a_lane_balance_and_nothing_wished_for_is_lost(capfd):
    inner = Kept(signals=["logs", "traces"], most=50)
    result, snapshot = lanes_of(filtered(inner, keep="even"), 100)
    assert (result.delivered, result.pending, result.lost) == (100, 0, 0)
    assert inner.sent.count("even") == 100
    for signal in ("logs", "traces"):
        found = snapshot["obs.dropped"].value(
            signal=signal, exporter="kept", reason="filtered"
        )
        assert found == 50
        sent = snapshot["obs.exported"].value(signal=signal, exporter="kept")
        assert snapshot["obs.produced"].value(signal=signal) == found + sent
    assert '"logger":"obs"' not in capfd.readouterr().err


def test_a_lane_that_divides_a_batch_counts_each_record_once():
    class Refusing(Kept):
        """Refuses any body with the record ``poison``."""

        def send(self, payload, deadline):
            from obs.errors import ExportFailed

            if "poison" in payload.body:
                raise ExportFailed("no", reason="http_400")
            return super().send(payload, deadline)

    inner = Refusing(signals=["traces"], most=100)
    tel = Obs("t", exporters=[filtered(inner, keep=["a", "poison"])], runtime=False)
    with tel.start():
        for i in range(60):
            tel.span("poison" if i == 31 else "ab"[i % 2]).end()
        result = tel.flush(10)
        snapshot = tel.snapshot()
    assert (result.delivered, result.lost, result.pending) == (30, 1, 0)
    assert inner.sent == ["a"] * 30
    labels = {"signal": "traces", "exporter": "kept"}
    assert snapshot["obs.dropped"].value(**labels, reason="filtered") == 29
    assert snapshot["obs.rejected"].value(**labels, reason="http_400") == 1


def test_the_page_of_a_pull_exporter():
    page = filtered(
        renamed(PrometheusExporter(port=None), {"a": "shop.a"}), keep=["a", "h*"]
    )
    tel = Obs("t", exporters=[page], runtime=False)
    tel.counter("a").inc(2)
    tel.counter("b").inc(3)
    with tel.start():
        tel.histogram("hist", buckets=(1,)).observe(0.5)
        found = page.page().body.decode()
        assert page.port is None
    assert "\nshop_a_total 2\n" in found
    assert "\nhist_count 1\n" in found
    assert "b_total" not in found
    assert "obs_dropped" not in found
    assert "target_info{" in found


def test_two_metrics_that_get_one_name_raise_at_the_start():
    tel = Obs("t", exporters=[renamed(PrometheusExporter(port=None), {"a": "b"})])
    tel.counter("a")
    tel.counter("b")
    with pytest.raises(DefinitionError) as error:
        tel.start()
    assert str(error.value) == (
        "metric 'b': its name for exporter 'prometheus', 'b', is taken by metric 'a'. "
        "Give one of them another name."
    )
    tel.close()


def test_two_metrics_that_get_one_name_raise_where_the_second_is_defined():
    page = renamed(PrometheusExporter(port=None), lambda name: name.replace("x", "y"))
    with Obs("t", exporters=[page], runtime=False).start() as tel:
        tel.counter("ax")
        tel.counter("ax")
        with pytest.raises(DefinitionError, match="is taken by metric 'ax'"):
            tel.counter("ay")
        tel.counter("ay.z")
        assert "# TYPE ay_total counter\n" in page.page().body.decode()


def test_a_metric_that_is_filtered_out_takes_no_name():
    page = filtered(PrometheusExporter(port=None), keep=lambda it: it.name != "a.b")
    with Obs("t", exporters=[page], runtime=False).start() as tel:
        tel.counter("a.b")
        tel.counter("a_b").inc(4)
        assert "\na_b_total 4\n" in page.page().body.decode()


def test_what_raises_on_a_page_is_left_out_counted_and_said(capfd):
    page = filtered(
        PrometheusExporter(port=None), keep=lambda it: 1 / (it.name != "odd")
    )
    with Obs("t", exporters=[page], runtime=False).start() as tel:
        tel.counter("odd").inc()
        tel.counter("good").inc()
        found = page.page().body.decode()
        assert "odd" not in found
        assert "\ngood_total 1\n" in found
        counted = tel.snapshot()["obs.dropped"].value(
            signal="metrics", exporter="prometheus", reason="invalid"
        )
        assert counted == 1
    said = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert said == ["prometheus: keep raised for 'odd', which is left out."]


def test_a_pull_exporter_that_listens_gets_what_is_kept():
    memory = MemoryExporter()
    exporter = filtered(memory, keep="a*")
    tel = Obs("t", exporters=[exporter], runtime=False)
    with tel.start():
        for name in ("a1", "b", "a2"):
            with tel.span(name):
                tel.logger("x").warning(name)
        tel.counter("a.c").inc()
        tel.counter("b.c").inc()
        assert [span.name for span in memory.spans] == ["a1", "a2"]
        assert [record.event for record in memory.logs] == ["a1", "a2"]
        assert [family.name for family in exporter.metrics] == ["a.c"]


def test_a_page_can_be_mounted_through_it():
    page = filtered(PrometheusExporter(port=None), keep="a")
    app = page.wsgi_app()
    with Obs("t", exporters=[page], runtime=False).start() as tel:
        tel.counter("a").inc()
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/debug/vars"}
        body = b"".join(app(environ, lambda status, headers: None))
    assert set(json.loads(body)) == {"a"}


def test_logs_go_filtered_out_of_a_route_too(tmp_path):
    from obs.logs import Route

    path = tmp_path / "lines"
    exporter = filtered(JsonLinesExporter(path, signals="logs"), keep="order.*")
    tel = Obs("t", routes=[Route(exporter)], runtime=False)
    with tel.start():
        tel.logger("x").info("order.placed")
        tel.logger("x").info("noise")
        result = tel.flush(10)
    assert (result.delivered, result.lost) == (1, 0)
    lines = path.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["order.placed"]


KEEP = "needs a function, or names of metrics, spans and events, which may have a *."
NAMES = "needs a function of a name, or a mapping of names to names."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: filtered(5, "a"), "filtered(): exporter got 5, needs an exporter."),
        (
            lambda: renamed(PrometheusExporter, {}),
            "renamed(): exporter got <class 'obs_exporters.prometheus._exporter."
            "PrometheusExporter'>, needs an exporter.",
        ),
        (
            lambda: filtered(PrometheusExporter(), 5),
            f"exporter 'prometheus': keep got 5, {KEEP}",
        ),
        (
            lambda: filtered(PrometheusExporter(), ""),
            f"exporter 'prometheus': keep got '', {KEEP}",
        ),
        (
            lambda: filtered(PrometheusExporter(), []),
            f"exporter 'prometheus': keep got [], {KEEP}",
        ),
        (
            lambda: filtered(OTLPExporter(name="o"), ["a", 5]),
            f"exporter 'o': keep got ['a', 5], {KEEP}",
        ),
        (
            lambda: filtered(OTLPExporter(name="o"), b"abc"),
            f"exporter 'o': keep got b'abc', {KEEP}",
        ),
        (
            lambda: renamed(OTLPExporter(), "a"),
            f"exporter 'otlp': names got 'a', {NAMES}",
        ),
        (
            lambda: renamed(OTLPExporter(), {"a": "b c"}),
            "exporter 'otlp': names: metric 'b c': ' ' at position 1 is not allowed "
            "(letters, digits, '_' and '.', not starting with a digit or '.'). Try "
            "'b_c'.",
        ),
        (
            lambda: renamed(ZipkinExporter(), {"a": "b"}),
            "exporter 'zipkin': renamed() is for metrics, which it does not take.",
        ),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(DefinitionError) as error:
        make()
    assert str(error.value) == text
