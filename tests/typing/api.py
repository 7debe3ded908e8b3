"""Only type-checked: what users write, and the types that they get."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from obs import NULL, Counter, Gauge, Histogram, Limits, Obs, Telemetry, UpDown
from obs.redact import Redactor
from obs_exporters import OTLPExporter, PrometheusExporter, exporter_from_url

tel = Obs(
    "checkout",
    exporters=[
        PrometheusExporter(port=9464),
        OTLPExporter("http://127.0.0.1:4318"),
        exporter_from_url("console:"),
    ],
    limits=Limits(series=9),
    redact=Redactor(keys=["iban"]),
)
assert_type(tel.flush(1.0).lanes["otlp"].delivered, int)

assert_type(tel.counter("c", "Help.", labels=("a",)), Counter)
assert_type(tel.counter("c").labels("x"), Counter)
assert_type(tel.gauge("g").labels(a=1, b=None, c=True), Gauge)
assert_type(tel.histogram("h", buckets=[1, 2.5]), Histogram)
assert_type(tel.metrics.updown("u"), UpDown)
tel.counter("c").inc(1.5)
tel.gauge("g").set_function(len, owner=[])
tel.counter("c").set(1)  # type: ignore[attr-defined]
tel.counter("c").inc("1")  # type: ignore[arg-type]
tel.counter("c", ("a",))  # type: ignore[arg-type]


@tel.endpoint(labels=("channel",))
async def place(channel: str, order_id: int = 0) -> bool:
    return bool(channel and order_id)


@tel.operation()
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@tel.histogram("h").time()
async def ticks() -> AsyncIterator[str]:
    yield "tick"


@tel.gauge("g").track_in_progress()
def work(a: int, /, *, b: str) -> float:
    return a + len(b)


async def use() -> None:
    assert_type(await place("web", order_id=3), bool)
    await place(7)  # type: ignore[arg-type]
    assert_type(list(numbers(3)), list[int])
    assert_type([tick async for tick in ticks()], list[str])
    assert_type(work(1, b="x"), float)
    work(a=1, b="x")  # type: ignore[call-arg]


assert_type(tel.inject(), dict[str, str])
assert_type(tel.inject([("a", "b")]), list[tuple[str, str]])


def library(telemetry: Telemetry = NULL) -> None:
    telemetry.counter("library.calls").inc()
    assert_type(telemetry.inject(), dict[str, str])


library(tel)
library()
with tel.start() as started:
    assert_type(started, Obs)
