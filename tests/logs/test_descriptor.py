"""Where the lines of logs go: every line arrives whole, or is counted."""

import bz2
import contextlib
import fcntl
import gc
import gzip
import io
import itertools
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial

import pytest

from obs._diag import Diag
from obs.logs import _descriptor
from obs.logs._descriptor import MOST_WAITING, Descriptor
from tests.open_files import open_files

SECONDS = 20


class Said(Diag):
    """Keeps what it says."""

    def __init__(self):
        super().__init__("shop")
        self.said = []

    def say(self, reason, text, *, once=""):
        self.said.append(text)

    def counts(self):
        return {key: n for key, n in self.dropped_counts().items() if n}


def lost(reason, n=1, name="out"):
    return {("logs", name, reason): n}


@pytest.fixture
def diag():
    return Said()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


class Reader(threading.Thread):
    """Reads a descriptor to its end.

    Args:
        fd: What; closed afterwards.
        pause: Seconds before each read.
    """

    def __init__(self, fd, pause=0.0, size=65536):
        super().__init__(daemon=True)
        self.fd, self.pause, self.size = fd, pause, size
        self.got = bytearray()
        self.start()

    def run(self):
        while True:
            if self.pause:
                time.sleep(self.pause)
            try:
                part = os.read(self.fd, self.size)
            except OSError:  # what a terminal says at its end
                part = b""
            if not part:
                break
            self.got += part
        os.close(self.fd)

    def lines(self):
        self.join(SECONDS)
        assert not self.is_alive()
        return bytes(self.got).split(b"\n")[:-1]


def line(who, number, size):
    """A line that shows whether it is whole."""
    text = b"%d %d %d " % (who, number, size)
    return text + b"x" * (size - len(text) - 1) + b"\n"


WHOLE = re.compile(rb"(\d+) (\d+) (\d+) x*")


def whole(lines):
    """Give who and number of each line, all of which are whole."""
    found = []
    for text in lines:
        match = WHOLE.fullmatch(text)
        assert match, text[:60]
        assert len(text) == int(match[3]) - 1
        found.append((int(match[1]), int(match[2])))
    return found


def fill(fd):
    """Fill a pipe to its last byte, and give how many."""
    os.set_blocking(fd, False)
    count = 0
    for size in (65536, 4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                count += os.write(fd, b"f" * size)
    return count


# --- targets ---------------------------------------------------------------------------


def test_constructing_opens_nothing(tmp_path, diag):
    path = tmp_path / "log"
    sink = Descriptor(path, diag, name="out")
    assert not path.exists()
    assert (sink.fd, sink.most) == (-1, 0)


@pytest.mark.parametrize(("name", "number"), [("stdout", 1), ("stderr", 2)])
def test_standard_descriptors(name, number):
    code = (
        "import os; from obs._diag import Diag; from obs.logs._descriptor import *\n"
        f"sink = Descriptor({name!r}, Diag(), name='out'); sink._make_ready()\n"
        f"assert (sink.fd, sink.most) == ({number}, 4096)\n"
        "assert sink.write(b'a line\\n'); sink.close(); assert sink.write(b'more\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=SECONDS
    )
    assert getattr(done, name) == b"a line\nmore\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_replaced_standard_stream_is_looked_up_at_each_line(
    name, diag, capsys, monkeypatch
):
    sink = Descriptor(name, diag, name="out")
    assert sink.write("é\n".encode())
    assert getattr(capsys.readouterr(), name[3:]) == "é\n"
    assert (sink.fd, sink.most) == (-1, 0)
    monkeypatch.setattr(sys, name, io.StringIO())
    assert sink.write(b"there\n")
    assert getattr(sys, name).getvalue() == "there\n"


