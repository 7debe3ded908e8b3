"""The composition: levels at run time, processors, listeners, exporters, definitions."""

import os
import threading

import pytest

from obs import DefinitionError, Obs
from obs.limits import Limits
from obs.logs import Logs, Route
from obs.model import Ack, Delivery, Payload
from obs.redact import Redactor
from obs.testing import MemoryExporter
from tests.open_files import open_files


def events(written):
    return [line["event"] for line in written.lines()]


def test_set_level_changes_loggers_that_are_and_that_will_be(logs, written):
    one = logs.logger("db.pool").bind(a=1)
    logs.set_level("db.*", "debug")
    one.debug("a")
    logs.logger("db.x").debug("b")
    logs.logger("web").debug("c")
    logs.set_level("db.*", "off")
    one.critical("d")
    logs.set_level("db.*", "info")
    one.info("e")
    one.debug("f")
    assert events(written) == ["a", "b", "e"]


def test_set_level_for_a_time_ends_by_itself(logs, clock, written):
    log = logs.logger("db")
    logs.set_level("db", "debug", for_seconds=60)
    log.debug("a")
    clock.advance(59)
    log.debug("b")
    clock.advance(1)
    log.debug("c")
    log.info("d")
    assert events(written) == ["a", "b", "d"]
    assert not log.is_enabled("debug")


def test_quiet_for_a_time(logs, clock, written):
    log = logs.logger("db")
    logs.set_level("*", "off", for_seconds=5)
    log.critical("a")
    clock.advance(5)
    log.info("b")
    log.warn("c")
    assert events(written) == ["b", "c"]


def test_is_enabled_knows_when_a_time_is_over(logs, clock):
    log = logs.logger("db")
    logs.set_level("db", "debug", for_seconds=5)
    assert log.is_enabled("debug")
    clock.advance(5)
    assert not log.is_enabled("debug")


def test_processors_see_and_change_each_record(logs, log, written):
    seen = []

    def note(logger, method, event_dict):
        seen.append((method, dict(event_dict)))
        event_dict["more"] = 1
        event_dict.pop("a", None)
        return event_dict

    logs.add_processors(note)
    log.bind(b=2).warning("x", a=1)
    assert seen == [("warning", {"event": "x", "a": 1, "b": 2})]
    assert written.fields() == {"event": "x", "b": 2, "more": 1}


def test_a_processor_may_drop_a_record(logs, log, written):
    import structlog

    def drop(logger, method, event_dict):
        if event_dict["event"] == "no":
            raise structlog.DropEvent
        return event_dict

    logs.add_processors(drop)
    log.info("no")
    log.info("yes")
    assert events(written) == ["yes"]
    assert sum(logs.counts().values()) == 1


def test_a_processor_that_fails_loses_nothing(logs, log, written, capfd):
    logs.add_processors(lambda *args: 1 / 0)
    log.info("x", a=1)
    assert written.fields() == {"event": "x", "a": 1}
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1
    assert "a processor raised a ZeroDivisionError." in capfd.readouterr().err


def test_a_processor_that_gives_nothing_loses_nothing(logs, log, written, capfd):
    logs.add_processors(lambda logger, method, event_dict: event_dict.update(b=2))
    log.info("x", a=1)
    assert written.fields() == {"event": "x", "a": 1, "b": 2}
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1
    text = "a processor gave a NoneType, needs the dict that it got. The record goes on"
    assert text in capfd.readouterr().err


def test_what_a_processor_has_rendered_is_the_event(logs, log, written):
    logs.add_processors(lambda logger, method, event_dict: "text")
    log.info("x", a=1)
    assert written.fields() == {"event": "text"}


def test_a_processor_that_adds_secrets_does_not_show_them(logs, log, written):
    logs.add_processors(lambda logger, method, it: {**it, "password": "hunter2"})
    log.info("x")
    assert written.fields()["password"] == "[redacted]"


def test_a_processor_that_logs_does_not_go_on_for_ever(logs, log, written):
    def again(logger, method, event_dict):
        log.info("again")
        return event_dict

    logs.add_processors(again)
    log.info("x")
    assert 1 < len(written.lines()) < 50
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1


@pytest.mark.parametrize("bad", [None, 5, "x"])
def test_a_processor_can_be_called(logs, bad):
    with pytest.raises(DefinitionError) as raised:
        logs.add_processors(bad)
    assert str(raised.value) == f"add_processors: got {bad!r}, needs functions."


def test_listeners_get_each_record_at_once(logs, log, written, clock):
    got = []
    logs.listen(got.append)
    log.info("x", a=1, password="p")
    (record,) = got
    assert record == (
        clock.time_ns(), "info", "x", "shop", 0, 0, {"a": 1, "password": "[redacted]"},
    )  # fmt: skip
    logs.forget(got.append)
    log.info("x")
    assert len(got) == 1
    assert len(written.lines()) == 2


def test_a_listener_that_fails_hurts_nobody(logs, log, written):
    logs.listen(lambda record: 1 / 0)
    log.info("x")
    assert events(written) == ["x"]


