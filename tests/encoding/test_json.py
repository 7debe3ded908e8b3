"""One line of JSON."""

import json
import sys

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obs.encoding import dumper, json_line
from obs.encoding._json import _standard, _standard_line
from obs.encoding._values import Plain
from tests.encoding.hostile import characters, values


@pytest.fixture
def no_orjson(monkeypatch):
    monkeypatch.setitem(sys.modules, "orjson", None)
    dumper.cache_clear()
    yield
    dumper.cache_clear()


@given(st.builds(lambda value: Plain(4_000).value(value), values))
def test_both_writers_give_the_same_bytes(value):
    assert _standard(value) == orjson.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e-5)
@example(-1.5e-5)
@example(9.99e-05)
@example(1e-6)
@example(1.5e-10)
@example(1e16)
@example(-0.0)
def test_both_writers_write_a_number_alike(number):
    assert _standard(number) == orjson.dumps(number)
    assert json.loads(_standard(number)) == number


def test_orjson_writes_where_it_is_installed():
    assert dumper() == (orjson.dumps, orjson.OPT_APPEND_NEWLINE)


def test_the_standard_library_writes_where_it_is_not(no_orjson):
    assert dumper() == (_standard_line, 0)
    line = json_line({"a": [1, 1e-5, None, True], "é": {"b": 'x"\n'}})
    assert line == '{"a":[1,0.00001,null,true],"é":{"b":"x\\"\\n"}}\n'.encode()


def test_control_characters_of_every_kind_are_escaped():
    assert json_line("\x00\x1b\x7f\x85\x9f\xa0\u2028\u2029\n") == (
        b'"\\u0000\\u001b\\u007f\\u0085\\u009f\xc2\xa0\\u2028\\u2029\\n"\n'
    )


@given(st.text(characters).map(lambda text: Plain(10_000).text(text)))
def test_a_text_is_one_line_and_reads_back_equal(text):
    line = json_line(text)
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == text
