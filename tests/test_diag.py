"""What obs counts and says about itself."""

import json
import os
import pty

from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.testing import FakeClock


def test_one_line_a_minute_for_each_reason(capfd):
    clock = FakeClock()
    diag = Diag("shop", clock=clock)
    for _ in range(3):
        diag.say("a", "first")
        diag.say("b", "second")
        clock.advance(59)
        diag.say("a", "too early")
        clock.advance(1)
    events = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert events == ["first", "second"] * 3


def test_what_could_not_be_said_is_said_at_the_next_occasion(capfd):
    clock = FakeClock()
    diag = Diag(clock=clock)
    diag.say("a", "one", once="one")
    diag.say("a", "two", once="two")
    clock.advance(60)
    diag.say("a", "one", once="one")
    diag.say("a", lambda: "two", once="two")
    clock.advance(60)
    diag.say("a", "two", once="two")
    events = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert events == ["one", "two"]


def test_a_terminal_gets_plain_text():
    ours, theirs = pty.openpty()
    saved = os.dup(2)
    os.dup2(theirs, 2)
    try:
        Diag("shop").say("a", "something\nodd \ud800")
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(theirs)
    assert os.read(ours, 1000) == b"obs: shop: something odd ?\r\n"
    os.close(ours)


def test_a_line_is_one_line(capfd):
    Diag('a "shop"').say("a", 'one\ntwo\x1b[31m\ud800 \\ "é"')
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == 'one two [31m? \\ "é"'
    assert json.loads(line)["service"] == 'a "shop"'


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_text_becomes_one_line_of_json(text):
    line = Diag(text)._line("reason", text)
    assert len(line.splitlines()) == 1
    printable = "".join(
        c if c.isprintable() else " " for c in text.encode(errors="replace").decode()
    )
    assert json.loads(line)["event"] == json.loads(line)["service"] == printable


def test_a_closed_stderr_is_no_error():
    saved = os.dup(2)
    os.close(2)
    try:
        Diag("shop").say("a", "text")
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_counts_by_reason_and_exporter():
    diag = Diag()
    diag.dropped("metrics", "invalid", 2)
    diag.dropped("logs", "queue_full", exporter="otlp")
    diag.truncated("metrics")
    assert diag.dropped_counts() == {
        ("metrics", "", "invalid"): 2,
        ("metrics", "", "cardinality"): 0,
        ("traces", "", "invalid"): 0,
        ("traces", "", "limit"): 0,
        ("logs", "otlp", "queue_full"): 1,
    }
    assert diag.truncated_counts() == {("metrics",): 1, ("traces",): 0}
    diag.after_fork_in_child()
    assert set(diag.dropped_counts().values()) == {0}