def test_no_stderr_at_all_is_counted_and_not_said(diag, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    sink = Descriptor("stderr", diag, name="out")
    assert not sink.write(b"a line\n")
    assert diag.counts() == lost("export_failed")
    assert diag.said == []


class Raw(io.RawIOBase):
    def __init__(self):
        self.got = b""

    def write(self, data):
        self.got += bytes(data[:3])
        return min(len(data), 3)


class Flushed(io.BytesIO):
    flushed = 0

    def flush(self):
        self.flushed = len(self.getvalue())


def test_file_objects_without_a_descriptor(diag):
    text, latin = io.StringIO(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    raw, flushed = Raw(), Flushed()
    for stream in (text, latin, raw, flushed):
        sink = Descriptor(stream, diag, name="out")
        assert sink.write("é \U0001f600\n".encode())
        assert (sink.fd, sink.most) == (-1, 0)
        sink.close()
    assert text.getvalue() == "é \U0001f600\n"
    assert latin.buffer.getvalue() == b"\\xe9 \\U0001f600\n"
    assert raw.got == flushed.getvalue() == "é \U0001f600\n".encode()
    assert flushed.flushed == len(flushed.getvalue())
    assert diag.counts() == {}


class Shouts(io.FileIO):
    def write(self, data):
        return super().write(bytes(data).upper())


@pytest.mark.parametrize(
    "open_one",
    [
        partial(gzip.open, mode="w"),
        partial(bz2.open, mode="w"),
        partial(gzip.open, mode="wt"),
        lambda path: io.TextIOWrapper(gzip.GzipFile(path, "w")),
        partial(open, mode="w", encoding="utf-16"),
        partial(Shouts, mode="w"),
        lambda path: io.BufferedWriter(Shouts(path, "w")),
    ],
)
def test_what_a_file_object_makes_of_lines_is_not_passed_by(open_one, tmp_path, diag):
    path, line = tmp_path / "log", "é\n"
    with open_one(path) as file:
        file.write(line if isinstance(file, io.TextIOBase) else line.encode())
        file.flush()
    wanted = path.rename(tmp_path / "log.1").read_bytes()
    with open_one(path) as file:
        sink = Descriptor(file, diag, name="out")
        assert sink.write(line.encode())
        assert (sink.fd, sink.most) == (-1, 0)
    got = path.read_bytes()
    assert got[10:] == wanted[10:]  # behind the time that gzip has
    assert diag.counts() == {}


@pytest.mark.parametrize(
    "open_one",
    [
        partial(open, mode="w"),
        partial(open, mode="wb"),
        partial(open, mode="ab", buffering=0),
        partial(open, mode="w", encoding="UTF8"),
    ],
)
def test_lines_for_a_plain_file_object_go_to_its_descriptor(open_one, tmp_path, diag):
    with open_one(tmp_path / "log") as file:
        sink = Descriptor(file, diag, name="out")
        assert sink.write(b"a line\n")
        assert sink.fd > 2
        sink.close()
    assert (tmp_path / "log").read_bytes() == b"a line\n"


class Exploding(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (SystemExit(3), "SystemExit(3)"),
        (RuntimeError("reentrant call"), "RuntimeError('reentrant call')"),
    ],
)
def test_a_file_object_that_raises(error, text, diag):
    sink = Descriptor(Exploding(error), diag, name="out")
    assert not sink.write(b"a line\n")
    assert diag.said == [f"logs 'out': writing failed: {text}."]
    assert diag.counts() == lost("export_failed")


def test_what_is_the_hosts_passes_through(diag):
    sink = Descriptor(Exploding(KeyboardInterrupt()), diag, name="out")
    with pytest.raises(KeyboardInterrupt):
        sink.write(b"a line\n")
    assert diag.counts() == {}


def test_the_descriptor_of_a_file_object_outlives_it(tmp_path, diag):
    path = tmp_path / "log"
    with path.open("a") as file:
        file.write("first\n")
        sink = Descriptor(file, diag, name="out")
        assert sink.write(b"second\n")
        assert sink.fd not in {-1, file.fileno()}
    other = os.open(os.devnull, os.O_RDONLY)  # takes the number
    assert sink.write(b"third\n")
    assert path.read_text() == "first\nsecond\nthird\n"
    fd = sink.fd
    sink.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    os.close(other)


def test_a_descriptor_that_was_given_stays_open(pipe, diag):
    sink = Descriptor(pipe[1], diag, name="out")
    assert sink.write(b"a line\n")
    sink.close()
    assert os.read(pipe[0], 100) == b"a line\n"
    os.fstat(pipe[1])


def test_how_long_a_plain_line_may_be(pipe, tmp_path, diag):
    ours, theirs = socket.socketpair()
    master, terminal = pty.openpty()
    with (tmp_path / "log").open("wb") as file, ours, theirs:
        expected = {
            pipe[1]: select.PIPE_BUF,
            ours.fileno(): select.PIPE_BUF,
            terminal: sys.maxsize,
            file.fileno(): sys.maxsize,
        }
        for fd, most in expected.items():
            sink = Descriptor(fd, diag, name="out")
            sink._make_ready()
            assert (sink.fd, sink.most) == (fd, most)
    os.close(master)
    os.close(terminal)


# --- files -----------------------------------------------------------------------------


def test_a_file_is_made_and_appended_to(tmp_path, diag):
    path = tmp_path / "log"
    for _ in range(2):
        sink = Descriptor(str(path), diag, name="out")
        assert sink.write(b"a line\n")
        assert not os.get_inheritable(sink.fd)
        sink.close()
        assert sink.fd == -1
    assert path.read_bytes() == b"a line\n" * 2
    assert path.stat().st_mode & 0o777 == 0o640 & ~umask()
    assert sink.write(b"after close\n")
    assert path.read_bytes() == b"a line\n" * 2 + b"after close\n"
    sink.close()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_missing_directory(tmp_path, diag):
    path = tmp_path / "no" / "log"
    sink = Descriptor(path, diag, name="out")
    text = (
        f"logs 'out': cannot open {str(path)!r}: there is no directory "
        f"{str(path.parent)!r}. Make it."
    )
    assert not sink.write(b"a line\n")
    assert diag.said == [text]
    assert diag.counts() == lost("export_failed")
    path.parent.mkdir()
    eventually(lambda: sink.write(b"a line\n"))
    assert path.read_bytes() == b"a line\n"
    sink.close()


def eventually(holds):
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_directory_in_the_place_of_a_file(tmp_path, diag):
    assert not Descriptor(tmp_path, diag, name="out").write(b"a line\n")
    assert diag.said == [f"logs 'out': cannot open {str(tmp_path)!r}: Is a directory."]


def test_a_file_object_when_there_are_no_more_descriptors(tmp_path, diag):
    with (tmp_path / "log").open("w") as file:
        sink = Descriptor(file, diag, name="out")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            assert not sink.write(b"lost\n")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        text = "cannot duplicate its descriptor: Too many open files."
        assert diag.said == [f"logs 'out': {text}"]
        assert diag.counts() == lost("export_failed")
        assert sink.write(b"a line\n")
        sink.close()
    assert (tmp_path / "log").read_bytes() == b"a line\n"


def test_reopen_goes_on_in_a_new_file(tmp_path, diag):
    path, moved = tmp_path / "log", tmp_path / "log.1"
    sink = Descriptor(path, diag, name="out")
    assert sink.write(b"one\n")
    path.rename(moved)
    sink.reopen()
    assert sink.write(b"two\n")
    assert (moved.read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")
    sink.close()


@pytest.mark.parametrize(
    "remove", [os.remove, lambda path: os.rename(path, f"{path}.1")]
)
def test_a_file_that_went_is_made_anew_within_a_second_or_so(remove, tmp_path, diag):
    path = tmp_path / "log"
    sink = Descriptor(path, diag, name="out")
    assert sink.write(b"before\n")
    fd = sink.fd
    remove(path)
    eventually(lambda: sink.write(b"after\n") and path.exists())
    assert path.read_bytes() == b"after\n"
    assert sink.fd == fd
    sink.close()


def test_threads_that_open_one_file_share_its_descriptor(tmp_path, diag):
    before = open_files()
    sink = Descriptor(tmp_path / "log", diag, name="out")
    together = threading.Barrier(8)

    def write():
        together.wait()
        for _ in range(50):
            sink.reopen()
            assert sink.write(b"a line\n")

    run(write, 8)
    assert (tmp_path / "log").read_bytes() == b"a line\n" * 400
    sink.close()
    assert open_files() == before


def run(function, count, *args):
    threads = [threading.Thread(target=function, args=args) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


# --- what fails ------------------------------------------------------------------------


def test_a_full_disk_is_counted_and_said(diag):
    sink = Descriptor("/dev/full", diag, name="out")
    assert not sink.write(b"a line\n")
    assert diag.counts() == lost("export_failed")
    assert diag.said == ["logs 'out': writing failed: No space left on device."]
    sink.close()


def test_a_reader_that_went(pipe, diag):
    os.close(pipe[0])
    sink = Descriptor(pipe[1], diag, name="out")
    assert not sink.write(b"short\n")
    assert not sink.write(b"x" * 10_000 + b"\n")
    assert diag.counts() == lost("export_failed", 2)
    assert diag.said == ["logs 'out': writing failed: Broken pipe."] * 2


def test_a_descriptor_that_is_closed(pipe, diag):
    os.close(pipe[1])
    sink = Descriptor(pipe[1], diag, name="out")
    assert not sink.write(b"a line\n")
    assert diag.said == ["logs 'out': writing failed: Bad file descriptor."]


@pytest.mark.parametrize("kind", ["path", "file object"])
def test_closing_what_somebody_has_closed(kind, tmp_path, diag):
    path = tmp_path / "log"
    with path.open("a") as file:
        sink = Descriptor(path if kind == "path" else file, diag, name="out")
        assert sink.write(b"a line\n")
        os.close(sink.fd)
        sink.close()
        assert diag.said == ["logs 'out': closing failed: Bad file descriptor."]
        assert diag.counts() == lost("export_failed")
        assert sink.write(b"another\n")
        sink.close()
    assert path.read_bytes() == b"a line\nanother\n"


def test_what_fails_is_said_once_a_minute(capfd):
    sink = Descriptor("/dev/full", Diag("shop"), name="out")
    for _ in range(100):
        sink.write(b"a line\n")
    assert capfd.readouterr().err.count("\n") == 1
    sink.close()


def test_a_failing_stderr_does_not_recur(pipe):
    """What is said goes to the descriptor that fails."""
    saved = os.dup(2)
    os.close(pipe[0])
    os.dup2(pipe[1], 2)
    diag = Diag("shop")
    try:
        assert not Descriptor(2, diag, name="out").write(b"a line\n")
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    assert diag.dropped_counts()["logs", "out", "export_failed"] == 1


def test_a_line_after_half_a_line_begins_anew(tmp_path, diag):
    """A limit on the size of files stands for a disk that is full in mid-line."""
    path = tmp_path / "log"
    code = (
        "import resource, signal; from obs._diag import Diag\n"
        "from obs.logs._descriptor import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"sink = Descriptor({str(path)!r}, Diag(), name='out')\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))\n"
        "assert sink.write(b'first\\n'); assert not sink.write(b'second\\n')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "assert sink.write(b'third\\n'); assert sink.write(b'fourth\\n')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=SECONDS)
    assert path.read_bytes() == b"first\nseco\nthird\nfourth\n"


# --- slow readers ----------------------------------------------------------------------


def test_what_a_plain_write_left_is_written_next(diag):
    ours, theirs = socket.socketpair()
    reader = Reader(theirs.detach(), pause=0.001, size=4096)
    sink = Descriptor(ours.fileno(), diag, name="out")
    ours.setblocking(False)
    sink._make_ready()
    text = line(1, 1, 1_000_000)
    count = os.write(sink.fd, text)
    assert count < len(text)
    assert sink.rest(text, count)
    assert sink.write(line(1, 2, 100))
    eventually(sink.flush)
    assert sink.most == select.PIPE_BUF
    ours.close()
    assert whole(reader.lines()) == [(1, 1), (1, 2)]


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_full_pipe_keeps_lines_and_then_drops_and_counts(size, pipe, diag):
    filled = fill(pipe[1])
    sink = Descriptor(pipe[1], diag, name="out")
    begun = time.monotonic()
    went = [sink.write(line(1, number, size)) for number in range(1000)]
    assert time.monotonic() - begun < 0.1 * (1 + time.monotonic() - begun) + 0.5
    kept = went.count(True)
    assert kept == min(MOST_WAITING, 1024 * 1024 // size)
    assert went == [True] * kept + [False] * (1000 - kept)
    assert diag.counts() == lost("queue_full", 1000 - kept)
    assert set(diag.said) == {"logs 'out': lines are dropped: the reader is too slow."}
    assert sink.most == 0
    reader = Reader(os.dup(pipe[0]))
    eventually(sink.flush)
    assert sink.most == select.PIPE_BUF
    assert sink.write(line(1, 1000, 100))
    os.close(pipe[1])
    reader.join(SECONDS)
    got = bytes(reader.got[filled:]).split(b"\n")[:-1]
    assert whole(got) == [(1, number) for number in [*range(kept), 1000]]


def test_a_reader_that_is_only_slow_loses_nothing(pipe, diag):
    os.set_blocking(pipe[1], False)
    reader = Reader(os.dup(pipe[0]), pause=0.002)
    sink = Descriptor(pipe[1], diag, name="out")
    for number in range(5000):
        assert sink.write(line(1, number, 1000))
    eventually(sink.flush)
    os.close(pipe[1])
    assert whole(reader.lines()) == [(1, number) for number in range(5000)]
    assert diag.counts() == {}


def test_close_counts_what_nobody_reads(pipe, diag):
    fill(pipe[1])
    sink = Descriptor(pipe[1], diag, name="out")
    for _ in range(3):
        assert sink.write(b"a line\n")
    begun = time.monotonic()
    sink.close()
    assert time.monotonic() - begun < 0.1 + 0.5
    assert diag.counts() == lost("closed", 3)


def test_a_terminal_that_takes_a_line_in_parts(diag):
    master, terminal = pty.openpty()
    os.set_blocking(terminal, False)
    reader = Reader(master, pause=0.001)
    sink = Descriptor(terminal, diag, name="out")
    for number in range(20):
        assert sink.write(line(1, number, 20_000))
    eventually(sink.flush)
    eventually(lambda: reader.got.count(b"\n") == 20)
    os.close(terminal)
    lines = [text.rstrip(b"\r") for text in reader.lines()]
    assert whole(lines) == [(1, number) for number in range(20)]


# --- many at once ----------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("size", [100, 9_000, 40_000, 150_000])
def test_threads_that_write_lines_longer_than_a_pipe_takes_at_once(
    blocking, size, pipe, diag
):
    os.set_blocking(pipe[1], blocking)
    reader = Reader(os.dup(pipe[0]), size=30_000)
    sink = Descriptor(pipe[1], diag, name="out")
    count = 20_000_000 // (6 * max(size, 10_000))
    said = Counter()
    numbers = iter(range(100))

    def write():
        me = next(numbers)
        for number in range(count):
            # Every other line is short, and goes out by a plain write where it may.
            text = line(me, number, size if number % 2 else 200)
            said[me] += 1
            if len(text) > sink.most:
                said["lost", me] += not sink.write(text)
                continue
            try:
                written = os.write(sink.fd, text)
            except BlockingIOError:
                said["lost", me] += not sink.write(text)
            else:
                if written != len(text):
                    said["lost", me] += not sink.rest(text, written)

    sink._make_ready()
    run(write, 6)
    eventually(sink.flush)
    os.close(pipe[1])
    found = whole(reader.lines())
    dropped = sum(diag.counts().values())
    assert dropped == sum(n for who, n in said.items() if isinstance(who, tuple))
    assert len(found) == len(set(found)) == 6 * count - dropped
    assert dropped == 0
    assert sink.most == select.PIPE_BUF


def test_signal_handlers_within_long_writes(pipe, diag):
    reader = Reader(os.dup(pipe[0]), pause=0.0005, size=8192)
    sink = Descriptor(pipe[1], diag, name="out")
    nested = []
    numbers = itertools.count()

    def handler(number, frame):
        nested.append(sink.write(line(2, next(numbers), 5_000)))
        nested.append(sink.write(line(2, next(numbers), 50)))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in range(300):
            assert sink.write(line(1, number, 20_000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    eventually(sink.flush)
    os.close(pipe[1])
    found = whole(reader.lines())
    assert all(nested)
    assert len(nested) > 20
    assert sorted(found) == sorted(
        [(1, n) for n in range(300)] + [(2, n) for n in range(len(nested))]
    )
    assert [n for who, n in found if who == 1] == list(range(300))


class Stop(Exception):
    """What a handler raises."""


def test_an_exception_out_of_a_handler_leaves_no_claim_behind(pipe, diag):
    sink = Descriptor(pipe[1], diag, name="out")
    sink._make_ready()

    def handler(number, frame):
        assert sink.write(line(2, 1, 5_000))  # waits for the writer it interrupted
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Stop):
            sink.write(line(1, 1, 200_000))  # nobody reads
    finally:
        signal.signal(signal.SIGALRM, before)
    reader = Reader(os.dup(pipe[0]))
    assert sink.write(line(3, 1, 50))
    assert sink.most == select.PIPE_BUF
    os.close(pipe[1])
    half, *rest = reader.lines()
    assert half.startswith(b"1 1 200000 x")
    assert whole(rest) == [(2, 1), (3, 1)]
    assert diag.counts() == {}


def test_a_child_forked_while_another_thread_holds_the_claim(pipe, diag):
    sink = Descriptor(pipe[1], diag, name="out")
    sink._make_ready()
    thread = threading.Thread(target=sink.write, args=(line(1, 1, 200_000),))
    thread.start()
    eventually(lambda: sink.most == 0 and readable(pipe[0]) >= 60_000)
    assert sink.write(line(1, 2, 50))  # waits for the thread
    pid = os.fork()
    if not pid:
        theirs = os.pipe()
        os.dup2(theirs[1], sink.fd)
        good = sink.write(line(2, 1, 50)) and sink.write(line(2, 2, 9_000))
        os.close(theirs[1])
        os.close(sink.fd)
        got = b""
        while part := os.read(theirs[0], 65536):
            got += part
        os._exit(good and got != line(2, 1, 50) + line(2, 2, 9_000))
    reader = Reader(os.dup(pipe[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    thread.join(SECONDS)
    os.close(pipe[1])
    assert whole(reader.lines()) == [(1, 1), (1, 2)]


def readable(fd):
    size = bytearray(4)
    fcntl.ioctl(fd, 0x541B, size)
    return int.from_bytes(size, sys.byteorder)


def test_processes_that_share_a_pipe_write_long_lines_whole(pipe, diag):
    """A pipe that has room takes a line in one piece; within one it waits for that."""
    sink = Descriptor(pipe[1], diag, name="out")
    children = []
    for who in range(4):
        pid = os.fork()
        if not pid:
            os.close(pipe[0])
            went = [sink.write(line(who, n, 9_000)) for n in range(300)]
            os._exit(not all(went))
        children.append(pid)
    os.close(pipe[1])
    reader = Reader(os.dup(pipe[0]))
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(whole(reader.lines())) == 1200


def test_no_line_is_stranded_that_comes_when_the_holder_lets_go(
    pipe, diag, monkeypatch
):
    """At the last moment before the claim ends another thread's line finds it taken."""
    sink = Descriptor(pipe[1], diag, name="out")
    real = Descriptor._set_room
    late = iter([line(2, 1, 5_000)])

    def set_room(self, size):
        real(self, size)
        if size and self._claim.is_mine():
            for text in late:
                run(self.write, 1, text)

    monkeypatch.setattr(Descriptor, "_set_room", set_room)
    assert sink.write(line(1, 1, 5_000))
    assert not sink._waiting
    os.close(pipe[1])
    assert whole(Reader(os.dup(pipe[0])).lines()) == [(1, 1), (2, 1)]


def test_a_ticket_that_lost_does_not_end_the_claim():
    claim = _descriptor.Claim()
    ticket = claim.take()
    assert ticket is not None
    assert claim.is_mine()
    for _ in range(3):
        assert claim.take() is None
    del ticket
    assert not claim.is_mine()
    assert claim.take() is not None


def test_a_file_object_with_a_descriptor_that_cannot_flush(diag):
    with tempfile.TemporaryFile("r") as file:
        file.close()
        assert not Descriptor(file, diag, name="out").write(b"a line\n")
    assert len(diag.said) == 1


def test_what_nobody_has_any_more_is_closed(tmp_path):
    gc.collect()  # here only: what is closed is closed without a collection
    with open(tmp_path / "log", "ab") as stream:
        before = len(os.listdir("/proc/self/fd"))
        for target in (stream, tmp_path / "other"):
            sink = Descriptor(target, Diag(), name="x")
            sink.write(b"line\n")
            assert len(os.listdir("/proc/self/fd")) == before + 1
            del sink
            assert len(os.listdir("/proc/self/fd")) == before
