"""Secrets in spans: masked in records, wherever they were, and in what exporters send."""

import io
import json
import random
import string
from contextlib import suppress
from time import monotonic

import pytest

from obs import Limits, Obs
from obs.model import Batch, Resource
from obs.redact import Redactor
from obs.testing import MemoryExporter
from obs.trace._values import MARGIN
from obs_exporters import (
    ConsoleExporter,
    JsonLinesExporter,
    OTLPExporter,
    ZipkinExporter,
)

MASK = "[redacted]"


def instance(**more):
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, **more)
    tel.start()
    return tel, memory


def canaries():
    """Give texts that are found again: letters and digits that are in nothing else."""
    rng = random.Random()
    while True:
        yield "c4N" + "".join(rng.choices(string.ascii_letters + string.digits, k=20))


class Sprayed:
    """Canary secrets in everything that a span takes."""

    def __init__(self):
        self.secrets = []
        self._fresh = canaries()

    def one(self):
        self.secrets.append(next(self._fresh))
        return self.secrets[-1]

    def pair(self):
        return f"login of ann failed, password={self.one()} was wrong"

    def url(self):
        return f"postgres://app:{self.one()}@db:5432/shop"

    def bearer(self):
        return f"sent Bearer {self.one()} to it"

    def spray(self, tel):
        class Shown:
            def __str__(shown):
                return self.pair()

        with tel.span(f"GET /hook?token={self.one()}") as other:
            pass
        with suppress(RuntimeError), tel.span(self.url()) as span:
            span.set(
                {
                    "http.request.header.authorization": [self.one()],
                    "dsn": self.url(),
                    f"key?token={self.one()}": 1,
                    "headers": [("X-Api-Key", self.one()), ("Host", "h")],
                    "deep": {"a": [{"b": {"clientSecret": {"c": self.one()}}}]},
                    "texts": [[self.bearer()], {"x": self.pair()}],
                    "shown": Shown(),
                    "error": ValueError(self.pair()),
                    "bytes": self.pair().encode(),
                    "cookies": {"sid": self.one()},
                },
                password=self.one(),
                api_key=7,
            )
            span.event(self.pair(), url=self.url(), token=self.one())
            span.link(other.context)
            with suppress(KeyError), tel.span("inner"):
                raise KeyError(self.pair())
            try:
                raise ExceptionGroup(self.pair(), [ValueError(self.bearer())])
            except ExceptionGroup as cause:
                error = RuntimeError(self.pair())
                error.add_note(self.bearer())
                error.add_note(f"-----BEGIN PRIVATE KEY-----\n{self.one()}\n")
                raise error from cause
        with tel.span(
            "linked", links=[linked(other, token=self.one(), url=self.url())]
        ):
            pass


def linked(span, **attributes):
    from obs.model import SpanLink

    return SpanLink(span.context, attributes)


def outputs(records):
    """Give what each exporter makes of records, as bytes."""
    batch = Batch("traces", Resource({"service.name": "x"}), records=records)
    yield repr([everything(record) for record in records]).encode()
    for exporter in (OTLPExporter("http://127.0.0.1:9"), ZipkinExporter()):
        yield b"".join(bytes(payload.body) for payload in exporter.encode(batch))
    for kind in (JsonLinesExporter, ConsoleExporter):
        stream = io.StringIO()
        exporter = kind(stream)
        for payload in exporter.encode(batch):
            exporter.send(payload, monotonic() + 5)
        yield stream.getvalue().encode()


def everything(record):
    events = [(event.name, event.attributes) for event in record.events]
    links = [link.attributes for link in record.links]
    return record.name, record.status_message, record.attributes, events, links


def test_canaries_are_in_no_output():
    tel, memory = instance()
    sprayed = Sprayed()
    sprayed.spray(tel)
    assert len(sprayed.secrets) > 20
    for output in outputs(memory.spans):
        assert MASK.encode() in output
        assert not [it for it in sprayed.secrets if it.encode() in output]


def test_without_redaction_every_canary_is_in_the_records():
    """So the test above finds what it looks for."""
    tel, memory = instance(redact=None)
    sprayed = Sprayed()
    sprayed.spray(tel)
    records, *sent = outputs(memory.spans)
    assert not [it for it in sprayed.secrets if it.encode() not in records]
    for output in sent:
        assert [it for it in sprayed.secrets if it.encode() in output]


