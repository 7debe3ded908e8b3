"""What a log record is in RFC 5424."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.model import Batch, LogRecord, Resource
from obs_exporters import SyslogExporter
from obs_exporters.syslog._message import FACILITIES, Sender, encode_log, head_of
from tests.encoding.hostile import log_records
from tests.exporters.syslog.reader import frames, read

TIME = 1_700_000_000_123_456_789
SENDER = Sender(1, "web-1 checkout 42", "fields@32473", 8192)


def encoded(*args, most=8192, **fields):
    record = LogRecord(*args, fields=fields)
    return encode_log(record, SENDER._replace(most=most))


def test_golden_bytes():
    record = LogRecord(
        TIME,
        "warning",
        "order.late",
        "orders",
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        {
            "id": 7,
            "ok": True,
            "note": 'a "b" \\ [c]\nd',
            "none": None,
            "list": [1, "é"],
        },
    )
    assert encode_log(record, SENDER) == (
        b"<12>1 2023-11-14T22:13:20.123456Z web-1 checkout 42 orders "
        b'[fields@32473 trace_id="0af7651916cd43dd8448eb211c80319c" '
        b'span_id="b7ad6b7169203331" id="7" ok="true" '
        b'note="a \\"b\\" \\\\ [c\\]\\\\nd" none="null" '
        b'list="[1, \\"\xc3\xa9\\"\\]"] order.late'
    )


def test_a_message_of_the_least():
    assert encoded(TIME, "info", "up") == (
        b"<14>1 2023-11-14T22:13:20.123456Z web-1 checkout 42 - - up"
    )
    assert encoded(TIME, "info", "").endswith(b" - -")


def test_a_message_that_is_not_ascii_has_a_byte_order_mark():
    assert encoded(TIME, "info", "né").endswith(b" - \xef\xbb\xbfn\xc3\xa9")


def test_a_time_that_is_none():
    for time in (2**70, "now", -(2**70)):
        assert encoded(time, "info", "x").startswith(b"<14>1 - web-1 ")


def test_severities():
    found = {
        level: read(encoded(TIME, level, "x"))
        for level in ("critical", "error", "warning", "info", "debug", "trace", "odd")
    }
    assert {level: it.severity for level, it in found.items()} == {
        "critical": 2,
        "error": 3,
        "warning": 4,
        "info": 6,
        "debug": 7,
        "trace": 7,
        "odd": 5,
    }
    assert {level for level, it in found.items() if it.params == {"level": level}} == {
        "trace",
        "odd",
    }


def test_facilities():
    assert FACILITIES[0] == "kern"
    assert FACILITIES[16] == "local0"
    assert len(FACILITIES) == 24
    message = encode_log(LogRecord(TIME, "debug", "x"), SENDER._replace(facility=23))
    assert message.startswith(b"<191>1 ")


def test_names_of_fields():
    fields = {"a b": 1, "a]b": 2, "a=b": 3, "é": 4, "": 5, "x" * 40: 6, "x" * 41: 7}
    assert read(encoded(TIME, "info", "x", **fields)).params == {
        "a_b": "1",
        "a_b_2": "2",
        "a_b_3": "3",
        "_": "4",
        "<empty>": "5",
        "x" * 32: "6",
        "x" * 30 + "_2": "7",
    }


def test_a_field_with_a_name_of_the_records_own():
    found = read(encoded(TIME, "info", "x", event=1, trace_id=2, level=3))
    assert found.params == {
        "field.event": "1",
        "field.trace_id": "2",
        "field.level": "3",
    }


def test_the_logger_is_the_messages_id():
    assert read(encoded(TIME, "info", "x", "my app é" + "y" * 40)).message_id == (
        "my_app__" + "y" * 24
    )


def test_control_characters_are_escaped():
    found = read(encoded(TIME, "info", "a\nb\x1b[31m\x85", value="\r\t\x00\u2028"))
    assert found.text == r"a\nb\x1b[31m\x85"
    assert found.params == {"value": r"\r\t\x00\u2028"}


@pytest.mark.parametrize("most", range(1000, 1004))
def test_what_is_too_long_is_cut_with_a_mark(most):
    found = encoded(TIME, "info", "e" * 900, a="1", b="\\" * 900, c=3, d=4, most=most)
    assert len(found) <= most
    message = read(found)
    assert re.fullmatch("e{400,900}…", message.text)
    assert message.params["a"] == "1"
    assert re.fullmatch(r"\\{100,900}…", message.params["b"])
    assert message.params["obs.cut"] == "2"
    assert "c" not in message.params


def test_a_long_event_alone_is_cut_to_the_byte():
    found = encoded(TIME, "info", "é" * 900, most=1000)
    assert 997 <= len(found) <= 1000
    assert read(found).text.endswith("é…")


def test_host_application_and_process():
    resource = Resource(
        {"service.name": "my app", "host.name": "h", "process.pid": "7"}
    )
    assert head_of(resource, None, None, 480) == "h my_app 7"
    assert head_of(resource, "other", "name", 480) == "other name 7"
    assert re.fullmatch(r"[!-~]+ - [0-9]+", head_of(Resource({}), None, None, 480))


@pytest.mark.parametrize("most", [*range(480, 1000, 7), 8192])
def test_a_head_leaves_room_in_the_shortest_message(most):
    resource = Resource(
        {"service.name": "a" * 99, "host.name": "h" * 300, "process.pid": "7" * 200}
    )
    head = head_of(resource, None, None, most)
    sender = Sender(23, head, "x" * 26 + "@32473", most)
    fields = {f"{n}" * 32: "v" * 900 for n in range(9)}
    record = LogRecord(
        TIME, "trace", "e" * 900, "l" * 99, 2**128 - 1, 2**64 - 1, fields
    )
    found = encode_log(record, sender)
    assert len(found) <= most
    assert re.fullmatch("e{20,900}…?", read(found).text)
    assert ("h" * 255 in head) == (most >= 765)


def test_the_frames_of_a_batch():
    exporter = SyslogExporter(facility="local3", hostname="h", app_name="a")
    batch = Batch(
        "logs",
        Resource({}),
        records=[LogRecord(TIME, "info", f"e{n}") for n in range(3000)] + [object()],
    )
    payloads = list(exporter.encode(batch))
    assert len(payloads) > 1
    assert all(len(payload.body) <= 65536 for payload in payloads)
    assert sum(payload.records for payload in payloads) == 3000
    assert sum(payload.dropped.get("invalid", 0) for payload in payloads) == 1
    found = []
    for payload in payloads:
        mine, rest = frames(payload.body)
        assert (len(mine), rest) == (payload.records, b"")
        found += mine
    assert [read(message).text for message in found] == [f"e{n}" for n in range(3000)]
    assert read(found[0])[:2] == (19, 6)


@given(log_records, st.integers(480, 4000))
def test_hostile_records_are_messages(record, most):
    message = encode_log(record, SENDER._replace(most=most))
    assert len(message) <= most
    read(message)


@given(
    st.text(),
    st.dictionaries(
        st.text(), st.one_of(st.text(), st.integers(), st.lists(st.text()))
    ),
    st.integers(480, 2000),
)
def test_any_text_is_read_back_or_cut(event, fields, most):
    record = LogRecord(TIME, "info", event, fields=fields)
    found = encode_log(record, SENDER._replace(most=most))
    assert len(found) <= most
    message = read(found)
    whole = read(encode_log(record, SENDER._replace(most=1 << 20)))
    assert message.text == whole.text or message.text.endswith("…")
    for name, value in message.params.items():
        if name == "obs.cut":
            assert len(message.params) - 1 + int(value) == len(whole.params)
        else:
            assert whole.params[name].startswith(value.removesuffix("…"))
    if len(found) < most - 300:
        assert message == whole
