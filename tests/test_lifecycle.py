"""Start, close, attach and detach from several sides at once."""

import asyncio
import json
import threading
import urllib.request

import pytest

from obs import InvalidValue, Obs, StartFailed
from obs_exporters import PrometheusExporter
from tests.delivery.scripted import Scripted


def test_a_start_that_fails_leaves_another_instance_alone():
    page = PrometheusExporter(port=0)
    first, second = Obs("a", exporters=[page]), Obs("b", exporters=[page])
    with first.start():
        with pytest.raises(StartFailed, match="it is started already"):
            second.start()
        second.close()
        assert urllib.request.urlopen(page.url, timeout=5).status == 200


def test_an_exporter_is_attached_once():
    page = PrometheusExporter(port=0)
    tel = Obs("a", runtime=False, exporters=[page])
    with tel.start():
        tel.attach(page)
        assert urllib.request.urlopen(page.url, timeout=5).status == 200
    tel.detach(page)
    tel.detach(page)


def test_starts_and_closes_from_many_threads_leave_nothing_running():
    page = PrometheusExporter(port=0)
    tel = Obs("a", runtime=False, exporters=[page])
    before = threading.active_count()
    failures = []

    def hammer():
        try:
            for _ in range(50):
                tel.start()
                tel.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tel.close()
    assert failures == []
    assert threading.active_count() == before


def test_a_second_start_returns_when_the_first_is_done():
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        name = "slow"
        is_up = False

        def start(self, source):
            entered.set()
            leave.wait(10)
            self.is_up = True

        def close(self, deadline):
            self.is_up = False

    slow = Slow()
    tel = Obs("a", runtime=False, exporters=[slow])
    seen = []
    first = threading.Thread(target=tel.start)
    second = threading.Thread(target=lambda: (tel.start(), seen.append(slow.is_up)))
    first.start()
    assert entered.wait(10)
    second.start()
    leave.set()
    first.join()
    second.join()
    assert seen == [True]
    tel.close()
    assert not slow.is_up


def test_an_exporter_may_close_the_instance_that_starts_it():
    class Quits:
        name = "quits"

        def start(self, source):
            tel.close()

        def close(self, deadline):
            pass

    tel = Obs("a", runtime=False, exporters=[Quits()])
    tel.start()
    tel.close()


class Hostile:
    def __float__(self):
        raise RuntimeError

    __bool__ = __repr__ = __str__ = __float__


WRONG = {
    "text": ("1", "'1'"),
    "NaN": (float("nan"), "nan"),
    "infinite": (float("inf"), "inf"),
    "too long for a float": (10**400, f"1{'0' * 37}...{'0' * 39}"),
    "bool": (True, "True"),
    "hostile": (Hostile(), "<Hostile>"),
}


@pytest.mark.parametrize("call", ["flush", "aflush", "close", "aclose"])
@pytest.mark.parametrize(("timeout", "shown"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_timeout_is_counted_and_the_default_is_taken(
    call, timeout, shown, capfd
):
    exporter = Scripted(signals={"traces"})
    tel = Obs("a", runtime=False, exporters=[exporter], shutdown_timeout=5.0)
    with tel.start():
        tel.span("s", i=1).end()
        if call.startswith("a"):
            result = asyncio.run(getattr(tel, call)(timeout))
        else:
            result = getattr(tel, call)(timeout)
    assert result.delivered == 1
    dropped = tel.snapshot()["obs.dropped"]
    assert dropped.value(signal="metrics", exporter="", reason="invalid") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == (
        f"{call.removeprefix('a')}: timeout got {shown}, needs a finite number of "
        "seconds. shutdown_timeout was taken, 5.0 s."
    )


@pytest.mark.parametrize("call", ["flush", "close"])
def test_a_strict_instance_raises_at_a_wrong_timeout(call):
    tel = Obs("a", runtime=False, strict=True)
    with tel.start(), pytest.raises(InvalidValue) as error:
        getattr(tel, call)("1")
    assert str(error.value) == (
        f"{call}: timeout got '1', needs a finite number of seconds. shutdown_timeout "
        "was taken, 2.0 s."
    )


@pytest.mark.parametrize("call", ["flush", "close"])
def test_a_timeout_may_be_longer_than_locks_can_wait(call):
    exporter = Scripted(signals={"traces"})
    tel = Obs("a", runtime=False, exporters=[exporter])
    with tel.start():
        tel.span("s", i=1).end()
        assert getattr(tel, call)(1e300).delivered == 1
