"""The console: what people see of spans, log records and metrics."""

import io
import os
import pty
import re
import struct
import sys
import termios
import time
from fcntl import ioctl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.errors import DefinitionError, ExportFailed
from obs.metrics import Registry
from obs.model import (
    Batch,
    Block,
    LogRecord,
    MetricFamily,
    Resource,
    SpanRecord,
    TraceContext,
)
from obs.testing import FakeClock
from obs_exporters import ConsoleExporter
from obs_exporters.console._table import amount
from tests.encoding import hostile

NOON = 1_764_072_000_123_456_789
SHOP = Resource({"service.name": "shop"})


def soon():
    return time.monotonic() + 5.0


def push(exporter, batch):
    """Send a batch, and give what was accepted."""
    return sum(exporter.send(each, soon()).accepted for each in exporter.encode(batch))


def text_of(batch, **more):
    stream = io.StringIO()
    assert push(ConsoleExporter(stream, **more), batch)
    return stream.getvalue()


def span(own, parent=0, trace=10, start=0, end=1, **more):
    start_ns, end_ns = NOON + int(start * 1e6), NOON + int(end * 1e6)
    context = TraceContext(trace, own)
    return SpanRecord(
        f"s{own}", context, parent, start_ns=start_ns, end_ns=end_ns, **more
    )


SPANS = Batch("traces", SHOP, records=[span(2, 1), span(1), span(3, trace=11)])
LOGS = Batch(
    "logs",
    SHOP,
    records=[
        LogRecord(NOON, "info", "order.placed", "orders", fields={"id": 7}),
        LogRecord(NOON, "error", "order.failed", fields={"why": "\x1b[2J\n"}),
    ],
)


def test_spans_are_waterfalls_one_for_each_trace():
    lines = text_of(SPANS).split("\n")
    assert [line for line in lines if line.startswith("trace ")] == [
        "trace 0000000000000000000000000000000a, 1 ms, 2 spans",
        "trace 0000000000000000000000000000000b, 1 ms, 1 span",
    ]
    names = [line.split(" ms ")[0].split() for line in lines if "█" in line]
    assert [each[-2] for each in names] == ["s1", "s2", "s3"]
    assert names[1][0] == "└─"
    assert lines[-2:] == ["", ""]
    assert max(map(len, lines)) == 100


def test_all_spans_of_a_batch_are_drawn():
    batch = Batch("traces", SHOP, records=[span(n, 0) for n in range(1, 301)])
    drawn = text_of(batch)
    assert drawn.count("\ns") == 300
    assert "more" not in drawn


def test_log_records_are_lines_without_color_where_there_is_no_terminal():
    assert text_of(LOGS) == (
        "12:00:00.123Z INFO     order.placed             [orders] id=7\n"
        "12:00:00.123Z ERROR    order.failed             why=\\x1b[2J\\n\n"
    )


def test_a_traceback_stands_below_its_record():
    fields = {"exception.type": "KeyError", "exception.stacktrace": "Traceback:\n  a"}
    records = [LogRecord(NOON, "error", "lost", fields=fields), LOGS.records[0]]
    lines = text_of(Batch("logs", SHOP, records=records)).split("\n")
    assert lines[0].endswith(" KeyError")
    assert lines[1:3] == ["    | Traceback:", "    |   a"]
    assert lines[3].endswith(" id=7")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("color", "stream", "environment", "is_colored"),
    [
        ("auto", io.StringIO, {}, False),
        ("auto", Terminal, {}, True),
        ("auto", Terminal, {"NO_COLOR": "1"}, False),
        ("auto", Terminal, {"NO_COLOR": ""}, True),
        ("auto", Terminal, {"TERM": "dumb"}, False),
        ("never", Terminal, {}, False),
        ("always", io.StringIO, {"NO_COLOR": "1"}, True),
    ],
)
def test_when_log_records_are_colored(
    color, stream, environment, is_colored, monkeypatch
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = stream()
    push(ConsoleExporter(found, color=color), LOGS)
    assert ("\x1b[31m" in found.getvalue()) == is_colored
    assert "\x1b[2J" not in found.getvalue()


def test_a_real_terminal_is_as_wide_as_it_is_and_colored(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 61, 0, 0))
    with open(theirs, "w", encoding="utf-8") as stream:
        exporter = ConsoleExporter(stream)
        push(exporter, SPANS)
        push(exporter, LOGS)
        got = b""
        while b"why" not in got:
            got += os.read(ours, 10_000)
    os.close(ours)
    lines = got.decode().replace("\r", "").split("\n")
    assert max(len(line) for line in lines if "█" in line) == 61
    assert b"\x1b[32mINFO" in got


def test_an_encoding_without_blocks_gets_ascii_and_escapes():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")
    exporter = ConsoleExporter(stream)
    push(exporter, SPANS)
    assert raw.getvalue().isascii()
    assert b"`- s2" in raw.getvalue()
    push(exporter, Batch("logs", SHOP, records=[LogRecord(NOON, "info", "日 é")]))
    assert raw.getvalue().endswith(b"INFO     \\u65e5 \\xe9\n")


