"""What an exporter sees of an instance, and what the instance says about itself."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import local
from types import BuiltinMethodType
from typing import TYPE_CHECKING

from obs._diag import Diag
from obs._foreign import is_the_hosts
from obs._outcome import FAILURES
from obs.catalog import CATALOG, definitions
from obs.delivery import Intake
from obs.errors import DefinitionError, shown
from obs.logs import Logs
from obs.metrics import Registry
from obs.model import LogRecord, MetricFamily, Resource, Snapshot, SpanRecord
from obs.trace import Span, SpanReader, Tracer

if TYPE_CHECKING:
    from obs.delivery._lanes import Lanes


_WAITING = 10_000
"""How many spans may end while one is handed on, on its thread."""


class SelfCollector:
    """Yields the counts that obs keeps of itself.

    Attributes:
        NAMES: What it yields, by the catalogue's names.

    Args:
        registry: The registry whose series are counted.
        logs: The logs whose records are counted.
        diag: The counts.
    """

    NAMES = ("obs.dropped", "obs.truncated", "obs.series", "log.records")

    def __init__(self, registry: Registry, logs: Logs, diag: Diag) -> None:
        self._registry = registry
        self._logs = logs
        self._diag = diag

    def collect(self) -> Iterable[MetricFamily]:
        """Yield what was dropped and cut, and how many series and log records there are."""
        yield CATALOG["obs.dropped"].family(self._diag.dropped_counts())
        yield CATALOG["obs.truncated"].family(self._diag.truncated_counts())
        yield CATALOG["obs.series"].family(self._registry.series)
        yield CATALOG["log.records"].family(self._logs.counts())


def make_lanes(
    intakes: tuple[Intake, Intake],
    parts: tuple[Registry, Logs, Tracer],
    resource: Callable[[], Resource],
    shutdown_timeout: float,
) -> "Lanes":
    """Make the lanes of an instance, with their metrics in its registry."""
    # Loaded here: it costs 5 ms that only who pushes shall pay.
    from obs.delivery._collector import LanesCollector  # noqa: PLC0415 - 5 ms, for who pushes
    from obs.delivery._lanes import Lanes  # noqa: PLC0415 - the same

    registry, logs, tracer = parts
    read = SpanReader(tracer.limits, tracer.diag, tracer.redact).sized

    def ready(span: Span) -> tuple[SpanRecord, int] | None:
        # What began before a fork is running in the parent too, and ends there.
        return None if span.started < tracer.forked_ns else read(span)

    lanes = Lanes(
        list(zip(intakes, (logs.read, ready), strict=True)),
        registry,
        resource,
        tracer.diag,
        tracer.limits,
        shutdown_timeout,
    )
    collector = LanesCollector(lanes)
    registry.register(collector, families=definitions(LanesCollector.NAMES))
    return lanes


class Listeners:
    """Who gets each finished span at once, on the thread that ended it.

    Args:
        tracer: Whose spans.
        logs: Whose log records.
        put: Gets every span too, before them and with or without them.
    """

    def __init__(
        self, tracer: Tracer, logs: Logs, put: Callable[[Span], object]
    ) -> None:
        self._tracer = tracer
        self.logs = logs
        if logs.holds:
            put = _with_ends(put, logs.end_request)
            tracer.watch = logs.end_request
        self._put = tracer.sink = put
        self._receivers: tuple[Callable[[SpanRecord], object], ...] = ()
        self._here = local()

    def add(self, receive: Callable[[SpanRecord], object]) -> None:
        """Hand each span to ``receive`` from now on."""
        tracer = self._tracer
        self._read = SpanReader(tracer.limits, tracer.diag, tracer.redact).read
        self._receivers = (*self._receivers, receive)
        self._tracer.sink = self._hand_on

    def remove(self, receive: Callable[[SpanRecord], object]) -> None:
        """Hand no more spans to ``receive``."""
        self._receivers = tuple([it for it in self._receivers if it is not receive])
        self._tracer.sink = self._hand_on if self._receivers else self._put

    def _hand_on(self, span: Span) -> None:
        self._put(span)
        # What began before a fork is running in the parent too, and ends there.
        if span.started < self._tracer.forked_ns:
            return
        turn: _Turn | None = getattr(self._here, "turn", None)
        if turn is None:
            self._hand_on_in_turn(_Turn(span))
        elif turn.is_inside:
            self._tracer.diag.dropped("traces", "invalid")
        elif turn.count == _WAITING:
            self._tracer.diag.dropped("traces", "limit")
        else:  # a finalizer or a signal handler has come in between
            turn.count += 1
            turn.spans.append(span)

    def _hand_on_in_turn(self, turn: "_Turn") -> None:
        try:
            while turn.spans:  # again if one came after the last look
                self._here.turn = turn
                try:
                    while turn.spans:
                        self._hand(turn.spans.popleft(), turn)
                finally:
                    self._here.turn = None
        except RecursionError:  # the host's own goes on
            return

    def _hand(self, span: Span, turn: "_Turn") -> None:
        for receive in self._receivers:
            try:
                record = self._read(span)
                # The append of a list makes no spans.
                turn.is_inside = type(receive) is not BuiltinMethodType
                receive(record)
            except BaseException as error:
                if is_the_hosts(error):
                    raise
                diag = self._tracer.diag
                diag.dropped("traces", "export_failed")
                diag.say("listener", f"a span was not taken: {shown(error)}")
            finally:
                turn.is_inside = False


class _Turn:
    """What one thread hands on.

    Attributes:
        spans: What is still to be handed on.
        count: How many have come since it began.
        is_inside: Whether a listener is at work. A span that ends then may be its own,
            which would make it make spans for ever.
    """

    __slots__ = ("count", "is_inside", "spans")

    def __init__(self, span: Span) -> None:
        self.spans = deque([span])
        self.count = 0
        self.is_inside = False


def _with_ends(
    put: Callable[[Span], object], end_request: Callable[..., object]
) -> Callable[[Span], object]:
    """Have the end of each request told, too, to those who hold its log records."""

    def sink(span: Span) -> None:
        try:
            put(span)
            if span.is_local_root:
                details = span.details
                is_failed = details is not None and details.outcome in FAILURES
                end_request(span.trace, is_failed=is_failed)
        except RecursionError:  # the host's own goes on
            return

    return sink


class InstanceSource:
    """A ``Source`` for one exporter.

    Args:
        registry: What it reads.
        listeners: Who gets finished spans.
        diag: Where it counts.
        resource: Gives who sends.
        exporter: The exporter's name.
    """

    def __init__(
        self,
        registry: Registry,
        listeners: Listeners,
        diag: Diag,
        resource: Callable[[], Resource],
        exporter: str,
    ) -> None:
        self._registry = registry
        self._listeners = listeners
        self._diag = diag
        self._resource = resource
        self._receivers: list[Callable[[SpanRecord], object]] = []
        self._log_receivers: list[Callable[[LogRecord], object]] = []
        self._exporter = exporter
        self._callbacks: list[Callable[[MetricFamily], None]] = []
        diag.dropped("metrics", "invalid", 0, exporter)

    @property
    def resource(self) -> Resource:
        """Who sends; another after a fork."""
        return self._resource()

    def snapshot(self) -> Snapshot:
        """Read the registry."""
        return self._registry.snapshot()

    def check(self, callback: Callable[[MetricFamily], None]) -> None:
        """Show every definition to ``callback``, now and later, until ``end``."""
        self._callbacks.append(callback)
        self._registry.check(callback)

    def listen(
        self,
        receive: Callable[[SpanRecord], object],
        logs: Callable[[LogRecord], object] | None = None,
    ) -> None:
        """Hand each finished span to ``receive``, each log record to ``logs``."""
        self._receivers.append(receive)
        self._listeners.add(receive)
        if logs is not None:
            self._log_receivers.append(logs)
            self._listeners.logs.listen(logs)

    def dropped(self, reason: str, n: int = 1) -> None:
        """Count what the exporter left out."""
        self._diag.dropped("metrics", reason, n, self._exporter)

    def say(self, reason: str, text: str) -> None:
        """Write one line to stderr, at most one a minute for each reason."""
        self._diag.say(reason, f"{self._exporter}: {text}")

    def end(self) -> None:
        """Show no more definitions and hand on no more records: the exporter is closed."""
        for receive in self._receivers:
            self._listeners.remove(receive)
        for take in self._log_receivers:
            self._listeners.logs.forget(take)
        for callback in self._callbacks:
            self._registry.uncheck(callback)


class ProcessResource:
    """Gives the resource of the present process; another in a forked child.

    Args:
        service: The service's name.
        version: Its version, or empty.
        environment: Where it is deployed, or empty.
        given: Further attributes; they win over what is found.

    Raises:
        DefinitionError: An argument is not text.
    """

    def __init__(
        self,
        service: str,
        version: str,
        environment: str,
        given: Mapping[str, str] | None,
    ) -> None:
        if not isinstance(service, str) or not service:
            text = (
                f"Obs: service got {shown(service)}, needs a name such as 'checkout'."
            )
            raise DefinitionError(text)
        for what, value in (("version", version), ("environment", environment)):
            if not isinstance(value, str):
                text = f"Obs: {what} got {shown(value)}, needs text."
                raise DefinitionError(text)
        try:
            self._given = dict(given or {})
        except (TypeError, ValueError):
            text = f"Obs: resource got {shown(given)}, needs a mapping of text to text."
            raise DefinitionError(text) from None
        for name, value in self._given.items():
            if not isinstance(name, str) or not isinstance(value, str):
                text = f"Obs: resource[{shown(name)}] got {shown(value)}, needs text."
                raise DefinitionError(text)
        self._fixed = {
            "service.name": service,
            "service.version": version,
            "deployment.environment.name": environment,
        }
        self._pid = 0
        self._resource = Resource({})

    def __call__(self) -> Resource:
        """Give the resource, found out once in each process."""
        pid = os.getpid()
        if pid != self._pid:
            import socket  # noqa: PLC0415 - 4 ms, paid at the first export

            found = {
                **self._fixed,
                "service.instance.id": _random_uuid(),
                "host.name": socket.gethostname(),
                "process.pid": str(pid),
                "container.id": _container_id(),
                **self._given,
            }
            self._resource = Resource({k: v for k, v in found.items() if v})
            self._pid = pid
        return self._resource


def _random_uuid() -> str:
    """Give a version 4 UUID (RFC 9562, 5.4); the uuid module costs 4 ms to import."""
    number = int.from_bytes(os.urandom(16), "big")
    number = number & ~(0xF << 76) | 4 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _container_id() -> str:
    """Give the id of the container that this process runs in, or nothing.

    Source: the path of the process's control group (v1), or of the files that the
    container's runtime mounts (v2), which hold the id as 64 hexadecimal digits.
    """
    import re  # noqa: PLC0415

    for path, marker in (
        ("/proc/self/cgroup", ""),
        ("/proc/self/mountinfo", "/containers/"),
    ):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    match = re.search(r"\b[0-9a-f]{64}\b", line)
                    if match and marker in line:
                        return match[0]
        except OSError:
            continue
    return ""
