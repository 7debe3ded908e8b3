"""Start, close, attach and detach from several sides at once."""

import threading
import urllib.request

import pytest

from obs import Obs, StartFailed
from obs_exporters import PrometheusExporter


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
