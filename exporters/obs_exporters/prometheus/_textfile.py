"""The exporter: the page becomes a file that node_exporter reads."""

import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from obs._fork import on_fork
from obs.errors import ExportFailed, shown
from obs.model import Ack, Batch, Delivery, Payload
from obs_exporters._push import check_push, wrong_argument
from obs_exporters.prometheus._arguments import check_labels
from obs_exporters.prometheus._pushed import MAX_BYTES, PushedPage

TIMEOUT = 10.0
_ENDING = ".prom"
_NEEDS = f"a path that ends in {_ENDING}"
_MODE = 0o644
_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # no open waits for the reader of a pipe
    | getattr(os, "O_CLOEXEC", 0)
)


class TextfileExporter:
    """Writes the metrics of one instance to a file for node_exporter's textfile collector.

    Names, types and ``target_info`` are those of ``PrometheusExporter``'s page, in the text
    format 0.0.4, without times. Each write makes the whole file anew, beside its path, and
    then renames it: whoever reads finds a whole page. It has mode 0644, and stays when the
    process ends; ``node_textfile_mtime_seconds`` tells how old it is.

    node_exporter adds no label that tells files apart, and drops series that are in two:
    each series here has ``service_name``, or what ``labels`` says.

    Args:
        path: Where; ends in ``.prom``. Its folder is there.
        labels: Put on every series; None: ``service_name`` of the resource. A label of a
            metric with such a name becomes ``exported_service_name``.
        fsync: Whether to wait for the disk before the rename: after a crash of the machine
            the file is whole then.
        interval: Seconds between writes.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    imports = ("fcntl",)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        labels: Mapping[str, str] | None = None,
        fsync: bool = False,
        interval: float = 10.0,
        name: str = "textfile",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=TIMEOUT,
            signals=("metrics",),
            possible=("metrics",),
        )
        self.name = name
        self.delivery = Delivery(
            interval, TIMEOUT, MAX_BYTES, acknowledges=False, replayable=False
        )
        if not isinstance(fsync, bool):
            raise wrong_argument(name, "fsync", fsync, "True or False")
        self._path = _checked_path(name, path)
        folder, file = os.path.split(self._path)
        self._draft = os.path.join(folder, f".{file}.tmp")
        self._labels = None if labels is None else check_labels(name, "labels", labels)
        self._fsync = fsync
        self._page = PushedPage()
        self._descriptor: int | None = None
        on_fork(self)

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give the page: one body, the whole file."""
        labels = self._labels
        if labels is None:
            service = batch.resource.attributes.get("service.name", "")
            labels = {"service_name": service} if service else {}
        return [self._page.payload(batch, labels, self.delivery.max_bytes)]

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Write the file.

        Raises:
            ExportFailed: It could not be written; the one before is as it was.
        """
        body: Any = payload.body
        try:
            self._write(body)
        except OSError as error:
            text = (
                f"exporter {self.name!r}: writing {self._path!r} failed: "
                f"{error.strerror or error}."
            )
            raise ExportFailed(text, retryable=True) from error
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Do nothing: no file is open between two writes."""

    def after_fork_in_child(self) -> None:
        """Leave a write that is under way, with its lock, to the parent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __repr__(self) -> str:
        return f"TextfileExporter({shown(self._path)})"

    def _write(self, body: bytes) -> None:
        self._descriptor = descriptor = _claim(self._draft)
        try:
            os.ftruncate(descriptor, 0)
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, _MODE)  # whatever the umask
            if self._fsync:
                os.fsync(descriptor)
            os.replace(self._draft, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(self._draft)
            raise
        finally:
            self._descriptor = None
            os.close(descriptor)


def _claim(draft: str) -> int:
    """Open the file beside, for who writes alone; what a killed process left is used up.

    Raises:
        OSError: It cannot be opened, or another process is writing to it.
    """
    descriptor = os.open(draft, _FLAGS, _MODE)
    if _locks(descriptor) and _is_at(draft, descriptor):
        return descriptor
    os.close(descriptor)
    raise BlockingIOError(errno.EAGAIN, "another process is writing it")


def _locks(descriptor: int) -> bool:
    import fcntl  # noqa: PLC0415 - not on every platform

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _is_at(draft: str, descriptor: int) -> bool:
    """Say whether it is still there: who had the lock may have renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(draft))
    except FileNotFoundError:
        return False


def _checked_path(name: str, given: object) -> str:
    try:
        path = os.fspath(given)  # type: ignore[call-overload]  # checked here
        is_good = b"\0" not in os.fsencode(path) and os.path.basename(path) != _ENDING
    except (TypeError, ValueError):
        raise wrong_argument(name, "path", given, _NEEDS) from None
    if not isinstance(path, str) or not is_good or not path.endswith(_ENDING):
        raise wrong_argument(name, "path", given, _NEEDS)
    return path
