"""Checks of an exporter's life: attributes, building, encoding, sending, closing."""

import copy
from collections.abc import Iterator
from functools import partial
from math import isfinite
from time import monotonic, time, time_ns
from typing import Any
from unittest import mock

import pytest

from obs.errors import ExportFailed
from obs.model import Ack, Batch, Block, Delivery, MetricFamily, Payload
from obs.testing.contract._base import Checks
from obs.testing.contract._driver import START_NS, Driver, apart, text_of
from obs.testing.contract._forms import BREAK_MODES, BreakMode, Rig
from obs.testing.contract._hostile import Ids
from obs.testing.contract._watch import GRACE, Outcome, call_until, watch_opening

SIGNALS = ("metrics", "logs", "traces")
HOUR = 3_600


class LifeChecks(Checks):
    """What holds from the first moment to the last."""

    def test_attributes_have_their_types(self, driver: Driver) -> None:
        """``name``, ``signals`` and ``delivery``, and the ranges of what is in them."""
        exporter = driver.exporter
        name, signals = exporter.name, exporter.signals
        driver.need(
            isinstance(name, str) and name, f"name is {text_of(name)}, needs a text."
        )
        driver.need(
            isinstance(signals, frozenset) and signals and signals <= {*SIGNALS},
            f"signals is {text_of(signals)}, needs a frozenset of some of "
            f"{', '.join(SIGNALS)}.",
        )
        driver.need(
            isinstance(exporter.delivery, Delivery),
            f"delivery is {text_of(exporter.delivery)}, needs obs.model.Delivery.",
        )
        for what, is_right, rule in _rules(exporter.delivery):
            value = getattr(exporter.delivery, what)
            driver.need(is_right, f"delivery.{what} is {text_of(value)}, needs {rule}.")

    def test_building_opens_nothing(self, rig: Rig) -> None:
        """No socket, file, thread, process or look-up of an address."""
        with watch_opening() as opened:
            exporter = rig.build()
        driver = Driver(rig, exporter, 0.0)
        exporter.close(monotonic())
        driver.need(
            not opened,
            f"building it opened {', '.join(opened)}. Building opens nothing: what is "
            "needed is opened by the first send.",
        )

    def test_encode_gives_the_same_twice(self, driver: Driver) -> None:
        """Whatever was encoded before, and whatever time it is."""
        for batch in _batches(driver):
            first = driver.encode(batch)
            later = (time() + HOUR, time_ns() + HOUR * 10**9)
            with (
                mock.patch("time.time", return_value=later[0]),
                mock.patch("time.time_ns", return_value=later[1]),
            ):
                second = driver.encode(batch)
            came, later_came = apart(first, second)
            driver.need(
                first == second,
                f"encode gave ...{came}... for {batch.signal}, and an hour later "
                f"...{later_came}... for the same batch. encode depends on its batch only.",
            )

    def test_encode_does_not_change_its_batch(self, driver: Driver) -> None:
        """The batch is that of all lanes."""
        for batch in _batches(driver):
            before = copy.deepcopy(_plain(batch))
            driver.encode(batch)
            was, now = apart(before, _plain(batch))
            driver.need(
                _plain(batch) == before,
                f"encode changed a batch of {batch.signal} from ...{was}... to "
                f"...{now}... . A batch belongs to all exporters.",
            )

    def test_encode_opens_nothing(self, driver: Driver) -> None:
        """No socket, file, thread or process: what it loads at first use apart."""
        for batch in _batches(driver):
            driver.encode(batch)
            with watch_opening() as opened:
                driver.encode(batch)
            driver.need(
                not opened,
                f"encode opened {', '.join(opened)} for {batch.signal}. encode does no "
                "I/O: that is for send.",
            )

    def test_encode_works_on_any_thread(self, driver: Driver) -> None:
        """A lane has a thread of its own, at exit another one encodes."""
        for batch in _batches(driver):
            here = driver.encode(batch)
            there = call_until(monotonic() + 10, partial(driver.encode, batch))
            driver.need(
                there.error is None,
                f"encode on another thread: {there.error} Any thread may encode.",
            )
            came, other = apart(here, there.result)
            driver.need(
                there.result == here,
                f"encode gave ...{came}... for {batch.signal} on one thread, and "
                f"...{other}... on another. Any thread may encode.",
            )

    def test_send_answers_for_each_record(self, driver: Driver) -> None:
        """``accepted`` and all ``rejected`` are the payload's ``records``."""
        for batch in _batches(driver):
            for payload in driver.encode(batch):
                ack = driver.send(payload)
                driver.need(
                    ack.accepted + sum(ack.rejected.values()) == payload.records,
                    f"send gave {text_of(ack)} for a payload of {payload.records} records."
                    " accepted and rejected add up to Payload.records.",
                )

    def test_a_send_past_its_deadline_fails_at_once(self, driver: Driver) -> None:
        """Or succeeds at once, where nothing is waited for."""
        for payload in _payloads(driver):
            _check_send(driver, payload, monotonic() - 1.0, "whose deadline has passed")

    @pytest.mark.parametrize("mode", BREAK_MODES)
    def test_a_broken_backend_fails_the_send(
        self, driver: Driver, mode: BreakMode
    ) -> None:
        """By ``ExportFailed``, before the deadline, and it can be told what to do next."""
        _break(driver, mode)
        for payload in _payloads(driver):
            where = f"to a backend that is broken ({mode})"
            outcome = _check_send(driver, payload, monotonic() + 0.3, where)
            ack = outcome.result
            driver.need(
                not driver.exporter.delivery.acknowledges
                or not isinstance(ack, Ack)
                or ack.accepted == 0,
                f"send gave {text_of(ack)} {where}. Only what a backend acknowledged is "
                "accepted.",
            )
            error = outcome.error
            driver.need(
                not isinstance(error, ExportFailed)
                or mode != "refuse"
                or error.retryable,
                f"send raised {text_of(error)}, not retryable, {where}. What is not "
                "retryable is given up.",
            )

    def test_close_twice(self, driver: Driver) -> None:
        """And after a send."""
        for payload in _payloads(driver):
            driver.send(payload)
        for _ in range(2):
            _check_close(driver, "")

    def test_close_without_a_send(self, driver: Driver) -> None:
        """Nothing was opened, so nothing is let go."""
        _check_close(driver, " before anything was sent")

    def test_send_after_close(self, driver: Driver) -> None:
        """Raises ``ExportFailed``, or sends."""
        payloads = _payloads(driver)
        driver.send(payloads[0])
        _check_close(driver, "")
        for payload in payloads:
            _check_send(driver, payload, monotonic() + 1.0, "after close")

    @pytest.mark.parametrize("mode", BREAK_MODES)
    def test_close_after_a_broken_send(self, driver: Driver, mode: BreakMode) -> None:
        """Keeps its deadline."""
        _break(driver, mode)
        send = partial(driver.exporter.send, _payloads(driver)[0], monotonic() + 0.2)
        call_until(monotonic() + 0.2, send)
        _check_close(driver, f" while the backend is broken ({mode})")


