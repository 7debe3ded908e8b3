"""The composition root: construction, start, close, exporters, forks, the exit notice."""

import asyncio
import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from obs import DefinitionError, Obs, StartFailed
from obs._source import SelfCollector
from obs.redact import Redactor
from obs.testing import MemoryExporter
from obs_exporters import OTLPExporter


class Recorder:
    """An exporter that notes what is done with it."""

    name = "recorder"

    def __init__(self, fail=None, close_fails=False):
        self.calls = []
        self.fail = fail
        self.close_fails = close_fails

    def start(self, source):
        self.calls.append("start")
        self.source = source
        if self.fail is not None:
            raise self.fail

    def close(self, deadline):
        self.calls.append("close")
        if self.close_fails:
            raise RuntimeError


def run(code, *args, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **kwargs,
    )


def test_the_public_names_of_an_instance():
    assert {
        name for name in dir(Obs("x", runtime=False)) if not name.startswith("_")
    } == {
        "aclose",
        "aflush",
        "attach",
        "close",
        "counter",
        "detach",
        "endpoint",
        "extract",
        "flush",
        "gauge",
        "histogram",
        "inject",
        "logger",
        "logs",
        "metrics",
        "operation",
        "snapshot",
        "span",
        "start",
        "trace",
        "use",
    }


def test_constructing_opens_and_starts_nothing():
    result = run(
        """
        import gc, os, sys, threading
        def state():
            return (threading.enumerate(), os.listdir("/proc/self/fd"), list(gc.callbacks),
                    sys.excepthook, sys.unraisablehook, threading.excepthook)
        import signal
        handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
        before = state()
        from obs import Obs
        from obs_exporters import PrometheusExporter
        tel = Obs("x", exporters=[PrometheusExporter()])
        tel.counter("c").inc()
        assert state() == before, (before, state())
        assert handlers == [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
        assert "psutil" not in sys.modules and "logging" not in sys.modules
        """
    )
    assert result.returncode == 0, result.stderr


def test_importing_loads_no_third_party_package():
    result = run(
        """
        import sys
        from obs import Obs
        Obs("x", runtime=False)
        for name in ("structlog", "psutil", "orjson", "prometheus_client", "asyncio",
                     "logging", "inspect", "dataclasses", "http", "socket", "json"):
            assert name not in sys.modules, name
        """
    )
    assert result.returncode == 0, result.stderr


def test_start_starts_each_exporter_once_and_close_closes_it():
    first, second = Recorder(), Recorder()
    tel = Obs("x", runtime=False, exporters=[first, second])
    with tel.start() as same:
        assert same is tel
        tel.start()
        assert first.calls == second.calls == ["start"]
    assert first.calls == second.calls == ["start", "close"]
    result = tel.close()
    assert (result.delivered, result.pending, result.lost, result.lanes) == (
        0,
        0,
        0,
        {},
    )
    assert first.calls == ["start", "close"]
    tel.start()
    assert first.calls == ["start", "close", "start"]
    tel.close()


def test_start_as_an_async_context_manager():
    recorder = Recorder()

    async def main():
        async with Obs("x", runtime=False, exporters=[recorder]).start() as tel:
            tel.counter("c").inc()
            assert recorder.calls == ["start"]

    asyncio.run(main())
    assert recorder.calls == ["start", "close"]


