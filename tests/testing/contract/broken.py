"""Exporters with one defect each, and the contract over them: run by test_broken.py."""

import os
import socket
import threading
import time
from dataclasses import replace
from functools import partial

from obs.errors import ExportFailed
from obs.model import Ack, Payload
from obs.testing.contract import ExporterContract
from tests.testing.contract.lines import Lines, rig_of


class DropsTheLastOfMany(Lines):
    """And says that it sent it."""

    def payload(self, body, records, dropped):
        kept = body[:-1] if len(body) > 30 else body
        return super().payload(kept, records, dropped)

    def send(self, payload, deadline):
        if self.backend is None:
            raise ExportFailed("closed")
        self.ask(payload.body, deadline)
        return Ack(payload.records)

    def ask(self, body, deadline):
        if not super().ask(body, deadline).startswith("ok"):
            raise ExportFailed("garbage", sent=True)


class CountsADropThatNeverWas(Lines):
    def payload(self, body, records, dropped):
        return super().payload(body, records, dropped + 1)


class LetsANewlineForgeALine(Lines):
    def text(self, text):
        return super().text(text).replace("%0A", "\n")

    def send(self, payload, deadline):
        try:
            return super().send(payload, deadline)
        except ExportFailed as error:
            if "answered 'ok" not in str(error):
                raise
            return Ack(payload.records)


class RaisesKeyErrorForBytes(Lines):
    def value(self, value):
        return {}[value] if isinstance(value, bytes) else super().value(value)


class SendsTotalsForIncreases(Lines):
    delivery = Lines.delivery._replace(temporality="delta")

    def __init__(self, backend):
        super().__init__(backend)
        self.totals = {}

    def points(self, batch):
        for family, point in super().points(batch):
            if family.kind == "counter":
                key = family.name, *point.labels.values()
                self.totals[key] = self.totals.get(key, 0) + point.value
                yield family, point._replace(value=self.totals[key])
            else:
                yield family, point


class Stamped(bytes):
    start_ns = 0


class LosesAFailedPush(Lines):
    delivery = Lines.delivery._replace(temporality="delta")

    def __init__(self, backend):
        super().__init__(backend)
        self.tried = set()

    def encode(self, batch):
        for payload in super().encode(batch):
            body = Stamped(payload.body)
            body.start_ns = batch.start_ns
            yield payload._replace(body=body)

    def ask(self, body, deadline):
        if body.start_ns in self.tried:
            return f"ok {len(body.splitlines())}"
        try:
            return super().ask(body, deadline)
        except ExportFailed:
            self.tried.add(body.start_ns)
            raise


class ChangesItsBatch(Lines):
    def encode(self, batch):
        for family in batch.families:
            for block in family.blocks:
                if isinstance(block.rows, list):
                    block.rows.sort()
                    block.rows.append(("changed",))
                    block.rows.pop() if len(block.rows) > 2 else None
        return super().encode(batch)


class RaisesOSErrorFromSend(Lines):
    def ask(self, body, deadline):
        return self.backend.post(body, deadline)


class ExceedsMaxBytes(Lines):
    def limit(self):
        return self.delivery.max_bytes + 1_000


class RaisesOnASecondClose(Lines):
    closed = 0

    def close(self, deadline):
        super().close(deadline)
        self.closed += 1
        if self.closed == 2:
            raise ValueError("closed already")


class OpensASocketWhenBuilt(Lines):
    def __init__(self, backend):
        super().__init__(backend)
        self.socket = socket.socket()

    def close(self, deadline):
        self.socket.close()
        super().close(deadline)


class IgnoresTheDeadline(Lines):
    def ask(self, body, deadline):
        return super().ask(body, deadline + 2)


class SwapsTheBuckets(Lines):
    def histogram(self, family, point):
        point = point._replace(buckets=point.buckets[::-1])
        return super().histogram(family, point)


class LosesSeriesWithEmptyLabels(Lines):
    def points(self, batch):
        return [
            (family, point)
            for family, point in super().points(batch)
            if "" not in point.labels.values()
        ]


class SendsNewestFirst(Lines):
    def divides(self, batch):
        return True

    def packed(self, batch, lines):
        return super().packed(batch, lines[::-1] if batch.records else lines)


class EncodesTheTimeOfDay(Lines):
    def parts(self, record):
        return *super().parts(record), f"{time.time():.6f}"


