"""The thread of one lane: it does what the state machine says."""

from _thread import start_new_thread
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import inf
from threading import Condition, Thread, get_ident, main_thread
from time import monotonic, time_ns
from typing import Protocol

from obs._context import EXPORTING
from obs._foreign import is_the_hosts
from obs.delivery._lane import Action, EncodePush, EncodeRecords, End, Lane, Send, Wait
from obs.delivery._ledger import FILTERED, Ledger
from obs.delivery._records import RecordQueue, Sized
from obs.errors import ExportFailed, shown, type_name
from obs.model import Ack, Batch, LaneResult, Payload, Resource, Scope, Snapshot
from obs.protocols import PushExporter

CLOSING = 0.05
"""Seconds that closing an exporter may take where the deadline has passed already."""
PAUSE = 1.0
"""Seconds that a lane rests after an error of its own."""


class Host(Protocol):
    """What a worker needs of its instance."""

    scope: Scope

    @property
    def resource(self) -> Resource:
        """Who sends."""
        ...

    def snapshot(self) -> Snapshot:
        """Read the registry."""
        ...

    def say(self, reason: str, text: str) -> None:
        """Write a line to stderr, at most one a minute for each reason."""
        ...

    def took(self, signal: str, exporter: str, seconds: float) -> None:
        """Observe how long one send took."""
        ...

    def left_out(self, exporter: str, points: Mapping[str, int], merged: int) -> None:
        """Count the points that a push does not hold, and those that became one."""
        ...


