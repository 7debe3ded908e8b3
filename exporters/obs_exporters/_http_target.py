"""Where the HTTP client posts to, and its headers: checked before anything is sent."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from obs._foreign import is_the_hosts
from obs.errors import DefinitionError, ExportFailed, shown, type_name
from obs_exporters._http_request import host_name
from obs_exporters._push import wrong_argument

Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""What is sent with each request, or a function that is asked for it each time."""

TARGET = re.compile(r"[!-~]*")
"""What a path may hold: visible ASCII."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OF_THE_CLIENT = ("content-length", "transfer-encoding", "connection")


class Address(NamedTuple):
    """A URL in parts.

    Attributes:
        url: Without user and password.
        secure: Whether it is https.
        host: A name, or an address without brackets.
        port: Its port, or the scheme's.
        path: At least ``/``.
        headers: Host, user and password as basic authorization, and what is fixed.
    """

    url: str
    secure: bool
    host: str
    port: int
    path: str
    headers: Mapping[str, str]


def check_url(exporter: str, url: object) -> Address:
    """Take a URL apart.

    Raises:
        DefinitionError: It breaks a rule; user and password are not in the text.
    """
    try:
        address = _parts(url) if isinstance(url, str) else None
    except ValueError:  # a port that is none, a bracket that is not closed
        address = None
    if address is None:
        seen = url
        if isinstance(url, str) and "@" in url:
            seen = "***@" + url.rpartition("@")[2]
        needs = "http:// or https://, a host, and no query or fragment, in ASCII"
        raise wrong_argument(exporter, "url", seen, needs)
    return address


def _parts(url: str) -> Address | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    path = parts.path or "/"
    authority = parts.netloc.rpartition("@")[2]
    if (
        parts.scheme not in ("http", "https")
        or not host_name(authority)
        or not TARGET.fullmatch(url)
        or set(url) & set("?#")
        or parts.port == 0
    ):
        return None
    headers = {
        "host": authority,
        "user-agent": "obs-sdk",
        "accept-encoding": "identity",
    }
    if "@" in parts.netloc:
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        secret = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        headers["authorization"] = f"Basic {b64encode(secret).decode()}"
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    shown_url = f"{parts.scheme}://{authority}{parts.path}"
    return Address(shown_url, is_secure, host, port, path, headers)


def check_headers(exporter: str, headers: Headers) -> Headers:
    """Give fixed headers with their names in lower case, or the function as it is.

    Raises:
        DefinitionError: They break a rule; their values are not in the text.
    """
    if callable(headers):
        return headers
    try:
        found = lower_names(headers)
        wrong = wrong_header(found.items())
    except (TypeError, AttributeError, ValueError):
        wrong = f"headers got {shown(type(headers))}, needs a mapping of texts"
        found = {}
    if wrong:
        text = f"exporter {exporter!r}: {wrong}."
        raise DefinitionError(text)
    return found


def current_headers(
    headers: Headers, failure: Callable[[str], ExportFailed]
) -> Mapping[str, str]:
    """Give the headers of the next request, their names in lower case.

    Args:
        headers: What ``check_headers`` gave.
        failure: Makes the exception where their function raises.
    """
    if not callable(headers):
        return headers
    try:
        return lower_names(headers())
    except BaseException as error:
        if is_the_hosts(error):
            raise
        text = f"headers() raised {type_name(error)}"
        raise failure(text) from error


def lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """Give headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def wrong_header(headers: Iterable[tuple[object, object]]) -> str:
    """Say what is wrong with the headers, without their values; empty if nothing is."""
    for name, value in headers:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"header {shown(name)} is no name of a header"
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            return (
                f"the value of header {name!r} needs to be text in latin-1 without line "
                "breaks or other control characters"
            )
        if name in _OF_THE_CLIENT:
            return f"header {name!r} is the client's own"
    return ""
