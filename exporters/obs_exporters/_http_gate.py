"""Who may ask the pull server: Host header, token, user and password."""

from binascii import b2a_base64
from collections.abc import Sequence

from obs.errors import DefinitionError, shown
from obs_exporters._http_request import (
    Request,
    Response,
    address_literal,
    host_name,
    refusal,
)


class Gate:
    """Who may ask: the Host rule against DNS rebinding, then credentials.

    Bound to a loopback address, only loopback names and ``allowed_hosts`` are served:
    a web page whose name was pointed at 127.0.0.1 still sends its own name. Bound
    elsewhere, any name is, unless ``allowed_hosts`` are given.

    Args:
        token: Bearer token, compared as UTF-8 bytes; None asks for none.
        basic_auth: User name and password; with a token as well, either will do.
        allowed_hosts: Names or address literals, without ports or wildcards.

    Raises:
        DefinitionError: A credential is empty or could not be sent, a user name holds
            a colon, or an allowed host is no host name.
    """

    def __init__(
        self,
        *,
        token: str | None,
        basic_auth: tuple[str, str] | None,
        allowed_hosts: Sequence[str],
    ) -> None:
        self._secrets: dict[str, bytes] = {}
        self._challenges: list[tuple[str, str]] = []
        if token is not None:
            _check_secret("token", token)
            self._ask("Bearer", token.encode(), 'Bearer realm="metrics"')
        if basic_auth is not None:
            user, password = basic_auth
            _check_secret("basic_auth", user, password)
            if ":" in user:
                text = (
                    f"http server: basic_auth has the user name {shown(user)}, but ':' "
                    "ends a user name. Take it out."
                )
                raise DefinitionError(text)
            pair = b2a_base64(f"{user}:{password}".encode(), newline=False)
            self._ask("Basic", pair, 'Basic realm="metrics", charset="UTF-8"')
        self._allowed = _allowed_names(allowed_hosts)
        self._bound = ""
        self._is_local = True
        self._takes_any = False

    def bound_to(self, address: str) -> None:
        """Fit the Host rule to the address that the server listens on."""
        name = address_literal(address.partition("%")[0]) or address
        self._is_local = _is_loopback(name)
        self._takes_any = not self._is_local and not self._allowed
        self._bound = name

    def refuse(self, request: Request) -> Response | None:
        """Give the answer to a request that may not pass, or None."""
        if not self._admits(request.headers.get("host", "")):
            return refusal(403)
        if self._secrets and not self._proves(request.headers.get("authorization", "")):
            return refusal(401, self._challenges)
        return None

    def _ask(self, scheme: str, secret: bytes, challenge: str) -> None:
        self._secrets[scheme.lower()] = secret
        self._challenges.append(("WWW-Authenticate", challenge))

    def _admits(self, host: str) -> bool:
        if self._takes_any:
            return True
        name = host_name(host)
        if not name:
            return False
        if self._is_local and _is_loopback(name):
            return True
        return name in self._allowed or name == self._bound

    def _proves(self, authorization: str) -> bool:
        # It costs 5 ms to import, and most servers ask for nothing.
        from hmac import compare_digest  # noqa: PLC0415

        scheme, _, credentials = authorization.partition(" ")
        secret = self._secrets.get(scheme.lower())
        sent = credentials.strip(" ").encode("latin-1", "replace")
        return secret is not None and compare_digest(sent, secret)


def _is_loopback(name: str) -> bool:
    if name in ("localhost", "::1"):
        return True
    return (address_literal(name) or "").removeprefix("::ffff:").startswith("127.")


def _allowed_names(hosts: Sequence[str]) -> set[str]:
    if isinstance(hosts, str):
        text = (
            f"http server: allowed_hosts got the text {shown(hosts)}, needs a sequence "
            f"of names. Write [{shown(hosts)}]."
        )
        raise DefinitionError(text)
    names = set()
    for host in hosts:
        name = address_literal(host) or host_name(host)
        if not name:
            text = (
                f"http server: allowed_hosts has {shown(host)}, which is no host name "
                "or address. Give names as 'metrics.example.org', without wildcards."
            )
            raise DefinitionError(text)
        names.add(name)
    return names


def _check_secret(what: str, *parts: str) -> None:
    """Raise on a secret that no client could send, without repeating it."""
    for part in parts:
        if not part or not part.isprintable() or part != part.strip():
            text = (
                f"http server: {what} is empty, or has control characters or blanks "
                "around it. Strip what was read from a file."
            )
            raise DefinitionError(text)
