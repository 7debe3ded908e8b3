"""What a client wants: which format, packed or not, which families. Pure functions.

Source: RFC 9110, 12.4.2 "Quality values", 12.5.1 "Accept", 12.5.3 "Accept-Encoding".
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from obs_exporters.prometheus._format import Format
from obs_exporters.prometheus._openmetrics import OPENMETRICS
from obs_exporters.prometheus._text import TEXT

_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


class _Range(NamedTuple):
    """One element of such a header: ``text/*;version=0.0.4;q=0.5``."""

    name: str
    parameters: Mapping[str, str]
    quality: float


class _Match(NamedTuple):
    """How well a format is matched; the greatest of all ranges counts.

    Attributes:
        rank: 0 for ``*/*``, 1 for ``type/*``, 2 for the very type.
        parameters: How many parameters agree.
        quality: From 0, which forbids, to 1.
    """

    rank: int
    parameters: int
    quality: float


def choose_format(accept: str) -> Format:
    """Give the format for an Accept header.

    The format with the higher quality wins, where the most specific range that matches a
    format gives its quality. A range with another version does not match; elements that
    are malformed are passed over. OpenMetrics wins a tie only if its own name is in the
    header. Where nothing is acceptable the text format is sent all the same: a page
    that a person can read is worth more than 406.
    """
    ranges = list(_elements(accept))
    text = _best(TEXT, ranges)
    openmetrics = _best(OPENMETRICS, ranges)
    if openmetrics.quality > text.quality:
        return OPENMETRICS
    is_tie = openmetrics.quality == text.quality > 0
    return OPENMETRICS if is_tie and openmetrics.rank == 2 else TEXT


def takes_gzip(accept_encoding: str) -> bool:
    """Say whether an Accept-Encoding header lets the answer be packed by gzip."""
    qualities: dict[str, float] = {}
    for element in _elements(accept_encoding):
        qualities.setdefault(element.name, element.quality)
    anything = qualities.get("*", 0.0)
    packed = qualities.get("gzip", qualities.get("x-gzip", anything))
    return packed > 0 and packed >= qualities.get("identity", 0.0)


def wanted_names(query: str) -> frozenset[str]:
    """Give the values of ``name[]`` in a query; none means all."""
    if "name" not in query:
        return frozenset()
    # It costs 3 ms to import, and Prometheus does not ask like this by itself.
    from urllib.parse import parse_qs  # noqa: PLC0415

    return frozenset(parse_qs(query).get("name[]", ()))


def _elements(header: str) -> Iterator[_Range]:
    for element in header.split(","):
        name, *rest = (part.strip() for part in element.lower().split(";"))
        parameters = {}
        for parameter in rest:
            key, _, value = parameter.partition("=")
            parameters[key.strip()] = value.strip().strip('"')
        quality = parameters.pop("q", "1")
        if name and _QUALITY.fullmatch(quality):
            yield _Range(name, parameters, float(quality))


def _best(form: Format, ranges: list[_Range]) -> _Match:
    matches = [match for each in ranges if (match := _match(form, each)) is not None]
    return max(matches, default=_Match(0, 0, 0.0))


def _match(form: Format, wanted: _Range) -> _Match | None:
    main, _, _ = form.media_type.partition("/")
    names = ("*/*", f"{main}/*", form.media_type)
    if wanted.name not in names:
        return None
    has = {"version": form.version, "charset": "utf-8"}
    asked = {key: value for key, value in wanted.parameters.items() if key in has}
    if any(has[key] != value for key, value in asked.items()):
        return None
    return _Match(names.index(wanted.name), len(asked), wanted.quality)
