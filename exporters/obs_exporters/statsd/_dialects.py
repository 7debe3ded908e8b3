"""What a series is called: a path, or a name with tags, as each dialect has them.

No text of a user's gets a character into a line that a server takes for the end of
something.

Source: github.com/statsd/statsd, "Metric types" and its ``sanitizeKeyName``; "DogStatsD
datagram format" of Datadog; Telegraf, "StatsD input plugin", "Influx StatsD".
"""

import re
from collections.abc import Callable, Mapping
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
        key: Gives the key of a name, of a series' labels, and of what all series have.
        other: The type of distributions that are no durations.
        most_lines: See ``samples_of``.
        below_zero: What stands before a gauge that is negative. A sign means a change to
            most servers; a change of zero is the number itself.
    """

    key: Callable[[str, Tags, Tags], Key]
    other: str
    most_lines: int | None
    below_zero: str


def path_of(name: str) -> str:
    """Give a metric's name with what may stand in one."""
    return _NOT_IN_PATH.sub("_", name) or "_"


def plain_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give name and values in their order, with dots between them."""
    values = ["overflow"] if OVERFLOW_LABEL in labels else labels.values()
    steps = [_NOT_IN_STEP.sub("_", value) or "none" for value in values]
    path = ".".join((path_of(name), *steps))
    return Key(f"{path}_" if _OF_OBJECTS.fullmatch(path) else path)


def datadog_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give the name, and the tags of DogStatsD."""
    tags = ",".join(f"{tag}:{value}" for tag, value in tags_of(constant, labels))
    return Key(path_of(name), f"|#{tags}" if tags else "")


def telegraf_key(name: str, labels: Tags, constant: Tags) -> Key:
    """Give the name with the tags of InfluxDB."""
    tags = tags_of(constant, labels)
    return Key("".join((path_of(name), *(f",{tag}={value}" for tag, value in tags))))


def tags_of(constant: Tags, labels: Tags) -> list[tuple[str, str]]:
    """Give tags in the order of their names; an empty one is none.

    A label goes before what has the same name and is of all series.
    """
    tags = {**constant, **labels}
    cleaned = {
        _tag_name(name): _NOT_IN_TAG.sub("_", value)
        for name, value in tags.items()
        if value
    }
    return sorted(cleaned.items())


def _tag_name(name: str) -> str:
    # statsd_exporter shows nothing any more if one begins with two underscores.
    cleaned = _UNDERSCORES.sub("_", path_of(name))
    return f"{cleaned}_" if cleaned in _OF_PROMETHEUS else cleaned


_ZERO_LINE = "0|g{1}\n{0}:"
# Telegraf reads the lines of a stream with several threads, in any order; values in a line
# one after the other.
_ZERO_VALUE = "0|g:"
DIALECTS = {
    "plain": Dialect(plain_key, "ms", MOST_LINES, _ZERO_LINE),
    "datadog": Dialect(datadog_key, "d", None, _ZERO_LINE),
    "telegraf": Dialect(telegraf_key, "h", None, _ZERO_VALUE),
}
