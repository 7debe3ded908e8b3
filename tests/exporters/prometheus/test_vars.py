"""The JSON at /debug/vars: Go's shape, strict JSON whatever was recorded, guarded alike."""

import asyncio
import gzip
import json
from base64 import b64encode
from http.client import HTTPConnection
from math import inf, nan
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import Obs
from obs.model import Block, MetricFamily, Snapshot
from obs_exporters import PrometheusExporter
from tests.exporters.prometheus.sources import (
    FixedSource,
    RegistrySource,
    compare_with_golden,
    histogram,
    number,
    started,
)
from tests.exporters.prometheus.test_apps import (
    ask_asgi,
    ask_wsgi,
    converse,
    http_scope,
)
from tests.exporters.prometheus.test_exporter import ask

VARS = "/debug/vars"


def strict(body):
    """Read JSON as other languages do: no NaN, no name twice, UTF-8."""

    def once(pairs):
        found = dict(pairs)
        assert len(found) == len(pairs), "a name is there twice"
        return found

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    text = body.decode("utf-8", "strict")
    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def vars_of(*families, source=None):
    with started(source or FixedSource(*families), 0) as exporter:
        return ask(exporter, path=VARS)[2]


def test_the_shape_is_that_of_gos_expvar():
    families = (
        number("b.total", "counter", {("x",): 2}, ("l",), unit="{b}", help="B's."),
        number("a", values=-1.5),
        histogram("h", (0.5, 1.0)),
    )
    compare_with_golden("expvar.json", vars_of(*families))


def test_it_holds_what_a_snapshot_gives_as_a_dict():
    source = RegistrySource()
    source.registry.counter("orders.placed", labels=("channel",)).labels("web").inc(3)
    source.registry.histogram("wait", unit="s", buckets=(1, 5)).observe(2)
    source.registry.gauge("idle", labels=("pool",))
    found = strict(vars_of(source=source))
    assert found == source.snapshot().as_dict()
    assert found["orders.placed"]["series"] == [
        {"labels": {"channel": "web"}, "value": 3}
    ]
    assert found["idle"]["series"] == []


def test_without_metrics_it_is_an_empty_object():
    assert strict(vars_of()) == {}


def test_nothing_of_the_command_line_is_there():
    tel = Obs("shop", exporters=[PrometheusExporter(port=0)])
    (exporter,) = tel._lifecycle.exporters
    with tel.start():
        found = strict(ask(exporter, path=VARS)[2])
    assert not {"cmdline", "memstats"} & set(found)
    assert found["process.start_time"]["series"][0]["value"] > 0


def test_its_headers():
    with started(FixedSource(number()), 0) as exporter:
        status, headers, body = ask(exporter, path=VARS)
    assert status == 200
    headers.pop("Date", None)
    assert headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Vary": "Accept-Encoding",
        "Content-Length": str(len(body)),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [(nan, "NaN"), (inf, "Infinity"), (-inf, "-Infinity"), (2**70, 2**70)],
)
def test_what_json_has_no_number_for_is_a_text(value, shown):
    found = strict(
        vars_of(number("n", values=value), histogram(rows={(): (value, [1, 0, 2])}))
    )
    assert found["n"]["series"][0]["value"] == shown
    assert found["h"]["series"][0]["sum"] == shown
    assert found["h"]["series"][0]["buckets"] == [[0.5, 1], [1.0, 0], [None, 2]]


@given(
    name=st.text(st.characters(exclude_categories=())),
    label=st.text(st.characters(exclude_categories=())),
    value=st.floats() | st.integers(),
)
def test_whatever_was_recorded_it_is_json_of_every_metric(name, label, value):
    family = number(name, values={(label,): value}, label_names=(label,), help=label)
    found = strict(vars_of_page(family, number("good")))
    assert found["good"]["series"] == [{"labels": {}, "value": 1}]
    assert len(found) == (1 if name == "good" else 2)


def vars_of_page(*families):
    with started(FixedSource(*families)) as exporter:
        return ask_wsgi(exporter, path=VARS)[2]


class Hostile:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    "family",
    [
        number("bad", values=object()),
        number(Hostile()),
        MetricFamily("bad", "gauge", blocks=[Block(("a",), [()], [1])]),
        MetricFamily("bad", "gauge", blocks=None),
        number("bad", values={("x",): 10**5_000}, label_names=("a",)),
    ],
)
def test_a_family_that_cannot_be_shown_is_left_out_counted_and_said(family):
    source = FixedSource(number("a"), family, number("z"))
    assert set(strict(vars_of(source=source))) == {"a", "z"}
    assert source.counted == {"invalid": 1}
    ((reason, text),) = source.said
    assert reason == "prometheus"
    assert "could not be shown: it raised" in text


def test_of_two_metrics_of_one_name_the_first_is_there():
    source = FixedSource(number("n", values=1), number("n", values=2))
    assert strict(vars_of(source=source))["n"]["series"][0]["value"] == 1
    assert source.counted == {"invalid": 1}
    assert source.said == [
        (
            "prometheus",
            "metric 'n': another metric has its name. It is not at /debug/vars.",
        )
    ]


def test_two_names_that_utf8_cannot_tell_apart_are_one():
    source = FixedSource(number("\ud800"), number("\ufffd"))
    assert list(strict(vars_of(source=source))) == ["\ufffd"]
    assert source.counted == {"invalid": 1}