class OneBadNumberSpoilsThePush(Lines):
    def parts(self, record):
        parts = super().parts(record)
        if "nan" in parts:
            raise ValueError
        return parts

    def packed(self, batch, lines):
        if None in lines:
            return [Payload(b"", 0, {"invalid": len(lines)})]
        return super().packed(batch, lines)


class AcknowledgesAnything(Lines):
    def send(self, payload, deadline):
        if self.backend is None:
            raise ExportFailed("closed")
        self.ask(payload.body, deadline)
        return Ack(payload.records)


class AcceptsOneOfAll(Lines):
    def send(self, payload, deadline):
        return super().send(payload, deadline) and Ack(1)


class GivesUpWhenRefused(Lines):
    def ask(self, body, deadline):
        try:
            return super().ask(body, deadline)
        except ExportFailed as error:
            raise ExportFailed(str(error)) from error


class PushesAllTheTime(Lines):
    delivery = Lines.delivery._replace(interval=0)


class ReadsAFileInEncode(Lines):
    def encode(self, batch):
        os.close(os.open(os.devnull, os.O_RDONLY))
        return super().encode(batch)


class CountsMetricsWithoutSeries(Lines):
    def encode(self, batch):
        empty = any(not family.points for family in batch.families)
        return [*super().encode(batch), *([Payload(b"", 1)] if empty else [])]

    def ask(self, body, deadline):
        return super().ask(body, deadline) if body else "ok 1"


class RaisesAttributeErrorAfterClose(Lines):
    def send(self, payload, deadline):
        assert self.backend.lines is not None  # None has no lines
        return super().send(payload, deadline)


class ClosesTooLate(Lines):
    def close(self, deadline):
        seconds = deadline - time.monotonic()
        if seconds > 0:  # tidying up grants none
            time.sleep(seconds + 1)


class EncodesOnOneThread(Lines):
    def __init__(self, backend):
        super().__init__(backend)
        self.thread = threading.get_ident()

    def encode(self, batch):
        if threading.get_ident() != self.thread:
            raise RuntimeError("another thread")
        return super().encode(batch)


class PadsWhatIsLong(Lines):
    def packed(self, batch, lines):
        is_long = batch.records and any(len(line) > 500 for line in lines)
        for payload in super().packed(batch, lines):
            yield payload._replace(body=b"\n" * 30_000) if is_long else payload


class TakesLabelNamesFromTheFirstBlock(Lines):
    def points(self, batch):
        for family, point in super().points(batch):
            names = family.blocks[0].label_names
            labels = dict(zip(names, point.labels.values(), strict=False))
            yield family, point._replace(labels=labels)


class KeepsTheFirstGauge(Lines):
    def __init__(self, backend):
        super().__init__(backend)
        self.first = {}

    def points(self, batch):
        for family, point in super().points(batch):
            if family.kind == "gauge":
                key = family.name, *point.labels.items()
                yield family, self.first.setdefault(key, point)
            else:
                yield family, point


class SubtractsByItself(Lines):
    def __init__(self, backend):
        super().__init__(backend)
        self.before = {}

    def points(self, batch):
        for family, point in super().points(batch):
            if family.kind == "counter":
                key = family.name, *point.labels.items()
                before = self.before.get(key, 0)
                self.before[key] = point.value
                yield family, point._replace(value=point.value - before)
            else:
                yield family, point


class ForgetsTheParent(Lines):
    def span(self, span):
        return super().span(span._replace(parent=0))


class ForgetsTheFields(Lines):
    def parts(self, record):
        parts = super().parts(record)
        return (*parts[:2], "") if parts[0] == "L" else parts


class SendsSomethingForNothing(Lines):
    def encode(self, batch):
        is_empty = not batch.records and not batch.families
        return [Payload(b"", 1)] if is_empty else super().encode(batch)

    def ask(self, body, deadline):
        return super().ask(body, deadline) if body else "ok 1"


BROKEN = [
    kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Lines) and kind is not Lines
]


# What takes seconds is left to those whose defect shows there.
WAITING = (RaisesOSErrorFromSend, IgnoresTheDeadline)


def halt(rig, mode, modes=("refuse", "close", "garbage")):
    if mode not in modes:
        raise NotImplementedError
    rig.break_backend(mode)


def contract_of(kind):
    def make(self):
        rig = rig_of(kind)
        return (
            rig if kind in WAITING else replace(rig, break_backend=partial(halt, rig))
        )

    members = {"make": make, "patience": 0.05, "examples": 1}
    return type(f"Test{kind.__name__}", (ExporterContract,), members)


globals().update({f"Test{kind.__name__}": contract_of(kind) for kind in BROKEN})
