"""An exporter by its address: what a command line or a setting can hold."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from obs.errors import DefinitionError, shown
from obs.protocols import PullExporter, PushExporter

Options: TypeAlias = dict[str, Any]
Exporter: TypeAlias = PullExporter | PushExporter
_Converters: TypeAlias = Mapping[str, Callable[[str], Any]]


def exporter_from_url(url: str) -> Exporter:
    """Give an exporter by its URL; like constructing it, this opens nothing.

    | URL | gives |
    |---|---|
    | ``prometheus://127.0.0.1:9464`` | ``PrometheusExporter`` with a server of its own |
    | ``pushgateway://127.0.0.1?job=app``, ``pushgateways://…`` | ``PushgatewayExporter`` |
    | ``textfile:///var/lib/node_exporter/app.prom`` | ``TextfileExporter`` |
    | ``otlp://127.0.0.1:4318``, ``otlps://…`` | ``OTLPExporter``, ``?protocol=grpc`` too |
    | ``zipkin://127.0.0.1:9411``, ``zipkins://…`` | ``ZipkinExporter`` |
    | ``syslog://127.0.0.1:514?protocol=tcp``, ``syslog:///dev/log`` | ``SyslogExporter`` |
    | ``statsd://127.0.0.1:8125?dialect=datadog``, ``statsd:///run/s`` | ``StatsdExporter`` |
    | ``influxdb://h:8086?bucket=b&token=t``, ``influxdbs://…`` | ``InfluxDBExporter`` |
    | ``influxdb://user:secret@h:8086?database=d`` | the same, for InfluxDB 1.x |
    | ``graphite://127.0.0.1:2003?prefix=app&tags=true`` | ``GraphiteExporter`` |
    | ``jsonl:///var/log/app.jsonl``, ``jsonl:-`` | ``JsonLinesExporter``; ``-``: stdout |
    | ``console:``, ``console:-`` | ``ConsoleExporter`` on stderr; ``-``: stdout |

    What stands behind ``?`` are keywords of the constructor: ``interval=5&name=other``,
    several signals as ``signals=metrics,traces``, yes and no as ``true`` and ``false``.

    Args:
        url: The scheme says which exporter.

    Raises:
        DefinitionError: The scheme or an option is unknown, or the exporter refuses an
            argument; no password is in the text.

    Example:
        >>> from obs_exporters import exporter_from_url
        >>> exporter = exporter_from_url("otlp://127.0.0.1:4317?protocol=grpc&interval=5")
        >>> exporter.name, exporter.delivery.interval
        ('otlp', 5.0)
    """
    if not isinstance(url, str):
        text = f"exporter URL: got {shown(url)}, needs a text such as {_EXAMPLE!r}."
        raise DefinitionError(text)
    try:
        parts = urlsplit(url)
        port = parts.port  # read here: it raises for what is no port
    except ValueError:  # its text may hold a password
        text = f"exporter URL: host or port is malformed, needs the form {_EXAMPLE!r}."
        raise DefinitionError(text) from None
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        known = ", ".join(_KINDS)
        got = shown(parts.scheme) if parts.scheme else "no scheme"
        text = f"exporter URL: got {got}, needs one of {known}, as in {_EXAMPLE!r}."
        raise DefinitionError(text)
    if parts.fragment:
        text = (
            f"exporter URL: {parts.scheme}: got a '#', which begins a fragment. "
            "Write it as %23."
        )
        raise DefinitionError(text)
    options = _options(parts, kind.options)
    return kind.make(parts, port, options)


class _Kind(NamedTuple):
    make: Callable[[SplitResult, int | None, Options], Exporter]
    options: _Converters


def _options(parts: SplitResult, known: _Converters) -> Options:
    options: Options = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        what = f"exporter URL: {parts.scheme}: option {shown(name)}"
        if name not in known:
            text = f"{what} is unknown. There are {', '.join(known)}."
            raise DefinitionError(text)
        if name in options:
            text = f"{what} is there twice. Remove one."
            raise DefinitionError(text)
        try:
            options[name] = known[name](value)
        except ValueError:
            text = f"{what} got {shown(value)}, needs {_NEEDS[known[name]]}."
            raise DefinitionError(text) from None
    return options


def _prometheus(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.prometheus import PrometheusExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    _no_path(parts)
    if port is not None:
        options["port"] = port
    if parts.hostname:
        options["host"] = parts.hostname
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        options["basic_auth"] = (user, password)
    return PrometheusExporter(**options)


def _pushgateway(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.prometheus._gateway import PushgatewayExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    if "job" not in options:
        text = f"exporter URL: {parts.scheme}: the job is missing. Write ?job=..."
        raise DefinitionError(text)
    return PushgatewayExporter(_http(parts, port, 9091), **options)


def _textfile(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.prometheus._textfile import TextfileExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    path = unquote(parts.path)
    if parts.netloc:
        text = (
            f"exporter URL: textfile: got host {shown(parts.hostname or '')} and path "
            f"{shown(path)}, needs a path alone, as textfile:///var/lib/app.prom."
        )
        raise DefinitionError(text)
    return TextfileExporter(path, **options)


def _otlp(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.otlp import OTLPExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    default = 4317 if options.get("protocol") == "grpc" else 4318
    return OTLPExporter(_http(parts, port, default), **options)


def _zipkin(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.zipkin import ZipkinExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    return ZipkinExporter(_http(parts, port, 9411), **options)


def _syslog(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.syslog import SyslogExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    return SyslogExporter(_socket(parts, "127.0.0.1:514", options), **options)


def _statsd(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.statsd import StatsdExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    return StatsdExporter(_socket(parts, "127.0.0.1:8125", options), **options)


def _influxdb(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.influxdb import InfluxDBExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    return InfluxDBExporter(_http(parts, port, 8086), **options)


def _graphite(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.graphite import GraphiteExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    return GraphiteExporter(_address(parts) or "127.0.0.1", **options)


def _jsonl(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.jsonl import JsonLinesExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    path = unquote(parts.path)
    if parts.netloc or not path:
        text = (
            f"exporter URL: jsonl: got host {shown(parts.hostname or '')} and path "
            f"{shown(path)}, needs a path alone: jsonl:///var/log/app.jsonl, "
            "jsonl:app.jsonl, or jsonl:- for stdout."
        )
        raise DefinitionError(text)
    return JsonLinesExporter(sys.stdout if path == "-" else path, **options)


def _console(parts: SplitResult, port: int | None, options: Options) -> Exporter:
    from obs_exporters.console import ConsoleExporter  # noqa: PLC0415 - who wants one exporter does not import the others

    if parts.netloc or parts.path not in ("", "-"):
        text = (
            f"exporter URL: console: got {shown((parts.hostname or '') + parts.path)}, "
            "needs nothing behind the colon, or - for stdout."
        )
        raise DefinitionError(text)
    return ConsoleExporter(sys.stdout if parts.path == "-" else None, **options)


def _http(parts: SplitResult, port: int | None, default: int) -> str:
    """Give the http or https URL that an exporter's own scheme stands for."""
    scheme = "https" if parts.scheme.endswith("s") else "http"
    host = parts.hostname or "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    login, at, _ = parts.netloc.rpartition("@")
    port = default if port is None else port
    return f"{scheme}://{login}{at}{host}:{port}{parts.path}"


