"""Starting and closing the exporters of an instance."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from threading import RLock, Thread
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._fork import on_fork
from obs._source import InstanceSource
from obs.delivery._check import check_push_exporter
from obs.errors import DefinitionError, StartFailed, shown, type_name
from obs.metrics import Registry, exact_number
from obs.model import FlushResult
from obs.protocols import PullExporter, PushExporter

if TYPE_CHECKING:
    from obs.delivery._lanes import Lanes

Exporter: TypeAlias = PullExporter | PushExporter

_LONGEST = 86_400
"""Seconds in a day: locks and sockets refuse to wait for more than they can count."""

_running: "set[Lifecycle]" = set()
"""Those with lanes: what they hold is to be delivered though the instance is forgotten."""


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
        make_source: Gives the source for a pull exporter of a name.
        make_lanes: Gives the lanes of the push exporters, when there is the first.
        hooks: What runs besides the exporters.
        diag: Where failures are said.
        shutdown_timeout: Seconds that a close may take.
    """

    def __init__(
        self,
        exporters: Iterable[Exporter],
        make_source: Callable[[str], InstanceSource],
        make_lanes: "Callable[[], Lanes]",
        hooks: Iterable[Hook],
        diag: Diag,
        shutdown_timeout: float,
    ) -> None:
        is_number = type(shutdown_timeout) in (int, float)
        if not is_number or not 0 <= shutdown_timeout <= _LONGEST:
            text = (
                f"Obs: shutdown_timeout got {shown(shutdown_timeout)}, needs seconds from "
                f"0 to {_LONGEST}."
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
        self._make_lanes = make_lanes
        self._lanes: Lanes | None = None
        for exporter in self.exporters:
            if _pushes(exporter):
                self._get_lanes().add(exporter)
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
                for hook in self._hooks:
                    hook.start()
                for exporter in list(self.exporters):
                    if _pulls(exporter):
                        self._start_one(exporter)
                self._start_lanes()
            except BaseException:
                self.close(self._timeout)
                raise

    def attach(self, exporter: Exporter) -> None:
        """Add an exporter, and start it if the instance runs."""
        _check_exporter(exporter)
        with self._lock:
            if any(other is exporter for other in self.exporters):
                return
            if _pushes(exporter):
                self._get_lanes().add(exporter)
                if self._is_running:
                    self._start_lanes()
            elif self._is_running and _pulls(exporter):
                self._start_one(exporter)
            self.exporters.append(exporter)

    def detach(self, exporter: Exporter) -> None:
        """Close an exporter and forget it."""
        deadline = self._deadline()
        with self._lock:
            if not any(other is exporter for other in self.exporters):
                return
            self.exporters = [it for it in self.exporters if it is not exporter]
            if _pushes(exporter):
                self._get_lanes().remove(exporter, deadline)
            else:
                self._close_one(exporter, deadline)

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Have everything sent by one deadline; nothing is where no exporter pushes."""
        deadline = self._deadline(timeout, "flush")
        return self._lanes.flush(deadline) if self._lanes else FlushResult.over({})

    def close(self, timeout: float | None = None) -> FlushResult:
        """Close all exporters by one deadline; idempotent."""
        deadline = self._deadline(timeout, "close")
        result = FlushResult.over({})
        left = max(deadline - time.monotonic(), 0.0)
        if not self._lock.acquire(timeout=left):  # another close, a detach
            return self.flush(0.0)
        try:
            self._is_running = False
            _running.discard(self)
            try:
                if self._lanes is not None:  # first: what the hooks know is pushed, too
                    result = self._lanes.close(deadline)
            finally:  # a signal handler may raise
                self._stop_others(deadline)
        finally:
            self._lock.release()
        return result

    def _stop_others(self, deadline: float) -> None:
        for hook in self._hooks:
            hook.stop()
        for exporter in reversed(self.exporters):
            self._close_one(exporter, deadline)

    def exit(self, deadline: float | None = None) -> None:
        """Deliver what is left when the process ends and nobody has called ``close``."""
        deadline = self._deadline() if deadline is None else deadline
        if self._is_running:
            self.close(max(deadline - time.monotonic(), 0.0))
        elif self._lanes is not None:  # in a forked child they may run all the same
            self._lanes.exit(deadline)

    def was_forgotten(self, registry: Registry) -> bool:
        """Whether something was recorded for exporters that were never started."""
        if self.ever_started or not self.exporters:
            return False
        return registry.has_recorded() or bool(
            self._lanes and self._lanes.has_recorded()
        )

    def after_fork_in_child(self) -> None:
        """Count as not started: what runs, runs in the parent."""
        self._lock = RLock()  # another thread of the parent may have held it
        self._is_running = False

    def _start_lanes(self) -> None:
        if self._lanes is not None:
            _running.add(self)
            self._lanes.start()

    def _deadline(self, timeout: float | None = None, call: str = "") -> float:
        seconds: float | None = self._timeout
        if timeout is not None:
            seconds = None if isinstance(timeout, bool) else exact_number(timeout)
        if seconds is None:
            seconds = self._timeout
            self._diag.invalid(
                f"timeout of {call}",
                f"{call}: timeout got {shown(timeout)}, needs a finite number of seconds. "
                f"shutdown_timeout was taken, {seconds} s.",
            )
        return time.monotonic() + min(seconds, _LONGEST)

    def _get_lanes(self) -> "Lanes":
        if self._lanes is None:
            self._lanes = self._make_lanes()
        return self._lanes

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

    def _close_one(self, exporter: Exporter, deadline: float) -> None:
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


async def on_thread(
    call: Callable[[float | None], FlushResult], timeout: float | None
) -> FlushResult:
    """Give the result of a call that blocks until a timeout, without blocking the loop.

    It has a thread of its own: those of the loop's executor may all be busy, in an outage
    above all. Where there can be none it is called here. If the task is cancelled, the
    call goes on.
    """
    import asyncio  # noqa: PLC0415 - who awaits has paid for it

    begun = time.monotonic()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[FlushResult | BaseException] = loop.create_future()
    context = copy_context()

    def settle(found: FlushResult | BaseException) -> None:
        if not future.done():  # it is where the task was cancelled
            future.set_result(found)

    def run() -> None:
        found: FlushResult | BaseException
        try:
            found = context.run(call, _left_of(timeout, begun))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            found = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, found)

    thread = Thread(target=run, name="obs-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # there are too many, or the interpreter ends
        return call(_left_of(timeout, begun))
    found = await future
    thread.join()  # it has done all: who counts threads after a close finds none of ours
    if isinstance(found, BaseException):
        raise found
    return found


def _left_of(timeout: float | None, begun: float) -> float | None:
    """Give what is left of a timeout; what is none comes back, for the call to say so."""
    if type(timeout) is not int and type(timeout) is not float:
        return timeout
    if not 0 < timeout <= _LONGEST:
        return timeout
    return max(timeout - (time.monotonic() - begun), 0.0)


def exit_all() -> None:
    """Deliver what is left at the end of the process: each by its own deadline, at once."""
    running = [(it, it._deadline()) for it in list(_running)]
    for lifecycle, _ in running[1:]:
        if lifecycle._lanes is not None and lifecycle._lanes.owes():
            lifecycle.flush(0.0)  # it sends while those before it are waited for
    for lifecycle, deadline in running:
        lifecycle.exit(deadline)


def _name_of(exporter: object) -> str:
    return str(getattr(exporter, "name", type(exporter).__name__))


def _pushes(exporter: Exporter) -> TypeGuard[PushExporter]:
    return callable(getattr(exporter, "send", None)) and callable(
        getattr(exporter, "encode", None)
    )


def _pulls(exporter: Exporter) -> TypeGuard[PullExporter]:
    return not _pushes(exporter)


def _check_exporters(exporters: Iterable[Exporter]) -> list[Exporter]:
    try:
        found = [_check_exporter(exporter) for exporter in exporters]
    except TypeError:
        text = f"Obs: exporters got {shown(exporters)}, needs a list of exporters."
        raise DefinitionError(text) from None
    known: set[int] = set()
    for exporter in found:
        if id(exporter) in known:
            text = (
                f"Obs: exporters has the exporter {_name_of(exporter)!r} twice. "
                "Remove one."
            )
            raise DefinitionError(text)
        known.add(id(exporter))
    return found


def _check_exporter(exporter: Exporter) -> Exporter:
    is_class = isinstance(exporter, type)
    has_start = callable(getattr(exporter, "start", None))
    can_close = callable(getattr(exporter, "close", None))
    if not is_class and can_close and (has_start or _pushes(exporter)):
        if _pushes(exporter):
            check_push_exporter(exporter)
        return exporter
    text = (
        f"Obs: exporters got {shown(exporter)}, needs an exporter with start(source) or "
        "with encode(batch) and send(payload, deadline), and with close(deadline), such "
        "as PrometheusExporter()."
    )
    raise DefinitionError(text)
