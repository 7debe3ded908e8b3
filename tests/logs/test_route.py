"""Routes: which records go where, and in which form."""

import json
import os
import pty
import select
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import Obs
from obs.encoding import LOG_NAMES
from obs.errors import DefinitionError
from obs.logs import Logs, Route, Sample
from obs.model import Delivery
from obs.testing import FakeClock
from tests.logs.routing import Lines, dropped, logs_to

SINKS = (
    "needs 'stderr', 'stdout', a path, a descriptor, a file object or an exporter that "
    "pushes logs."
)
REDACT = "needs a Redactor(...), or None for none."
NAMES = "needs a mapping of names to names."


class Pushes:
    name = "pushes"
    signals = frozenset({"logs"})
    delivery = Delivery()

    def encode(self, batch):
        return []

    def send(self, payload, deadline):
        raise NotImplementedError

    def close(self, deadline):
        pass


class PushesSpans(Pushes):
    signals = frozenset({"traces"})

    def __repr__(self):
        return "<spans>"


class Mask:
    """Masks one text."""

    mask = "[masked]"

    def __init__(self, secret):
        self.secret = secret

    def is_secret(self, name):
        return name == self.secret

    def text(self, text):
        return text.replace(self.secret, self.mask) if self.secret in text else text


class NoMask(Mask):
    mask = None

    def __repr__(self):
        return "<no mask>"


class Fails(Mask):
    """Fails at one name and at one text."""

    def is_secret(self, name):
        if name == "bad.name":
            raise KeyError
        return super().is_secret(name)

    def text(self, text):
        if "bad text" in text:
            raise SystemExit
        return super().text(text)


UNMASKABLE = [
    ("bad text", {}),
    ("b", {"a": "bad text"}),
    ("b", {"a": [{"b": "a bad text"}]}),
    ("b", {"bad text": 1}),
    ("b", {"bad.name": 1}),
    ("b", {"a": {"bad.name": 1}, "b": 2}),
]


# --- arguments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"sink": None}, f"sink got None, {SINKS}"),
        ({"sink": ""}, f"sink got '', {SINKS}"),
        ({"sink": "a\0b"}, f"sink got 'a\\x00b', {SINKS}"),
        ({"sink": b"path"}, f"sink got b'path', {SINKS}"),
        ({"sink": -1}, f"sink got -1, {SINKS}"),
        ({"sink": True}, f"sink got True, {SINKS}"),
        ({"sink": 2**31}, f"sink got 2147483648, {SINKS}"),
        ({"sink": Lines}, f"sink got <class 'tests.logs.routing.Lines'>, {SINKS}"),
        ({"sink": PushesSpans()}, f"sink got <PushesSpans>, {SINKS}"),
        (
            {"level": "loud"},
            "level got 'loud', needs one of trace, debug, info, warning, error, "
            "critical, off.",
        ),
        (
            {"hold": 10},
            "hold got 10, needs one of trace, debug, info, warning, error, critical, off.",
        ),
        (
            {"format": "xml"},
            "format got 'xml', needs one of auto, json, logfmt, terminal, or a function.",
        ),
        (
            {"format": ["json"]},
            "format got ['json'], needs one of auto, json, logfmt, terminal, or a "
            "function.",
        ),
        ({"keep": "error"}, "keep got 'error', needs a function of a record."),
        ({"sample": 10}, "sample got 10, needs a Sample."),
        ({"failover": "stderr"}, "failover got 'stderr', needs Route objects."),
        ({"failover": [Route(), 1]}, "failover got 1, needs Route objects."),
        (
            {"failover": Route(Pushes())},
            "failover got an exporter, needs one that writes at once.",
        ),
        (
            {"failover": [Route(hold="debug")]},
            "failover got a route that holds, needs one that writes at once.",
        ),
        ({"rename": "event"}, f"rename got 'event', {NAMES}"),
        ({"rename": {"event": ""}}, f"rename got {{'event': ''}}, {NAMES}"),
        ({"rename": {"event": "a\n"}}, f"rename got {{'event': 'a\\n'}}, {NAMES}"),
        ({"rename": {1: "one"}}, f"rename got {{1: 'one'}}, {NAMES}"),
        (
            {"rename": {"event": "x", "level": "x"}},
            "rename gives 'event' and 'level' one name, 'x'.",
        ),
        (
            {"rename": {"event": "time"}},
            "rename gives 'event' and 'time' one name, 'time'.",
        ),
        (
            {"rename": {"event": "x"}, "format": "terminal"},
            "format=terminal does not go together with rename.",
        ),
        (
            {"rename": {"event": "x"}, "format": str},
            "format=a function does not go together with rename.",
        ),
        ({"redact": True}, f"redact got True, {REDACT}"),
        (
            {"redact": Mask},
            f"redact got <class 'tests.logs.test_route.Mask'>, {REDACT}",
        ),
        ({"redact": NoMask("x")}, f"redact got <NoMask>, {REDACT}"),
        (
            {
                "sink": Pushes(),
                "format": "json",
                "sample": Sample(),
                "failover": Route(),
                "rename": {"event": "x"},
                "hold": "debug",
            },
            "an exporter as sink does not go together with format, sample, failover, "
            "rename, hold.",
        ),
    ],
)
def test_a_wrong_argument_is_refused_at_once(given, text):
    with pytest.raises(DefinitionError) as refused:
        Route(**given)
    assert str(refused.value) == f"Route: {text}"


