"""The names on the page: of families, of labels, and who has which."""

import re
from collections.abc import Iterable, Mapping

from obs.catalog import CATALOG, Builtin
from obs.errors import DefinitionError
from obs.model import KINDS, MetricFamily
from obs.naming import prometheus_label, prometheus_name
from obs.protocols import Source

NOT_ON_THE_PAGE = "-"
RESOURCE_FAMILY = "target"
_RESOURCE_OWNER = "the page's own target_info"
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "info": ("_info",),
    "summary": ("_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
}
_FOREIGN = re.compile(r"[^A-Za-z0-9_:]")


def page_name(family: MetricFamily) -> str:
    """Give a family's name on the page, without the suffix of its samples.

    Returns:
        The name, or ``NOT_ON_THE_PAGE``.

    Raises:
        DefinitionError: Its kind is none of ours.
    """
    if family.kind not in KINDS:
        text = (
            f"metric {family.name!r}: kind got {family.kind!r}, needs one of "
            f"{', '.join(KINDS)}."
        )
        raise DefinitionError(text)
    builtin = _builtin(family)
    if builtin is not None and builtin.prometheus:
        return builtin.prometheus
    return _led(prometheus_name(family.name, family.kind, family.unit))


def pushed_name(family: MetricFamily) -> str:
    """Give a family's name on a page that is pushed, on which all have one.

    Raises:
        DefinitionError: Its kind is none of ours.
    """
    name = page_name(family)
    if name != NOT_ON_THE_PAGE:
        return name
    return _led(prometheus_name(family.name, family.kind, family.unit))


def page_labels(family: MetricFamily, names: Iterable[str]) -> tuple[str, ...]:
    """Give the names of labels on the page, in the same order.

    Raises:
        DefinitionError: Two become one, or one is the ``le`` of a histogram.
    """
    builtin = _builtin(family)
    classical = builtin.prometheus_labels if builtin is not None else {}
    found: dict[str, str] = {}
    for name in names:
        label = classical.get(name) or _label(name)
        if label in found:
            raise DefinitionError(_two_labels(family.name, found[label], name, label))
        if label == "le" and family.kind == "histogram":
            raise DefinitionError(_reserved_label(family.name, name))
        found[label] = name
    return tuple(found)


def resource_labels(attributes: Mapping[str, str]) -> dict[str, str]:
    """Give a resource as labels.

    Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility": where two names
    become one, the values are joined by ``;`` in the order of the original names.
    """
    labels: dict[str, str] = {}
    for name in sorted(attributes):
        label, value = _label(name), str(attributes[name])
        labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels


def family_names(name: str, kind: str) -> tuple[str, ...]:
    """Give every name that a family may have on the page; none may be another's.

    Source: OpenMetrics 1.0, "MetricFamily": a name must not clash with another's samples,
    not even with such as could come (``_created``).
    """
    return (name, *[name + suffix for suffix in _SUFFIXES.get(kind, ())])


def merged_name(name: str) -> str:
    """Give the name that prometheus_client prints for a family of its own."""
    safe = _FOREIGN.sub("_", name)
    return f"_{safe[1:]}" if safe[:1].isdigit() else safe


def new_page() -> dict[str, str]:
    """Give the names that are taken before any family: name to owner."""
    return dict.fromkeys(family_names(RESOURCE_FAMILY, "info"), _RESOURCE_OWNER)


def take(
    taken: dict[str, str], names: Iterable[str], owner: str, *, again: bool = False
) -> None:
    """Put an owner behind names.

    Args:
        taken: Name to owner, changed here.
        names: From ``family_names``.
        owner: How the family is called in an error text.
        again: Whether the same owner may come twice.

    Raises:
        DefinitionError: One is another owner's; nothing has changed then.
    """
    names = tuple(names)
    for name in names:
        other = taken.get(name)
        if other is not None and not (again and other == owner):
            text = (
                f"{owner}: its name {name!r} on the Prometheus page is taken by {other}. "
                "Give one of them another name."
            )
            raise DefinitionError(text)
    taken.update(dict.fromkeys(names, owner))


class Definitions:
    """The names of every metric of one source, so that a clash raises where it is made.

    Threads: any; a race of two definitions is found by the page instead.
    """

    def __init__(self) -> None:
        self._taken = new_page()
        self._source: Source | None = None
        self._is_watching = False

    def watch(self, source: Source) -> None:
        """Have every definition of a source checked, now and later.

        Raises:
            DefinitionError: Two that are there already clash.
        """
        self._is_watching = True
        if source is self._source:
            return
        self._taken = new_page()
        try:
            source.check(self._check)
        except DefinitionError:
            self._is_watching = False
            raise
        self._source = source

    def forget(self) -> None:
        """Check no longer: a source has no way to take its callback back."""
        self._is_watching = False

    def _check(self, family: MetricFamily) -> None:
        """Raise ``DefinitionError`` where a definition clashes with one before it."""
        if not self._is_watching or family.kind == "exponential":
            return
        name = page_name(family)
        if name == NOT_ON_THE_PAGE:
            return
        for block in family.blocks:
            page_labels(family, block.label_names)
        owner = f"{family.kind} {family.name!r}"
        take(self._taken, family_names(name, family.kind), owner, again=True)


def _builtin(family: MetricFamily) -> Builtin | None:
    builtin = CATALOG.get(family.name)
    return builtin if builtin is not None and builtin.kind == family.kind else None


def _led(name: str) -> str:
    """Give a name that does not begin with a digit."""
    return name if name and not name[0].isdigit() else f"_{name}"


def _label(name: str) -> str:
    """Give a label's name on the page; two leading underscores are Prometheus' own."""
    label = prometheus_label(name)
    return _led(f"_{label.lstrip('_')}" if label.startswith("__") else label)


def _two_labels(metric: str, first: str, second: str, label: str) -> str:
    return (
        f"metric {metric!r}: labels {first!r} and {second!r} are both {label!r} on the "
        "Prometheus page. Give one of them another name."
    )


def _reserved_label(metric: str, label: str) -> str:
    return (
        f"metric {metric!r}: label {label!r} is that of the buckets on the Prometheus "
        "page. Give it another name."
    )
