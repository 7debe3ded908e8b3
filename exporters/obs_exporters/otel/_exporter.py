"""The exporter: hands records to exporters that were written for the OpenTelemetry SDK."""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, ExportFailed, type_name
from obs.model import Ack, Batch, Delivery, Payload, Signal, Temporality
from obs_exporters._push import check_push, make_payload, wrong_argument

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from obs_exporters.otel._common import Converted


class _Body(NamedTuple):
    """What one ``export`` takes, and whose."""

    signal: Signal
    data: Any


class OTelExporter:
    """Hands spans, metrics and logs to any exporters of the OpenTelemetry SDK.

    They get what the SDK itself would give them: ``ReadableSpan``, ``MetricsData``,
    ``ReadableLogRecord``. What cannot be converted is left out and counted as ``invalid``.

    A ``FAILURE`` of theirs is not tried again, as they try again themselves, for as long
    as their own timeout says: set that one, and ``timeout`` not below it. An exporter of
    metrics is told how much time is left. The others are not, and one that takes longer
    than the lane's deadline cannot be stopped: it delays this lane, and no other. What an
    exporter of theirs raises counts as a failure, too.

    In a forked child they go on with what they have, connections included, as they do
    below the SDK.

    Args:
        spans: Takes spans.
        metrics: Takes metrics.
        logs: Takes log records.
        interval: Seconds between pushes of metrics.
        timeout: Seconds that one ``export`` may take.
        temporality: Whether ``metrics`` gets totals (``cumulative``) or increases
            (``delta``). What it would ask a reader of the SDK for is not looked at.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule, or the SDK is not installed.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    def __init__(
        self,
        spans: "SpanExporter | None" = None,
        metrics: "MetricExporter | None" = None,
        logs: "LogRecordExporter | None" = None,
        *,
        interval: float = 10.0,
        timeout: float = 10.0,
        temporality: Temporality = "cumulative",
        name: str = "otel",
    ) -> None:
        given: dict[Signal, Any] = {"traces": spans, "metrics": metrics, "logs": logs}
        self._theirs: dict[Signal, Any] = {
            signal: theirs for signal, theirs in given.items() if theirs is not None
        }
        signals = self._theirs or ("traces",)  # that there is none is said below
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=signals,
            temporality=temporality,
        )
        _check(name, spans, metrics, logs)
        self.name = name
        self.delivery = Delivery(interval, timeout, temporality=temporality)
        self._convert = _converters(name, self._theirs)
        self._is_closed = False

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give the batch as objects of the SDK, in one payload whatever its size."""
        data, records, left_out = self._convert[batch.signal](batch)
        if records or left_out:
            yield make_payload(_Body(batch.signal, data), records, left_out)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Call ``export``.

        Raises:
            ExportFailed: It gave ``FAILURE`` or raised, or there was no time for it.
        """
        seconds = deadline - monotonic()
        if self._is_closed or seconds <= 0:
            why = "it is closed" if self._is_closed else "there is no time left"
            text = f"exporter {self.name!r}: {why}."
            raise ExportFailed(text, retryable=not self._is_closed)
        body: Any = payload.body
        theirs = self._theirs[body.signal]
        try:
            result = _export(theirs, body, seconds)
        except BaseException as raised:
            if is_the_hosts(raised):
                raise
            text = (
                f"exporter {self.name!r}: {type_name(theirs)}.export() raised "
                f"{type_name(raised)}."
            )
            raise ExportFailed(text, sent=True, reason="raised") from raised
        if getattr(result, "name", None) != "SUCCESS":
            text = (
                f"exporter {self.name!r}: {type_name(theirs)}.export() gave no SUCCESS. "
                "It logs the reason itself."
            )
            raise ExportFailed(text, sent=True, reason="failure")
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Shut their exporters down, once; what they raise is ignored.

        Those whose ``shutdown`` takes no time may take longer than there is.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for theirs in self._theirs.values():
            try:
                _shut_down(theirs, max(0.0, deadline - monotonic()))
            except BaseException as raised:
                if is_the_hosts(raised):
                    raise

    def __repr__(self) -> str:
        kinds = [type_name(theirs) for theirs in self._theirs.values()]
        return f"OTelExporter({', '.join(kinds)})"


def _check(name: str, spans: object, metrics: object, logs: object) -> None:
    given = {"spans": spans, "metrics": metrics, "logs": logs}
    if all(theirs is None for theirs in given.values()):
        text = (
            f"exporter {name!r}: got no exporter, needs one for spans, metrics or logs."
        )
        raise DefinitionError(text)
    for what, theirs in given.items():
        is_one = all(
            callable(getattr(theirs, it, None)) for it in ("export", "shutdown")
        )
        if theirs is not None and (isinstance(theirs, type) or not is_one):
            needs = "an exporter of the OpenTelemetry SDK, with export() and shutdown()"
            raise wrong_argument(name, what, theirs, needs)


def _converters(
    name: str, signals: Iterable[Signal]
) -> "dict[Signal, Callable[[Batch], Converted]]":
    """Give what converts each signal; the SDK's part that it needs is imported here."""
    from importlib import import_module  # noqa: PLC0415

    try:
        return {
            signal: import_module(f"obs_exporters.otel._{signal}").convert
            for signal in signals
        }
    except ImportError as error:
        text = (
            f"exporter {name!r}: the OpenTelemetry SDK is missing, or too old "
            f'({error}). Install it: pip install "obs-sdk[otlp]"'
        )
        raise DefinitionError(text) from error


def _export(theirs: Any, body: _Body, seconds: float) -> object:
    from opentelemetry.context import (  # noqa: PLC0415
        _SUPPRESS_INSTRUMENTATION_KEY,
        attach,
        detach,
        set_value,
    )

    # As the SDK's own processors do: else an instrumented client makes spans of exporting
    # spans, for ever.
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
    try:
        if body.signal == "metrics":
            return theirs.export(body.data, timeout_millis=seconds * 1_000)
        return theirs.export(body.data)
    finally:
        detach(token)


def _shut_down(theirs: Any, seconds: float) -> None:
    from inspect import signature  # noqa: PLC0415 - the SDK has imported it

    if "timeout_millis" in signature(theirs.shutdown).parameters:
        theirs.shutdown(timeout_millis=seconds * 1_000)
    else:
        theirs.shutdown()
