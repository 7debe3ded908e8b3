"""Values, names, clocks and moments that were chosen to break a logger."""

import datetime
import decimal
import gc
import json
import os
import signal
import threading
import time

import pytest

from obs.encoding import _json
from obs.logs import Logs, Route
from obs.logs._pieces import _EVENTS
from obs.testing import FakeClock

CARD = 4111111111111111


class Zone(datetime.tzinfo):
    """Raises when it is asked, so that a time with it has no hash."""

    def utcoffset(self, when):
        raise ValueError

    dst = tzname = utcoffset


class Unspeakable:
    def __str__(self):
        raise ValueError

    __repr__ = __str__


@pytest.fixture(params=["orjson", "standard library"])
def encoder(request, monkeypatch):
    if request.param == "standard library":
        line = _json._standard_line, 0
        monkeypatch.setattr(_json, "dumper", lambda: line)
        monkeypatch.setattr("obs.logs._logger.dumper", lambda: line)


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    "value",
    [
        *(decimal.Decimal(1), decimal.Decimal("1.0"), 1 + 0j, True, 1.0, -0.0, 0),
        *(2**63, 2**63 - 1, -(2**63), -(2**63) - 1, CARD, float(CARD), float("nan")),
        *(b"hello", bytearray(b"hello"), datetime.datetime(2026, 1, 1, tzinfo=Zone())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_equal_to_something_known_is_still_told_apart(
    logs, log, written, value
):
    log.info("e", a=1, b="hello", c=0.0, d=float(CARD))
    log.info("e", x=value)
    log.bind(x=value).info("e")
    with logs.fields(x=value):
        log.info("e")
    logs.log("shop", "info", "e", (), {}, {"x": value})
    _, *lines, general = written.bytes().splitlines()
    assert lines == [general] * 3
    assert str(CARD) not in str(json.loads(general))


def test_the_standard_librarys_encoder_refuses_what_is_not_plain():
    with pytest.raises(TypeError, match=r"^<class 'complex'> is not plain$"):
        _json._standard({"a": [1j]})


def test_an_empty_name_is_shown_on_both_ways(log, logs, written):
    log.info("e", **{"": 1})
    logs.log("shop", "info", "e", (), {}, {"": 1})
    first, second = written.lines()
    assert first == second
    assert first["<empty>"] == 1


@pytest.mark.parametrize("char", ["x", "é", '"'])
def test_a_record_beyond_the_limit_is_cut_on_both_ways(log, logs, written, char):
    fields = {f"k{index}": char * 1_020 for index in range(64)}
    log.info("e", **fields)
    logs.log("shop", "info", "e", (), {}, fields)
    first, second = written.bytes().splitlines()
    assert first == second


@pytest.mark.parametrize("now", [-1, -(10**30), 2**64, 253402300800 * 10**9, 2**80])
def test_a_clock_that_cannot_be_right_is_at_the_beginning(written, now):
    clock = FakeClock()
    clock.time_ns = lambda: now
    logs = Logs(routes=[Route(written.stream, format="json")], clock=clock)
    logs.logger().info("e")
    logs.log("", "info", "e", (), {}, {})
    assert {line["time"] for line in written.lines()} == {"1970-01-01T00:00:00.000Z"}


def test_a_clock_may_jump(written):
    times = [0, 5_000_000_000, 10**18, 1, 999_999, 1_000_000, 10**18, 0]
    clock, ahead = FakeClock(), iter(times)
    clock.time_ns = lambda: next(ahead)
    log = Logs(routes=[Route(written.stream, format="json")], clock=clock).logger()
    for _ in times:
        log.info("e")
    found = [line["time"] for line in written.lines()]
    assert found[:4] == [
        *("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:05.000Z"),
        *("2001-09-09T01:46:40.000Z", "1970-01-01T00:00:00.000Z"),
    ]
    assert found[4:] == [found[0], "1970-01-01T00:00:00.001Z", found[2], found[0]]


def test_a_level_that_is_none_is_info(log, written):
    for level in (Unspeakable(), None, [], "WARN"):
        log.log(level, "e")
    assert [it["level"] for it in written.lines()] == ["info"] * 3 + ["warning"]


def test_other_names_of_levels_are_known_to_is_enabled(log, logs):
    logs.set_level("shop", "error")
    assert not log.is_enabled("warn")
    assert not log.is_enabled("INFO")
    assert log.is_enabled("fatal")


def test_what_is_learned_is_forgotten_and_not_closed(log, logs, written, general):
    for index in range(10_000):
        log.info("e", **{f"name{index}": index, "value": f"{index}"})
    assert len(logs.vet._names) <= 4_096
    assert len(logs.vet.values) <= 2_048
    assert len(log._safe) <= 4_096
    log.info("e", late=1)
    assert "late" in log._safe
    assert general == []


def test_events_are_kept_for_all_loggers_together(logs):
    events: dict[str, bytes] = {}
    around = logs.pieces.around("a", "info")
    for index in range(1_000):
        logs.pieces.head(f"event {index}", around, events, 1_000)
    assert len(events) <= 32
    assert _EVENTS // 32 < 1_000


def test_a_finalizer_may_ask_for_a_logger_at_any_moment(logs):
    done = []

    def collected(phase, info):
        logs.logger(f"from a callback {len(done) % 100}").info("x")
        done.append(1)

    def work():
        threshold = gc.get_threshold()
        gc.callbacks.append(collected)
        gc.set_threshold(20)
        try:
            for index in range(100):
                logs.logger(f"n{index}").info("x")
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(collected)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert done


def test_a_forked_child_may_define_while_another_thread_did(logs):
    ready, end = threading.Event(), threading.Event()

    def hold():
        with logs.kinds.lock:
            ready.set()
            end.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(10)  # ends what hangs
        logs.set_level("*", "debug")
        logs.logger("new")
        os._exit(7)
    end.set()
    thread.join()
    until = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 7


@pytest.mark.parametrize(
    "value",
    [bytearray(b"x"), datetime.datetime(2026, 1, 1, tzinfo=Zone())],
    ids=["a", "b"],
)
def test_values_without_a_hash_may_be_bound_to_a_scope(logs, log, written, value):
    with logs.fields(x=value):
        logs.bind(y=value)
        log.info("e")
    assert {"x", "y"} <= written.line().keys()


def test_a_service_of_any_text_is_shown_without_its_secrets(make, written, capfd):
    logs = make("shop\ud800 token=k3yk3y")
    log = logs.logger()
    log.info("e")
    log.info("%d", "x")
    service = "shop\\ud800 token=[redacted]"
    assert {line["service"] for line in written.lines()} == {service}
    logs.diag._mask = logs._redact.text
    logs.diag.say("why", "text")
    assert "k3yk3y" not in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "secret",
    [
        *("ghp_Zq8Zq8Zq8", "AKIAZQ8ZQ8ZQ8", "npm_Zq8Zq8Zq8", "glpat-Zq8Zq8Zq8"),
        *(
            "sk-proj-Zq8Zq8Zq8",
            "postgres://app:Zq8Zq8Zq8",
            "https://Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8",
        ),
    ],
)
def test_of_a_secret_at_a_cut_no_part_is_left(log, written, secret):
    for text in (secret, f"got '{secret}"):
        log.info("e", exc_info=ValueError(f"{text}…"))
        log.info("e", note=f"{text}…")
    assert b"zq8" not in written.bytes().lower()


class Picky:
    """A redactor that raises."""

    mask = "*"

    def is_secret(self, name):
        if name == "bad":
            raise ValueError
        return False

    def text(self, text):
        if text.startswith("bad"):
            raise ValueError
        return text


@pytest.mark.parametrize("name", ["a", "bad"])
@pytest.mark.parametrize("value", ["bad", ["bad"], 1])
def test_a_redactor_that_raises_raises_nowhere(make, written, name, value):
    logs = make(redact=Picky())
    log = logs.logger("shop")
    with logs.fields(**{name: value}) as scope:
        log.info("e")
        scope.bind(**{name: [value]})
        logs.bind(b=value)
        log.info("e")
    log.bind(**{name: value}).info("e")
    logs.logger(f"{value}").info("e", **{name: value})
    lost = logs.diag.dropped_counts().get(("logs", "", "invalid"), 0)
    assert len(written.lines()) + lost == 4