def _rules(delivery: Delivery) -> Iterator[tuple[str, bool, str]]:
    for what in ("interval", "timeout"):
        seconds = getattr(delivery, what)
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        yield what, is_number and isfinite(seconds) and seconds > 0, "seconds above 0"
    limit = delivery.max_bytes
    yield "max_bytes", type(limit) is int and limit > 0, "an integer above 0"
    is_known = delivery.temporality in ("cumulative", "delta")
    yield "temporality", is_known, "cumulative or delta"
    for what in ("acknowledges", "replayable"):
        yield what, type(getattr(delivery, what)) is bool, "True or False"
    is_folder = delivery.spool is None or isinstance(delivery.spool, str)
    yield "spool", is_folder, "a directory or None"


def _batches(driver: Driver) -> list[Batch]:
    """Give a plain batch of each signal that the exporter takes."""
    ids = Ids()
    histogram = Block((), [()], [3.5], [[1, 2]], START_NS)
    families = [
        MetricFamily.of("contract.number", "counter", {("a",): 3}, label_names=("l",)),
        MetricFamily("contract.histogram", "histogram", "s", "", [histogram], (1.0,)),
    ]
    batches = []
    if "metrics" in driver.exporter.signals:
        batches.append(driver.metrics(families))
    if "traces" in driver.exporter.signals:
        spans = [ids.span(attributes={"a": [1, {"b": "c"}]}) for _ in range(3)]
        batches.append(driver.records("traces", spans))
    if "logs" in driver.exporter.signals:
        logs = [ids.log(a=[1, {"b": "c"}]) for _ in range(3)]
        batches.append(driver.records("logs", logs))
    return batches


