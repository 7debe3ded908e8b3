"""JSON lines: what is written, and what happens to the file meanwhile."""

import errno
import fcntl
import gzip
import io
import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.errors import DefinitionError, ExportFailed
from obs.model import (
    Batch,
    LogRecord,
    MetricFamily,
    Payload,
    Resource,
    SpanRecord,
    TraceContext,
)
from obs_exporters import JsonLinesExporter
from obs_exporters.jsonl import _file
from obs_exporters.jsonl._exporter import MAX_BYTES
from tests.encoding import hostile
from tests.open_files import open_files

NOON = 1_764_072_000_123_456_789
SHOP = Resource({"service.name": "shop"})
WAIT_SECONDS = 30.0


def log(event, **fields):
    return LogRecord(NOON, "info", event, fields=fields)


def logs(*events):
    return Batch("logs", SHOP, records=[log(event) for event in events])


def soon():
    return time.monotonic() + 5.0


def push(exporter, batch, deadline=None):
    """Send a batch, and give what was accepted."""
    payloads = list(exporter.encode(batch))
    return sum(exporter.send(each, deadline or soon()).accepted for each in payloads)


def events(path):
    """The events of a file of logs, in order; blank lines are passed over."""
    return [
        json.loads(line)["event"]
        for line in Path(path).read_bytes().split(b"\n")
        if line
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "telemetry.jsonl"


def sized(number, size=100):
    """A record whose line has this size."""
    record = log(f"e{number:04}", pad="")
    (payload,) = JsonLinesExporter(io.BytesIO()).encode(
        Batch("logs", SHOP, records=[record])
    )
    return log(f"e{number:04}", pad="x" * (size - len(payload.body)))


def sized_logs(*numbers, size=100):
    return Batch("logs", SHOP, records=[sized(number, size) for number in numbers])


def test_all_three_signals_go_into_one_file(path):
    exporter = JsonLinesExporter(path)
    span = SpanRecord("charge", TraceContext(1, 2), start_ns=NOON, end_ns=NOON)
    family = MetricFamily.of(
        "jobs", "gauge", {("a",): 1, ("b",): 2}, label_names=("q",)
    )
    assert push(exporter, Batch("traces", SHOP, records=[span])) == 1
    assert push(exporter, logs("paid")) == 1
    assert push(exporter, Batch("metrics", SHOP, families=[family], time_ns=NOON)) == 2
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("type") for line in lines] == ["span", None, "metric", "metric"]
    assert {line["service"] for line in lines} == {"shop"}
    assert [line["labels"] for line in lines[2:]] == [{"q": "a"}, {"q": "b"}]


def test_what_a_lane_needs_to_know():
    exporter = JsonLinesExporter("x", interval=3, timeout=2, signals="logs", name="f")
    assert (exporter.name, exporter.signals) == ("f", {"logs"})
    delivery = exporter.delivery
    assert (delivery.interval, delivery.timeout, delivery.max_bytes) == (
        3,
        2,
        MAX_BYTES,
    )
    assert (delivery.temporality, delivery.acknowledges) == ("cumulative", False)
    assert JsonLinesExporter("x").signals == {"metrics", "logs", "traces"}


