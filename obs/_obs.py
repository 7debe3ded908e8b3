"""The composition root: one object from which an application takes its telemetry."""

import atexit
from collections.abc import Iterable, Mapping
from types import TracebackType
from weakref import WeakSet

from obs._clock import SystemClock
from obs._diag import Diag
from obs._identity import Unique
from obs._lifecycle import Lifecycle
from obs._source import InstanceSource, ProcessResource, SelfCollector
from obs.catalog import definitions
from obs.limits import Limits
from obs.metrics import DEFAULT_SECONDS, Registry
from obs.model import FlushResult, Snapshot
from obs.operation import Classify, OperationDecorator, check_rule
from obs.protocols import Clock, Counter, Decorator, Gauge, Histogram, PullExporter


class Obs(Unique):
    """The telemetry of one service; several may live side by side.

    Constructing opens, binds and starts nothing.

    Args:
        service: The service's name, such as ``checkout``.
        version: Its version.
        environment: Where it is deployed, such as ``prod``.
        resource: Further attributes of the process, by their OpenTelemetry names.
        exporters: What receives the data.
        runtime: Whether process, interpreter and garbage collector are watched.
        classify: Gives an exception's outcome (``ok error cancelled aborted``) for
            decorated calls, or None to leave it to the rules of ``operation``.
        limits: How much may be held.
        shutdown_timeout: Seconds that ``close`` may take.
        strict: Whether a bad recording call raises ``InvalidValue``; for tests.
        clock: Where time comes from; for tests.

    Attributes:
        metrics: The registry, with what has no shortcut here: ``updown``, ``info``,
            ``register``.

    Raises:
        DefinitionError: An argument breaks a rule.
    """

    def __init__(
        self,
        service: str,
        *,
        version: str = "",
        environment: str = "",
        resource: Mapping[str, str] | None = None,
        exporters: Iterable[PullExporter] = (),
        runtime: bool = True,
        classify: Classify | None = None,
        limits: Limits | None = None,
        shutdown_timeout: float = 2.0,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        check_rule(classify)
        find_resource = ProcessResource(service, version, environment, resource)
        diag = Diag(service, strict=strict, clock=clock)
        metrics = Registry(limits, clock=clock, diag=diag)
        metrics.register(
            SelfCollector(metrics, diag), families=definitions(SelfCollector.NAMES)
        )
        hook = None
        if runtime:
            from obs.runtime import Runtime  # noqa: PLC0415 - psutil, platform

            hook = Runtime(metrics)
        self.metrics = metrics
        self._classify = classify
        self._lifecycle = Lifecycle(
            exporters,
            lambda name: InstanceSource(metrics, diag, find_resource, name),
            hook,
            diag,
            shutdown_timeout,
        )
        _instances.add(self)

    def start(self) -> "Running":
        """Bind, connect and start what exports; idempotent in each process.

        Returns:
            A context manager, sync and async, that closes at its end.

        Raises:
            StartFailed: A port is taken or an address refused; nothing runs then.
        """
        self._lifecycle.start()
        return Running(self)

    def attach(self, exporter: PullExporter) -> None:
        """Add an exporter; it starts at once if the instance runs in this process.

        Raises:
            StartFailed: It could not start; it is not added then.
        """
        self._lifecycle.attach(exporter)

    def detach(self, exporter: PullExporter) -> None:
        """Close an exporter and forget it; one that is not attached is ignored."""
        self._lifecycle.detach(exporter)

    def close(self, timeout: float | None = None) -> FlushResult:
        """Stop what ``start`` started, by one deadline; what fails is said, not raised.

        Args:
            timeout: In seconds; ``shutdown_timeout`` when None.

        Returns:
            What was delivered meanwhile.
        """
        return self._lifecycle.close(timeout)

    async def aclose(self, timeout: float | None = None) -> FlushResult:
        """Do what ``close`` does, on another thread."""
        import asyncio  # noqa: PLC0415 - who awaits has paid for it

        return await asyncio.to_thread(self.close, timeout)

    def counter(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
    ) -> Counter:
        """Define a counter, or give the one defined; see ``Registry.counter``."""
        return self.metrics.counter(name, help, unit=unit, labels=labels)

    def gauge(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        combine: str = "sum",
    ) -> Gauge:
        """Define a gauge, or give the one defined; see ``Registry.gauge``."""
        return self.metrics.gauge(name, help, unit=unit, labels=labels, combine=combine)

    def histogram(
        self,
        name: str,
        help: str = "",
        *,
        unit: str = "",
        labels: Iterable[str] = (),
        buckets: Iterable[float] = DEFAULT_SECONDS,
    ) -> Histogram:
        """Define a histogram, or give the one defined; see ``Registry.histogram``."""
        return self.metrics.histogram(
            name, help, unit=unit, labels=labels, buckets=buckets
        )

    def endpoint(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        classify: Classify | None = None,
    ) -> Decorator:
        """Decorate a request handler; see ``operation``."""
        return self.operation(name, labels=labels, classify=classify)

    def operation(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        classify: Classify | None = None,
    ) -> Decorator:
        """Decorate a function or method: ``def``, ``async def`` or a generator of either.

        Each call is observed in ``operation.duration`` (seconds; labels ``operation``,
        ``outcome``, ``error_type`` and the chosen ones), and counted in
        ``operation.in_flight`` while it runs. What the function returns, yields and
        raises is not touched.

        Args:
            name: The operation's name; ``__qualname__`` without ``<locals>`` when None.
            labels: Parameters whose values become labels: ``str``, ``int``, ``bool``,
                ``Enum`` or None, and few different ones; another type counts as
                ``other``. Decorators below this one must pass arguments as they come.
            classify: Gives an exception's outcome, or None to leave it to the instance's
                ``classify``, then to the rule that an HTTP status below 500 is ``ok``.

        Raises:
            DefinitionError: A name or label breaks a rule.
        """
        return OperationDecorator(self.metrics, name, labels, classify, self._classify)

    def snapshot(self) -> Snapshot:
        """Read all metrics; ``.as_dict()`` gives them as plain dictionaries."""
        return self.metrics.snapshot()

    def _exit_notice(self) -> None:
        lost = self._lifecycle.exporters and not self._lifecycle.ever_started
        if lost and self.metrics.has_recorded():
            text = "metrics were recorded, but start() was never called: none left."
            self.metrics.diag.say("not started", text)


class Running:
    """What ``start`` gives: closes the instance at the end of a ``with`` block."""

    def __init__(self, tel: Obs) -> None:
        self._tel = tel

    def __enter__(self) -> Obs:
        """Give the instance."""
        return self._tel

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the instance."""
        self._tel.close()

    async def __aenter__(self) -> Obs:
        """Give the instance."""
        return self._tel

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the instance."""
        await self._tel.aclose()


_instances: WeakSet[Obs] = WeakSet()


def _exit_notices() -> None:
    for tel in list(_instances):
        tel._exit_notice()


atexit.register(_exit_notices)
