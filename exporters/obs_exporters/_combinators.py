"""Exporters around exporters: some of what there is, or other names."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, shown, type_name
from obs.model import Ack, Batch, LogRecord, MetricFamily, Payload, Snapshot, SpanRecord
from obs.naming import check_metric_name
from obs.protocols import PullExporter, PushExporter, Source
from obs_exporters._push import SIGNALS, attempt, wrong_argument
from obs_exporters._series import count_points

E = TypeVar("E", bound=PullExporter | PushExporter)
Item: TypeAlias = Any
"""A metric family, a span or a log record."""

Keep: TypeAlias = Callable[[Item], object] | str | Iterable[str]
Names: TypeAlias = Mapping[str, str] | Callable[[str], str]

FILTERED = "filtered"
"""The reason of a drop that was wished for: lanes do not count it as lost."""
_KEEP_NEEDS = "a function, or names of metrics, spans and events, which may have a *"
_NAMES_NEED = "a function of a name, or a mapping of names to names"


def filtered(exporter: E, keep: Keep) -> E:
    """Give an exporter that gets only what is kept.

    ``keep`` is asked for each metric family (all series of a metric), each span and each
    log record that the exporter would get: ``keep(item)``, on the thread that exports. It
    may be asked again for the same one, where a batch is divided, and should then say the
    same. Names in its place keep the metrics and spans of these names and the log records
    of these events; ``*`` stands for any characters.

    What is not kept of spans and logs counts as dropped, reason ``filtered``, and not as
    lost. What ``keep`` raises for is dropped, reason ``invalid``.

    Args:
        exporter: One that pushes or is asked. It has all its methods and attributes still.
        keep: What to keep.

    Raises:
        DefinitionError: An argument breaks its rule.

    Example:
        >>> from obs_exporters import OTLPExporter, filtered
        >>> exporter = filtered(OTLPExporter(signals="metrics"), keep=["http.*", "orders.*"])
        >>> exporter.name
        'otlp'
    """
    name = _checked(exporter, "filtered")
    keeps = _pattern(name, keep)

    def choose(item: Item) -> Item | None:
        return item if keeps(item) else None

    return _wrapped(exporter, _Choice("filtered", "keep", choose, SIGNALS))


def renamed(exporter: E, names: Names) -> E:
    """Give an exporter that gets metrics by other names.

    Spans and logs go as they are. Two metrics that get one name: an exporter that is asked
    raises at ``start``, or where the second is defined; one that pushes does what it does
    with such names, which mostly is to add up. A metric for which the function raises, or
    gives what is no name, is left out, reason ``invalid``.

    Args:
        exporter: One that pushes or is asked. It has all its methods and attributes still.
        names: Old names to new ones, or a function that gives the new one.

    Raises:
        DefinitionError: An argument breaks its rule.

    Example:
        >>> from obs_exporters import PrometheusExporter, renamed
        >>> exporter = renamed(PrometheusExporter(), {"orders.placed": "shop.orders"})
        >>> exporter.port
        9464
    """
    name = _checked(exporter, "renamed")
    if "metrics" not in getattr(exporter, "signals", ("metrics",)):
        text = f"exporter {name!r}: renamed() is for metrics, which it does not take."
        raise DefinitionError(text)
    rename = _renaming(name, names)

    def choose(family: Item) -> Item:
        new = rename(family.name)
        if new == family.name:
            return family
        return MetricFamily(
            check_metric_name(new),
            family.kind,
            family.unit,
            family.help,
            family.blocks,
            family.bounds,
        )

    return _wrapped(exporter, _Choice("renamed", "names", choose, ("metrics",)))


class _Choice(NamedTuple):
    """What a combinator does.

    Attributes:
        title: Its name.
        argument: What its function is called.
        choose: Gives what the exporter gets of an item, None for nothing; may raise.
        signals: For what.
    """

    title: str
    argument: str
    choose: Callable[[Item], Item | None]
    signals: Collection[str]


class _Wrapped:
    """An exporter with all that it has, around which something is changed."""

    def __init__(self, exporter: Any, choice: _Choice) -> None:
        self._exporter = exporter
        self._choice = choice

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle ask before there is an exporter
            raise AttributeError(name)
        return getattr(self._exporter, name)

    def __repr__(self) -> str:
        return f"{self._choice.title}({self._exporter!r})"


class _Push(_Wrapped):
    """A push exporter, of which encoding is changed."""

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Encode what is chosen, and count the rest."""
        if batch.signal not in self._choice.signals:
            found: Iterable[Payload] = self._exporter.encode(batch)
            return found
        is_metrics = batch.signal == "metrics"
        return self._families(batch) if is_metrics else self._records(batch)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Send one body."""
        ack: Ack = self._exporter.send(payload, deadline)
        return ack

    def close(self, deadline: float) -> None:
        """Let go of connections."""
        self._exporter.close(deadline)

    def _families(self, batch: Batch) -> Iterator[Payload]:
        chosen, left_out = [], Counter[str]()
        for family in batch.families:
            found, reason = _chosen(self._choice, family)
            if reason:
                left_out[reason] += attempt(count_points, family) or 0
            else:
                chosen.append(found)
        for payload in self._exporter.encode(batch._replace(families=chosen)):
            yield _with(payload, left_out)
            left_out.clear()
        if left_out:
            yield Payload(b"", 0, dict(left_out))

    def _records(self, batch: Batch) -> Iterator[Payload]:
        """Yield bodies; each stands for all records up to its last, chosen or not."""
        pairs = [_chosen(self._choice, record) for record in batch.records]
        reasons = [reason for _, reason in pairs]
        places = [at for at, reason in enumerate(reasons) if not reason]
        if not places:
            yield Payload(b"", 0, dict(Counter(reasons)))
            return
        records = [pairs[at][0] for at in places]
        begin = done = 0
        for payload in self._exporter.encode(batch._replace(records=records)):
            done += payload.records + sum(payload.dropped.values())
            end = places[done] if done < len(places) else len(reasons)
            yield _with(payload, Counter(filter(None, reasons[begin:end])))
            begin = end


class _Pull(_Wrapped):
    """A pull exporter, whose source is changed."""

    def start(self, source: Source) -> None:
        """Show what is chosen of the source."""
        name = getattr(self._exporter, "name", self._choice.title)
        self._exporter.start(_View(source, self._choice, str(name)))

    def close(self, deadline: float) -> None:
        """Stop showing."""
        self._exporter.close(deadline)


class _View:
    """A source, of which only what is chosen is seen."""

    def __init__(self, source: Source, choice: _Choice, exporter: str) -> None:
        self._source = source
        self._choice = choice
        self._exporter = exporter

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._source, name)

    def snapshot(self) -> Snapshot:
        """Read what is chosen."""
        whole = self._source.snapshot()
        seen = [self._seen(family) for family in whole.families]
        families = [family for family in seen if family is not None]
        return Snapshot(families, whole.start_ns, whole.time_ns)

    def check(self, callback: Callable[[MetricFamily], None]) -> None:
        """Have the definitions shown that are chosen, as they are seen.

        Two metrics that have one name for the exporter raise ``DefinitionError``.
        """
        owners: dict[str, str] = {}

        def show(family: MetricFamily) -> None:
            seen, reason = _chosen(self._choice, family)
            if reason:
                return
            owner = owners.setdefault(seen.name, family.name)
            if owner != family.name:
                text = (
                    f"metric {family.name!r}: its name for exporter {self._exporter!r}, "
                    f"{seen.name!r}, is taken by metric {owner!r}. Give one of them "
                    "another name."
                )
                raise DefinitionError(text)
            callback(seen)

        self._source.check(show)

    def listen(
        self,
        receive: Callable[[SpanRecord], object],
        logs: Callable[[LogRecord], object] | None = None,
    ) -> None:
        """Hand on each finished span, and each log record, that is chosen."""
        hear = logs and self._handing("logs", logs)
        self._source.listen(self._handing("traces", receive), hear)

    def _handing(
        self, signal: str, receive: Callable[[Any], object]
    ) -> Callable[[Any], object]:
        if signal not in self._choice.signals:
            return receive

        def hand(record: Item) -> None:
            seen = self._seen(record)
            if seen is not None:
                receive(seen)

        return hand

    def _seen(self, item: Item) -> Item | None:
        seen, reason = _chosen(self._choice, item)
        if reason == "invalid":
            self._source.dropped("invalid", 1)
            name = shown(_name_of(item))
            text = f"{self._choice.argument} raised for {name}, which is left out."
            self._source.say(f"{self._exporter} {self._choice.argument}", text)
        return seen


def _chosen(choice: _Choice, item: Item) -> tuple[Item, str]:
    """Give what an exporter gets of an item, or why it gets nothing."""
    try:
        found = choice.choose(item)
    except BaseException as error:
        if is_the_hosts(error):
            raise
        return None, "invalid"
    return found, FILTERED if found is None else ""


def _with(payload: Payload, left_out: Mapping[str, int]) -> Payload:
    if not left_out:
        return payload
    return payload._replace(dropped=dict(Counter(payload.dropped) + Counter(left_out)))


def _name_of(item: Item) -> str:
    name: str = item.event if isinstance(item, LogRecord) else item.name
    return name


def _pattern(exporter: str, keep: Any) -> Callable[[Item], object]:
    if callable(keep):
        asked: Callable[[Item], object] = keep
        return asked
    texts = _texts(keep)
    if not texts:
        raise wrong_argument(exporter, "keep", keep, _KEEP_NEEDS)
    forms = [re.escape(text).replace(r"\*", ".*") for text in texts]
    matches = re.compile("|".join(forms), re.DOTALL).fullmatch
    return lambda item: matches(_name_of(item))


def _texts(keep: Any) -> list[str]:
    """Give names as a list; an empty one where they are none."""
    if isinstance(keep, str):
        return [keep] if keep else []
    try:
        texts = list(keep)
    except TypeError:
        return []
    return texts if all(isinstance(it, str) and it for it in texts) else []


def _renaming(exporter: str, names: Any) -> Callable[[str], str]:
    if callable(names):
        return cast("Callable[[str], str]", names)
    if not isinstance(names, Mapping):
        raise wrong_argument(exporter, "names", names, _NAMES_NEED)
    found = dict(names)
    for new in found.values():
        try:
            check_metric_name(new)
        except DefinitionError as error:
            text = f"exporter {exporter!r}: names: {error}"
            raise DefinitionError(text) from None
    return lambda name: found.get(name, name)


def _checked(exporter: object, title: str) -> str:
    """Give the name of an exporter.

    Raises:
        DefinitionError: It is none.
    """
    can_close = callable(getattr(exporter, "close", None))
    if (
        isinstance(exporter, type)
        or not can_close
        or not (_pushes(exporter) or callable(getattr(exporter, "start", None)))
    ):
        text = f"{title}(): exporter got {shown(exporter)}, needs an exporter."
        raise DefinitionError(text)
    return str(getattr(exporter, "name", type_name(exporter)))


def _pushes(exporter: object) -> bool:
    return callable(getattr(exporter, "encode", None)) and callable(
        getattr(exporter, "send", None)
    )


def _wrapped(exporter: E, choice: _Choice) -> E:
    # It has what the other has, through __getattr__, which no type can say.
    return cast("E", (_Push if _pushes(exporter) else _Pull)(exporter, choice))
