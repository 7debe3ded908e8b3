"""Secrets with cores that occur nowhere else, and the public calls that they go through."""

import asyncio
import base64
import collections
import contextlib
import contextvars
import dataclasses
import enum
import itertools
import linecache
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from obs import Obs
from obs.logs import lazy

NAMES = (
    *("password", "dbPassword", "apiKey", "X-Api-Key", "authorization", "set-cookie"),
    *("session_id", "AWS_SECRET_ACCESS_KEY", "access_token", "client_secret", "pin"),
    *("card_number", "HTTP_AUTHORIZATION", "token", "privateKey", "csrf", "otp"),
)


class Canary(NamedTuple):
    """A secret: any part of its core tells which one has got out.

    Attributes:
        number: Which one it is.
        shape: What it looks like.
        text: The text with it, or the value.
    """

    number: int
    shape: str
    text: Any


_MARK = re.compile(r"kq7(\d{4})", re.IGNORECASE)
_IN_BASE64 = re.compile(r"YW5uYWI6([A-Za-z0-9+/]{12})")
_CARD = re.compile(r"4000([ -]?)10\d\d\1\d{4}\1\d{4}")
_numbers = itertools.count(1)


def found_in(text: str) -> set[int]:
    """Give the numbers of the canaries that a text has parts of."""
    found = {int(it) for it in _MARK.findall(text)}
    for part in _IN_BASE64.findall(text):
        found |= {int(it) for it in _MARK.findall(base64.b64decode(part).decode())}
    digits = (re.sub("[ -]", "", it[0]) for it in _CARD.finditer(text))
    return found | {int(it[6:10]) for it in digits if card(int(it[6:10])) == it}


