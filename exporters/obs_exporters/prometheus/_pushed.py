"""The page of a push: one body, from which is mended or left out what its reader refuses."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from obs.errors import DefinitionError
from obs.model import Batch, Block, MetricFamily, Payload
from obs_exporters._push import attempt
from obs_exporters.prometheus._layout import KeptBlock, Layout
from obs_exporters.prometheus._names import (
    new_page,
    page_labels,
    pushed_name,
    resource_labels,
    take,
)
from obs_exporters.prometheus._page import resource_lines
from obs_exporters.prometheus._text import TEXT
from obs_exporters.prometheus._united import count_points, united

MAX_BYTES = 64 * 1024 * 1024
"""What a page may have: its readers take it as a whole, or not at all."""


class _Part(NamedTuple):
    """What is on the page under one name.

    Attributes:
        lines: Encoded, several in each.
        records: How many series.
        merged: How many were added to others.
        invalid: How many are left out.
        layout: For the next page, as ``blocks``.
        blocks: Templates.
    """

    lines: Sequence[bytes]
    records: int
    merged: int
    invalid: int
    layout: Layout
    blocks: Sequence[KeptBlock]


class PushedPage:
    """Makes the page of each push, in the text format 0.0.4.

    Other than before a scrape nobody was there to be told of a clash of names: what becomes
    one series is added up, and what cannot be shown is left out and counted.

    Args:
        overwritten: Labels that the reader puts on every series. A label of ours with such
            a name gets ``exported_`` in front, as at a scrape.
        owned: Names of families that the reader has itself.

    Threads: any number may encode at once; see ``Page``.
    """

    __slots__ = ("_kept", "_overwritten", "_owned")

    def __init__(
        self, overwritten: Iterable[str] = (), owned: Iterable[str] = ()
    ) -> None:
        self._overwritten = frozenset(overwritten)
        self._owned = dict.fromkeys(owned, "the reader of the page")
        self._kept: Mapping[str, _Part] = {}

    def payload(
        self, batch: Batch, labels: Mapping[str, str], max_bytes: int
    ) -> Payload:
        """Give the whole page of a batch as one body.

        Args:
            batch: What is pushed.
            labels: Put on every series, for a reader that puts none.
            max_bytes: Families that do not fit are left out, counted as ``limit``.
        """
        kept: dict[str, _Part] = {}
        taken = {**new_page(), **self._owned}
        body = resource_lines(TEXT, self._resource(batch, labels))
        size = sum(map(len, body))
        dropped: Counter[str] = Counter()
        for name, families in self._by_name(batch, labels, dropped).items():
            part = attempt(self._part, name, families, taken)
            if part is None:
                dropped["invalid"] += sum(map(count_points, families))
                continue
            length = sum(map(len, part.lines))
            if size + length > max_bytes:
                dropped["limit"] += sum(map(count_points, families))
                continue
            kept[name] = part._replace(lines=())
            body += part.lines
            size += length
            dropped["invalid"] += part.invalid
        self._kept = kept
        shown = kept.values()
        return Payload(
            b"".join(body),
            sum([part.records for part in shown]),
            {reason: n for reason, n in dropped.items() if n},
            sum([part.merged for part in shown]),
        )

    def _by_name(
        self, batch: Batch, labels: Mapping[str, str], dropped: Counter[str]
    ) -> dict[str, list[MetricFamily]]:
        """Give families, with the labels of the page, by their names there."""
        groups: dict[str, list[MetricFamily]] = {}
        for family in batch.families:
            shown = attempt(self._shown, family, labels)
            if shown is None:
                dropped["invalid"] += attempt(count_points, family) or 0
            else:
                groups.setdefault(shown[0], []).append(shown[1])
        return groups

    def _shown(
        self, family: MetricFamily, labels: Mapping[str, str]
    ) -> tuple[str, MetricFamily]:
        if family.kind == "exponential":
            text = "the text format has no exponential histograms"
            raise DefinitionError(text)
        name = pushed_name(family)
        blocks = [self._block(family, block, labels) for block in family.blocks]
        found = MetricFamily(
            family.name, family.kind, family.unit, family.help, blocks, family.bounds
        )
        return name, found

    def _block(
        self, family: MetricFamily, block: Block, labels: Mapping[str, str]
    ) -> Block:
        rows = block.rows
        if labels:
            more = tuple(labels.values())
            rows = [(*row, *more) for row in rows]
        names = self._exported(page_labels(family, block.label_names), labels)
        return Block((*names, *labels), rows, block.values, block.counts)

    def _exported(
        self, names: Iterable[str], labels: Mapping[str, str]
    ) -> Sequence[str]:
        found = list(names)
        avoided = {*self._overwritten, *labels}
        for index, name in enumerate(found):
            if name in avoided:
                free = name
                while free in avoided or free in found:
                    free = f"exported_{free}"
                found[index] = free
        return found

    def _resource(self, batch: Batch, labels: Mapping[str, str]) -> dict[str, str]:
        own = resource_labels(batch.resource.attributes)
        left = {name: value for name, value in own.items() if name not in labels}
        names = self._exported(left, {})
        return {**dict(zip(names, left.values(), strict=True)), **labels}

    def _part(
        self, name: str, families: Sequence[MetricFamily], taken: dict[str, str]
    ) -> _Part:
        """Give what is on the page of families of one name.

        Raises:
            Exception: Anything, where nothing of them can be shown.
        """
        family, merged, invalid = united(families)
        old = self._kept.get(name)
        is_same = old is not None and old.layout.fits(family)
        layout = old.layout if old and is_same else Layout(family, name)
        found = layout.lines(family, TEXT, old.blocks if old and is_same else ())
        take(taken, layout.names, f"metric {family.name!r}")
        return _Part(
            found.lines,
            count_points(family) - found.left_out,
            merged,
            invalid + found.left_out,
            layout,
            found.kept,
        )