def test_good_arguments_are_taken(tmp_path):
    for sink in ("stdout", tmp_path / "log", 2, Lines(), sys.stderr, Pushes()):
        Route(sink, level="error", keep=bool, redact=Mask("x"))
    Route(rename={"time": "event", "event": "time"}, hold="off", level="off")
    Route(failover=[Route(failover=Route("stdout"))], sample=Sample())


def test_what_is_no_route_is_refused():
    with pytest.raises(DefinitionError) as refused:
        Logs(routes=["stderr"])
    assert str(refused.value) == "Logs: routes got 'stderr', needs Route objects."


# --- which records go -------------------------------------------------------------------


def test_a_route_takes_what_is_at_least_of_its_level():
    some, all_ = Lines(), Lines()
    logs = Logs(level="trace", routes=[Route(some, level="warning"), Route(all_)])
    log = logs.logger("shop")
    for level in ("trace", "debug", "info", "warning", "error", "critical"):
        log.log(level, level)
    assert some.events == ["warning", "error", "critical"]
    assert all_.events == ["trace", "debug", "info", "warning", "error", "critical"]


def test_one_route_of_json_with_a_level_takes_no_less():
    sink = Lines()
    log = logs_to(sink, level="trace", format="json").logger()
    log.debug("seen")
    other = Lines()
    Logs(level="trace", routes=[Route(other, level="error")]).logger().info("below")
    assert sink.events == ["seen"]
    assert other.events == []


def test_a_route_that_is_off_takes_nothing():
    sink = Lines()
    logs_to(sink, level="off").logger().critical("x")
    assert sink.data == b""


def test_keep_decides_about_each_record():
    sink = Lines()
    logs = logs_to(sink, keep=lambda record: record.fields.get("path") != "/health")
    log = logs.logger("http")
    log.info("request", path="/health")
    log.info("request", path="/orders")
    assert [line["path"] for line in sink.lines] == ["/orders"]


def test_what_keep_raises_is_counted_and_said_and_the_record_is_kept(capfd):
    sink = Lines()
    logs = logs_to(sink, keep=lambda record: record.fields["path"])
    log = logs.logger()
    log.info("a")
    log.info("b")
    assert sink.events == ["a", "b"]
    assert dropped(logs, "invalid") == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    text = "logs 'stream': keep raised a KeyError. The record is kept."
    assert text in said


def test_what_is_no_exception_does_not_get_out_of_keep():
    sink = Lines()

    def keep(record):
        raise SystemExit

    logs_to(sink, keep=keep).logger().info("a")
    assert sink.events == ["a"]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no signals")
