"""Loggers of structlog whose records come to us."""

import asyncio
import logging
import subprocess
import sys

import pytest
import structlog

from obs import DefinitionError, Obs
from obs.logs import Route


@pytest.fixture(autouse=True)
def clean():
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def configured(logs):
    logs.configure_structlog()
    return logs


def test_names_levels_and_fields_are_ours(configured, written):
    structlog.get_logger("shop", a=1).bind(b=2).info("paid", c=[3])
    found = written.line()
    found.pop("time")
    assert found == {
        "level": "info", "event": "paid", "logger": "shop", "a": 1, "b": 2, "c": [3],
    }  # fmt: skip


def test_a_logger_of_before_comes_here_too(logs, written):
    log = structlog.get_logger("early", a=1)
    logs.configure_structlog()
    log.info("x")
    assert (written.line()["logger"], structlog.is_configured()) == ("early", True)


def test_a_logger_without_a_name(configured, written):
    structlog.get_logger().info("x")
    structlog.get_logger(5).info("x")
    structlog.stdlib.get_logger("std").info("x")
    assert [it.get("logger") for it in written.lines()] == [None, None, "std"]


@pytest.mark.parametrize(
    ("wrapped", "name"),
    [
        (logging.getLogger("std"), "std"),
        (structlog.PrintLogger(), None),
        (type("Odd", (), {"name": 5})(), None),
    ],
)
def test_a_logger_around_one_that_is_not_ours_logs_by_its_name(
    wrapped, name, configured, written, capfd
):
    log = structlog.wrap_logger(wrapped, a=1)
    log.info("x")
    log.bind(b=2).error("y")
    first, second = written.lines()
    assert (first["event"], first["a"], first.get("logger")) == ("x", 1, name)
    assert (second["event"], second["b"], second.get("logger")) == ("y", 2, name)
    assert log.bind().get_effective_level() == 20
    assert "".join(capfd.readouterr()) == ""


LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_has_its_methods(make, written, level):
    make(level="trace").configure_structlog()
    log = structlog.get_logger()
    getattr(log, level)("x")
    asyncio.run(getattr(log, f"a{level}")("x"))
    log.log(level, "x")
    asyncio.run(log.alog(level, "x"))
    assert [it["level"] for it in written.lines()] == [level] * 4


def test_other_names_of_levels(configured, written):
    log = structlog.get_logger()
    log.warn("x")
    log.fatal("x")
    log.msg("x")
    log.log(logging.WARNING, "x")
    log.log("fatal", "x")
    levels = [it["level"] for it in written.lines()]
    assert levels == ["warning", "critical", "info", "warning", "critical"]


def test_any_name_may_be_a_fields(configured, written):
    structlog.get_logger().info("x", self=1, method_name=2, level=3, name=4, args=5)
    assert written.fields() == {
        "event": "x", "self": 1, "method_name": 2, "field.level": 3, "name": 4, "args": 5,
    }  # fmt: skip


def test_values_go_in_by_percent(configured, written):
    log = structlog.get_logger()
    log.info("%s of %d", "a", 2)
    log.info("%(a)s", {"a": 1})
    log.info("%d of", "a")
    log.info("100 %")
    events = [it["event"] for it in written.lines()]
    assert events == ["a of 2", "1", "%d of ('a',)", "100 %"]


def test_binding_works_as_before(configured, written):
    log = structlog.get_logger("n").bind(a=1, b=2)
    assert structlog.get_context(log) == {"a": 1, "b": 2}
    log.unbind("a").info("x")
    log.try_unbind("a", "z").info("x")
    log.new(c=3).info("x")
    with pytest.raises(KeyError):
        log.unbind("z")
    found = [{k: v for k, v in it.items() if len(k) == 1} for it in written.lines()]
    assert found == [{"b": 2}, {"b": 2}, {"c": 3}]


def test_contextvars_are_merged(configured, written):
    structlog.contextvars.bind_contextvars(request_id="r-1", a=1)
    structlog.get_logger().info("x", a=2)
    assert written.fields() == {"event": "x", "request_id": "r-1", "a": 2}


def test_exceptions_become_fields(configured, written):
    log = structlog.get_logger()
    try:
        {}["sku"]
    except KeyError as error:
        log.exception("x")
        log.error("x", exc_info=True)
        log.error("x", exc_info=error)
        log.info("x", exc_info=False)
        asyncio.run(log.aexception("x"))
    kinds = [it.get("exception.type") for it in written.lines()]
    assert kinds == ["KeyError", "KeyError", "KeyError", None, "KeyError"]