class Worker:
    """Drives one exporter, on a thread of its own or on the caller's.

    Threads: any may call; what an exporter does happens on one at a time.

    Args:
        exporter: What it drives.
        lane: Says what is to be done.
        host: Where the data come from.
        before: Who drove the exporter before, and may still be stuck in it.

    Attributes:
        exporter: As given.
        lane: As given.
        has_thread: Whether it runs by itself.
        is_over: Whether its books are closed.
    """

    def __init__(
        self,
        exporter: PushExporter,
        lane: Lane,
        host: Host,
        before: "Worker | None" = None,
    ) -> None:
        self.exporter = exporter
        self.lane = lane
        self._host = host
        self._before = before
        self._changed = Condition()
        self._thread: Thread | None = None
        self._sending: Send | None = None
        self._is_driven = False
        self._is_closed = False
        self._is_running = False
        self.has_thread = False
        self.is_over = False

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: None can be started; flush and close do its work then.
        """
        if self.has_thread or self.is_over:
            return
        thread = Thread(target=self._run, name=f"obs-{self.exporter.name}", daemon=True)
        thread.start()
        self._thread = thread
        self.has_thread = True

    def start_from_anywhere(self) -> None:
        """Start a thread, without a name, from where no lock may be taken.

        Raises:
            RuntimeError: None can be started.
        """
        if not self.has_thread:
            start_new_thread(self._run, ())
            self.has_thread = True

    def put(self, signal: str, records: Sequence[Sized], lost: int, late: int) -> None:
        """Take the records of a tick, and count those that the intake had no room for."""
        (queue,) = (
            it
            for it in self.lane.queues
            if isinstance(it, RecordQueue) and it.signal == signal
        )
        with self._changed:
            full = queue.ledger.dropped["queue_full"]
            queue.drop("queue_full", lost)
            queue.drop("closed", late + (len(records) if self.is_over else 0))
            if not self.is_over:
                queue.put(records, monotonic())
            new = queue.ledger.dropped["queue_full"] - full
            self._changed.notify_all()
        if new:
            self._say(f"full {signal}", f"no room: {new} {signal} dropped.")

    def hurry(self) -> None:
        """Have sent at once what there is."""
        with self._changed:
            self.lane.hurry()
            self._changed.notify_all()

    def close(self, deadline: float) -> None:
        """Have the lane end; ``wait`` waits for it."""
        with self._changed:
            self.lane.close(deadline)
            self._changed.notify_all()

    def wait(self, deadline: float) -> None:
        """Wait until nothing is owed, or after ``close`` until the thread has ended."""
        if not self.has_thread:
            self._run(until=deadline)
            return
        with self._changed:
            self._changed.wait_for(self._is_done, max(deadline - monotonic(), 0.0))
        if self._thread is not None and self.lane.deadline is not None:
            self._thread.join(max(deadline - monotonic(), 0.0))

    def let_go(self, deadline: float) -> bool:
        """Wait until it is out of the exporter; give whether it came to that."""
        with self._changed:
            left = _timeout(deadline - monotonic())
            return self._changed.wait_for(lambda: not self._is_driven, left)

    def abandon(self) -> None:
        """Count what is left, whatever the thread is doing; it goes on alone."""
        self._end()
        if not self.has_thread:
            self._close_exporter()

    def result(self, before: "dict[str, tuple[int, int, int]]") -> LaneResult:
        """Give what came of it since ``counts`` gave ``before``."""
        with self._changed:
            sums = [0, 0, 0]
            for signal, counts in self.counts().items():
                for index, count in enumerate(counts):
                    sums[index] += count - before[signal][index]
            delivered, lost, unknown = sums
            return LaneResult(delivered, self.lane.owed, lost, unknown)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Give what was delivered, lost and unknown so far, by signal."""
        ledgers = [queue.ledger for queue in self.lane.queues]
        return {it.signal: (it.delivered, it.lost, it.unknown) for it in ledgers}

    @property
    def inside(self) -> "Worker | None":
        """Who may be in the exporter when this one is over."""
        return self if self._is_driven else self._before

    @property
    def ledgers(self) -> Iterable[Ledger]:
        """The ledgers of its signals."""
        return [queue.ledger for queue in self.lane.queues]

    def _run(self, until: float | None = None) -> None:
        """Do what is to be done: for ever, or on a caller's thread while it waits."""
        if self._before and not self._before.let_go(inf if until is None else until):
            return
        with self._changed:
            if until is None:
                if self._is_running:  # it was started twice at one moment
                    return
                self._is_running = True
            # A flush may be at it while the thread is started, and the other way round.
            left = inf if until is None else until - monotonic()
            is_turn = partial(self._is_turn, is_caller=until is not None)
            self._changed.wait_for(is_turn, _timeout(left))
            if self._is_driven or self.is_over:
                return
            self._is_driven = True
        try:
            while self._survives(until):
                pass
            if self.is_over:
                self._close_exporter()
        finally:
            with self._changed:
                self._is_driven = False
                self._changed.notify_all()

    def _is_turn(self, *, is_caller: bool) -> bool:
        return not self._is_driven or self.is_over or (is_caller and self._is_done())

    def _is_done(self) -> bool:
        """Whether who flushes or closes has nothing to wait for."""
        if self.lane.deadline is not None:
            return self._is_closed and not self._is_driven
        return not self.lane.owed

    def _survives(self, until: float | None) -> bool:
        try:
            return self._step(until)
        except BaseException as error:
            if is_the_hosts_here(error):
                raise
            self._say_raised("lane", error)
            left = inf if until is None else until - monotonic()
            with self._changed:
                self._changed.wait(_timeout(min(PAUSE, left)))
            return True

    def _step(self, until: float | None) -> bool:
        """Do one thing; give whether there is more."""
        with self._changed:
            if self.is_over:
                return False
            now = monotonic()
            if until is not None and (now >= until or self._is_done()):
                return False
            action = self.lane.next_action(now)
            if isinstance(action, Wait):
                self._changed.notify_all()  # what was owed may have been dropped
                end = action.until if until is None else min(action.until, until)
                self._changed.wait(_timeout(end - now))
                return True
            if isinstance(action, Send):
                self._sending = action
        # Metrics go out by the clock: what is logged meanwhile makes nothing go on.
        EXPORTING.set(not isinstance(action, EncodePush))
        try:
            self._act(action)
        finally:
            EXPORTING.set(False)
        return not isinstance(action, End)

    def _act(self, action: Action) -> None:
        if isinstance(action, EncodeRecords):
            self._encode_records(action)
        elif isinstance(action, EncodePush):
            self._encode_push(action)
        elif isinstance(action, Send):
            self._send(action)
        else:
            self._end()

    def _encode_records(self, action: EncodeRecords) -> None:
        batch = Batch(
            action.queue.signal,  # type: ignore[arg-type]
            self._host.resource,
            self._host.scope,
            records=action.shipment.records,
            time_ns=time_ns(),
        )
        payloads = self._encode(batch)
        with self._changed:
            if self.is_over:
                return
            if payloads is None:
                action.queue.unencodable()
            else:
                action.queue.encoded(payloads)
            self._changed.notify_all()

    def _encode_push(self, action: EncodePush) -> None:
        snapshot = self._read()
        payloads = None
        if snapshot is not None:
            changes = action.queue.changes(snapshot)
            payloads = self._encode(
                Batch(
                    "metrics",
                    self._host.resource,
                    self._host.scope,
                    families=changes.families,
                    start_ns=changes.start_ns,
                    time_ns=changes.time_ns,
                    temporality=self.exporter.delivery.temporality,
                )
            )
        for payload in payloads or ():
            self._host.left_out(self.exporter.name, payload.dropped, payload.merged)
        with self._changed:
            if self.is_over:
                return
            if snapshot is None or payloads is None:
                action.queue.unencodable()
            else:
                action.queue.encoded(snapshot, payloads)
            self._changed.notify_all()

    def _read(self) -> Snapshot | None:
        try:
            return self._host.snapshot()
        except BaseException as error:
            if is_the_hosts_here(error):
                raise
            self._say_raised("snapshot", error)
            return None

    def _encode(self, batch: Batch) -> list[Payload] | None:
        try:
            return list(self.exporter.encode(batch))
        except BaseException as error:
            if is_the_hosts_here(error):
                raise
            self._say_raised("encode", error)
            return None

    def _send(self, action: Send) -> None:
        failure: BaseException | None = None
        ack = Ack(0)
        started = monotonic()
        try:
            ack = self.exporter.send(action.payload, action.deadline)
            if not isinstance(ack, Ack):
                failure = TypeError(f"send() gave {shown(ack)}, not an Ack")
        except BaseException as error:
            if is_the_hosts_here(error):  # on a caller's thread: Ctrl-C
                raise
            failure = error
        self._host.took(action.queue.signal, self.exporter.name, monotonic() - started)
        with self._changed:
            self._sending = None
            if self.is_over:
                return  # it is counted already
            if failure is None:
                action.queue.sent(ack)
            else:
                action.queue.failed(failure, monotonic())
            self._changed.notify_all()
        signal = action.queue.signal
        if failure is not None:
            self._say_failure(signal, failure, len(action.queue))
        elif rejected := {why: n for why, n in ack.rejected.items() if n}:
            self._say(f"rejected {signal}", f"the backend refused {signal}: {rejected}")

    def _end(self) -> None:
        """Close the books."""
        with self._changed:
            if self.is_over:
                return
            sending = None if self._sending is None else self._sending.queue
            for queue in self.lane.queues:
                queue.end(is_under_way=queue is sending)
            self.is_over = True
            self._changed.notify_all()
        self._say_lost()

    def _close_exporter(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        deadline = max(self.lane.deadline or 0.0, monotonic() + CLOSING)
        try:
            self.exporter.close(deadline)
        except BaseException as error:
            if is_the_hosts_here(error):
                raise
            self._say_raised("close", error)

    def _say_failure(self, signal: str, failure: BaseException, waiting: int) -> None:
        what = text_of(failure)
        if not isinstance(failure, ExportFailed):
            what = f"send() raised {type_name(failure)}: {what}"
        elif failure.retryable:
            what += f" It is tried again, {signal} that wait: {waiting}."
        self._say(f"export {signal}", what)

    def _say_lost(self) -> None:
        """Say at the end what did not arrive."""
        for queue in self.lane.queues:
            ledger = queue.ledger
            lost = {**ledger.dropped, **ledger.rejected, "unknown": ledger.unknown}
            lost.pop(FILTERED, None)
            reasons = ", ".join(f"{n} {reason}" for reason, n in lost.items() if n)
            if reasons:
                unit = (
                    "pushes of metrics" if ledger.signal == "metrics" else ledger.signal
                )
                text = f"{ledger.delivered} {unit} delivered, {ledger.lost} not: {reasons}."
                self._say(f"lost {ledger.signal}", text)

    def _say_raised(self, what: str, error: BaseException) -> None:
        self._say(what, f"{what}() raised {type_name(error)}: {shown(text_of(error))}")

    def _say(self, reason: str, text: str) -> None:
        name = self.exporter.name
        who = f"exporter {name!r}: "  # which texts of exporters begin with already
        self._host.say(f"{name} {reason}", who + text.removeprefix(who))


def is_the_hosts_here(error: BaseException) -> bool:
    """Whether what an exporter raised was meant for the host.

    On a thread of ours nothing is: signal handlers run on the main thread alone.
    """
    return get_ident() == main_thread().ident and is_the_hosts(error)


def text_of(error: BaseException) -> str:
    """Give the text of an exception, though it be one that cannot give it."""
    try:
        return str(error)
    except BaseException as other:
        if is_the_hosts_here(other):
            raise
        return ""


def _timeout(seconds: float) -> float | None:
    """Give what a condition takes: None waits for ever."""
    return None if seconds > 86_400 else max(seconds, 0.0)