def test_what_a_signal_handler_raises_in_keep_reaches_the_host():
    def handler(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, handler)
    logs = logs_to(Lines(), keep=lambda record: signal.raise_signal(signal.SIGALRM))
    try:
        with pytest.raises(TimeoutError):
            logs.logger().info("a")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_keep_may_log_itself():
    sink = Lines()

    def keep(record):
        if record.event == "outer":
            log.info("inner")
        return True

    logs = logs_to(sink, keep=keep)
    log = logs.logger()
    log.info("outer")
    assert sink.events == ["inner", "outer"]


def test_routes_stand_in_the_place_of_stderr(capfd):
    sink = Lines()
    logs_to(sink).logger().info("a")
    assert capfd.readouterr().err == ""
    assert sink.events == ["a"]


# --- forms ------------------------------------------------------------------------------


def test_auto_is_json_where_there_is_no_terminal():
    sink = Lines()
    logs_to(sink, format="auto").logger("shop").info("paid", cents=5)
    assert sink.lines[0]["cents"] == 5


def test_auto_is_the_terminals_form_on_one():
    ours, theirs = pty.openpty()
    try:
        logs_to(theirs, format="auto").logger("shop").info("paid", cents=5)
        assert select.select([ours], [], [], 10)[0]
        shown = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"INFO" in shown
    assert b"[shop]" in shown


def test_a_route_writes_logfmt():
    sink = Lines()
    logs_to(sink, format="logfmt").logger("shop").info("paid", by="Ann Lee")
    head = b"time=2023-11-14T22:13:20.000Z level=info event=paid logger=shop"
    assert sink.data == head + b' by="Ann Lee"\n'


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("paid", b"paid\n"),
        ("paid\n", b"paid\n"),
        (b"paid", b"paid\n"),
        ("a\ud800", b"a\\ud800\n"),
        ("", b"\n"),
    ],
)
def test_a_function_makes_the_line(made, expected):
    sink = Lines()
    logs_to(sink, format=lambda record: made).logger().info("x")
    assert sink.data == expected


def raising(record):
    raise ValueError


@pytest.mark.parametrize(
    ("format", "what"),
    [
        (raising, "raised a ValueError"),
        (lambda record: None, "gave a NoneType"),
        (lambda record: 1, "gave a int"),
    ],
)
def test_where_the_function_fails_json_goes(format, what, capfd):
    sink = Lines()
    logs = logs_to(sink, format=format)
    log = logs.logger()
    log.info("a")
    log.info("b")
    assert sink.events == ["a", "b"]
    assert dropped(logs, "invalid") == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"logs 'stream': format {what}. The record goes as JSON." in said


def test_the_function_sees_no_secrets():
    seen = []
    logs = logs_to(
        Lines(), format=lambda record: seen.append(record) or "x", redact=Mask("pin")
    )
    logs.logger().info("the pin", pin="1234")
    (record,) = seen
    assert record.event == "the [masked]"
    assert "1234" not in str(record.fields)


def test_only_a_route_that_does_nothing_else_is_plain():
    plain = Route(Lines(), format="json")
    others = [
        {"level": "debug"},
        {"format": "logfmt"},
        {"format": str},
        {"keep": bool},
        {"sample": Sample()},
        {"failover": Route(Lines())},
        {"rename": {"event": "message"}},
        {"redact": Mask("x")},
        {"hold": "debug"},
    ]
    routes = [plain, *[Route(Lines(), **{"format": "json"} | it) for it in others]]
    logs = Logs(routes=routes)
    logs.logger()
    assert [it.is_plain for it in logs.outlets] == [True] + [False] * len(others)


# --- names ------------------------------------------------------------------------------


def test_fields_get_other_names():
    sink = Lines()
    rename = {"event": "message", "time": "@timestamp", "cents": "amount", "id": "x"}
    logs_to(sink, rename=rename).logger("shop").info("paid", cents=5)
    expected = {"@timestamp": "2023-11-14T22:13:20.000Z", "level": "info"}
    expected |= {"message": "paid", "logger": "shop", "amount": 5}
    assert sink.lines == [expected]
    assert list(sink.lines[0]) == list(expected)


def test_fields_get_other_names_in_logfmt():
    sink = Lines()
    logs_to(sink, rename={"event": "msg"}, format="logfmt").logger().info("paid", msg=1)
    expected = b"time=2023-11-14T22:13:20.000Z level=info msg=paid field.msg=1\n"
    assert sink.data == expected


