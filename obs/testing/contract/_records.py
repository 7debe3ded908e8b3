"""Checks of spans and log records: content, order, counts, sizes."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from obs.model import Signal
from obs.testing.contract._base import Checks
from obs.testing.contract._driver import Driver, text_of
from obs.testing.contract._forms import Log, Span
from obs.testing.contract._hostile import Ids
from obs.testing.contract._points import check_counted


class RecordChecks(Checks):
    """What spans and log records have to keep."""

    def test_spans_arrive(self, driver: Driver) -> None:
        """Each once, with its ids, its parent and its name."""
        self.skip_unless(driver, "traces")
        ids = Ids()
        spans = [ids.span(f"contract.span.{n}", kind="client") for n in range(20)]
        spans.append(ids.span("contract.root", parent=0))
        driver.push(driver.records("traces", spans))
        arrived = driver.fresh(len(spans))
        wanted = [Span(s.trace_id, s.span_id, s.parent_id, s.name) for s in spans]
        _compare(driver, wanted, [s for s in arrived if isinstance(s, Span)])

    def test_log_records_arrive(self, driver: Driver) -> None:
        """Each once, with its event and its fields."""
        self.skip_unless(driver, "logs")
        ids = Ids()
        logs = [ids.log(order=f"order {n}") for n in range(20)]
        driver.push(driver.records("logs", logs))
        arrived = driver.fresh(len(logs))
        wanted = [Log(log.event, log.fields) for log in logs]
        found = [
            Log(log.event, {"order": log.fields.get("order")})
            for log in arrived
            if isinstance(log, Log)
        ]
        _compare(driver, wanted, found)

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_an_empty_batch_is_no_record(self, driver: Driver, signal: Signal) -> None:
        """No payload, or payloads of no records."""
        self.skip_unless(driver, signal)
        counted = sum(p.records for p in driver.push(driver.records(signal, [])))
        driver.need(
            counted == 0, f"Payload.records is {counted} for no {signal}, needs 0."
        )

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_records_are_counted(self, driver: Driver, signal: Signal) -> None:
        """Each is in ``records`` or ``dropped``, once."""
        self.skip_unless(driver, signal)
        records = _many(signal, 20, 10)
        payloads = driver.push(driver.records(signal, records))
        check_counted(driver, payloads, len(records), signal)

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_payloads_come_in_the_order_of_the_records(
        self, driver: Driver, signal: Signal
    ) -> None:
        """Each holds of the records that it stands for and of no others.

        A lane that has to divide a batch, or to send part of it again, relies on it.
        """
        self.skip_unless(driver, signal)
        begin = 0
        batch = driver.records(signal, _larger_than(driver, signal))
        for part, payload in driver.divide(batch):
            end = begin + payload.records + sum(payload.dropped.values())
            if payload.records:
                driver.send(payload)
            wanted = {_name(record) for record in part[begin:end]}
            arrived = [_name(record) for record in driver.fresh(payload.records)]
            others = [name for name in arrived if name not in wanted]
            driver.need(
                not others,
                f"a payload that stands for the records {begin} to {end - 1} of its batch "
                f"brought {text_of(others[0] if others else None)}, which is not among "
                "them. Payloads come in the order of the records.",
            )
            begin = end if end < len(part) else 0

    @pytest.mark.parametrize("signal", ["traces", "logs"])
    def test_a_batch_fits_max_bytes_when_it_is_halved(
        self, driver: Driver, signal: Signal
    ) -> None:
        """A batch may be one payload too large; half of it is smaller, a record fits."""
        self.skip_unless(driver, signal)
        records = _larger_than(driver, signal)
        payloads = driver.push(driver.records(signal, records))
        too_large = sum(payload.dropped.get("limit", 0) for payload in payloads)
        driver.need(
            not too_large,
            f"{too_large} of {len(records)} {signal} gave a body larger than "
            f"delivery.max_bytes ({driver.exporter.delivery.max_bytes}) each by itself. "
            "A batch that is halved gives smaller bodies.",
        )
        wanted = Counter(map(_name, records))
        found = Counter(map(_name, driver.fresh(len(records))))
        driver.need(
            found == wanted,
            f"of {len(records)} {signal} in batches that were halved until they fitted, "
            f"{sum((wanted & found).values())} arrived and {sum((found - wanted).values())} "
            "that were not sent. Each arrives once.",
        )


def _name(record: Any) -> object:
    return getattr(record, "span_id", "") or getattr(record, "event", record)


def _many(signal: Signal, n: int, chars: int) -> list[Any]:
    ids, chance = Ids(), random.Random(1)
    texts = (chance.randbytes(chars // 2 + 1).hex() for _ in range(n))
    if signal == "traces":
        return [ids.span(attributes={"text": text}) for text in texts]
    return [ids.log(text=text) for text in texts]


def _larger_than(driver: Driver, signal: Signal) -> list[Any]:
    """Give records that fill two payloads, if a payload is not larger than 2 MB."""
    limit = driver.exporter.delivery.max_bytes
    chars = max(8, min(1_000, limit // 8))
    return _many(signal, max(40, min(4_000, 4 * limit // chars)), chars)


def _compare(driver: Driver, wanted: Sequence[Any], arrived: Sequence[Any]) -> None:
    missing = [record for record in wanted if record not in arrived]
    extra = [record for record in arrived if record not in wanted]
    driver.need(
        not missing and not extra and len(arrived) == len(wanted),
        f"{len(arrived)} records arrived of {len(wanted)} sent; missing is "
        f"{text_of(missing[:1])}, not sent was {text_of(extra[:1])}. Each record of a batch "
        "arrives once, as it is.",
    )