def test_a_stream_of_bytes_gets_utf_8():
    raw = io.BytesIO()
    push(ConsoleExporter(raw), SPANS)
    assert "└─ s2" in raw.getvalue().decode()


def test_without_a_stream_it_is_what_stderr_is_then(capsys, monkeypatch):
    exporter = ConsoleExporter()
    push(exporter, LOGS)
    assert capsys.readouterr().err.count("\n") == 2
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(ExportFailed) as error:
        push(exporter, LOGS)
    assert str(error.value) == "exporter 'console': this process has no stderr."


# --- metrics


class Shop:
    """A registry whose clock is moved by hand."""

    def __init__(self):
        self.clock = FakeClock()
        self.registry = Registry(clock=self.clock)
        self.stream = io.StringIO()
        self.exporter = ConsoleExporter(self.stream)

    def batch(self):
        snapshot = self.registry.snapshot()
        families = snapshot.families
        return Batch("metrics", SHOP, families=families, time_ns=snapshot.time_ns)

    def shown(self):
        """Push, and give the lines that came."""
        self.stream.seek(0)
        self.stream.truncate()
        push(self.exporter, self.batch())
        return self.stream.getvalue().split("\n")


def test_the_tables_whole():
    shop = Shop()
    placed = shop.registry.counter("orders.placed", unit="{order}", labels=("channel",))
    shop.registry.gauge("memory", unit="By").set(3 * 2**20)
    took = shop.registry.histogram("took", unit="s", buckets=(0.1, 0.5, 1))
    placed.labels("web").inc(1_230)
    placed.labels("").inc()
    for seconds in (0.05, 0.2, 0.3, 0.7):
        took.observe(seconds)
    shop.clock.advance(10)
    lines = shop.shown()
    assert re.fullmatch(
        r"metrics of shop at \d\d:\d\d:\d\d\.\d{3}Z over 10 s", lines[0]
    )
    assert lines[1:] == [
        "metric         labels       value   rate",
        "orders.placed  channel=web  1,230  123/s",
        "orders.placed                   1  0.1/s",
        "memory                      3 MiB",
        "metric  labels  count      mean     p50     p95     max",
        "took                4  312.5 ms  300 ms  900 ms  <= 1 s",
        "",
        "",
    ]


def test_rates_and_histograms_are_since_the_last_push_and_values_are_totals():
    shop = Shop()
    done = shop.registry.counter("done")
    took = shop.registry.histogram("took", buckets=(1, 2))
    done.inc(100)
    took.observe(0.5)
    shop.clock.advance(50)
    assert shop.shown()[2].split() == ["done", "100", "2/s"]
    done.inc(20)
    took.observe(5)
    shop.clock.advance(5)
    lines = shop.shown()
    assert lines[0].endswith(" over 5 s")
    assert lines[2].split() == ["done", "120", "4/s"]
    assert lines[4].split() == ["took", "1", "5", "2", "2", ">", "2"]
    shop.clock.advance(5)
    assert shop.shown()[2].split() == ["done", "120", "0/s"]
    assert shop.shown()[4].split() == ["took", "0"]


def test_what_was_not_sent_counts_into_the_next_rate():
    shop = Shop()
    done = shop.registry.counter("done")
    shop.clock.advance(1)
    shop.shown()
    done.inc(30)
    shop.clock.advance(10)
    assert list(shop.exporter.encode(shop.batch())), "drawn, never sent"
    shop.clock.advance(10)
    assert shop.shown()[2].split() == ["done", "30", "1.5/s"]


def test_a_broken_metric_costs_no_other():
    class Broken(MetricFamily):
        @property
        def points(self):
            raise RuntimeError

    families = [Broken("b", "gauge"), MetricFamily.of("good", "gauge", 1)]
    batch = Batch("metrics", SHOP, families=families, time_ns=NOON)
    (payload,) = ConsoleExporter().encode(batch)
    assert (payload.records, payload.dropped) == (1, {"invalid": 1})
    assert "good" in payload.body


def test_what_obs_counts_of_itself_is_shown_where_it_is_not_0():
    families = [
        MetricFamily.of(
            "obs.dropped",
            "counter",
            {("full",): 2, ("late",): 0},
            label_names=("reason",),
        ),
        MetricFamily.of("orders", "counter", 0),
    ]
    drawn = text_of(Batch("metrics", SHOP, families=families, time_ns=NOON))
    assert [line.split()[:2] for line in drawn.splitlines() if line[:1] == "o"] == [
        ["obs.dropped", "reason=full"],
        ["orders", "0"],
    ]


def test_no_metrics_give_no_table():
    assert list(ConsoleExporter().encode(Batch("metrics", SHOP))) == []


def test_a_name_or_label_cannot_reach_the_terminal():
    family = MetricFamily.of("a\x1b[2J", "info", {("\x9b\n",): 1}, label_names=("x",))
    found = text_of(
        Batch("metrics", Resource({"service.name": "\x1b"}), families=[family])
    )
    assert "a\\x1b[2J  x=\\x9b\\n" in found
    assert found.replace("\n", "").isprintable()


