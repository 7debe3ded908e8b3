"""The page pushed: requests to the letter, the grouping key, answers, errors, the end."""

import os
import warnings
from base64 import b64encode, urlsafe_b64decode
from math import inf
from time import monotonic
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import DefinitionError, Obs
from obs.errors import ExportFailed
from obs_exporters import PushgatewayExporter, Tls
from tests.exporters.prometheus.pushes import TEXT, batch_of
from tests.exporters.prometheus.sources import number
from tests.faults.modes import answer
from tests.faults.sink import Sink

PAGE = b"# TYPE n gauge\nn 1\n"


def push(exporter, *families, seconds=10.0):
    (payload,) = exporter.encode(batch_of(*(families or [number()])))
    return exporter.send(payload, monotonic() + seconds)


@pytest.fixture
def sink():
    with Sink("200") as sink:
        yield sink


@pytest.fixture
def made(sink):
    """Makes exporters to the sink, which are closed at the end."""
    exporters = []

    def make(url=None, **keywords):
        exporters.append(
            PushgatewayExporter(url or sink.url, **{"job": "app", **keywords})
        )
        return exporters[-1]

    yield make
    for exporter in exporters:
        exporter._deletes = False
        exporter.close(monotonic() + 1)


@pytest.fixture
def exporter(made):
    return made()


def test_a_push_is_a_page_that_is_put(sink, exporter):
    assert push(
        exporter,
        number(),
        number("m", values={("a",): 1, ("b",): 2}, label_names=("l",)),
    ) == (3, {})
    (request,) = sink.requests
    assert (request.method, request.path) == ("PUT", "/metrics/job/app")
    assert request.body == PAGE + b'# TYPE m gauge\nm{l="a"} 1\nm{l="b"} 2\n'
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{sink.port}",
        "user-agent": "obs-sdk",
        "accept-encoding": "identity",
        "content-type": TEXT,
        "content-length": str(len(request.body)),
    }


def test_to_add_is_to_post(sink, made):
    push(made(sink.url, method="add"))
    assert sink.requests[0].method == "POST"


def test_pushes_share_a_connection(sink, exporter):
    for _ in range(3):
        push(exporter)
    assert (sink.connections, len(sink.requests)) == (1, 3)


def test_a_gateway_that_has_closed_the_connection_loses_nothing(sink, exporter):
    sink.schedule("close_after:1")
    push(exporter)
    push(exporter)
    assert len(sink.requests) == 2


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/metrics/job/app"),
        ("/", "/metrics/job/app"),
        ("/gateway", "/gateway/metrics/job/app"),
        ("/gateway/", "/gateway/metrics/job/app"),
    ],
)
def test_a_gateway_behind_a_proxy_has_a_path(sink, made, base, path):
    push(made(sink.url + base))
    assert sink.requests[0].path == path


@pytest.mark.parametrize(
    ("value", "segments"),
    [
        ("a", "l/a"),
        ("a b+c", "l/a%20b%2Bc"),
        ("100%", "l/100%25"),
        ("a?b#c;d", "l/a%3Fb%23c%3Bd"),
        ("é\n", "l/%C3%A9%0A"),
        ("", "l@base64/="),
        ("/", "l@base64/Lw"),
        ("/var/tmp", "l@base64/L3Zhci90bXA"),
        (".", "l@base64/Lg"),
        ("..", "l@base64/Li4"),
        ("a..b", "l/a..b"),
        ("?>/", "l@base64/Pz4v"),
        ("/é~", "l@base64/L8Opfg"),
    ],
)
def test_each_value_of_the_grouping_key_in_the_path(sink, made, value, segments):
    push(made(sink.url, grouping={"l": value}))
    assert sink.requests[0].path == f"/metrics/job/app/{segments}"


