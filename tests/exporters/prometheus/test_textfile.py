"""The page as a file: whole at any moment, beside no other, whatever goes wrong."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from obs import DefinitionError, Obs
from obs.errors import ExportFailed
from obs_exporters import TextfileExporter
from obs_exporters.prometheus import _textfile
from tests.exporters.prometheus.pushes import batch_of, page_and_counts
from tests.exporters.prometheus.sources import number
from tests.open_files import open_files

PAGE = b"# TYPE n gauge\nn 1\n"
PROGRAM = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from contextlib import suppress
from obs.errors import ExportFailed
from obs.model import Payload
from obs_exporters import TextfileExporter
path, text = sys.argv[1:]
exporter = TextfileExporter(path)
def write(size):
    exporter.send(Payload(b"begin" + text.encode() * size + b"end", 1), 0.0)
"""


def write(exporter, *families):
    (payload,) = exporter.encode(batch_of(*(families or [number()])))
    return exporter.send(payload, monotonic() + 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.prom"


@pytest.fixture
def exporter(path):
    return TextfileExporter(path)


def alone(path):
    """Whether nothing else is in the folder."""
    return os.listdir(path.parent) == [path.name]


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o077, 0o000, 0o022])
def test_a_write_makes_the_file_readable_for_all(path, exporter, mask):
    with umask(mask):
        assert write(exporter) == (1, {})
    assert path.read_bytes() == PAGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert alone(path)


def test_another_write_is_another_file(path, exporter):
    write(exporter, number(help="x" * 10_000))
    first = path.stat()
    with path.open("rb") as reader:
        write(exporter)
        assert len(reader.read()) > 10_000, "who reads reads on in the old one"
    assert path.stat().st_ino != first.st_ino or path.stat().st_size < first.st_size
    assert path.read_bytes() == PAGE
    assert alone(path)


def test_a_path_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(TextfileExporter("app.prom"))
    assert Path("app.prom").read_bytes() == PAGE
    assert os.listdir() == ["app.prom"]


def test_paths_of_any_type_are_taken(path):
    assert repr(TextfileExporter(str(path))) == repr(TextfileExporter(path))
    assert repr(TextfileExporter("/a/app.prom")) == "TextfileExporter('/a/app.prom')"


def test_series_have_the_name_of_the_service(exporter):
    page, (records, dropped, merged) = page_and_counts(
        exporter, number(), service_name="shop", host_name="h"
    )
    assert page == (
        "# HELP target_info Target metadata.\n# TYPE target_info gauge\n"
        'target_info{host_name="h",service_name="shop"} 1\n'
        '# TYPE n gauge\nn{service_name="shop"} 1\n'
    )
    assert (records, dropped, merged) == (1, {}, 0)


@pytest.mark.parametrize(
    ("labels", "shown"),
    [({}, b"n 1\n"), ({"job": "a", "zone": "b"}, b'n{job="a",zone="b"} 1\n')],
)
def test_series_have_other_labels_if_asked_for(path, labels, shown):
    exporter = TextfileExporter(path, labels=labels)
    (payload,) = exporter.encode(batch_of(number(), service_name="shop"))
    assert payload.body.endswith(shown)


def test_no_reader_finds_half_a_page(path, exporter):
    pages = [
        [
            number(
                f"n{i}",
                values={("x" * 50, f"{k}"): k for k in range(n)},
                label_names=("a", "b"),
            )
        ]
        for i, n in enumerate([3_000, 1, 2_000])
    ]
    write(exporter, *pages[0])
    whole = {next(iter(exporter.encode(batch_of(*page)))).body for page in pages}
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(100):
        write(exporter, *pages[n % 3])
    stop.set()
    reader.join()
    assert seen
    assert seen <= whole


def failure(exporter):
    with pytest.raises(ExportFailed) as error:
        write(exporter)
    assert (error.value.retryable, error.value.sent) == (True, False)
    return str(error.value)


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "none" / "app.prom"
    exporter = TextfileExporter(path, name="tf")
    assert failure(exporter) == (
        f"exporter 'tf': writing {str(path)!r} failed: No such file or directory."
    )
    path.parent.mkdir()
    write(exporter)
    assert path.read_bytes() == PAGE


