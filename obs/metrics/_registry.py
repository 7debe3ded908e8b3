"""The registry: every metric of an instance, defined once, read at any time."""

import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from math import isfinite
from typing import Any

from obs._clock import SystemClock
from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._identity import Unique
from obs.catalog import CATALOG, DEFAULT_SECONDS, Builtin
from obs.errors import DefinitionError, MetricConflict, shown, type_name
from obs.limits import Limits
from obs.metrics._block import SeriesBlock
from obs.metrics._cells import Cells, default_cells
from obs.metrics._instruments import make_instrument
from obs.metrics._metric import Metric
from obs.model import Kind, MetricFamily, Snapshot
from obs.naming import check_label_names, check_metric_name, check_unit
from obs.protocols import Clock, Collector, Counter, Gauge, Histogram, Info, UpDown

COMBINE = ("sum", "max", "min", "mean", "latest", "each")
_MAX_BOUNDS = 500
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Registry(Unique):
    """All metrics of one instance; usable alone.

    Definitions are get-or-create. Recording and reading take no lock and may happen at
    any moment, on any thread.

    Args:
        limits: Bounds on the number of series.
        clock: Where time comes from.
        strict: Whether a bad recording call raises ``InvalidValue`` (for tests).
        diag: Where bad calls are counted; made when not given.
        cells: What holds the numbers; chosen for this Python when not given.

    Attributes:
        made: How many series there are, near enough for the limit.
        forked_ns: When this process was forked, by the monotonic clock; else 0.
        start_ns: Since when the process counts, in ns since the epoch.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        clock: Clock | None = None,
        strict: bool = False,
        diag: Diag | None = None,
        cells: Cells | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.clock: Clock = clock or SystemClock()
        if not isinstance(self.limits, Limits):
            text = f"limits got {shown(limits)}, needs Limits(series=...)."
            raise DefinitionError(text)
        if not callable(getattr(self.clock, "monotonic_ns", None)):
            text = f"clock got {shown(clock)}, needs time_ns() and monotonic_ns()."
            raise DefinitionError(text)
        self.diag = diag or Diag(strict=strict, clock=self.clock)
        self.cells = cells or default_cells()
        self.made = 0
        self.forked_ns = 0
        self.start_ns = self.clock.time_ns()
        self._metrics: dict[str, Metric] = {}
        self._collectors: dict[int, Collector] = {}
        self._declared: list[MetricFamily] = []
        self._checks: list[Callable[[MetricFamily], None]] = []
        on_fork(self)

    def counter(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
    ) -> Counter:
        """Define a counter, or give the one that has been defined.

        Args:
            name: Letters, digits, ``_`` and ``.``, such as ``orders.placed``.
            help: What it counts, for people.
            unit: A UCUM unit, such as ``By`` or ``{order}``.
            labels: Label names.

        Raises:
            DefinitionError: A name, label or unit breaks a rule.
            MetricConflict: The name stands for something else already.
        """
        return self._define("counter", name, help, unit, labels)  # type: ignore[no-any-return]

    def updown(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
    ) -> UpDown:
        """Define an up-down counter, or give the one that has been defined.

        Args and errors are those of ``counter``.
        """
        return self._define("updown", name, help, unit, labels)  # type: ignore[no-any-return]

    def gauge(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        combine: str = "sum",
    ) -> Gauge:
        """Define a gauge, or give the one that has been defined.

        Args and errors are those of ``counter``, and:
            combine: How the values of several processes make one: ``sum``, ``max``,
                ``min``, ``mean``, ``latest`` (the one set last) or ``each``.
        """
        if combine not in COMBINE:
            text = (
                f"metric {shown(name)}: combine got {shown(combine)}, needs one of "
                f"{', '.join(COMBINE)}."
            )
            raise DefinitionError(text)
        return self._define("gauge", name, help, unit, labels, (), combine)  # type: ignore[no-any-return]

    def histogram(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        buckets: Iterable[float] = DEFAULT_SECONDS,
    ) -> Histogram:
        """Define a histogram, or give the one that has been defined.

        Args and errors are those of ``counter``, and:
            buckets: Upper bounds, inclusive, strictly rising, in the metric's unit; a
                bucket for what is above them all is added.
        """
        bounds = _check_bounds(name, buckets)
        return self._define("histogram", name, help, unit, labels, bounds)  # type: ignore[no-any-return]

    def info(
        self,
        name: str,
        help: str = "",
        *,
        labels: Iterable[str] = (),
    ) -> Info:
        """Define an info, or give the one that has been defined.

        Args and errors are those of ``counter``.
        """
        return self._define("info", name, help, "", labels)  # type: ignore[no-any-return]

    def block(
        self,
        builtin: Builtin,
        *,
        labels: tuple[str, ...] = (),
        fixed: tuple[str, ...] = (),
    ) -> SeriesBlock[Any]:
        """Give a block of a built-in metric, which may have labels of its own.

        Args:
            builtin: From ``obs.catalog``.
            labels: Label names behind those of the catalogue.
            fixed: The values of the first label names, the same in the whole block.

        Raises:
            DefinitionError: A label breaks a rule or is one of the catalogue's.
        """
        names = (*builtin.labels, *labels)
        check_label_names(f"metric {builtin.name!r}", names, builtin.kind)
        metric = self._metric(
            Metric(
                self,
                builtin.name,
                builtin.kind,
                builtin.unit,
                builtin.help,
                bounds=builtin.bounds if builtin.kind == "histogram" else (),
                where="obs.catalog",
            )
        )
        return metric.block(names, fixed)

    def register(
        self, collector: Collector, *, families: Iterable[MetricFamily] = ()
    ) -> None:
        """Have a collector asked for families whenever the registry is read.

        What it yields under a name that the registry has already is left out and counted,
        as is everything behind an exception that it raises.

        Args:
            collector: Has ``collect()``.
            families: What it will yield, as far as it is known, without rows: exporters
                check these names as they check those of instruments.

        Raises:
            DefinitionError: It has no ``collect`` method, or an exporter refuses a name.
        """
        if not isinstance(collector, Collector):
            text = f"register() got {shown(collector)}, needs an object with collect()."
            raise DefinitionError(text)
        for family in families:
            self._check(family)
            self._declared.append(family)
        self._collectors[id(collector)] = collector

    def unregister(self, collector: Collector) -> None:
        """Ask a collector no longer; one that is not registered is ignored."""
        self._collectors.pop(id(collector), None)

    def check(self, callback: Callable[[MetricFamily], None]) -> None:
        """Show every definition, now and later, to ``callback``; see ``Source.check``."""
        definitions = [metric.definition() for metric in list(self._metrics.values())]
        for definition in [*self._declared, *definitions]:
            callback(definition)
        self._checks.append(callback)

    def uncheck(self, callback: Callable[[MetricFamily], None]) -> None:
        """Show definitions to ``callback`` no longer."""
        self._checks = [check for check in self._checks if check != callback]

    @property
    def series(self) -> int:
        """How many series there are, infos and overflow series apart."""
        metrics = list(self._metrics.values())
        self.made = sum(metric.count() for metric in metrics if metric.kind != "info")
        return self.made

    def snapshot(self) -> Snapshot:
        """Read everything; functions and collectors are asked on this thread.

        A function that itself takes a snapshot gets one in which nobody is asked.
        """
        ask = not self._is_being_read()
        metrics = list(self._metrics.values())
        families = {m.name: m.read(self.start_ns, ask=ask) for m in metrics}
        collectors = list(self._collectors.values()) if ask else []
        for family in chain.from_iterable(map(self._collect, collectors)):
            if family.name in families:
                self._left_out(f"the collector's {family.name!r} is defined already")
            else:
                families[family.name] = family
        return Snapshot(list(families.values()), self.start_ns, self.clock.time_ns())

    def has_recorded(self) -> bool:
        """Whether the host has recorded anything, infos apart; asks nobody else."""
        return any(
            metric.has_recorded()
            for name, metric in list(self._metrics.items())
            # What else is in the catalogue comes by itself: pauses of the collector, ...
            if name not in CATALOG or name.startswith("operation.")
        )

    def after_fork_in_child(self) -> None:
        """Start from zero: what the parent counted is in the parent."""
        self.forked_ns = self.clock.monotonic_ns()
        self.start_ns = self.clock.time_ns()
        self.diag.after_fork_in_child()
        for metric in list(self._metrics.values()):
            metric.rebase()

    def _define(
        self,
        kind: Kind,
        name: str,
        help: str,
        unit: str,
        labels: Iterable[str],
        bounds: tuple[float, ...] = (),
        combine: str = "sum",
    ) -> Any:
        if check_metric_name(name) in CATALOG:
            text = f"metric {name!r}: obs records it itself. Take another name."
            raise DefinitionError(text)
        names = check_label_names(f"metric {name!r}", labels, kind)
        check_unit(name, unit)
        where = _caller()
        metric = self._metric(
            Metric(self, name, kind, unit, str(help), names, bounds, combine, where)
        )
        if metric.instrument is None:
            metric.instrument = make_instrument(metric.block(metric.label_names))
        return metric.instrument

    def _metric(self, wanted: Metric) -> Metric:
        metric = self._metrics.get(wanted.name)
        if metric is None:
            self._check(wanted.definition())
            # No lock: a signal handler may define the same metric in between.
            metric = self._metrics.setdefault(wanted.name, wanted)
        if metric is not wanted and (difference := metric.difference(wanted)):
            raise MetricConflict(wanted.name, metric.where, wanted.where, difference)
        return metric

    def _is_being_read(self) -> bool:
        """Whether a function that a snapshot asks takes this one.

        Looked for on the stack: a mark would stay when an exception comes in between.
        """
        code = Registry.snapshot.__code__
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code is code and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back  # type: ignore[assignment]  # None ends the stack
        return False

    def _check(self, definition: MetricFamily) -> None:
        for check in list(self._checks):
            check(definition)

    def _collect(self, collector: Collector) -> Iterable[MetricFamily]:
        families = []
        try:
            for family in collector.collect():
                if _is_whole(family):
                    families.append(family)
                else:
                    self._left_out(f"a collector yielded {shown(family)}")
        except BaseException as error:
            if is_the_hosts(error):
                raise
            name = type_name(collector)
            self._left_out(f"the collector {name} raised {type_name(error)}")
        return families

    def _left_out(self, what: str) -> None:
        self.diag.left_out(what, f"snapshot: {what}. It was left out.")


def _is_whole(family: object) -> bool:
    """Whether this is a family with a name, and with columns of one length."""
    if not isinstance(family, MetricFamily) or type(family.name) is not str:
        return False
    try:
        return isinstance(family.blocks, list | tuple) and all(
            len(block.rows) == len(block.values) == len(block.counts or block.rows)
            and all(len(row) == len(block.label_names) for row in block.rows)
            for block in family.blocks
        )
    except Exception as raised:  # a foreign block may hold anything
        if is_the_hosts(raised):
            raise
        return False


def _check_bounds(name: object, buckets: Iterable[float]) -> tuple[float, ...]:
    try:
        given = list(buckets)
    except TypeError:
        text = f"histogram {shown(name)}: buckets got {shown(buckets)}, needs numbers."
        raise DefinitionError(text) from None
    if not 1 <= len(given) <= _MAX_BOUNDS:
        text = (
            f"histogram {shown(name)}: buckets has {len(given)} bounds, "
            f"needs 1 to {_MAX_BOUNDS}."
        )
        raise DefinitionError(text)
    bounds: list[float] = []
    for index, bound in enumerate(given):
        if type(bound) not in (int, float) or not _is_finite(bound):
            text = (
                f"histogram {shown(name)}: buckets[{index}] is {shown(bound)}, needs a "
                "finite number. The bucket above all bounds is added by itself."
            )
            raise DefinitionError(text)
        if bounds and float(bound) <= bounds[-1]:
            text = (
                f"histogram {shown(name)}: buckets[{index}]={bound!r} is not above "
                f"buckets[{index - 1}]={bounds[-1]!r}. Give strictly rising bounds."
            )
            raise DefinitionError(text)
        bounds.append(float(bound))
    return tuple(bounds)


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # an int that is larger than any float
        return False


def _caller() -> str:
    """Give where the nearest caller outside this package stands, as ``file:line``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