@pytest.mark.parametrize("error", [StartFailed("port taken"), OSError("port taken")])
def test_a_start_that_fails_closes_what_had_started(error):
    good, bad, never = Recorder(), Recorder(fail=error), Recorder()
    tel = Obs("x", exporters=[good, bad, never])
    with pytest.raises(StartFailed, match="port taken"):
        tel.start()
    assert good.calls == ["start", "close"]
    assert never.calls == []
    bad.fail = None
    with tel.start():
        assert good.calls == ["start", "close", "start"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_may_start_for_itself():
    recorder = Recorder()
    tel = Obs("x", runtime=False, exporters=[recorder])
    with tel.start():
        pid = os.fork()
        if pid == 0:
            late = Recorder()
            tel.attach(late)
            attached = late.calls == []
            tel.start()
            os._exit(0 if attached and late.calls == ["start"] else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_attached_exporters_start_if_the_instance_runs():
    early, late = Recorder(), Recorder()
    tel = Obs("x", runtime=False)
    tel.attach(early)
    assert early.calls == []
    with tel.start():
        tel.attach(late)
        assert early.calls == late.calls == ["start"]
        tel.detach(late)
        tel.detach(late)
        assert late.calls == ["start", "close"]
    assert late.calls == ["start", "close"]
    with tel.start(), pytest.raises(StartFailed):
        tel.attach(Recorder(fail=OSError()))


def test_an_exporter_that_fails_to_close_does_not_hurt_the_others(capfd):
    first, second = Recorder(close_fails=True), Recorder(close_fails=True)
    with Obs("x", runtime=False, exporters=[first, second]).start():
        pass
    assert first.calls == second.calls == ["start", "close"]
    assert (
        "exporter 'recorder': close() raised RuntimeError()" in capfd.readouterr().err
    )


def test_a_source_hands_on_spans_until_its_exporter_is_closed(capfd):
    class Failing(Recorder):
        name = "failing"

        def start(self, source):
            source.listen(self.take)

        def take(self, span):
            raise KeyError

    recorder, failing = Recorder(), Failing()
    spans = []
    tel = Obs("x", runtime=False, exporters=[failing, recorder])
    with tel.start():
        recorder.source.listen(spans.append)
        tel.span("a").end()
        tel.detach(failing)
        tel.span("b").end()
        tel.detach(recorder)
        tel.span("c").end()
        assert tel.trace.sink.__self__.capacity == 0  # an intake that keeps nothing
        dropped = tel.snapshot()["obs.dropped"]
    assert [span.name for span in spans] == ["a", "b"]
    assert dropped.value(signal="traces", exporter="", reason="export_failed") == 1
    assert capfd.readouterr().err.count("a span was not taken: KeyError()") == 1


def test_a_source_counts_says_and_checks_for_its_exporter(capfd):
    recorder = Recorder()
    tel = Obs("x", runtime=False, exporters=[recorder])
    seen = []
    with tel.start():
        recorder.source.dropped("invalid", 3)
        recorder.source.say("invalid", "something")
        recorder.source.check(lambda family: seen.append(family.name))
        tel.counter("mine")
        points = {
            tuple(p.labels.values()): p.value
            for p in tel.snapshot()["obs.dropped"].points
        }
    tel.counter("later")
    assert points == {
        ("metrics", "", "invalid"): 0,
        ("metrics", "", "cardinality"): 0,
        ("traces", "", "invalid"): 0,
        ("traces", "", "limit"): 0,
        ("metrics", "recorder", "invalid"): 3,
    }
    assert seen == [*SelfCollector.NAMES, "mine"]
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["service"], line["logger"]) == (
        "recorder: something",
        "x",
        "obs",
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_the_resource_names_the_process():
    recorder = Recorder()
    tel = Obs(
        "checkout",
        version="1.4.2",
        environment="prod",
        resource={"team": "pay", "host.name": "mine"},
        runtime=False,
        exporters=[recorder],
    )
    with tel.start():
        found = dict(recorder.source.resource.attributes)
        assert recorder.source.resource is recorder.source.resource
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        found.pop("service.instance.id"),
    )
    found.pop("container.id", None)
    assert found == {
        "service.name": "checkout",
        "service.version": "1.4.2",
        "deployment.environment.name": "prod",
        "host.name": "mine",
        "process.pid": str(os.getpid()),
        "team": "pay",
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_starts_from_zero_with_an_identity_of_its_own():
    recorder = Recorder()
    tel = Obs("x", runtime=False, exporters=[recorder])
    counter = tel.counter("c", labels=("a",))
    histogram = tel.histogram("h")
    info = tel.metrics.info("build", labels=("version",))
    info.set("1.0")
    with tel.start():
        counter.labels("parent").inc(5)
        histogram.observe(1)
        parent = recorder.source.resource.attributes["service.instance.id"]
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            counter.labels("parent").inc()
            attributes = recorder.source.resource.attributes
            seen = {
                "dict": tel.snapshot().as_dict(),
                "instance": attributes["service.instance.id"],
                "pid": attributes["process.pid"],
            }
            os.write(write, json.dumps(seen).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(write)
        with open(read, "rb") as pipe:
            child = json.loads(pipe.read())
    assert child["dict"]["c"]["series"] == [{"labels": {"a": "parent"}, "value": 1}]
    assert child["dict"]["h"]["series"][0]["count"] == 0
    assert child["dict"]["build"]["series"][0]["labels"] == {"version": "1.0"}
    assert child["instance"] != parent
    assert child["pid"] == str(pid)
    assert tel.snapshot()["c"].points[0].value == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_a_decorated_call_is_counted_down_once():
    tel = Obs("x", runtime=False)
    gauge = tel.gauge("g")
    read, write = os.pipe()

    @tel.operation("op")
    @gauge.track_in_progress()
    def fork():
        return os.fork()

    pid = fork()
    values = [
        tel.snapshot()[name].points[0].value for name in ("operation.in_flight", "g")
    ]
    if pid == 0:
        os.write(write, json.dumps(values).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert values == [0, 0]
    assert json.loads(os.read(read, 100)) == [0, 0]
    os.close(read)
    os.close(write)


NOT_STARTED = """
from obs import Obs
from obs.testing import MemoryExporter
from obs_exporters import OTLPExporter
tel = Obs("shop", exporters=[{exporters}], runtime=False)
{then}
"""


@pytest.mark.parametrize(
    ("exporters", "then", "lines"),
    [
        ("MemoryExporter()", "tel.counter('c').inc()", 1),
        ("MemoryExporter()", "tel.operation('op')(len)('')", 1),
        ("MemoryExporter()", "tel.counter('c')", 0),
        ("MemoryExporter()", "tel.histogram('h').observe(0.0)", 1),
        ("MemoryExporter()", "tel.gauge('g').set_function(lambda: print('asked'))", 0),
        ("", "tel.counter('c').inc()", 0),
        ("MemoryExporter()", "tel.start(); tel.counter('c').inc(); tel.close()", 0),
    ],
)
def test_an_instance_that_recorded_and_never_started_says_so_at_exit(
    exporters, then, lines
):
    result = run(NOT_STARTED.format(exporters=exporters, then=then))
    assert result.returncode == 0
    said = result.stderr.splitlines()
    assert len(said) == lines, said
    if lines:
        assert json.loads(said[0])["event"] == (
            "recorded metrics or spans are not sent: start() was never called."
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"service": ""}, "Obs: service got '', needs a name such as 'checkout'."),
        ({"service": 7}, "Obs: service got 7, needs a name such as 'checkout'."),
        ({"version": 1.0}, "Obs: version got 1.0, needs text."),
        ({"environment": None}, "Obs: environment got None, needs text."),
        ({"resource": {"a": 1}}, "Obs: resource['a'] got 1, needs text."),
        (
            {"shutdown_timeout": -1},
            "Obs: shutdown_timeout got -1, needs seconds from 0 to 86400.",
        ),
        (
            {"shutdown_timeout": 1e300},
            "Obs: shutdown_timeout got 1e+300, needs seconds from 0 to 86400.",
        ),
        (
            {"shutdown_timeout": float("nan")},
            "Obs: shutdown_timeout got nan, needs seconds from 0 to 86400.",
        ),
        (
            {"resource": "abc"},
            "Obs: resource got 'abc', needs a mapping of text to text.",
        ),
        (
            {"limits": {"series": 5}},
            "limits got {'series': 5}, needs Limits(series=...).",
        ),
        ({"clock": 5}, "clock got 5, needs time_ns() and monotonic_ns()."),
        ({"redact": True}, "redact got True, needs a Redactor(...), or None for none."),
        (
            {"redact": Redactor},
            "redact got <class 'obs.redact._redactor.Redactor'>, needs a Redactor(...), or "
            "None for none.",
        ),
        ({"classify": 5}, "classify got 5, needs a function that takes an exception."),
        ({"strict": "no"}, "Obs: strict got 'no', needs True or False."),
        ({"strict": None}, "Obs: strict got None, needs True or False."),
        ({"runtime": "no"}, "Obs: runtime got 'no', needs True or False."),
        ({"runtime": 1}, "Obs: runtime got 1, needs True or False."),
        ({"exporters": 5}, "Obs: exporters got 5, needs a list of exporters."),
        (
            {"exporters": [MemoryExporter()] * 2},
            "Obs: exporters has the exporter 'memory' twice. Remove one.",
        ),
        (
            {"exporters": [OTLPExporter()] * 2},
            "Obs: exporters has the exporter 'otlp' twice. Remove one.",
        ),
        (
            {"exporters": ["prometheus"]},
            "Obs: exporters got 'prometheus', needs an exporter with start(source) or with "
            "encode(batch) and send(payload, deadline), and with close(deadline), such as "
            "PrometheusExporter().",
        ),
    ],
)
def test_a_bad_argument_says_what_is_needed(arguments, text):
    with pytest.raises(DefinitionError) as error:
        Obs(**{"service": "x", "runtime": False, **arguments})
    assert str(error.value) == text


def test_several_instances_live_side_by_side():
    first, second = Obs("a", runtime=False), Obs("b", runtime=False)
    first.counter("c").inc()
    second.gauge("c").set(2)
    assert first.snapshot()["c"].points[0].value == 1
    assert second.snapshot()["c"].points[0].value == 2


def test_a_memory_exporter_gives_what_was_recorded():
    memory = MemoryExporter()
    tel = Obs("x", runtime=False, exporters=[memory])
    with pytest.raises(Exception, match=r"nothing is here before tel.start\(\)"):
        _ = memory.metrics
    with tel.start():
        tel.counter("c", labels=("a.b",)).labels("x").inc(3)
        tel.histogram("h").observe(1)
        assert memory.value("c", a_b="x") == 3
        assert memory.value("h") == 1
        assert memory.point("h").sum == 1
        with pytest.raises(KeyError, match=r"no series 'c' {'a_b': 'y'}; there are"):
            memory.value("c", a_b="y")
        with pytest.raises(KeyError, match="no metric 'd'; there are"):
            memory.value("d")
    assert tel.snapshot()["c"].value(a_b="x") == 3
