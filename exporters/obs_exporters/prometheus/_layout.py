"""What of a family stays the same from page to page, and its lines on one page."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from obs.model import Block, Kind, MetricFamily
from obs.naming import prometheus_unit
from obs_exporters.prometheus._block import BlockLines, Chunk, Row
from obs_exporters.prometheus._format import Format, Title, encoded
from obs_exporters.prometheus._histograms import Histograms
from obs_exporters.prometheus._names import family_names, page_labels
from obs_exporters.prometheus._numbers import info_lines, number_lines
from obs_exporters.prometheus._openmetrics import OPENMETRICS
from obs_exporters.prometheus._text import TEXT

_SUFFIXES = {"counter": "_total", "info": "_info"}


class KeptBlock(NamedTuple):
    """What the next page may use again of one block; immutable.

    Attributes:
        label_names: Its label names, which say whether it is the same block still.
        page_names: Those on the page.
        chunks: Templates, of numbers only.
    """

    label_names: Row
    page_names: Row
    chunks: Sequence[Chunk] = ()


class FamilyLines(NamedTuple):
    """The lines of one family.

    Attributes:
        lines: Encoded, head included.
        kept: For the next page.
        left_out: How many series are not on it because a value is no number.
    """

    lines: list[bytes]
    kept: Sequence[KeptBlock]
    left_out: int


class Layout:
    """A definition as it stands on the page; immutable.

    Args:
        family: Its blocks do not matter.
        name: Its name on the page, or ``NOT_ON_THE_PAGE``.

    Attributes:
        name: As given.
        names: All that no other family may have.

    Raises:
        ValueError: The bounds of a histogram do not rise.
    """

    __slots__ = ("_definition", "_heads", "_histograms", "_sample", "name", "names")

    def __init__(self, family: MetricFamily, name: str) -> None:
        kind = family.kind
        self._definition = _definition(family)
        self.name = name
        self.names = family_names(self.name, kind)
        self._sample = self.name + _SUFFIXES.get(kind, "")
        self._histograms = (
            Histograms(self.name, family.bounds) if kind == "histogram" else None
        )
        help_text = str(family.help) if family.help else ""
        title = Title(self.name, kind, prometheus_unit(kind, family.unit), help_text)
        self._heads = {
            form.version: encoded(form.head(title)) for form in (TEXT, OPENMETRICS)
        }

    def fits(self, family: MetricFamily) -> bool:
        """Say whether this is the layout of a family."""
        return self._definition == _definition(family)

    def lines(
        self, family: MetricFamily, form: Format, kept: Sequence[KeptBlock]
    ) -> FamilyLines:
        """Give the lines of a family.

        Args:
            family: As it is now.
            form: The format.
            kept: What the page before left, for this very layout.

        Raises:
            Exception: Anything: a foreign family may hold what it likes.
        """
        found = [self._heads[form.version]]
        blocks = []
        left_out = 0
        for index, block in enumerate(family.blocks):
            label_names = tuple(block.label_names)
            old = kept[index] if index < len(kept) else None
            if old is None or old.label_names != label_names:
                old = KeptBlock(label_names, page_labels(family, label_names))
            lines, chunks, missing = self._block(family.kind, block, form, old)
            found += lines
            blocks.append(KeptBlock(label_names, old.page_names, chunks))
            left_out += missing
        return FamilyLines(found, blocks, left_out)

    def _block(
        self, kind: Kind, block: Block, form: Format, old: KeptBlock
    ) -> BlockLines:
        if self._histograms is not None:
            return self._histograms.lines(
                old.page_names, block, sums_only_grow=form.sums_only_grow
            )
        if kind == "info":
            return info_lines(self._sample, old.page_names, block, old.chunks)
        least = 0 if kind == "counter" else -inf
        return number_lines(self._sample, old.page_names, block, old.chunks, least)


def _definition(family: MetricFamily) -> tuple[object, ...]:
    return family.kind, family.unit, family.help, family.bounds
