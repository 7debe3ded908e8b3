"""All lanes of one instance: the tick that feeds them, flush, close, forks and exits."""

import sys
from _thread import start_new_thread
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from random import Random
from threading import Lock
from time import monotonic
from typing import Any, TypeAlias

from obs._diag import Diag
from obs._fork import on_fork
from obs.catalog import CATALOG
from obs.delivery._intake import Intake
from obs.delivery._lane import Lane, Queue
from obs.delivery._ledger import FILTERED, Ledger
from obs.delivery._pushes import PushQueue
from obs.delivery._records import RecordQueue, Sized
from obs.delivery._ticker import TICK, Ticker
from obs.delivery._worker import CLOSING, Worker, is_the_hosts_here, text_of
from obs.errors import DefinitionError, type_name
from obs.limits import Limits
from obs.metrics import Registry
from obs.model import FlushResult, LaneResult, Resource, Scope, Snapshot
from obs.protocols import PushExporter

CHUNK = 64
"""How many records are made ready at once."""
BY_TRACEBACK = ("ast", "tokenize")
"""What ``traceback`` imports while it prints a span's exception."""

Read: TypeAlias = Callable[[Any], "Sized | None"]
"""Makes of what was recorded a record and its size; None of what is not to be sent."""


class Lanes:
    """The push exporters of one instance.

    Threads: any; of ``add``, ``remove``, ``start`` and ``close`` one call at a time.

    Args:
        intakes: Where records come from, and what makes them ready.
        registry: Whose snapshots are pushed.
        resource: Gives who sends.
        diag: Where failures are said.
        limits: How much may wait.
        shutdown_timeout: Seconds that the exit of a forked child may take.

    Attributes:
        scope: Which instrumentation sends.
        ledgers: What became of everything, by signal and exporter.
        produced: How many records were made, by signal.
    """

    scope = Scope()

    def __init__(
        self,
        intakes: Sequence[tuple[Intake, Read]],
        registry: Registry,
        resource: Callable[[], Resource],
        diag: Diag,
        limits: Limits,
        shutdown_timeout: float,
    ) -> None:
        self._intakes = intakes
        self._registry = registry
        self._resource = resource
        self._diag = diag
        self._limits = limits
        self._timeout = shutdown_timeout
        self._durations = registry.block(CATALOG["obs.export.duration"])
        self._workers: dict[str, Worker] = {}
        self._left: dict[str, Worker] = {}
        self._random = Random()
        self._is_running = False
        self._is_forked = False
        self._is_asleep = False
        self._ticker: Ticker
        self._is_known_to_multiprocessing = False
        self._counted: dict[str, tuple[int, int]] = {}
        self.ledgers: dict[tuple[str, str], Ledger] = {}
        self.produced = dict.fromkeys([it.signal for it, _ in intakes], 0)
        self._begin()
        on_fork(self)

    @property
    def resource(self) -> Resource:
        """Who sends; another after a fork."""
        return self._resource()

    def snapshot(self) -> Snapshot:
        """Read the registry."""
        return self._registry.snapshot()

    def say(self, reason: str, text: str) -> None:
        """Write a line to stderr, at most one a minute for each reason."""
        self._diag.say(reason, text)

    def took(self, signal: str, exporter: str, seconds: float) -> None:
        """Observe how long one send took."""
        self._durations.series((signal, exporter)).observe(seconds)

    def left_out(self, exporter: str, points: Mapping[str, int], merged: int) -> None:
        """Count the points that a push does not hold, and those that became one.

        They are no loss of an exporter's, whose books count pushes. What a filter kept back
        is neither counted nor said.
        """
        who = f"exporter {exporter!r}"
        for reason, n in points.items():
            if reason == FILTERED:
                continue
            self._diag.dropped("metrics", reason, n)
            text = f"{who}: {n} points of a push left out: {reason}."
            self._diag.say(f"{exporter} {reason}", text, once=f"{who} {reason}")
        if merged:
            self._diag.truncated("metrics", merged)
            text = f"{who}: {merged} series have the names of others there and add up."
            self._diag.say(f"{exporter} merged", text, once=f"{who} merged")

    def workers(self) -> list[Worker]:
        """Give those of the exporters that there are."""
        return list(self._workers.values())

    def add(self, exporter: PushExporter) -> None:
        """Give an exporter a lane; ``start`` lets it run.

        Raises:
            DefinitionError: Another exporter has its name.
        """
        name = exporter.name
        if name in self._workers:
            text = (
                f"exporter {name!r}: another exporter has this name. "
                "Give one of them name=..."
            )
            raise DefinitionError(text)
        before = self._left.pop(name, None)
        is_same = before is not None and before.exporter is exporter
        worker = self._worker(exporter, before if is_same else None)
        self._workers[name] = worker
        for ledger in worker.ledgers:
            self._durations.series((ledger.signal, name))
        self._open_intakes()

    def remove(self, exporter: PushExporter, deadline: float) -> None:
        """Send what waits for an exporter, close it, and forget it."""
        worker = self._workers.get(exporter.name)
        if worker is None or worker.exporter is not exporter:
            return
        try:
            if self._is_running:
                self._close([worker], deadline)
        finally:
            del self._workers[exporter.name]
            if worker.inside is not None:
                self._left[exporter.name] = worker.inside
            self._open_intakes()

    def start(self) -> None:
        """Start the threads that are not running."""
        # Here and not on a lane's thread: all import modules, and a fork in the middle of
        # that leaves the child half a module, for which who imports it waits for ever.
        self._resource()
        _import(BY_TRACEBACK)
        for worker in self.workers():
            _import(getattr(worker.exporter, "imports", ()))
        if not self._is_running:
            self._is_running = True
            for name, worker in self._workers.items():
                if worker.is_over:
                    self._workers[name] = self._worker(worker.exporter, worker.inside)
            self._open_intakes()
        self._end_with_multiprocessing()
        self._start_threads()

    def flush(self, deadline: float) -> FlushResult:
        """Send what there is, and a snapshot of the metrics, by a deadline."""
        workers = self.workers()
        before = [worker.counts() for worker in workers]
        if self._is_running:
            self._start_threads()  # a forked child's, which would start soon
        self.tick(deadline)
        for worker in workers:
            worker.hurry()
        if self._is_running:
            _wait(workers, deadline)
        return _results(workers, before)

    def close(self, deadline: float) -> FlushResult:
        """Send what there is and end, by a deadline; what is left is counted."""
        workers = self.workers()
        before = [worker.counts() for worker in workers]
        if self._is_running:
            self._start_threads()  # this thread may get stuck where those do
            self._is_running = False
            for intake, _ in self._intakes:
                intake.close()
            try:
                self._close(workers, deadline)
            finally:
                self.tick(monotonic() + CLOSING)  # where the tick before was broken off
                self._ticker.stop(deadline)
                self._ticker = Ticker(self._tick)
        return _results(workers, before)

    def tick(self, deadline: float) -> int:
        """Move what was recorded to every lane; give how many records that were."""
        left = max(deadline - monotonic(), 0.0)
        if not self._ticking.acquire(timeout=min(left, 3_600.0)):
            return 0
        try:
            return sum(self._move(intake, read) for intake, read in self._intakes)
        finally:
            self._ticking.release()

    def exit(self, deadline: float | None = None) -> None:
        """Close at the end of the process; quick where a forked child recorded nothing."""
        if self.owes():
            self.close(monotonic() + self._timeout if deadline is None else deadline)

    def owes(self) -> bool:
        """Whether there may be something to deliver at the end of the process."""
        is_idle = self._is_forked and not self.has_recorded()
        return self._is_running and not is_idle

    def after_fork_in_child(self) -> None:
        """Start anew: threads and what they were to send belong to the parent.

        Threads are started again by the first record; where metrics are pushed at once,
        for a number that is counted tells nobody.
        """
        self._begin()
        self._random.seed()
        self._is_forked = self._is_asleep = self._is_running
        self.produced = dict.fromkeys(self.produced, 0)
        self._counted = {}
        self._left = {}
        for ledger in self.ledgers.values():
            ledger.clear()
        for name, worker in self._workers.items():
            self._workers[name] = self._worker(worker.exporter)
        for intake, _ in self._intakes:
            intake.forked()
        if self._is_running:
            self._end_with_multiprocessing()
            if any("metrics" in it.exporter.signals for it in self._workers.values()):
                self._woken()

    def _close(self, workers: Sequence[Worker], deadline: float) -> None:
        """Have lanes end; also where a signal handler raises, what is left is counted."""
        try:
            self.tick(deadline)
            for worker in workers:
                worker.close(deadline)
            _wait(workers, deadline + CLOSING)
        finally:
            for worker in workers:
                worker.abandon()

    def _begin(self) -> None:
        self._ticking = Lock()
        self._starting = Lock()
        self._ticker = Ticker(self._tick)

    def _worker(self, exporter: PushExporter, before: Worker | None = None) -> Worker:
        delivery = exporter.delivery
        queues: list[Queue] = []
        for signal in sorted(exporter.signals):
            key = (signal, exporter.name)
            if key not in self.ledgers:
                self.ledgers[key] = Ledger(signal, exporter.name, self._diag)
            ledger = self.ledgers[key]
            if signal == "metrics":
                queues.append(PushQueue(ledger, delivery, self._random, monotonic()))
            else:
                queues.append(RecordQueue(ledger, delivery, self._limits, self._random))
        return Worker(exporter, Lane(queues, delivery), self, before)

    def _open_intakes(self) -> None:
        for intake, _ in self._intakes:
            takers = [
                it for it in self.workers() if intake.signal in it.exporter.signals
            ]
            intake.open(self._limits.queue_records if takers else 0, self._woken)

    def _start_threads(self) -> None:
        """Start the threads that there are not; what cannot be started is said."""
        try:
            with self._starting:
                self._start_missing()
        except RuntimeError as error:
            # Since Python 3.12 there are no new ones when the interpreter ends; exit does
            # their work in a moment.
            if "shutdown" not in str(error):
                text = f"no thread could be started ({error}): only flush() sends."
                self.say("thread", text)

    def _start_missing(self) -> None:
        if self._is_running:
            for worker in self.workers():
                worker.start()
            if self._workers:
                self._ticker.start()

    def _start_soon(self) -> None:
        """Start the threads from where no lock may be taken.

        Those of the lanes at once: when the process ends it may be too late for it, and
        a send that hangs must not be on the thread that ends it.
        """
        try:
            for worker in self.workers():
                worker.start_from_anywhere()
            start_new_thread(self._start_threads, ())
        except RuntimeError:  # flush and close do their work then
            return

    def _woken(self) -> None:
        """Do what is to be done when many records wait, or the first one of a child."""
        if self._is_asleep:
            self._start_soon()
            self._is_asleep = False
        else:
            self._ticker.nudge()

    def _tick(self) -> None:
        try:
            self.tick(monotonic() + TICK)
        except BaseException as error:  # noqa: BLE001 - nobody else would feed the lanes
            self.say("tick", f"a tick raised {type_name(error)}: {text_of(error)}.")

    def _move(self, intake: Intake, read: Read) -> int:
        signal = intake.signal
        lost, late = intake.lost.read(), intake.late.read()
        lost_before, late_before = self._counted.get(signal, (0, 0))
        self._counted[signal] = (int(lost), int(late))
        new_lost, new_late = int(lost) - lost_before, int(late) - late_before
        self.produced[signal] += new_lost + new_late
        takers = [it for it in self.workers() if signal in it.exporter.signals]
        left = moved = len(intake)
        if not moved:
            intake.expect(intake.capacity)
        while left > 0 or new_lost or new_late:
            records = intake.take(min(left, CHUNK))
            ready = [it for it in (self._ready(read, one) for one in records) if it]
            self.produced[signal] += len(ready)
            for worker in takers:
                worker.put(signal, ready, new_lost, new_late)
            # Nobody measures records when they come; these are what the next will be like.
            if size := sum(size for _, size in ready):
                fitting = self._limits.queue_bytes // 2 * len(ready) // size
                intake.expect(max(fitting, CHUNK))
            left -= CHUNK
            new_lost = new_late = 0
        return moved

    def _ready(self, read: Read, record: Any) -> "Sized | None":
        try:
            return read(record)
        except BaseException as error:
            if is_the_hosts_here(error):
                raise
            text = f"a record was left out: {type_name(error)}: {text_of(error)}."
            self.say("tick", text)
            return None

    def has_recorded(self) -> bool:
        """Whether anything has been recorded in this process."""
        return (
            any(len(intake) for intake, _ in self._intakes)
            or any(self.produced.values())
            or self._registry.has_recorded()
        )

    def _end_with_multiprocessing(self) -> None:
        """Have children that ``multiprocessing`` makes deliver what they have recorded.

        They end by ``os._exit``, past ``atexit``, but run finalizers before.
        """
        process = sys.modules.get("multiprocessing.process")
        util = sys.modules.get("multiprocessing.util")
        if process is None or util is None:
            return
        if process.parent_process() is not None and not self._is_forked:
            util.Finalize(None, self.exit, exitpriority=0)
        if not self._is_known_to_multiprocessing:
            self._is_known_to_multiprocessing = True
            util.register_after_fork(self, _exit_with_multiprocessing)


def _exit_with_multiprocessing(lanes: Lanes) -> None:
    from multiprocessing.util import Finalize  # noqa: PLC0415 - it is who calls us

    Finalize(None, lanes.exit, exitpriority=0)


def _import(modules: Sequence[str]) -> None:
    """Import what there is; who needs the others says so on use."""
    for module in modules:
        with suppress(Exception):
            import_module(module)


def _wait(workers: Sequence[Worker], deadline: float) -> None:
    """Wait for all; those without a thread of their own run here, each for its share."""
    here = [worker for worker in workers if not worker.has_thread]
    for index, worker in enumerate(here):
        left = deadline - monotonic()
        worker.wait(monotonic() + left / (len(here) - index))
    for worker in workers:
        worker.wait(deadline)


def _results(
    workers: Sequence[Worker], before: Sequence[dict[str, tuple[int, int, int]]]
) -> FlushResult:
    lanes: dict[str, LaneResult] = {}
    for worker, counts in zip(workers, before, strict=True):
        lanes[worker.exporter.name] = worker.result(counts)
    return FlushResult.over(lanes)