def test_a_large_table_is_divided_and_counted_once():
    values = {(f"{n:0100}",): n for n in range(6_000)}
    family = MetricFamily.of("m", "gauge", values, label_names=("x",))
    batch = Batch("metrics", SHOP, families=[family], time_ns=NOON)
    exporter = ConsoleExporter(io.StringIO())
    payloads = list(exporter.encode(batch))
    assert [each.records for each in payloads] == [6_000, 0, 0]
    size = exporter.delivery.max_bytes
    assert all(len(each.body.encode()) <= size for each in payloads)
    assert "".join(each.body for each in payloads).count("\nm ") == 6_000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0"),
        (0.0000005, "s", "0.5 us"),
        (0.0031, "s", "3.1 ms"),
        (1.5, "s", "1.5 s"),
        (90, "s", "1.5 min"),
        (-0.5, "s", "-500 ms"),
        (512, "By", "512 B"),
        (1536, "By", "1.5 KiB"),
        (5 * 2**30, "By", "5 GiB"),
        (2**40, "By", "1 TiB"),
        (1234567, "", "1,234,567"),
        (0.123456789, "1", "0.123457"),
        (float("nan"), "s", "nan us"),
    ],
)
def test_amounts(value, unit, text):
    assert amount(value, unit) == text


def test_a_histogram_without_bounds_has_its_mean():
    bare = MetricFamily("h", "histogram", "", "", [Block((), [()], [6.0], [[2]])])
    found = text_of(Batch("metrics", SHOP, families=[bare], time_ns=NOON))
    assert found.split("\n")[2].split() == ["h", "2", "3"]


# --- what a lane sees


def test_what_a_lane_needs_to_know():
    exporter = ConsoleExporter(interval=3, signals=("logs", "traces"), name="c")
    assert (exporter.name, exporter.signals) == ("c", {"logs", "traces"})
    assert (exporter.delivery.interval, exporter.delivery.acknowledges) == (3, False)
    assert exporter.delivery.temporality == "cumulative"
    assert ConsoleExporter().signals == {"metrics", "logs", "traces"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"stream": 5}, "stream got 5, needs a file object."),
        ({"color": True}, "color got True, needs one of auto, always, never."),
        ({"interval": 0}, "interval got 0, needs seconds from 0.01 to 86400."),
        ({"signals": ()}, "signals got (), needs some of metrics, logs, traces."),
    ],
)
def test_what_breaks_a_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        ConsoleExporter(**arguments)
    assert str(error.value) == f"exporter 'console': {text}"


def test_what_is_no_record_is_left_out_and_counted():
    exporter = ConsoleExporter()
    records = [object(), *LOGS.records, *SPANS.records]
    (payload,) = exporter.encode(Batch("logs", SHOP, records=records))
    assert (payload.records, payload.dropped) == (2, {"invalid": 4})
    (payload,) = exporter.encode(Batch("traces", SHOP, records=records))
    assert (payload.records, payload.dropped) == (3, {"invalid": 3})
    stream = io.StringIO()
    assert push(ConsoleExporter(stream), Batch("traces", SHOP, records=[None])) == 0
    assert stream.getvalue() == ""
    assert list(exporter.encode(Batch("logs", SHOP))) == []


def test_what_says_that_it_is_a_span_is_not_believed():
    class Liar:
        __class__ = SpanRecord

    batch = Batch("traces", SHOP, records=[Liar()])
    (payload,) = ConsoleExporter().encode(batch)
    assert (payload.body, payload.records, payload.dropped) == ("", 0, {"invalid": 1})


def test_closing_leaves_the_stream_open():
    stream = io.StringIO()
    exporter = ConsoleExporter(stream)
    exporter.close(soon())
    exporter.close(soon())
    push(exporter, LOGS)
    assert stream.getvalue()


def test_a_closed_stream_fails_the_export():
    stream = io.StringIO()
    exporter = ConsoleExporter(stream)
    stream.close()
    with pytest.raises(ExportFailed) as error:
        push(exporter, LOGS)
    assert str(error.value) == "exporter 'console': the stream is closed."


def test_a_forked_child_counts_its_own_rates():
    shop = Shop()
    shop.registry.counter("done").inc(5)
    shop.clock.advance(10)
    shop.shown()
    child = os.fork()
    if child == 0:
        os._exit(0 if shop.exporter._shown == {} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert shop.exporter._shown


@given(
    st.lists(hostile.log_records, max_size=3),
    st.lists(hostile.span_records, max_size=3),
)
def test_no_record_breaks_a_line_or_sends_an_escape(logs, spans):
    for signal, records in (("logs", logs), ("traces", spans)):
        stream = io.StringIO()
        assert push(
            ConsoleExporter(stream), Batch(signal, SHOP, records=records)
        ) == len(records)
        found = stream.getvalue()
        assert found.replace("\n", "").isprintable()
        assert signal == "traces" or found.count("\n") == len(records)
