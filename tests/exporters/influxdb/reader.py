"""A reader of line protocol, written from its reference: it raises for what is not strict.

Source: InfluxDB 2 documentation, "Line protocol" and its tables of special characters;
limits and reserved keys as InfluxDB 1.6 and 2.7 have them.
"""

import re
from dataclasses import dataclass

KEY_BYTES = 65_535
RESERVED = ("time", "_measurement", "_field")
INTEGER = re.compile(r"-?[0-9]+i")
FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
MOST = 2**63 - 1


@dataclass(frozen=True)
class Line:
    measurement: str
    tags: dict
    fields: dict  # an int is one that was written with an i
    time: int


def read(body):
    """Give the lines of a body."""
    return [read_line(line) for line in body.split(b"\n")]


def read_line(data):
    text = data.decode()  # strict
    assert all(" " <= char != "\x7f" for char in text), f"control characters: {text!r}"
    key, fields, time = split(text, " ")
    assert not key.startswith("#"), f"a comment: {text!r}"
    longest = max(len(name.encode()) for name in map(name_of, split(fields, ",")))
    assert len(key.encode()) + 4 + longest <= KEY_BYTES, "key too long"
    measurement, *tags = split(key, ",")
    pairs = [pair(tag) for tag in tags]
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"a tag is there twice: {text!r}"
    keys = [tag_key.encode() for tag_key in map(name_of, tags)]
    assert keys == sorted(keys), f"tags are not sorted: {text!r}"
    assert not set(names) & set(RESERVED), f"a reserved key: {text!r}"
    values = {name: number(value) for name, value in map(pair, split(fields, ","))}
    assert -MOST <= int(time) <= MOST
    plain = unescaped(measurement, ", ")
    assert plain, f"no measurement: {text!r}"
    return Line(plain, dict(pairs), values, int(time))


def split(text, at):
    """Split where the character is not escaped."""
    parts, begin, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        if text[index] == at:
            parts.append(text[begin:index])
            begin = index + 1
        index += 1
    assert index == len(text), f"a backslash at the end: {text!r}"
    return [*parts, text[begin:]]


def name_of(tag):
    return split(tag, "=")[0]


def pair(text):
    name, value = split(text, "=")
    assert name, f"no key: {text!r}"
    assert value, f"no value: {text!r}"
    return unescaped(name, ",= "), unescaped(value, ",= ")


def unescaped(text, special):
    for char in special:
        text = text.replace(f"\\{char}", char)
    assert "\\" not in text, f"servers read this differently: {text!r}"
    return text


def number(text):
    if text.endswith("i"):
        assert INTEGER.fullmatch(text), f"no integer: {text!r}"
        value = int(text[:-1])
        assert -MOST - 1 <= value <= MOST, f"over 64 bits: {text!r}"
        return value
    assert FLOAT.fullmatch(text), f"no float: {text!r}"
    return float(text)
