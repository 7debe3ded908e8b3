"""Families of prometheus_client on our page."""

from collections.abc import Iterator
from typing import Any

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError
from obs_exporters.prometheus._format import Format
from obs_exporters.prometheus._left_out import LeftOut, name_of
from obs_exporters.prometheus._names import family_names, merged_name, take


class _One:
    """A registry of one family: what makes lines takes nothing smaller."""

    def __init__(self, family: Any) -> None:
        self._family = family

    def collect(self) -> list[Any]:
        return [self._family]


def merged_lines(
    registry: Any,
    form: Format,
    wanted: frozenset[str],
    taken: dict[str, str],
    left_out: LeftOut,
) -> Iterator[bytes]:
    """Give the lines of each family that a registry collects.

    Each family is made alone, by prometheus_client itself, so that one which it cannot
    make spoils no other. Where a name is ours already, ours stays and theirs is said
    once; nothing is lost, so nothing is counted. Behind a collector of theirs that raises
    the rest of their registry is missing.

    Args:
        registry: What has ``collect()``.
        form: The format.
        wanted: Names of families or samples; empty means all.
        taken: The names that are on the page, changed here.
        left_out: Where to report what is not.
    """
    ours = frozenset(taken)
    for family in _collected(registry, left_out):
        try:
            names = family_names(merged_name(family.name), family.type)
            if not ours.isdisjoint(names):
                text = "a metric of ours has its name, and is shown in its place."
                left_out.note(f"merged metric {family.name!r}: {text}")
                continue
            take(taken, names, f"merged metric {family.name!r}")
            if not wanted or not wanted.isdisjoint(names):
                yield form.merged(_One(family))
        except DefinitionError as error:
            left_out.count(1, f"{error} It is not on the page.")
        except BaseException as error:
            if is_the_hosts(error):
                raise
            left_out.raised(f"merged metric {name_of(family)}", error)


def _collected(registry: Any, left_out: LeftOut) -> Iterator[Any]:
    try:
        yield from registry.collect()
    except BaseException as error:
        if is_the_hosts(error):
            raise
        left_out.raised("the rest of the merged registry", error)