def test_a_folder_in_the_place_of_the_file(path, exporter):
    path.mkdir()
    assert "failed: Is a directory." in failure(exporter)
    assert alone(path), "what was written beside it is gone"


def child(path, program, text="x"):
    command = [sys.executable, "-c", PROGRAM + program, str(path), text]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_disk_that_is_full(path):
    """The file before stays as it was, and nothing is left beside it."""
    program = """
write(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try: write(5_000)
except ExportFailed as error: print(error, error.retryable)
"""
    with child(path, program) as process:
        assert process.stdout.read() == (
            f"exporter 'textfile': writing {str(path)!r} failed: File too large. True\n"
        )
    assert path.read_bytes() == b"beginxend"
    assert alone(path)


@pytest.mark.parametrize("call", ["write", "fchmod", "fsync", "replace", "ftruncate"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()]
)
def test_whatever_fails_leaves_the_file_and_nothing_else(
    path, monkeypatch, call, error
):
    exporter = TextfileExporter(path, fsync=True)
    write(exporter)
    before, files = path.stat(), open_files()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_textfile.os, call, fail)
        with pytest.raises((ExportFailed, KeyboardInterrupt)) as raised:
            write(exporter, number(help="other"))
    if isinstance(error, OSError):
        assert str(raised.value).endswith(" failed: No space left on device.")
        assert raised.value.retryable
    assert path.read_bytes() == PAGE
    assert path.stat().st_ino == before.st_ino
    assert alone(path)
    assert open_files() == files
    write(exporter, number("m"))
    assert path.read_bytes() == b"# TYPE m gauge\nm 1\n"


def test_a_short_write_goes_on(path, exporter, monkeypatch):
    put = os.write
    with monkeypatch.context() as patch:
        patch.setattr(_textfile.os, "write", lambda fd, data: put(fd, data[:3]))
        write(exporter)
    assert path.read_bytes() == PAGE


@pytest.mark.parametrize(("fsync", "syncs"), [(False, 0), (True, 1)])
def test_the_disk_is_waited_for_if_asked_for(path, monkeypatch, fsync, syncs):
    calls = []
    for name in ("fsync", "replace", "write"):
        real = getattr(os, name)
        monkeypatch.setattr(
            _textfile.os,
            name,
            lambda *a, real=real, name=name: (calls.append(name), real(*a))[1],
        )
    write(TextfileExporter(path, fsync=fsync))
    assert calls == ["write", *["fsync"] * syncs, "replace"]


def draft(path):
    return path.with_name(".app.prom.tmp")


def test_what_a_killed_process_left_is_used_up(path, exporter):
    draft(path).write_bytes(b"x" * 50_000)
    draft(path).chmod(0o600)
    write(exporter)
    assert path.read_bytes() == PAGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert alone(path)


def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_file(path):
    for _ in range(3):
        with child(path, "while True: write(2_000_000)") as process:
            end = monotonic() + 10
            while not path.exists():
                assert monotonic() < end
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert path.read_bytes() == b"begin" + b"x" * 2_000_000 + b"end"
        path.unlink()
    write(TextfileExporter(path))
    assert path.read_bytes() == PAGE
    assert alone(path)


def test_two_that_write_at_once_do_not_mix(path, exporter):
    with draft(path).open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b"half a page")
        other.flush()
        text = failure(exporter)
        assert text == (
            f"exporter 'textfile': writing {str(path)!r} failed: another process is "
            "writing it."
        )
        assert draft(path).read_bytes() == b"half a page", "it is the other's"
        os.replace(draft(path), path)
    assert path.read_bytes() == b"half a page"
    write(exporter)
    assert path.read_bytes() == PAGE
    assert alone(path)