def _socket(parts: SplitResult, default: str, options: Options) -> str:
    """Give host and port of a URL or, of one without a host, the path of a Unix socket."""
    path = unquote(parts.path)
    if parts.netloc:
        return _address(parts)
    options.setdefault("protocol", "unix" if path else "udp")
    return path or default


def _address(parts: SplitResult) -> str:
    """Give host and port of a URL that has nothing else."""
    _no_path(parts)
    if "@" in parts.netloc:
        text = f"exporter URL: {parts.scheme}: got a user, needs host and port alone."
        raise DefinitionError(text)
    return parts.netloc


def _no_path(parts: SplitResult) -> None:
    if parts.path not in ("", "/"):
        text = (
            f"exporter URL: {parts.scheme}: got the path {shown(parts.path)}, "
            "needs host and port alone."
        )
        raise DefinitionError(text)


def _labels(text: str) -> dict[str, str]:
    """Give ``a=1,b=2`` as a dictionary."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(is_pair for _, is_pair, _ in pairs):
        raise ValueError(text)
    return {name: value for name, _, value in pairs}


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _text_or_true(text: str) -> str | bool:
    return text if text != "true" else True


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


# What takes any text is not here.
_NEEDS: Mapping[Callable[[str], Any], str] = {
    float: "a number",
    int: "a whole number",
    _boolean: "true or false",
    _labels: "labels with commas between them, as a=1,b=2",
}
_PUSH: _Converters = {"interval": float, "timeout": float, "name": str}
_OTLP: _Converters = {
    **_PUSH,
    "signals": _list,
    "protocol": str,
    "temporality": str,
    "max_bytes": int,
}
_PUSHGATEWAY: _Converters = {
    **_PUSH,
    "job": str,
    "grouping": _labels,
    "method": str,
    "delete_on_close": _boolean,
}
_TEXTFILE: _Converters = {
    "interval": float,
    "name": str,
    "labels": _labels,
    "fsync": _boolean,
}
_SYSLOG: _Converters = {
    **_PUSH,
    "protocol": str,
    "facility": str,
    "app_name": str,
    "hostname": str,
    "sd_id": str,
    "max_message_bytes": int,
}
_STATSD: _Converters = {
    **_PUSH,
    "protocol": str,
    "dialect": str,
    "prefix": str,
    "max_datagram_bytes": int,
    "resource_tags": _list,
    "container_id": _text_or_true,
    "entity_id": str,
}
_INFLUXDB: _Converters = {
    **_PUSH,
    "bucket": str,
    "org": str,
    "token": str,
    "database": str,
    "retention_policy": str,
    "username": str,
    "password": str,
    "resource_tags": _list,
    "temporality": str,
    "max_bytes": int,
}
_GRAPHITE: _Converters = {
    **_PUSH,
    "protocol": str,
    "tags": _boolean,
    "prefix": str,
    "resource_tags": _list,
    "histograms": str,
}
_JSONL: _Converters = {
    **_PUSH,
    "signals": _list,
    "rotate_bytes": int,
    "rotate_seconds": float,
    "keep": int,
}
_CONSOLE: _Converters = {
    "interval": float,
    "name": str,
    "signals": _list,
    "color": str,
}
_KINDS = {
    "prometheus": _Kind(_prometheus, {"name": str, "token": str}),
    "pushgateway": _Kind(_pushgateway, _PUSHGATEWAY),
    "pushgateways": _Kind(_pushgateway, _PUSHGATEWAY),
    "textfile": _Kind(_textfile, _TEXTFILE),
    "otlp": _Kind(_otlp, _OTLP),
    "otlps": _Kind(_otlp, _OTLP),
    "zipkin": _Kind(_zipkin, _PUSH),
    "zipkins": _Kind(_zipkin, _PUSH),
    "syslog": _Kind(_syslog, _SYSLOG),
    "statsd": _Kind(_statsd, _STATSD),
    "influxdb": _Kind(_influxdb, _INFLUXDB),
    "influxdbs": _Kind(_influxdb, _INFLUXDB),
    "graphite": _Kind(_graphite, _GRAPHITE),
    "jsonl": _Kind(_jsonl, _JSONL),
    "console": _Kind(_console, _CONSOLE),
}
_EXAMPLE = "otlp://127.0.0.1:4318"
