"""A log record for people."""

import re

import pytest
from hypothesis import given

from obs.encoding import printable, terminal_line
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


@given(hostile.log_records)
def test_any_record_is_one_printable_line(record):
    text = terminal_line(record, color=False)
    assert text.isprintable()
    colored = terminal_line(record, color=True)
    assert COLORS.sub("", colored) == text
