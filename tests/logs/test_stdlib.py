"""Records of `logging` in our pipeline."""

import gc
import logging
import logging.config
import os
import signal
import sys
import threading
from contextlib import suppress

import pytest

from obs import DefinitionError, Obs
from obs._clock import SystemClock
from obs.logs import Route
from obs.logs._stdlib import Handler
from obs.model import Ack, Delivery, Payload
from obs.testing import FakeClock
from tests.survival.processes import Fork


@pytest.fixture(autouse=True)
def clean():
    """Put `logging` back as it was, whatever a test leaves."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    root.setLevel(logging.WARNING)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.fixture
def capture(logs):
    with logs.capture_stdlib() as found:
        yield found


@pytest.fixture(params=["young", "old"])
def clock(request):
    """Records that are young by this clock may take the fast way."""
    return SystemClock() if request.param == "young" else FakeClock()


def ours():
    """Give our handler, and leave it alone: those of pytest raise."""
    root = logging.getLogger()
    (found,) = [it for it in root.handlers if type(it) is Handler]
    root.handlers[:] = [found]
    return found


def record_of(name, **more):
    return logging.makeLogRecord({"name": name, "msg": "x", "levelno": 20, **more})


@pytest.fixture
def std():
    return logging.getLogger("lib.db")


def test_a_record_has_logger_level_event_and_fields(capture, std, written):
    std.info("took %d of %s", 3, "ten", extra={"user": 7, "items": [1, {"a": None}]})
    found = written.line()
    found.pop("time")
    assert found == {
        "level": "info", "event": "took 3 of ten", "logger": "lib.db", "user": 7,
        "items": [1, {"a": None}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "level"),
    [(20, "info"), (25, "info"), (30, "warning"), (40, "error"), (50, "critical"),
     (70, "critical")],
)  # fmt: skip
def test_levels_go_by_number(capture, std, written, number, level):
    std.log(number, "x")
    assert written.line()["level"] == level


def test_the_lowest_levels_have_names_too(make, std, written):
    with make(level="trace").capture_stdlib("trace"):
        std.log(5, "x")
        std.log(9, "x")
        std.log(10, "x")
        std.log(4, "x")
    assert [it["level"] for it in written.lines()] == ["trace", "trace", "debug"]


def test_values_go_in_by_percent_as_logging_has_it(capture, std, written):
    std.info("%(a)s", {"a": 1})
    std.info("100 %")
    std.info(5)
    std.info(ValueError("no"))
    events = [it["event"] for it in written.lines()]
    assert events == ["1", "100 %", "5", "ValueError: no"]


def test_values_that_do_not_fit_lose_nothing(capture, std, logs, written, capfd):
    ours()
    std.info("%d of", "a", extra={"user": 7})
    assert written.fields() == {"event": "%d of ('a',)", "user": 7}
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1
    text = "a message of the logger 'lib.db' does not take its values."
    assert text in capfd.readouterr().err


def test_a_class_of_records_with_its_own_message(capture, written):
    class Braces(logging.LogRecord):
        def getMessage(self):
            return self.msg.format(*self.args)

    std = logging.getLogger("braces")
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Braces)
    try:
        std.info("{} of {}", 1, 2)
    finally:
        logging.setLogRecordFactory(before)
    assert written.line()["event"] == "1 of 2"


class Hostile:
    def __init__(self, error):
        self.error = error

    def __str__(self):
        raise self.error

    __repr__ = __str__


@pytest.mark.parametrize("error", [ValueError, SystemExit, RecursionError])
def test_hostile_values_reach_nobody(capture, std, written, error):
    ours()
    std.info("%s", Hostile(error))
    std.info(Hostile(error))
    std.info("x", extra={"a": Hostile(error)})
    found = written.lines()
    assert [it["event"] for it in found[1:]] == ["<Hostile>", "x"]
    assert found[0]["event"].startswith("%s")
    assert found[2]["a"] == "<Hostile>"


def test_ctrl_c_goes_through(capture, std):
    with pytest.raises(KeyboardInterrupt):
        std.info("%s", Hostile(KeyboardInterrupt))


def test_exceptions_become_fields(capture, std, written):
    try:
        {}["sku"]
    except KeyError:
        std.exception("failed")
    found = written.line()
    assert (found["level"], found["exception.type"]) == ("error", "KeyError")
    assert found["exception.message"] == "'sku'"
    assert found["exception.stacktrace"].splitlines()[-1] == "KeyError: 'sku'"
    std.info("x", exc_info=True)
    assert set(written.fields()) == {"event"}


def test_an_exception_from_another_process_is_its_text(capture, written):
    logging.getLogger("n").handle(record_of("n", exc_text="Traceback: no"))
    assert written.fields() == {"event": "x", "exception.stacktrace": "Traceback: no"}


def test_stack_info_becomes_a_field(capture, std, written):
    std.info("x", stack_info=True)
    stack = written.fields()["stack"].splitlines()
    assert stack[0] == "Stack (most recent call last):"
    assert "test_stack_info_becomes_a_field" in stack[-2]


def test_caller_as_an_extra_tells_where_the_call_stands(capture, std, written):
    std.info("x", extra={"caller": True})
    assert written.fields()["code.file.path"] == __file__


def test_the_time_is_the_records(capture, written):
    logging.getLogger("n").handle(record_of("n", created=1_700_000_000.123))
    assert written.line()["time"] == "2023-11-14T22:13:20.123Z"


def test_names_that_clash_or_are_none(capture, std, written):
    std.info("x", extra={"level": 1, "event": 2, "": 3, 4: 5})
    assert written.fields() == {
        "event": "x", "field.level": 1, "field.event": 2, "<empty>": 3, "4": 5,
    }  # fmt: skip


def test_secrets_are_masked(capture, std, written):
    std.info(
        "Authorization: Bearer %s", "hunter2hunter2", extra={"password": "hunter2"}
    )
    data = written.bytes()
    assert b"hunter2" not in data
    assert data.count(b"[redacted]") == 2


def test_fields_in_scope_and_processors_count(capture, logs, std, written):
    logs.add_processors(lambda logger, level, event: {**event, "more": level})
    with logs.fields(request_id="r-1"):
        std.info("x")
    assert written.fields() == {"event": "x", "request_id": "r-1", "more": "info"}


def test_ids_are_those_of_the_current_span(written, std):
    tel = Obs("shop", runtime=False, routes=[Route(written.stream, format="json")])
    with tel.logs.capture_stdlib(), tel.span("a") as span:
        std.info("x")
    found = written.line()
    assert (found["trace_id"], found["span_id"]) == (
        span.context.trace_id,
        span.context.span_id,
    )


def test_young_records_of_plain_values_take_the_fast_way(
    capture, std, clock, general, written
):
    for n in range(50):
        std.info("x %d", n, extra={"user": "u-1", "n": n})
    std.info("x", extra={"items": [1]})
    assert len(written.lines()) == 51
    # A thread that is interrupted gets older.
    assert (len(general) < 25) is (type(clock) is SystemClock)


@pytest.mark.parametrize("clock", ["old"], indirect=True)
def test_levels_at_run_time_hold(logs, clock, std, written):
    with logs.capture_stdlib("debug"):
        std.debug("a")
        logs.set_level("lib.*", "debug", for_seconds=60)
        std.debug("b")
        clock.advance(60)
        std.debug("c")
        logs.set_level("lib.*", "off")
        std.critical("d")
        logging.getLogger("web").info("e")
    assert [it["event"] for it in written.lines()] == ["b", "e"]


def test_records_are_counted_by_level_and_logger(capture, logs, std):
    std.info("x")
    std.info("x")
    assert logs.counts()["info", "lib.db"] == 2


def test_more_than_a_thousand_loggers_share_one(capture, logs, written):
    for n in range(1_010):
        logging.getLogger().handle(record_of(f"n{n}"))
    names = [it["logger"] for it in written.lines()]
    # One of the thousand has no name.
    assert names == [f"n{n}" for n in range(999)] + ["other"] * 11


def state(*loggers):
    found = [logging.getLogger(name) for name in loggers]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    return [
        (it.level, list(it.handlers), list(it.filters), it.propagate) for it in found
    ], hooks


def test_close_takes_away_what_was_added_and_nothing_else(logs, std, written):
    import warnings

    names = ("", "uvicorn.access", "gunicorn.error", "py.warnings", "lib.db")
    mine = logging.NullHandler()
    logging.getLogger().addHandler(mine)
    logging.getLogger().setLevel("ERROR")
    before, shows = state(*names), warnings.showwarning
    capture = logs.capture_stdlib(warnings=True, uncaught=True, servers=True)
    assert state(*names) != before
    assert mine in logging.getLogger().handlers
    capture.close()
    capture.close()
    std.error("x")
    assert state(*names) == before
    assert warnings.showwarning is shows
    assert written.bytes() == b""


def test_a_level_is_lowered_only_and_restored_unless_somebody_has_set_it(logs):
    root = logging.getLogger()
    root.setLevel("DEBUG")
    with logs.capture_stdlib():
        assert root.level == logging.DEBUG
    root.setLevel("ERROR")
    with logs.capture_stdlib():
        assert root.level == logging.INFO
    assert root.level == logging.ERROR
    with logs.capture_stdlib():
        root.setLevel("WARNING")
    assert root.level == logging.WARNING


def test_a_second_call_takes_the_place_of_the_first(logs, std, written):
    logging.getLogger().setLevel("ERROR")
    first = logs.capture_stdlib("warning")
    second = logs.capture_stdlib("info")
    std.info("x")
    first.close()
    std.info("y")
    assert [it["event"] for it in written.lines()] == ["x", "y"]
    second.close()
    assert logging.getLogger().level == logging.ERROR


def test_a_logger_of_its_own_and_all_others(logs, std, written):
    with logs.capture_stdlib(logger="lib"):
        std.info("a")
        logging.getLogger("web").error("b")
        with logs.capture_stdlib():
            std.info("c")
            logging.getLogger("web").error("d")
    assert [it["event"] for it in written.lines()] == ["a", "c", "d"]


def test_a_configuration_of_logging_afterwards_leaves_it_usable(logs, std, written):
    with logs.capture_stdlib(servers=True):
        logging.config.dictConfig({
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"own": {"class": "logging.StreamHandler"}},
            "loggers": {"uvicorn.access": {"handlers": ["own"], "propagate": False}},
        })  # fmt: skip
        std.info("a")
        logging.getLogger("uvicorn.access").warning("b")
    assert [it["event"] for it in written.lines()] == ["a", "b"]


def test_filters_of_the_handler_decide(capture, std, written):
    handler = ours()
    handler.addFilter(lambda record: record.getMessage() != "no")
    std.info("no")
    std.info("yes")
    assert written.line()["event"] == "yes"


def test_it_has_no_lock(capture, std, written):
    handler = ours()
    assert handler.lock is None
    with logging._lock:  # as a thread that configures logging holds it
        thread = threading.Thread(target=handler.handle, args=[record_of("new.name")])
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert written.line()["logger"] == "new.name"


def test_a_record_that_arises_while_one_is_handled_is_made_too(capture, std, written):
    ours()

    class Talking:
        def __str__(self):
            std.info("inner")
            return "outer"

    std.info(Talking())
    assert sorted(it["event"] for it in written.lines()) == ["inner", "outer"]


def test_what_logs_for_ever_while_it_is_logged_ends(capture, logs, std, written):
    def talk(logger, level, event):
        std.info("again")
        return event

    logs.add_processors(talk)
    std.info("x")
    assert len(written.lines()) == 4
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1


def test_a_value_that_logs_itself_while_it_is_shown_ends(capture, logs, std, written):
    class Talking:
        def __str__(self):
            std.info("%s", self)
            std.info(self)
            raise ValueError

        __repr__ = __str__

    ours()
    std.info("%s", Talking())
    assert 4 <= len(written.lines()) < 10_000
    assert logs.diag.dropped_counts()["logs", "", "invalid"] > 1


def test_signal_handlers_and_finalizers_may_log(capture, std, written):
    class Finalized:
        def __del__(self):
            std.info("finalizer")

    before = signal.signal(signal.SIGUSR1, lambda *_: std.info("signal"))
    try:
        for n in range(200):
            ring = Finalized()
            ring.ring = ring
            del ring
            logging.getLogger(f"new.{n}").info("%s", n)
            os.kill(os.getpid(), signal.SIGUSR1)
            gc.collect(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    gc.collect()
    events = [it["event"] for it in written.lines()]
    assert [events.count("signal"), events.count("finalizer"), len(events)] == [
        200,
        200,
        600,
    ]


def test_a_child_does_not_wait_for_what_a_thread_of_its_parent_holds(capture, logs):
    def log():
        logging.getLogger("new.in.child").info("x")
        logs.logger("another").info("x")
        return logs.counts()["info", "new.in.child"]

    with logs.kinds.lock:
        fork = Fork()
        if fork.is_child:
            fork.answer(log)
    assert fork.result() == 1


class Talkative:
    """An exporter whose library logs whenever it sends."""

    name = "talkative"
    signals = frozenset({"logs"})
    delivery = Delivery(interval=60.0, timeout=5.0)

    def __init__(self, log):
        self.log = log
        self.events = []

    def encode(self, batch):
        self.log.info("encoding")
        yield Payload([it.event for it in batch.records], len(batch.records))

    def send(self, payload, deadline):
        self.log.info("sending")
        self.events += payload.body
        return Ack(payload.records)

    def close(self, deadline):
        pass


def test_what_an_exporters_library_logs_while_it_sends_is_not_sent(written, std):
    exporter = Talkative(std)
    routes = [Route(written.stream, format="json")]
    tel = Obs("shop", runtime=False, routes=routes, exporters=[exporter])
    with tel.start(), tel.logs.capture_stdlib():
        for event in ("x", "y"):
            std.info(event)
            assert tel.flush(10).pending == 0
    assert exporter.events == ["x", "y"]
    events = [it["event"] for it in written.lines()]
    assert events == ["x", "encoding", "sending", "y", "encoding", "sending"]


def test_arguments_are_checked(logs):
    with pytest.raises(DefinitionError) as raised:
        logs.capture_stdlib("loud")
    assert str(raised.value) == (
        "capture_stdlib: level got 'loud', needs one of trace, debug, info, warning, "
        "error, critical, off."
    )
    with pytest.raises(DefinitionError) as raised:
        logs.capture_stdlib(logger=5)
    assert str(raised.value) == "capture_stdlib: logger got 5, needs a logger's name."


def test_a_captured_record_that_is_only_held_goes_nowhere_else(
    tmp_path, make, std, written
):
    routes = [
        Route(tmp_path / "holds", format="json", hold="debug"),
        Route(written.stream, format="json"),
    ]
    logs = make(routes=routes)
    got = []
    logs.listen(got.append)
    with logs.capture_stdlib("debug"):
        std.debug("outside of a request")
        with logs.fields(request=1):
            std.debug("in a request that ends well")
        with suppress(ValueError), logs.fields(request=2):
            std.debug("in a request that fails")
            raise ValueError
    assert written.bytes() == b""
    assert got == []
    (line,) = (tmp_path / "holds").read_text("utf-8").splitlines()
    assert '"event":"in a request that fails"' in line
    assert '"replayed":true' in line


def test_the_end_of_a_line_in_a_message_is_left_out(capture, std, written):
    std.info("two\nlines\n")
    std.info("%s\r\n", "x")
    assert [line["event"] for line in written.lines()] == ["two\nlines", "x"]


def test_secrets_of_a_mapping_are_masked_in_the_message(logs, log, written, general):
    given = {"user": "ann", "password": "hunter2", 5: 1}
    with logs.capture_stdlib():
        log.info("%(user)s %(password)s", given)
        assert general == []
        log.info("%(user)s %(password)s", given, time=1)
        logging.getLogger("a").info("%(user)s %(password)s", given)
    assert [it["event"] for it in written.lines()] == ["ann [redacted]"] * 3
    assert given["password"] == "hunter2"


def test_without_redaction_they_are_not(make, written):
    logs = make(redact=None)
    logs.logger().info("%(pin)d", {"pin": 1})
    assert written.line()["event"] == "1"
