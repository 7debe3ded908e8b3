"""What a call that logs writes, on the fast way and on the general one."""

import asyncio
import datetime
import math
import threading

import pytest
import structlog

from obs import DefinitionError, InvalidValue, Obs
from obs.logs import Logs, Route, lazy
from obs.testing import MemoryExporter


class Hostile:
    """Raises whatever is asked of it."""

    def __init__(self, error=ValueError):
        self.error = error

    def fail(self, *args):
        raise self.error("no")

    __repr__ = __str__ = __hash__ = __eq__ = __len__ = __iter__ = fail


def test_a_line_has_its_fields_in_order(make, written):
    log = make("checkout").logger("orders", env="prod")
    for _ in range(2):  # the first one finds out what the second one knows
        log.info("order.placed", order=7, paid=True, total=1.5, note=None)
        assert written.bytes() == (
            b'{"time":"2023-11-14T22:13:20.000Z","level":"info","event":"order.placed",'
            b'"logger":"orders","service":"checkout","env":"prod","order":7,"paid":true,'
            b'"total":1.5,"note":null}\n'
        )


def test_without_a_name_a_service_and_fields_a_line_is_short(logs, written):
    logs.logger().info("x")
    assert written.bytes() == (
        b'{"time":"2023-11-14T22:13:20.000Z","level":"info","event":"x"}\n'
    )


def test_what_is_known_takes_one_way_and_what_is_not_the_other(log, written, general):
    for _ in range(2):
        log.info("a", x=1, y="text", z=2.5, on=True, none=None)
        log.info("a", x="new", user=123456)
        log.info(f"b {_}")
        log.info("c %s", _)
        log.bind(q=1).info("a")
        log.info("a", items=[1, {"b": 2}], when=datetime.date(2026, 1, 2))
    assert general == []
    log.info("a", exc_info=None)
    log.info("a", level="x")
    log.info("a", pause=lazy(lambda: 1))
    log.bind(x=1).info("a", x=2)
    assert general == ["a"] * 4
    assert len(written.lines()) == 16


@pytest.mark.parametrize(
    "level", ["trace", "debug", "info", "warning", "error", "critical"]
)
def test_each_level_has_its_method(make, written, level):
    log = make(level="trace").logger()
    getattr(log, level)("x")
    asyncio.run(getattr(log, f"a{level}")("x"))
    log.log(level, "x")
    asyncio.run(log.alog(level, "x"))
    assert [line["level"] for line in written.lines()] == [level] * 4


def test_other_names_of_levels(log, written):
    log.warn("x")
    log.fatal("x")
    log.msg("x")
    log.log(35, "x")
    log.log("loud", "x")
    levels = [line["level"] for line in written.lines()]
    assert levels == ["warning", "critical", "info", "warning", "info"]


def test_what_is_below_the_level_is_not_made(log, logs, written):
    log.debug("x", value=Hostile())
    log.trace("x %s")
    assert written.bytes() == b""
    assert logs.counts()["info", "shop"] == 0


def test_values_go_into_the_event_by_percent(log, written):
    log.info("%s of %d", "a", 2, b=3)
    log.info("%(a)s", {"a": 1})
    log.info("100 %")
    log.info("%s", {})
    events = [line["event"] for line in written.lines()]
    assert events == ["a of 2", "1", "100 %", "{}"]


def test_values_that_do_not_fit_are_shown_and_counted(log, logs, written):
    log.info("%d of", "a")
    assert written.line()["event"] == "%d of ('a',)"
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1


def test_a_strict_instance_raises_for_values_that_do_not_fit(make):
    log = make(strict=True).logger()
    with pytest.raises(InvalidValue) as raised:
        log.info("%d", *"ab")
    assert str(raised.value) == "log: '%d' does not take 2 values by %."


def test_any_name_may_be_a_fields(log, written):
    log.info("x", self=1, event=2, args=3, fields=4, level=5, time=6)
    assert written.fields() == {
        "event": "x", "self": 1, "field.event": 2, "args": 3, "fields": 4,
        "field.level": 5, "field.time": 6,
    }  # fmt: skip


def test_names_that_are_no_texts_of_python(log, written):
    names = {"": 1, "a b": 2, "ä": 3, "\n": 4, "\ud800": 5, 'q"': 6, "x" * 5_000: 7}
    log.info("x", **names)
    found = written.fields()
    assert sorted(map(str, found.values())) == sorted(["x", *map(str, range(1, 8))])