def test_what_is_masked_of_a_span_and_what_stays():
    tel, memory = instance()
    with tel.span(
        "a", {"db.url": "redis://:k3y@h/0"}, token=["k"], tokens_used=5
    ) as span:
        span.set(headers=[("Cookie", "a=b"), ("Host", "h")], user={"pin": 1, "id": 7})
        span.fail(ValueError("token=k3y"))
    record = memory.spans[0]
    assert record.attributes == {
        "db.url": "redis://:[redacted]@h/0",
        "token": MASK,
        "tokens_used": 5,
        "headers": [["Cookie", MASK], ["Host", "h"]],
        "user": {"pin": MASK, "id": 7},
    }
    assert record.status_message == "token=[redacted]"
    attributes = record.events[0].attributes
    assert attributes["exception.message"] == "token=[redacted]"
    assert attributes["exception.stacktrace"].endswith("ValueError: token=[redacted]\n")
    assert "span.fail" not in attributes["exception.stacktrace"]


def test_a_redactor_of_ones_own():
    tel, memory = instance(redact=Redactor(keys=["iban"], allow=["token"]))
    tel.span("a", iban="DE89", token="t", password="p").end()
    assert memory.spans[0].attributes == {"iban": MASK, "token": "t", "password": MASK}


def test_a_span_itself_keeps_what_it_was_given():
    tel, memory = instance()
    span = tel.span("a", token="k3y")
    assert span.attributes["token"] == "k3y"
    span.end()
    assert memory.spans[0].attributes["token"] == MASK


def test_headers_and_baggage_go_out_as_they_are():
    tel, _ = instance()
    with tel.use(baggage={"token": "k3y"}), tel.span("a"):
        assert "token=k3y" in tel.inject()["baggage"]


@pytest.mark.parametrize("around", range(0, 60, 3))
def test_of_a_secret_that_lies_where_a_text_is_cut_nothing_is_left(around):
    tel, memory = instance(limits=Limits(value_chars=500))
    before = "x" * (500 - around) + " postgres://app:"
    tel.span("a", text=f"{before}s3cretS3cret@db/" + "y" * 2_000).end()
    found = memory.spans[0].attributes["text"]
    assert "s3" not in found
    assert len(found) <= 500
    assert found.endswith("…")


@pytest.mark.parametrize("around", range(0, 60, 3))
def test_masks_before_the_cut_do_not_bring_a_part_of_a_secret_into_it(around):
    tel, memory = instance(limits=Limits(value_chars=500))
    masked = f"token={'k' * 300} "
    pad = "x" * (500 + MARGIN - len(masked) - around)
    text = f"{masked}{pad} postgres://app:s3cretS3cret@db/" + "y" * 2_000
    tel.span("a", text=text).end()
    found = memory.spans[0].attributes["text"]
    assert found.startswith("token=[redacted] x")
    assert found.endswith("…")
    assert "s3" not in found


@pytest.mark.parametrize(
    ("text", "cut"),
    [(f"token={'k' * 600}", 0), (f"{'x' * 600} token=k", 1), ("x" * 5_000, 1)],
)
def test_what_masks_make_shorter_does_not_count_as_cut(text, cut):
    tel, memory = instance(limits=Limits(value_chars=500))
    tel.span("a", text=text).end()
    assert len(memory.spans[0].attributes["text"]) <= 500
    assert tel.snapshot()["obs.truncated"].value(signal="traces") == cut


def test_a_secret_in_a_stack_is_found_before_its_beginning_is_cut():
    tel, memory = instance(limits=Limits(value_chars=200))
    tel.span("a").fail(ValueError("postgres://app:" + "k3y" * 60 + "@db"))
    memory.spans.clear()
    with tel.span("a") as span:
        span.fail(ValueError("postgres://app:" + "k3y" * 60 + "@db"))
    stack = memory.spans[0].events[0].attributes["exception.stacktrace"]
    assert "k3yk3y" not in stack
    assert stack.endswith("[redacted]@db\n")
    assert json.dumps(stack)
