"""Random calls that log: ordinary ones, and those that are meant to be trouble."""

import datetime as dt
import decimal
import enum
import math
import random
import uuid
from collections import deque

from obs.logs import lazy


class Odd:
    def __str__(self):
        raise RuntimeError("no")


class Color(enum.Enum):
    RED = "red"
    DEEP = ("a", [1])


class Size(enum.IntEnum):
    BIG = 7


PLAIN_NAMES = [f"f{n}" for n in range(30)] + ["user_id", "path", "status", "größe"]
ODD_NAMES = [
    *("self", "event", "method_name", "args", "fields", "level", "time", "logger"),
    *("service", "trace_id", "span_id", "field.event", "password", "api_key"),
    *("Authorization", "dbPassword", "a b", "", 'q"', "\n", "\x1b[0m", "\ud800x"),
    *("x" * 200, "%s", "exception.type", "stack", "exception", "positional_args"),
    *("\u2028", "e\u0301", "__class__", "bound", "name", "logs"),
]
WORDS = ["paid", "order.placed", "GET /orders/{id}", "größe ist gut", "a" * 100, ""]
ODD_TEXTS = [
    *("a\nb", "\x1b[31mred", "\x7f", "\x85", "\u2028", "\ud800", "\udfff!", "\0"),
    *("Authorization: Bearer hunter2hunter2", "https://u:pw12345@h/x?token=k3y"),
    *(
        "password=hunter2",
        "4111 1111 1111 1111",
        '{"a": "b\\c"}',
        "x" * 2_000,
        "\ufeff",
    ),
    *("\U0001f600" * 40, "AKIAIOSFODNN7EXAMPLE", "=", ":", "100 %", "\u202eabc"),
]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.is_odd = False

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def name(self):
        odd = self.is_odd and self.one_in(4)
        return self.random.choice(ODD_NAMES if odd else PLAIN_NAMES)

    def text(self):
        if self.is_odd and self.one_in(3):
            return self.random.choice(ODD_TEXTS)
        if self.one_in(3):
            return f"u-{self.random.randrange(10**6)}"
        return self.random.choice(WORDS)

    def atom(self):
        r = self.random
        kind = r.randrange(6)
        if kind == 0:
            return r.choice([None, True, False, 0, 1, -1, 0.0, -0.0, 1.0])
        if kind == 1:
            return r.randrange(-(10**6), 10**6)
        if kind == 2:
            return r.random() * 10 ** r.randrange(-20, 20)
        return self.text()

    def odd(self, depth=0):
        r = self.random
        kind = r.randrange(22 if depth < 3 else 16)
        if kind < 16:
            return [
                lambda: math.nan, lambda: math.inf, lambda: -math.inf, lambda: 5e-324,
                lambda: r.choice([2**63 - 1, -(2**63), 2**63, 2**70, -(2**64)]),
                lambda: r.choice([b"bytes", b"\xff\x00", b"password=hunter2"]),
                lambda: dt.datetime(2026, 1, 2, 3, 4, 5, r.randrange(10**6), dt.UTC),
                lambda: dt.date(2026, 1, 2), lambda: decimal.Decimal("1.50"),
                lambda: uuid.UUID(int=r.getrandbits(128)), Odd,
                lambda: ValueError(self.text()), lambda: r.choice(list(Color)),
                lambda: Size.BIG, lambda: dt.time(1, 2), self.text,
            ][kind]()  # fmt: skip
        if kind < 18:
            return {self.name(): self.value(depth + 1) for _ in range(r.randrange(4))}
        if kind == 18:
            return (r.choice(["password", "a", "cookie"]), self.value(depth + 1))
        if kind == 19:
            return deque([self.atom()])
        if kind == 20:
            return {self.text()}
        return [self.value(depth + 1) for _ in range(r.randrange(4))]

    def value(self, depth=0):
        return self.odd(depth) if self.is_odd and self.one_in(2) else self.atom()

    def fields(self, most=6):
        count = self.random.randrange(most)
        if self.is_odd and self.one_in(40):
            count = 66
            return {f"n{n}": self.value() for n in range(count)}
        found = {self.name(): self.value() for _ in range(count)}
        if self.is_odd and self.one_in(10):
            made = self.value()
            found[self.name()] = lazy(lambda: made)
        return found

    def error(self):
        r = self.random
        error = r.choice([ValueError, KeyError, ZeroDivisionError, Exception])
        try:
            # What an exception says is kept to 1,024 characters.
            raise error(self.text()[:1_000]) from r.choice([None, OSError("before")])
        except Exception as raised:
            return raised

    def exc_info(self):
        error = self.error()
        return self.random.choice([
            True, True, error, (type(error), error, error.__traceback__), None, False,
        ])  # fmt: skip

    def event(self):
        r = self.random
        if r.randrange(6) == 0:
            return r.choice([
                ("%d of %s", (self.random.randrange(9), self.text())),
                ("%(a)s", ({"a": self.text()},)), ("%s", (self.atom(),)),
                ("100 %", ()), ("%r and %%", (self.text(),)),
            ])  # fmt: skip
        if self.is_odd and self.one_in(30):
            return r.choice([5, 1.5, True]), ()
        return self.text(), ()