def test_constructing_opens_nothing_and_the_first_line_makes_a_private_file(path):
    exporter = JsonLinesExporter(path)
    assert not path.exists()
    old = os.umask(0)
    try:
        push(exporter, logs("one"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_added_to(path):
    path.write_text('{"event":"old"}\n')
    push(JsonLinesExporter(str(path)), logs("new"))
    assert events(path) == ["old", "new"]


SIZE = "needs an integer of at least 1024."
LENGTH = "needs seconds from 1 to 31622400."


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"path_or_stream": ""}, "path_or_stream got '', needs a path or a file object."),
        (
            {"path_or_stream": "a\0b"},
            "path_or_stream got 'a\\x00b', needs a path or a file object.",
        ),
        (
            {"path_or_stream": "\ud800"},
            "path_or_stream got '\\ud800', needs a path or a file object.",
        ),
        ({"path_or_stream": 5}, "path_or_stream got 5, needs a path or a file object."),
        ({"rotate_bytes": 1023}, f"rotate_bytes got 1023, {SIZE}"),
        ({"rotate_bytes": 1e6}, f"rotate_bytes got 1000000.0, {SIZE}"),
        ({"rotate_seconds": 0.5}, f"rotate_seconds got 0.5, {LENGTH}"),
        ({"rotate_seconds": True}, f"rotate_seconds got True, {LENGTH}"),
        ({"keep": 0}, "keep got 0, needs an integer from 1 to 1000."),
        ({"keep": 1001}, "keep got 1001, needs an integer from 1 to 1000."),
        ({"interval": 0}, "interval got 0, needs seconds from 0.01 to 86400."),
        (
            {"path_or_stream": io.StringIO(), "rotate_bytes": 2048},
            "rotate_bytes is for a file, but a stream was given. Leave it out, or give a "
            "path.",
        ),
        (
            {"path_or_stream": io.StringIO(), "rotate_seconds": 60},
            "rotate_seconds is for a file, but a stream was given. Leave it out, or give "
            "a path.",
        ),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        JsonLinesExporter(**{"path_or_stream": "x", **arguments})
    assert str(error.value) == f"exporter 'jsonl': {text}"


# --- encode


def test_what_is_no_record_is_left_out_and_counted():
    exporter = JsonLinesExporter("x")
    (payload,) = exporter.encode(
        Batch("logs", SHOP, records=[object(), log("a"), None, log("b")])
    )
    assert (payload.records, payload.dropped) == (2, {"invalid": 2})
    (payload,) = exporter.encode(Batch("traces", SHOP, records=[log("a")]))
    assert (payload.body, payload.records, payload.dropped) == (b"", 0, {"invalid": 1})


def test_a_broken_metric_costs_no_other():
    class Broken(MetricFamily):
        @property
        def points(self):
            raise RuntimeError

    families = [Broken("b", "gauge"), MetricFamily.of("good", "gauge", 1)]
    (payload,) = JsonLinesExporter("x").encode(
        Batch("metrics", SHOP, families=families)
    )
    assert (payload.records, payload.dropped) == (1, {"invalid": 1})
    assert json.loads(payload.body)["name"] == "good"


def test_no_payload_is_larger_than_a_megabyte_and_all_come_in_order():
    count, exporter = 2_500, JsonLinesExporter("x")
    records = [sized(number, 1_000) for number in range(count)]
    records.insert(0, None)
    payloads = list(exporter.encode(Batch("logs", SHOP, records=records)))
    assert [each.records for each in payloads] == [1_048, 1_048, 404]
    assert [dict(each.dropped) for each in payloads] == [{"invalid": 1}, {}, {}]
    assert all(len(each.body) <= MAX_BYTES for each in payloads)
    lines = b"".join(each.body for each in payloads).splitlines()
    assert [json.loads(line)["event"] for line in lines] == [
        f"e{n:04}" for n in range(count)
    ]


def test_nothing_gives_no_payload():
    exporter = JsonLinesExporter("x")
    assert list(exporter.encode(logs())) == []
    assert list(exporter.encode(Batch("metrics", SHOP, families=[]))) == []


@given(st.lists(hostile.log_records, max_size=5))
def test_every_hostile_record_is_a_line(records):
    stream = io.BytesIO()
    assert push(JsonLinesExporter(stream), Batch("logs", SHOP, records=records)) == len(
        records
    )
    assert len(stream.getvalue().decode().splitlines()) == len(records)


# --- rotation


