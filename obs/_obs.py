"""The composition root: one object from which an application takes its telemetry."""

import atexit
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any
from weakref import WeakSet

from obs._clock import SystemClock
from obs._context import GcGuard
from obs._diag import Diag
from obs._identity import Unique
from obs._lifecycle import Exporter, Hook, Lifecycle, exit_all, on_thread
from obs._outcome import Classify
from obs._source import (
    InstanceSource,
    Listeners,
    ProcessResource,
    SelfCollector,
    make_lanes,
)
from obs.catalog import definitions
from obs.delivery import Intake
from obs.encoding import Redaction
from obs.errors import DefinitionError, shown
from obs.limits import Limits
from obs.logs import Logs, Route
from obs.metrics import DEFAULT_SECONDS, Registry
from obs.model import FlushResult, Snapshot, SpanKind
from obs.operation import OperationDecorator
from obs.protocols import (
    Clock,
    Counter,
    Decorator,
    Gauge,
    Histogram,
    InjectHeaders,
    Logger,
    Propagator,
    Sampler,
)
from obs.redact import DEFAULT, check_redact
from obs.trace import Tracer


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
        level: The lowest level of logs that are made: ``trace debug info warning error
            critical``, or ``off``.
        log_format: The form of logs where a route names none: ``json``, ``logfmt``,
            ``terminal``, or ``auto``, which is the terminal's form on a terminal, else
            JSON.
        routes: Where logs go instead of stderr; see ``obs.logs.Route``.
        redact: Masks secrets in logs and spans, such as ``Redactor(keys=["iban"])``; None
            switches that off.
        sampler: Decides which traces are recorded; when None all are, unless upstream has
            decided otherwise.
        propagators: The formats of headers: ``tracecontext baggage b3 b3multi jaeger``,
            or objects of one's own; the first that finds a context counts, all are
            written.
        trust: What is done with a context from another process: ``continue`` its trace,
            ``link`` a trace of our own to it, or ``ignore`` it.
        classify: Gives an exception's outcome (``ok error cancelled deadline_exceeded
            aborted``), or None to leave it to the rules of ``operation``.
        limits: How much may be held.
        shutdown_timeout: Seconds that ``close`` may take, a day at most.
        strict: Whether a bad recording call raises ``InvalidValue``; for tests.
        clock: Where time comes from; for tests.

    Attributes:
        metrics: The registry, with what has no shortcut here: ``updown``, ``info``,
            ``register``.
        logs: Makes loggers, with what has no shortcut here: ``fields``, ``set_level``,
            ``capture_stdlib``, ``configure_structlog``.
        trace: The tracer, with what has no shortcut here: ``current_span``, ``baggage``,
            ``wrap``, ``deadline``.
        span: Starts a span; see ``Tracer.span``.
        use: Continues a context in a block; see ``Tracer.use``.
        inject: Writes the current context into headers; see ``Tracer.inject``.
        extract: Reads a context from headers; see ``Tracer.extract``.

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
        exporters: Iterable[Exporter] = (),
        runtime: bool = True,
        level: str = "info",
        log_format: str = "auto",
        routes: Iterable[Route] = (),
        redact: Redaction | None = DEFAULT,
        sampler: Sampler | None = None,
        propagators: Iterable[str | Propagator] = ("tracecontext", "baggage"),
        trust: str = "continue",
        classify: Classify | None = None,
        limits: Limits | None = None,
        shutdown_timeout: float = 2.0,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        _check_switches(runtime=runtime, strict=strict)
        clock = clock or SystemClock()
        find_resource = ProcessResource(service, version, environment, resource)
        check_redact(redact)
        mask = redact.text if redact else None
        diag = Diag(service, strict=strict, clock=clock, mask=mask)
        metrics = Registry(limits, clock=clock, diag=diag)
        intakes = Intake("logs"), Intake("traces")
        logs = Logs(
            service,
            level=level,
            log_format=log_format,
            routes=routes,
            redact=redact,
            limits=limits,
            clock=clock,
            diag=diag,
            intake=intakes[0],
        )
        metrics.register(
            SelfCollector(metrics, logs, diag),
            families=definitions(SelfCollector.NAMES),
        )
        trace = Tracer(
            sampler=sampler,
            propagators=propagators,
            trust=trust,
            classify=classify,
            limits=limits,
            clock=clock,
            diag=diag,
            redact=redact,
        )
        listeners = Listeners(trace, logs, intakes[1].put)
        hooks: list[Hook] = [GcGuard()]
        if runtime:
            from obs.runtime import Runtime  # noqa: PLC0415 - psutil, platform

            hooks.append(Runtime(metrics))
        self.metrics = metrics
        self.logs = logs
        self.trace = trace
        # The tracer's own methods: a call in between would cost a tenth of a span.
        self.span = trace.span
        self.use = trace.use
        self.inject: InjectHeaders = trace.inject
        self.extract = trace.extract
        self._classify = classify
        self._lifecycle = Lifecycle(
            exporters,
            lambda name: InstanceSource(metrics, listeners, diag, find_resource, name),
            partial(
                make_lanes,
                intakes,
                (metrics, logs, trace),
                find_resource,
                shutdown_timeout,
            ),
            hooks,
            diag,
            shutdown_timeout,
        )
        for exporter in logs.exporters:
            self._lifecycle.attach(exporter)
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

    def attach(self, exporter: Exporter) -> None:
        """Add an exporter; it starts at once if the instance runs in this process.

        Raises:
            StartFailed: It could not start; it is not added then.
        """
        self._lifecycle.attach(exporter)

    def detach(self, exporter: Exporter) -> None:
        """Close an exporter and forget it; one that is not attached is ignored."""
        self._lifecycle.detach(exporter)

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Send what has been recorded so far, and one snapshot of the metrics.

        Args:
            timeout: When to give up, in seconds, after a day at the latest;
                ``shutdown_timeout`` when None, or no finite number.

        Returns:
            What was acknowledged meanwhile, and never more: spans and logs one by one, of
            metrics the pushes. What is pending is tried again afterwards.

        Threads: any; it blocks its caller alone, for as long as ``timeout`` at most.
        """
        self.logs.flush()
        return self._lifecycle.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> FlushResult:
        """Do what ``flush`` does, on a thread of its own; cancelling does not end that."""
        return await on_thread(self.flush, timeout)

    def close(self, timeout: float | None = None) -> FlushResult:
        """Stop what ``start`` started, by one deadline; what fails is said, not raised.

        Args:
            timeout: In seconds, a day at most; ``shutdown_timeout`` when None, or no
                finite number.

        Returns:
            What was delivered meanwhile.
        """
        self.logs.close()
        return self._lifecycle.close(timeout)

    async def aclose(self, timeout: float | None = None) -> FlushResult:
        """Do what ``close`` does, on a thread of its own; cancelling does not end that."""
        return await on_thread(self.close, timeout)

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

    def logger(self, name: str = "", /, **bound: Any) -> Logger:
        """Give a logger of this name; its records have the fields ``bound``."""
        return self.logs.logger(name, **bound)

    def endpoint(
        self,
        name: str | None = None,
        *,
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Classify | None = None,
    ) -> Decorator:
        """Decorate a request handler: ``operation`` with a span of kind ``server``.

        Where such a span is around the call already, and no endpoint's yet, it is taken
        in place of a new one: it gets the attributes, and a failure.
        """
        return self._decorator(name, "server", labels, record, classify)

    def operation(
        self,
        name: str | None = None,
        *,
        kind: SpanKind = "internal",
        labels: Iterable[str] = (),
        record: Iterable[str] = (),
        classify: Classify | None = None,
    ) -> Decorator:
        """Decorate a function or method: ``def``, ``async def`` or a generator of either.

        Each call is a span, is observed in ``operation.duration`` (seconds; labels
        ``operation``, ``outcome``, ``error_type`` and the chosen ones), and counted in
        ``operation.in_flight`` while it runs. What the function returns, yields and
        raises is not touched. A generator's span is current while the generator runs,
        never between its yields.

        Args:
            name: The operation's name; ``__qualname__`` without ``<locals>`` when None.
            kind: The span's kind: ``internal server client producer consumer``.
            labels: Parameters whose values become labels and span attributes: ``str``,
                ``int``, ``bool``, ``Enum`` or None, and few different ones; as a label,
                another type counts as ``other``. Decorators below this one must pass
                arguments as they come.
            record: Parameters whose values become span attributes, of any type.
            classify: Gives an exception's outcome, or None to leave it to the instance's
                ``classify``, then to the rule that an HTTP status below 500 is ``ok``.

        Raises:
            DefinitionError: A name, kind, label or parameter breaks a rule.
        """
        return self._decorator(name, kind, labels, record, classify, is_endpoint=False)

    def snapshot(self) -> Snapshot:
        """Read all metrics; ``.as_dict()`` gives them as plain dictionaries."""
        return self.metrics.snapshot()

    def _decorator(
        self,
        name: str | None,
        kind: SpanKind,
        labels: Iterable[str],
        record: Iterable[str],
        classify: Classify | None,
        *,
        is_endpoint: bool = True,
    ) -> Decorator:
        parts = self.metrics, self.logs, self.trace
        rules = [classify, self._classify]
        return OperationDecorator(
            parts, name, kind, labels, record, rules, is_endpoint=is_endpoint
        )

    def _exit(self) -> None:
        self.logs.flush()
        self._lifecycle.exit()
        if self._lifecycle.was_forgotten(self.metrics):
            text = "recorded metrics or spans are not sent: start() was never called."
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


def _check_switches(**switches: object) -> None:
    for name, value in switches.items():
        if not isinstance(value, bool):
            text = f"Obs: {name} got {shown(value)}, needs True or False."
            raise DefinitionError(text)


_instances: WeakSet[Obs] = WeakSet()


def _exit_all() -> None:
    exit_all()
    for tel in list(_instances):
        tel._exit()


atexit.register(_exit_all)