def test_two_of_ours_may_change_their_names():
    sink = Lines()
    logs_to(sink, rename={"event": "level", "level": "event"}).logger().info("paid")
    assert sink.lines[0]["level"] == "paid"
    assert sink.lines[0]["event"] == "info"


@pytest.mark.parametrize(
    ("rename", "fields", "expected"),
    [
        ({"event": "message"}, {"message": 1}, {"message": "e", "field.message": 1}),
        ({"event": "message"}, {"event": 1}, {"message": "e", "field.event": 1}),
        ({"a": "b"}, {"a": 1, "b": 2}, {"event": "e", "b": 1, "field.b": 2}),
        ({"a": "b"}, {"b": 2, "a": 1}, {"event": "e", "b": 2, "field.b": 1}),
        ({"a": "event"}, {"a": 1}, {"event": "e", "field.event": 1}),
        # Though this record has no trace, another has.
        ({"trace_id": "t"}, {"t": 1}, {"event": "e", "field.t": 1}),
    ],
)
def test_a_clash_puts_field_before_the_users(rename, fields, expected):
    sink = Lines()
    log = logs_to(sink, rename=rename).logger()
    log.info("e", **fields)
    (line,) = sink.lines
    assert {k: v for k, v in line.items() if k not in {"time", "level"}} == expected


NAME = st.sampled_from([*sorted(LOG_NAMES), "a", "b", "field.a", "field.event", "c"])


@given(
    st.dictionaries(NAME, NAME, max_size=6),
    st.dictionaries(NAME, st.integers(-(2**63), 2**63 - 1), max_size=6),
)
def test_no_value_is_lost_whatever_the_names(rename, fields):
    sink = Lines()
    try:
        route = Route(sink, rename=rename)
    except DefinitionError:
        return
    log = Logs("shop", routes=[route], redact=None).logger("orders")
    log.info("paid", **fields)
    (line,) = sink.lines  # which also finds a name that comes twice
    assert len(line) == 5 + len(fields)
    assert line[rename.get("event", "event")] == "paid"
    assert line[rename.get("service", "service")] == "shop"
    rest = [it for it in line.values() if isinstance(it, int)]
    assert sorted(rest) == sorted(fields.values())


# --- secrets ----------------------------------------------------------------------------


def test_a_route_masks_more_than_the_instance():
    more, less = Lines(), Lines()
    routes = [Route(more, redact=Mask("blue")), Route(less)]
    logs = Logs(routes=routes, redact=Mask("red"))
    logs.logger().info("colours", a="red blue")
    assert more.lines[0]["a"] == "[masked] [masked]"
    assert less.lines[0]["a"] == "[masked] blue"


def test_a_route_masks_where_the_instance_does_not():
    more, less = Lines(), Lines()
    logs = Logs(routes=[Route(more, redact=Mask("blue")), Route(less)], redact=None)
    logs.logger().info("colours", a="blue")
    assert more.lines[0]["a"] == "[masked]"
    assert less.lines[0]["a"] == "blue"


@pytest.mark.parametrize(("event", "fields"), UNMASKABLE)
def test_where_masking_fails_the_record_is_left_out_of_that_route(event, fields, capfd):
    bad, good = Lines(), Lines()
    logs = Logs(routes=[Route(bad, redact=Fails("blue")), Route(good)], redact=None)
    logs.logger().info("a", b="blue")
    logs.logger().info(event, **fields)
    assert [(line["event"], line["b"]) for line in bad.lines] == [("a", "[masked]")]
    assert good.events == ["a", event]
    assert dropped(logs, "invalid") == 1
    assert "The record is left out." in capfd.readouterr().err


# --- sinks that fail --------------------------------------------------------------------


def test_what_the_sink_does_not_take_goes_another_way(capfd):
    first, second = Lines(), Lines()
    logs = logs_to(first, failover=Route(second, format="logfmt"))
    log = logs.logger()
    log.info("a")
    first.is_broken = True
    log.info("b")
    log.info("c")
    first.is_broken = False
    log.info("d")
    assert first.events == ["a", "d"]
    assert [line.split()[2] for line in second.data.splitlines()] == [
        b"event=b",
        b"event=c",
    ]
    assert dropped(logs, "export_failed") == 2
    assert "No space left on device" in capfd.readouterr().err


