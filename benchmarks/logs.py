"""One log record as a line of JSON: event, five fields, three more that are bound."""

import logging
import os
from collections.abc import Callable, Iterator
from itertools import count

from benchmarks._harness import OBS, Case, Report, compare, gather, inside, measure
from obs import Obs
from obs.logs import Route

STRUCTLOG = "structlog"
JSON_LOGGER = "python-json-logger"
LOGURU = "loguru"
PEERS = (STRUCTLOG, JSON_LOGGER, LOGURU)

FIELDS = {
    "user_id": 12345,
    "path": "/api/v1/items",
    "status": 200,
    "latency": 0.01234,
    "cached": True,
}
BOUND = {"env": "prod", "request_id": "7f3c9a1be2"}
SERVICE = {"service": "checkout"}
KEYWORDS = ", ".join(f"{name}={value!r}" for name, value in FIELDS.items())
FRESH = (
    "user_id=next(n), path='/items/%d' % next(n), status=200, latency=next(n) / 7, "
    "cached=True"
)

RECORD = "5 fields, 3 bound"
NEW_MS = "5 fields, 3 bound, each in a new millisecond"
FRESH_VALUES = "5 fields, 3 of them never seen before"
FORMATTED = "text formatted beforehand, no fields"
A_LIST = "one field, a list"
BOUND_ONCE = "bind, then one record"
FILTERED = "5 fields, a level that is off"
GOALS = {
    RECORD: {STRUCTLOG: 3, JSON_LOGGER: 8, LOGURU: 15},
    NEW_MS: {STRUCTLOG: 2.5},
    FILTERED: {STRUCTLOG: 1 / 1.15},
}


def run(*, quick: bool) -> Report:
    """Measure one record each, all cases interleaved."""
    report = Report()
    cases = gather(_obs, _structlog, _json_logger, _loguru, report=report)
    report.figures = measure(cases, rounds=30 if quick else 200)
    title = "One log record, as JSON to /dev/null"
    report.tables = [compare(title, report.figures, GOALS, peers=PEERS)]
    report.notes += [
        f"{OBS}: inside a span, whose ids are in each line; redaction is on",
        f"{STRUCTLOG}: its documented fast set: merge_contextvars, add_log_level, "
        "TimeStamper(iso, utc), orjson, BytesLogger; no trace ids, no redaction",
        f"{JSON_LOGGER}: with its orjson formatter, the same fields by `extra`",
        f"{LOGURU}: serialize=True, to a file; the same fields by keywords",
    ]
    return report


def _null():
    return open(os.devnull, "ab", buffering=0)


Call = Callable[[str, str], str]
"""Gives a statement that logs a text with fields."""


def _plain(text: str, fields: str) -> str:
    return f"log.info({text}, {fields})"


def _extra(text: str, fields: str) -> str:
    more = f"dict({fields}{', ' if fields else ''}**bound)"
    return f"log.info({text}, extra={more})"


def _cases(library: str, log: object, call: Call) -> Iterator[Case]:
    """Give the cases that differ in nothing but how a record is written."""
    objects = {"log": log, "n": count(), "bound": {**SERVICE, **BOUND}}

    def case(operation: str, fields: str, text: str = "'request done'") -> Case:
        return Case(operation, library, call(text, fields), objects)

    yield case(RECORD, KEYWORDS)
    yield case(FRESH_VALUES, FRESH)
    yield case(FORMATTED, "", "f'user {next(n)} done'")
    yield case(A_LIST, "items=[1, 2]")


def _obs() -> Iterator[Case]:
    tel = Obs("checkout", runtime=False, routes=[Route(_null())])
    log = tel.logger(**BOUND)
    root = inside(tel.span("root").__enter__)
    for case in _cases(OBS, log, _plain):
        case.context = root
        yield case
    objects = {"log": log, "cell": tel.logs.stamps.cell, "old": (0, b"")}
    statement = f"cell[0] = old; log.info('request done', {KEYWORDS})"
    yield Case(NEW_MS, OBS, statement, objects, context=root)
    yield Case(
        BOUND_ONCE, OBS, "log.bind(a=1).info('x', b=2)", {"log": log}, context=root
    )
    statement = f"log.debug('request done', {KEYWORDS})"
    yield Case(FILTERED, OBS, statement, {"log": log}, context=root)


def _structlog() -> Iterator[Case]:
    import orjson
    import structlog

    log = structlog.wrap_logger(
        structlog.BytesLogger(_null()),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind(**SERVICE, **BOUND)
    yield from _cases(STRUCTLOG, log, _plain)
    statement = f"log.info('request done', {KEYWORDS})"
    yield Case(NEW_MS, STRUCTLOG, statement, {"log": log})
    yield Case(BOUND_ONCE, STRUCTLOG, "log.bind(a=1).info('x', b=2)", {"log": log})
    statement = f"log.debug('request done', {KEYWORDS})"
    yield Case(FILTERED, STRUCTLOG, statement, {"log": log})


def _json_logger() -> Iterator[Case]:
    from pythonjsonlogger.orjson import OrjsonFormatter

    null = open(os.devnull, "a")  # noqa: SIM115 - the handler writes to it until the process ends
    handler = logging.StreamHandler(null)
    handler.setFormatter(OrjsonFormatter("%(levelname)s %(message)s", timestamp=True))
    log = logging.getLogger("benchmarks")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    yield from _cases(JSON_LOGGER, log, _extra)
    statement = _extra("'request done'", KEYWORDS).replace("info", "debug")
    objects = {"log": log, "bound": {**SERVICE, **BOUND}}
    yield Case(FILTERED, JSON_LOGGER, statement, objects)


def _loguru() -> Iterator[Case]:
    from loguru._logger import Core, Logger

    log = Logger(Core(), None, 0, False, False, False, False, True, [], {})
    log.add(os.devnull, level="INFO", serialize=True)
    log = log.bind(**SERVICE, **BOUND)
    yield from _cases(LOGURU, log, _plain)
    yield Case(BOUND_ONCE, LOGURU, "log.bind(a=1).info('x', b=2)", {"log": log})
    statement = f"log.debug('request done', {KEYWORDS})"
    yield Case(FILTERED, LOGURU, statement, {"log": log})