def test_a_file_grows_to_its_size_and_no_more(path):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024, keep=2)
    push(exporter, sized_logs(*range(10)))
    assert (events(path)[0], events(path)[-1], len(events(path))) == (
        "e0000",
        "e0009",
        10,
    )
    push(exporter, sized_logs(10))
    assert events(path) == ["e0010"]
    assert len(events(f"{path}.1")) == 10
    push(exporter, sized_logs(*range(11, 45)))
    # One payload goes over as many files as it needs.
    assert events(path) == [f"e{n:04}" for n in range(40, 45)]
    assert events(f"{path}.1") == [f"e{n:04}" for n in range(30, 40)]
    assert events(f"{path}.2") == [f"e{n:04}" for n in range(20, 30)]
    assert not Path(f"{path}.3").exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_larger_than_a_file_has_one_of_its_own(path):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    records = [sized(0), sized(1, 2_000), sized(2)]
    push(exporter, Batch("logs", SHOP, records=records))
    assert [events(f"{path}{end}") for end in (".2", ".1", "")] == [
        ["e0000"],
        ["e0001"],
        ["e0002"],
    ]


def test_a_file_of_an_earlier_window_of_time_is_rotated(path, monkeypatch):
    exporter = JsonLinesExporter(path, rotate_seconds=3_600)
    push(exporter, logs("old"))
    at = path.stat().st_mtime // 3_600 * 3_600
    monkeypatch.setattr(_file, "time", lambda: at + 3_599.9)
    push(exporter, logs("same hour"))
    monkeypatch.setattr(_file, "time", lambda: at + 3_600)
    push(exporter, logs("next hour"))
    assert events(f"{path}.1") == ["old", "same hour"]
    assert events(path) == ["next hour"]


def test_the_window_of_a_file_that_was_there_is_that_of_its_last_change(path):
    path.write_text('{"event":"yesterday"}\n')
    os.utime(path, (0, time.time() - 86_400))
    push(JsonLinesExporter(path, rotate_seconds=86_400), logs("today"))
    assert events(f"{path}.1") == ["yesterday"]
    assert events(path) == ["today"]


def test_an_empty_file_is_not_rotated(path):
    path.touch()
    os.utime(path, (0, 0))
    push(
        JsonLinesExporter(path, rotate_bytes=1_024, rotate_seconds=1), logs("a" * 2_000)
    )
    assert len(events(path)) == 1
    assert not Path(f"{path}.1").exists()


def test_while_another_process_rotates_the_lines_go_on_where_they_were(path):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(10)))
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        push(exporter, sized_logs(10, 11))
    assert len(events(path)) == 12
    push(exporter, sized_logs(12))
    assert (len(events(f"{path}.1")), events(path)) == (12, ["e0012"])


def test_lines_wait_for_another_process_that_moves_the_file(path, monkeypatch):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(10)))
    held = path.open()
    fcntl.flock(held, fcntl.LOCK_EX)

    def sleep(seconds):
        path.rename(f"{path}.1")
        held.close()

    monkeypatch.setattr(_file, "sleep", sleep)
    push(exporter, sized_logs(10, 11))
    assert (len(events(f"{path}.1")), events(path)) == (10, ["e0010", "e0011"])


def test_lines_wait_once_for_another_process_that_hangs(path, monkeypatch):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(10)))
    monkeypatch.setattr(_file, "_CLAIM_SECONDS", 0.0)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        real, claims = fcntl.flock, []
        monkeypatch.setattr(fcntl, "flock", lambda *a: (claims.append(a), real(*a)))
        push(exporter, sized_logs(*range(10, 20)))
    assert (len(events(path)), len(claims)) == (20, 1)


def test_what_another_process_has_just_rotated_is_not_rotated_again(path, monkeypatch):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(10)))
    real = fcntl.flock

    def later(descriptor, how):
        if not Path(f"{path}.1").exists():
            path.rename(f"{path}.1")
            push(JsonLinesExporter(path), sized_logs(10))
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", later)
    push(exporter, sized_logs(11))
    assert len(events(f"{path}.1")) == 10
    assert events(path) == ["e0010", "e0011"]


