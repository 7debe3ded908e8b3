"""Readers of what the encoders write, strict as other programs are."""

import json
import re

from obs.encoding import json_line

# What go-logfmt's decoder takes, and nothing else: pairs with a value, one space between.
_PAIR = re.compile(
    r"""([^\x00-\x20"=\ufffd]+)=
    (?:"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"|([^\x00-\x20"=]*))
    (?:[ ](?=.)|\n\Z)""",
    re.VERBOSE | re.DOTALL,
)


def read_json(line):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(line, parse_constant=refuse)


def read_logfmt(line):
    """Give the pairs of a line of logfmt, bytes with a newline at the end."""
    text, at, pairs = line.decode(), 0, []
    while at < len(text):
        found = _PAIR.match(text, at)
        assert found, f"no pair at {at}: {text[at : at + 40]!r}"
        name, quoted, bare = found.groups()
        if quoted and "\\" in quoted:
            quoted = json.loads(f'"{quoted}"', strict=False)
        pairs.append((name, bare if quoted is None else quoted))
        at = found.end()
    return pairs


def as_texts(data):
    """Give what a reader of logfmt finds of a dict of ``log_dict``; names are mended."""
    return [
        (name, value if type(value) is str else json_line(value).decode()[:-1])
        for name, value in data.items()
    ]
