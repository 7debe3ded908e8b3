"""Records that nobody would make on purpose, a hundred thousand for each encoder.

A million of each in `make test-all`. One that fails says its number and seed.
"""

import re
from urllib.parse import unquote

import logfmtkv
import pytest

from obs.encoding import (
    json_line,
    log_dict,
    logfmt_line,
    sane,
    terminal_line,
)
from obs.encoding._terminal import BAR
from tests.encoding.hostile import Spray
from tests.encoding.readers import as_texts, read_json, read_logfmt

SEED = 6
SERVICE = "shop\n=\x1b"
HEAD = ["time", "level", "event"]
MOST_BYTES = 6 * 64 * 1024 + 8_192  # each byte an escape of six
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
many = pytest.mark.parametrize(
    "count",
    [
        pytest.param(10**5, marks=pytest.mark.timeout(300)),
        pytest.param(10**6, marks=[pytest.mark.slow, pytest.mark.timeout(3_000)]),
    ],
)


def spray(count, seed=SEED):
    for number, record in enumerate(Spray(seed).records(count)):
        try:
            yield record
        except GeneratorExit:
            print(f"record {number} of seed {seed}")
            raise


@many
def test_json(count):
    for record in spray(count):
        data = log_dict(record, SERVICE)
        line = json_line(data)
        found = read_json(line)
        assert found == data
        assert list(found)[:3] == HEAD
        assert_one_line(line)


@many
def test_logfmt(count):
    for number, record in enumerate(spray(count)):
        data = log_dict(record, SERVICE)
        line = logfmt_line(record, SERVICE)
        pairs = read_logfmt(line)
        assert [(unquote(name), value) for name, value in pairs] == as_texts(data)
        assert len(dict(pairs)) == len(pairs)
        assert_one_line(line)
        if not number % 20:
            assert logfmtkv.parse_pairs(line.decode(), strict=True) == pairs


@many
def test_terminal(count):
    for record in spray(count):
        line, *stack = terminal_line(record, color=False).split("\n")
        assert line.isprintable()
        assert line[0] in "0123456789-"
        for each in stack:
            assert each.startswith(BAR)
            assert each.isprintable()


@many
def test_sane(count):
    for record in spray(count // 2):
        found, _ = sane(record)
        assert sane(found)[0] == found


def assert_one_line(line):
    assert len(line) < MOST_BYTES
    text = line.decode()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert not CONTROLS.search(text[:-1])
