"""The page: a snapshot of the registry as text, with what it keeps between scrapes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError
from obs.model import MetricFamily
from obs.protocols import Source
from obs_exporters.prometheus._block import label_texts
from obs_exporters.prometheus._format import Format, Title, encoded
from obs_exporters.prometheus._layout import KeptBlock, Layout
from obs_exporters.prometheus._left_out import LeftOut, name_of
from obs_exporters.prometheus._merge import merged_lines
from obs_exporters.prometheus._names import (
    NOT_ON_THE_PAGE,
    RESOURCE_FAMILY,
    family_names,
    new_page,
    page_name,
    resource_labels,
    take,
)

_RESOURCE = Title(RESOURCE_FAMILY, "info", "", "Target metadata.")


class _Kept(NamedTuple):
    layout: Layout
    blocks: Sequence[KeptBlock] = ()


class Page:
    """The page of one source.

    No family can spoil it: one that cannot be shown is left out, counted and said.

    Args:
        source: What is shown.
        left_out: Where to report what is not.
        merge: A registry of prometheus_client whose families come after ours, or None.

    Threads: any number may render at once. What is kept between pages is immutable and
    replaced as a whole by each of them; whoever comes last wins.
    """

    __slots__ = ("_kept", "_left_out", "_merge", "_source")

    def __init__(self, source: Source, left_out: LeftOut, merge: Any = None) -> None:
        self._source = source
        self._left_out = left_out
        self._merge = merge
        self._kept: Mapping[str, _Kept] = {}

    def render(self, form: Format, wanted: Iterable[str] = ()) -> bytes:
        """Give the whole page.

        Args:
            form: The format.
            wanted: Names of families or samples; a family of which any name is wanted is
                shown whole, the others are not. Empty shows all.
        """
        names = frozenset(wanted)
        taken = new_page()
        before, kept = self._kept, dict[str, _Kept]()
        snapshot = self._source.snapshot()
        parts = self._resource_lines(form, names)
        for family in snapshot.families:
            try:
                old = before.get(family.name)
                new = self._family_lines(family, form, names, taken, old, parts)
                kept[family.name] = new
            except DefinitionError as error:
                self._left_out.count(1, f"{error} It is not on the page.")
            except BaseException as error:
                if is_the_hosts(error):
                    raise
                self._left_out.raised(f"metric {name_of(family)}", error)
        if self._merge is not None:
            parts += merged_lines(self._merge, form, names, taken, self._left_out)
        parts.append(form.end)
        self._kept = kept
        self._left_out.say()
        return b"".join(parts)

    def _family_lines(
        self,
        family: MetricFamily,
        form: Format,
        wanted: frozenset[str],
        taken: dict[str, str],
        old: _Kept | None,
        parts: list[bytes],
    ) -> _Kept:
        """Add the lines of a family to the page, and give what to keep of it."""
        if old is None or not old.layout.fits(family):
            old = _Kept(Layout(family, page_name(family)))
        layout = old.layout
        if layout.name == NOT_ON_THE_PAGE:
            return old
        if family.kind == "exponential":
            self._left_out.count(1, _exponential(family.name))
            return old
        take(taken, layout.names, f"metric {family.name!r}")
        if wanted and wanted.isdisjoint(layout.names):
            return old
        found = layout.lines(family, form, old.blocks)
        parts += found.lines
        if found.left_out:
            self._left_out.count(found.left_out, _no_number(family))
        return _Kept(layout, found.kept)

    def _resource_lines(self, form: Format, wanted: frozenset[str]) -> list[bytes]:
        """Give ``target_info``, the first family of the page."""
        if wanted and wanted.isdisjoint(family_names(RESOURCE_FAMILY, "info")):
            return []
        return resource_lines(form, resource_labels(self._source.resource.attributes))


def resource_lines(form: Format, labels: Mapping[str, str]) -> list[bytes]:
    """Give ``target_info`` with these labels; nothing where there are none."""
    if not labels:
        return []
    text = label_texts(tuple(labels), [tuple(labels.values())])[0]
    return [encoded(f"{form.head(_RESOURCE)}target_info{{{text}}} 1\n")]


def _exponential(name: str) -> str:
    return (
        f"metric {name!r}: the text formats have no exponential histograms. It is not on "
        "the page. Give it bounds, or send it by OTLP."
    )


def _no_number(family: MetricFamily) -> str:
    rule = "at least 0" if family.kind == "counter" else "a number"
    return (
        f"metric {family.name!r}: a collector gave a value that is not {rule}. Its "
        "series is not on the page. Let it give an int or a float."
    )
