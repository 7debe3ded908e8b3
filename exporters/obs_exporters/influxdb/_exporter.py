"""The exporter: metrics go to InfluxDB, or to whoever takes its line protocol."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from obs._diag import Diag
from obs.errors import DefinitionError, ExportFailed
from obs.model import Ack, Batch, Delivery, Payload, Temporality
from obs_exporters._http_client import Answer, Tls
from obs_exporters._push import check_push, check_resource_tags, wrong_argument
from obs_exporters.influxdb._answers import points_refused, refusal, without
from obs_exporters.influxdb._lines import encode_metrics
from obs_exporters.influxdb._target import (
    Login,
    check_login,
    check_target,
    login_of,
)
from obs_exporters.influxdb._transport import (
    LibraryTransport,
    OwnTransport,
    Transport,
    check_client,
)

if TYPE_CHECKING:
    import ssl

    from influxdb_client.client.influxdb_client import InfluxDBClient

URL = "http://127.0.0.1:8086"
MAX_BYTES = 1024 * 1024
LEAST_BYTES = 16 * 1024
MOST_BYTES = 16 * 1024 * 1024
RESOURCE_TAGS = (
    "deployment.environment.name",
    "host.name",
    "service.instance.id",
    "service.name",
    "service.version",
)
_TOO_LARGE = 413
_PARTIAL = "partial_write"
_SHOWN_BYTES = 200


class InfluxDBExporter:
    """Sends metrics to InfluxDB as line protocol: one line for each series.

    The measurement is the metric's name, the labels are tags, the field is ``value``, a
    float. Histograms have the integers ``count``, one for each bound, named like it and
    cumulative, and ``+Inf``, and the float ``sum``. Names and values lose what would end a
    tag or a line; numbers that are not finite are left out and counted as ``invalid``.

    A body that arrives twice does no harm: same series, same time, same values. The
    statuses 429, 500, 502, 503 and 504 are tried again. Points that InfluxDB refuses
    while it takes the others count as rejected, ``partial_write``. A body that is too
    large for the server (413) is sent in halves.

    Args:
        url: ``http://`` or ``https://``, host and port; ``http://127.0.0.1:8086`` by
            default.
        bucket: Where to write, by the v2 API.
        org: The bucket's organization.
        token: An API token that may write there.
        database: Where to write, by the ``/write`` of 1.x, in place of a bucket.
        retention_policy: Of the database; its default one by default.
        username: Of 1.x; with ``password``.
        password: Of 1.x.
        client: An ``InfluxDBClient``, whose url, login, certificates and proxy are taken,
            in place of those here. The library keeps no total deadline and reads answers
            whole: ``docs/influxdb.md``.
        resource_tags: Which attributes of the resource are tags of each line.
        temporality: ``cumulative``, or ``delta``: increases since the last push.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``.
        max_bytes: The largest body before packing, 16 KiB to 16 MiB. Over 1 KiB it is
            gzipped.
        interval: Seconds between pushes.
        timeout: Seconds that one request may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        bucket: str = "",
        org: str = "",
        token: str | None = None,
        database: str = "",
        retention_policy: str = "",
        username: str | None = None,
        password: str | None = None,
        client: "InfluxDBClient | None" = None,
        resource_tags: Iterable[str] = RESOURCE_TAGS,
        temporality: Temporality = "cumulative",
        tls: "Tls | ssl.SSLContext | None" = None,
        max_bytes: int = MAX_BYTES,
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "influxdb",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("metrics",),
            possible=("metrics",),
            temporality=temporality,
        )
        self.name = name
        if type(max_bytes) is not int or not LEAST_BYTES <= max_bytes <= MOST_BYTES:
            needs = f"an integer from {LEAST_BYTES} to {MOST_BYTES}"
            raise wrong_argument(name, "max_bytes", max_bytes, needs)
        self.delivery = Delivery(interval, timeout, max_bytes, temporality)
        self._resource_tags = check_resource_tags(name, resource_tags)
        self._target = check_target(name, bucket, org, database, retention_policy)
        self._transport: Transport
        self._login: Login
        if client is None:
            url = URL if url is None else url
            self._login = check_login(name, url, token, username, password)
            self._transport = OwnTransport(name, url, self._target, self._login, tls)
        else:
            own = {"url": url, "token": token, "username": username}
            _check_alone(name, {**own, "password": password, "tls": tls})
            check_client(name, client)
            self._login = login_of(client)
            self._transport = LibraryTransport(name, client, self._target)
        self.imports = self._transport.imports
        self._diag = Diag()

    def encode(self, batch: Batch) -> Iterator[Payload]:
        """Give lines, none of the bodies over ``delivery.max_bytes``."""
        self._diag.service = batch.resource.attributes.get("service.name", "")
        return encode_metrics(batch, self._resource_tags, self.delivery.max_bytes)

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Post a body, in halves if it is too large, and read what InfluxDB says of it.

        Raises:
            ExportFailed: It was refused, or there was no answer before ``deadline``. As
                a delta it is not to be tried again where some of it may have arrived.
        """
        body: Any = payload.body
        bodies: list[bytes] = [body]
        accepted, rejected = 0, dict[str, int]()
        while bodies:
            body = bodies.pop()
            try:
                answer = self._post(body, deadline)
                if answer.status == _TOO_LARGE and (halves := _halves(body)):
                    self._say_too_large(body)
                    bodies += halves
                    continue
                refused = self._refused(answer, _lines(body))
            except ExportFailed as error:
                if not accepted or error.retryable or error.sent:
                    raise self._failure(error, may_be_there=accepted > 0) from error
                self._diag.say("refused", str(error))
                refused, reason = _lines(body), error.reason
            else:
                reason = _PARTIAL
            accepted += _lines(body) - refused
            if refused:
                rejected[reason] = rejected.get(reason, 0) + refused
        return Ack(accepted, rejected)

    def close(self, deadline: float) -> None:
        """Let go of the connection; a later ``send`` opens another."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"InfluxDBExporter({self._transport.url!r}, {self._target.shown})"

    def _post(self, body: bytes, deadline: float) -> Answer:
        answer = self._transport.post(body, deadline)
        return without(answer, self._login.secrets)

    def _refused(self, answer: Answer, lines: int) -> int:
        """Give how many lines of a body were refused; raises where all were."""
        if 200 <= answer.status < 300:
            return 0
        refused = min(points_refused(answer), lines)
        if not refused:
            hint = self._login.hint if answer.status == 401 else ""
            hint = hint or self._target.hint(answer.status)
            raise refusal(self.name, answer, hint)
        said = answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
        text = f"the server refused {refused} of {lines} points: {said!r}."
        self._diag.say(_PARTIAL, f"exporter {self.name!r}: {text}")
        return refused

    def _say_too_large(self, body: bytes) -> None:
        text = (
            f"exporter {self.name!r}: {len(body)} bytes are too large for the server "
            "(413), and go in halves. Lower max_bytes=."
        )
        self._diag.say("too_large", text)

    def _failure(self, error: ExportFailed, *, may_be_there: bool) -> ExportFailed:
        sent = error.sent or may_be_there
        is_delta = self.delivery.temporality == "delta"
        return ExportFailed(
            str(error),
            # The next push of a delta holds this one, too, and would count it twice.
            retryable=error.retryable and not (is_delta and sent),
            retry_after=error.retry_after,
            sent=sent,
            reason=error.reason,
        )


def _lines(body: bytes) -> int:
    return body.count(b"\n") + 1


def _halves(body: bytes) -> list[bytes]:
    """Give the two halves of a body, the first one last; nothing if it is small."""
    middle = body.find(b"\n", len(body) // 2)
    if middle < 0:
        middle = body.rfind(b"\n")
    if middle < 0 or len(body) <= LEAST_BYTES:
        return []
    return [body[middle + 1 :], body[:middle]]


def _check_alone(name: str, arguments: Mapping[str, object]) -> None:
    """Check that nothing is given that the client has."""
    given = [f"{what}=" for what, value in arguments.items() if value is not None]
    if given:
        text = (
            f"exporter {name!r}: got client= and {', '.join(given)}, but the client says "
            "where to and as whom. Leave out one or the other."
        )
        raise DefinitionError(text)