def test_a_file_system_without_locks_is_rotated_all_the_same(path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    push(JsonLinesExporter(path, rotate_bytes=1_024), sized_logs(*range(11)))
    assert (len(events(f"{path}.1")), events(path)) == (10, ["e0010"])


def test_a_rotation_that_fails_is_said_and_tried_again(path, monkeypatch):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(10)))

    def refuse(*paths):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (payload,) = exporter.encode(sized_logs(10))
    with monkeypatch.context() as patch:
        patch.setattr(_file.os, "replace", refuse)
        with pytest.raises(ExportFailed) as error:
            exporter.send(payload, soon())
    assert (
        str(error.value)
        == f"exporter 'jsonl': writing to {str(path)!r} failed: Permission denied."
    )
    assert (error.value.retryable, error.value.sent) == (True, False)
    exporter.send(payload, soon())
    assert (len(events(f"{path}.1")), events(path)) == (10, ["e0010"])


# --- files that move


def test_a_file_that_was_moved_or_deleted_is_made_anew(path, tmp_path):
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))
    path.rename(tmp_path / "moved")
    push(exporter, logs("b"))
    path.unlink()
    push(exporter, logs("c"))
    assert events(tmp_path / "moved") == ["a"]
    assert events(path) == ["c"]


def test_a_handler_of_sighup_may_reopen(path, monkeypatch):
    opened = []
    real = os.open
    monkeypatch.setattr(_file.os, "open", lambda *a: opened.append(a[0]) or real(*a))
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))
    before = signal.signal(signal.SIGHUP, lambda *_: exporter.reopen())
    try:
        signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    count = len(open_files())
    assert opened == [str(path)], "the handler opens nothing"
    push(exporter, logs("b"))
    push(exporter, logs("c"))
    assert opened == [str(path)] * 2
    assert (events(path), len(open_files())) == (["a", "b", "c"], count)


def test_a_file_may_be_truncated_and_a_stream_is_not_reopened(path):
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))
    os.truncate(path, 0)
    push(exporter, logs("b"))
    assert events(path) == ["b"]
    JsonLinesExporter(io.StringIO()).reopen()


def test_a_descriptor_that_the_host_closed_and_gave_to_others_is_left_alone(
    path, tmp_path
):
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))
    number = exporter._file._descriptor
    os.close(number)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    assert other == number
    push(exporter, logs("b"))
    assert os.write(other, b"still open") == 10
    os.close(other)
    assert events(path) == ["a", "b"]
    assert (tmp_path / "other").read_bytes() == b"still open"
    exporter.close(soon())


def test_where_the_folder_can_no_longer_be_searched_the_descriptor_still_works(
    path, monkeypatch
):
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))

    def refuse(*args, **named):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(_file.os, "stat", refuse)
        push(exporter, logs("b"))
    assert events(path) == ["a", "b"]


# --- failures


def test_a_folder_that_is_missing_may_come_later(path):
    exporter = JsonLinesExporter(path.parent / "later" / "x.jsonl")
    (payload,) = exporter.encode(logs("a"))
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, soon())
    where = str(path.parent / "later" / "x.jsonl")
    assert str(error.value) == (
        f"exporter 'jsonl': writing to {where!r} failed: No such file or directory."
    )
    assert (error.value.retryable, error.value.sent) == (True, False)
    Path(where).parent.mkdir()
    assert exporter.send(payload, soon()).accepted == 1
    assert events(where) == ["a"]


class Disk:
    """``os.write`` that writes so many bytes at a time, and fails where it is told."""

    def __init__(self, monkeypatch, *sizes):
        self.sizes = list(sizes)
        self.write = os.write
        monkeypatch.setattr(_file.os, "write", self)

    def __call__(self, descriptor, data):
        size = self.sizes.pop(0) if self.sizes else len(data)
        if isinstance(size, OSError):
            raise size
        return self.write(descriptor, bytes(data)[:size])


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


def test_short_writes_are_gone_on_with(path, monkeypatch):
    Disk(monkeypatch, 1, 20, 3)
    push(JsonLinesExporter(path), logs("a", "b"))
    assert path.read_bytes().count(b"\n") == 2
    assert events(path) == ["a", "b"]