def _payloads(driver: Driver) -> list[Payload]:
    """Give a payload of each signal that the exporter takes."""
    payloads = []
    for batch in _batches(driver):
        encoded = driver.encode(batch)
        driver.need(
            encoded, f"encode gave nothing for plain {batch.signal}, needs a payload."
        )
        payloads.append(encoded[0])
    return payloads


def _plain(batch: Batch) -> Any:
    """Give a batch as plain values, which compare."""
    families = [
        (
            *(family.name, family.kind, family.unit, family.help, family.bounds),
            [
                (
                    b.label_names,
                    list(b.rows),
                    list(b.values),
                    list(b.counts),
                    b.start_ns,
                )
                for b in family.blocks
            ],
        )
        for family in batch.families
    ]
    return families, list(batch.records), dict(batch.resource.attributes)


def _break(driver: Driver, mode: BreakMode) -> None:
    if driver.rig.break_backend is None:
        pytest.skip("the rig has no break_backend")
    try:
        driver.rig.break_backend(mode)
    except NotImplementedError:
        pytest.skip(f"the rig cannot break its backend this way: {mode}")


def _check_send(
    driver: Driver, payload: Payload, deadline: float, where: str
) -> Outcome:
    outcome = call_until(deadline, partial(driver.exporter.send, payload, deadline))
    error = outcome.error
    driver.need(
        not outcome.is_late,
        f"send {where} had not returned {GRACE} s after its deadline. It returns or "
        "raises ExportFailed by then.",
    )
    driver.need(
        isinstance(error, ExportFailed) or (error is None),
        f"send {where} raised {text_of(error)}, may raise ExportFailed only.",
    )
    driver.need(
        isinstance(error, ExportFailed) or isinstance(outcome.result, Ack),
        f"send {where} gave {text_of(outcome.result)}, needs obs.model.Ack.",
    )
    if isinstance(error, ExportFailed):
        wait = error.retry_after
        driver.need(
            isinstance(error.retryable, bool)
            and isinstance(error.sent, bool)
            and (wait is None or (isinstance(wait, int | float) and wait >= 0))
            and isinstance(error.reason, str)
            and 0 < len(error.reason) <= 64,
            f"send {where} raised {text_of(error)} with retryable={error.retryable!r}, "
            f"sent={error.sent!r}, retry_after={wait!r}, reason={error.reason!r}. It needs "
            "two of True or False, seconds or None, and a short text.",
        )
    return outcome


def _check_close(driver: Driver, when: str) -> None:
    deadline = monotonic() + 0.5
    outcome = call_until(deadline, partial(driver.exporter.close, deadline))
    driver.need(
        not outcome.is_late,
        f"close{when} had not returned {GRACE} s after its deadline.",
    )
    driver.need(
        outcome.error is None,
        f"close{when} raised {text_of(outcome.error)}. close never raises, and may be "
        "called again.",
    )