def test_who_gets_the_lock_of_a_file_that_was_renamed_writes_to_no_old_one(
    path, exporter, monkeypatch
):
    """It was opened before the other renamed it, and locked after."""
    real = fcntl.flock

    def late(descriptor, operation):
        os.replace(draft(path), path)
        real(descriptor, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", late)
        draft(path).write_bytes(b"the other's")
        assert "another process is writing it" in failure(exporter)
    assert path.read_bytes() == b"the other's"
    write(exporter)
    assert path.read_bytes() == PAGE


def test_a_file_system_without_locks(path, exporter, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    write(exporter)
    assert path.read_bytes() == PAGE


def test_processes_that_write_one_path_leave_one_whole_page(path):
    program = """
for _ in range(200):
    with suppress(ExportFailed): write(20_000)
"""
    whole = {b"begin" + letter * 20_000 + b"end" for letter in (b"a", b"b")}
    seen = set()
    with child(path, program, "a") as one, child(path, program, "b") as other:
        while one.poll() is None or other.poll() is None:
            if path.exists():
                seen.add(path.read_bytes())
    assert (one.returncode, other.returncode) == (0, 0)
    assert seen <= whole
    assert path.read_bytes() in whole
    assert alone(path)


def test_a_link_in_the_place_of_the_draft_is_not_followed(path, exporter, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"dear")
    draft(path).symlink_to(victim)
    assert "Too many levels of symbolic links" in failure(exporter)
    assert victim.read_bytes() == b"dear"


def test_a_forked_child_lets_go_of_a_write_of_its_parent(path, exporter):
    """Else it would hold the lock for as long as it lives."""
    descriptor = exporter._descriptor = _textfile._claim(draft(path).as_posix())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads and forks do not mix
        pid = os.fork()
    if pid == 0:
        os._exit(descriptor in open_files())
    assert os.waitpid(pid, 0)[1] == 0
    assert descriptor in open_files()
    os.close(descriptor)


def test_a_lane_writes_and_at_the_end_writes_once_more(path):
    tel = Obs("shop", exporters=[TextfileExporter(path)], runtime=False)
    done = tel.counter("orders.done")
    with tel.start():
        done.inc(2)
        assert tel.flush(10).lanes["textfile"][:3] == (1, 0, 0)
        assert b'orders_done_total{service_name="shop"} 2\n' in path.read_bytes()
        done.inc(3)
    assert b'orders_done_total{service_name="shop"} 5\n' in path.read_bytes()
    assert alone(path), "it stays"


def test_closing_does_nothing(path, exporter):
    for _ in range(2):
        exporter.close(monotonic())
    write(exporter)
    assert path.exists()


NEEDS = "needs a path that ends in .prom."


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"path": "/tmp/app.txt"}, f"path got '/tmp/app.txt', {NEEDS}"),
        ({"path": ""}, f"path got '', {NEEDS}"),
        ({"path": "/tmp/.prom"}, f"path got '/tmp/.prom', {NEEDS}"),
        ({"path": "a\0.prom"}, f"path got 'a\\x00.prom', {NEEDS}"),
        ({"path": b"/tmp/app.prom"}, f"path got b'/tmp/app.prom', {NEEDS}"),
        ({"path": 5}, f"path got 5, {NEEDS}"),
        ({"fsync": 1}, "fsync got 1, needs True or False."),
        (
            {"labels": {"a.b": "c"}},
            "labels got {'a.b': 'c'}, needs a mapping of label names, without dots, to "
            "texts.",
        ),
        (
            {"labels": "a"},
            "labels got 'a', needs a mapping of label names, without dots, to texts.",
        ),
        ({"interval": "1"}, "interval got '1', needs seconds from 0.01 to 86400."),
    ],
)
def test_wrong_arguments(keywords, text):
    with pytest.raises(DefinitionError) as error:
        TextfileExporter(**{"path": "/tmp/app.prom", **keywords})
    assert str(error.value) == f"exporter 'textfile': {text}"


def test_its_attributes():
    exporter = TextfileExporter("a.prom", interval=60, name="tf")
    assert (exporter.name, exporter.signals) == ("tf", {"metrics"})
    assert exporter.delivery.interval == 60
    assert not exporter.delivery.acknowledges
