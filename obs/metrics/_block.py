"""The live series of a metric that have the same label names."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic

from obs._foreign import is_the_hosts
from obs._null import NULL_INSTRUMENT
from obs.errors import shown
from obs.limits import LABEL_VALUE_CHARS as CUT
from obs.metrics._callback import Callback
from obs.metrics._labels import label_text
from obs.metrics._series import S
from obs.model import Block
from obs.naming import OVERFLOW_LABEL

if TYPE_CHECKING:
    from obs.metrics._metric import Metric

Row = tuple[str, ...]


class SeriesBlock(Generic[S]):
    """Label values to series, with a bound on how many.

    Everything here may run on any thread and be re-entered at any line: a series is made
    by ``dict.setdefault``, and whoever comes second takes the first one's.

    Attributes:
        metric: The definition.
        label_names: L label names.
        fixed: The values of the first label names where they are one and the same in the
            whole block (the name of a decorated operation).
        children: Tuples of L exact ``str`` to series.
        is_overflow: Whether it holds what came past the limit of another block.
    """

    __slots__ = (
        "_make",
        "_removed",
        "_starts",
        "children",
        "fixed",
        "is_overflow",
        "label_names",
        "metric",
    )

    def __init__(
        self,
        metric: "Metric",
        label_names: Row,
        fixed: Row,
        make: "Callable[[SeriesBlock[S]], S]",
    ) -> None:
        self.metric = metric
        self.label_names = label_names
        self.fixed = fixed
        self.children: dict[Row, S] = {}
        # By the series and not by its row: what a removal leaves behind is another's.
        self._starts: dict[S, int] = {}
        self.is_overflow = OVERFLOW_LABEL in label_names
        self._make = make
        self._removed = False

    def find(self, values: tuple[Any, ...], named: Mapping[str, Any]) -> S:
        """Give the series for what a caller gave: the way without shortcuts."""
        row = self._row(values, named)
        if row is None:
            return self.wrong_labels(values, named)  # type: ignore[no-any-return]
        return self.series(row)

    def series(self, row: Row) -> S:
        """Give the series of a row of clean label values, made at first use."""
        series = self.children.get(row)
        return series if series is not None else self._create(row)

    def remove(self, values: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Forget a series; one that is made anew has a new start."""
        row = self._row(values, named)
        if row is None:
            self.wrong_labels(values, named)
            return
        self._forget(row)

    def clear(self) -> None:
        """Forget all series, and what came past the limit."""
        for row in list(self.children):
            self._forget(row)
        if not self.is_overflow:
            self._overflow_block().clear()

    def restart(self, series: Any) -> None:
        """Start the one series of a metric without labels from zero."""
        self._starts[series] = self.metric.registry.clock.time_ns()
        series.zero()

    def set_only(self, values: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Put one series, always 1, in the place of all others (the state of an info)."""
        row = self._row(values, named)
        if row is None:
            self.wrong_labels(values, named, "set")
            return
        series = self._make(self)
        series.set(1)  # type: ignore[attr-defined]  # an info's series is a gauge's
        # One store: of two calls at once, one or the other has the last word.
        self.children = {row: series}

    def read(self, start_ns: int, *, ask: bool = True) -> Block:
        """Give the columns of this moment; see ``Metric.read``."""
        children = self.children.copy()
        rows, cells = list(children), list(children.values())
        starts: dict[Row, int] = {}
        if self._starts:
            found = [(row, self._starts.get(cell)) for row, cell in children.items()]
            starts = {row: start for row, start in found if start is not None}
        if not cells:
            return Block(self.label_names, rows, [], start_ns=start_ns)
        columns = type(cells[0]).read(cells)  # type: ignore[attr-defined]
        if self.metric.kind == "histogram":
            counts = [pair[0] for pair in columns]
            sums = [pair[1] for pair in columns]
            return Block(self.label_names, rows, sums, counts, start_ns, starts)
        if self.metric.has_callbacks:
            asked = [
                (row, value)
                if value.__class__ is not Callback
                else (row, value.read() if ask else None)
                for row, value in zip(rows, columns, strict=True)
            ]
            rows = [row for row, value in asked if value is not None]
            columns = [value for _, value in asked if value is not None]
        return Block(self.label_names, rows, columns, (), start_ns, starts)

    def has_recorded(self) -> bool:
        """Whether any series has another number than at its start."""
        cells = list(self.children.values())
        columns = type(cells[0]).read(cells) if cells else []  # type: ignore[attr-defined]
        if self.metric.kind == "histogram":
            return any(any(counts) for counts, _ in columns)
        return any(value for value in columns if value.__class__ is not Callback)

    def rebase(self) -> None:
        """Start from zero in a forked child."""
        self._starts.clear()
        for series in list(self.children.values()):
            series.zero()

    def wrong_labels(
        self, values: tuple[Any, ...], named: Mapping[str, Any], call: str = "labels"
    ) -> Any:
        """Report label values that do not fit; give a series that does nothing."""
        rule = f"needs ({', '.join(self.label_names)}) as str, int, bool, Enum or None"
        if named:
            missing = [name for name in self.label_names if name not in named]
            unknown = [name for name in named if name not in self.label_names]
            rule += f"; missing: {', '.join(missing) or 'none'}"
            rule += f"; unknown: {', '.join(unknown) or 'none'}"
        else:
            rule += ", in this order"
        got = shown(dict(named)) if named else shown(values)
        return self.report(f"{call}() got {got}, {rule}")

    def report(self, what: str) -> Any:
        """Report a wrong call; give a series that does nothing."""
        metric = self.metric
        metric.registry.diag.invalid(
            metric.name, f"{metric.kind} {metric.name!r}: {what}. It was left out."
        )
        return NULL_INSTRUMENT

    def _row(self, values: tuple[Any, ...], named: Mapping[str, Any]) -> Row | None:
        if named:
            if values or named.keys() != set(self.label_names):
                return None
            values = tuple([named[name] for name in self.label_names])
        if len(values) != len(self.label_names):
            return None
        texts = []
        for value in values:
            # Most values are this; it keeps an int beside them at a third of the cost.
            is_plain = type(value) is str and value.isascii()
            text = value if is_plain and len(value) < CUT else self._text(value)
            if text is None:
                return None
            texts.append(text)
        return tuple(texts)

    def _text(self, value: Any) -> str | None:
        try:
            text = label_text(value)
        except Exception as raised:  # an Enum's value may be a hostile property
            if is_the_hosts(raised):
                raise
            return None
        if text is not None and type(value) is str and len(text) < len(value):
            self.metric.registry.diag.truncated("metrics")
        return text

    def _create(self, row: Row) -> S:
        registry = self.metric.registry
        limits = registry.limits
        block_is_full = len(self.children) >= limits.series_per_block
        if not (block_is_full or registry.made >= limits.series) or not row:
            return self._add(row)
        registry.diag.dropped("metrics", "cardinality")
        registry.diag.say(
            "cardinality",
            lambda: self._overflow_text(row, block_is_full),
            once=f"cardinality {self.metric.name} {self.fixed}",
        )
        overflow = self._overflow_block()
        theirs = (*self.fixed, "true")
        series = overflow.children.get(theirs)
        return series if series is not None else overflow._add(theirs)

    def _add(self, row: Row) -> S:
        registry = self.metric.registry
        series = self._make(self)
        if self._removed:
            self._starts[series] = registry.clock.time_ns()
        kept = self.children.setdefault(row, series)
        if kept is not series:
            self._starts.pop(series, None)
        elif not self.is_overflow:
            registry.made += 1
        return kept

    def _forget(self, row: Row) -> None:
        self._removed = True
        series = self.children.pop(row, None)
        if series is not None:
            self._starts.pop(series, None)
            self.metric.registry.made -= not self.is_overflow

    def _overflow_block(self) -> "SeriesBlock[S]":
        names = (*self.label_names[: len(self.fixed)], OVERFLOW_LABEL)
        return self.metric.block(names, self.fixed)

    def _overflow_text(self, row: Row, block_is_full: bool) -> str:
        rows = [*list(self.children), row]
        widest = max(
            range(len(self.label_names)), key=lambda i: len({r[i] for r in rows})
        )
        samples = ", ".join(shown(r[widest]) for r in rows[-3:])
        limits = self.metric.registry.limits
        bound = (
            f"{limits.series_per_block} series of one metric"
            if block_is_full
            else f"{limits.series} series in all"
        )
        of = f" of {self.fixed[0]!r}" if self.fixed else ""
        return (
            f"{self.metric.kind} {self.metric.name!r}{of}: more than {bound}. Label "
            f"{self.label_names[widest]!r} has most values, such as {samples}. What "
            f'follows is added to the series {OVERFLOW_LABEL}="true"; sums stay exact. '
            "Take a label with fewer values, or raise the limit."
        )
