"""What a signal handler of the host raises in a recording call reaches the host."""

import enum
import signal
from types import SimpleNamespace

import pytest

from obs import Obs
from obs.encoding import wants_color
from obs.model import TraceContext
from obs.testing import MemoryExporter

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"), reason="this system has no signals"
)


class Alarm(Exception):
    """What the host's handler raises."""


@pytest.fixture(autouse=True)
def handler():
    def handle(number, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, handle)
    yield
    signal.signal(signal.SIGALRM, before)


def ring(*args, **named):
    """Stand for any foreign code during which the signal comes."""
    signal.raise_signal(signal.SIGALRM)


class Value(enum.Enum):
    RINGS = 1

    @property
    def value(self):
        ring()


Number = type("Number", (), {"__float__": ring})
Key = type("Key", (), {"__hash__": ring})
Carrier = type("Carrier", (), {"get": ring, "__setitem__": ring})
Propagator = type("Propagator", (), {"extract": ring, "inject": ring, "name": "mine"})
CONTEXT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)


def failing():
    raise LookupError


def operation(tel):
    @tel.operation("o", labels=("kind",))
    def run(kind):
        pass

    run(Value.RINGS)


CALLS = {
    "inc": lambda tel: tel.counter("c").inc(Number()),
    "set": lambda tel: tel.gauge("g").set(Number()),
    "observe": lambda tel: tel.histogram("h").observe(Number()),
    "labels, a hash": lambda tel: tel.counter("c", labels=("a",)).labels(Key()),
    "labels, a value": lambda tel: tel.counter("c", labels=("a",)).labels(Value.RINGS),
    "a decorated call's label": operation,
    "extract": lambda tel: tel.extract(Carrier()),
    "inject": lambda tel: tel.inject(Carrier()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_comes_while_a_foreign_value_is_asked(call):
    tel = Obs("t", runtime=False, exporters=[MemoryExporter()])
    with tel.span("s"), pytest.raises(Alarm):
        call(tel)


def test_what_comes_while_a_sampler_is_asked():
    tel = Obs("t", runtime=False, sampler=SimpleNamespace(sample=ring))
    with pytest.raises(Alarm):
        tel.span("s")


def test_what_comes_while_an_exception_is_classified():
    tel = Obs("t", runtime=False, classify=ring)
    with pytest.raises(Alarm):
        tel.operation("o")(failing)()


@pytest.mark.parametrize("method", ["extract", "inject"])
def test_what_comes_while_a_propagator_is_asked(method):
    tel = Obs("t", runtime=False, propagators=[Propagator()])
    with tel.use(CONTEXT), pytest.raises(Alarm):
        getattr(tel, method)({})


def test_what_comes_while_a_stream_is_asked():
    with pytest.raises(Alarm):
        wants_color(SimpleNamespace(isatty=ring), {})
