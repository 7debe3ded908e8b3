"""Where points are written, and as whom: the arguments, checked."""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import unquote

from obs.errors import DefinitionError, shown
from obs_exporters._push import wrong_argument

_VISIBLE = re.compile(r"[!-~]+")


class Target(NamedTuple):
    """A bucket, or a database of 1.x.

    Attributes:
        path: Of the API.
        parameters: Of the query.
        shown: For texts: the arguments that say where.
    """

    path: str
    parameters: Mapping[str, str]
    shown: str

    @property
    def is_bucket(self) -> bool:
        """Whether it is one of the v2 API."""
        return "bucket" in self.parameters

    def hint(self, status: int) -> str:
        """Say what to look at when a server answers 403 or 404."""
        if status == 403:
            return f"Check that who writes may write to {self.shown}."
        if status == 404:
            more = "; before 1.8, give database= instead" if self.is_bucket else ""
            return f"Check the url, and that there is {self.shown}{more}."
        return ""


class Login(NamedTuple):
    """Who writes.

    Attributes:
        headers: What says so.
        secrets: What no text may repeat.
        hint: What to look at when a server does not know who it is.
    """

    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    hint: str


def check_target(
    name: str, bucket: object, org: object, database: object, retention_policy: object
) -> Target:
    """Give where to write.

    Raises:
        DefinitionError: An argument breaks its rule.
    """
    given = {
        "bucket": bucket,
        "org": org,
        "database": database,
        "retention_policy": retention_policy,
    }
    for what, value in given.items():
        if not _is_text(value):
            raise wrong_argument(name, what, value, "a printable text")
    texts = {what: str(value) for what, value in given.items() if value}
    if ("bucket" in texts) == ("database" in texts):
        text = (
            f"exporter {name!r}: bucket got {shown(bucket)} and database got "
            f"{shown(database)}, needs one of them: a bucket for the v2 API, a database "
            "for the /write of 1.x."
        )
        raise DefinitionError(text)
    is_bucket = "bucket" in texts
    for what, other in (("org", "bucket"), ("retention_policy", "database")):
        if what in texts and other not in texts:
            raise wrong_argument(name, what, texts[what], f"a {other}= beside it")
    if is_bucket:
        parameters = {"org": texts.get("org", ""), "bucket": texts["bucket"]}
        path = "/api/v2/write"
    else:
        parameters = {"db": texts["database"]}
        if "retention_policy" in texts:
            parameters["rp"] = texts["retention_policy"]
        path = "/write"
    parameters = {key: value for key, value in parameters.items() if value}
    said = ", ".join(f"{what}={shown(value)}" for what, value in texts.items())
    return Target(path, {**parameters, "precision": "ns"}, said)


def check_login(
    name: str, url: object, token: object, username: object, password: object
) -> Login:
    """Give who writes.

    Raises:
        DefinitionError: An argument breaks its rule; no secret is in the text.
    """
    address = url if isinstance(url, str) else ""
    in_url, at, _ = address.partition("//")[2].rpartition("@")
    is_named = username is not None or password is not None
    if bool(at) + is_named + (token is not None) > 1:
        text = (
            f"exporter {name!r}: got more than one of token=, username= with password=, "
            "and a user in the url. Leave one."
        )
        raise DefinitionError(text)
    if at:  # its header is made of the url
        secret = unquote(in_url.partition(":")[2])
        return Login({}, _not_empty(secret), "Check the user in the url.")
    if token is not None:
        if not isinstance(token, str) or not _VISIBLE.fullmatch(token):
            raise _wrong_secret(name, "token", token, "visible ASCII")
        return Login({"authorization": f"Token {token}"}, (token,), "Check token=.")
    if not is_named:
        return Login({}, (), "Give token=, or username= and password=.")
    if not _is_text(username) or not username or ":" in username:
        needs = "a printable text without a colon"
        raise wrong_argument(name, "username", username, needs)
    if not _is_text(password):
        raise _wrong_secret(name, "password", password, "a printable text")
    packed = b64encode(f"{username}:{password}".encode()).decode()
    secrets = _not_empty(packed, password)
    headers = {"authorization": f"Basic {packed}"}
    return Login(headers, secrets, "Check username= and password=.")


def login_of(client: Any) -> Login:
    """Give who an ``InfluxDBClient`` writes as."""
    header = str(client.auth_header_value or "").rpartition(" ")[2]
    given = (header, client.token, client.conf.password)
    secrets = _not_empty(*(str(it) for it in given if it))
    return Login({}, secrets, "Check the client's token.")


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()


def _not_empty(*secrets: str) -> tuple[str, ...]:
    return tuple(filter(None, secrets))


def _wrong_secret(name: str, what: str, got: object, needs: str) -> DefinitionError:
    seen = "***" if isinstance(got, str) else shown(got)
    text = f"exporter {name!r}: {what} got {seen}, needs {needs}."
    return DefinitionError(text)
