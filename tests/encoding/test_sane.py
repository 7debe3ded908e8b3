"""Log records made plain, bounded, and without secrets."""

import pytest
from hypothesis import given

from obs.encoding import json_line, log_dict, sane
from obs.encoding._values import CUT
from obs.limits import Limits
from obs.model import LogRecord
from tests.encoding import hostile
from tests.encoding.test_values import Mines, is_plain

NOON = 1_764_072_000_123_456_789


def test_a_record_that_is_sane_comes_out_as_it_went_in():
    fields = {"order": 17, "tags": ["a", {"b": None}], "took": 0.5, "ok": True}
    record = LogRecord(NOON, "info", "paid", "shop", 5, 6, fields)
    assert sane(record) == (record, 0)
    assert sane(record, Mines()) == (record, 0)


def test_any_value_may_stand_in_any_place():
    odd = hostile.Exploding()
    found, cut = sane(LogRecord(odd, "warning", odd, odd, odd, odd, odd))
    text = "<Exploding>"
    assert found == LogRecord(0, "warning", text, text, 0, 0, {"value": text})
    assert cut == 0


def test_secrets_are_taken_out_of_texts_and_fields():
    fields = {"password": hostile.Endless(), "note": "SabcE", "SabcE": {"a": b"SabcE"}}
    record = LogRecord(NOON, "info", "got SabcE", "SabcE", fields=fields)
    mask = "[redacted]"
    assert sane(record, Mines())[0] == LogRecord(
        NOON,
        "info",
        f"got {mask}",
        mask,
        fields={"password": mask, "note": mask, mask: {"a": mask}},
    )


@pytest.mark.parametrize(
    "level", ["fatal", "INFO", "", None, 20, pytest.param(hostile.Lying(), id="lying")]
)
def test_a_level_that_is_none_is_info(level):
    found, cut = sane(LogRecord(NOON, level, "x"))
    assert (found.level, cut) == ("info", 1)


@pytest.mark.parametrize(
    ("name", "most"), [("time_ns", 64), ("trace", 128), ("span", 64)]
)
def test_numbers_fit_their_bits(name, most):
    record = LogRecord(NOON, "info", "x")
    largest = (1 << most) - 1
    assert getattr(sane(record._replace(**{name: largest}))[0], name) == largest
    for odd in (largest + 1, -1, 1.5, "5", None):
        assert getattr(sane(record._replace(**{name: odd}))[0], name) == 0
    number = sane(record._replace(**{name: hostile.Number(7)}))[0]
    assert type(getattr(number, name)) is int


def test_fields_end_with_a_mark_where_there_are_more_than_128():
    fields = {f"f{number}": number for number in range(128)}
    assert sane(LogRecord(NOON, "info", "x", fields=fields))[1] == 0
    fields["one"] = "more"
    found, cut = sane(LogRecord(NOON, "info", "x", fields=fields))
    assert list(found.fields) == [*list(fields)[:127], CUT]
    assert cut == 1


def test_a_record_takes_64_kib():
    fields = {f"f{number}": "é" * 10**6 for number in range(100)}
    found, cut = sane(LogRecord(NOON, "info", "x" * 10**6, fields=fields))
    assert 64_000 < len(json_line(log_dict(found))) < 66_000
    assert cut > 10


@pytest.mark.parametrize("most", [1, 2, 5, 300])
def test_fields_end_with_a_mark_where_there_are_more_than_the_limit(most):
    fields = {f"f{number}": number for number in range(most)}
    record, limits = (
        LogRecord(NOON, "info", "x", fields=fields),
        Limits(attributes=most),
    )
    assert sane(record, limits=limits) == (record, 0)
    found, cut = sane(record._replace(fields={**fields, "one": "more"}), limits=limits)
    assert list(found.fields) == [*list(fields)[: most - 1], CUT]
    assert cut == 1


@pytest.mark.parametrize("most", [1, 20, 1_000, 1_000_000])
def test_a_record_takes_record_bytes_and_keeps_its_level(most):
    fields = {f"f{number}": "e" * 10**6 for number in range(10)}
    record = LogRecord(NOON, "critical", "x" * 10**6, fields=fields)
    found, cut = sane(record, limits=Limits(record_bytes=most))
    assert found.level == "critical"
    size = len(found.event) + len(json_line(found.fields))
    assert 0.99 * most - 300 < size < most + 300
    assert cut > 0


@pytest.mark.parametrize("event", [0.7981306900755457, 1 << 62, None, [1, 2], b"x"])
def test_an_event_that_is_no_text_takes_the_room_of_its_text(event):
    found, _ = sane(LogRecord(NOON, "info", event, fields={"a": "x" * 10**5}))
    assert sane(found)[0] == found


def test_a_secret_leaves_no_trace_of_itself_where_it_is_cut():
    event = "x" * 32_740 + "S" + "secret0" * 500 + "E" + "y" * 10**6
    found, cut = sane(LogRecord(NOON, "info", event), Mines())
    assert found.event.startswith("x" * 20_000)
    assert "secret" not in found.event
    assert cut == 1


@given(hostile.log_records)
def test_any_record_is_made_sane_once(record):
    found, _ = sane(record, Mines())
    assert is_plain(found.fields, 9) < 200_000
    assert {type(text) for text in (found.level, found.event, found.logger)} == {str}
    assert sane(found, Mines())[0] == found
    assert sane(found)[0] == found
