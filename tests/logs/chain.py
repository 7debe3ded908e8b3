"""What a log line says, by a chain of structlog's processors that shares no code with us.

Of ours it asks the redactor alone, which has tests of its own.
"""

import datetime as dt
import enum
import json
import math
import traceback
from collections import deque

import structlog

from obs.redact import DEFAULT

LINE = ("time", "level", "event", "logger", "service", "trace_id", "span_id")
"""What a line has by itself."""
SERVICE = "shop"


class Stacks:
    """What is current, as the chain sees it: the clock, the span."""

    def __init__(self, clock):
        self.clock = clock
        self.spans = []

    def place(self, logger, method, event):
        seconds, ns = divmod(self.clock.time_ns(), 10**9)
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
        event["time"] = f"{moment:%Y-%m-%dT%H:%M:%S}.{ns // 10**6:03d}Z"
        event["service"] = SERVICE
        if self.spans:
            context = self.spans[-1].context
            event["trace_id"], event["span_id"] = context.trace_id, context.span_id
        return event


def scope_first(logger, method, event):
    """Have fields in our order, which decides where two would get one name."""
    around = [k for k in structlog.contextvars.get_contextvars() if k in event]
    return {k: event[k] for k in (*around, *event)}


def make_lazy(logger, method, event):
    return {k: v.make() if hasattr(v, "make") else v for k, v in event.items()}


def three_fields(exc_info):
    kind, error, trace = exc_info
    if kind is None:
        return {}
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    printed = "".join(traceback.format_exception(kind, error, trace))
    return {
        "exception.type": f"{module}{kind.__qualname__}",
        "exception.message": str(error),
        "exception.stacktrace": printed,
    }


def spread(logger, method, event):
    """Put what the exception's renderer gave in its place."""
    found = event.pop("exception", {})
    # The chain's values follow those of the user; the chain's own stay.
    return {**event, **found}


def mask(logger, method, event):
    found = {k: event.pop(k) for k in LINE if k in event}
    # Ids may look like a card's number; they stay.
    for name in ("event", "logger"):
        found[name] = text(str(found[name]))
    for key, value in event.items():
        given = key.removeprefix("~")
        name = text(given) or "<empty>"
        while name in LINE or name in found:
            name = f"field.{name}"
        found[name] = DEFAULT.mask if DEFAULT.is_secret(given) else plain(value)
    return found


def text(value):
    return DEFAULT.text(value).encode("utf-8", "backslashreplace").decode()


def plain(value):
    if value is None or type(value) is bool:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict | list | tuple | set | deque):
        return container(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return other(value)


def number(value):
    if math.isfinite(value) and value == int(value):
        digits = str(int(value))
        if len(digits) > 12 and DEFAULT.text(digits) != digits:  # a payment card's
            return DEFAULT.mask
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(int(value))
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return "NaN" if math.isnan(value) else names.get(value, float(value))


def names_a_secret(value):
    is_name = isinstance(value, str) and not set(" =\n") & set(value)
    return is_name and DEFAULT.is_secret(value)


def container(value):
    if isinstance(value, dict):
        return {
            text(k) or "<empty>": DEFAULT.mask if DEFAULT.is_secret(k) else plain(v)
            for k, v in value.items()
        }
    if isinstance(value, tuple | list) and len(value) == 2 and names_a_secret(value[0]):
        return [text(value[0]), DEFAULT.mask]
    return [plain(item) for item in value]


def other(value):
    try:
        shown = str(value)
    except Exception:
        return f"<{type(value).__name__}>"
    if isinstance(value, BaseException):
        shown = f"{type(value).__name__}: {shown}" if shown else type(value).__name__
    return text(shown)


def chain(stacks):
    return [
        structlog.contextvars.merge_contextvars,
        scope_first,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        stacks.place,
        make_lazy,
        structlog.processors.ExceptionRenderer(three_fields),
        spread,
        mask,
        structlog.processors.JSONRenderer(serializer=json.dumps),
    ]


class Returned(structlog.ReturnLogger):
    def __init__(self, name):
        self.name = name

    def __getattr__(self, name):
        return self.msg


def peer_names(fields):
    """Give the fields by names that structlog's own methods leave alone."""
    taken = {"self", "event", "method_name", "positional_args", "exception", *LINE}
    return {f"~{k}" if k in taken else k: v for k, v in fields.items()}
