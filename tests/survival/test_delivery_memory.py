"""Full queues take bounded memory, and every span is kept or counted."""

import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from obs import Obs
from tests.survival.backends import HANGING, REFUSING, make, until
from tests.survival.processes import in_fresh

MIB = 1024 * 1024
MOST = 48 * MIB
ALL = ("metrics", "traces")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def number(tel: Obs, name: str, **labels: str) -> float:
    """Give the sum over the series of a metric that have these labels."""
    points = tel.snapshot()[name].points
    return sum(it.value for it in points if labels.items() <= it.labels.items())


def ordinary(tel: Obs, n: int) -> None:
    with tel.span("work", {"user.id": n + 1_000}, name=f"user {n}", price=n + 0.5):
        pass


def large(tel: Obs, n: int) -> None:
    """A span of 64 KiB, which is as large as one may be."""
    with tel.span("work", {f"a{i}": os.urandom(2_048).hex() for i in range(16)}):
        pass
    if n % 100 == 0:
        # What the next tick finds is bounded in number alone.
        until(lambda: len(tel._lifecycle._lanes._intakes[1][0]) == 0)


KINDS = {"ordinary": ordinary, "large": large}


def kept_and_gone(tel: Any) -> tuple[float, ...]:
    """Count the spans in the lane, and those that have left it."""
    return (
        number(tel, "obs.queue.size", signal="traces"),
        number(tel, "obs.dropped", signal="traces", exporter="backend"),
        number(tel, "obs.exported", signal="traces"),
        number(tel, "obs.rejected", signal="traces"),
        number(tel, "obs.unknown", signal="traces"),
    )


def fill(path: str, mode: str, kind: str, n: int) -> Iterator[Any]:
    """Yield by how many bytes memory grew, and the counts of ledger and metrics."""
    tel = make(path, mode, signals=ALL, runtime=True)
    tel.start()
    tel.flush(0.1)
    before, most = resident(), 0
    for i in range(n):
        KINDS[kind](tel, i)
        if i % 1_000 == 0:
            most = max(most, resident())
    most = max(most, resident())
    lanes: Any = tel._lifecycle._lanes
    until(lambda: sum(kept_and_gone(tel)) == n)
    yield max(most, resident()) - before
    yield number(tel, "obs.produced", signal="traces")
    yield kept_and_gone(tel)
    tel.close(0.1)
    ledger = lanes.ledgers["traces", "backend"]
    yield ledger.produced, ledger.delivered, ledger.lost
    os._exit(0)


@pytest.mark.parametrize(
    ("mode", "kind", "n"),
    [
        (HANGING, "ordinary", 50_000),
        (REFUSING, "large", 400),
        pytest.param(HANGING, "large", 4_000, marks=pytest.mark.slow),
        pytest.param(HANGING, "ordinary", 1_000_000, marks=pytest.mark.slow),
        pytest.param(REFUSING, "ordinary", 1_000_000, marks=pytest.mark.slow),
    ],
)
def test_full_queues_take_48_mib_at_most_and_every_span_is_kept_or_counted(
    tmp_path, mode, kind, n
):
    grown, produced, counts, closed = in_fresh(
        f"{__name__}:fill", str(tmp_path / "a"), mode, kind, n, idle=100.0
    )
    assert grown <= MOST
    assert produced == n
    assert sum(counts) == n
    kept, dropped, *others = counts
    assert kept > 0
    assert dropped > 0
    assert others == [0, 0, 0]
    assert closed == [n, 0, n]
