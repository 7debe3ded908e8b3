"""Ids of the current span in the logging that people have."""

import io
import logging
import logging.config

import pytest
import structlog

from obs import Obs
from obs.logs import Route, TraceIds, add_trace_ids


@pytest.fixture
def tel(written):
    return Obs("shop", runtime=False, routes=[Route(written.stream, format="json")])


@pytest.fixture
def std():
    log = logging.getLogger("own.of.a.test")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(message)s|%(trace_id)s|%(span_id)s|%(service)s")
    )
    handler.addFilter(TraceIds("checkout"))
    log.addHandler(handler)
    log.lines = lambda: stream.getvalue().splitlines()
    yield log
    log.removeHandler(handler)


def test_the_filter_adds_ids_and_service(tel, std):
    std.warning("out")
    with tel.span("a") as span:
        std.warning("in")
    ids = span.context
    assert std.lines() == [
        "out|||checkout",
        f"in|{ids.trace_id}|{ids.span_id}|checkout",
    ]


def test_a_remote_context_counts_and_an_empty_one_does_not(tel, std):
    header = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    with tel.use(tel.extract(header)):
        std.warning("x")
    with tel.use(tel.extract({})):
        std.warning("y")
    assert std.lines() == [f"x|{'ab' * 16}|{'cd' * 8}|checkout", "y|||checkout"]


def test_the_filter_touches_nothing_else():
    record = logging.makeLogRecord({"msg": "x", "a": 1})
    before = dict(vars(record))
    assert TraceIds().filter(record) is True
    added = {"trace_id": "", "span_id": "", "service": ""}
    assert vars(record) == {**before, **added}


def test_a_configuration_may_name_it():
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": "obs.logs.TraceIds", "service": "checkout"}},
        "handlers": {"h": {"class": "logging.NullHandler", "filters": ["ids"]}},
        "loggers": {"configured": {"handlers": ["h"]}},
    }
    logging.config.dictConfig(config)
    (handler,) = logging.getLogger("configured").handlers
    (found,) = handler.filters
    record = logging.makeLogRecord({})
    found.filter(record)
    assert record.service == "checkout"
    logging.getLogger("configured").removeHandler(handler)


def test_what_it_added_does_not_come_twice_where_records_are_captured(tel, written):
    root = logging.getLogger()
    ids = TraceIds("shop")
    with tel.logs.capture_stdlib(), tel.span("a") as span:
        (handler,) = [it for it in root.handlers if type(it).__name__ == "Handler"]
        handler.addFilter(ids)
        logging.getLogger("n").info("x")
        logging.getLogger("n").info("y", extra={"trace_id": "mine"})
    first, second = written.lines()
    assert first["trace_id"] == span.context.trace_id
    assert not [name for name in (*first, *second) if name.startswith("field.")]


def test_a_users_own_ids_stay(tel, written):
    with tel.logs.capture_stdlib():
        logging.getLogger("n").info("x", extra={"trace_id": "t", "span_id": "s"})
        logging.getLogger("n").info("x", extra={"service": "s"})
    one, two = written.lines()
    assert (one["field.trace_id"], one["field.span_id"]) == ("t", "s")
    assert two["field.service"] == "s"


def test_the_processor_adds_ids_inside_a_trace_alone(tel):
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[add_trace_ids, lambda *it: it[2]]
    )
    with tel.span("a") as span:
        _, inside = log.info("x", a=1)
    _, outside = log.info("x", a=1)
    ids = {"trace_id": span.context.trace_id, "span_id": span.context.span_id}
    assert inside == {"a": 1, "event": "x", **ids}
    assert outside == {"a": 1, "event": "x"}