def test_memory_exporters_keep_log_records(written):
    memory = MemoryExporter()
    routes = [Route(written.stream, format="json")]
    tel = Obs("shop", runtime=False, exporters=[memory], routes=routes)
    log = tel.logger("n")
    log.info("before the start")
    with tel.start(), tel.span("a") as span:
        log.info("x", a=1)
    log.info("after the end")
    (record,) = memory.logs
    assert (record.event, record.logger, record.fields) == ("x", "n", {"a": 1})
    assert (record.trace_id, record.span_id) == (
        span.context.trace_id,
        span.context.span_id,
    )
    assert events(written) == ["before the start", "x", "after the end"]


def test_log_records_is_a_metric(written):
    routes = [Route(written.stream, format="json")]
    tel = Obs("shop", runtime=False, routes=routes)
    tel.logger("n").info("x")
    tel.logger("n").info("x")
    assert tel.snapshot()["log.records"].value(level="info", logger="n") == 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"level": "loud"}, "Logs: level got 'loud', needs one of trace, debug, info, "
                            "warning, error, critical, off."),
        ({"log_format": "xml"}, "Logs: log_format got 'xml', needs one of auto, json, "
                                "logfmt, terminal."),
        ({"routes": ["x"]}, "Logs: routes got 'x', needs Route objects."),
        ({"routes": 5}, "Logs: routes got 5, needs Route objects."),
        ({"redact": "x"}, "redact got 'x', needs a Redactor(...), or None for none."),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_at_once(given, text):
    with pytest.raises(DefinitionError) as raised:
        Obs("shop", runtime=False, **given)
    assert str(raised.value) == text


def test_constructing_and_making_loggers_opens_no_file(tmp_path):
    before = open_files()
    tel = Obs("shop", runtime=False, routes=[Route(tmp_path / "log")])
    log = tel.logger("n")
    assert open_files() == before
    assert not (tmp_path / "log").exists()
    log.info("x")
    assert (tmp_path / "log").exists()


def test_two_threads_that_make_one_logger_share_its_class(logs):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(type(logs.logger("n"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


def test_a_name_that_is_a_secret_is_no_label(logs, written):
    logs.logger("password=hunter2").info("x")
    logs.logger("a\nb").info("x")
    assert len(written.lines()) == 2
    assert logs.counts() == {
        ("info", "password=[redacted]"): 1,
        ("info", "a\nb"): 1,
    }


def test_a_forked_child_counts_from_zero(logs, log, written):
    log.info("x")
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        log.info("child")
        os.write(write, b"%d" % logs.counts()["info", "shop"])
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 10) == b"1"
    assert logs.counts()["info", "shop"] == 1
    assert events(written) == ["x", "child"]


def test_several_routes_each_get_what_they_take(tmp_path, written):
    routes = [
        Route(written.stream, format="json", level="error"),
        Route(tmp_path / "all", format="logfmt"),
    ]
    log = Logs(routes=routes).logger()
    log.info("a", x=1)
    log.error("b", x=2)
    assert events(written) == ["b"]
    lines = (tmp_path / "all").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "level=info event=a x=1",
        "level=error event=b x=2",
    ]


# --- limits ---------------------------------------------------------------------------


def cut(logs):
    return logs.diag.truncated_counts().get(("logs",), 0)


@pytest.mark.parametrize("value", [1, [1]])
def test_fewer_fields_where_the_limit_says_so(value, make, written):
    logs = make(limits=Limits(attributes=3))
    log = logs.logger("shop", a=value)
    log.info("fits", b=1, c=2)
    log.info("does not", b=1, c=2, d=3)
    first, second = written.lines()
    assert [*first][4:] == ["a", "b", "c"]
    assert [*second][4:] == ["a", "b", "\N{HORIZONTAL ELLIPSIS}"]
    assert cut(logs) == 1


def test_shorter_records_where_the_limit_says_so(make, written):
    logs = make(limits=Limits(record_bytes=200))
    logs.logger().info("x", a="y" * 1_000)
    assert 80 < len(written.line()["a"]) < 200
    assert cut(logs) == 1


def test_more_where_the_limits_say_so(make, written):
    limits = Limits(attributes=1_000, record_bytes=10**6)
    redact = Redactor(keys=["other"])
    route = Route(written.stream, format="json", redact=redact)
    for given in ({}, {"routes": [route]}):
        logs = make(limits=limits, **given)
        logs.logger().info("x", a="y" * 200_000, **{f"f{n}": n for n in range(500)})
        line = written.line()
        assert len(line["a"]) == 200_000
        assert line["f499"] == 499
        assert cut(logs) == 0


def test_limits_hold_for_what_exporters_get():
    for limits in (Limits(attributes=2), Limits(attributes=1_000, record_bytes=10**6)):
        exporter = Takes()
        route = Route(exporter, redact=Redactor(keys=["other"]))
        tel = Obs("shop", runtime=False, routes=[route], limits=limits)
        with tel.start():
            fields = {f"f{number}": "y" * 500 for number in range(300)}
            tel.logger().info("x", **fields)
        (record,) = exporter.records
        assert len(record.fields) == min(limits.attributes, 300)


class Takes:
    name = "takes"
    signals = frozenset({"logs"})
    delivery = Delivery()

    def __init__(self):
        self.records = []

    def encode(self, batch):
        self.records += batch.records
        return [Payload(b"x", len(batch.records))]

    def send(self, payload, deadline):
        return Ack(payload.records)

    def close(self, deadline):
        pass