@pytest.mark.parametrize("error", [FULL, BROKEN])
@pytest.mark.parametrize("cut", [0, 1, 60, 99, 100, 101, 150, 199, 250])
def test_what_was_written_whole_is_not_written_again(path, monkeypatch, cut, error):
    exporter = JsonLinesExporter(path)
    (payload,) = exporter.encode(sized_logs(0, 1, 2))
    with monkeypatch.context() as patch:
        Disk(patch, cut, error) if cut else Disk(patch, error)
        with pytest.raises(ExportFailed) as failed:
            exporter.send(payload, soon())
    assert str(failed.value) == (
        f"exporter 'jsonl': writing to {str(path)!r} failed: {error.strerror}."
    )
    assert (failed.value.retryable, failed.value.sent) == (True, cut > 0)
    assert exporter.send(payload, soon()).accepted == 3
    lines = path.read_bytes().split(b"\n")
    whole = [line for line in lines if len(line) == 99]
    torn = [line for line in lines if line and len(line) != 99]
    # All but its newline is whole, too: then the line comes twice.
    twice = [f"e{cut // 100:04}"] * (cut % 100 == 99)
    assert [json.loads(line)["event"] for line in whole] == sorted(
        ["e0000", "e0001", "e0002", *twice]
    )
    assert len(torn) == (cut % 100 not in (0, 99))


def test_a_torn_line_is_ended_before_another_payload(path, monkeypatch):
    exporter = JsonLinesExporter(path)
    (first,) = exporter.encode(sized_logs(0))
    with monkeypatch.context() as patch:
        Disk(patch, 50, FULL)
        with pytest.raises(ExportFailed):
            exporter.send(first, soon())
    push(exporter, sized_logs(1))
    torn, whole, end = path.read_bytes().split(b"\n")
    assert (len(torn), json.loads(whole)["event"], end) == (50, "e0001", b"")


def test_a_line_that_a_killed_process_left_torn_is_ended(path):
    path.write_bytes(b'{"event":"to')
    push(JsonLinesExporter(path), logs("a"))
    assert path.read_bytes().split(b"\n")[0] == b'{"event":"to'
    assert json.loads(path.read_bytes().split(b"\n")[1])["event"] == "a"


