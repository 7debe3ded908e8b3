"""A log record for people."""

import os
import re

import pytest
from hypothesis import given

from obs.encoding import printable, terminal_line, wants_color
from obs.model import LogRecord
from tests.encoding import hostile

NOON = 1_764_072_000_123_456_789
COLORS = re.compile(r"\x1b\[[0-9;]*m")


def line(*args, color=False, **fields):
    return terminal_line(LogRecord(NOON, *args, fields=fields), color=color)


def test_a_record_in_full():
    found = line("warning", "order.late", "orders", 0xAB << 120, 5, id=17, by="Ann Lee")
    assert found == (
        '12:00:00.123Z WARNING  order.late               [orders] id=17 by="Ann Lee" '
        "trace=ab000000"
    )


def test_the_event_alone_ends_the_line():
    assert line("info", "started") == "12:00:00.123Z INFO     started"


def test_what_comes_behind_the_event_is_aligned():
    found = [line(level, level * 2, n=1) for level in ("info", "critical", "debug")]
    assert {text.index(" n=1") for text in found} == {47}
    assert " long event 123456789012345 n=1" in line(
        "info", "long event 123456789012345", n=1
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi" \\', '"say \\"hi\\" \\\\"'),
        ("line\nbreak", "line\\nbreak"),
        ("\x1b[31mred\x9b2J", "\\x1b[31mred\\x9b2J"),
        ("\u202eright to left", '"\\u202eright to left"'),
        ("\ud800", '"\\\\ud800"'),
        ("café", "café"),
        (1.5, "1.5"),
        (None, "null"),
        (True, "true"),
        ({"a": [1, "x\n"]}, '{"a":[1,"x\\n"]}'),
        ({"a": "\u202e"}, '{"a":"\\u202e"}'),
    ],
)
def test_how_a_value_reads(value, text):
    assert line("info", "x", v=value).partition(" v=")[2] == text


def test_colors_surround_what_the_record_says():
    found = line("error", "failed", "db", 1, color=True, n=1)
    assert found == (
        "\x1b[2m12:00:00.123Z\x1b[0m \x1b[31mERROR   \x1b[0m "
        "\x1b[1mfailed                  \x1b[0m \x1b[2m[db]\x1b[0m \x1b[36mn\x1b[0m=1 "
        "\x1b[2mtrace=00000000\x1b[0m"
    )
    assert COLORS.sub("", found) == line("error", "failed", "db", 1, n=1)


def test_each_level_has_a_color_of_its_own():
    levels = ("trace", "debug", "info", "warning", "error", "critical")
    assert (
        len({COLORS.findall(line(level, "", color=True))[2] for level in levels}) == 6
    )


def test_a_level_nobody_knows_is_shown():
    assert line("fatal\x1b[m", "x", color=True).count("FATAL\\X1B[M") == 1


def test_printable_leaves_what_can_be_printed():
    assert printable("a b é 日本") == "a b é 日本"
    assert printable("\t\x00\u2028") == "\\t\\x00\\u2028"


STACK = """Traceback (most recent call last):
  File "/app/pay.py", line 5, in pay
    charge(\x1b[31m)
ValueError: wrong
12:00:00.000Z ERROR    forged
"""


def test_an_exception_ends_the_line_and_its_traceback_stands_below():
    fields = {
        "exception.type": "ValueError",
        "exception.message": "wrong\n12:00:00.000Z ERROR    forged",
        "exception.stacktrace": STACK,
        "n": 1,
    }
    record = LogRecord(NOON, "error", "pay", "", 0xAB << 120, 5, fields)
    assert terminal_line(record, color=False).split("\n") == [
        "12:00:00.123Z ERROR    pay                      n=1 trace=ab000000 "
        "ValueError: wrong\\n12:00:00.000Z ERROR    forged",
        "    | Traceback (most recent call last):",
        '    |   File "/app/pay.py", line 5, in pay',
        "    |     charge(\\x1b[31m)",
        "    | ValueError: wrong",
        "    | 12:00:00.000Z ERROR    forged",
    ]
    colored = terminal_line(record, color=True)
    assert "\x1b[31mValueError: wrong\\n12:00" in colored
    assert colored.count("\n\x1b[2m    | \x1b[0m") == 5
    assert COLORS.sub("", colored) == terminal_line(record, color=False)


def test_a_stack_stands_below_before_the_traceback():
    found = line("info", "x", **{"exception.stacktrace": "b\n\nc", "stack": "a\r\n"})
    lines = ["12:00:00.123Z INFO     x", "    | a\\r", "    | b", "    | ", "    | c"]
    assert found.split("\n") == lines


def test_of_an_exception_there_may_be_parts():
    assert line("info", "x", **{"exception.type": "KeyError"}).endswith(" KeyError")
    assert line("info", "x", **{"exception.message": "wrong"}).endswith(" wrong")
    assert line("info", "x", stack="", **{"exception.type": ""}).endswith("INFO     x")


def test_what_is_no_text_is_a_field():
    found = line("info", "x", stack=["a"], **{"exception.type": 5})
    assert found.endswith('stack=["a"] exception.type=5')


def test_of_a_long_stack_the_first_and_the_last_lines_are_shown():
    stack = "\n".join(f"line {number}" for number in range(1_000))
    _, *found = line("info", "x", stack=stack).split("\n")
    assert len(found) == 61
    assert found[9:12] == ["    | line 9", "    | ... 940 lines left out ...", LAST_50]
    assert found[-1] == "    | line 999"
    _, *found = line("info", "x", stack=stack[: stack.index("\nline 61")]).split("\n")
    assert found == [f"    | line {number}" for number in range(61)]


LAST_50 = "    | line 950"


def test_a_record_without_a_time_does_not_begin_as_a_stack_does():
    found = terminal_line(LogRecord(None, "   | x", "y"), color=False)
    assert found == "-    | X   y"


class Terminal:
    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("target", "environ", "wanted"),
    [
        (Terminal(True), {}, True),
        (Terminal(True), {"NO_COLOR": "", "TERM": "xterm"}, True),
        (Terminal(True), {"NO_COLOR": "0"}, False),
        (Terminal(True), {"TERM": "dumb"}, False),
        (Terminal(False), {}, False),
        (Terminal(ValueError("closed")), {}, False),
        (None, {}, False),
        (-1, {}, False),
        (1 << 80, {}, False),
    ],
)
def test_when_there_are_colors(target, environ, wanted):
    assert wants_color(target, environ) is wanted


def test_a_descriptor_is_asked_whether_it_is_a_terminal():
    ours, theirs = os.openpty()
    read, write = os.pipe()
    try:
        assert wants_color(theirs, {})
        assert not wants_color(write, {})
    finally:
        for descriptor in (ours, theirs, read, write):
            os.close(descriptor)


@given(hostile.log_records)
def test_any_record_is_printable_and_only_a_stack_is_more_than_a_line(record):
    text = terminal_line(record, color=False)
    first, *rest = text.split("\n")
    assert first.isprintable()
    assert all(each.isprintable() and each.startswith("    | ") for each in rest)
    colored = terminal_line(record, color=True)
    assert COLORS.sub("", colored) == text