def test_processors_run_first_and_may_drop(logs, written):
    def drop(logger, method, event):
        if event["event"] == "drop":
            raise structlog.DropEvent
        return {**event, "seen": [logger.name, method, sorted(event)]}

    logs.configure_structlog([drop])
    structlog.contextvars.bind_contextvars(c=1)
    log = structlog.get_logger("n").bind(a=1)
    log.info("drop")
    log.info("keep", b=2)
    found = written.fields()
    assert found["seen"] == ["n", "info", ["a", "b", "c", "event"]]
    assert (found["event"], found["a"], found["b"], found["c"]) == ("keep", 1, 2, 1)


def test_a_renderer_among_them_makes_the_event(logs, written):
    logs.configure_structlog([structlog.processors.KeyValueRenderer(sort_keys=True)])
    structlog.get_logger().info("x", a=1)
    assert written.fields() == {"event": "a=1 event='x'"}


def test_a_processor_that_raises_loses_nothing(logs, written, capfd):
    def fail(logger, method, event):
        raise ValueError

    logs.configure_structlog([fail])
    structlog.get_logger().bind(a=1).info("x", b=2)
    assert written.fields() == {"event": "x", "a": 1, "b": 2}
    assert logs.diag.dropped_counts()["logs", "", "invalid"] == 1
    assert "a processor raised a ValueError." in capfd.readouterr().err


def test_levels_come_before_processors(logs, written):
    calls = []
    logs.configure_structlog([lambda *given: calls.append(given[1]) or given[2]])
    log = structlog.get_logger("db.pool")
    log.debug("x %s")
    assert (calls, log.bind().is_enabled_for(10)) == ([], False)
    logs.set_level("db.*", "debug")
    log.debug("x")
    assert (calls, log.bind().get_effective_level()) == (["debug"], 10)
    assert written.line()["level"] == "debug"


def test_ids_and_fields_in_scope_are_there(written):
    tel = Obs("shop", runtime=False, routes=[Route(written.stream, format="json")])
    tel.logs.configure_structlog()
    with tel.span("a") as span, tel.logs.fields(request_id="r-1"):
        structlog.get_logger().info("x", password="hunter2")
    found = written.line()
    assert found["trace_id"] == span.context.trace_id
    assert (found["request_id"], found["password"]) == ("r-1", "[redacted]")


def test_capture_logs_works(configured, written):
    log = structlog.get_logger("n").bind(a=1)
    with structlog.testing.capture_logs() as captured:
        log.info("x", b=2)
        structlog.get_logger().warning("y")
    log.info("z")
    assert captured == [
        {"a": 1, "b": 2, "event": "x", "log_level": "info"},
        {"event": "y", "log_level": "warning"},
    ]
    assert written.line()["event"] == "z"


def test_reset_defaults_ends_it(configured, written, capsys):
    log = structlog.get_logger("n")
    log.info("x")
    structlog.reset_defaults()
    log.info("y")
    assert written.line()["event"] == "x"
    assert "y" in capsys.readouterr().out


def test_whether_loggers_are_cached_stays_as_it_is(logs):
    for kept in (True, False):
        structlog.configure(cache_logger_on_first_use=kept)
        logs.configure_structlog()
        assert structlog.get_config()["cache_logger_on_first_use"] is kept


def test_caller_is_where_the_call_stands(configured, written):
    structlog.get_logger().info("x", caller=True)
    assert written.fields()["code.file.path"] == __file__


def test_processors_are_checked(logs):
    with pytest.raises(DefinitionError) as raised:
        logs.configure_structlog([5])
    assert str(raised.value) == "configure_structlog: got 5, needs functions."


def test_only_configuring_imports_structlog():
    code = """
import sys
from obs import Obs
tel = Obs("shop", runtime=False)
tel.logger().info("x")
print("logging" in sys.modules, "structlog" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"False False\n"


def test_a_logger_of_ours_has_what_a_filtering_bound_logger_has(log):
    wanted = {it for it in dir(structlog.typing.FilteringBoundLogger) if it[0] != "_"}
    # Which structlog's own class does not have either.
    wanted -= {"err"}
    assert isinstance(log, structlog.typing.BindableLogger)
    assert wanted <= set(dir(log))
    assert wanted <= set(dir(structlog.make_filtering_bound_logger(0)))
