"""What a series is called: a path, or a name with tags, as each dialect has them.

No text of a user's gets a character into a line that a server takes for the end of
something.

Source: github.com/statsd/statsd, "Metric types" and its ``sanitizeKeyName``; "DogStatsD
datagram format" of Datadog; Telegraf, "StatsD input plugin", "Influx StatsD".
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from obs.naming import OVERFLOW_LABEL

MOST_LINES = 100
"""Of a histogram in the plain dialect: so whole percentiles are exact at their ranks."""

_NOT_IN_PATH = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_STEP = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_TAG = re.compile(r"[^\w./{}<>()+*%~!?&$-]")
_UNDERSCORES = re.compile(r"\A[_.-]{2,}")
_OF_PROMETHEUS = ("quantile", "le")
"""Of these as tags of a timer or a histogram statsd_exporter ends."""
_OF_OBJECTS = re.compile(
    r"__(proto|(define|lookup)[GS]etter)__|constructor|hasOwnProperty|isPrototypeOf|"
    r"propertyIsEnumerable|toLocaleString|toString|valueOf"
)
"""Every object of JavaScript has these: as keys they end or confuse Etsy's server."""

Tags: TypeAlias = Mapping[str, str]


class Key(NamedTuple):
    """What a server tells a series by.

    Attributes:
        head: What stands before the value.
        tail: What stands behind the sample rate.
    """

    head: str
    tail: str = ""


class Dialect(NamedTuple):
    """One way to write metrics.

    Attributes:
        key: Gives the key of a name, of a series' labels, and of the tags that all series
            have, which a label of the same name hides.
        other: The type of distributions that are no durations.
        most_lines: See ``samples_of``.
        below_zero: What stands before a gauge that is negative. A sign means a change to
            most servers; a change of zero is the number itself.
    """

    key: Callable[[str, Tags, Tags], Key]
    other: str
    most_lines: int | None
    below_zero: str


def plain_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give name and values in their order, with dots between them."""
    values = ["overflow"] if OVERFLOW_LABEL in labels else labels.values()
    path = ".".join((_path(name), *map(_step, values)))
    return Key(f"{path}_" if _OF_OBJECTS.fullmatch(path) else path)


def datadog_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give the name, and the tags of DogStatsD."""
    tags = sorted({**constant, **tags_of(labels)}.items())
    text = ",".join([f"{tag}:{value}" for tag, value in tags])
    return Key(_path(name), f"|#{text}" if text else "")


def telegraf_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give the name with the tags of InfluxDB."""
    tags = sorted({**constant, **tags_of(labels)}.items())
    return Key("".join([_path(name), *[f",{tag}={value}" for tag, value in tags]]))


def tags_of(labels: Tags) -> dict[str, str]:
    """Give labels as tags; an empty one is none."""
    return {_tag(name): _value(value) for name, value in labels.items() if value}


# Names come again with each series, values mostly with each push.


@lru_cache(maxsize=1024)
def _path(name: str) -> str:
    return _NOT_IN_PATH.sub("_", name) or "_"


@lru_cache(maxsize=1024)
def _tag(name: str) -> str:
    # statsd_exporter shows nothing any more if one begins with two underscores.
    tag = _UNDERSCORES.sub("_", _path(name))
    return f"{tag}_" if tag in _OF_PROMETHEUS else tag


@lru_cache(maxsize=4096)
def _value(text: str) -> str:
    return _NOT_IN_TAG.sub("_", text)


@lru_cache(maxsize=4096)
def _step(text: str) -> str:
    return _NOT_IN_STEP.sub("_", text) or "none"


_ZERO_LINE = "0|g{1}\n{0}:"
# Telegraf reads the lines of a stream with several threads, in any order; values in a line
# one after the other.
_ZERO_VALUE = "0|g:"
DIALECTS = {
    "plain": Dialect(plain_key, "ms", MOST_LINES, _ZERO_LINE),
    "datadog": Dialect(datadog_key, "d", None, _ZERO_LINE),
    "telegraf": Dialect(telegraf_key, "h", None, _ZERO_VALUE),
}
