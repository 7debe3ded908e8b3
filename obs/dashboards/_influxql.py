"""Queries in InfluxQL, on the lines that ``InfluxDBExporter`` writes.

Each series is asked by itself, inside; what comes of them is added up outside. There is no
quantile of buckets, and nothing that reads two measurements at once.
"""

from collections.abc import Iterable
from functools import singledispatchmethod
from itertools import pairwise

from obs.dashboards._metric import INSTANCE, SERVICE, Metric, builtin, variable_of
from obs.dashboards._queries import (
    ALL,
    CHOSEN,
    Age,
    But,
    Count,
    Extreme,
    Heat,
    Instances,
    Last,
    Mean,
    Query,
    Rate,
    Share,
    Sum,
    Total,
    Where,
)

_TAGS = {SERVICE: "service.name", INSTANCE: "service.instance.id"}
_FOLDS = {"sum": "sum", "avg": "mean", "max": "max"}
_EVERYWHERE = builtin("obs.series")
_UPTIME = builtin("process.uptime")
_STEP = "time($__interval)"
_TIME = "$timeFilter"


class InfluxQL:
    """Writes queries."""

    @singledispatchmethod
    def write(self, query: Query) -> str | None:
        """Give a query as InfluxQL, or None if it cannot be asked."""
        return None

    @write.register
    def _(self, query: Rate) -> str:
        inner = _series(
            query.metric, {"a": _growth(_counted(query.metric))}, query.where
        )
        return _folded('sum("a")', [inner], query.by)

    @write.register
    def _(self, query: Share) -> str:
        metric, of, by, where = query
        growth = _growth(_counted(metric))
        part = _series(metric, {"a": growth}, {**where, **of})
        whole = _series(metric, {"b": growth}, where)
        return _folded('sum("a") / sum("b")', [part, whole], by, fill="0")

    @write.register
    def _(self, query: Total) -> str:
        steps = f"non_negative_difference(last({_counted(query.metric)}))"
        inner = _series(query.metric, {"a": steps}, query.where)
        return _folded('sum("a")', [inner], query.by, is_whole=True)

    @write.register
    def _(self, query: Mean) -> str:
        sums, counts = _growth('"sum"'), _growth('"count"')
        inner = _series(query.metric, {"a": sums, "b": counts}, query.where)
        return _folded('sum("a") / sum("b")', [inner], query.by)

    @write.register
    def _(self, query: Heat) -> str:
        # They are cumulative; a heatmap wants how many are in each.
        names = [_number(bound) for bound in query.metric.bounds] + ["+Inf"]
        steps = {
            name: f"non_negative_difference(last({_quoted(name)}))" for name in names
        }
        sums = [f"sum({_quoted(name)})" for name in names]
        above = [f"{sums[0]} AS {_quoted(names[0])}"]
        above += [
            f"{more} - {less} AS {_quoted(name)}"
            for (less, more), name in zip(pairwise(sums), names[1:], strict=True)
        ]
        inner = _series(query.metric, steps, query.where)
        return _folded(", ".join(above), [inner], ())

    @write.register
    def _(self, query: Sum) -> str:
        inner = _series(query.metric, {"a": _growth('"sum"')}, query.where)
        return _folded('sum("a")', [inner], query.by)

    @write.register
    def _(self, query: Last) -> str:
        return _last(query.metric, query.by, query.where, _FOLDS[query.fold])

    @write.register
    def _(self, query: Extreme) -> str:
        source = f"{_measurement(query.metric)} WHERE {_conditions(ALL)}"
        return f'SELECT {query.side}("value") FROM {source}'

    @write.register
    def _(self, query: Age) -> str:
        # It has no clock to compare with. What pushes sends its age as well.
        return _last(_UPTIME, query.by)

    @write.register
    def _(self, query: Count) -> str:
        return _last(query.metric, query.by)

    @write.register
    def _(self, query: Instances) -> str:
        if query.by:
            return _last(_EVERYWHERE, query.by, fold="count")
        source = f"{_measurement(_EVERYWHERE)} WHERE {_conditions(ALL)}"
        return f'SELECT last("value") AS "Value" FROM {source} GROUP BY *'


def tag_of(label: str) -> str:
    """Give the tag that a label is."""
    name = _TAGS.get(label, label)
    is_theirs = name == "time" or name.startswith("_")
    return f"tag_{name.lstrip('_')}" if is_theirs else name


def values_of(label: str, metric: Metric, where: Where) -> str:
    """Give a query for the values of a label."""
    conditions = " AND ".join(_condition(*it) for it in where.items())
    source = f"FROM {_measurement(metric)} WITH KEY = {_quoted(tag_of(label))}"
    behind = f" WHERE {conditions}" if conditions else ""
    return f"SHOW TAG VALUES {source}{behind}"


def _last(
    metric: Metric, by: tuple[str, ...], where: Where = ALL, fold: str = "sum"
) -> str:
    inner = _series(metric, {"a": 'last("value")'}, where)
    return _folded(f'{fold}("a")', [inner], by)


def _series(metric: Metric, fields: dict[str, str], where: Where) -> str:
    """Give a query for each series of a metric, with fields by name."""
    select = ", ".join(f"{text} AS {_quoted(name)}" for name, text in fields.items())
    source = f"{_measurement(metric)} WHERE {_conditions(where)}"
    return f"(SELECT {select} FROM {source} GROUP BY {_STEP}, * fill(none))"


def _folded(
    select: str,
    inner: Iterable[str],
    by: Iterable[str],
    *,
    fill: str = "none",
    is_whole: bool = False,
) -> str:
    """Make few lines of many; of all the time that is shown, or of each step."""
    groups = [*([] if is_whole else [_STEP]), *(_quoted(tag_of(it)) for it in by)]
    behind = f" GROUP BY {', '.join(groups)}" if groups else ""
    if not is_whole:
        behind += f" fill({fill})"
    return f"SELECT {select} FROM {', '.join(inner)} WHERE {_TIME}{behind}"


def _conditions(where: Where) -> str:
    mine: Where = {SERVICE: CHOSEN, INSTANCE: CHOSEN, **where}
    return " AND ".join([*(_condition(*it) for it in mine.items()), _TIME])


def _condition(label: str, wanted: str | tuple[str, ...] | But) -> str:
    tag = _quoted(tag_of(label))
    if isinstance(wanted, But):
        return f"{tag} != {_text(wanted.value)}"
    if wanted == CHOSEN:
        return f"{tag} =~ /^${{{variable_of(label)}:regex}}$/"
    if isinstance(wanted, str):
        return f"{tag} = {_text(wanted)}"
    any_of = " OR ".join(f"{tag} = {_text(each)}" for each in wanted)
    return f"({any_of})"


def _counted(metric: Metric) -> str:
    return '"count"' if metric.kind == "histogram" else '"value"'


def _growth(field: str) -> str:
    return f"non_negative_derivative(last({field}), 1s)"


def _measurement(metric: Metric) -> str:
    name = metric.name
    return _quoted(f"metric{name}" if name.startswith("_") else name)


def _number(bound: float) -> str:
    return repr(float(bound)).removesuffix(".0")


def _quoted(name: str) -> str:
    name = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{name}"'


def _text(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{text}'"