def test_the_first_failover_that_takes_a_line_gets_it():
    first, second, third, last = Lines(), Lines(), Lines(), Lines()
    failover = [Route(second, level="error"), Route(third), Route(last)]
    log = logs_to(first, failover=failover).logger()
    first.is_broken = True
    log.info("a")
    log.error("b")
    third.is_broken = True
    log.info("c")
    assert second.events == ["b"]
    assert third.events == ["a"]
    assert last.events == ["c"]


def test_a_failover_has_its_own():
    first, second, third = Lines(), Lines(), Lines()
    first.is_broken = second.is_broken = True
    route = Route(first, failover=Route(second, failover=Route(third)))
    Logs(routes=[route]).logger().info("a")
    assert third.events == ["a"]


def test_a_file_that_cannot_be_opened_fails_over(tmp_path, capfd):
    other = Lines()
    log = logs_to(str(tmp_path / "no" / "log"), failover=Route(other)).logger()
    log.info("a")
    assert other.events == ["a"]


def test_close_closes_and_the_next_record_opens_again(tmp_path):
    path = tmp_path / "log"
    logs = logs_to(path)
    logs.logger().info("a")
    logs.close()
    logs.close()
    logs.logger().info("b")
    assert [json.loads(it)["event"] for it in path.read_text().splitlines()] == [
        "a",
        "b",
    ]
    logs.close()


def test_a_handler_of_sighup_may_reopen_all_files(tmp_path, monkeypatch):
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    broken = Lines()
    broken.is_broken = True
    routes = [Route(first), Route(second), Route(broken, failover=Route(other))]
    logs = Logs(routes=routes)
    logs.reopen()  # before anything is open
    monkeypatch.setattr("obs.logs._files.monotonic", lambda: 1.0)  # no look of itself
    logs.logger().info("a")
    for path in (first, second, other):
        path.rename(f"{path}.1")
    before = signal.signal(signal.SIGHUP, lambda *_: logs.reopen())
    try:
        signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not first.exists()
    logs.logger().info("b")
    for path in (first, second, other):
        assert json.loads(path.read_text())["event"] == "b"
    logs.close()


def test_an_instance_flushes_and_closes_its_routes(tmp_path):
    sink = Lines()
    route = Route(sink, sample=Sample(1, 0), format="json")
    tel = Obs("shop", runtime=False, routes=[route], clock=FakeClock())
    log = tel.logger()
    for _ in range(3):
        log.info("a")
    tel.flush()
    assert sink.events == ["a", "log.sampled"]
    log.info("a")
    tel.close()
    assert sink.events == ["a", "log.sampled", "log.sampled"]


@pytest.mark.parametrize("step", ["flush", "close"])
def test_what_fails_is_said_and_the_rest_is_flushed_and_closed(
    step, capfd, monkeypatch
):
    first, second, recorder = Lines(), Lines(), Recorder()
    given = {"sample": Sample(1, 0), "format": "json"}
    tel = Obs(
        "shop",
        runtime=False,
        exporters=[recorder],
        routes=[Route(first, **given), Route(second, **given)],
        clock=FakeClock(),
    )
    tel.start()
    for _ in range(2):
        tel.logger().info("a")
    for fails in ("flush", "close"):
        monkeypatch.setattr(tel.logs.outlets[0].sink, fails, raising_oserror)
    getattr(tel, step)()
    tel.close()
    assert recorder.is_closed
    assert second.events == ["a", "log.sampled"]
    assert dropped(tel.logs, "invalid") >= 1
    text = "logs 'stream': flush raised a OSError. Lines may be lost."
    assert text in capfd.readouterr().err


def raising_oserror():
    raise OSError


class Recorder:
    """An exporter that notes that it was closed."""

    name = "recorder"
    is_closed = False

    def start(self, source):
        pass

    def close(self, deadline):
        self.is_closed = True