def test_what_is_meant_for_the_host_is_not_swallowed():
    class Stopping(FixedSource):
        def snapshot(self):
            return Snapshot([_Raising()], 0, 0)

    class _Raising:
        @property
        def name(self):
            raise KeyboardInterrupt

    with started(Stopping()) as exporter, pytest.raises(KeyboardInterrupt):
        ask_wsgi(exporter, path=VARS)


def test_a_packed_page_is_the_same_page():
    with started(FixedSource(number(help="x" * 500)), 0) as exporter:
        plain = ask(exporter, path=VARS)[2]
        _, headers, packed = ask(exporter, path=VARS, accept_encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert len(packed) < len(plain)
    assert gzip.decompress(packed) == plain


def test_head_has_the_length_and_no_body():
    with started(FixedSource(number()), 0) as exporter:
        length = len(ask(exporter, path=VARS)[2])
        status, headers, body = ask(exporter, "HEAD", VARS)
    assert (status, headers["Content-Length"], body) == (200, str(length), b"")


def test_other_methods_are_not_allowed():
    with started(FixedSource(number()), 0) as exporter:
        status, headers, body = ask(exporter, "POST", VARS)
    assert (status, headers["Allow"], body) == (405, "GET, HEAD", b"Use GET or HEAD.\n")


@pytest.mark.parametrize(
    "path", ["/debug", "/debug/vars/", "/x/debug/vars", "/debug/varsx"]
)
def test_on_the_own_server_it_has_one_path(path):
    with started(FixedSource(number()), 0) as exporter:
        assert ask(exporter, path=path)[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer sesame"}, 200),
        ({"authorization": f"Basic {b64encode(b'user:word').decode()}"}, 200),
        ({"authorization": "Bearer other"}, 401),
        ({"authorization": "Bearer sesame", "host": "evil.example"}, 403),
    ],
)
def test_whoever_asks_needs_what_the_page_needs(headers, status):
    keywords = {"token": "sesame", "basic_auth": ("user", "word")}
    with started(FixedSource(number("secret.sales")), 0, **keywords) as exporter:
        found, _, body = ask(exporter, path=VARS, **headers)
    assert found == status
    assert (b"sales" in body) is (status == 200)


@pytest.mark.parametrize("ask_app", [ask_wsgi, ask_asgi])
def test_what_is_mounted_asks_for_credentials_too(ask_app):
    with started(FixedSource(number("sales")), token="sesame") as exporter:
        status, _, body = ask_app(exporter, path=VARS)
        assert (status, b"sales" in body) == (401, False)
        status, fields, body = ask_app(
            exporter, path=VARS, authorization="Bearer sesame"
        )
    assert (status, fields["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert set(strict(body)) == {"sales"}


@pytest.mark.parametrize("ask_app", [ask_wsgi, ask_asgi])
def test_before_start_what_is_mounted_answers_503(ask_app):
    exporter = PrometheusExporter(port=None)
    assert ask_app(exporter, path=VARS)[0] == 503
    exporter.start(FixedSource(number()))
    assert ask_app(exporter, path=VARS)[0] == 200
    exporter.close(monotonic() + 1)
    assert ask_app(exporter, path=VARS)[0] == 503


@pytest.mark.parametrize(
    ("mount", "path", "is_json"),
    [
        ("", "/debug/vars", True),
        (
            "/debug/vars",
            "/debug/vars/",
            True,
        ),  # as servers say it since ASGI 3.0's notes
        ("/debug/vars", "/", True),  # as others say it
        ("/debug/vars", "", True),
        ("/metrics", "/metrics/debug/vars", True),
        ("/metrics", "/debug/vars", True),
        ("/metrics", "/metrics", False),
        ("/metrics", "/metrics/debug", False),
    ],
)
def test_where_an_asgi_application_is_mounted_says_which_page(mount, path, is_json):
    scope = {**http_scope(path=path), "root_path": mount}
    with started(FixedSource(number())) as exporter:
        _, body = asyncio.run(converse(exporter.asgi_app(), scope))
    assert body["body"].startswith(b"{") is is_json


@pytest.mark.parametrize(
    ("mount", "path", "is_json"),
    [
        ("/debug/vars", "", True),
        ("/debug", "/vars", True),
        ("/metrics", "/debug/vars", True),
        ("/metrics", "", False),
    ],
)
def test_where_a_wsgi_application_is_mounted_says_which_page(mount, path, is_json):
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": mount, "PATH_INFO": path}
    with started(FixedSource(number())) as exporter:
        body = b"".join(exporter.wsgi_app()(environ, lambda status, headers: None))
    assert body.startswith(b"{") is is_json


def test_a_source_that_raises_is_a_500():
    source = FixedSource(number())
    source.snapshot = lambda: 1 / 0
    with started(source, 0) as exporter:
        assert ask(exporter, path=VARS)[0] == 500
    assert source.counted == {"invalid": 1}


def test_a_kept_connection_serves_both_pages():
    with started(FixedSource(number()), 0) as exporter:
        link = HTTPConnection("127.0.0.1", exporter.port, timeout=10)
        for path in (VARS, "/metrics", VARS):
            link.request("GET", path)
            assert link.getresponse().read()
        link.close()
