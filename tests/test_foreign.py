"""What a signal handler raises reaches the host; values of any kind have a text."""

import datetime
import os
import signal
import sys

import pytest
import structlog

from obs import Obs
from obs._foreign import digits_of, is_the_hosts, text_of
from obs.testing import MemoryExporter

needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no signals")


class Interrupted(BaseException):
    """What a handler raises to give up waiting."""


def function(number, frame):
    raise Interrupted


def late(number, frame):
    raise TimeoutError


class Handler:
    def method(self, number, frame):
        raise SystemExit

    def __call__(self, number, frame):
        sys.exit(3)


HANDLERS = [
    function,
    late,
    lambda number, frame: sys.exit(0),
    Handler().method,
    Handler(),
    signal.default_int_handler,
]


RAISED = (Interrupted, TimeoutError, SystemExit, KeyboardInterrupt)


@pytest.fixture(params=HANDLERS, ids=lambda it: type(it).__name__)
def handler(request):
    before = signal.signal(signal.SIGTERM, request.param)
    yield request.param
    signal.signal(signal.SIGTERM, before)


class Value:
    """Whatever is asked of it, a signal comes meanwhile."""

    def __str__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return "value"


class Failed(Exception):
    def __str__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return "failed"

    @property
    def status_code(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return 500


class Many(list):
    def __iter__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().__iter__()


def attribute(tel):
    tel.span("s", value=Value()).end()


def container(tel):
    tel.span("s", value=Many([1])).end()


def links(tel):
    tel.span("s", links=Many()).end()


def failure(tel):
    tel.span("s").fail(Failed())


def callback(tel):
    tel.gauge("g").set_function(lambda: len(str(Value())))
    tel.snapshot()


def collector(tel):
    class Collector:
        def collect(self):
            str(Value())
            return []

    tel.metrics.register(Collector())
    tel.snapshot()


def noted(tel):
    error = ValueError()
    error.__notes__ = [Value()]
    tel.logger().error("e", exc_info=error)


def printed(tel):
    class Meta(type):
        __module__ = property(lambda cls: str(Value()))

    class Unnamed(Exception, metaclass=Meta):
        """Python asks its metaclass when it prints it."""

    tel.logger().error("e", exc_info=Unnamed())


def processor(tel):
    tel.logs.add_processors(lambda logger, level, fields: {"a": str(Value())})
    tel.logger().info("e")


def log_listener(tel):
    tel.logs.listen(lambda record: str(Value()))
    tel.logger().info("e")


def span_listener(tel):
    class Listener:
        name = "listener"

        def start(self, source):
            source.listen(lambda record: str(Value()))

        def close(self, deadline=None):
            pass

    tel.attach(Listener())
    tel.span("s").end()


def structlog_s_processor(tel):
    try:
        tel.logs.configure_structlog([lambda logger, level, fields: str(Value())])
        structlog.get_logger("a").info("e")
    finally:
        structlog.reset_defaults()


CALLS = [
    *(attribute, container, links, failure, callback, collector),
    *(noted, printed, processor, log_listener, span_listener, structlog_s_processor),
]


@needs_signals
@pytest.mark.parametrize("call", CALLS)
def test_a_handler_s_exception_goes_on(call, handler):
    tel = Obs("x", exporters=[MemoryExporter()], runtime=False)
    with tel.start(), pytest.raises(RAISED):
        call(tel)


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, ValueError, Interrupted])
def test_what_nobody_s_handler_raised_is_not_the_host_s(kind, handler):
    assert not is_the_hosts(raised(kind()))
    assert is_the_hosts(raised(KeyboardInterrupt()))


def test_without_the_module_there_are_no_handlers(monkeypatch):
    monkeypatch.delitem(sys.modules, "signal")
    assert not is_the_hosts(raised(SystemExit()))


class OwnText(str):
    __slots__ = ()

    def __str__(self):
        return self


class Odd:
    def __str__(self):
        return OwnText("odd")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (
            datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            "2026-01-02T00:00:00+00:00",
        ),
        (ValueError("why"), "ValueError: why"),
        (ValueError(), "ValueError"),
        (Odd(), "odd"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_text_of_a_value(value, text):
    assert text_of(value) == text
    assert type(text_of(value)) is str


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_of_hundreds_of_digits_is_words(sign):
    assert digits_of(sign * (2**1_024 - 1)) == str(sign * (2**1_024 - 1))
    assert digits_of(sign * 2**1_024) == "<int of more than 1,024 bits>"
    assert digits_of(sign * 10**5_000) == "<int of more than 1,024 bits>"