def test_a_file_size_limit_is_a_full_disk(path):
    """A real short write, and a real error behind it."""
    program = f"""
import resource, signal, sys, time
sys.path[:0] = {sys.path!r}
from obs.model import Batch, LogRecord, Resource
from obs.errors import ExportFailed
from obs_exporters import JsonLinesExporter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
exporter = JsonLinesExporter({str(path)!r})
records = [LogRecord(1, "info", f"e{{n}}", fields={{"pad": "x" * 200}}) for n in range(9)]
(payload,) = exporter.encode(Batch("logs", Resource({{}}), records=records))
try:
    exporter.send(payload, time.monotonic() + 5)
except ExportFailed as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(exporter.send(payload, time.monotonic() + 5).accepted)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        f"exporter 'jsonl': writing to {str(path)!r} failed: File too large.",
        "9",
    ], done.stderr
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line)["event"])
        except ValueError:
            found.append("torn")
    assert [event for event in found if event != "torn"] == [f"e{n}" for n in range(9)]
    assert found.count("torn") == 1


def test_a_pipe_without_a_reader_is_refused_at_once(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    exporter = JsonLinesExporter(fifo)
    (payload,) = exporter.encode(logs("a"))
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, soon())
    assert str(error.value) == (
        f"exporter 'jsonl': writing to {str(fifo)!r} failed: No such device or address."
    )


def test_a_pipe_that_is_full_is_waited_for_until_the_deadline(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    exporter = JsonLinesExporter(fifo, rotate_bytes=1_024)
    (payload,) = exporter.encode(sized_logs(*range(3_000)))  # 300 kB; a pipe has 64
    began = time.monotonic()
    with pytest.raises(ExportFailed) as error:
        exporter.send(payload, began + 0.2)
    assert 0.2 <= time.monotonic() - began < 0.7
    assert str(error.value).endswith("failed: Resource temporarily unavailable.")
    assert (error.value.retryable, error.value.sent) == (True, True)
    got = bytearray()

    def drain():
        os.set_blocking(reader, True)
        while data := os.read(reader, 65_536):
            got.extend(data)

    thread = threading.Thread(target=drain)
    thread.start()
    assert exporter.send(payload, float("inf")).accepted == 3_000
    exporter.close(soon())
    thread.join(WAIT_SECONDS)
    os.close(reader)
    found = [json.loads(line)["event"] for line in got.split(b"\n") if len(line) == 99]
    assert found == [f"e{n:04}" for n in range(3_000)]
    assert os.listdir(tmp_path) == ["fifo"], "a pipe is not rotated"


# --- the end


def test_closing_twice_is_fine_and_sending_then_opens_the_file_again(path):
    exporter = JsonLinesExporter(path)
    push(exporter, logs("a"))
    (payload,) = exporter.encode(logs("b"))
    before = open_files()
    exporter.close(soon())
    exporter.close(soon())
    assert len(open_files()) == len(before) - 1
    exporter.send(payload, soon())
    assert len(path.read_text().splitlines()) == 2
    assert len(open_files()) == len(before)
    exporter.close(soon())
    JsonLinesExporter(path).close(soon())


def test_under_a_write_that_hangs_close_and_another_send_keep_their_deadline(
    path, monkeypatch
):
    entered, leave = threading.Event(), threading.Event()
    real = os.write

    def hang(descriptor, data):
        entered.set()
        leave.wait(WAIT_SECONDS)
        return real(descriptor, data)

    exporter = JsonLinesExporter(path)
    (payload,) = exporter.encode(logs("a"))
    monkeypatch.setattr(_file.os, "write", hang)
    thread = threading.Thread(target=exporter.send, args=(payload, soon()))
    thread.start()
    try:
        assert entered.wait(WAIT_SECONDS)
        began = time.monotonic()
        with pytest.raises(ExportFailed) as error:
            exporter.send(payload, began + 0.1)
        exporter.close(began + 0.2)
        assert time.monotonic() - began < 0.7
        assert str(error.value) == "exporter 'jsonl': another write has not ended."
        assert error.value.retryable
    finally:
        leave.set()
        thread.join(WAIT_SECONDS)
    assert events(path) == ["a"]


# --- streams


class Written:
    """A stream of which nothing is known but ``write``."""

    def __init__(self):
        self.parts = []

    def write(self, text):
        self.parts.append(text)


def test_a_stream_of_text_of_bytes_or_of_ones_own(tmp_path):
    text, raw, own = io.StringIO(), io.BytesIO(), Written()
    for stream in (text, raw, own):
        assert push(JsonLinesExporter(stream), logs("é")) == 1
    assert json.loads(text.getvalue())["event"] == "é"
    assert raw.getvalue().decode() == text.getvalue() == "".join(own.parts)
    with (
        gzip.open(tmp_path / "x.gz", "wb") as packed,
        (tmp_path / "y").open("wb", 0) as direct,
    ):
        for stream in (packed, direct):
            push(JsonLinesExporter(stream), logs("a"))
    assert json.loads(gzip.decompress((tmp_path / "x.gz").read_bytes()))["event"] == "a"
    assert events(tmp_path / "y") == ["a"]


def test_a_stream_is_flushed_and_not_closed(tmp_path):
    with (tmp_path / "x").open("w", encoding="utf-8") as stream:
        exporter = JsonLinesExporter(stream)
        push(exporter, logs("a"))
        assert events(tmp_path / "x") == ["a"]
        exporter.close(soon())
        assert not stream.closed


def test_stdout_works(capsys):
    push(JsonLinesExporter(sys.stdout), logs("a"))
    assert json.loads(capsys.readouterr().out)["event"] == "a"


def test_a_stream_that_does_not_have_a_character_gets_it_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")
    push(JsonLinesExporter(stream), logs("é \U0001f600"))
    assert b"\\u00e9 \\ud83d\\ude00" in raw.getvalue()
    assert json.loads(raw.getvalue())["event"] == "é \U0001f600"


def test_a_closed_stream_is_refused():
    stream = io.StringIO()
    exporter = JsonLinesExporter(stream)
    stream.close()
    with pytest.raises(ExportFailed) as error:
        push(exporter, logs("a"))
    assert str(error.value) == "exporter 'jsonl': the stream is closed."
    assert (error.value.retryable, error.value.reason) == (False, "closed")


@pytest.mark.parametrize(
    ("raised", "text", "retryable"),
    [
        (FULL, "OSError(28, 'No space left on device')", True),
        (RuntimeError("no"), "RuntimeError('no')", False),
        (SystemExit(1), "SystemExit(1)", False),
    ],
)
def test_a_stream_that_raises_fails_the_export_and_no_more(raised, text, retryable):
    class Raising(Written):
        def write(self, text):
            raise raised

    with pytest.raises(ExportFailed) as error:
        push(JsonLinesExporter(Raising()), logs("a"))
    assert str(error.value) == f"exporter 'jsonl': writing failed: {text}."
    assert (error.value.retryable, error.value.sent) == (retryable, True)
    assert error.value.reason == "stream"


def test_what_is_meant_for_the_host_reaches_it():
    class Interrupted(Written):
        def write(self, text):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(JsonLinesExporter(Interrupted()), logs("a"))


def test_after_a_failure_a_stream_begins_a_new_line():
    class Once(Written):
        def write(self, text):
            super().write(text if self.parts else text[:10])
            if len(self.parts) == 1:
                raise FULL

    stream = Once()
    exporter = JsonLinesExporter(stream)
    (payload,) = exporter.encode(logs("a"))
    with pytest.raises(ExportFailed):
        exporter.send(payload, soon())
    exporter.send(payload, soon())
    exporter.send(payload, soon())
    torn, *whole, end = "".join(stream.parts).split("\n")
    assert (len(torn), [json.loads(line)["event"] for line in whole], end) == (
        10,
        ["a"] * 2,
        "",
    )


def test_a_raw_stream_that_writes_little_gets_the_rest():
    class Slow(io.RawIOBase):
        got = b""

        def writable(self):
            return True

        def write(self, data):
            if len(self.got) > 60:
                return None
            self.got += bytes(data[:7])
            return min(len(data), 7)

    stream = Slow()
    with pytest.raises(ExportFailed) as error:
        push(JsonLinesExporter(stream), logs("a" * 100))
    assert len(stream.got) == 63
    assert error.value.retryable


# --- several processes


def _write_many(path, process, count):
    exporter = JsonLinesExporter(path, rotate_bytes=4_096, keep=1_000)
    for number in range(count):
        push(exporter, logs(f"{process}-{number}"))


def test_processes_that_rotate_one_path_lose_and_tear_nothing(path):
    context = multiprocessing.get_context("fork")
    count, workers = 300, 4
    processes = [
        context.Process(target=_write_many, args=(str(path), n, count))
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(WAIT_SECONDS)
        assert process.exitcode == 0
    files = list(path.parent.iterdir())
    found = [event for file in files for event in events(file)]
    assert sorted(found) == sorted(
        f"{p}-{n}" for p in range(workers) for n in range(count)
    )
    assert {file.name for file in files} == {
        path.name, *(f"{path.name}.{n}" for n in range(1, len(files)))
    }  # fmt: skip


def test_a_forked_child_goes_on_with_a_descriptor_of_its_own(path):
    exporter = JsonLinesExporter(path, rotate_bytes=1_024)
    push(exporter, sized_logs(*range(9)))
    exporter._lock.acquire()  # the lane is writing while somebody forks
    child = os.fork()
    if child == 0:
        try:
            assert exporter._file._descriptor is None
            push(exporter, sized_logs(9))
            push(exporter, sized_logs(10))  # rotates
            os._exit(0)
        finally:
            os._exit(1)
    exporter._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    push(exporter, sized_logs(11))
    assert events(f"{path}.1") == [f"e{n:04}" for n in range(10)]
    assert events(path) == ["e0010", "e0011"]


def test_a_payload_given_by_others_needs_no_last_newline(path):
    exporter = JsonLinesExporter(path)
    exporter.send(Payload(b'{"event":"a"}', 1), soon())
    push(exporter, logs("b"))
    assert events(path) == ["a", "b"]
