"""YAML; promtool reads it in tests/real/test_rules.py."""

import pytest

from obs.dashboards._yaml import yaml_text


def test_a_document():
    value = {
        "groups": [
            {"name": "a", "rules": [{"record": "a:b", "expr": 'x{y="z"} > 1'}]},
            {"name": "b c", "rules": []},
        ],
        "list": ["a", 1, 0.5],
        "empty": {},
    }
    assert yaml_text(value) == (
        "groups:\n"
        "  - name: a\n"
        "    rules:\n"
        '      - record: "a:b"\n'
        "        expr: |-\n"
        '          x{y="z"} > 1\n'
        '  - name: "b c"\n'
        "    rules: []\n"
        "list:\n"
        "  - a\n"
        "  - 1\n"
        "  - 0.5\n"
        "empty: {}\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word", "word"),
        ("on", '"on"'),
        ("No", '"No"'),
        ("NULL", '"NULL"'),
        ("5m", '"5m"'),
        ("", '""'),
        ("a: b", '"a: b"'),
        ("#", '"#"'),
        (
            "\u017c\u00f3\u0142\u0107 \U0001f600",
            '"\u017c\u00f3\u0142\u0107 \U0001f600"',
        ),
        ("a\nb", '"a\\nb"'),
        ('a"\nb', '"a\\"\\nb"'),
        ("a\x85b\u2028\ud800", '"a\\U00000085b\\U00002028\\U0000d800"'),
        (True, "true"),
    ],
)
def test_what_could_be_read_as_something_else_is_quoted(text, expected):
    assert yaml_text({"key": text}) == f"key: {expected}\n"


def test_a_key_that_is_a_word_of_yaml_is_quoted():
    assert yaml_text({"on": 1}) == '"on": 1\n'