def test_a_job_with_a_slash(sink, made):
    push(made(job="a/b"))
    assert sink.requests[0].path == "/metrics/job@base64/YS9i"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_0-9]{0,5}", fullmatch=True).filter(
            lambda k: k != "job"
        ),
        st.text(),
    ),
    st.text(min_size=1),
)
def test_any_grouping_key_can_be_read_from_the_path(grouping, job):
    exporter = PushgatewayExporter(job=job, grouping=grouping)
    path = exporter._path
    assert path.isascii()
    # As the gateway does: a path is unquoted, cleaned of dots and empty parts, divided.
    assert not {"", ".", ".."} & set(path[1:].split("/"))
    parts = unquote(path, errors="strict").split("/")[2:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    read = {}
    for label, value in pairs:
        name = label.removesuffix("@base64")
        if name != label:
            packed = value.rstrip("=")
            value = urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        read[name] = value
    assert read == {"job": job, **grouping}


def test_labels_of_the_grouping_key_are_exported_ones(sink, made):
    exporter = made(sink.url, grouping={"zone": "eu"})
    family = number(
        values={("a", "b", "c"): 1}, label_names=("job", "zone", "instance")
    )
    push(exporter, family)
    assert sink.requests[0].body == (
        b'# TYPE n gauge\nn{exported_job="a",exported_zone="b",instance="c"} 1\n'
    )


def test_what_the_gateway_says_of_itself_is_left_out(exporter):
    families = [
        number("push.time", unit="s"),
        number("push_failure_time_seconds"),
        number(),
    ]
    (payload,) = exporter.encode(batch_of(*families))
    assert payload == (PAGE, 1, {"invalid": 2}, 0)


def test_user_and_password_of_the_url_go_out(sink, made):
    url = sink.url.replace("//", "//me:s%40cret@")
    exporter = made(url, headers={"X-Scope": "a"})
    push(exporter)
    headers = sink.requests[0].headers
    assert headers["authorization"] == f"Basic {b64encode(b'me:s@cret').decode()}"
    assert headers["x-scope"] == "a"
    assert "cret" not in repr(exporter)
    assert repr(exporter) == f"PushgatewayExporter('{sink.url}/metrics/job/app')"


def test_over_tls(made):
    with Sink("200", tls="good") as sink:
        push(made(sink.url, tls=Tls(sink.ca_file)))
        assert sink.requests[0].body == PAGE
        stranger = made(sink.url)
        with pytest.raises(
            ExportFailed, match=r"CERTIFICATE_VERIFY_FAILED|certificate"
        ) as error:
            push(stranger)
        assert error.value.retryable


SAID = (
    b"pushed metrics are invalid or inconsistent with existing metrics: n is no COUNTER"
)


def test_what_the_gateway_says_of_a_refusal_is_in_the_text(sink, exporter):
    sink.mode = answer(400, SAID)
    with pytest.raises(ExportFailed) as error:
        push(exporter)
    assert str(error.value) == (
        f"exporter 'pushgateway': the backend answered 400: {SAID.decode()!r}."
    )
    found = error.value
    assert (found.retryable, found.sent, found.reason) == (False, False, "http_400")


@pytest.mark.parametrize(
    ("mode", "retryable", "sent", "retry_after"),
    [
        ("401", False, False, None),
        ("404", False, False, None),
        ("413", False, False, None),
        ("500", False, False, None),
        ("301", False, False, None),
        ("429:7", True, False, 7.0),
        ("502", True, True, None),
        ("503", True, False, None),
        ("504", True, True, None),
        ("garbage", True, True, None),
        ("reset_before_answer", True, True, None),
    ],
)
def test_which_failures_are_tried_again(
    sink, exporter, mode, retryable, sent, retry_after
):
    sink.mode = mode
    with pytest.raises(ExportFailed) as error:
        push(exporter)
    found = error.value
    assert (found.retryable, found.sent, found.retry_after) == (
        retryable,
        sent,
        retry_after,
    )
    sink.mode = "200"
    assert push(exporter) == (1, {})


def test_nobody_listens(sink, exporter):
    sink.mode = "refuse"
    with pytest.raises(ExportFailed) as error:
        push(exporter)
    assert str(error.value) == (
        f"exporter 'pushgateway': {sink.url}: connecting: Connection refused."
    )
    assert (error.value.retryable, error.value.sent) == (True, False)


@pytest.mark.parametrize("status", ["200", "202"])
def test_a_gateway_that_checks_nothing_answers_202(sink, exporter, status):
    sink.mode = status
    assert push(exporter) == (1, {})


def test_the_group_is_deleted_at_the_end_if_asked_for(sink):
    exporter = PushgatewayExporter(
        sink.url, job="app", grouping={"instance": "a/b"}, delete_on_close=True
    )
    exporter.close(monotonic() + 1)
    assert not sink.requests, "nothing was pushed"
    push(exporter)
    for _ in range(2):
        exporter.close(monotonic() + 1)
    push(exporter)
    exporter.close(monotonic() + 1)
    path = "/metrics/job/app/instance@base64/YS9i"
    assert [(it.method, it.path, it.body) for it in sink.requests] == [
        ("PUT", path, PAGE),
        ("DELETE", path, b""),
    ] * 2
    assert "content-type" not in sink.requests[1].headers


def test_it_stays_if_not(sink, exporter):
    push(exporter)
    exporter.close(monotonic() + 1)
    assert [request.method for request in sink.requests] == ["PUT"]


def test_what_may_have_arrived_is_deleted_too(sink, made):
    exporter = made(sink.url, delete_on_close=True)
    sink.schedule("reset_before_answer")
    with pytest.raises(ExportFailed):
        push(exporter)
    exporter.close(monotonic() + 1)
    assert [request.method for request in sink.requests] == ["PUT", "DELETE"]


@pytest.mark.parametrize("mode", ["refuse", "never_answer", "500", "garbage"])
def test_a_deletion_that_fails_keeps_its_time_and_raises_nothing(sink, made, mode):
    exporter = made(sink.url, delete_on_close=True)
    push(exporter)
    sink.mode = mode
    begun = monotonic()
    exporter.close(begun + 0.2)
    assert monotonic() - begun < 0.2 + 0.5


def test_a_forked_child_deletes_nothing_of_its_parent(sink, made):
    exporter = made(sink.url, delete_on_close=True)
    push(exporter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads and forks do not mix
        pid = os.fork()
    if pid == 0:
        exporter.close(monotonic() + 1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert [request.method for request in sink.requests] == ["PUT"]
    push(exporter)
    assert sink.connections == 1, "the parent's connection was left to it"
    exporter.close(monotonic() + 1)


def test_a_lane_pushes_and_at_the_end_pushes_once_more_and_deletes(sink, made):
    exporter = made(sink.url, delete_on_close=True)
    tel = Obs("shop", exporters=[exporter], runtime=False)
    done = tel.counter("orders.done")
    with tel.start():
        done.inc(2)
        assert tel.flush(10).lanes["pushgateway"][:3] == (1, 0, 0)
        done.inc(3)
    methods = [request.method for request in sink.requests]
    assert methods[-2:] == ["PUT", "DELETE"]
    bodies = [request.body for request in sink.requests if request.method == "PUT"]
    assert b"\norders_done_total 2\n" in bodies[-2]
    assert b"\norders_done_total 5\n" in bodies[-1]
    assert b'target_info{host_name="' in bodies[-1]


def test_what_is_refused_is_counted_and_not_tried_again(sink, made):
    sink.mode = answer(400, SAID)
    tel = Obs("shop", exporters=[made(sink.url)], runtime=False)
    with tel.start():
        tel.counter("n").inc()
        assert tel.flush(10).lanes["pushgateway"][:3] == (0, 0, 1)
        snapshot = tel.snapshot()
    refused = snapshot["obs.rejected"].value(
        signal="metrics", exporter="pushgateway", reason="http_400"
    )
    assert refused == 1


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"job": ""}, "job got '', needs a text that is not empty."),
        ({"job": None}, "job got None, needs a text that is not empty."),
        ({"job": "\ud800"}, "job got '\\ud800', needs a text that is not empty."),
        (
            {"grouping": [("a", "b")]},
            "grouping got [('a', 'b')], needs a mapping of label names, without dots, to "
            "texts.",
        ),
        (
            {"grouping": {"a.b": "c"}},
            "grouping got {'a.b': 'c'}, needs a mapping of label names, without dots, to "
            "texts.",
        ),
        (
            {"grouping": {"__a": "c"}},
            "grouping got {'__a': 'c'}, needs a mapping of label names, without dots, to "
            "texts.",
        ),
        (
            {"grouping": {"a": 1}},
            "grouping got {'a': 1}, needs a mapping of label names, without dots, to "
            "texts.",
        ),
        (
            {"grouping": {"a": "\udfff"}},
            "grouping got {'a': '\\udfff'}, needs a mapping of label names, without dots, "
            "to texts.",
        ),
        ({"grouping": {"job": "x"}}, "grouping has 'job'. Give it as job=."),
        ({"method": "PUT"}, "method got 'PUT', needs 'replace' or 'add'."),
        ({"method": []}, "method got [], needs 'replace' or 'add'."),
        ({"delete_on_close": 1}, "delete_on_close got 1, needs True or False."),
        ({"interval": 0}, "interval got 0, needs seconds from 0.01 to 86400."),
        ({"timeout": inf}, "timeout got inf, needs seconds from 0.01 to 86400."),
        (
            {"url": "gateway:9091"},
            "url got 'gateway:9091', needs http:// or https://, a host, and no query or "
            "fragment, in ASCII.",
        ),
        (
            {"url": "http://me:geheim@"},
            "url got '***@', needs http:// or https://, a host, and no query or "
            "fragment, in ASCII.",
        ),
    ],
)
def test_wrong_arguments(keywords, text):
    with pytest.raises(DefinitionError) as error:
        PushgatewayExporter(**{"job": "app", **keywords})
    assert str(error.value) == f"exporter 'pushgateway': {text}"


def test_its_attributes():
    exporter = PushgatewayExporter(job="app", interval=5, timeout=2, name="gw")
    assert (exporter.name, exporter.signals) == ("gw", {"metrics"})
    assert exporter.delivery[:2] == (5, 2)
    assert exporter.delivery.temporality == "cumulative"
    assert not exporter.delivery.replayable
    assert "ssl" not in exporter.imports
    assert "ssl" in PushgatewayExporter("https://g", job="app").imports
