"""Values as text."""

import json

import pytest

from obs_exporters.zipkin import _text
from obs_exporters.zipkin._text import json_bytes, text_of


class Foreign:
    def __repr__(self):
        raise RuntimeError

    __str__ = __repr__


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


class Number(int):
    __slots__ = ()
    __repr__ = __str__ = Foreign.__repr__


# Made when they are used: pytest would ask each for its repr.
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: "a", "a"),
        (lambda: Text("a"), "a"),
        (lambda: True, "true"),
        (lambda: False, "false"),
        (lambda: None, ""),
        (lambda: 5, "5"),
        (lambda: Number(5), "5"),
        (lambda: 0.1, "0.1"),
        (lambda: float("inf"), "inf"),
        (lambda: (1, Number(2), Text("x")), '[1,2,"x"]'),
        (lambda: {None: [], True: float("nan")}, '{"":[],"true":null}'),
        (lambda: b"x", "b'x'"),
        (lambda: Foreign(), "<Foreign>"),
        (lambda: [Foreign()], '["<Foreign>"]'),
        (lambda: [1 << 70], f"[{1 << 70}]"),
    ],
)
@pytest.mark.parametrize("fast", [True, False])
def test_every_value_has_a_text(monkeypatch, make, text, fast):
    if not fast:
        monkeypatch.setattr(_text, "fast_dumps", lambda: None)
    assert text_of(make()) == text


@pytest.mark.parametrize("fast", [True, False])
def test_what_has_no_end_or_too_many_digits_is_cut(monkeypatch, fast):
    if not fast:
        monkeypatch.setattr(_text, "fast_dumps", lambda: None)
    round_and_round = [1]
    round_and_round.append(round_and_round)
    for value in (round_and_round, 10**5_000, [10**5_000]):
        assert 0 < len(text_of(value)) <= 80


def test_json_is_utf8_and_short():
    assert json_bytes({"é": [1, "\ud800"]}) == '{"é":[1,"?"]}'.encode()
    assert json.loads(json_bytes("\u2028\u2029")) == "\n\n"
