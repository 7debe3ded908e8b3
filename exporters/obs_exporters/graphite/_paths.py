"""What Graphite calls a series: a path whose levels are labels, or a name with tags.

Carbon makes a folder or a file of each level, splits lines at any blank of Unicode and
closes a connection whose bytes are no UTF-8, so letters, digits, ``_`` and ``-`` of any
script are what is left of a level. Tags keep all that can be seen but ``;`` and ``"``.

Source: carbon 1.1.7, ``TaggedSeries``, ``MetricLineReceiver``; graphite-web 1.1.8, tables
of tags, whose columns have 191 characters.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from obs.model import MetricFamily
from obs.naming import OVERFLOW_LABEL

EMPTY = "_empty_"
"""The level of a label without a value."""
MOST_LEVEL = 251
"""Bytes of a level: a file's name has 255, and ends in ``.wsp``."""
MOST_TAG = 191
"""Characters of a tag's value, and bytes of its key (VictoriaMetrics takes 256)."""
MOST_PATH = 1_000
"""Bytes of a path, before what a histogram appends; with that, a line fits a datagram."""
PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
_NOT_IN_LEVEL = re.compile(r"[^\w-]")
_NOT_IN_KEY = re.compile(r"[^\w.-]")
_SUFFIX = len(".bucket")
_CACHED = 4_096


class Path(NamedTuple):
    """A series' path.

    Attributes:
        name: Prefix and name; without tags the label values, too.
        tags: ``key=value``, as carbon sorts them; None where there are no tags.
    """

    name: str
    tags: tuple[str, ...] | None

    def text(self, suffix: str = "", bound: str = "") -> str:
        """Give it as it stands in a line.

        Args:
            suffix: What a histogram appends to the name.
            bound: The upper bound of a bucket.
        """
        name = f"{self.name}.{suffix}" if suffix else self.name
        tags = self.tags
        if tags is None:
            return f"{name}.{_level(bound.removeprefix('+'))}" if bound else name
        if bound:
            tags = tuple(sorted((*tags, f"le={bound}")))
        return ";".join((name, *tags))


class Flat(NamedTuple):
    """Labels as levels: prefix, name, values in the order of the labels.

    Attributes:
        prefix: Levels with dots between them, or empty.
    """

    prefix: str

    def path(self, family: MetricFamily, labels: Mapping[str, str]) -> Path | None:
        """Give the path of a series; None for a name without a level, or one too long."""
        levels = [self.prefix] if self.prefix else []
        name = _name(family.name[: MOST_PATH + 1])
        levels.append(name)
        for key, value in labels.items():
            # Not by its value, ``true``: that may be another series' value.
            text = key if key == OVERFLOW_LABEL else value
            levels.append(_level(text[: MOST_LEVEL + 1]))
        whole = ".".join(levels)
        return Path(whole, None) if name and _fits(whole) else None


class Tagged(NamedTuple):
    """Labels as tags; empty ones are left out, as Graphite takes none for empty.

    Attributes:
        prefix: Levels with dots between them, or empty.
        resource: More tags; a label goes before.
    """

    prefix: str
    resource: Mapping[str, str]

    def path(self, family: MetricFamily, labels: Mapping[str, str]) -> Path | None:
        """Give the path of a series; None for a name without a level, or one too long."""
        name = _name(family.name[: MOST_PATH + 1])
        whole = f"{self.prefix}.{name}" if self.prefix else name
        pairs = list(self._pairs(family, labels))
        # The name, with what a histogram appends, is the value of a tag.
        sizes = [len(whole) + _SUFFIX]
        for key, value in pairs:
            sizes += len(key.encode()), len(value)
        if not name or max(sizes) > MOST_TAG:
            return None
        tags = tuple(sorted(f"{key}={value}" for key, value in pairs))
        return Path(whole, tags) if _fits(whole, *tags) else None

    def _pairs(
        self, family: MetricFamily, labels: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        # Carbon puts the metric's name in place of a tag that is called so.
        taken = {"name", "le"} if family.kind == "histogram" else {"name"}
        for label, text in {**self.resource, **labels}.items():
            if not text:
                continue
            key = _key(label[: MOST_TAG + 1])
            while key in taken:
                key += "_"
            taken.add(key)
            yield key, _value(text[: MOST_TAG + 1])


def resolved(prefix: str, attributes: Mapping[str, str]) -> str:
    """Give a prefix with attributes of the resource in the place of their names."""

    def level(match: re.Match[str]) -> str:
        return _level(attributes.get(match[1], "")[: MOST_LEVEL + 1])

    return PLACEHOLDER.sub(level, prefix)


def _fits(name: str, *tags: str) -> bool:
    levels = name.encode().split(b".")
    size = sum(len(tag.encode()) + 1 for tag in tags)
    size += sum(map(len, levels)) + len(levels) - 1
    return max(map(len, levels)) <= MOST_LEVEL and size <= MOST_PATH


@lru_cache(_CACHED)
def _name(text: str) -> str:
    """Give a name's levels, which are those between its dots; empty if there is none."""
    return ".".join(_level(each) for each in text.split(".") if each)


@lru_cache(_CACHED)
def _level(text: str) -> str:
    return _NOT_IN_LEVEL.sub("_", text) or EMPTY


@lru_cache(_CACHED)
def _key(text: str) -> str:
    return _NOT_IN_KEY.sub("_", text) or "_"


@lru_cache(_CACHED)
def _value(text: str) -> str:
    """Give a tag's value.

    A path that ends in ``"}`` carbon reads in another format; ``~`` in front it refuses.
    """
    kept = (c if c.isprintable() and c not in ' ;"' else "_" for c in text)
    value = "".join(kept)
    return f"_{value[1:]}" if value.startswith("~") else value