def core(number: int, length: int = 28) -> str:
    """Give a secret of letters and digits; each seven of them tell the number."""
    return (f"kq7{number:04}" * (length // 7 + 1))[:length]


def card(number: int) -> str:
    """Give a card's number: a Visa's, with its check digit."""
    digits = f"400010{number:04}00000"
    total = sum(int(it) for it in digits[1::2])
    total += sum(sum(divmod(2 * int(it), 10)) for it in digits[::2])
    return digits + str(-total % 10)


def _framed(
    shape: str, before: str, behind: str = "", length: int = 28
) -> Callable[[], Canary]:
    def make() -> Canary:
        number = next(_numbers)
        return Canary(number, shape, f"{before}{core(number, length)}{behind}")

    return make


def _jwt() -> Canary:
    number = next(_numbers)
    return Canary(number, "jwt", f"sent eyJ{'.'.join([core(number)] * 3)} there")


def _aws() -> Canary:
    number = next(_numbers)
    return Canary(number, "aws", f"by AKIA{core(number, 16).upper()} there")


def _basic() -> Canary:
    number = next(_numbers)
    text = base64.b64encode(f"annab:{core(number)}".encode()).decode()
    return Canary(number, "basic", f"sent Basic {text} there")


def _pem() -> Canary:
    number = next(_numbers)
    rim = "RSA PRIVATE KEY-----"
    lines = "\n".join([core(number, 63)] * 3)
    return Canary(number, "pem", f"-----BEGIN {rim}\n{lines}\n-----END {rim}\n")


def _card(separator: str) -> Callable[[], Canary]:
    def make() -> Canary:
        number = next(_numbers)
        digits = card(number)
        text = separator.join(digits[i : i + 4] for i in range(0, 16, 4))
        return Canary(number, "card", f"paid by {text} today")

    return make


TEXTS = (
    _framed("bearer", "sent Bearer ", " upstream"),
    _framed("header", "Authorization: Bearer "),
    _framed("cookie", "Cookie: theme=dark; sid=", "; lang=en"),
    _framed("url", "postgres://app:", "@db/shop"),
    _framed("url of a key", "https://", "@sentry.example/1"),
    _framed("query", "GET /hook?page=2&token=", "&a=b HTTP/1.1"),
    _framed("signed", "https://s3.example/a?X-Amz-Signature="),
    _framed("sig", "https://s3.example/a?sig="),
    _framed("pair", "login with password=", ", then"),
    _framed("quoted pair", 'login with password="', ' and more" then'),
    _framed("yaml", "password: "),
    _framed("json", '{"user": "ann", "api_key": "', '", "n": 1}'),
    _framed("escaped json", '{\\"api_key\\": \\"', '\\"}'),
    _framed("repr", "User(name='ann', password='", "', n=1)"),
    _framed("dict", "{'user': 'ann', 'client_secret': '", "'}"),
    _framed("pairs", "[('X-Api-Key', '", "'), ('a', 'b')]"),
    _framed("raw pairs", "[(b'x-api-key', b'", "')]"),
    _framed("environment", "AWS_SECRET_ACCESS_KEY="),
    _framed("github", "by ghp_", " there", 35),
    _framed("slack", "by xoxb-", " there"),
    _framed("stripe", "by sk_live_", " there"),
    _framed("openai", "by sk-proj-", " there"),
    *(_jwt, _aws, _basic, _pem, _card(""), _card(" "), _card("-")),
)  # fmt: skip


def card_number() -> Canary:
    """Give a card's number as an integer."""
    number = next(_numbers)
    return Canary(number, "number", int(card(number)))


def secret_of(name: str) -> Canary:
    """Give what is a secret by its name alone."""
    number = next(_numbers)
    return Canary(number, name, core(number))


@dataclasses.dataclass
class Holder:
    note: Any


class Shown:
    def __init__(self, note):
        self.note = note

    def __repr__(self):
        return f"<shown {self.note}>"


class Text(str):
    __slots__ = ()


def raised(make: Callable[[], None]) -> BaseException:
    try:
        make()
    except Exception as error:
        return error
    raise AssertionError


def with_source(text: str, statement: str) -> Callable[..., Any]:
    """Give a function whose source has the text in a comment behind the statement."""
    name = f"<source {next(_numbers)}>"
    source = f"def f(log):\n    {statement}  # {' '.join(text.split())}\n"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    space: dict[str, Any] = {}
    exec(compile(source, name, "exec"), space)
    return space["f"]


def caused(text: str) -> None:
    try:
        raise KeyError(text)
    except KeyError as error:
        raise ValueError("x") from error


def in_context(text: str) -> None:
    try:
        raise OSError(2, text, text)
    except OSError:
        raise ValueError("x")  # noqa: B904 - on purpose


def errors(text: str) -> Iterator[BaseException]:
    """Give exceptions with a text in each place that is printed."""
    yield ValueError(text)
    yield ValueError(1, text)
    yield KeyError(text)
    yield SyntaxError("bad", ("a.py", 1, 1, text, 1, 2))
    yield SyntaxError(text)
    yield raised(lambda: caused(text))
    yield raised(lambda: in_context(text))
    yield ExceptionGroup("g", [ValueError(text), ExceptionGroup(text, [OSError(text)])])
    noted = ValueError("x")
    noted.add_note(text)
    yield noted
    yield raised(lambda: with_source(text, "raise ValueError")(None))


def values(given: Any) -> Iterator[Any]:
    """Give values that hold a secret at any depth."""
    yield given
    yield [given]
    yield (1, [given, {given: 1}])
    yield {"a": {"b": [given]}}
    yield {given}
    yield Holder(given)
    yield Shown(given)
    yield collections.deque([given])
    yield collections.UserDict(a=given)
    yield {("a", given): 1}
    yield lazy(lambda: given)
    yield lazy(lambda: [given])
    if isinstance(given, int):
        yield float(given)
    if isinstance(given, str):
        yield given.encode()
        yield bytearray(given.encode())
        yield Text(given)
        yield ValueError(given)
        if "://" not in given:  # a path has one of the two slashes
            yield pathlib.PurePosixPath(given)
        yield enum.Enum("E", {"A": given}).A
        yield lazy(lambda: int(given))
        yield ["x" * 20_000, given]


def named(name: str, given: Any) -> Iterator[dict[str, Any]]:
    """Give fields in which a value is secret by its name."""
    yield {name: given}
    yield {name: [given]}
    yield {"a": {name: given}}
    yield {"a": [{"b": {name: {"c": given}}}]}
    yield {"a": [(name, given), ("b", 1)]}
    yield {"a": collections.OrderedDict({name: given})}
    yield {"a": {name.encode(): given}}
    yield {"a": str({"b": 1, name: given})}
    yield {"a": repr([(name, given)])}
    yield {"error": ValueError({name: given})}
    yield {"error": ValueError(f"{name}={given}")}
    yield {"a": Shown(f"{name}={given!r}")}
    yield {name: lazy(lambda: given)}


def log_fields(tel: Obs, fields: dict[str, Any]) -> None:
    """Log fields by each way that a call has for them."""
    log = tel.logger("canaries")
    log.info("fields", **fields)
    log.info("fields", caller=True, **fields)
    tel.logger("canaries", **fields).info("of the logger")
    log.bind(**fields).info("bound")
    log.bind(x=1).new(**fields).info("new")
    log.info("logger", it=log.bind(**fields))
    with tel.logs.fields(**fields):
        log.info("in scope")
        log.info("in scope", time=1)
    with tel.logs.fields() as scope:
        tel.logs.bind(**fields)
        log.info("bound to a scope")
        scope.bind(**fields)
        with tel.logs.fields(more=1):
            log.info("in an inner scope")
    with tel.span("attributes", fields, **fields) as span:
        span.set(fields)
        span.event("event", **fields)
        log.info("in a span", **fields)


def log_text(tel: Obs, text: str) -> None:
    """Put a text in every place that takes one."""
    log = tel.logger("canaries")
    for level in (
        "trace",
        "debug",
        "info",
        "warning",
        "error",
        "critical",
        "warn",
        "msg",
    ):
        getattr(log, level)(text)
        log.log(level, text)
        if level not in {"warn", "msg"}:
            asyncio.run(getattr(log, f"a{level}")(text))
    log.log(25, text)
    log.fatal(text)
    log.exception(text)
    log.info("got %s", text)
    log.info("got %r", [text])
    log.info("%(a)s", {"a": text})
    log.info("%d", text)
    log.info("%d", text, text)
    log.info(text.replace("%", "%%") + " %d", "x")
    log.info("e", **{text: 1})
    tel.logger(text).info("of a logger of this name")
    log.info(Text(text))  # type: ignore[arg-type]
    log.info([text])  # type: ignore[arg-type]
    with_source(text, "log.info('stack', stack_info=True)")(log)
    for error in errors(text):
        log_error(tel, error)
    with tel.span(text, {text: 1}) as span:
        span.event(text)
        span.event("e", **{text: 1})
        log.info("in a span")
    say(tel, text)


def log_error(tel: Obs, error: BaseException) -> None:
    log = tel.logger("canaries")
    log.error("failed", exc_info=error)
    log.error("failed", exc_info=(type(error), error, error.__traceback__))
    log.error("failed", error=error)
    with contextlib.suppress(BaseException):
        try:
            raise error
        finally:
            log.error("failed", exc_info=True)
            log.exception("failed")
    with contextlib.suppress(BaseException), tel.span("failed"):
        raise error
    with tel.span("failed") as span:
        span.fail(error)

    @tel.operation("operation")
    def fail() -> None:
        raise error

    with contextlib.suppress(BaseException):
        fail()


def say(tel: Obs, text: str) -> None:
    """Make what obs itself complains of, by itself or by what it raises."""
    counter = tel.counter("c", labels=("a",))
    for call in (
        lambda: counter.labels(a=1).inc(text),  # type: ignore[arg-type]
        lambda: counter.labels(text, "a"),
        lambda: counter.labels(**{text: 1}),
        lambda: tel.gauge("g").set(text),  # type: ignore[arg-type]
        lambda: tel.histogram("h").observe(text),  # type: ignore[arg-type]
        lambda: tel.extract({"traceparent": text, "baggage": text}),
        lambda: tel.use(text).__enter__(),  # type: ignore[arg-type]
        lambda: tel.span("s", text).__enter__().end(),  # type: ignore[arg-type]
        lambda: tel.span("s", kind=text).__enter__().end(),  # type: ignore[arg-type]
        lambda: tel.span(text, kind=text).__enter__().end(),  # type: ignore[arg-type]
        lambda: tel.logger("x").log(text, "of no level"),
        lambda: tel.logger("x").info(text, "too many", 1, 2),
        lambda: tel.logger("x").info("%s %s", text),
    ):
        tel.logs.diag._said_at.clear()  # so that each of them is said
        tel.logs.diag._said_once.clear()
        with contextlib.suppress(Exception):
            contextvars.copy_context().run(call)  # what it begins does not go on


def operations(tel: Obs, given: Any, name: str = "note") -> None:
    """Fail with a parameter that is recorded, and one that is a label."""
    space: dict[str, Any] = {}
    exec(f"def f({name}, {name}_2):\n    raise ValueError", space)
    for decorate in (tel.operation, tel.endpoint):
        function = decorate("op", record=[name], labels=[f"{name}_2"])(space["f"])
        with contextlib.suppress(ValueError):
            function(given, given)


def spray(tel: Obs) -> Iterator[tuple[str, Canary]]:
    """Send each secret through each call; give what was sent."""
    for make in TEXTS:
        canary = make()
        log_text(tel, canary.text)
        operations(tel, canary.text)
        yield "texts", canary
        for index, _ in enumerate(values(make().text)):
            canary = make()
            value = next(it for i, it in enumerate(values(canary.text)) if i == index)
            log_fields(tel, {"note": value})
            yield f"value {index}", canary
    for index, _ in enumerate(values(0)):
        canary = card_number()
        value = next(it for i, it in enumerate(values(canary.text)) if i == index)
        log_fields(tel, {"note": value})
        yield f"number {index}", canary
    for name in NAMES:
        for index, _ in enumerate(named("", 0)):
            canary = secret_of(name)
            fields = next(
                it for i, it in enumerate(named(name, canary.text)) if i == index
            )
            log_fields(tel, fields)
            yield f"named {index}", canary
        canary = secret_of(name)
        tel.logger("canaries").info(f"as %({name})s", {name: canary.text})
        yield "of a mapping", canary
        if name.isidentifier():
            canary = secret_of(name)
            operations(tel, canary.text, name)
            yield "parameters", canary
