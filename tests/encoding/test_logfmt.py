"""A log record as a line of logfmt."""

from urllib.parse import unquote

import logfmtkv
import pytest
from hypothesis import given

from obs.encoding import log_dict, logfmt_line
from obs.model import LogRecord
from tests.encoding import hostile
from tests.encoding.readers import as_texts, read_logfmt

NOON = 1_764_072_000_123_456_789
HEAD = b"time=2025-11-25T12:00:00.123Z level=info event=x"


def line(**fields):
    return logfmt_line(LogRecord(NOON, "info", "x", fields=fields))


def test_a_record_in_full():
    fields = {"order": 17, "by": "Ann Lee", "time": "noon", "ok": True, "tags": ["a"]}
    record = LogRecord(NOON, "warning", "order late", "orders", 0xAB << 120, 5, fields)
    assert logfmt_line(record, "shop") == (
        b'time=2025-11-25T12:00:00.123Z level=warning event="order late" logger=orders '
        b"service=shop trace_id=ab000000000000000000000000000000 "
        b'span_id=0000000000000005 order=17 by="Ann Lee" field.time=noon ok=true '
        b'tags="[\\"a\\"]"\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("C:\\n", r'"C:\\n"'),
        ("a\tb\r\nc", r'"a\tb\r\nc"'),
        ("\x00\x1b[31m\x7f\x9b", r'"\u0000\u001b[31m\u007f\u009b"'),
        ("\u2028\u2029", r'"\u2028\u2029"'),
        ("\xa0", '"\xa0"'),
        ("café 😀", '"café 😀"'),
        ("日本", "日本"),
        ("\ud800", r'"\\ud800"'),
        ("null", "null"),
        (None, "null"),
        (False, "false"),
        (-5, "-5"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        ([], "[]"),
        ([1, 2], "[1,2]"),
        ({"a": ["x\n", None]}, r'"{\"a\":[\"x\\n\",null]}"'),
    ],
)
def test_how_a_value_reads(value, text):
    assert line(v=value) == HEAD + f" v={text}\n".encode()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("user id", "user%20id"),
        ("user%20id", "user%2520id"),
        ("a=b", "a%3Db"),
        ('"', "%22"),
        ("\n\x1b\x7f", "%0A%1B%7F"),
        ("\x85\u2028\xa0\ufffd", "%C2%85%E2%80%A8%C2%A0%EF%BF%BD"),
        ("", "<empty>"),
        ("straße.ok-1_\\'", "straße.ok-1_\\'"),
    ],
)
def test_how_a_name_is_mended(name, key):
    assert line(**{name: 1}) == HEAD + f" {key}=1\n".encode()


def test_two_names_never_become_one():
    names = ["a b", "a%20b", "a_b", "a=b", "time", "field.time", "field time"]
    pairs = read_logfmt(line(**dict.fromkeys(names, 1)))[3:]
    wanted = [*names[:4], "field.time", "field.field.time", "field time"]
    assert sorted(unquote(key) for key, _ in pairs) == sorted(wanted)


@given(hostile.log_records, hostile.texts)
def test_two_readers_read_back_what_was_logged(record, service):
    data = log_dict(record, service)
    found = logfmt_line(record, service)
    pairs = read_logfmt(found)
    assert logfmtkv.parse_pairs(found.decode(), strict=True) == pairs
    assert [(unquote(key), value) for key, value in pairs] == as_texts(data)
