"""Checks of hostile names and values: nothing raised, nothing forged, nothing lost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from obs.model import LogRecord, MetricFamily, Payload, Signal, SpanRecord
from obs.testing.contract._base import Checks
from obs.testing.contract._driver import Driver, text_of
from obs.testing.contract._forms import Arrived, Histogram, Log, Number, Span
from obs.testing.contract._hostile import (
    NUMBERS,
    TEXTS,
    VALUES,
    Ids,
    families_named,
    families_of,
)
from obs.testing.contract._points import expected, is_close, is_zero, key_of, points_of


class HostileChecks(Checks):
    """What names and values must not do."""

    def test_hostile_texts_in_metrics(self, driver: Driver) -> None:
        """Names, units, help, label names and values."""
        self.skip_unless(driver, "metrics")
        good = [MetricFamily.of("contract.good", "gauge", 1)]
        for text in (*TEXTS, *_own_format(driver, driver.metrics(good))):
            _push_metrics(driver, families_named(text), text)

    def test_hostile_numbers_in_metrics(self, driver: Driver) -> None:
        """NaN, infinities, and numbers past 64 bits."""
        self.skip_unless(driver, "metrics")
        for number in NUMBERS:
            _push_metrics(driver, families_of(number), number)

    def test_generated_texts_and_numbers_in_metrics(self, driver: Driver) -> None:
        """What hypothesis comes up with."""
        self.skip_unless(driver, "metrics")
        found = self.generated()

        def check(value: Any) -> None:
            if isinstance(value, str):
                _push_metrics(driver, families_named(value), value)
            else:
                _push_metrics(driver, families_of(value), value)

        found.for_any(self.examples, check, found.TEXTS | found.NUMBERS)

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_hostile_texts_in_records(self, driver: Driver, signal: Signal) -> None:
        """Names, events, keys and values of attributes and fields."""
        self.skip_unless(driver, signal)
        ids = Ids()
        with_text = ids.spans_with if signal == "traces" else ids.logs_with
        good = driver.records(signal, [_good(ids, signal)])
        for text in (*TEXTS, *_own_format(driver, good)):
            _push_records(driver, ids, signal, with_text(text), text)

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_hostile_values_in_records(self, driver: Driver, signal: Signal) -> None:
        """NaN, bytes, nested and huge values, odd ids and times."""
        self.skip_unless(driver, signal)
        ids = Ids()
        of_value = ids.spans_of if signal == "traces" else ids.logs_of
        for value in VALUES:
            _push_records(driver, ids, signal, of_value(value), value)
        odd = ids.odd_spans() if signal == "traces" else ids.odd_logs()
        for record in odd:
            _push_records(driver, ids, signal, [record], record)

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_generated_values_in_records(self, driver: Driver, signal: Signal) -> None:
        """What hypothesis comes up with."""
        self.skip_unless(driver, signal)
        found, ids = self.generated(), Ids()
        with_text = ids.spans_with if signal == "traces" else ids.logs_with
        of_value = ids.spans_of if signal == "traces" else ids.logs_of

        def check(value: Any) -> None:
            make = with_text if isinstance(value, str) else of_value
            _push_records(driver, ids, signal, make(value), value)

        found.for_any(self.examples, check, found.VALUES)


def _own_format(driver: Driver, batch: Any) -> Iterator[str]:
    """Give texts that hold a record in the exporter's own wire format."""
    for payload in driver.encode(batch):
        if isinstance(payload.body, bytes) and len(payload.body) < 10_000:
            record = payload.body.decode("utf-8", "replace")
            for before, after in (("\n", "\n"), ("", "\n"), ('"', '"'), ("\0", "\0")):
                yield f"x{before}{record}{after}x"


def _push_metrics(driver: Driver, families: list[MetricFamily], odd: object) -> None:
    good = [
        MetricFamily.of("contract.good", "gauge", {("a",): 1}, label_names=("l",)),
        MetricFamily.of("contract.good.last", "counter", 3),
    ]
    batch = [good[0], *families, good[1]]
    driver.forget()
    payloads = driver.push(driver.metrics(batch))
    points = points_of(batch)
    zeros = sum(map(is_zero, points)) if driver.is_delta else 0
    arrived = _check_account(driver, payloads, len(points), odd, zeros)
    found = {key_of(p): p for p in arrived if isinstance(p, Number | Histogram)}
    for point in expected(driver, good):
        came = found.get(key_of(point))
        _check_good(driver, came is not None and is_close(came, point), point, odd)


def _push_records(
    driver: Driver, ids: Ids, signal: Signal, records: Iterable[Any], odd: object
) -> None:
    good = _good(ids, signal), _good(ids, signal)
    batch = [good[0], *records, good[1]]
    driver.forget()
    payloads = driver.push(driver.records(signal, batch))
    arrived = _check_account(driver, payloads, len(batch), odd)
    counted = Counter(map(_identity, arrived))
    for record in good:
        _check_good(driver, counted[_identity(record)] == 1, record, odd)


def _good(ids: Ids, signal: Signal) -> Any:
    return ids.span() if signal == "traces" else ids.log(place="plain")


def _identity(record: Any) -> object:
    """Give what is to be the same of a record that was sent and one that arrived."""
    if isinstance(record, Log | LogRecord):
        return record.event, record.fields.get("place")
    if isinstance(record, Span | SpanRecord):
        return record.trace_id, record.span_id, record.name
    return None


def _check_account(
    driver: Driver, payloads: Sequence[Payload], n: int, odd: object, optional: int = 0
) -> list[Arrived]:
    """Check that all is accounted for and that what is said to be sent has arrived."""
    sent = sum(payload.records for payload in payloads)
    left_out = sum(sum(p.dropped.values()) + p.merged for p in payloads)
    driver.need(
        n - optional <= sent + left_out <= n,
        f"of {n} with {text_of(odd)} among them, {sent} are in the payloads and {left_out} "
        "counted as dropped or merged. What is left out is counted, once.",
    )
    arrived = driver.fresh(sent)
    driver.need(
        len(arrived) == sent,
        f"{sent} were sent with {text_of(odd)} among them, and {len(arrived)} arrived. "
        "No text may end a record or begin another, and no value spoil one.",
    )
    return arrived


def _check_good(driver: Driver, has_arrived: bool, good: object, odd: object) -> None:
    driver.need(
        has_arrived,
        f"{text_of(good)} was sent beside {text_of(odd)} and did not arrive as it is. "
        "What is valid arrives, whatever stands beside it.",
    )