def test_a_call_without_an_event_or_with_one_by_name(log, written):
    log.info()
    log.info(event="x", a=1)
    log.error(event="y")
    log.debug()
    events = [line["event"] for line in written.lines()]
    assert events == ["", "x", "y"]


def test_events_that_are_no_text(log, written):
    log.info(5)
    log.info(0)
    log.info(b"bytes")
    log.info(["a"])
    log.info(Hostile())
    events = [line["event"] for line in written.lines()]
    assert events == ["5", "0", "bytes", "['a']", "<Hostile>"]


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, GeneratorExit, RecursionError]
)
def test_a_hostile_value_reaches_nobody(log, logs, written, error):
    log.info("x", a=1, bad=Hostile(error))
    log.bind(bad=Hostile(error)).info("x")
    log.info(Hostile(error))
    log.info("%s", Hostile(error))
    log.info("x", a=lazy(Hostile(error).fail))
    found = written.lines()
    assert [len(found), found[0]["bad"], found[1]["bad"]] == [
        5,
        "<Hostile>",
        "<Hostile>",
    ]
    assert found[4]["a"] == f"<lazy: {error.__name__}: no>"


def test_ctrl_c_goes_through(log):
    with pytest.raises(KeyboardInterrupt):
        log.info("x", a=lazy(Hostile(KeyboardInterrupt).fail))


def test_numbers_that_json_does_not_know(log, written):
    log.info("x", nan=math.nan, inf=-math.inf, big=1 << 70, small=-(1 << 63))
    assert written.fields() == {
        "event": "x", "nan": "NaN", "inf": "-Infinity", "big": str(1 << 70),
        "small": -(1 << 63),
    }  # fmt: skip


def test_equal_numbers_of_other_types_stay_what_they_are(log, written):
    for value in (1, 1.0, True, 0, 0.0, False, -0.0):
        log.info("x", v=value)
        log.info("x", v=value)
    assert [repr(line["v"]) for line in written.lines()[::2]] == [
        "1", "1.0", "True", "0", "0.0", "False", "-0.0",
    ]  # fmt: skip


