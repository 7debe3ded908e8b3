"""The exporter: the page is pushed to a Pushgateway, for jobs that end before a scrape."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from obs._fork import on_fork
from obs.errors import ExportFailed
from obs.model import Ack, Batch, Delivery, Payload
from obs_exporters._http_client import NO_HEADERS, Headers, HttpClient, Tls, failed
from obs_exporters._push import check_push, wrong_argument
from obs_exporters.prometheus._arguments import check_labels, is_text
from obs_exporters.prometheus._pushed import MAX_BYTES, PushedPage
from obs_exporters.prometheus._text import TEXT

if TYPE_CHECKING:
    import ssl

NO_LABELS: Mapping[str, str] = MappingProxyType({})
_METHODS = {"replace": "PUT", "add": "POST"}
_OWNED = ("push_time_seconds", "push_failure_time_seconds")


class PushgatewayExporter:
    """Pushes the metrics of one instance to a Prometheus Pushgateway.

    Names, types and ``target_info`` are those of ``PrometheusExporter``'s page, in the text
    format 0.0.4. The gateway puts ``job`` and the other labels of the grouping key on every
    series; a label of ours with such a name becomes ``exported_job``, as it would at a
    scrape. The gateway takes a page as a whole: series that it would take for one are
    added up, and what it cannot take is left out and counted.

    A gateway shows what was pushed until it is deleted. Two processes with one grouping key
    overwrite each other: give each an ``instance`` in ``grouping``, or use one only for
    jobs of which one runs at a time.

    Args:
        url: The gateway, with the path it has behind a proxy; ``/metrics/job/...`` is added.
            ``user:password@`` goes out as basic authorization.
        job: The label ``job``.
        grouping: More labels of the grouping key.
        method: ``replace``: a push replaces all of the group; ``add``: only metrics that
            it holds.
        delete_on_close: Whether ``close`` deletes the group, if anything was pushed.
        headers: Sent with each request, or a function that is asked for them each time.
        tls: Whom to trust and who to be, or an ``ssl.SSLContext``.
        interval: Seconds between pushes.
        timeout: Seconds that one push may take.
        name: Unique among the exporters of an instance.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.

    Threads: ``encode`` from any; ``send`` and ``close`` one at a time.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9091",
        *,
        job: str,
        grouping: Mapping[str, str] = NO_LABELS,
        method: str = "replace",
        delete_on_close: bool = False,
        headers: Headers = NO_HEADERS,
        tls: "Tls | ssl.SSLContext | None" = None,
        interval: float = 10.0,
        timeout: float = 10.0,
        name: str = "pushgateway",
    ) -> None:
        self.signals = check_push(
            name,
            interval=interval,
            timeout=timeout,
            signals=("metrics",),
            possible=("metrics",),
        )
        self.name = name
        self.delivery = Delivery(interval, timeout, MAX_BYTES, replayable=False)
        if not job or not is_text(job):
            raise wrong_argument(name, "job", job, "a text that is not empty")
        if not isinstance(method, str) or method not in _METHODS:
            raise wrong_argument(name, "method", method, "'replace' or 'add'")
        if not isinstance(delete_on_close, bool):
            raise wrong_argument(
                name, "delete_on_close", delete_on_close, "True or False"
            )
        labels = {"job": job, **check_labels(name, "grouping", grouping, ("job",))}
        self._path = "/metrics" + "".join(_pair(*pair) for pair in labels.items())
        self._method = _METHODS[method]
        self._deletes = delete_on_close
        self._has_pushed = False
        self._page = PushedPage(labels, _OWNED)
        self._client = HttpClient(name, url, headers=headers, tls=tls)
        self.imports = self._client.imports
        on_fork(self)

    def encode(self, batch: Batch) -> Iterable[Payload]:
        """Give the page: one body, which the gateway takes or refuses as a whole."""
        return [self._page.payload(batch, {}, self.delivery.max_bytes)]

    def send(self, payload: Payload, deadline: float) -> Ack:
        """Push one page.

        Raises:
            ExportFailed: It was refused, or there was no answer before ``deadline``.
        """
        body: Any = payload.body
        headers = {"content-type": TEXT.content_type}
        self._has_pushed = True
        answer = self._client.request(self._method, self._path, body, headers, deadline)
        if not 200 <= answer.status < 300:
            raise failed(self.name, answer)
        return Ack(payload.records)

    def close(self, deadline: float) -> None:
        """Delete the group if that was asked for, and let go of the connection."""
        if self._deletes and self._has_pushed:
            self._has_pushed = False
            with suppress(ExportFailed):
                self._client.request("DELETE", self._path, b"", NO_HEADERS, deadline)
        self._client.close()

    def after_fork_in_child(self) -> None:
        """Leave to the parent to delete what it has pushed."""
        self._has_pushed = False

    def __repr__(self) -> str:
        return f"PushgatewayExporter({self._client.url.rstrip('/') + self._path!r})"


def _pair(label: str, value: str) -> str:
    """Give one label of the grouping key as it stands in the path.

    Source: the Pushgateway's README, "URL". Its router splits at a slash however it is
    written, and answers with a redirect to an empty value or one of dots (1.5.1).
    """
    if not value.strip(".") or "/" in value:
        packed = urlsafe_b64encode(value.encode()).decode().rstrip("=")
        return f"/{label}@base64/{packed or '='}"
    return f"/{label}/{quote(value, safe='')}"
