"""Starting and closing the exporters of an instance."""

import time
from collections.abc import Callable, Iterable
from threading import RLock
from typing import Protocol

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._source import InstanceSource
from obs.errors import DefinitionError, StartFailed, shown, type_name
from obs.model import FlushResult
from obs.protocols import PullExporter


class Hook(Protocol):
    """Something that runs while the instance does."""

    def start(self) -> None:
        """Begin; idempotent."""
        ...

    def stop(self) -> None:
        """End; idempotent."""
        ...


class Lifecycle:
    """The exporters of one instance, and whether they run.

    One call at a time does something; it may call back on its own thread. No recording
    call comes here.

    Args:
        exporters: What the instance was made with.
        make_source: Gives the source for an exporter of a name.
        hooks: What runs besides the exporters.
        diag: Where failures are said.
        shutdown_timeout: Seconds that a close may take.
    """

    def __init__(
        self,
        exporters: Iterable[PullExporter],
        make_source: Callable[[str], InstanceSource],
        hooks: Iterable[Hook],
        diag: Diag,
        shutdown_timeout: float,
    ) -> None:
        is_number = type(shutdown_timeout) in (int, float)
        if not is_number or not 0 <= shutdown_timeout < float("inf"):
            text = (
                f"Obs: shutdown_timeout got {shown(shutdown_timeout)}, needs seconds of "
                "at least 0."
            )
            raise DefinitionError(text)
        self._make_source = make_source
        self._hooks = hooks
        self._diag = diag
        self._timeout = shutdown_timeout
        self._lock = RLock()
        self._is_running = False
        self._sources: dict[int, InstanceSource] = {}
        self.ever_started = False
        self.exporters = _check_exporters(exporters)
        on_fork(self)

    def start(self) -> None:
        """Start what is not running in this process.

        Raises:
            StartFailed: An exporter could not start; those before it are closed again.
        """
        with self._lock:
            if self._is_running:
                return
            self._is_running = self.ever_started = True
            try:
                for exporter in list(self.exporters):
                    self._start_one(exporter)
            except BaseException:
                self.close(self._timeout)
                raise
            for hook in self._hooks:
                hook.start()

    def attach(self, exporter: PullExporter) -> None:
        """Add an exporter, and start it if the instance runs."""
        _check_exporter(exporter)
        with self._lock:
            if any(other is exporter for other in self.exporters):
                return
            if self._is_running:
                self._start_one(exporter)
            self.exporters.append(exporter)

    def detach(self, exporter: PullExporter) -> None:
        """Close an exporter and forget it."""
        with self._lock:
            if exporter in self.exporters:
                self.exporters.remove(exporter)
                self._close_one(exporter, time.monotonic() + self._timeout)

    def close(self, timeout: float | None = None) -> FlushResult:
        """Close all exporters by one deadline; idempotent."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        with self._lock:
            self._is_running = False
            for hook in self._hooks:
                hook.stop()
            for exporter in reversed(self.exporters):
                self._close_one(exporter, deadline)
        return FlushResult.over({})

    def after_fork_in_child(self) -> None:
        """Count as not started: what runs, runs in the parent."""
        self._lock = RLock()  # another thread of the parent may have held it
        self._is_running = False

    def _start_one(self, exporter: PullExporter) -> None:
        source = self._make_source(_name_of(exporter))
        try:
            exporter.start(source)
        except BaseException as error:
            source.end()
            if isinstance(error, DefinitionError | StartFailed) or not isinstance(
                error, Exception
            ):
                raise
            text = f"exporter {_name_of(exporter)!r}: {type_name(error)}: {error}."
            raise StartFailed(text) from error
        self._sources[id(exporter)] = source

    def _close_one(self, exporter: PullExporter, deadline: float) -> None:
        source = self._sources.pop(id(exporter), None)
        if source is None:
            return
        source.end()
        try:
            exporter.close(deadline)
        except BaseException as error:
            if is_the_hosts(error):
                raise
            self._diag.say(
                "close",
                f"exporter {_name_of(exporter)!r}: close() raised {shown(error)}.",
            )


def _name_of(exporter: object) -> str:
    return str(getattr(exporter, "name", type(exporter).__name__))


def _check_exporters(exporters: Iterable[PullExporter]) -> list[PullExporter]:
    try:
        return [_check_exporter(exporter) for exporter in exporters]
    except TypeError:
        text = f"Obs: exporters got {shown(exporters)}, needs a list of exporters."
        raise DefinitionError(text) from None


def _check_exporter(exporter: PullExporter) -> PullExporter:
    if callable(getattr(exporter, "start", None)) and callable(
        getattr(exporter, "close", None)
    ):
        return exporter
    text = (
        f"Obs: exporters got {shown(exporter)}, needs an exporter with start(source) "
        "and close(deadline), such as PrometheusExporter()."
    )
    raise DefinitionError(text)