def test_no_text_can_break_a_line(log, written):
    for text in ("a\nb", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ud800", "\0"):
        log.info(text)
        log.info("x", v=text, **{text: 1})
    data = written.bytes().decode()
    assert len(data.splitlines()) == 14
    assert data.replace("\n", "").isprintable()


def test_lazy_values_are_made_only_for_a_record(log, written):
    made = []
    log.debug("x", v=lazy(lambda: made.append(1)))
    assert made == []
    log.info("x", v=lazy(lambda: made.append(1) or [1]))
    log.bind(v=lazy(lambda: made.append(1) or 2)).info("x")
    assert [line["v"] for line in written.lines()] == [[1], 2]
    assert made == [1, 1]


def boom():
    raise ValueError("bad")


def test_exception_tells_of_what_is_handled(log, written):
    try:
        boom()
    except ValueError:
        log.exception("failed", a=1)
    found = written.line()
    assert (found["level"], found["a"]) == ("error", 1)
    assert found["exception.type"] == "ValueError"
    assert found["exception.message"] == "bad"
    stack = found["exception.stacktrace"].splitlines()
    assert stack[0] == "Traceback (most recent call last):"
    assert stack[-1] == "ValueError: bad"
    assert "in boom" in stack[-3]


@pytest.mark.parametrize("form", [True, 1, "yes", [0], "error", "tuple"])
def test_exc_info_takes_what_logging_and_structlog_take(log, written, form):
    try:
        boom()
    except ValueError as error:
        given = {"error": error, "tuple": (type(error), error, None)}
        log.info("x", exc_info=given.get(str(form), form))
    assert written.line()["exception.type"] == "ValueError"


@pytest.mark.parametrize("nothing", [False, None, 0, (), (None, None, None), "x", True])
def test_exc_info_of_nothing_adds_nothing(log, written, nothing):
    log.info("x", exc_info=nothing)
    assert written.fields() == {"event": "x"}


def test_exc_info_whose_truth_is_unknown_adds_nothing(log, written):
    class Neither:
        __bool__ = Hostile(ValueError).fail

    try:
        boom()
    except ValueError:
        log.info("x", exc_info=Neither())
    assert written.fields() == {"event": "x"}


def test_a_hostile_exception_is_told_all_the_same(log, written):
    class Bad(Exception):
        __module__ = 5
        __str__ = Hostile(SystemExit).fail

    log.info("x", exc_info=Bad())
    found = written.line()
    assert found["exception.message"] == "<str() of Bad failed>"


def test_stack_info_and_caller_tell_where_a_call_stands(log, written):
    log.info("x", stack_info=True, caller=True)
    found = written.line()
    here = test_stack_info_and_caller_tell_where_a_call_stands.__code__
    assert found["code.file.path"] == here.co_filename
    assert found["code.function.name"] == here.co_qualname
    assert found["code.line.number"] == here.co_firstlineno + 1
    assert found["stack"].splitlines()[0] == "Stack (most recent call last):"
    assert "log.info(" in found["stack"].splitlines()[-1]


def test_caller_holds_for_each_record_where_it_is_bound(log, written):
    log.bind(caller=True).info("x")
    assert written.line()["code.file.path"] == __file__


def test_caller_is_a_field_like_others_where_it_is_not_true(log, written):
    log.info("x", caller="+49")
    assert written.fields() == {"event": "x", "caller": "+49"}


def test_bind_adds_and_new_replaces(log, written):
    one = log.bind(a=1, b=2)
    two = one.bind(b=3)
    two.new(c=4).info("x")
    two.unbind("a").info("x")
    two.try_unbind("a", "z").info("x")
    one.info("x", b=5)
    log.info("x")
    found = [{k: v for k, v in line.items() if len(k) == 1} for line in written.lines()]
    assert found == [{"c": 4}, {"b": 3}, {"b": 3}, {"a": 1, "b": 5}, {}]


def test_unbind_of_what_is_not_bound_raises_as_structlog_does(log):
    with pytest.raises(KeyError):
        log.bind(a=1).unbind("b")


def test_bound_fields_may_be_anything(make, written):
    log = make().logger("n", items=[1], password="x", level=3, bad=Hostile())
    for _ in range(2):
        log.info("x", more=1)
        assert written.fields() == {
            "event": "x", "items": [1], "password": "[redacted]", "field.level": 3,
            "bad": "<Hostile>", "more": 1,
        }  # fmt: skip


def test_secrets_are_masked_on_every_way(log, written, general):
    log.info("x", password="hunter2")
    log.info("x", user={"password": "hunter2"})
    log.bind(password="hunter2").info("x")
    log.info("x", exc_info=ValueError("Authorization: Bearer hunter2hunter2"))
    log.info("Authorization: Bearer hunter2hunter2")
    log.info("x", note="Authorization: Bearer hunter2hunter2")
    log.info("Authorization: Bearer %s", "hunter2hunter2")
    data = written.bytes()
    assert data.count(b"[redacted]") >= 7
    assert b"hunter2" not in data


def test_without_redaction_all_is_shown(make, written):
    make(redact=None).logger().info("x", password="hunter2")
    assert written.fields() == {"event": "x", "password": "hunter2"}


def test_a_card_number_is_masked_as_a_number_too(log, written):
    log.info("x", card=4111111111111111)
    assert written.fields()["card"] == "[redacted]"


def test_a_long_text_is_cut_and_counted(log, logs, written):
    log.info("x", a="y" * 100_000, b=1)
    found = written.fields()
    assert len(found["a"]) < 65_536
    assert found["b"] == 1
    assert logs.diag.truncated_counts()["logs",] == 1


def test_a_thousand_fields_are_cut_to_the_limit(make, written):
    log = make(level="trace").logger()
    log.info("x", **{f"n{i}": i for i in range(1_000)})
    assert len(written.fields()) < 140


def test_is_enabled(make):
    log = make(level="warning").logger()
    assert [log.is_enabled(it) for it in ("info", "warning", "loud")] == [
        False,
        True,
        True,
    ]
    assert [log.is_enabled_for(it) for it in (20, 30)] == [False, True]
    assert log.get_effective_level() == 30


def test_a_logger_is_a_bound_logger_for_structlog(log):
    bound = log.bind(a=1)
    assert isinstance(bound, structlog.typing.BindableLogger)
    assert structlog.get_context(bound) == {"a": 1}
    structlog.get_context(bound)["a"] = 2  # a copy
    assert structlog.get_context(bound) == {"a": 1}


def test_a_logger_shows_its_name_and_what_is_bound_but_no_value(log):
    assert repr(log.bind(password="x", a=1)) == "<Logger 'shop' bound=password, a>"


def test_a_name_is_text(logs):
    with pytest.raises(DefinitionError) as raised:
        logs.logger(5)
    assert str(raised.value) == "logger: the name got 5, needs text."


def test_hostile_names_of_loggers(logs, written):
    for name in ("a\nb", "\ud800", "x" * 10_000, 'q"'):
        logs.logger(name).info("x")
    assert len(written.lines()) == 4


def test_more_than_a_thousand_loggers_share_one(logs, written, capfd):
    for n in range(1_010):
        logs.logger(f"n{n}").info("x")
    names = [line["logger"] for line in written.lines()]
    assert names[:1_000] == [f"n{n}" for n in range(1_000)]
    assert names[1_000:] == ["other"] * 10
    assert (
        "there are 1000 loggers; what 'n1000' logs is 'other'."
        in capfd.readouterr().err
    )


def test_records_are_counted_by_level_and_logger(logs, log):
    log.info("x")
    log.info("x", a=[1])
    log.info("x")
    log.error("x")
    logs.logger("b").info("x")
    found = {k: v for k, v in logs.counts().items() if v}
    assert found == {("info", "shop"): 3, ("error", "shop"): 1, ("info", "b"): 1}


def test_times_go_on_with_the_clock(log, clock, written):
    for seconds in (0, 0.001, 0.9985, 3600, 86400 * 365):
        clock.advance(seconds)
        log.info("x")
    clock.jump(-2 * 86400)
    log.info("x")
    assert [line["time"] for line in written.lines()] == [
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:20.001Z",
        "2023-11-14T22:13:20.999Z",
        "2023-11-14T23:13:20.999Z",
        "2024-11-13T23:13:20.999Z",
        "2024-11-11T23:13:20.999Z",
    ]


class TestInTraces:
    @pytest.fixture
    def memory(self):
        return MemoryExporter()

    @pytest.fixture
    def tel(self, written, clock, memory):
        routes = [Route(written.stream, format="json")]
        return Obs("shop", runtime=False, routes=routes, clock=clock)

    def test_a_record_has_the_ids_of_the_current_span(self, tel, written):
        log = tel.logger()
        with tel.span("a") as outer:
            log.info("x")
            log.info("x")
            with tel.span("b") as inner:
                log.info("x", items=[1])
                log.info("x", exc_info=ValueError())
            log.info("x")
        log.info("x")
        ids = [(it.get("trace_id"), it.get("span_id")) for it in written.lines()]
        a, b = outer.context, inner.context
        assert ids == [
            (a.trace_id, a.span_id),
            (a.trace_id, a.span_id),
            (b.trace_id, b.span_id),
            (b.trace_id, b.span_id),
            (a.trace_id, a.span_id),
            (None, None),
        ]

    def test_a_context_from_elsewhere_has_ids_too(self, tel, written):
        header = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}
        with tel.use(tel.extract(header)):
            tel.logger().info("x")
            tel.logger().info("x")
        with tel.use(tel.extract({})):
            tel.logger().info("x")
        ids = [(it.get("trace_id"), it.get("span_id")) for it in written.lines()]
        assert ids == [("ab" * 16, "cd" * 8)] * 2 + [(None, None)]

    def test_records_of_a_trace_are_in_order_though_the_clock_is_set_back(
        self, tel, written, clock
    ):
        log = tel.logger()
        with tel.span("a"):
            log.info("x")
            clock.advance(1)
            clock.jump(-3600)
            log.info("x")
            log.info("x", items=[1])
        times = [line["time"] for line in written.lines()]
        assert times == ["2023-11-14T22:13:20.000Z"] + ["2023-11-14T22:13:21.000Z"] * 2

    def test_a_long_trace_asks_the_clock_again(self, tel, written, clock):
        with tel.span("a"):
            clock.jump(-3600)
            clock.advance(61)
            tel.logger().info("x")
        assert written.line()["time"] == "2023-11-14T21:14:21.000Z"

    def test_another_threads_span_is_not_mine(self, tel, written):
        with tel.span("a"):
            thread = threading.Thread(target=lambda: tel.logger().info("x"))
            thread.start()
            thread.join()
        assert "trace_id" not in written.line()


def test_logs_alone_are_usable(capfd):
    Logs("alone", log_format="logfmt").logger("n").info("x", a=1)
    line = capfd.readouterr().err
    assert line.endswith(" level=info event=x logger=n service=alone a=1\n")
